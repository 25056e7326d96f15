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
"""Segmentation of control steps into episodes, by marks, gaps and changes of the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dfp_ros.core.arrays import Pictures
from dfp_ros.core.control.episode_marks import FAILURE, MARKS, START, SUCCESS
from training.data.formats.rosbag.report import Report
from training.data.formats.rosbag.steps import Step, Tick


@dataclass(frozen=True)
class Piece:
    """
    Consecutive steps, of which the last gives the state after the action of the one before.

    :param observations: Shape (steps, obs_dim), float32.
    :param actions: Shape (steps, act_dim).
    :param success: Whether the last state is a success.
    :param policies: Number of the policy in each step, 0 if unknown.
    :param by_person: Whether a person commanded, for each step.
    :param pictures: Pictures of each step; none without cameras.
    """

    observations: np.ndarray
    actions: np.ndarray
    success: bool
    policies: tuple[int, ...] = ()
    by_person: tuple[bool, ...] = ()
    pictures: tuple[Pictures, ...] = ()

    @classmethod
    def of(cls, ticks: Sequence[Tick], success: bool) -> Piece:
        """Make it of consecutive steps."""
        return cls(
            np.array([tick.observation for tick in ticks], np.float32),
            np.array([tick.action for tick in ticks]), success,
            tuple(tick.policy for tick in ticks), tuple(tick.by_person for tick in ticks),
            tuple(tick.pictures for tick in ticks))


class EpisodeCutter:
    """
    Splits steps into episodes at the marks, and episodes into pieces at the gaps.

    If the policy or who commands changes, a piece ends with the first step after the change, whose
    observation is the outcome of the action before, and the next one begins with that step.

    :param marked: Whether an episode needs a start mark; else the steps before the first mark are
        one.
    :param unended: ``keep`` keeps episodes without an end mark, as not solved.
    :param report: Report, to which counts are added.

    :ivar pieces: Pieces of the current episode so far, some of a single step or empty; None
        between episodes.
    """

    def __init__(self, marked: bool, unended: str, report: Report) -> None:
        """Start before the first step."""
        self.pieces: list[list[Tick]] | None = None if marked else [[]]
        self._unended, self._report = unended, report
        self._is_stopped = False

    def add(self, step: Step) -> list[Piece] | None:
        """
        Add a control step or a mark, in order of time.

        :return: The pieces of the episode that ended with it, perhaps none; None if it goes on.
        """
        counts = self._report.counts
        if isinstance(step, Tick):
            self._add_tick(step)
            return None
        if step == START:
            ended = self.give_up('started again')
            self.pieces, self._is_stopped = [[]], False
            counts['episodes marked'] += 1
            return ended
        ended = None
        if step not in (SUCCESS, FAILURE):
            counts[f'unknown marks, not {", ".join(MARKS)}'] += 1
            return None
        if self.pieces is None:
            counts['ends without a start'] += 1
        else:
            ended = self._finish(step == SUCCESS)
        self.pieces = None
        return ended

    def give_up(self, reason: str) -> list[Piece] | None:
        """
        End the current episode without a mark.

        :param reason: Reason for the report.
        :return: Its pieces, if such episodes are kept; None if there is none.
        """
        if self.pieces is None:
            return None
        self._report.counts[f'episodes {reason}'] += 1
        ended = self._finish(False) if self._unended == 'keep' else None
        self.pieces = None
        return ended

    def _add_tick(self, tick: Tick) -> None:
        """Add a control step."""
        if self.pieces is None:
            self._report.counts['steps outside episodes'] += 1
            return
        self._report.tick(tick)
        if tick.is_stop:
            # A gap for what comes after it; an end mark is of the steps before.
            self._is_stopped = True
            return
        if tick.problem or not tick.follows or self._is_stopped:
            self._is_stopped = False
            # A robot may be held for hours.
            if self.pieces[-1]:
                self.pieces.append([])
        elif tick.changes and self.pieces[-1]:
            self._report.counts['splits at changes of policy or commander'] += 1
            self.pieces[-1].append(tick)
            self.pieces.append([])
        if not tick.problem:
            self.pieces[-1].append(tick)

    def _finish(self, success: bool) -> list[Piece]:
        """End the current episode."""
        counts, pieces = self._report.counts, self.pieces or [[]]
        counts['episodes kept'] += 1
        # With a gap, or a single step, before the mark, the step that led to the success is
        # unknown.
        last = pieces[-1]
        before = pieces[-2] if len(pieces) > 1 else []
        if len(last) == 1 and before and before[-1] is last[0]:
            # The policy or the commander changed there: the step that led to it is in that piece.
            last = before
        reached = success and len(last) > 1
        counts['episodes solved'] += reached
        counts['successes lost in a gap'] += success and not reached
        whole = [piece for piece in pieces if len(piece) > 1]
        counts['splits at gaps'] += max(0, len(whole) - 1)
        return [Piece.of(piece, reached and piece is last) for piece in whole]


def cut(
        steps: Iterable[Step], marked: bool, unended: str, report: Report) -> Iterator[Piece]:
    """
    Split steps into episodes at the marks, and episodes into pieces at the gaps.

    :param steps: Control steps and marks, in order of time; see :class:`EpisodeCutter`.
    """
    cutter = EpisodeCutter(marked, unended, report)
    for step in steps:
        yield from cutter.add(step) or ()
    yield from cutter.give_up('without an end') or ()
