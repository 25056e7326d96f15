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
"""Decision of a control step: state, command, reasons and intermediate results."""

from __future__ import annotations

from dataclasses import dataclass
import enum

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.pictures.picture import Picture
from dfp_ros.core.planning.plan_trace import PlanTrace
from dfp_ros.core.safety.reasons import Reason, Response


class State(enum.Enum):
    """State of the controller; recordings store the index in this list."""

    #: A source was not received yet, and nothing has been commanded so far.
    WAITING = 'waiting'
    #: The policy commands, or a person.
    RUNNING = 'running'
    #: The robot is stopped until the fault is cleared.
    HOLD = 'hold'
    #: The robot is stopped until an operator resumes it.
    STOPPED = 'stopped'


class Commanding(enum.IntEnum):
    """Who commands the robot; recordings store the numbers."""

    #: Nothing is sent, or a stop.
    NOBODY = 0
    #: The policy.
    POLICY = 1
    #: A person, who has taken over.
    PERSON = 2


@dataclass(frozen=True)
class Decision:
    """
    Result of one control step.

    :param state: State of the controller.
    :param reason: Reasons for a difference between the command and the policy's answer.
    :param text: Description of the reasons, with names and values; empty without a reason.
    :param sent: Command to send, shape (act_dim,), float64, SI units; None for none.
    :param observation: Shape (obs_dim,), float32, or None if there was none.
    :param action: Action of the policy, shape (act_dim,), float32, or None.
    :param joined: The action after blending, or None.
    :param command: Requested command of the policy in SI units before any limit, shape (act_dim,),
        float64, or None.
    :param limited: The command within all limits, the policy's or the person's, or None if the
        robot is stopped instead.
    :param ahead: Planned commands after it, in SI units and limited, shape (m, act_dim), a control
        period apart; None if they are not needed.
    :param response: The strongest response to the findings.
    :param chunk_index: Index of the action in its chunk, or None.
    :param draw: Number of draws of noise from the reset to the request of its chunk.
    :param value: Value of the action's chunk by the critics, NaN if they were not evaluated.
    :param spread: Standard deviation of the candidates of its chunk, in action units.
    :param inference: Inference time in s, None in a step without inference.
    :param observation_age: Age of the oldest source in s, None while waiting.
    :param observation_stamp: Time of the newest source in ns, None while waiting.
    :param commander: Who commands.
    :param person: Requested command of the person in SI units before any limit, shape (act_dim,),
        float64, NaN for outputs that the person does not command; None without one.
    :param plan: Origin of the plan, if inference runs beside the loop; None otherwise.
    :param pictures: The pictures of the observation, in order; none if one was missing.
    """

    state: State
    reason: Reason
    text: str
    sent: NDArray[np.float64] | None = None
    observation: FloatArray | None = None
    action: FloatArray | None = None
    command: NDArray[np.float64] | None = None
    joined: FloatArray | None = None
    limited: NDArray[np.float64] | None = None
    ahead: NDArray[np.float64] | None = None
    response: Response = Response.PASS
    chunk_index: int | None = None
    draw: int | None = None
    value: float | None = None
    spread: float | None = None
    inference: float | None = None
    observation_age: float | None = None
    observation_stamp: int | None = None
    commander: Commanding = Commanding.NOBODY
    person: NDArray[np.float64] | None = None
    plan: PlanTrace | None = None
    pictures: tuple[Picture, ...] = ()
