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
"""Records of a run on a robot: a line per episode, on the terminal and in a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from training.common.files import append_row, read_table, TableError

#: The table in the folder of a run.
TABLE = 'episodes.csv'
#: More than any robot runs; the numbers are those of files.
MOST_EPISODES = 10**9


@dataclass(frozen=True)
class EpisodeRecord:
    """
    One episode.

    :param episode: Its number.
    :param success: 1 or 0; -1 without an end mark.
    :param rewards: Sum of its rewards.
    :param steps: Steps of the node.
    :param transitions: Transitions that were kept.
    :param person_steps: Those of a person.
    :param policy: Its last policy: a number, or ``start``.
    :param updates: Updates on the robot so far.
    :param behind: Transitions that wait for their updates.
    :param seconds: Time since the start of this session.
    """

    episode: int
    success: int
    rewards: float
    steps: int
    transitions: int
    person_steps: int
    policy: str
    updates: int
    behind: int
    seconds: float

    def line(self, ended: str, recent: float | None) -> str:
        """
        Write the line for the terminal.

        :param ended: How it ended.
        :param recent: Share of successes in the last episodes.
        """
        word = {1: 'solved', 0: 'not solved', -1: ended}[self.success]
        person = f', person {self.person_steps}' if self.person_steps else ''
        behind = f', {self.behind} behind' if self.behind > 1 else ''
        last = '' if recent is None else f', recently {recent:.0%}'
        return (
            f'episode {self.episode}: {word}, return {self.rewards:g}, {self.steps} steps, '
            f'policy {self.policy}, {self.updates} updates{person}{behind}{last}')


class RecordTable:
    """
    The records of a run, in a CSV file.

    :param path: The file.
    """

    def __init__(self, path: Path) -> None:
        """
        Read the records of earlier sessions.

        :raises TableError: If the file has something else.
        """
        self._path = path
        self.records: list[EpisodeRecord] = []
        rows = read_table(path) if path.exists() else []
        for i, row in enumerate(rows):
            try:
                self.records.append(_record(row))
            except (ValueError, TypeError, KeyError) as error:
                raise TableError(
                    f'{path}: row {i + 1}: found {str(row)[:200]}, expected '
                    f'{", ".join(member.name for member in fields(EpisodeRecord))}; restore the '
                    'file, or move it away (the episodes themselves are not in it)') from error

    def add(self, record: EpisodeRecord) -> None:
        """
        Append a record.

        :raises WriteError: If it cannot be written.
        """
        append_row(
            self._path, [member.name for member in fields(EpisodeRecord)], asdict(record))
        self.records.append(record)

    def share(self, count: int, last: bool = True) -> float | None:
        """
        Return the share of successes.

        :param count: Number of episodes with an end mark.
        :param last: Whether the last or the first ones.
        """
        marked = [record.success for record in self.records if record.success >= 0]
        chosen = marked[-count:] if last else marked[:count]
        return sum(chosen) / len(chosen) if chosen else None


def _record(row: dict[str, str]) -> EpisodeRecord:
    """Read a row."""
    number = int(row['episode'])
    if not 0 <= number < MOST_EPISODES:
        raise ValueError(f'episode {number}')
    return EpisodeRecord(
        number, int(row['success']), float(row['rewards']), int(row['steps']),
        int(row['transitions']), int(row['person_steps']), row['policy'], int(row['updates']),
        int(row['behind']), float(row['seconds']))
