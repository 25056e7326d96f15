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

from collections.abc import Mapping
from dataclasses import dataclass
import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.chunk import FloatArray
from dfp_ros.limits import ActionScale, CommandLimiter
from dfp_ros.observation import NotFiniteError, ObservationBuilder, ObservationError, Sample
from dfp_ros.planner import Planner
from dfp_ros.policy import PolicyError
from dfp_ros.robot_description import require_fit, RobotDescription
from dfp_ros.safety import check_sources, Reason
from dfp_ros.spec import PolicySpec


class State(enum.Enum):
    """What the controller is doing."""

    #: Some source was not seen yet, and nothing was commanded so far; nothing is.
    WAITING = 'waiting'
    #: The policy commands.
    RUNNING = 'running'
    #: Zero is commanded until what is wrong is over.
    HOLD = 'hold'


@dataclass(frozen=True)
class Decision:
    """
    Everything about one control step.

    :param state: What the controller does.
    :param reason: Why the command is not simply what the policy answered.
    :param text: The same for people, with names and figures; empty where there is no reason.
    :param sent: Command to send, shape (act_dim,), float64, SI units; None while waiting.
    :param observation: Shape (obs_dim,), float32, or None where there was none.
    :param action: What the policy answered, shape (act_dim,), float32, or None.
    :param command: The same in SI units before any limit, shape (act_dim,), float64, or None.
    :param chunk_index: Index of the action in its chunk, or None.
    :param inference: Seconds that the policy took, None in a step that did not ask it.
    :param observation_age: Age of the oldest source in s, None while waiting.
    :param observation_stamp: Time of the newest source in ns, None while waiting.
    """

    state: State
    reason: Reason
    text: str
    sent: NDArray[np.float64] | None = None
    observation: FloatArray | None = None
    action: FloatArray | None = None
    command: NDArray[np.float64] | None = None
    chunk_index: int | None = None
    inference: float | None = None
    observation_age: float | None = None
    observation_stamp: int | None = None


class Controller:
    """
    Decides every command.

    :param robot: Description of the robot.
    :param spec: The policy's specification.
    :param planner: Plans with that policy.
    :param limiter: Keeps its commands within limits.
    :raises SpecMismatch: Where policy and robot do not fit.
    """

    def __init__(
            self, robot: RobotDescription, spec: PolicySpec, planner: Planner,
            limiter: CommandLimiter) -> None:
        """Check that policy and robot fit, and wait."""
        require_fit(spec, robot)
        self._robot = robot
        self._planner = planner
        self._limiter = limiter
        self._scale = ActionScale(spec)
        self._builder = ObservationBuilder(robot.observation)
        self._last_step: int | None = None
        self._has_commanded = False

    @property
    def stop_command(self) -> NDArray[np.float64]:
        """Return the command that stops the robot, shape (act_dim,)."""
        return self._limiter.stop()

    def reset(self, seed: int) -> None:
        """
        Begin as new, as at the start of an episode: nothing is commanded before all is there.

        The robot has to stand still by then: send :attr:`stop_command` first if it may not.

        :param seed: Seed of the noise.
        """
        self._planner.restart(seed)
        self._limiter.reset()
        self._last_step = None
        self._has_commanded = False

    def take_over(self, other: Controller) -> None:
        """
        Go on where another controller was, with a chunk of one's own at the next step.

        :param other: The controller that decided until now.
        """
        self._last_step = other._last_step
        self._has_commanded = other._has_commanded
        self._limiter.take_over(other._limiter)

    def step(self, now: int, samples: Mapping[str, Sample | None]) -> Decision:
        """
        Decide the command of one tick.

        :param now: Time in ns, on the clock of the samples.
        :param samples: Newest sample of each source by name, None or absent where none was seen.
        """
        if self._last_step is not None and now < self._last_step:
            # The clock was set back: what was planned belongs to another time.
            self._planner.drop()
        self._last_step = now
        reason, text = check_sources(now, self._robot.sources.values(), samples)
        if Reason.WAITING in reason:
            return (
                self._hold(reason, text, {}) if self._has_commanded
                else Decision(State.WAITING, reason, text))
        seen = {name: sample for name, sample in samples.items() if sample is not None}
        times = [seen[name].time for name in self._robot.sources]
        facts: dict[str, Any] = {
            'observation_age': (now - min(times)) * 1e-9, 'observation_stamp': max(times)}
        # From here on something is sent, if only a stop.
        self._has_commanded = True
        if reason:
            return self._hold(reason, text, facts)
        try:
            facts['observation'] = observation = self._builder.build(seen, now)
        except NotFiniteError as error:
            return self._hold(Reason.NOT_FINITE_OBSERVATION, str(error), facts)
        except ObservationError as error:
            return self._hold(Reason.UNREADABLE, str(error), facts)
        try:
            planned = self._planner.next(now, observation)
        except PolicyError as error:
            return self._hold(Reason.INFERENCE_FAILED, str(error), facts)
        facts.update(
            chunk_index=planned.index, action=planned.action, inference=planned.inference)
        facts['command'] = command = self._scale.command(planned.action)
        if not np.isfinite(command).all():
            return self._hold(
                Reason.NOT_FINITE_ACTION, f'the policy answered {planned.action.tolist()}', facts)
        sent, reason = self._limiter.limit(command)
        text = f'action {planned.action.tolist()} is outside [-1, 1]' if reason else ''
        return Decision(State.RUNNING, reason, text, sent, **facts)

    def fail(self, error: Exception) -> Decision:
        """
        Stop for an error that should not have been, in deciding or in sending.

        The chunk is dropped, so that the next step plans anew.

        :param error: What was raised.
        """
        self._has_commanded = True
        return self._hold(Reason.INTERNAL_ERROR, f'{type(error).__name__}: {error}', {})

    def _hold(self, reason: Reason, text: str, facts: dict[str, Any]) -> Decision:
        """Stop, and plan anew from a fresh observation once it is over."""
        self._planner.drop()
        return Decision(State.HOLD, reason, text, self.stop_command, **facts)
