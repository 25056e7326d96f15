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
"""Time of the robot, real or simulated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy')

from rclpy.clock import ClockType, ROSClock
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from dfp_ros.node.ros.domain import free_domain
from dfp_ros.tools.episodes.robot_time import RobotTime
from testing.processes.ros_processes import Peer


def test_it_never_goes_back() -> None:
    """A simulation that begins anew, or anywhere, takes no time by that."""
    with Peer(free_domain()) as peer:
        real = RobotTime(peer.node)
        assert 0 <= real.now() <= real.now()
        publisher = peer.node.create_publisher(Clock, '/clock', 10)
        peer.node.set_parameters([Parameter('use_sim_time', value=True)])
        time = RobotTime(peer.node)
        found = []
        for seconds in (0.0, 500.0, 502.5, 3.0, 4.0, 4.0, 600.0):
            if seconds:
                stamp = Time(nanoseconds=round(seconds * 1e9))
                publisher.publish(Clock(clock=stamp.to_msg()))
                peer.wait_for(
                    lambda stamp=stamp: (
                        peer.node.get_clock().now().nanoseconds == stamp.nanoseconds))
            found.append(time.now())
        assert found == pytest.approx([0, 0, 2.5, 2.5, 3.5, 3.5, 599.5])


def test_a_change_of_the_clock_takes_no_time() -> None:
    """Otherwise the time since the machine was started would end an episode."""
    clock: Any = ROSClock()
    node: Any = SimpleNamespace(get_clock=lambda: clock)
    time = RobotTime(node)
    clock._set_ros_time_is_active(True)
    found = []
    for seconds in (100, 102):
        clock.set_ros_time_override(Time(seconds=seconds, clock_type=ClockType.ROS_TIME))
        found.append(time.now())
    clock._set_ros_time_is_active(False)
    found.append(time.now())
    real = time.now()
    clock._set_ros_time_is_active(True)
    clock.set_ros_time_override(Time(seconds=10**9, clock_type=ClockType.ROS_TIME))
    assert [*found, time.now() - real] == pytest.approx([0, 2, 2, 0])
