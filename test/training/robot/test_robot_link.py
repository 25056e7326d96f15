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
"""The learner's connection to a policy node ends without an error, whatever arrives."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

pytest.importorskip('rclpy')

import rclpy
from rclpy.clock import ClockType
from std_msgs.msg import String

from dfp_ros.node.ros.domain import free_domain
from training.robot.robot_link import CLAIMS, RobotLink

_POLICY = '/policy'


def test_closing_while_messages_arrive_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that receives ends before what it uses, at whatever moment."""
    failed: list[Any] = []
    monkeypatch.setattr(threading, 'excepthook', failed.append)
    domain, context, done = free_domain(), rclpy.Context(), threading.Event()
    rclpy.init(context=context, domain_id=domain)
    peer = rclpy.create_node('peer', context=context)
    publishers = [
        peer.create_publisher(String, topic, 100) for topic in ('/marks', f'{_POLICY}/{CLAIMS}')]

    def publish() -> None:
        while not done.wait(0.0005):
            for publisher in publishers:
                publisher.publish(String(data='success'))

    flood = threading.Thread(target=publish)
    interval = sys.getswitchinterval()
    # Threads change places at any instruction, so that rare moments are frequent.
    sys.setswitchinterval(1e-6)
    flood.start()
    try:
        for number in range(6):
            link = RobotLink(_POLICY, '/marks', f'learner_{number}', domain=domain)
            # A clock that is set back must not end its claim.
            assert {timer.clock.clock_type for timer in link.node.timers} == {
                ClockType.STEADY_TIME}
            # The last message may be any number of messages before the end.
            for _ in range(number % 4):
                link.inbox.get(timeout=30)
            link.close()
    finally:
        sys.setswitchinterval(interval)
        done.set()
        flood.join()
        peer.destroy_node()
        rclpy.shutdown(context=context)
    assert not failed, failed[0]
