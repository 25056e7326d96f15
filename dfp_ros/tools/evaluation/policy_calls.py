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
"""Calls of the policy node that is counted, and of the service that prepares its scene."""

from __future__ import annotations

from collections.abc import Callable
import time

from dfp_ros.tools.episodes.service_call import PolicyServices, ServiceCall
from dfp_ros.tools.evaluation.policy_reports import PolicyReports
from dfp_ros.tools.evaluation.result import EvaluationError

_ANSWER = 10.0  # s
# Time after which a stop without an answer is called again, in s: a node that has just begun may
# not have heard of the client yet.
_AGAIN = 2.0
# Longest wait for a row of the statistics in s, of which there are ten a second; a simulation that
# is paused has none.
_ROW = 0.3


class Ended(Exception):
    """The operator or a signal ended the evaluation."""


class PolicyCalls:
    """
    Calls services one after the other, and waits for each.

    :param policy: Services of the policy node.
    :param reports: Its reports, which tell own stops from those of others.
    :param spin: Processes messages for a moment.
    :param is_ending: Whether a signal arrived.
    """

    def __init__(
            self, policy: PolicyServices, reports: PolicyReports, spin: Callable[[], object],
            is_ending: Callable[[], bool]) -> None:
        """Call nothing yet."""
        self._policy, self._reports = policy, reports
        self._spin, self._is_ending = spin, is_ending

    def stop(self) -> None:
        """
        Stop the robot; the answer is awaited in any case.

        :raises EvaluationError: If it cannot be stopped.
        """
        watch, deadline = self._reports.watch, time.monotonic() + _ANSWER
        while True:
            watch.note_stop()
            call = self._policy.call('stop', min(_AGAIN, max(0.1, deadline - time.monotonic())))
            while (answer := call.poll()) is None:
                self._spin()
            watch.note_answer(time.monotonic(), answer.has_answered)
            watch.set_held(answer.success)
            if answer.success:
                return
            if answer.has_answered or time.monotonic() >= deadline:
                raise EvaluationError(answer.message)

    def begin_anew(self, check: Callable[[], object]) -> None:
        """
        Reset the policy, and release the robot.

        :param check: Called again and again until it is released; if it raises, the robot has to
            be stopped.
        """
        self.wait(self._policy.call('reset', _ANSWER), check)
        rows, deadline = self._reports.rows, time.monotonic() + _ROW
        # A stop by a person is in the next row.
        while self._reports.rows == rows and time.monotonic() < deadline:
            self._spin()
        check()
        self._reports.watch.set_held(False)
        self.wait(self._policy.call('resume', _ANSWER), check)

    def set_active(self, is_active: bool, check: Callable[[], object]) -> None:
        """
        Activate or deactivate the policy node.

        :param check: Called again and again until then.
        """
        self._reports.watch.set_released(not is_active)
        self.wait(self._policy.set_active(is_active, _ANSWER), check)

    def wait(self, call: ServiceCall, check: Callable[[], object] = lambda: None) -> None:
        """
        Wait for a call that must succeed.

        :param check: Called again and again until then; if it raises, the answer is lost.
        :raises Ended: If a signal ended the wait; the answer is then lost.
        :raises EvaluationError: If the call fails.
        """
        try:
            while (answer := call.poll()) is None:
                self._spin()
                if self._is_ending():
                    raise Ended('interrupted')
                check()
        except BaseException:
            call.drop()
            raise
        if not answer.success:
            raise EvaluationError(answer.message)

    def wait_unless(
            self, call: ServiceCall, check: Callable[[], object],
            is_stopped: Callable[[], bool]) -> bool:
        """
        Wait for a call that moves the robot, and must succeed.

        :param check: As for :meth:`wait`.
        :param is_stopped: Whether another has stopped the robot: the call is not sent any more.
        :return: Whether it was sent.
        """
        def check_both() -> None:
            check()
            if is_stopped():
                call.withdraw()
        try:
            self.wait(call, check_both)
        except EvaluationError:
            if not call.is_withdrawn:
                raise
        return not call.is_withdrawn
