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
"""
Transitions of a running robot, from its decisions and episode marks as they come.

Steps, pieces and columns are those of :mod:`training.data.formats.rosbag`: what is learned from is
what a conversion of the recording has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.control.episode_marks import START, SUCCESS
from dfp_ros.spec import PolicySpec
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.columns import join_pieces, transition_columns
from training.data.formats.rosbag.decision_steps import DecisionSteps, LoggedObservations
from training.data.formats.rosbag.episodes import EpisodeCutter, Piece
from training.data.formats.rosbag.report import Report
from training.data.formats.rosbag.steps import Tick

Row = dict[str, Any]

#: How an episode has ended, if another one began.
AGAIN = 'started again'


@dataclass(frozen=True)
class LiveEpisode:
    """
    An episode that has ended.

    :param number: Its number, from 0.
    :param pieces: Its pieces, of two steps or more each.
    :param ended: ``success``, ``failure``, or why it ended without a mark.
    :param steps: Number of steps of the node.
    :param dropped: Number of those that could not be used, by reason.
    """

    number: int
    pieces: tuple[Piece, ...]
    ended: str
    steps: int
    dropped: dict[str, int]

    @property
    def success(self) -> bool | None:
        """Whether it was a success; None without an end mark, or without a step to judge."""
        return self.ended == SUCCESS if self.is_marked and self.steps else None

    @property
    def is_marked(self) -> bool:
        """Whether it has an end mark."""
        return self.ended in ('success', 'failure')

    @property
    def is_over(self) -> bool:
        """Whether a mark has ended it, or begun the next one; else the robot may go on in it."""
        return self.is_marked or self.ended == AGAIN

    @property
    def transitions(self) -> int:
        """Return the number of its transitions."""
        return sum(len(piece.observations) - 1 for piece in self.pieces)

    @property
    def policies(self) -> tuple[int, ...]:
        """Numbers of the policies of its steps, each once, without those of a person's steps."""
        return tuple(dict.fromkeys(self._deciding))

    @property
    def last_policy(self) -> int | None:
        """Find the number of the policy of its last step, without those of a person."""
        return next(reversed(self._deciding), None)

    @property
    def _deciding(self) -> list[int]:
        """Numbers of the policies, one for each step, in order."""
        return [
            policy for piece in self.pieces
            for policy, person in zip(piece.policies, piece.by_person, strict=True) if not person]

    @property
    def person_steps(self) -> int:
        """Count the transitions of a person."""
        return sum(sum(piece.by_person[:-1]) for piece in self.pieces)

    @property
    def rewards(self) -> float:
        """Sum of its rewards."""
        return float(sum(piece.success for piece in self.pieces) - self.transitions)


class LiveEpisodes:
    """
    Turns decisions and marks into transitions.

    A transition is final once its successor is known to follow it, or not to. So each comes one
    step late, and the last of an episode with its mark. Unlike in a recording, an episode that
    is started again is not dropped: its transitions were learned from already.

    :param layout: What the numbers of an action mean.
    :param period: Control period in s.
    :param number: Number of the next episode.
    :param relative: Names of the action fields that are relative to the position of the robot.
    """

    def __init__(
            self, layout: ActionLayout, period: float, number: int = 0,
            relative: Collection[str] = ()) -> None:
        """Start between two episodes."""
        self._steps = DecisionSteps(
            layout, round(period * 1e9), False, LoggedObservations(), relative, is_live=True)
        self._report = Report()
        self._cutter = EpisodeCutter(True, 'keep', self._report)
        self._given = 0
        self._length = 0
        self._dropped: Counter[str] = Counter()
        self.number = number
        self.last: Tick | None = None

    @property
    def is_within_episode(self) -> bool:
        """Whether an episode has begun and not ended."""
        return self._cutter.pieces is not None

    @property
    def report(self) -> Report:
        """Return the counts over all episodes."""
        return self._report

    def decide(self, decision: RecordedDecision) -> list[Row]:
        """
        Add the next decision of the node.

        :return: The transitions that are final with it.
        :raises DataError: If it does not have the fields of the actions.
        """
        tick = self.last = self._steps.add(decision)
        if self.is_within_episode:
            self._length += 1
            if tick.problem:
                self._dropped[tick.problem] += 1
        self._cutter.add(tick)
        return self._final()

    def mark(self, word: str) -> tuple[list[Row], LiveEpisode | None]:
        """
        Add an episode mark.

        :return: The transitions that are final with it, and the episode that it ends, if any.
        """
        if word == START and self.is_within_episode and not self._length:
            # Published again, for a subscriber that joined late.
            return [], None
        ended = self._cutter.add(word)
        return self._end(ended, AGAIN if word == START else word)

    def give_up(self, reason: str) -> tuple[list[Row], LiveEpisode | None]:
        """
        End the current episode, if any, without a mark.

        :return: As :meth:`mark`.
        """
        return self._end(self._cutter.give_up(reason), reason)

    def _end(
            self, pieces: Sequence[Piece] | None, ended: str,
    ) -> tuple[list[Row], LiveEpisode | None]:
        """Return the remaining transitions of an episode, and the episode."""
        if pieces is None:
            return [], None
        rows = []
        if pieces:
            columns, _ = join_pieces(pieces)
            size = len(columns['rewards'])
            rows = [
                {name: values[i] for name, values in columns.items()}
                for i in range(self._given, size)]
        episode = LiveEpisode(
            self.number, tuple(pieces), ended, self._length, dict(self._dropped))
        self.number += 1
        self._given, self._length, self._dropped = 0, 0, Counter()
        return rows, episode

    def _final(self) -> list[Row]:
        """Return the transitions of the current episode that are final and were not given yet."""
        pieces = self._cutter.pieces
        rows: list[Row] = []
        if not pieces:
            return rows
        sizes = [max(0, len(piece) - 1) for piece in pieces]
        before, last = 0, sum(sizes) - 1
        for piece, size in zip(pieces, sizes, strict=True):
            for i in range(max(0, self._given - before), min(size, last - before)):
                rows.append(_row(piece[i], piece[i + 1], i == size - 1))
                self._given += 1
            before += size
        return rows


def _row(tick: Tick, following: Tick, ends: bool) -> Row:
    """Make a transition that did not lead to a success."""
    assert tick.observation is not None
    assert tick.action is not None
    assert following.observation is not None
    columns = transition_columns(
        tick.observation[None], tick.action[None], following.observation[None],
        np.array([ends]), np.array([False]))
    return {name: values[0] for name, values in columns.items()}


def anchor_fault(spec: PolicySpec, relative: Collection[str]) -> str:
    """
    Say why the decisions of a policy have no actions to learn from; empty if they do.

    :param spec: Specification of the policy.
    :param relative: Names of the action fields that are relative to the position of the robot.
    """
    if not relative or spec.anchor == 'tick':
        return ''
    return (
        f'found a policy whose anchor is {spec.anchor}, expected tick: its '
        f'{", ".join(relative)} is relative to the position that its chunk was planned from, '
        'which decisions do not have')
