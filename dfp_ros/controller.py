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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dfp_ros.chunk import Chunk, ChunkPlayer, FloatArray, NoiseStream
from dfp_ros.observation import NotFiniteError, ObservationBuilder, ObservationError, Sample
from dfp_ros.policy import PolicyError
from dfp_ros.robot_description import require_fit, RobotDescription
from dfp_ros.safety import ActionBounds, check_sources, Reason
from dfp_ros.spec import PolicySpec


class Policy(Protocol):
    """What the controller asks of a policy; :class:`dfp_ros.policy.OnnxPolicy` answers it."""

    spec: PolicySpec

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer one observation with a chunk, or raise PolicyError."""
        ...  # pragma: no cover


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
    :param policy: The policy.
    :param noise: The noise that its chunks start from.
    :param tick: Time between steps in ns.
    :param clock: Counts ns, for measuring inference only; no decision depends on it.
    :raises SpecMismatch: Where policy and robot do not fit.
    """

    def __init__(
            self, robot: RobotDescription, policy: Policy, noise: NoiseStream, tick: int,
            clock: Callable[[], int]) -> None:
        """Check that policy and robot fit, and wait."""
        require_fit(policy.spec, robot)
        self._robot = robot
        self._policy = policy
        self._noise = noise
        self._clock = clock
        self._bounds = ActionBounds(policy.spec)
        self._builder = ObservationBuilder(robot)
        self._player = ChunkPlayer(round(policy.spec.period * 1e9), tick)
        self._last_step: int | None = None
        self._has_commanded = False

    @property
    def stop_command(self) -> NDArray[np.float64]:
        """Return the command that stops the robot: zero velocities, shape (act_dim,)."""
        return np.zeros(self._policy.spec.action_size)

    def reset(self, seed: int) -> None:
        """
        Begin as new, as at the start of an episode: nothing is commanded before all is there.

        The robot has to stand still by then: send :attr:`stop_command` first if it may not.

        :param seed: Seed of the noise.
        """
        self._player.reset()
        self._noise.reset(seed)
        self._last_step = None
        self._has_commanded = False

    def take_over(self, other: Controller) -> None:
        """
        Go on where another controller was, with a chunk of one's own at the next step.

        :param other: The controller that decided until now.
        """
        self._last_step = other._last_step
        self._has_commanded = other._has_commanded

    def step(self, now: int, samples: Mapping[str, Sample | None]) -> Decision:
        """
        Decide the command of one tick.

        :param now: Time in ns, on the clock of the samples.
        :param samples: Newest sample of each source by name, None or absent where none was seen.
        """
        if self._last_step is not None and now < self._last_step:
            # The clock was set back: what was planned belongs to another time.
            self._player.reset()
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
            facts['observation'] = observation = self._builder.build(seen)
        except NotFiniteError as error:
            return self._hold(Reason.NOT_FINITE_OBSERVATION, str(error), facts)
        except ObservationError as error:
            return self._hold(Reason.UNREADABLE, str(error), facts)
        due = self._player.next(now)
        if due is None:
            begin = self._clock()
            try:
                chunk = self._policy.act(observation, self._noise.next())
            except PolicyError as error:
                return self._hold(Reason.INFERENCE_FAILED, str(error), facts)
            facts['inference'] = (self._clock() - begin) * 1e-9
            self._player.start(chunk, now)
            due = self._player.next(now)
            assert due is not None, 'a chunk has at least one action'
        facts['chunk_index'], facts['action'] = due
        facts['command'], sent, reason = self._bounds.command(due[1])
        if Reason.NOT_FINITE_ACTION in reason:
            return self._hold(reason, f'the policy answered {due[1].tolist()}', facts)
        text = f'action {due[1].tolist()} is outside [-1, 1]' if reason else ''
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
        self._player.reset()
        return Decision(State.HOLD, reason, text, self.stop_command, **facts)
