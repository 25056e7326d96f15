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
"""Node parameters: use of the limits."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting


@dataclass(frozen=True)
class LimitSettings:
    """Use of the limits; their values are in the robot description."""

    ramp_in: float = setting(
        0.0, 'Seconds after activation in which the allowed speed rises from 0 to its full '
        'value.', bounds=(0.0, 60.0))
    data_envelope: bool = setting(
        False, 'Keep commands within the range of the training data, if it is narrower than the '
        'other limits.')
    urdf_wait: float = setting(
        5.0, 'Seconds to wait for a URDF on robot_description, if the robot description takes '
        'limits from it. Used when the node is configured.', bounds=(0.0, 60.0))
    stop_within: float = setting(
        0.5, 'Largest duration in seconds of the controlled stop at deactivation, exit or reset: '
        'a moving robot is slowed down within its acceleration before the last command is sent; '
        'the node does nothing else meanwhile. 0 sends the last command at once.',
        bounds=(0.0, 1.0))
