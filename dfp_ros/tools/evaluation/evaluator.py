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
"""Episodes on a robot with an active policy node, and the count of successes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
import socket
import time
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS
from dfp_ros.node.process.suspension import Suspension
from dfp_ros.node.ros.qos import CALL_QOS
from dfp_ros.tools.episodes.machine import Event
from dfp_ros.tools.episodes.manager_claim import ManagerClaim
from dfp_ros.tools.episodes.service_call import PolicyServices, ServiceCall
from dfp_ros.tools.evaluation.operator_verdicts import OperatorVerdicts, VERDICTS
from dfp_ros.tools.evaluation.plan import Plan
from dfp_ros.tools.evaluation.policy_calls import Ended, PolicyCalls
from dfp_ros.tools.evaluation.policy_reports import PolicyReports
from dfp_ros.tools.evaluation.result import (
    EvaluationError,
    policy_of,
    RobotEpisode,
    RobotEvaluation,
)
from dfp_ros.tools.evaluation.software import software
from dfp_ros.tools.recording.mark_topic import MarkTopic

_POLL = 0.05  # s
_ANSWER = 10.0  # s
_PREPARATION = 600.0  # s, longest one of a scene, such as a robot that puts a part back
_GONE = 3.0  # s
# Longest time from a swap to its report, beside two control periods of at most a second, in s.
_REPORTED = 0.2


class _Abandoned(Exception):
    """The current episode does not count."""


class RobotEvaluator:
    """
    Runner of the episodes.

    The robot is stopped, with the policy node's ``~/stop``, before the first episode, between
    two, and at the end. An episode begins with ``~/reset`` and ``~/resume``. Whoever else stops
    it ends the episode, and only the operator's key, or a ``~/resume``, goes on: a mark may come
    from a program. Whoever else releases it between two episodes, or starts the policy node anew,
    has it stopped again.

    :param node: Node for the services of the policy node and for the marks.
    :param plan: Settings of the episodes.
    :param keys: Returns the next key pressed, or nothing.
    :param is_ending: Whether a signal arrived.
    :param say: Prints a line.
    :param suspension: Requests to suspend the process, for which the robot is stopped first.

    :ivar is_released: Whether the policy node is inactive at present.
    :ivar is_outranked: Whether another program runs the episodes by now.
    """

    def __init__(
            self, node: Node, plan: Plan, keys: Callable[[], str], is_ending: Callable[[], bool],
            say: Callable[[str], None], suspension: Suspension | None = None) -> None:
        """Create clients and subscriptions."""
        self._suspension = suspension or Suspension()
        self._node, self._plan, self._say = node, plan, say
        self._keys, self._is_ending = OperatorVerdicts(keys), is_ending
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._policy = PolicyServices(node, plan.policy_node)
        self._claim = ManagerClaim(node, self._policy.full_name)
        self._scene = node.create_client(
            Trigger, plan.scene, qos_profile=CALL_QOS) if plan.scene else None
        self._marks: deque[str] = deque(maxlen=100)
        self._topic = MarkTopic(node, self._marks.append)
        self._seen = time.monotonic()
        self.is_released = self.is_outranked = False
        self._is_marked = self._is_suspended = self._is_running = False
        self._lost = ''
        self._stopped = (
            'another than this program called ~/stop of the policy node, and the robot stays '
            f'stopped; s, or {self._policy.full_name}/resume: go on   q: quit')
        self._reports = PolicyReports(node, plan.policy_node, self._policy.full_name, say)
        self._calls = PolicyCalls(self._policy, self._reports, self._spin, is_ending)

    def find(self) -> RobotEvaluation:
        """
        Find the policy node, whose robot goes on.

        :raises EvaluationError: If it is not there.
        """
        deadline = time.monotonic() + _ANSWER
        while self._reports.status is None or not self._policy.is_offered:
            if time.monotonic() > deadline:
                raise EvaluationError(
                    f'policy node {self._plan.policy_node!r}: {self._policy.explain_missing()}; '
                    'start it, or name another one with --policy-node')
            self._spin()
            if self._is_ending():
                raise Ended('interrupted')
        status = self._reports.status
        return RobotEvaluation(
            self._plan.episodes, policy_of(status), dict(status['robot']),
            dict(status['settings']), software(), socket.gethostname(), _now(),
            plan=self._plan.of_episodes)

    def begin(self) -> None:
        """Stop the robot; an EvaluationError if another program runs its episodes."""
        if (other := self._claim.take()) is not None:
            raise self._outranked(other)
        self._reports.begin_watch(self._spin)
        self._calls.stop()

    def run(self, evaluation: RobotEvaluation, path: Path) -> None:
        """
        Run episodes until enough of them count; each is written to the file when it ends.

        :param evaluation: Collects the episodes.
        :param path: Its file.
        :raises Ended: If the operator or a signal ends it.
        :raises EvaluationError: If it cannot continue.
        """
        evaluation.write(path)
        while not evaluation.is_complete:
            self._prepare(evaluation)
            try:
                episode = self._episode(evaluation)
            except _Abandoned as reason:
                evaluation.dropped += 1
                self._is_running = False
                self._say(f'this episode does not count: {reason}')
                self._calls.stop()
                continue
            except Exception:
                evaluation.dropped += 1
                raise
            evaluation.episodes.append(episode)
            evaluation.write(path)
            verdict = 'solved' if episode.success else 'NOT solved'
            held = f', held: {episode.held_because}' if episode.held else ''
            which = f'episode {evaluation.counted} of {evaluation.asked}' if (
                not episode.person_steps) else (
                    f'left out, as a person held the dead-man for {episode.person_steps} steps, '
                    'an episode')
            self._say(
                f'{which}: {verdict} after {episode.seconds:.1f} s ({episode.ended_by}{held}); '
                f'{evaluation.solved} solved so far')

    def stop(self) -> bool:
        """Stop the robot at the end; False if the policy node does not answer."""
        try:
            if not self.is_released and not self.is_outranked:
                self._calls.stop()
        except EvaluationError:
            return False
        return True

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()

    def _prepare(self, evaluation: RobotEvaluation) -> None:
        """Have the scene prepared, and wait for the start while the robot is stopped."""
        check = partial(self._check, evaluation)
        if self._scene is not None:
            self._await_permission(evaluation)
        if self._plan.release:
            self._calls.set_active(False, check)
            self.is_released = True
        if self._scene is not None:
            self._marks.clear()
            while self._is_suspended or not self._calls.wait_unless(ServiceCall(
                    self._node, self._scene, self._plan.scene, _PREPARATION, found_within=_ANSWER),
                    check, lambda: self._is_suspended):
                self._await_permission(evaluation)
            settled = time.monotonic() + self._plan.settle
            while time.monotonic() < settled:
                self._poll(evaluation)
            self._await_permission(evaluation)
        else:
            self._say(
                f'episode {evaluation.counted + 1} of {evaluation.asked}: set the scene; '
                's: start   q: quit')
            self._wait_for_start(evaluation)
        if self.is_released:
            # Even without an answer, the node may be active: it is stopped at the end.
            self.is_released = False
            self._calls.set_active(True, check)
            self._await_permission(evaluation)

    def _await_permission(self, evaluation: RobotEvaluation) -> None:
        """Wait until a person goes on, if another has stopped the robot."""
        if self._is_suspended:
            self._say(self._stopped)
            while self._is_suspended:
                if self._poll(evaluation) == 's':
                    self._is_suspended = False

    def _wait_for_start(self, evaluation: RobotEvaluation) -> None:
        """Wait for the operator's key, or for a mark from another node."""
        while True:
            pressed = self._poll(evaluation)
            while self._marks:
                if self._marks.popleft() != START:
                    continue
                if not self._is_suspended:
                    self._is_marked = True
                    return
                self._say(f'a mark start is ignored: {self._stopped}')
            if pressed == 's':
                self._is_marked = self._is_suspended = False
                return

    def _episode(self, evaluation: RobotEvaluation) -> RobotEpisode:
        """Run an episode from its start to its end."""
        if self._scene is not None or not self._is_marked:
            # What came while the scene was prepared is a late verdict on the last episode.
            self._marks.clear()
            self._topic.publish(START)
        self._is_running, self._lost = True, ''
        self._calls.begin_anew(partial(self._check_run, evaluation))
        if self._scene is not None:
            self._keys.forget()  # they are late, as the marks above
        begin, started = time.monotonic(), _now()
        self._reports.begin_episode()
        person, since = self._reports.person_steps, self._reports.since
        self._say('running; y: success   n: failure   a: does not count   q: quit')
        while True:
            pressed = self._poll(evaluation)
            self._check_run(evaluation)
            self._require_same_run(since)
            seconds = time.monotonic() - begin
            if pressed == 'a':
                raise _Abandoned('abandoned by the operator')
            ended = ''
            if pressed in VERDICTS:
                mark, ended = VERDICTS[pressed], 'operator'
            while self._marks and not ended:
                mark = self._marks.popleft()
                if mark == START:
                    # The scene's operator restarted the episode.
                    self._marks.appendleft(START)
                    raise _Abandoned('it was restarted')
                ended = 'mark'
            if not ended and self._plan.seconds and seconds >= self._plan.seconds:
                mark, ended = FAILURE, 'time'
            if ended:
                self._calls.stop()  # first; then publish the mark
                held = self._reports.held, self._reports.held_because
                self._settle(evaluation, since)
                self._is_running = False
                if ended != 'mark':
                    self._topic.publish(mark)
                return RobotEpisode(
                    mark == SUCCESS, round(seconds, 3), started, ended, *held,
                    self._count_person_steps(evaluation) - person)

    def _settle(self, evaluation: RobotEvaluation, since: tuple[Any, Any]) -> None:
        """Hear what happened until the robot was stopped."""
        settled = time.monotonic() + _REPORTED + 2 * min(evaluation.policy.get('period', 0), 1)
        while time.monotonic() < settled:
            self._spin()
            self._check_run(evaluation)
            self._require_same_run(since)

    def _check_run(self, evaluation: RobotEvaluation) -> None:
        """Check as :meth:`_check`, and that the policy node has not begun anew."""
        self._check(evaluation)
        if self._lost and self._policy.is_offered:
            raise _Abandoned(self._lost)

    def _require_same_run(self, since: tuple[Any, Any]) -> None:
        """Require that no other policy has run since the start of the episode."""
        if self._reports.since != since:
            raise _Abandoned(
                'another policy took over and gave way again, or the policy node began anew')

    def _count_person_steps(self, evaluation: RobotEvaluation) -> int:
        """Wait for a report of the stopped robot, and return the steps of a person until then."""
        def spin() -> bool:
            self._spin()
            self._heed_events()
            return not self._is_ending()
        if not self._reports.await_stopped(spin):
            evaluation.remark(
                'an episode ended without a report in /diagnostics, so whether a person took '
                'over in its last second is unknown')
        return self._reports.person_steps

    def _poll(self, evaluation: RobotEvaluation) -> str:
        """
        Process messages and keys for a moment.

        :return: The key pressed, or nothing.
        :raises Ended: If the operator or a signal ends the evaluation.
        :raises EvaluationError: As :meth:`_check`.
        """
        self._spin()
        if self._is_ending():
            raise Ended('interrupted')
        pressed = self._keys.next()
        self._check(evaluation)
        return pressed

    def _check(self, evaluation: RobotEvaluation) -> None:
        """
        Check that the policy node is as it was, and that the robot is held between two episodes.

        :raises EvaluationError: If the policy node is gone, or runs another policy.
        :raises _Abandoned: If another has stopped the robot, or this process, in an episode.
        """
        if was_suspended := self._suspension.is_asked:
            self._suspend()
        if (other := self._claim.check()) is not None:
            raise self._outranked(other)
        now = time.monotonic()
        if self._policy.is_offered:
            self._seen = now
        elif now > self._seen + _GONE:
            raise EvaluationError(
                f'policy node {self._plan.policy_node!r}: it is gone; check the robot, which '
                'receives no commands')
        if (status := self._reports.status) is not None:
            evaluation.require_same(policy_of(status), status['robot'])
            if remark := evaluation.remark_settings(status['settings']):
                self._say(f'{remark}; all episodes still count as one success rate')
        if was_suspended and self._is_running:
            raise _Abandoned('the evaluation was suspended')
        self._heed_events()

    def _suspend(self) -> None:
        """Suspend the process, which could not end the episode: the robot is stopped first."""
        if self._is_running:
            self._calls.stop()
        self._suspension.suspend()
        self._seen = time.monotonic()
        self._reports.watch.beat(self._seen)
        self._say('the process was suspended, and continues')

    def _heed_events(self) -> None:
        """Heed everything that has happened to the policy node or its robot."""
        for event, reason in self._reports.events(self._policy.is_offered):
            self._heed(event, reason)

    def _heed(self, event: Event, reason: str) -> None:
        """Heed one of these."""
        if event is Event.LOST:
            self._lost = reason
        elif event is Event.OTHER_STOP:
            self._is_suspended = True
            if self._is_running:
                raise _Abandoned(reason)
        elif event is Event.OTHER_RELEASE:
            # After an episode, too, while it is still being settled.
            self._is_suspended = False
            self._say('another than this program called ~/resume; the robot is stopped again')
            self._calls.stop()
        elif not self._is_running:
            if self._lost:
                self._say(f'{self._lost}; the robot is stopped again')
            self._lost = ''
            self._calls.stop()

    def _outranked(self, other: object) -> EvaluationError:
        """Make the error of an evaluation beside another program that runs episodes."""
        self.is_outranked = True
        return EvaluationError(
            f'{other} runs the episodes of {self._plan.policy_node!r}; end it first')

    def _spin(self) -> None:
        """Process messages."""
        self._executor.spin_once(_POLL)


def _now() -> str:
    """Return the time in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec='milliseconds')
