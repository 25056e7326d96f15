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
"""What a control step decides, and why."""

from __future__ import annotations

from dataclasses import dataclass
import enum

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.safety.reasons import Reason, Response


class State(enum.Enum):
    """What the controller is doing; recordings hold the place in this list."""

    #: Some source was not seen yet, and nothing was commanded so far; nothing is.
    WAITING = 'waiting'
    #: The policy commands.
    RUNNING = 'running'
    #: The robot is stopped until what is wrong is over.
    HOLD = 'hold'
    #: The robot is stopped until somebody says that it may go on.
    STOPPED = 'stopped'


@dataclass(frozen=True)
class Decision:
    """
    Everything about one control step.

    :param state: What the controller does.
    :param reason: Why the command is not simply what the policy answered.
    :param text: The same for people, with names and figures; empty where there is no reason.
    :param sent: Command to send, shape (act_dim,), float64, SI units; None for none.
    :param observation: Shape (obs_dim,), float32, or None where there was none.
    :param action: What the policy answered, shape (act_dim,), float32, or None.
    :param joined: The same after averaging, interpolating and joining chunks, or None.
    :param command: What is asked for in SI units before any limit, shape (act_dim,), float64, or
        None.
    :param limited: The same within all limits, or None where the robot is stopped instead.
    :param ahead: What would be sent next, in SI units and limited, shape (m, act_dim), a control
        period apart; None where nobody asked for it.
    :param response: The strongest response to what is the matter.
    :param chunk_index: Index of the action in its chunk, or None.
    :param draw: How often noise was drawn since the reset until its chunk was asked for.
    :param value: Value of the action's chunk by the critics, NaN where they were not asked.
    :param spread: How far the candidates of its chunk disagreed, in action units.
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
