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
"""Record of one control step, filled in while the decision is made."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.pictures.picture import Picture
from dfp_ros.core.planning.plan_trace import PlanTrace
from dfp_ros.core.safety.reasons import conclude, Finding, Reason, Response, strongest


@dataclass
class StepRecord:
    """
    Intermediate results of one control step.

    The fields are those of :class:`dfp_ros.core.control.decision.Decision`.

    :param findings: Findings of the monitors.
    """

    findings: list[Finding] = field(default_factory=list)
    observation: FloatArray | None = None
    action: FloatArray | None = None
    joined: FloatArray | None = None
    command: NDArray[np.float64] | None = None
    limited: NDArray[np.float64] | None = None
    ahead: NDArray[np.float64] | None = None
    chunk_index: int | None = None
    draw: int | None = None
    value: float | None = None
    spread: float | None = None
    inference: float | None = None
    observation_age: float | None = None
    observation_stamp: int | None = None
    person: NDArray[np.float64] | None = None
    plan: PlanTrace | None = None
    #: Whether nothing else is missing than an answer of the policy, which is awaited.
    awaits: bool = False
    pictures: tuple[Picture, ...] = ()

    @property
    def response(self) -> Response:
        """Return the strongest response to the findings."""
        return strongest(self.findings)

    @property
    def stops(self) -> bool:
        """Whether the findings stop the robot."""
        return strongest(self.findings) >= Response.HOLD

    def decision(self, state: State, sent: NDArray[np.float64] | None) -> Decision:
        """
        Conclude the step.

        :param state: State of the controller.
        :param sent: Command to send, shape (act_dim,), float64, SI units; None for none.
        """
        reason, text, response = (
            conclude(self.findings) if self.findings else (Reason.NONE, '', Response.PASS))
        commander = Commanding.NOBODY if state is not State.RUNNING else (
            Commanding.POLICY if self.person is None else Commanding.PERSON)
        return Decision(
            state, reason, text, sent, self.observation, self.action, self.command, self.joined,
            self.limited, self.ahead, response, self.chunk_index, self.draw, self.value,
            self.spread, self.inference, self.observation_age, self.observation_stamp,
            commander, self.person, self.plan, self.pictures)
