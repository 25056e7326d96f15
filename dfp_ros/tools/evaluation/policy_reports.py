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
"""Reports of the policy node that is counted: its policy, held ticks, and steps of a person."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray, String

from dfp_ros.core.files.bounded_json import read_json
from dfp_ros.core.text.printable import printable
from dfp_ros.node.ros.qos import DECISION_QOS, STATUS_QOS
from dfp_ros.tools.episodes.machine import Event
from dfp_ros.tools.episodes.policy_watch import PolicyWatch, Row, RowReader
from dfp_ros.tools.evaluation.result import policy_of

# Longest wait for the first row in s; an inactive node decides nothing.
_FOUND = 1.5
# Longest wait for the diagnostics after an episode in s; they come once a second.
_REPORT = 5.0


class PolicyReports:
    """
    Receives what a policy node says of itself.

    :param node: Node for the subscriptions.
    :param name: The policy node's name.
    :param full_name: Its full name, which its diagnostics begin with.
    :param say: Prints a line.

    :ivar status: The last readable message on ~/policy; None before the first.
    :ivar watch: Finds out who has stopped or released the robot, and whether the node is new.
    :ivar rows: Number of rows of the statistics so far.
    :ivar held: Number of diagnostics of a held robot since the start of the episode.
    :ivar held_because: Reason in the last of them.
    :ivar is_reported: Whether the last diagnostics are of a robot that is stopped.
    """

    def __init__(
            self, node: Node, name: str, full_name: str, say: Callable[[str], None]) -> None:
        """Subscribe."""
        self.status: dict[str, Any] | None = None
        self.watch = PolicyWatch(name)
        self.rows = 0
        self.held, self.held_because = 0, ''
        self.is_reported = False
        self._say = say
        self._diagnosed = f'{full_name}: '
        # Steps of a person since the node's reset, in the last report; None if nobody can take
        # over. And those before that reset: the robot may reset the node between two episodes.
        self._person_steps: int | None = None
        self._person_steps_before = 0
        self._has_report = self._is_found = False
        reader = RowReader()
        node.create_subscription(String, f'{name}/policy', self._take_status, STATUS_QOS)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics, 10)
        node.create_subscription(
            Float64MultiArray, f'{name}/statistics',
            lambda message: self._take_row(reader.read(message)), DECISION_QOS)

    @property
    def since(self) -> tuple[Any, Any]:
        """Return which policy runs, and since when; another after each swap and restart."""
        status = self.status or {}
        return status.get('sha256'), status.get('since')

    @property
    def person_steps(self) -> int:
        """Return the steps of a person in all reports so far."""
        return self._person_steps_before + (self._person_steps or 0)

    @property
    def has_no_person(self) -> bool:
        """Whether the node has reported, and nobody can take over."""
        return self._has_report and self._person_steps is None

    def begin_watch(self, spin: Callable[[], object]) -> None:
        """
        Watch the node, before its robot is stopped: whoever stops it from then on is another.

        :param spin: Processes messages for a moment, until a row has come.
        """
        begun = time.monotonic()
        while not self.watch.is_present and time.monotonic() < begun + _FOUND:
            spin()
        self.events(True)

    def begin_episode(self) -> None:
        """Count held diagnostics anew."""
        self.held, self.held_because = 0, ''

    def await_stopped(self, spin: Callable[[], bool]) -> bool:
        """
        Wait for diagnostics of the stopped robot; if nobody can take over, there is no need.

        :param spin: Processes messages for a moment; returns whether to go on.
        :return: Whether they have come.
        """
        self.is_reported = False
        deadline = time.monotonic() + _REPORT
        while not (self.is_reported or self.has_no_person):
            if time.monotonic() > deadline or not spin():
                return False
        return True

    def events(self, is_offered: bool) -> list[tuple[Event, str]]:
        """
        Return what has happened to the node since the last call, with the reasons.

        :param is_offered: Whether the node's services are known.
        """
        events = self.watch.poll(time.monotonic(), is_offered)
        if events and not self._is_found:
            # Whoever stopped it before, the evaluation was started since.
            self._is_found, events = True, [each for each in events if each[0] is Event.FOUND]
        return events

    def _take_row(self, row: Row | None) -> None:
        """Watch a row of the statistics."""
        self.rows += 1
        self.watch.hear(row, time.monotonic())

    def _take_status(self, message: String) -> None:
        """Store the policy node's status."""
        try:
            # What the result could not be written with is not read.
            status = read_json(message.data)
            policy_of(status), dict(status['robot']), dict(status['settings'])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._say('a status of the policy node cannot be read; it is ignored')
            return
        self.status = status

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        """Count diagnostics that report a held robot, and note the steps of a person."""
        for status in message.status:
            if not status.name.startswith(self._diagnosed):
                continue
            # They go on in a simulation that is paused.
            self.watch.beat(time.monotonic())
            values = {value.key: value.value for value in status.values}
            if status.name == f'{self._diagnosed}control loop':
                state, self._has_report = values.get('state'), True
                if state in ('hold', 'waiting'):
                    self.held += 1
                    self.held_because = printable(status.message, 300)
                # The first report after a stop may have been sent before it.
                self.is_reported = state in ('stopped', 'inactive')
            # A person who holds the dead-man of a robot that is held keeps the policy from acting.
            steps = values.get('steps_dead_man', '')
            if status.name == f'{self._diagnosed}takeover' and steps.isdecimal():
                found = int(steps[:9])
                if found < (self._person_steps or 0):
                    self._person_steps_before += self._person_steps or 0
                self._person_steps = found
