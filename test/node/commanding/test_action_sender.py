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
"""Goals of actions: servers that come, go, and forget."""

from __future__ import annotations

from collections.abc import Iterator
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from action_msgs.srv import CancelGoal
from rclpy.task import Future

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.commanding import action_clients, action_sender
from dfp_ros.node.commanding.action_sender import ActionSender, MOST_GOALS
from dfp_ros.node.commanding.command_publishers import CommandPublishers
from dfp_ros.node.ros.domain import free_domain
from testing.processes.ros_processes import Peer


class Server:
    """An action's client whose server accepts goals, and never says that one has ended."""

    def __init__(self, *_: object) -> None:
        """Start with a server."""
        self.is_there = self.accepts = True
        self.goals: list[Any] = []

    def server_is_ready(self) -> bool:
        """Tell whether there is a server."""
        return self.is_there

    def send_goal_async(self, goal: Any, goal_uuid: Any) -> Future:
        """Accept a goal at once, or refuse it."""
        self.goals.append(goal)
        future = Future()
        future.set_result(SimpleNamespace(accepted=self.accepts, get_result_async=Future))
        return future

    def destroy(self) -> None:
        """Do nothing."""


@pytest.fixture(name='cell')
def a_cell(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ActionSender, Server, Peer]]:
    """Make a sender for a gripper, with a stand-in for its action's server."""
    server = Server()
    monkeypatch.setattr(action_clients, 'ActionClient', lambda *_, **__: server)
    monkeypatch.setattr(action_sender, '_LASTS', 0.0)
    monkeypatch.setitem(sys.modules, 'control_msgs.action', SimpleNamespace(
        GripperCommand=type('GripperCommand', (), {'Goal': dict})))
    topic: Any = SimpleNamespace(
        action='control_msgs/action/GripperCommand', topic='grip', trajectory='point',
        goal_change=0.0, entries=[None], stop_of=lambda _: Stop.KEEP)
    with Peer(free_domain()) as peer:
        sender = ActionSender(peer.node, topic)
        yield sender, server, peer
        sender.close()
        action_clients.destroy_action_clients(peer.node)


def send(sender: ActionSender, number: float, state: State = State.RUNNING) -> None:
    """Send a command of a policy."""
    writer: Any = SimpleNamespace(write=lambda sent, *_: float(sent[0]))
    decision: Any = SimpleNamespace(
        sent=np.array([number]), state=state, commander=Commanding.POLICY, ahead=None,
        reason=Reason.NONE if state is State.RUNNING else Reason.OPERATOR_STOP)
    sender.send(writer, decision, 0, np.array([0]))


def test_goals_that_a_server_has_forgotten(cell: tuple[ActionSender, Server, Peer]) -> None:
    """A server that was restarted ends no goal of before; that is no reason to stop for ever."""
    sender, server, peer = cell
    asked = []

    def answer(request: Any, response: Any) -> Any:
        asked.append(bytes(request.goal_info.goal_id.uuid))
        response.return_code = CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID
        return response

    peer.node.create_service(CancelGoal, 'grip/_action/cancel_goal', answer)
    peer.wait_for(sender._canceller.service_is_ready)
    for i in range(2 * MOST_GOALS):
        send(sender, float(i))
        assert sender.fault == ''
        # Each new goal has the one before cancelled.
        peer.wait_for(lambda i=i: len(asked) >= i and len(sender._active) == 1)
    assert len(server.goals) == 2 * MOST_GOALS


def test_a_server_that_is_gone_while_nothing_changes(
        cell: tuple[ActionSender, Server, Peer]) -> None:
    """It is missed at once, and has the goal again when it is back."""
    sender, server, _ = cell
    send(sender, 0.5)
    send(sender, 0.5)
    assert len(server.goals) == 1
    server.is_there = False
    send(sender, 0.5)
    assert sender.fault == 'there is no server of the action /grip'
    server.is_there = True
    send(sender, 0.5)
    send(sender, 0.5)
    assert sender.fault == ''
    assert server.goals == [{'command': 0.5}] * 2


class Anywhere:
    """A node without ROS."""

    resolve_topic_name = staticmethod('/{}'.format)

    def create_client(self, *_: object, **__: object) -> Any:
        """Make a client that nothing answers."""
        return SimpleNamespace(call_async=lambda request: Future())

    def destroy_client(self, client: object) -> None:
        """Do nothing."""


def test_the_first_command_of_an_episode_is_a_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the last one of before: in between, somebody may have opened the gripper."""
    server, node = Server(), Anywhere()
    monkeypatch.setattr(action_clients, 'ActionClient', lambda *_, **__: server)
    monkeypatch.setitem(sys.modules, 'control_msgs.action', SimpleNamespace(
        GripperCommand=type('GripperCommand', (), {'Goal': dict})))
    topic: Any = SimpleNamespace(
        action='control_msgs/action/GripperCommand', topic='grip', trajectory='point',
        goal_change=0.0, entries=[None], stop_of=lambda _: Stop.KEEP, name='grip')
    loop: Any = SimpleNamespace(
        robot=SimpleNamespace(commands=[topic]), writers=[None], policy=SimpleNamespace(
            spec=SimpleNamespace(action_slices={'grip': slice(0, 1)})))
    topic.entries = [SimpleNamespace(action='grip')]
    watch: Any = SimpleNamespace()
    publishers = CommandPublishers(node, loop, watch)  # type: ignore[arg-type]
    [sender] = publishers._publishers
    assert isinstance(sender, ActionSender)
    for _ in range(2):
        for _ in range(3):
            send(sender, 0.5)
        publishers.begin_episode()
    assert server.goals == [{'command': 0.5}] * 2
    # And after ~/resume.
    send(sender, 0.5)
    for state in (State.STOPPED, State.STOPPED, State.RUNNING, State.RUNNING):
        send(sender, 0.5, state)
    assert server.goals == [{'command': 0.5}] * 4
    # Not while it is held: what was opened by hand stays open.
    for state in (State.STOPPED, State.HOLD, State.HOLD):
        send(sender, 0.5, state)
    publishers.begin_episode()
    send(sender, 0.5, State.HOLD)
    assert len(server.goals) == 4
    send(sender, 0.5)
    assert len(server.goals) == 5


def test_a_server_that_never_answers_cancellations(
        cell: tuple[ActionSender, Server, Peer]) -> None:
    """What it was asked is forgotten at some point."""
    sender, _, _ = cell
    for i in range(10 * MOST_GOALS):
        send(sender, float(i))
    assert 'neither ends nor replaces' in sender.fault
    assert len(sender._canceller._pending_requests) <= 4 * MOST_GOALS


@pytest.fixture(name='arm')
def an_arm(monkeypatch: pytest.MonkeyPatch) -> tuple[ActionSender, Server, list[bytes]]:
    """Make a sender for positions, with a stand-in for its server, and the goals it cancels."""
    server, cancelled = Server(), []

    def cancel(request: Any) -> Future:
        cancelled.append(bytes(request.goal_info.goal_id.uuid))
        return Future()

    node = Anywhere()
    monkeypatch.setattr(node, 'create_client', lambda *_, **__: SimpleNamespace(
        call_async=cancel), raising=False)
    monkeypatch.setattr(action_clients, 'ActionClient', lambda *_, **__: server)
    monkeypatch.setitem(sys.modules, 'control_msgs.action', SimpleNamespace(
        GripperCommand=type('GripperCommand', (), {'Goal': dict})))
    topic: Any = SimpleNamespace(
        action='control_msgs/action/GripperCommand', topic='arm', trajectory='point',
        goal_change=0.0, entries=[None], stop_of=lambda _: Stop.HOLD)
    return ActionSender(node, topic), server, cancelled  # type: ignore[arg-type]


@pytest.mark.parametrize('fault', ['accepts', 'is_there'])
def test_a_stopped_arm_is_not_sent_back(
        arm: tuple[ActionSender, Server, list[bytes]], fault: str,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that is switched on again moved it from where it was put by hand meanwhile."""
    monkeypatch.setattr(action_sender, '_LASTS', 0.0)
    sender, server, cancelled = arm
    send(sender, 0.5)
    setattr(server, fault, False)
    for state in (State.HOLD, State.HOLD, State.STOPPED, State.STOPPED):
        send(sender, 0.6, state)
    tried = len(server.goals)
    setattr(server, fault, True)
    for _ in range(3):
        send(sender, 0.6, State.STOPPED)
    assert len(server.goals) == tried
    assert sender.fault
    # What it may still be following is cancelled.
    assert len(cancelled) == 1
    # After ~/resume.
    send(sender, 0.6)
    assert len(server.goals) == tried + 1


def test_a_stop_begins_once_there_is_a_server(
        arm: tuple[ActionSender, Server, list[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a hold waits until it tries again, the first goal of a stop does not wait."""
    monkeypatch.setattr(action_sender, '_LASTS', 10.0)
    sender, server, cancelled = arm
    send(sender, 0.5)
    server.is_there = False
    send(sender, 0.6, State.HOLD)
    server.is_there = True
    send(sender, 0.6, State.HOLD)
    assert server.goals == [{'command': 0.5}, {'command': 0.6}]
    assert len({*cancelled}) == 1


def test_a_stop_without_a_server(
        arm: tuple[ActionSender, Server, list[bytes]],
        cell: tuple[ActionSender, Server, Peer]) -> None:
    """Whoever stops the robot hears of it; a gripper keeps its goal, and needs no stop."""
    for (sender, server, _), expected in (arm, True), (cell, False):
        send(sender, 0.5, State.STOPPED)
        assert not sender.is_unreached
        server.is_there = False
        send(sender, 0.5, State.STOPPED)
        assert sender.is_unreached == expected
        server.is_there = True
        send(sender, 0.5, State.STOPPED)
        assert not sender.is_unreached


def test_a_stop_that_takes_a_while_waits_for_no_answer(
        arm: tuple[ActionSender, Server, list[bytes]],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """The arm stopped at once where the first command of a controlled stop had led it."""
    sender, server, _ = arm
    monkeypatch.setattr(
        server, 'send_goal_async', lambda goal, goal_uuid: server.goals.append(goal) or Future())
    for state, number in (
            (State.RUNNING, 0.5), (State.RUNNING, 0.55), (State.HOLD, 0.6), (State.HOLD, 0.65),
            (State.STOPPED, 0.67), (State.STOPPED, 0.67)):
        send(sender, number, state)
    assert server.goals == [{'command': number} for number in (0.5, 0.6, 0.65, 0.67)]


def test_commands_that_were_left_out_take_their_time(
        arm: tuple[ActionSender, Server, list[bytes]],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """While a server was slow, the arm was asked for all of their steps in the time of one."""
    sender, server, _ = arm
    clock, asked = [100.0], []
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])

    def ask(goal: Any, goal_uuid: Any) -> Future:
        server.goals.append(goal)
        asked.append(Future())
        return asked[-1]

    monkeypatch.setattr(server, 'send_goal_async', ask)
    writer: Any = SimpleNamespace(
        write=lambda sent, stamp, ahead, lead: (float(sent[0]), round(lead, 6)))
    for i in range(10):
        clock[0] += 0.02
        if i == 7:
            asked[0].set_result(SimpleNamespace(accepted=True, get_result_async=Future))
        sender.send(writer, SimpleNamespace(  # type: ignore[arg-type]
            sent=np.array([0.1 * i]), state=State.RUNNING, commander=Commanding.POLICY,
            ahead=None, reason=Reason.NONE), 0, np.array([0]))
    # The first command after it has a tick of its own.
    assert server.goals == [{'command': (0.0, 0.0)}, {'command': (0.1 * 7, 0.12)}]
