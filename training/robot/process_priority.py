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
"""Priority and processors of the learner, which shall never delay the robot."""

from __future__ import annotations

import os

from dfp_ros.core.text.printable import quoted
from training.config import ConfigError

# Processors that are left to the robot, and the smallest number of which some are its own.
_LEFT, _ENOUGH = 2, 4


def choose_processors(text: str, available: set[int]) -> set[int] | None:
    """
    Choose the processors of the learner.

    :param text: ``auto``, ``all``, or numbers and ranges, such as ``2,4-7``.
    :param available: Processors that the process may use.
    :return: The processors; None for no choice.
    :raises ConfigError: If the text is something else, or names others than the available ones.
    """
    if text == 'all':
        return None
    if text == 'auto':
        return set(sorted(available)[_LEFT:]) if len(available) >= _ENOUGH else None
    try:
        ranges = [(int(first), int(last if dash else first)) for first, dash, last in (
            part.partition('-') for part in text.split(','))]
    except ValueError:
        ranges = []
    most = max(available)
    found = {i for first, last in ranges for i in range(first, min(last, most) + 1)}
    if not found or not found <= available or any(
            last > most or last < first for first, last in ranges):
        raise ConfigError(
            f'processors: found {quoted(text)}, expected auto, all, or numbers of '
            f'{", ".join(map(str, sorted(available)))}, such as 2,3 or 4-7')
    return found


def step_aside(nice: int, processors: str) -> str:
    """
    Lower the priority of the process, and move it to its processors.

    :param nice: Niceness, 0 to 19; a process that is nicer already stays so.
    :param processors: See :func:`choose_processors`.
    :return: Description for the user.
    """
    chosen = choose_processors(processors, os.sched_getaffinity(0))
    os.nice(max(0, nice - os.nice(0)))
    if chosen:
        os.sched_setaffinity(0, chosen)
    where = ', '.join(map(str, sorted(chosen))) if chosen else 'all, shared with the robot'
    return f'niceness {os.nice(0)}, processors {where}'
