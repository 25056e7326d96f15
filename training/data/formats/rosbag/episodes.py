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
"""Segmentation of control steps into episodes, by marks and gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dfp_ros.core.control.episode_marks import FAILURE, MARKS, START, SUCCESS
from training.data.formats.rosbag.report import Report
from training.data.formats.rosbag.steps import Step, Tick


@dataclass(frozen=True)
class Piece:
    """
    Consecutive steps.

    :param observations: Of each step.
    :param actions: Of each step.
    :param success: Whether the last state is a success.
    :param by_person: Whether a person commanded, of each step.
    """

    observations: np.ndarray
    actions: np.ndarray
    success: bool
    by_person: np.ndarray


def cut(
        steps: Iterable[Step], marked: bool, unended: str, report: Report) -> Iterator[Piece]:
    """
    Split steps into episodes at the marks, and episodes into pieces at the gaps.

    :param steps: Control steps and marks, in order of time.
    :param marked: Whether an episode needs a start mark; else the steps before the first mark are
        one.
    :param unended: ``keep`` keeps episodes without an end mark, as not solved.
    :param report: Report, to which counts are added.
    """
    # Pieces of the current episode, None between episodes.
    pieces: list[list[Tick]] | None = None if marked else [[]]
    counts = report.counts

    def finish(success: bool) -> Iterator[Piece]:
        counts['episodes kept'] += 1
        # With a gap, or a single step, before the mark, the step that led to the success is
        # unknown.
        reached = success and bool(pieces and len(pieces[-1]) > 1)
        counts['episodes solved'] += reached
        counts['successes lost in a gap'] += success and not reached
        whole = [piece for piece in pieces or () if len(piece) > 1]
        counts['splits at gaps'] += max(0, len(whole) - 1)
        for piece in whole:
            yield Piece(
                np.array([tick.observation for tick in piece], np.float32),
                np.array([tick.action for tick in piece]),
                reached and piece is (pieces or [[]])[-1],
                np.array([tick.by_person for tick in piece]))

    def give_up(reason: str) -> Iterator[Piece]:
        if pieces is not None:
            counts[f'episodes {reason}'] += 1
            if unended == 'keep':
                yield from finish(False)

    for step in steps:
        if isinstance(step, Tick):
            if pieces is None:
                counts['steps outside episodes'] += 1
                continue
            report.tick(step)
            if step.problem or not step.follows:
                pieces.append([])
            if not step.problem:
                pieces[-1].append(step)
        elif step == START:
            yield from give_up('started again')
            pieces = [[]]
            counts['episodes marked'] += 1
        elif step in (SUCCESS, FAILURE):
            if pieces is None:
                counts['ends without a start'] += 1
            else:
                yield from finish(step == SUCCESS)
            pieces = None
        else:
            counts[f'unknown marks, not {", ".join(MARKS)}'] += 1
    yield from give_up('without an end')
