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
"""Shadow policy: gets the observations of the running policy, and never commands the robot."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.pictures.picture import Picture
from dfp_ros.core.planning.background_planner import BackgroundPlanner, PendingError
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.spec import PolicySpec, require_same_fields


@dataclass(frozen=True)
class Comparison:
    """
    Comparison of the shadow with the running policy in one step.

    :param command: The shadow's command in SI units before any limit, shape (act_dim,), float64.
    :param disagreement: Root mean square of its difference from the running policy's command, one
        number for each action field, in the field's unit.
    :param rms: Root mean square of the difference over the whole action, in action units.
    """

    command: NDArray[np.float64]
    disagreement: tuple[float, ...]
    rms: float


class Shadow:
    """
    Runs a policy as a shadow.

    :param spec: The shadow's specification.
    :param planner: Plans with it.
    :param running: Specification of the policy that commands, for the same robot.
    :param latency: Inference time of the shadow in s, with a margin.
    :raises SpecMismatch: If the layouts of their actions or observations differ.

    :ivar asked: Steps with inference.
    :ivar skipped: Steps without enough time.
    :ivar failed: Steps in which inference failed.
    """

    def __init__(
            self, spec: PolicySpec, planner: Planner, running: PolicySpec,
            latency: float) -> None:
        """Start without a plan."""
        require_same_fields(spec, running)
        self.asked = self.skipped = self.failed = 0
        self._planner = planner
        self._beside = planner if isinstance(planner, BackgroundPlanner) else None
        if self._beside is not None:
            self._beside.expect(latency)
        self._scale = ActionScale.of_policy(spec)
        self._latency = latency
        scale = ActionScale.of_policy(running)
        self._half_range = (scale.high - scale.low) / 2
        self._fields = tuple(running.action_slices.values())
        self._squares = 0.0

    @property
    def rms(self) -> float:
        """Root mean square of :attr:`Comparison.rms` so far, NaN before the first."""
        return math.sqrt(self._squares / self.asked) if self.asked else math.nan

    def compare(
            self, now: int, observation: FloatArray | None, command: NDArray[np.float64] | None,
            time_left: float, pictures: tuple[Picture, ...] = ()) -> Comparison | None:
        """
        Compare the shadow with the running policy in one step.

        In a step without inference, its plan is discarded; the next one starts from a new
        observation.

        :param now: Time of the step in ns.
        :param observation: Observation of the running policy, shape (obs_dim,), float32, or None.
        :param command: Its command, shape (act_dim,), SI units before any limit, or None.
        :param time_left: Seconds until the next tick.
        :param pictures: The pictures of that observation.
        :return: The comparison, None without a command to compare, or without enough time.
        """
        if observation is None or command is None:
            self._planner.drop()
            return None
        if self._beside is not None:
            # No tick waits for its inference, and the robot moves without its plan.
            self._beside.watch()
        elif time_left < self._latency:
            self.skipped += 1
            self._planner.drop()
            return None
        try:
            theirs = self._scale.command(self._planner.next(now, observation, pictures).joined)
        except PendingError as error:
            if error.reason is Reason.INFERENCE_FAILED:
                self.failed += 1
            else:
                self.skipped += 1
            return None
        except PolicyError:
            self.failed += 1
            return None
        finally:
            if self._beside is not None:
                self._beside.prepare()
        difference = theirs - command
        rms = _rms(difference / np.where(self._half_range > 0, self._half_range, 1))
        self.asked += 1
        self._squares += rms ** 2
        return Comparison(theirs, tuple(_rms(difference[part]) for part in self._fields), rms)


def _rms(values: NDArray[np.float64]) -> float:
    """Root mean square."""
    return math.sqrt(float(values @ values) / len(values))
