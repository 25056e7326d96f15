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
"""Node ``episode_manager``: carries out the episodes of a robot, by the state machine."""

from __future__ import annotations

from collections.abc import Callable
import json
import math
import os
import signal
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import Trigger

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS
from dfp_ros.core.description.sources import STATIC_RECEPTION
from dfp_ros.core.text.printable import listed, printable, quoted, TEXT
from dfp_ros.node.messages.source_reader import SourceReader
from dfp_ros.node.ros.endpoints import publisher_names
from dfp_ros.node.ros.node_clock import NodeClock
from dfp_ros.node.ros.qos import CALL_QOS, DECISION_QOS, SENSOR_QOS, source_qos, STATUS_QOS
from dfp_ros.node.ros.trigger_services import TriggerServices
from dfp_ros.resources import load_robot
from dfp_ros.tools.episodes.machine import (
    Effect,
    EpisodeMachine,
    Event,
    Moment,
    NotNowError,
    Phase,
)
from dfp_ros.tools.episodes.manager_claim import ManagerClaim
from dfp_ros.tools.episodes.policy_watch import PolicyWatch, RowReader
from dfp_ros.tools.episodes.robot_time import RobotTime
from dfp_ros.tools.episodes.service_call import (
    Answer,
    how_to_resume,
    PolicyServices,
    ReleasedReset,
    ServiceCall,
)
from dfp_ros.tools.episodes.settings import BOOL, declare
from dfp_ros.tools.episodes.statistics import EpisodeRecord, EpisodeStatistics
from dfp_ros.tools.episodes.success import read_success, SuccessMonitor
from dfp_ros.tools.recording.mark_topic import MarkTopic
from dfp_ros.tools.recording.operator_keys import OperatorKeys

_PERIOD = 0.05  # s
# Longest time in s to the answer of the policy node.
_ANSWER = 3.0
# Longest time in s to its next row, which has what happened before the answer.
_ROW = 0.3
# Longest time in s for which the end of the program waits until the robot is stopped.
_LONGEST_STOP = 4.0
# Longest time in s for which the policy node is being activated.
_LONGEST_ACTIVATION = 10.0
# Seconds between two messages of statistics without a change.
_REPORT = 1.0
_KEYS = {
    's': Event.START, 'y': Event.SUCCESS, 'n': Event.FAILURE, 'a': Event.ABANDON,
    'r': Event.READY}
_HELP = 's: start   y: success   n: failure   a: does not count   r: scene is ready'
_WORDS = {
    Effect.STOP: 'stop', Effect.PREPARE: 'reset', Effect.RELEASE: 'resume'}
_RESULTS = {
    Effect.STOP: (Event.STOPPED, Event.STOP_FAILED),
    Effect.PREPARE: (Event.PREPARED, Event.PREPARE_FAILED),
    Effect.RELEASE: (Event.RELEASED, Event.RELEASE_FAILED),
    Effect.RESET: (Event.RESET_DONE, Event.RESET_FAILED)}
_MARKS = {
    Effect.MARK_START: START, Effect.MARK_SUCCESS: SUCCESS, Effect.MARK_FAILURE: FAILURE}
_HEARD = {START: Event.MARKED_START, SUCCESS: Event.SUCCESS, FAILURE: Event.FAILURE}
_ANSWERS = {
    Event.READY: 'the scene is ready', Event.START: 'an episode starts',
    Event.SUCCESS: 'the episode ends as a success',
    Event.FAILURE: 'the episode ends as a failure',
    Event.ABANDON: 'the episode ends, and does not count'}


class EpisodeManagerNode(Node):
    """
    Node of the episode manager; see the descriptions of its parameters.

    :ivar failed: Whether it could not start, or another manager took its place.
    :ivar end_reason: Why it ends by itself; empty while it does not.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare the parameters; :meth:`autostart` does everything else.

        :raises SettingsError: If a value is invalid.
        """
        super().__init__('episode_manager', **kwargs)
        self._settings = settings = declare(self)
        self.failed = False
        self.end_reason = ''
        self._machine = EpisodeMachine(settings.rules)
        self._statistics = EpisodeStatistics(settings.window)
        self._watch = PolicyWatch(
            self.resolve_service_name(f'{settings.policy_node}/stop').rpartition('/')[0])
        self._node_clock = NodeClock(self)
        self._robot_time = RobotTime(self)
        self._keys: OperatorKeys | None = None
        self._claim: ManagerClaim | None = None
        self._policy: PolicyServices | None = None
        self._reset: Any = None
        self._success: SuccessMonitor | None = None
        self._calls: dict[Effect, ServiceCall | ReleasedReset] = {}
        # Rows of the policy node when it had begun anew, and until when another is awaited.
        self._prepared: tuple[int, float] | None = None
        self._is_open = False
        self._is_advancing = self._is_outranked = False
        self._judged_unsolved = False
        self._told: tuple[Any, ...] = ()
        self._said = ''
        self._reported = -math.inf
        # At the start of the episode.
        self._first_ticks, self._first_held_rows = math.nan, 0
        self._has_warned = False

    def autostart(self) -> bool:
        """
        Claim the policy node, and open topics and services.

        :return: False if that failed; the reason has been logged.
        """
        try:
            self._open()
        except ValueError as error:
            self.get_logger().fatal(f'cannot start: {printable(error, TEXT)}')
            self.failed = True
        return not self.failed

    def stop(self) -> None:
        """Stop the robot, if an episode runs, and wait until it is stopped."""
        self._check_claim()
        if self._is_outranked or not self._is_open:
            return
        was_held = self._watch.is_held or not self._watch.is_present
        self._apply(Event.END, 'the episode manager ended')
        self._withdraw_reset()
        if not was_held and self._wait_until_held():
            self.get_logger().info(
                f'the robot is stopped; {how_to_resume(self, self._settings.policy_node)} lets '
                'the policy continue')

    def suspend(self) -> None:
        """Stop the robot before the process is suspended: it could not end the episode then."""
        if not self._is_open or self._is_outranked or self._settings.follow:
            return
        if self._machine.phase is Phase.RUNNING:
            self._apply(Event.ABANDON, 'the episode manager was suspended')
        if self._watch.is_present and not self._watch.is_held:
            self._wait_until_held()

    def _wait_until_held(self) -> bool:
        """Spin until the robot is stopped; log an error if that is not confirmed."""
        before = self.executor
        executor = SingleThreadedExecutor(context=self.context)
        executor.add_node(self)
        deadline = time.monotonic() + _LONGEST_STOP
        while self._watch.is_present and time.monotonic() < deadline and not (
                self._watch.is_held and not self._calls.keys() & _WORDS.keys()):
            executor.spin_once(_PERIOD)
            self._advance()
        executor.remove_node(self)
        executor.shutdown()
        if before is not None:
            before.add_node(self)
        if not self._watch.is_held:
            self.get_logger().error(
                'the policy node did not confirm that the robot is stopped; check the robot')
        return self._watch.is_held

    def close(self) -> None:
        """Restore the terminal, and destroy the node."""
        if self._keys is not None:
            self._keys.__exit__()
        if self._statistics.episodes:
            self.get_logger().info(self._statistics.sentence())
        self.destroy_node()

    def _open(self) -> None:
        """Open everything, in an order in which a refusal leaves nothing behind."""
        settings = self._settings
        self._open_success()
        if not settings.follow:
            self._policy = PolicyServices(self, settings.policy_node)
            claim = ManagerClaim(self, self._policy.full_name)
            if (other := claim.take()) is not None:
                self.get_logger().fatal(
                    f'{other} runs the episodes of {settings.policy_node} already; end it, or set '
                    'policy_node to another')
                self.failed = True
                return
            self._claim = claim
            reader = RowReader()
            self.create_subscription(
                Float64MultiArray, f'{settings.policy_node}/statistics',
                lambda message: self._watch.hear(reader.read(message), time.monotonic()),
                DECISION_QOS)
            self.create_subscription(
                DiagnosticArray, '/diagnostics', self._hear_diagnostics, 10)
        if settings.reset_service:
            self._reset = self.create_client(
                Trigger, settings.reset_service, qos_profile=CALL_QOS)
        self._marks = MarkTopic(self, self._hear_mark)
        if settings.judge:
            self._open_judge()
        self._state = self.create_publisher(String, '~/state', STATUS_QOS)
        self._report = self.create_publisher(DiagnosticArray, '~/statistics', STATUS_QOS)
        TriggerServices(self, {
            f'~/{event.name.lower()}': self._server(event) for event in _ANSWERS})
        self.create_timer(
            _PERIOD, self._advance, clock=Clock(clock_type=ClockType.STEADY_TIME))
        keys = OperatorKeys() if settings.keyboard else None
        if keys is not None and keys.is_terminal and not settings.follow:
            self._keys = keys.__enter__()
            self.get_logger().info(_HELP)
        self._is_open = True
        self._publish()

    def _open_success(self) -> None:
        """Read the success predicate, and subscribe to the sources that it needs."""
        settings = self._settings
        if not settings.success:
            return
        robot = load_robot(settings.robot)
        success = SuccessMonitor(read_success(settings.success, robot), robot)
        for name, source in success.sources.items():
            reader = SourceReader(source, robot)
            self.create_subscription(
                reader.message_type, source.topic, self._receiver(name, reader.read),
                source_qos(source.qos))
            if source.static_topic:
                self.create_subscription(
                    reader.message_type, source.static_topic,
                    self._receiver(name, reader.read_static), source_qos(STATIC_RECEPTION))
        self._success = success
        self.get_logger().info(f'success: {success.predicate.text}')

    def _receiver(
            self, name: str, read: Callable[[Any, int], Any]) -> Callable[[Any], None]:
        """Make the callback of a source of the success predicate."""
        def receive(message: Any) -> None:
            sample = read(message, self._node_clock.now())
            if sample is not None and self._success is not None:
                self._success.receive(name, sample)
        return receive

    def _open_judge(self) -> None:
        """Subscribe to another program that ends episodes."""
        settings = self._settings
        if settings.judge_type == BOOL:
            self.create_subscription(Bool, settings.judge, self._hear_verdict, SENSOR_QOS)
            return
        self.create_subscription(
            String, settings.judge, self._judge, 10)

    # Input

    def _hear_mark(self, mark: str) -> None:
        """Hear a mark of another node."""
        self._try(_HEARD[mark], f'the mark {mark}', marked=True)

    def _judge(self, message: String) -> None:
        """Hear a judge's mark."""
        mark = message.data
        if mark in (SUCCESS, FAILURE):
            self._try(_HEARD[mark], f'the judge ({self._settings.judge})')
        else:
            self.get_logger().warning(
                f'{self._settings.judge}: found {quoted(mark)}, which is ignored; expected '
                f'{SUCCESS} or {FAILURE}', throttle_duration_sec=5.0)

    def _hear_verdict(self, message: Bool) -> None:
        """Hear whether the task is solved; what was solved before the episode is no success."""
        if self._machine.phase is not Phase.RUNNING:
            return
        judges = publisher_names(self, self.resolve_topic_name(self._settings.judge))
        if len(judges) > 1:
            self.get_logger().warning(
                f'{self._settings.judge}: found {len(judges)} publishers, '
                f'{listed(sorted(judges))}; what they say is ignored, because the one that says '
                'false does not know what the other sees; stop all but one, or have them send '
                'marks (judge_type:=marks)', throttle_duration_sec=5.0)
            return
        if not message.data:
            self._judged_unsolved = True
        elif self._judged_unsolved:
            self._try(Event.SUCCESS, f'the judge ({self._settings.judge})')

    def _hear_diagnostics(self, message: DiagnosticArray) -> None:
        """Hear the policy node's diagnostics, which go on in a simulation that is paused."""
        assert self._policy is not None
        if message.status and message.status[0].name.startswith(f'{self._policy.full_name}: '):
            self._watch.beat(time.monotonic())

    def _server(self, event: Event) -> Callable[[], str]:
        """Make the action of a service."""
        def serve() -> str:
            self._require_claim()
            self._apply(event, f'the service ~/{event.name.lower()}')
            return _ANSWERS[event]
        return serve

    def _try(self, event: Event, reason: str, marked: bool = False) -> None:
        """Apply a request that nobody waits for; a refusal is logged."""
        try:
            self._require_claim()
            self._apply(event, reason, marked)
        except NotNowError as error:
            self.get_logger().info(f'{reason} is ignored: {error}', throttle_duration_sec=1.0)

    def _read_keys(self) -> None:
        """Take keys."""
        # Of an endless input, some: the robot is watched between them.
        for key in self._keys.all_pressed().lower() if self._keys is not None else '':
            if key in _KEYS:
                self._try(_KEYS[key], f'the key {key}')

    # Progress

    def _advance(self) -> None:
        """Carry on: answers of services, the policy node, conditions, time limits, keys."""
        if self._is_advancing or self._is_outranked:
            return
        self._is_advancing = True
        try:
            self._check_claim()
            if self._is_outranked:
                return
            now = time.monotonic()
            if self._policy is not None:
                for event, reason in self._watch.poll(now, self._policy.is_offered):
                    if event is Event.LOST:
                        self._drop_calls()
                    self._apply(event, reason)
                    if event in (Event.LOST, Event.OTHER_STOP):
                        self._withdraw_reset()
            self._take_answers()
            self._go_on()
            self._apply(Event.TICK)
            self._evaluate()
            self._read_keys()
            if now >= self._reported + _REPORT:
                self._publish_statistics()
        finally:
            self._is_advancing = False

    def _check_claim(self) -> None:
        """End, without a command, if another manager has taken this one's place."""
        if self._claim is None or self._is_outranked:
            return
        other = self._claim.check()
        if other is None:
            return
        self._is_outranked = self.failed = True
        self._drop_calls()
        self.get_logger().fatal(
            f'{other} runs the episodes of {self._settings.policy_node}, too, and was there '
            'first; this node ends')
        self.end_reason = 'another was there first'
        os.kill(os.getpid(), signal.SIGINT)

    def _require_claim(self) -> None:
        """
        Require that no other manager has taken this one's place.

        :raises NotNowError: If one has.
        """
        self._check_claim()
        if self._is_outranked:
            raise NotNowError(f'this node ends: {self.end_reason}')

    def _drop_calls(self) -> None:
        """Forget the calls of a policy node that is gone."""
        for effect in _WORDS:
            if effect in self._calls:
                self._calls.pop(effect).drop()

    def _withdraw_reset(self) -> None:
        """Withdraw a reset of the scene that has not begun: nobody waits for its motion now."""
        if Effect.RESET in self._calls:
            self._calls[Effect.RESET].withdraw()

    def _take_answers(self) -> None:
        """Take the answers of services."""
        for effect, call in list(self._calls.items()):
            if self._calls.get(effect) is call and (answer := call.poll()) is not None:
                del self._calls[effect]
                self._take_answer(effect, answer)

    def _go_on(self) -> None:
        """Go on once the policy node has begun anew, and a row shows that nobody stopped it."""
        if self._prepared is None:
            return
        rows, deadline = self._prepared
        if self._watch.rows > rows or time.monotonic() >= deadline:
            self._prepared = None
            self._apply(Event.PREPARED)

    def _take_answer(self, effect: Effect, answer: Answer) -> None:
        """Take an answer."""
        done, failed = _RESULTS[effect]
        if effect is Effect.RESET:
            self._watch.set_released(False)
        elif effect is Effect.STOP:
            self._watch.note_answer(time.monotonic(), answer.has_answered)
            self._watch.set_held(answer.success)
        elif effect is Effect.PREPARE and answer.success:
            # A stop by a person is in the next row.
            self._prepared = self._watch.rows, time.monotonic() + _ROW
            return
        self._apply(done if answer.success else failed, '' if answer.success else answer.message)

    def _evaluate(self) -> None:
        """Evaluate the success predicate."""
        if self._success is None or self._machine.phase is not Phase.RUNNING:
            return
        if self._success.poll(self._node_clock.now(), self._robot_time.now()):
            seconds = self._success.predicate.hold
            self._try(Event.SUCCESS, f'the success predicate held for {seconds:g} s')
        elif self._success.problem:
            self.get_logger().warning(
                'the success predicate cannot be evaluated: '
                f'{printable(self._success.problem, TEXT)}', throttle_duration_sec=5.0)
        elif self._success.holds_from_start and not self._has_warned:
            self._has_warned = True
            self.get_logger().warning(
                'the success predicate holds already at the start of the episode; it counts once '
                'it has failed: was the scene reset?')

    def _apply(self, event: Event, reason: str = '', marked: bool = False) -> None:
        """
        Apply an event, carry out its effects, and publish the state.

        :raises NotNowError: If a request does not fit the state.
        """
        last = self._machine.last
        moment = Moment(time.monotonic(), self._robot_time.now())
        effects = self._machine.handle(event, moment, reason, marked)
        ended = self._machine.last is not last
        if ended:
            self._count()
        for effect in effects:
            self._carry_out(effect)
        self._publish(ended)

    def _carry_out(self, effect: Effect) -> None:
        """Carry out one effect."""
        if effect in _MARKS:
            self._marks.publish(_MARKS[effect])
            return
        if effect is Effect.STOP:
            self._watch.note_stop()
        elif effect is Effect.PREPARE:
            self._prepared = None
        elif effect is Effect.RELEASE:
            self._begin_episode()
        assert self._policy is not None
        call = self._begin_reset() if effect is Effect.RESET else self._policy.call(
            _WORDS[effect], _ANSWER, self._advance)
        if effect in self._calls:
            self._calls.pop(effect).drop()
        self._calls[effect] = call

    def _begin_reset(self) -> ServiceCall | ReleasedReset:
        """Call the service that resets the scene, while the policy node is inactive if set so."""
        settings, policy = self._settings, self._policy
        assert policy is not None

        def reset() -> ServiceCall:
            return ServiceCall(
                self, self._reset, settings.reset_service, settings.reset_timeout,
                wake=self._advance)

        if not settings.release:
            return reset()
        self._watch.set_released(True)
        return ReleasedReset((
            lambda: policy.set_active(False, _ANSWER, self._advance), reset,
            lambda: policy.set_active(True, _LONGEST_ACTIVATION, self._advance)))

    def _begin_episode(self) -> None:
        """Note what is counted in an episode, from its start on."""
        self._watch.set_held(False)
        self._judged_unsolved = self._has_warned = False
        self._first_ticks, self._first_held_rows = self._watch.ticks, self._watch.held_rows
        if self._success is not None:
            self._success.restart()

    # Output

    def _count(self) -> None:
        """Count an episode that ended, and log it in one line."""
        last = self._machine.last
        assert last is not None
        steps = self._watch.ticks - self._first_ticks
        # The node began to count anew during the episode.
        steps = math.nan if steps < 0 else steps
        held = (self._watch.held_rows - self._first_held_rows) * 0.1
        self._statistics.add(EpisodeRecord(last, steps, held))
        steps_text = '' if math.isnan(steps) else f', {steps:.0f} steps'
        held_text = f', held {held:.1f} s' if held else ''
        self.get_logger().info(
            f'episode {last.number}: {last.outcome.value.upper()} after {last.seconds:.1f} s'
            f'{steps_text}{held_text} ({printable(last.reason, 300)}); '
            f'{self._statistics.sentence()}')

    @property
    def _reason(self) -> str:
        """Explanation of the state."""
        machine = self._machine
        if machine.phase is Phase.WAITING and not machine.has_ended and (
                why := self._watch.explain(time.monotonic())):
            return why
        return machine.reason

    def _publish(self, ended: bool = False) -> None:
        """Publish the state, if it has changed."""
        machine = self._machine
        told = (machine.phase, machine.episode, self._reason, machine.needs_person)
        if told == self._told and not ended:
            return
        self._told = told
        self._state.publish(String(data=json.dumps({
            'state': machine.phase.value, 'episode': machine.episode,
            'last': None if machine.last is None else machine.last.outcome.value,
            'needs_person': machine.needs_person,
            'reason': printable(self._reason, 500)})))
        self._publish_statistics()
        said = f'{machine.phase.value}: {self._reason}' if self._reason else machine.phase.value
        if said != self._said:
            self._said = said
            self.get_logger().info(printable(said, TEXT))

    def _publish_statistics(self) -> None:
        """Publish statistics of the episodes."""
        self._reported = time.monotonic()
        machine = self._machine
        is_waiting = machine.phase is Phase.WAITING
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if is_waiting else DiagnosticStatus.OK,
            name=f'{self.get_fully_qualified_name()}: episodes',
            message=printable(
                f'{machine.phase.value}' + (f': {self._reason}' if self._reason else '')
                + f'; {self._statistics.sentence()}', TEXT),
            hardware_id=self._settings.policy_node,
            values=[KeyValue(key=key, value=value) for key, value in {
                'state': machine.phase.value, 'episode': str(machine.episode),
                **self._statistics.values()}.items()])
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._report.publish(array)
