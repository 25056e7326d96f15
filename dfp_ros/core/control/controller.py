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
"""One control step, from samples to a decision, as a pure function of time, samples and noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.description.robot import require_fit, RobotDescription
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.freshness import SourceWatch
from dfp_ros.core.observation.sample import NotFiniteError, NotReadyError, ObservationError, Sample
from dfp_ros.core.observation.value_monitor import ValueWatch
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.policy.interface import LateError, PolicyError
from dfp_ros.core.safety.limit_findings import explain_limits
from dfp_ros.core.safety.monitors import Doubts
from dfp_ros.core.safety.reasons import conclude, Finding, finding, Reason, Response, strongest
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.core.text.numbers import all_shown
from dfp_ros.spec import PolicySpec, require_same_fields


class Controller:
    """
    Decides every command.

    Whatever is not determined by its past comes as an argument, so that the same calls give the
    same decisions, bit for bit.

    :param robot: Description of the robot.
    :param spec: The policy's specification.
    :param planner: Plans with that policy.
    :param limiter: Keeps its commands within limits.
    :param settings: What is done about doubts.
    :param tick: Time between two ticks in ns; the policy's control period by default.
    :param measure: Reads where the robot is from fresh samples, shape (act_dim,), NaN where that
        is unknown; None where nothing needs it.
    :param ahead: Whether the commands after the next are wanted.
    :raises SpecMismatch: Where policy and robot do not fit.

    :ivar counts: Steps since the reset by what was the matter; a swap does not end them.
    """

    def __init__(
            self, robot: RobotDescription, spec: PolicySpec, planner: Planner,
            limiter: CommandLimiter, settings: SafetySettings | None = None,
            tick: int | None = None,
            measure: Callable[[Mapping[str, Sample]], NDArray[np.float64]] | None = None,
            ahead: bool = False) -> None:
        """Check that policy and robot fit, and wait."""
        require_fit(spec, robot)
        settings = SafetySettings() if settings is None else settings
        self._robot = robot
        self._spec = spec
        self._planner = planner
        self._limiter = limiter
        self._settings = settings
        self._measure = measure
        self._period = round(spec.period * 1e9)
        self._wants_ahead = ahead
        self._scale = ActionScale(spec)
        self._builder = ObservationBuilder(robot.observation)
        self._watch = SourceWatch(
            robot.sources.values(), settings.clock_skew, tick or self._period)
        self._values = ValueWatch(robot, tick or self._period)
        self._doubts = Doubts(settings, spec, tick or self._period)
        self._last_step: int | None = None
        self._has_commanded = False
        self._stopped_by: str | None = None
        self._noted: dict[Reason, Finding] = {}
        self.counts: Counter[Reason] = Counter()

    @property
    def outside(self) -> dict[str, int]:
        """Return in how many steps since the reset numbers were outside the training data's."""
        return self._doubts.envelope.outside

    @property
    def is_stopped(self) -> bool:
        """Return whether somebody stopped the robot, and nobody has let it go on."""
        return self._stopped_by is not None

    def stop(self, why: str) -> None:
        """
        Stop the robot from the next step on, until :meth:`resume`; a reset does not end it.

        :param why: Who or what wants it, for people.
        """
        self._stopped_by = why

    def resume(self) -> None:
        """Let the robot go on after a stop, with a plan from what is observed then."""
        self._stopped_by = None

    def note(self, reason: Reason, text: str) -> None:
        """
        Take note of what was found outside the samples, until it is noted otherwise.

        A reset does not end it.

        :param reason: One of :data:`dfp_ros.core.safety.reasons.FROM_GRAPH`.
        :param text: What was found, for people; empty where nothing is.
        """
        self._noted.pop(reason, None)
        if text:
            self._noted[reason] = finding(
                reason, text, getattr(self._settings, str(reason.name).lower()))

    @property
    def is_fast(self) -> bool:
        """Return whether :meth:`halt` would stop the robot harder than its limits allow."""
        return self._limiter.is_fast

    def slow_down(self) -> NDArray[np.float64] | None:
        """
        Slow the robot down by one command, of those before that of :meth:`halt`.

        It is no decision: only a reset may follow what these commands lead to.

        :return: The command, shape (act_dim,), None where there is none.
        """
        return self._limiter.stop()

    def halt(self) -> NDArray[np.float64] | None:
        """
        Stop with a single command, the last before silence; what was planned is dropped.

        :return: The command, shape (act_dim,), None where there is none.
        """
        self._planner.drop()
        # What the observation remembers is from before the silence.
        self._builder.reset()
        return self._limiter.halt()

    def reset(self, seed: int) -> None:
        """
        Begin as new, as at the start of an episode: nothing is commanded before all is there.

        The robot has to stand still by then: send what :meth:`halt` gives first if it may not. One
        that somebody stopped stays stopped.

        :param seed: Seed of the noise.
        """
        self._planner.restart(seed)
        self._builder.reset()
        self._limiter.reset()
        self._watch.reset()
        self._values.reset()
        self._doubts.reset()
        self._last_step = None
        self._has_commanded = False
        self.counts.clear()

    def take_over(self, other: Controller) -> None:
        """
        Go on where another controller of the same robot was, with a chunk of one's own.

        :param other: The controller that decided until now; it must not decide any more.
        :raises SpecMismatch: Where their actions or observations are laid out differently.
        """
        require_same_fields(self._spec, other._spec)
        self._last_step = other._last_step
        self._has_commanded = other._has_commanded
        self._stopped_by = other._stopped_by
        for reason, noted in other._noted.items():
            self.note(reason, noted.text)
        self.counts.update(other.counts)
        self._doubts.take_over(other._doubts)
        self._builder = other._builder
        self._values = other._values
        self._limiter.take_over(other._limiter)
        self._planner.drop()
        if other._planner.last is not None:
            self._planner.join(self._scale.action(other._scale.command(other._planner.last)))

    def seek(self, seed: int, draws: int) -> None:
        """
        Plan anew, with the noise that comes after so many draws; for replays that begin midway.

        :param seed: Seed of the noise.
        :param draws: How often noise was drawn since the reset.
        """
        self._planner.seek(seed, draws)

    def prepare(self) -> None:
        """
        Think ahead, as far as ``planning.ahead`` says; call after each step, its command sent.

        What goes wrong shows in the next step.
        """
        self._planner.prepare()

    def asks_at(self, now: int) -> bool:
        """
        Tell whether the next tick will ask the policy, if nothing stops it.

        :param now: Time of that tick in ns, on the clock of the samples.
        """
        return self._planner.asks_at(now)

    def rehearse(self, now: int, samples: Mapping[str, Sample | None]) -> None:
        """
        Do what a step does that asks the policy, for nothing; an understudy's only task.

        :param now: Time in ns, on the clock of the samples.
        :param samples: Newest sample of each source by name.
        """
        self._planner.drop()
        self.step(now, samples)

    def step(self, now: int, samples: Mapping[str, Sample | None]) -> Decision:
        """
        Decide the command of one tick.

        :param now: Time in ns, on the clock of the samples.
        :param samples: Newest sample of each source by name, None or absent where none was seen.
        """
        findings = self._watch_clock(now)
        findings += self._watch.check(now, samples)
        if self._stopped_by is not None:
            findings.append(finding(Reason.OPERATOR_STOP, self._stopped_by))
        findings += self._noted.values()
        seen = {
            name: sample for name, sample in samples.items()
            if sample is not None and not sample.missing}
        facts: dict[str, Any] = {}
        had_commanded = self._has_commanded
        if all(name in seen for name in self._robot.sources):
            # How long ago a goal was set says nothing of how fresh an observation is.
            times = [seen[name].time for name in self._robot.sources if not seen[name].lasts]
            if times:
                facts['observation_age'] = (now - min(times)) * 1e-9
                facts['observation_stamp'] = max(times)
            # From here on something is sent, if only a stop.
            self._has_commanded |= self._stopped_by is None
        if strongest(findings) >= Response.HOLD:
            # What the observation remembers would lack this tick.
            self._builder.reset()
            return self._hold(findings, facts)
        measured = None if self._measure is None else self._measure(seen)
        findings += self._values.check(seen, self._settings)
        try:
            facts['observation'] = observation = self._builder.build(seen, now)
        except NotReadyError as error:
            # Before the first observation there is nothing to stop.
            self._has_commanded = had_commanded
            findings.append(finding(Reason.WAITING, str(error)))
            return self._hold(findings, facts, measured)
        except NotFiniteError as error:
            findings.append(finding(Reason.NOT_FINITE_OBSERVATION, str(error)))
            return self._hold(findings, facts, measured)
        except ObservationError as error:
            findings.append(finding(Reason.UNREADABLE, str(error)))
            return self._hold(findings, facts, measured)
        findings += self._doubts.about_observation(observation)
        if strongest(findings) >= Response.HOLD:
            return self._hold(findings, facts, measured)
        try:
            planned = self._planner.next(now, observation)
        except LateError as error:
            findings.append(finding(Reason.LATE_INFERENCE, str(error), 'hold'))
            return self._hold(findings, facts, measured)
        except PolicyError as error:
            findings.append(finding(Reason.INFERENCE_FAILED, str(error)))
            return self._hold(findings, facts, measured)
        facts.update(
            chunk_index=planned.index, action=planned.action, inference=planned.inference,
            joined=planned.joined, draw=planned.draw, value=planned.chunk.value,
            spread=planned.chunk.spread)
        findings += self._doubts.about_answer(planned.chunk.spread, planned.inference)
        facts['command'] = command = self._scale.command(planned.joined)
        if not all(map(math.isfinite, command.tolist())):
            findings.append(finding(
                Reason.NOT_FINITE_ACTION, f'the policy answered {all_shown(planned.joined)}'))
        if (response := strongest(findings)) >= Response.HOLD:
            return self._hold(findings, facts, measured)
        speed = self._settings.slow_speed if response is Response.SLOW else 1.0
        sent, limits = self._limiter.limit(command, measured, speed)
        if limits:
            findings += explain_limits(limits, planned.joined, command, sent)
            if sent is None or strongest(findings) >= Response.HOLD:
                return self._held(findings, facts, sent)
        if self._wants_ahead:
            facts['ahead'] = self._limiter.ahead(
                self._scale.command(planned.ahead), measured, self._period, speed)
        facts['limited'] = sent
        return self._decide(State.RUNNING, findings, sent, facts)

    def fail(self, error: Exception) -> Decision:
        """
        Stop for an error that should not have been, in deciding or in sending.

        What was planned is dropped, so that the next step plans anew.

        :param error: What was raised.
        """
        text = f'{type(error).__name__}: {error}'
        self._builder.reset()
        return self._hold([finding(Reason.INTERNAL_ERROR, text)], {})

    def copy_limiter(self) -> CommandLimiter | None:
        """Copy what limits the commands, for who stops the robot instead; None before motion."""
        return self._limiter.copy() if self._has_commanded else None

    def go_on_from(self, limiter: CommandLimiter | None) -> None:
        """Take it that the last commands are those of another limiter of the same robot."""
        if limiter is not None:
            self._limiter.take_over(limiter)

    def overdue(self, limiter: CommandLimiter | None, text: str) -> Decision:
        """
        Go on after a watchdog that stopped the robot; what was decided meanwhile counts no more.

        :param limiter: What has limited its stops, None where it sent none.
        :param text: What happened, for people.
        """
        self.go_on_from(limiter)
        self._builder.reset()
        return self._hold([finding(Reason.OVERDUE, text)], {})

    def _watch_clock(self, now: int) -> list[Finding]:
        """See whether the clock was set back; what was planned then belongs to another time."""
        last, self._last_step = self._last_step, now
        if last is None or now >= last:
            return []
        self._watch.reset()
        self._values.reset()
        return [finding(
            Reason.CLOCK_RESET, f'the clock was set back by {(last - now) * 1e-9:.3f} s')]

    def _hold(
            self, findings: list[Finding], facts: dict[str, Any],
            measured: NDArray[np.float64] | None = None) -> Decision:
        """Stop the robot, if it may be moving."""
        ramp = strongest(findings) is Response.RAMP
        sent = self._limiter.stop(measured, ramp) if self._has_commanded else None
        return self._held(findings, facts, sent)

    def _held(
            self, findings: list[Finding], facts: dict[str, Any],
            sent: NDArray[np.float64] | None) -> Decision:
        """Plan anew from a fresh observation once it is over."""
        self._planner.drop()
        state = State.HOLD if self._has_commanded else State.WAITING
        if self._stopped_by is not None:
            state = State.STOPPED
        return self._decide(state, findings, sent, facts)

    def _decide(
            self, state: State, findings: list[Finding], sent: NDArray[np.float64] | None,
            facts: dict[str, Any]) -> Decision:
        """Write down a decision, and count its reasons."""
        if not findings:
            return Decision(state, Reason.NONE, '', sent, **facts)
        reason, text, response = conclude(findings)
        for counted in {found.reason for found in findings}:
            self.counts[counted] += 1
        return Decision(state, reason, text, sent, response=response, **facts)
