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
"""Warnings about a run, from its log: collapse, leaving the data, an unfinished critic."""

from __future__ import annotations

from collections.abc import Sequence
import math
from statistics import median

from training.config import TrainConfig
from training.learning.trainer.schedule import improvement_start

Row = dict[str, float]

# Rows that a median is taken over.
WINDOW = 5
# A collapse: the candidates' spread below this share of what it was, and their value lower by this
# share of its size.
COLLAPSED_SPREAD, LOST_VALUE = 0.5, 0.05
# Leaving the data: the distance to it above this multiple of what it was.
FURTHER = 1.2
# An unfinished critic: its value of the data changed by more than this share of its size in the
# last fifth of the cloning.
MOVING = 0.1


def diagnose(config: TrainConfig, rows: Sequence[Row]) -> dict[str, str]:
    """
    Find what is wrong with a run's learning.

    :param config: Settings of the run.
    :param rows: Rows of its ``updates.csv`` so far.
    :return: Warnings by name: ``unfinished_critic``, ``joint_collapse``, ``leaving_the_data``.
    """
    start = improvement_start(config)
    if config.policy != 'dfp' or not config.value_weight or not start:
        return {}
    before = [row for row in rows if row['step'] <= start]
    after = [row for row in rows if row['step'] > start]
    if len(before) < WINDOW or len(after) < WINDOW:
        return {}
    found = {}
    value, earlier = _middle(before, 'value_of_data'), _middle(
        [row for row in before if row['step'] <= 0.8 * start], 'value_of_data')
    if abs(value - earlier) > MOVING * abs(value):
        found['unfinished_critic'] = (
            f'the value of the data was still moving when the top-K drift started ({earlier:.3g} '
            f'after four fifths of the cloning, {value:.3g} at its end), so the critic ranks by '
            'values that are not there yet; start later (--improve-after)')
    spread, spread_now = (_middle(some, 'candidate_spread') for some in (before, after))
    worth, worth_now = (_middle(some, 'value_of_candidates') for some in (before, after))
    if spread_now < COLLAPSED_SPREAD * spread and worth_now < worth - LOST_VALUE * abs(worth):
        found['joint_collapse'] = (
            f"spread and value of a state's candidates fell together since the top-K drift "
            f'started (spread {spread:.3g} to {spread_now:.3g}, value {worth:.3g} to '
            f'{worth_now:.3g}): the policy collapses; use a smaller lambda (--value-weight), or '
            'freeze the anchor policy (--anchor frozen)')
    distance, distance_now = (_middle(some, 'distance_to_data') for some in (before, after))
    if distance_now > FURTHER * distance:
        found['leaving_the_data'] = (
            f'the distance of candidates to the data rose from {distance:.3g} to '
            f'{distance_now:.3g} since the top-K drift started: the trust region leaks, and the '
            'critic is asked where it has no data; freeze the anchor policy (--anchor frozen), or '
            'use a smaller lambda (--value-weight)')
    return found


def _middle(rows: Sequence[Row], column: str) -> float:
    """Median of a column over the last rows."""
    values = [row[column] for row in rows[-WINDOW:] if column in row]
    return median(values) if values else math.nan
