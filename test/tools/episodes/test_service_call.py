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
"""Calls of services that are withdrawn before they begin."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

pytest.importorskip('rclpy')

from std_srvs.srv import Trigger

from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import CALL_QOS
from dfp_ros.tools.episodes.service_call import Answer, ReleasedReset, ServiceCall
from testing.processes.ros_processes import Peer


class Calls:
    """Services of a peer, and calls of them."""

    def __init__(self, peer: Peer) -> None:
        """Offer nothing yet."""
        self.peer = peer
        self.called: list[str] = []

    def offer(self, name: str) -> None:
        """Offer a service that succeeds, and wait until it is known."""
        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            self.called.append(name)
            response.success = True
            return response
        self.peer.node.create_service(Trigger, name, answer)
        self.peer.wait_for(self.peer.node.create_client(Trigger, name).service_is_ready)

    def call(self, name: str) -> ServiceCall:
        """Begin a call."""
        client = self.peer.node.create_client(Trigger, name, qos_profile=CALL_QOS)
        return ServiceCall(self.peer.node, client, name, 120.0)

    def finish(self, call: ServiceCall | ReleasedReset) -> Answer:
        """Wait for the answer of a call."""
        found: list[Answer] = []

        def is_answered() -> bool:
            answer = call.poll()
            found.extend([] if answer is None else [answer])
            return bool(found)
        self.peer.wait_for(is_answered)
        return found[0]


@pytest.fixture(name='calls')
def some_calls() -> Iterator[Calls]:
    """Make a node."""
    with Peer(free_domain()) as peer:
        yield Calls(peer)


def test_a_call_that_is_withdrawn_is_not_sent(calls: Calls) -> None:
    """Its service comes later; one that was sent has its answer."""
    waiting = calls.call('later')
    assert waiting.poll() is None
    waiting.withdraw()
    calls.offer('later')
    answer = calls.finish(waiting)
    assert (answer.success, answer.has_answered) == (False, False)
    assert answer.message == 'service later: withdrawn before it was called'
    assert calls.called == []
    sent = calls.call('later')
    calls.peer.wait_for(lambda: calls.called or sent.poll())
    sent.withdraw()
    assert not sent.is_withdrawn
    assert calls.finish(sent).success
    assert calls.called == ['later']


@pytest.mark.parametrize('late', ['off', 'scene'])
def test_a_node_is_activated_again_after_a_reset_that_is_withdrawn(
        calls: Calls, late: str) -> None:
    """While it is being deactivated, or before the service of the scene is there."""
    names = ('off', 'scene', 'on')
    for name in names:
        if name != late:
            calls.offer(name)
    reset = ReleasedReset([partial(calls.call, name) for name in names])
    calls.peer.wait_for(lambda: reset.poll() is None and len(reset._begin) == (
        2 if late == 'off' else 1))
    reset.withdraw()
    calls.offer(late)
    answer = calls.finish(reset)
    assert not answer.success
    assert 'withdrawn before it' in answer.message
    assert calls.called == ['off', 'on']
