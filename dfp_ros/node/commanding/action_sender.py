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
"""Commands as goals of an action, such as those of a trajectory or a gripper controller."""

from __future__ import annotations

from collections import deque
from enum import Enum
from functools import partial
import importlib
import threading
import time
from typing import Any
import uuid

from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from unique_identifier_msgs.msg import UUID

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.description.commands import CHUNK, CommandTopic, MOST_AHEAD, Stop
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.commanding.action_clients import action_clients
from dfp_ros.node.messages.command_writer import CommandWriter

#: Time in s after which a request that is not answered no longer keeps the next one waiting.
PATIENCE = 1.0
#: Most goals that the server has accepted and not ended; one that ends replaced goals has two.
MOST_GOALS = 16
# Most cancellations whose answers are awaited.
_MOST_CANCELS = 4 * MOST_GOALS
# Shortest time in s for which a failure is reported: a hold does not alternate with motion.
_LASTS = 1.0
# Longest time in s between two tries of a hold, and time in s without a failure after which it is
# tried as often as at first.
_LONGEST, _CALM = 16.0, 5.0
_FIELDS = {
    'control_msgs/action/FollowJointTrajectory': 'trajectory',
    'control_msgs/action/GripperCommand': 'command'}
_NOT_THERE = (
    CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID, CancelGoal.Response.ERROR_GOAL_TERMINATED)
_ENDS = {
    GoalStatus.STATUS_ABORTED: 'aborted', GoalStatus.STATUS_CANCELED: 'cancelled by another node'}


class _Urgency(Enum):
    """Whose command does not wait."""

    NONE, PERSON, STOP = range(3)


class ActionSender:
    """
    Sends each command as a goal, which replaces the one before.

    There is one unanswered request at a time, so goals come as fast as the server accepts them,
    and a command that comes meanwhile is left out; only the commands of a stop, until the robot is
    at rest, and the first one of a person do not wait. The first of either also has the goals
    before it cancelled. A goal is sent only if there is a plan, or a number has changed by more
    than ``goal_change`` since the last. Outputs that keep their last command at a stop, such as a
    gripper's, keep their goal, too.

    A goal that the server accepts late, when the robot is stopped already, is cancelled: nobody
    expects motion then. One that it had accepted before is kept or cancelled as above.

    A hold tries its goal again if it fails, half as often after each one that was aborted,
    cancelled by others or not answered: the robot may push against something. A robot that an
    operator has stopped is not moved for that, nor when its server is back or accepts goals again:
    somebody may have cancelled the goal, or moved the robot by hand meanwhile.

    Every method may be called in any thread.

    :param node: The node.
    :param topic: The description of the command, with the name of the action.
    :raises DescriptionError: If the action's package is not installed.
    """

    def __init__(self, node: Node, topic: CommandTopic) -> None:
        """Create the client."""
        package, _, name = topic.action.split('/')
        try:
            kind = getattr(importlib.import_module(f'{package}.action'), name)
        except ImportError as error:
            raise DescriptionError(
                f'{topic.where}: found the action {topic.action}, which needs the package '
                f'{package}; install it (sudo apt install ros-$ROS_DISTRO-'
                f'{package.replace("_", "-")})') from error
        self._goal_type = kind.Goal
        self._field = _FIELDS[topic.action]
        self._change = topic.goal_change
        self._has_plans = topic.trajectory == CHUNK
        self._keeps = all(topic.stop_of(entry) is Stop.KEEP for entry in topic.entries)
        # A client's name is not remapped with the action's: goals would go to the robot of which
        # the user said that it is not to be commanded.
        self.topic_name = node.resolve_topic_name(topic.topic)
        self._client, self._canceller = action_clients(node, kind, self.topic_name)
        self._lock = threading.RLock()
        self._is_position = not self._has_plans and all(
            topic.stop_of(entry) is Stop.HOLD for entry in topic.entries)
        self._sent: NDArray[np.float64] | None = None
        # The last goal, and the time since which commands that differ from it were left out.
        self._goal: NDArray[np.float64] | None = None
        self._behind: float | None = None
        # Whether the next command that moves the robot is sent in any case.
        self._begins_anew = False
        self._urgency = _Urgency.NONE
        # Whether there was no server for the last command.
        self._is_absent = False
        # Whether the newest goal was accepted, and has ended without success.
        self._has_ended = False
        self._asked: tuple[bytes, float] | None = None
        # Goals that the server has accepted and not ended, the oldest first.
        self._active: deque[bytes] = deque()
        self._newest = b''
        # When the newest goal was requested, and whether nothing is to move any more.
        self._requested, self._is_over = 0.0, False
        self._cancels: deque[Any] = deque()
        self._failure, self._failed = '', 0.0
        # Time in s to the next try of a hold, and failures in a row.
        self._wait, self._failures = _LASTS, 0

    @property
    def fault(self) -> str:
        """Why the robot does not follow the commands; empty if it does, as far as is known."""
        with self._lock:
            return self._failure

    @property
    def is_unreached(self) -> bool:
        """Whether there was no server for the last command; an output that is kept needs none."""
        with self._lock:
            return self._is_absent and not self._keeps

    def get_subscription_count(self) -> int:
        """Return 1 if there is a server, else 0."""
        return int(self._client.server_is_ready())

    def send(
            self, writer: CommandWriter, decision: Decision, stamp: int,
            part: NDArray[np.intp]) -> None:
        """
        Send a command as a goal, or leave it out.

        :param writer: Writes it.
        :param decision: The decision, with a command.
        :param stamp: Stamp of the command in ns.
        :param part: Indices of the numbers of the command that are for this action.
        """
        assert decision.sent is not None, 'it has a command'
        urgency = _Urgency.NONE if self._keeps else _urgency_of(decision)
        with self._lock:
            begins = urgency is not _Urgency.NONE and urgency is not self._urgency
            self._is_over = _is_final(decision)
            self._begins_anew |= self._is_over
            if self._begins_anew and decision.state is State.RUNNING:
                self._begins_anew, self._sent = False, None
            numbers = decision.sent[part]
            lead = self._find_lead(numbers)
            was_absent, self._is_absent = self._is_absent, not self._client.server_is_ready()
            if self._is_absent:
                # Also if there is nothing to send: a gripper that has its goal may need another.
                self._fail(f'there is no server of the action {self.topic_name}')
                return
            # A stop that could not be sent begins once there is a server.
            self._urgency = urgency
            if self._is_over and (was_absent or not begins and (
                    self._keeps or self._has_ended or self._failure)):
                if begins:
                    self._newest, self._sent = b'', None
                    self._cancel(list(self._active))
                return
            if not begins and not self._is_due(
                    numbers, self._has_plans and decision.ahead is not None):
                return
            if begins:
                self._cancel(list(self._active))
            elif len(self._active) >= MOST_GOALS:
                self._fail(
                    f'the server of {self.topic_name} has {len(self._active)} goals that it '
                    'neither ends nor replaces')
                self._cancel(list(self._active))
                return
            self._ask(self._goal_type(**{self._field: writer.write(
                decision.sent, stamp, decision.ahead, lead)}), numbers)
            self._goal, self._behind = numbers.copy(), None

    def _find_lead(self, numbers: NDArray[np.float64]) -> float:
        """
        Find how much time in s a goal of this command has beside a tick.

        Commands that were left out were steps of their own, each of which the limits allow in a
        tick: their sum takes as long as all of them. A plan goes on meanwhile.
        """
        if self._goal is None or not self._is_position or not (
                np.abs(numbers - self._goal) > self._change).any():
            self._behind = None
            return 0.0
        now = time.monotonic()
        if self._behind is None:
            self._behind = now
        return min(now - self._behind, MOST_AHEAD)

    def begin_episode(self) -> None:
        """
        Send the next command in any case, after an activation or a reset, as after ``~/resume``.

        Another node, or somebody by hand, may have moved the robot since the last goal. A hold
        moves it no further.
        """
        with self._lock:
            self._begins_anew = True

    def close(self) -> None:
        """Let nothing move that the server accepts from now on."""
        with self._lock:
            self._is_over = True

    def forget_failure(self) -> None:
        """
        Forget a failure, once it has lasted for a moment, because there is no command.

        A hold tries the last command again. After a reset, or an activation, there is none, and a
        failure that nothing can disprove would hold the robot for ever: the policy's next command
        is the try.
        """
        with self._lock:
            if self._failure and time.monotonic() - self._failed >= _LASTS:
                self._failure = ''

    def _is_due(self, numbers: NDArray[np.float64], has_plan: bool) -> bool:
        """Tell whether a command needs a goal of its own, and may be sent now."""
        now = time.monotonic()
        has_changed = self._sent is not None and bool(
            (np.abs(numbers - self._sent) > self._change).any())
        if self._asked is not None:
            if now - self._asked[1] < PATIENCE:
                # A robot that is slowed down would stop at the first goal: where the thread that
                # takes answers is blocked, or slows it down itself, none comes meanwhile.
                return self._urgency is _Urgency.STOP and has_changed
            self._asked = None
            self._fail(f'the server of {self.topic_name} does not answer', slows=True)
        if self._failure:
            return now - self._failed >= (
                self._wait if self._urgency is _Urgency.STOP else _LASTS)
        return self._sent is None or has_plan or has_changed

    def _ask(self, goal: Any, numbers: NDArray[np.float64]) -> None:
        """Request a goal."""
        identity = uuid.uuid4().bytes
        self._sent = numbers.copy()
        self._requested = time.monotonic()
        self._asked = identity, self._requested
        self._newest, self._has_ended = identity, False
        future = self._client.send_goal_async(
            goal, goal_uuid=UUID(uuid=np.frombuffer(identity, np.uint8)))
        future.add_done_callback(lambda done: self._answered(identity, done))

    def _answered(self, identity: bytes, done: Any) -> None:
        """Note whether the server has accepted a goal."""
        with self._lock:
            if self._asked is not None and self._asked[0] == identity:
                self._asked = None
            error = done.exception()
            if error is not None or not done.result().accepted:
                if identity == self._newest:
                    self._fail(f'the server of {self.topic_name} has refused a goal')
                return
            # Whether or not the server has replaced them itself.
            self._cancel(list(self._active) if identity == self._newest else [identity])
            self._active.append(identity)
            if self._keeps and self._is_over and identity == self._newest and (
                    time.monotonic() - self._requested > PATIENCE):
                # After ~/resume it is requested again.
                self._newest, self._sent = b'', None
                self._cancel([identity])
            is_old = time.monotonic() - self._failed >= _LASTS
            if identity == self._newest and is_old:
                self._failure = ''
            done.result().get_result_async().add_done_callback(
                lambda ended: self._ended(identity, ended))

    def _ended(self, identity: bytes, done: Any) -> None:
        """Note how a goal has ended."""
        with self._lock:
            if identity in self._active:
                self._active.remove(identity)
            if done.exception() is not None or identity != self._newest:
                # It was replaced.
                return
            found = done.result()
            if found.status in _ENDS and not getattr(found.result, 'stalled', False):
                self._has_ended = True
                text = getattr(found.result, 'error_string', '')
                code = getattr(found.result, 'error_code', 0)
                self._fail(
                    f'the goal of {self.topic_name} was {_ENDS[found.status]}'
                    + (f' (error {code})' if code else '') + (f': {text}' if text else ''),
                    slows=True)

    def _fail(self, text: str, slows: bool = False) -> None:
        """
        Note a failure, until a later goal is accepted.

        :param text: What happened.
        :param slows: Whether the next try comes later than the one before.
        """
        now = time.monotonic()
        if now - self._failed > self._wait + _CALM:
            self._wait, self._failures = _LASTS, 0
        if slows:
            self._wait = min(_LASTS * 2**self._failures, _LONGEST)
            self._failures = min(self._failures + 1, 1000)
            if self._failures > 1:
                text += (
                    f'; {self._failures} times in a row, so a hold tries it again after '
                    f'{self._wait:g} s')
        self._failure, self._failed = text, now
        self._sent = None

    def _cancel(self, goals: list[bytes]) -> None:
        """Ask the server to cancel goals of this node; nothing waits for its answer."""
        for identity in goals:
            request = CancelGoal.Request()
            request.goal_info.goal_id.uuid = np.frombuffer(identity, np.uint8)
            answer = self._canceller.call_async(request)
            answer.add_done_callback(partial(self._cancelled, identity))
            self._cancels.append(answer)
        while len(self._cancels) > _MOST_CANCELS:
            # A server that never answers must not fill the memory with what it was asked.
            self._canceller.remove_pending_request(self._cancels.popleft())

    def _cancelled(self, identity: bytes, done: Any) -> None:
        """Forget a goal that the server does not have: one that was restarted ends none."""
        with self._lock:
            if done.exception() is None and done.result() is not None and (
                    done.result().return_code in _NOT_THERE) and identity in self._active:
                self._active.remove(identity)


def _urgency_of(decision: Decision) -> _Urgency:
    """Tell whose command a decision is."""
    if decision.state is not State.RUNNING:
        return _Urgency.STOP
    return _Urgency.PERSON if decision.commander is Commanding.PERSON else _Urgency.NONE


def _is_final(decision: Decision) -> bool:
    """Tell whether nothing is to move any more: by an operator's stop, or before silence."""
    return decision.state is State.STOPPED or (
        decision.state is State.HOLD and decision.reason is Reason.NONE)


def status_topic(name: str) -> str:
    """
    Return the topic that the server of an action publishes.

    :param name: Name of the action.
    """
    return f'{name}/_action/status'
