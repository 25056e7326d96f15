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
from dataclasses import dataclass
from datetime import datetime, timezone
import json
from pathlib import Path
import socket
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dfp_ros.core.control.episode_marks import FAILURE, MARKS, START, SUCCESS, TOPIC
from dfp_ros.core.text.printable import listed, printable
from dfp_ros.node.ros.qos import STATUS_QOS
from dfp_ros.tools.evaluation.result import EvaluationError, RobotEpisode, RobotEvaluation
from dfp_ros.tools.evaluation.software import software

_POLL = 0.05  # s
_ANSWER = 10.0  # s
# Longest preparation of a scene in s, such as a robot that puts a part back.
_PREPARATION = 600.0
_ECHO = 2.0  # s
_GONE = 3.0  # s
_KEYS = {'y': SUCCESS, 'n': FAILURE}


class Ended(Exception):
    """The operator or a signal ended the evaluation."""


class _Abandoned(Exception):
    """The current episode does not count."""


@dataclass(frozen=True)
class Plan:
    """
    Settings of the episodes.

    :param episodes: Number of episodes that count.
    :param seconds: Time limit of an episode, after which it is a failure; 0 for none.
    :param scene: A service (std_srvs/Trigger) that prepares the next episode; empty for none.
    :param settle: Seconds from the answer of ``scene`` to the start.
    :param release: Whether to deactivate the policy node between episodes, for others to command.
    :param policy_node: The policy node's name.
    """

    episodes: int
    seconds: float
    scene: str
    settle: float
    release: bool
    policy_node: str

    @property
    def of_episodes(self) -> dict[str, Any]:
        """Options on which success may depend, for the result."""
        return {
            'seconds': self.seconds, 'scene': self.scene, 'settle': self.settle,
            'release': self.release}


class RobotEvaluator:
    """
    Runner of the episodes.

    The robot is stopped, with the policy node's ``~/stop``, before the first episode, between
    two, and at the end. An episode begins with ``~/reset`` and ``~/resume``.

    :param node: Node for the services of the policy node and for the marks.
    :param plan: Settings of the episodes.
    :param keys: Returns the next key pressed, or nothing.
    :param is_ending: Whether a signal arrived.
    :param say: Prints a line.

    :ivar is_released: Whether the policy node is inactive at present.
    """

    def __init__(
            self, node: Node, plan: Plan, keys: Callable[[], str], is_ending: Callable[[], bool],
            say: Callable[[str], None]) -> None:
        """Create clients and subscriptions."""
        self._node, self._plan, self._say = node, plan, say
        self._keys, self._is_ending = keys, is_ending
        name = plan.policy_node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._triggers = {
            word: node.create_client(Trigger, f'{name}/{word}')
            for word in ('stop', 'reset', 'resume')}
        self._change = node.create_client(ChangeState, f'{name}/change_state')
        self._scene = node.create_client(Trigger, plan.scene) if plan.scene else None
        self._publisher = node.create_publisher(String, TOPIC, 10)
        self._marks: deque[str] = deque(maxlen=100)
        self._status: dict[str, Any] | None = None
        self._seen = time.monotonic()
        self._held, self._held_because = 0, ''
        self._is_marked = False
        self.is_released = False
        node.create_subscription(String, TOPIC, self._take_mark, 100)
        node.create_subscription(String, f'{name}/policy', self._take_status, STATUS_QOS)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._take_diagnostics, 10)
        self._diagnosed = f'{node.resolve_service_name(f"{name}/stop").rpartition("/")[0]}: '

    def begin(self) -> RobotEvaluation:
        """
        Find the policy node, and stop the robot.

        :raises EvaluationError: If it is not there.
        """
        stop = self._triggers['stop']
        deadline = time.monotonic() + _ANSWER
        while self._status is None or not stop.service_is_ready():
            if time.monotonic() > deadline:
                raise EvaluationError(
                    f'policy node {self._plan.policy_node!r}: not found; start it, or name '
                    'another one with --policy-node')
            self._spin()
            if self._is_ending():
                raise Ended('interrupted')
        self._call('stop')
        status = self._status
        return RobotEvaluation(
            self._plan.episodes, policy_of(status), dict(status['robot']),
            dict(status['settings']), software(), socket.gethostname(), _now(),
            plan=self._plan.of_episodes)

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
                self._call('stop')
                evaluation.dropped += 1
                self._say(f'this episode does not count: {reason}')
                continue
            except Exception:
                evaluation.dropped += 1
                raise
            evaluation.episodes.append(episode)
            evaluation.write(path)
            verdict = 'solved' if episode.success else 'NOT solved'
            held = f', held: {episode.held_because}' if episode.held else ''
            self._say(
                f'episode {len(evaluation.episodes)} of {evaluation.asked}: {verdict} after '
                f'{episode.seconds:.1f} s ({episode.ended_by}{held}); '
                f'{evaluation.solved} solved so far')

    def stop(self) -> bool:
        """Stop the robot at the end; False if the policy node does not answer."""
        try:
            if not self.is_released:
                self._call('stop')
        except EvaluationError:
            return False
        return True

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()

    def _prepare(self, evaluation: RobotEvaluation) -> None:
        """Have the scene prepared, and wait for the start while the robot is stopped."""
        if self._plan.release:
            self._transition(Transition.TRANSITION_DEACTIVATE)
            self.is_released = True
        if self._scene is not None:
            self._marks.clear()
            self._trigger(self._scene, self._plan.scene, _PREPARATION)
            settled = time.monotonic() + self._plan.settle
            while time.monotonic() < settled:
                self._poll(evaluation)
        else:
            self._say(
                f'episode {len(evaluation.episodes) + 1} of {evaluation.asked}: set the scene; '
                's: start   q: quit')
            self._wait_for_start(evaluation)
        if self.is_released:
            # Even without an answer, the node may be active: it is stopped at the end.
            self.is_released = False
            self._transition(Transition.TRANSITION_ACTIVATE)

    def _wait_for_start(self, evaluation: RobotEvaluation) -> None:
        """Wait for the operator's key, or for a mark from another node."""
        while True:
            pressed = self._poll(evaluation)
            while self._marks:
                if self._marks.popleft() == START:
                    self._is_marked = True
                    return
            if pressed == 's':
                self._is_marked = False
                return

    def _episode(self, evaluation: RobotEvaluation) -> RobotEpisode:
        """Run an episode from its start to its end."""
        if self._scene is not None or not self._is_marked:
            self._mark(START)
        self._call('reset')
        self._call('resume')
        begin, started = time.monotonic(), _now()
        self._held, self._held_because = 0, ''
        self._say('running; y: success   n: failure   a: does not count   q: quit')
        while True:
            pressed = self._poll(evaluation)
            seconds = time.monotonic() - begin
            if pressed == 'a':
                raise _Abandoned('abandoned by the operator')
            ended = ''
            if pressed in _KEYS:
                mark, ended = _KEYS[pressed], 'operator'
            while self._marks and not ended:
                mark = self._marks.popleft()
                if mark == START:
                    # The scene's operator restarted the episode, so it starts again here.
                    self._marks.appendleft(START)
                    raise _Abandoned('it was restarted')
                ended = 'mark'
            if not ended and self._plan.seconds and seconds >= self._plan.seconds:
                mark, ended = FAILURE, 'time'
            if ended:
                # Stop the robot first; then publish the mark.
                self._call('stop')
                if ended != 'mark':
                    self._mark(mark)
                return RobotEpisode(
                    mark == SUCCESS, round(seconds, 3), started, ended, self._held,
                    self._held_because)

    def _poll(self, evaluation: RobotEvaluation) -> str:
        """
        Process messages and keys for a moment.

        :return: The key pressed, or nothing.
        :raises Ended: If the operator or a signal ends the evaluation.
        :raises EvaluationError: If the policy node is gone, or runs another policy.
        """
        self._spin()
        if self._is_ending():
            raise Ended('interrupted')
        pressed = self._keys().lower()
        if pressed == 'q':
            raise Ended('ended by the operator')
        now = time.monotonic()
        if self._triggers['stop'].service_is_ready():
            self._seen = now
        elif now > self._seen + _GONE:
            raise EvaluationError(
                f'policy node {self._plan.policy_node!r}: it is gone; check the robot, which '
                'receives no commands')
        status = self._status or {}
        evaluation.require_same(policy_of(status), status['robot'])
        changed = sorted(
            key for key, value in status['settings'].items()
            if key != 'noise_seed' and evaluation.settings.get(key) != value)
        if changed:
            evaluation.remark(
                f'parameters changed during the evaluation: {printable(", ".join(changed), 300)}')
        return pressed

    def _mark(self, mark: str) -> None:
        """Publish a mark, and recognise it when it comes back."""
        self._publisher.publish(String(data=mark))
        deadline = time.monotonic() + _ECHO
        while mark not in self._marks and time.monotonic() < deadline:
            self._spin()
        if mark in self._marks:
            self._marks.remove(mark)

    def _call(self, word: str) -> None:
        """Call one of the policy node's services; only a stop is awaited in any case."""
        self._trigger(
            self._triggers[word], f'{self._plan.policy_node}/{word}', may_end=word != 'stop')

    def _trigger(
            self, client: Any, name: str, longest: float = _ANSWER, may_end: bool = True) -> None:
        """Call a service that must succeed."""
        answer = self._answer(client, Trigger.Request(), name, longest, may_end)
        if not answer.success:
            raise EvaluationError(f'service {name}: refused: {printable(answer.message, 500)}')

    def _transition(self, number: int) -> None:
        """Request a lifecycle transition of the policy node."""
        name = f'{self._plan.policy_node}/change_state'
        answer = self._answer(
            self._change, ChangeState.Request(transition=Transition(id=number)), name)
        if not answer.success:
            raise EvaluationError(f'service {name}: refused; the log of that node says why')

    def _answer(
            self, client: Any, request: Any, name: str, longest: float = _ANSWER,
            may_end: bool = True) -> Any:
        """
        Call a service, and wait for its answer.

        :param longest: Timeout of the answer in s.
        :param may_end: Whether a signal ends the wait; the node's answer is then lost.
        :raises Ended: If one did.
        """
        def wait() -> None:
            self._spin()
            if may_end and self._is_ending():
                raise Ended('interrupted')

        deadline = time.monotonic() + _ANSWER
        while not client.service_is_ready():
            if time.monotonic() > deadline:
                raise EvaluationError(f'service {name}: {self._why_not(client, name)}')
            wait()
        future = client.call_async(request)
        deadline = time.monotonic() + longest
        gone = time.monotonic() + _GONE
        try:
            while not future.done():
                now = time.monotonic()
                if client.service_is_ready():
                    gone = now + _GONE
                if now > deadline:
                    raise EvaluationError(f'service {name}: no answer within {longest:g} s')
                if now > gone:
                    raise EvaluationError(f'service {name}: its node ended before it answered')
                wait()
        finally:
            if not future.done():
                client.remove_pending_request(future)
        return future.result()

    def _why_not(self, client: Any, name: str) -> str:
        """Explain why a service cannot be called."""
        full = self._node.resolve_service_name(name)
        wanted = f'{client.srv_type.__module__.split(".")[0]}/srv/{client.srv_type.__name__}'
        for other, kinds in self._node.get_service_names_and_types():
            if other == full and (others := [kind for kind in kinds if kind != wanted]):
                return f'found the type {listed(others)}, expected {wanted}'
        return f'not found as {full}; start the node that offers it'

    def _spin(self) -> None:
        """Process messages."""
        self._executor.spin_once(_POLL)

    def _take_mark(self, message: String) -> None:
        """Store a mark."""
        if message.data in MARKS:
            self._marks.append(message.data)

    def _take_status(self, message: String) -> None:
        """Store the policy node's status."""
        try:
            status = json.loads(message.data)
            policy_of(status), dict(status['robot']), dict(status['settings'])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._say('a status of the policy node cannot be read; it is ignored')
            return
        self._status = status

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        """Count diagnostics that report a held robot."""
        for status in message.status:
            if status.name == f'{self._diagnosed}control loop' and any(
                    value.key == 'state' and value.value in ('hold', 'waiting')
                    for value in status.values):
                self._held += 1
                self._held_because = printable(status.message, 300)


def policy_of(status: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a status that identifies a policy."""
    spec = status['spec']
    return {
        'name': status['name'], 'path': status['path'], 'sha256': status['sha256'],
        'environment': spec['environment'], 'period': spec['period'],
        'commit': dict(spec['provenance']).get('commit')}


def _now() -> str:
    """Return the time in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec='milliseconds')
