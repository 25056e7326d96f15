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
from rclpy.duration import Duration
from std_msgs.msg import Float64MultiArray, String

from dfp_ros.node.ros.domain import free_domain
from testing.processes.ros_processes import Peer
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


def test_a_mark_stays_between_the_decisions_that_it_came_between() -> None:
    """
    Of two topics, and also if the learner was kept from running, so that many messages wait.

    An end that is heard too early ends an episode at a step that has solved nothing.
    """
    domain, begun, go_on = free_domain(), threading.Event(), threading.Event()

    def stand_still() -> None:
        begun.set()
        go_on.wait(60)

    link = RobotLink(_POLICY, '/marks', 'learner', domain=domain)
    try:
        with Peer(domain) as peer:
            decisions = peer.node.create_publisher(Float64MultiArray, f'{_POLICY}/decision', 100)
            marks = peer.node.create_publisher(String, '/marks', 100)
            publishers = decisions, marks
            peer.wait_for(lambda: all(each.get_subscription_count() for each in publishers))
            link._executor.create_task(stand_still)
            link._executor.wake()
            assert begun.wait(60)
            wanted: list[float | str] = [0.0, 1.0, 2.0, 'success', 3.0, 'start', 4.0, 5.0]
            for each in wanted:
                if isinstance(each, str):
                    marks.publish(String(data=each))
                else:
                    decisions.publish(Float64MultiArray(data=[each]))
                # Once it has arrived, whatever the process makes of it.
                assert all(one.wait_for_all_acked(Duration(seconds=60)) for one in publishers)
            go_on.set()
            found: list[float | str] = []
            while len(found) < len(wanted):
                news = link.inbox.get(timeout=60)
                if news.kind in ('decision', 'mark'):
                    found.append(news.content if news.kind == 'mark' else news.content.data[0])
            assert found == wanted
    finally:
        go_on.set()
        link.close()


def test_what_comes_just_after_a_standstill_is_doubtful() -> None:
    """Of what was published meanwhile, some is lost, and marks overtake what is not."""
    domain = free_domain()
    link = RobotLink(_POLICY, '/marks', 'learner', domain=domain)
    try:
        with Peer(domain) as peer:
            publisher = peer.node.create_publisher(String, '/marks', 10)
            peer.wait_for(publisher.get_subscription_count)

            def comes() -> bool:
                publisher.publish(String(data='success'))
                return link.inbox.get(timeout=60).is_doubtful

            def comes_after_a_standstill() -> bool:
                with link._lock:
                    # As in a process that was stopped.
                    link._beat -= 60
                return comes()
            peer.wait_for(lambda: not comes())
            peer.wait_for(comes_after_a_standstill)
            peer.wait_for(lambda: not comes())
    finally:
        link.close()
