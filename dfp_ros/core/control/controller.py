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
"""Controller: one control step from samples to a decision, a pure function of its inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
import math

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.operator_stop import OperatorStop
from dfp_ros.core.control.step_record import StepRecord
from dfp_ros.core.description.robot import require_fit, RobotDescription
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.freshness import FreshnessMonitor
from dfp_ros.core.observation.sample import NotFiniteError, NotReadyError, ObservationError, Sample
from dfp_ros.core.observation.value_monitor import ValueMonitor
from dfp_ros.core.pictures.picture import find_pictures
from dfp_ros.core.planning.background_planner import BackgroundPlanner, PendingError
from dfp_ros.core.planning.planner import Planned, Planner
from dfp_ros.core.policy.interface import LateError, PolicyError
from dfp_ros.core.safety.limit_findings import explain_limits
from dfp_ros.core.safety.monitors import Monitors
from dfp_ros.core.safety.reasons import Finding, finding, Reason, Response, strongest
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.core.takeover.person import Grip, Person
from dfp_ros.core.text.numbers import all_shown
from dfp_ros.spec import PolicySpec, require_same_fields

_BY_PERSON = finding(Reason.PERSON, 'a person commands')
# A person has none, and so none outside of its range.
_NO_ACTION = np.zeros(1, np.float32)


class Controller:
    """
    Computes every command.

    Everything that its state does not determine is an argument, so that the same calls give the
    same decisions, bit for bit.

    :param robot: Description of the robot.
    :param spec: The policy's specification.
    :param planner: Plans with that policy.
    :param limiter: Limits its commands.
    :param settings: Limits and responses of the runtime monitors.
    :param tick: Time between two ticks in ns; the policy's control period by default.
    :param measure: Reads the position feedback from fresh samples, shape (act_dim,), NaN if
        unknown; None if no command needs it.
    :param ahead: Whether the commands after the next are computed.
    :param person: Reads the commands of a person who takes over; None if nobody can.
    :param ages: Measures how old the position feedback is, at a time in ns, in s, act_dim numbers;
        None for a tick at most.
    :raises SpecMismatch: If policy and robot do not fit.

    :ivar planner: Plans with the policy.
    :ivar limiter: Limits the commands.
    :ivar operator: The operator's stop.
    :ivar counts: Steps since the reset by reason, kept across a policy swap.
    :ivar dead_man_steps: Steps since the reset in which a person held the dead-man, whether or not
        the person commanded; those during the operator's stop do not count.
    """

    def __init__(
            self, robot: RobotDescription, spec: PolicySpec, planner: Planner,
            limiter: CommandLimiter, settings: SafetySettings | None = None,
            tick: int | None = None,
            measure: Callable[[Mapping[str, Sample]], NDArray[np.float64]] | None = None,
            ahead: bool = False, person: Person | None = None,
            ages: Callable[[Mapping[str, Sample], int], Sequence[float]] | None = None) -> None:
        """Check that policy and robot fit, and wait for the first observation."""
        require_fit(spec, robot)
        settings = SafetySettings() if settings is None else settings
        self._robot = robot
        self._spec = spec
        self.planner = planner
        # The same planner, if its inference runs beside the loop.
        self._beside = planner if isinstance(planner, BackgroundPlanner) else None
        self.limiter = limiter
        self.operator = OperatorStop()
        self._settings = settings
        self._measure = measure
        self._find_ages = ages
        self._period = round(spec.period * 1e9)
        self._wants_ahead = ahead
        self._scale = ActionScale.of_policy(spec)
        self._builder = ObservationBuilder(robot.observation)
        takeover = None if person is None else robot.takeover
        needed, others = list(robot.sources.values()), []
        if takeover is not None:
            needed = [source for source in needed if source.name in takeover.needs]
            others = [source for source in robot.sources.values() if source not in needed]
        self._watch = FreshnessMonitor(needed, settings.clock_skew, tick or self._period)
        # Sources that only the policy needs.
        self._others = FreshnessMonitor(others, settings.clock_skew, tick or self._period)
        self._person = person
        self._has_person = False
        self._values = ValueMonitor(robot, tick or self._period)
        self._monitors = Monitors(settings, spec, tick or self._period)
        self._last_step: int | None = None
        self._has_commanded = False
        # Inference time of the last step, which is recorded although the step fails.
        self._inference: float | None = None
        self._noted: dict[Reason, Finding] = {}
        self.counts: Counter[Reason] = Counter()
        self.dead_man_steps = 0

    @property
    def sources(self) -> frozenset[str]:
        """Return the sources without which there is no observation."""
        return frozenset(self._robot.sources)

    @property
    def outside(self) -> dict[str, int]:
        """Return, by name, in how many steps since the reset numbers were outside the range."""
        return self._monitors.envelope.outside

    def note(self, reason: Reason, text: str) -> None:
        """
        Set a finding of the ROS graph, until it is set again.

        A reset does not clear it.

        :param reason: One of :data:`dfp_ros.core.safety.reasons.FROM_GRAPH`.
        :param text: Description of the finding; empty to clear it.
        """
        self._noted.pop(reason, None)
        if text:
            self._noted[reason] = finding(
                reason, text, getattr(self._settings, str(reason.name).lower()))

    def halt(self) -> NDArray[np.float64] | None:
        """
        Stop with a single command, the last one before silence, and discard the plan.

        :return: The command, shape (act_dim,), None if there is none.
        """
        self.planner.drop()
        # Histories of the observation would be from before the silence.
        self._builder.reset()
        self._let_go()
        return self.limiter.halt()

    def reset(self, seed: int) -> None:
        """
        Restart, as at the start of an episode: nothing is commanded before the first observation.

        The robot has to stand still: otherwise send the command of :meth:`halt` first. The
        operator's stop stays in force.

        :param seed: Seed of the noise.
        """
        self.planner.restart(seed)
        self._builder.reset()
        self.limiter.reset()
        self._watch.reset()
        self._others.reset()
        self._values.reset()
        self._monitors.reset()
        if self._person is not None:
            self._person.reset()
        self._has_person = False
        self._last_step = None
        self._has_commanded = False
        self.counts.clear()
        self.dead_man_steps = 0

    def transfer_from(self, other: Controller) -> None:
        """
        Continue from the state of another controller of the same robot, with a new chunk.

        :param other: The controller so far; it must not be used any more.
        :raises SpecMismatch: If the layouts of their actions or observations differ.
        """
        require_same_fields(self._spec, other._spec)
        self._last_step = other._last_step
        self._has_commanded = other._has_commanded
        self.operator.why = other.operator.why
        for reason, noted in other._noted.items():
            self.note(reason, noted.text)
        self.counts.update(other.counts)
        self.dead_man_steps += other.dead_man_steps
        self._monitors.transfer_from(other._monitors)
        self._builder = other._builder
        other._values.tick = self._values.tick
        self._values = other._values
        self.limiter.transfer_from(other.limiter)
        if self._person is not None and other._person is not None:
            self._person.transfer_from(other._person)
            self._has_person = other._has_person
        self.planner.drop()
        if self._spec == other._spec:
            # Only parameters were changed; a specification has the origin of the weights.
            self.planner.keep_state_of(other.planner)
        if other.planner.last is not None:
            self._join(other, other._scale.command(other.planner.last))
        if self._beside is not None and other._beside is not None:
            self._beside.steps = other._beside.steps
            # No command may wait for the first answer of the policy.
            self._beside.play_on(other._beside, lambda actions: self._scale.action(
                other._scale.command(actions)).astype(np.float32))

    def _join(self, other: Controller, command: NDArray[np.float64]) -> None:
        """
        Have the next plan joined to another controller's last command.

        :param other: The other controller.
        :param command: Its last requested command, shape (act_dim,), SI units.
        """
        mine, others = self.planner.anchoring, other.planner.anchoring
        anchor = other.planner.anchor
        if mine is not None and others is None and self.limiter.last is not None:
            # It was relative to where the robot was then; what was sent is what it led to.
            anchor = np.array(self.limiter.last)
            command = np.where(mine.relative, 0.0, command)
        elif mine is None and others is not None:
            if anchor is not None and other.planner.place is not None:
                command = np.where(
                    others.relative, anchor + command - other.planner.place, command)
            anchor = None
        self.planner.join(self._scale.action(command).astype(np.float32), anchor)

    def step(self, now: int, samples: Mapping[str, Sample | None]) -> Decision:
        """
        Compute the decision of one tick.

        :param now: Time in ns, on the clock of the samples.
        :param samples: Newest sample of each source by name, None or absent if there is none.
        """
        step, self._inference = StepRecord(self._watch_clock(now)), None
        if self._beside is not None:
            self._beside.begin()
        step.findings += self._watch.check(now, samples)
        if self.operator.why is not None:
            step.findings.append(finding(Reason.OPERATOR_STOP, self.operator.why))
        step.findings += self._noted.values()
        seen = {
            name: sample for name, sample in samples.items()
            if sample is not None and not sample.missing}
        had_commanded = self._has_commanded
        if all(name in seen for name in self._robot.sources):
            # The age of a latched goal says nothing about the freshness of the observation.
            times = [seen[name].time for name in self._robot.sources if not seen[name].lasts]
            if times:
                step.observation_age = (now - min(times)) * 1e-9
                step.observation_stamp = max(times)
            # From here on a command is sent, if only a stop.
            self._has_commanded |= not self.operator.is_stopped
        if self._person is not None:
            return self._step_with_person(step, now, samples, seen, had_commanded)
        return self._follow_policy(step, now, seen, had_commanded)

    def _step_with_person(
            self, step: StepRecord, now: int, samples: Mapping[str, Sample | None],
            seen: Mapping[str, Sample], had_commanded: bool) -> Decision:
        """
        Follow the person, if there is one; else the policy.

        :param step: So far it has the faults that stop both of them.
        """
        assert self._person is not None, 'somebody can take over'
        grip, fault = self._person.look(now, samples, seen)
        if fault is not None:
            step.findings.append(fault)
        if grip is not Grip.AWAY and not self.operator.is_stopped:
            self.dead_man_steps += 1
        others = self._others.check(now, samples)
        if grip is Grip.COMMANDS and not step.stops:
            return self._follow_person(step, now, seen, others)
        if self._has_person and not step.stops:
            self._give_back(seen)
        self._let_go()
        step.findings += others
        return self._follow_policy(step, now, seen, had_commanded)

    def _follow_policy(
            self, step: StepRecord, now: int, seen: Mapping[str, Sample],
            had_commanded: bool) -> Decision:
        """Send the policy's command, or stop."""
        if step.stops:
            # Histories of the observation would lack this tick.
            self._builder.reset()
            # Joints without end turn on while they slow down, and the turns are counted.
            self._read_position(seen)
            return self._hold(step)
        measured = self._read_position(seen)
        step.findings += self._values.check(seen, self._settings)
        anchored = self.planner.anchoring is not None
        if anchored:
            self.planner.place = measured
        planned = self._plan(step, now, seen, had_commanded)
        if planned is None or (response := step.response) >= Response.HOLD:
            return self._hold(step, measured)
        assert step.command is not None, 'a plan has a command'
        command, speed = step.command, 1.0
        if response is Response.SLOW:
            speed = self._settings.slow_speed
        anchor = self.planner.anchor if anchored else None
        sent, limits = self.limiter.limit(
            command, measured, speed, anchor, self._ages(seen, now))
        if limits:
            step.findings += explain_limits(
                limits, planned.joined, command, sent, self.limiter.start_fault)
            if sent is None or step.stops:
                return self._held(step, sent)
        if self._wants_ahead:
            step.ahead = self.limiter.ahead(
                self._scale.command(planned.ahead), measured, self._period, speed, anchor)
        step.limited = sent
        return self._decide(step, State.RUNNING, sent)

    def _plan(
            self, step: StepRecord, now: int, seen: Mapping[str, Sample],
            had_commanded: bool) -> Planned | None:
        """
        Observe, and ask the policy for its command.

        :return: Its plan, None if a fault prevents one, or if the robot is to be held anyway.
        """
        try:
            step.observation = observation = self._builder.build(seen, now)
            if self._robot.images:
                step.pictures = find_pictures(self._robot.images, seen)
        except NotReadyError as error:
            # Before the first observation there is nothing to stop.
            self._has_commanded = had_commanded
            step.findings.append(finding(Reason.WAITING, str(error)))
            return None
        except NotFiniteError as error:
            step.findings.append(finding(Reason.NOT_FINITE_OBSERVATION, str(error)))
            return None
        except ObservationError as error:
            step.findings.append(finding(Reason.UNREADABLE, str(error)))
            return None
        step.findings += self._monitors.about_observation(observation)
        if step.stops:
            return None
        try:
            planned = self.planner.next(now, observation, step.pictures)
        except PendingError as error:
            assert self._beside is not None, 'only inference beside the loop is awaited'
            step.awaits, step.plan = True, self._beside.trace
            step.findings.append(finding(error.reason, str(error), 'hold'))
            return None
        except LateError as error:
            step.findings.append(finding(Reason.LATE_INFERENCE, str(error), 'hold'))
            return None
        except PolicyError as error:
            step.findings.append(finding(Reason.INFERENCE_FAILED, str(error)))
            return None
        step.chunk_index, step.draw = planned.index, planned.draw
        step.action, step.joined = planned.action, planned.joined
        step.inference = self._inference = planned.inference
        step.value, step.spread = planned.chunk.value, planned.chunk.spread
        if self._beside is not None:
            step.plan = self._beside.trace
        step.findings += self._monitors.about_answer(planned.chunk.spread, planned.inference)
        step.command = command = self._scale.command(planned.joined)
        if not all(map(math.isfinite, command.tolist())):
            step.findings.append(finding(
                Reason.NOT_FINITE_ACTION, f'the policy answered {all_shown(planned.joined)}'))
        return planned

    def _follow_person(
            self, step: StepRecord, now: int, seen: Mapping[str, Sample],
            others: list[Finding]) -> Decision:
        """
        Send the person's command; the policy decides beside, and its faults stop nothing.

        :param others: Faults of the sources that only the policy needs.
        """
        assert self._person is not None, 'somebody commands'
        measured = self._read_position(seen)
        step.findings += self._values.check(seen, self._settings)
        if step.stops:
            self._builder.reset()
            self._let_go()
            return self._hold(step, measured)
        asked = self._person.command(self.limiter.last, measured)
        beside = len(step.findings)
        step.findings += others
        self.planner.place = measured
        if self._beside is not None:
            self._beside.watch()
        if strongest(others) >= Response.HOLD:
            self._builder.reset()
            self.planner.drop()
        elif (self._plan(step, now, seen, self._has_commanded) is None or step.stops) and (
                not step.awaits):
            self.planner.drop()
        step.findings[beside:] = [
            found if found.response <= Response.WARN else found._replace(response=Response.WARN)
            for found in step.findings[beside:]]
        sent, limits = self.limiter.steer(asked, measured, self._ages(seen, now))
        if limits:
            step.findings += explain_limits(limits, _NO_ACTION, asked, sent, (
                self.limiter.start_fault))
        if sent is not None:
            self._has_commanded = True
        if sent is None or step.stops:
            self._let_go()
            step.awaits = False
            return self._held(step, sent)
        self._has_person = True
        step.findings.append(_BY_PERSON)
        step.person, step.limited = asked, sent
        return self._decide(step, State.RUNNING, sent)

    def _read_position(self, seen: Mapping[str, Sample]) -> NDArray[np.float64] | None:
        """Read the position feedback, shape (act_dim,), NaN if unknown; None without any."""
        return None if self._measure is None else self.limiter.unwrap(self._measure(seen))

    def _ages(self, seen: Mapping[str, Sample], now: int) -> Sequence[float] | None:
        """Measure how old the position feedback is, in s; None if that does not matter."""
        if self._find_ages is None or not self.limiter.needs_ages:
            return None
        return self._find_ages(seen, now)

    def _give_back(self, seen: Mapping[str, Sample]) -> None:
        """Let the policy plan anew, from what the person sent last."""
        self.planner.drop()
        last = self.limiter.last
        if last is not None:
            base = self.limiter.base_of(self._read_position(seen))
            action = self._scale.action(np.array([
                number - position for number, position in zip(last, base, strict=True)]))
            self.planner.join(
                action.clip(-1, 1).astype(np.float32),
                None if self.planner.anchoring is None else np.array(base))

    def _let_go(self) -> None:
        """Have the person's next command start from where the robot is then."""
        self._has_person = False
        if self._person is not None:
            self._person.rest()

    def fail(self, error: Exception) -> Decision:
        """
        Stop because of an internal error, in the decision or in sending it.

        The plan is discarded, so that the next step plans anew.

        :param error: The error.
        """
        text = f'{type(error).__name__}: {error}'
        self._builder.reset()
        self._let_go()
        # A replay repeats what was not sent.
        step = StepRecord(
            [finding(Reason.INTERNAL_ERROR, text)], inference=self._inference)
        if self._beside is not None:
            step.plan = self._beside.unsent
        return self._hold(step)

    def copy_limiter(self) -> CommandLimiter | None:
        """Copy the limiter, for a watchdog that stops the robot; None before the first command."""
        return self.limiter.copy() if self._has_commanded else None

    def go_on_from(self, limiter: CommandLimiter | None) -> None:
        """Assume that another limiter of the same robot sent the last commands."""
        if limiter is not None:
            self.limiter.go_on_from(limiter)

    def overdue(self, limiter: CommandLimiter | None, text: str) -> Decision:
        """
        Continue after the watchdog has stopped the robot; the decision made meanwhile is void.

        :param limiter: Limiter of the watchdog's stops, None if it sent none.
        :param text: Description of the event.
        """
        self.go_on_from(limiter)
        self._builder.reset()
        self._let_go()
        return self._hold(StepRecord([finding(Reason.OVERDUE, text)]))

    def _watch_clock(self, now: int) -> list[Finding]:
        """Check whether the clock was set back, which makes the plan obsolete."""
        last, self._last_step = self._last_step, now
        if last is None or now >= last:
            return []
        self._watch.reset()
        self._others.reset()
        self._values.reset()
        return [finding(
            Reason.CLOCK_RESET, f'the clock was set back by {(last - now) * 1e-9:.3f} s')]

    def _hold(
            self, step: StepRecord, measured: NDArray[np.float64] | None = None) -> Decision:
        """Stop the robot, unless nothing was commanded yet."""
        ramp = step.response is Response.RAMP
        return self._held(
            step, self.limiter.stop(measured, ramp) if self._has_commanded else None)

    def _held(self, step: StepRecord, sent: NDArray[np.float64] | None) -> Decision:
        """Conclude a step that holds the robot; planning restarts once the fault is cleared."""
        if not step.awaits:
            self.planner.drop()
        if self._beside is not None:
            self._beside.settle(not self.limiter.is_fast)
        state = State.HOLD if self._has_commanded else State.WAITING
        if self.operator.is_stopped:
            state = State.STOPPED
        return self._decide(step, state, sent)

    def _decide(
            self, step: StepRecord, state: State,
            sent: NDArray[np.float64] | None) -> Decision:
        """Conclude a step, and count its reasons."""
        for counted in {found.reason for found in step.findings}:
            self.counts[counted] += 1
        return step.decision(state, sent)
