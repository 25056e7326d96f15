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
"""Origin of the plan of a step, if inference runs beside the loop: what a replay needs of it."""

from __future__ import annotations

from dataclasses import dataclass
import enum


class Answered(enum.IntEnum):
    """Answer that a step found; recordings store the numbers."""

    NOTHING = 0
    #: A chunk arrived, and is played from this step on.
    CHUNK = 1
    #: Inference failed.
    FAILURE = 2


@dataclass(frozen=True)
class Origin:
    """
    Step whose observation a chunk was planned from.

    :param step: Its number since the reset, from 1.
    :param stamp: Its time in ns.
    """

    step: int
    stamp: int


@dataclass(frozen=True)
class PlanTrace:
    """
    Inference of one step, and the origin of its plan.

    :param answered: Whether an answer arrived before this step.
    :param asked: Number of draws of noise up to the chunk that was requested from the observation
        of this step; None without a request.
    :param origin: Origin of the newest chunk; None without a plan.
    """

    answered: Answered = Answered.NOTHING
    asked: int | None = None
    origin: Origin | None = None
