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
Files of the episodes of a robot, written as they end, in the format of converted recordings.

A folder of them is the ``--data`` of a training run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any

from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.spec import PolicySpec
from training.data.datasets.alike import difference
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.columns import interventions, join_pieces
from training.data.formats.rosbag.episodes import Piece
from training.data.transitions import stored
from training.data.transitions.transitions import (
    COLUMNS,
    DataError,
    observation_fields,
    SAME_PERIOD,
    Transitions,
)
from training.robot.live_episodes import LiveEpisode, Row

#: Folders in that of a run.
EPISODES, DEMONSTRATIONS = 'episodes', 'demonstrations'
_NAME = re.compile(r'episode-([0-9]{6,9})\.npz')


class EpisodeFiles:
    """
    Writer and reader of a run's episodes.

    :param run: Folder of the run.
    :param spec: Specification of the policy, for the fields.
    """

    def __init__(self, run: Path, spec: PolicySpec) -> None:
        """Create nothing yet."""
        self._run, self._spec = run, spec
        self._layout = ActionLayout.of_policy(spec)

    def write(self, episode: LiveEpisode, first: int) -> Path | None:
        """
        Write an episode, and what a person did in it once more as a demonstration.

        :param first: Number of transitions before it.
        :return: The file of the episode; None if it has no transition.
        :raises OSError: If a file cannot be written.
        """
        if not episode.pieces:
            return None
        source = {
            'episode': episode.number, 'first': first, 'ended': episode.ended,
            'steps': episode.transitions, 'episodes': len(episode.pieces),
            'solved_steps': sum(piece.success for piece in episode.pieces),
            'policies': [f'{number:012x}' for number in episode.policies],
            'person_steps': episode.person_steps, 'dropped': episode.dropped}
        path = self._run / EPISODES / f'episode-{episode.number:06d}.npz'
        persons = [piece for piece in episode.pieces if all(piece.by_person[:-1])]
        if persons:
            self._save(
                self._run / DEMONSTRATIONS / f'demonstration-{episode.number:06d}.npz', persons,
                source)
        self._save(path, episode.pieces, source)
        return path

    def rows_from(self, first: int, notes: list[str]) -> Iterator[tuple[Row, int]]:
        """
        Read the transitions after a number of them, in order.

        :param first: This number, which may be within an episode.
        :param notes: Descriptions of what cannot be read, or is not there, are appended.
        :return: Each transition, and how many before it are lost.
        """
        expected = first
        for path in sorted((self._run / EPISODES).glob('episode-*.npz')):
            try:
                if not path.is_file():
                    # Reading a FIFO or a device would not end.
                    raise DataError('found something other than a regular file')
                found = stored.load(path)
                self._require_fit(found)
                begin = int(found.source['first'])
            except (DataError, OSError, KeyError, TypeError, ValueError, OverflowError) as error:
                notes.append(f'{printable(path, TEXT)}: left out: {error}')
                continue
            if begin + len(found) <= expected:
                continue
            if lost := max(0, begin - expected):
                notes.append(
                    f'{printable(path, TEXT)}: found transitions from number {begin}, expected '
                    f'{expected}; those between are lost')
            for i in range(max(0, expected - begin), len(found)):
                yield {name: getattr(found, name)[i] for name in COLUMNS}, lost
                lost = 0
            expected = begin + len(found)

    def _require_fit(self, found: Transitions) -> None:
        """
        Require the fields of the run, with their units and the limits of actions, and its period.

        :raises DataError: If a file has others.
        """
        for kind, theirs, ours in (
                ('observation', found.observation_fields, self._spec.observation),
                ('action', found.action_fields, self._spec.action)):
            if fault := difference(theirs, ours, 'the run'):
                raise DataError(f'{kind} {fault}: it is of another robot')
        if abs(found.period - self._spec.period) > SAME_PERIOD * self._spec.period:
            raise DataError(
                f'found a period of {found.period:g} s, expected {self._spec.period:g} s')

    def numbers(self) -> list[int]:
        """Numbers of the episodes in the folder, in order."""
        return sorted(
            int(found[1]) for path in (self._run / EPISODES).glob('episode-*.npz')
            if (found := _NAME.fullmatch(path.name)))

    def _save(
            self, path: Path, pieces: list[Piece] | tuple[Piece, ...],
            source: dict[str, Any]) -> None:
        """Write pieces as transitions."""
        columns, clipped = join_pieces(pieces)
        layout = [(field.name, field.size, field.unit) for field in self._spec.observation]
        transitions = Transitions(
            **columns, observation_fields=observation_fields(layout, columns['observations']),
            action_fields=self._layout.fields_of(columns['actions']), period=self._spec.period,
            source={**source, 'clipped': clipped}, interventions=interventions(pieces)).check(path)
        stored.save(path, transitions)
