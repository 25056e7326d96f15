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
"""Ledger of a run on the robot: its episodes' files, their records, and the successes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfp_ros.spec import PolicySpec
from training.robot.episode_files import EpisodeFiles
from training.robot.live_episodes import LiveEpisode, Row
from training.robot.records import EpisodeRecord, RecordTable, TABLE
from training.robot.releases import OTHER
from training.robot.success_watch import SuccessWatch, Verdict


class EpisodeLedger:
    """
    Writes each episode that ends, and compares the success of the last ones with the best.

    :param out: Folder of the run on the robot.
    :param spec: Specification of the policy, for the fields.
    :param received: Transitions of earlier sessions that are in the checkpoint.
    :param solved: Successes of all sessions, which are added to.
    :param window: Episodes of which the success is compared.

    :ivar received: Transitions so far.
    :ivar ended: Episodes with a step in this session.
    """

    def __init__(
            self, out: Path, spec: PolicySpec, received: int, solved: list[bool],
            window: int) -> None:
        """Find what earlier sessions left."""
        self._files = EpisodeFiles(out, spec)
        self._table = RecordTable(out / TABLE)
        self._watch = SuccessWatch(window)
        for record in self._table.records:
            if record.success >= 0 and _counts(record.policy, record.person_steps):
                self._watch.add(bool(record.success), record.policy)
        self.received = received
        self.ended = 0
        self._all_solved = solved
        self._solved: list[bool] = []

    @property
    def next_number(self) -> int:
        """Return the number of the next episode."""
        return 1 + max([
            *self._files.numbers(), *(record.episode for record in self._table.records)],
            default=-1)

    @property
    def policies(self) -> list[str]:
        """Names of the policies of all episodes, in order."""
        return [record.policy for record in self._table.records]

    @property
    def best_policy(self) -> str:
        """Policy that ended the best window; empty before there is one."""
        return self._watch.best_policy

    @property
    def recent(self) -> float | None:
        """Share of successes in the last 20 episodes; None before there is one."""
        return self._table.share(20)

    def rows_on_disk(self, notes: list[str]) -> Iterator[tuple[Row, int]]:
        """
        Read the transitions that are on the disk and not in the checkpoint.

        :param notes: Descriptions of what cannot be read, or is not there, are appended.
        :return: Each transition, and how many before it are lost.
        """
        return self._files.rows_from(self.received, notes)

    def write(self, episode: LiveEpisode) -> None:
        """
        Write the files of an episode that has ended.

        :raises OSError: If one cannot be written.
        """
        self._files.write(episode, self.received)
        self.received += episode.transitions
        # Marks without a step between them are no episode.
        self.ended += bool(episode.steps)

    def record(
            self, episode: LiveEpisode, policy: str, updates: int, behind: int,
            seconds: float) -> tuple[EpisodeRecord, Verdict | None]:
        """
        Record an episode that was written.

        :param policy: Name of its last policy.
        :param updates: Updates on the robot so far.
        :param behind: Transitions that wait for their updates.
        :param seconds: Time since the start of this session.
        :return: The record, and the loss of success, if it is significant.
        :raises OSError: If it cannot be written.
        """
        success = -1 if episode.success is None else int(episode.success)
        record = EpisodeRecord(
            episode.number, success, episode.rewards, episode.steps, episode.transitions,
            episode.person_steps, policy, updates, behind, round(seconds, 2))
        self._table.add(record)
        verdict = None
        if episode.success is not None:
            self._solved.append(episode.success)
            self._all_solved.append(episode.success)
            if _counts(policy, episode.person_steps):
                verdict = self._watch.add(episode.success, policy)
        return record, verdict

    def result(self) -> dict[str, Any]:
        """Summarise the episodes."""
        table = self._table
        return {
            'episodes': self.ended, 'episodes_of_all_sessions': len(table.records),
            'solved': sum(self._solved), 'success_first_20': table.share(20, last=False),
            'success_last_20': table.share(20)}


def _counts(policy: str, person_steps: int) -> bool:
    """Return whether an episode says something of a policy of this run."""
    return not person_steps and policy != OTHER
