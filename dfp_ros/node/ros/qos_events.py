# Copyright 2026 The dfp_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""No QoS events: an entity that is destroyed while one comes ends the process."""

from __future__ import annotations

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
    )

# With the events executor, a subscription or publisher that is destroyed while an event of its
# own is in the queue ends the process with a segmentation fault
# (https://github.com/ros2/rclpy/issues/1644). rclpy asks for the events of incompatible endpoints
# unless told otherwise.
#: For subscriptions.
NO_SUBSCRIPTION_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)
#: For publishers.
NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)
