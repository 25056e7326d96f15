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
"""Result of an evaluation on a robot: a file with every episode and its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
import json
import os
from pathlib import Path
from typing import Any

from dfp_ros.core.files.atomic import atomic_path
from dfp_ros.core.files.bounded_json import read_json
from dfp_ros.core.intervals import wilson_interval
from dfp_ros.core.text.printable import printable

VERSION = 1
KIND = 'dfp_ros evaluation on a robot'
_MOST_BYTES = 16 << 20


class EvaluationError(ValueError):
    """An evaluation cannot start, continue or be written; the message says why."""


@dataclass(frozen=True)
class RobotEpisode:
    """
    One episode that ended; it counts if no person held the dead-man in it.

    :param success: Whether it succeeded.
    :param seconds: Duration in s.
    :param started: Start time, UTC, ISO 8601.
    :param ended_by: ``operator`` (a key), ``mark`` (a mark from another node) or ``time``.
    :param held: Number of diagnostics that reported a held robot; by default one comes per second
        (``diagnostics.interval`` of the policy node).
    :param held_because: Reason in the last of them.
    :param person_steps: Number of control steps in which a person held the dead-man, and so
        commanded the robot, unless it was held.
    """

    success: bool
    seconds: float
    started: str
    ended_by: str
    held: int = 0
    held_because: str = ''
    person_steps: int = 0


@dataclass
class RobotEvaluation:
    """
    Evaluation with all its episodes.

    :param asked: Number of episodes requested.
    :param policy: The policy: name, file, SHA-256 and provenance.
    :param robot: Name and SHA-256 of the robot description.
    :param settings: Parameters of the policy node.
    :param software: Versions and commit.
    :param host: Host name of the machine.
    :param started: Start time, UTC.
    :param episodes: Completed episodes, in order, with those in which a person took over.
    :param dropped: Episodes started that do not count: restarted, abandoned or interrupted.
    :param remarks: Notes for the reader, such as parameters that changed during the evaluation.
    :param plan: How each episode is run: its time limit, the service that prepares it, and the
        time after that; empty in files of earlier versions.
    """

    asked: int
    policy: Mapping[str, Any]
    robot: Mapping[str, Any]
    settings: Mapping[str, Any]
    software: Mapping[str, Any]
    host: str
    started: str
    episodes: list[RobotEpisode] = field(default_factory=list)
    dropped: int = 0
    remarks: list[str] = field(default_factory=list)
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counted(self) -> int:
        """Return the number of episodes that the policy ran alone."""
        return sum(not episode.person_steps for episode in self.episodes)

    @property
    def solved(self) -> int:
        """Return the number of successful episodes among those."""
        return sum(episode.success for episode in self.episodes if not episode.person_steps)

    @property
    def is_complete(self) -> bool:
        """Whether all requested episodes ended."""
        return self.counted >= self.asked

    def sentence(self) -> str:
        """Return the result in one line."""
        ended = self.counted
        others = len(self.episodes) - ended
        left_out = f'; {others} more, in which a person took over, left out' if others else ''
        if not ended:
            return f'no episode ended, of {self.asked} requested{left_out}'
        low, high = wilson_interval(self.solved, ended)
        short = '' if self.is_complete else f'; {self.asked} were requested'
        return (
            f'{self.solved} of {ended} episodes solved: {self.solved / ended:.1%} '
            f"(Wilson's 95 % interval {low:.1%} to {high:.1%}){short}{left_out}")

    def remark(self, text: str) -> bool:
        """Add a note, once; return whether it is new."""
        if text in self.remarks:
            return False
        self.remarks.append(text)
        return True

    def remark_settings(self, settings: Mapping[str, Any]) -> str:
        """
        Note the parameters that are not as they were at the start.

        :param settings: The node's parameters now.
        :return: The note, if it is new; otherwise nothing.
        """
        changed = sorted(
            key for key, value in settings.items()
            if key != 'noise_seed' and self.settings.get(key) != value)
        text = f'parameters changed during the evaluation: {printable(", ".join(changed), 300)}'
        return text if changed and self.remark(text) else ''

    def remark_machine(self, software: Mapping[str, Any], host: str) -> str:
        """
        Note that episodes from now on are run by other software, or on another machine.

        :param software: As :attr:`software`, now.
        :param host: As :attr:`host`, now.
        :return: The note, if it is new; otherwise nothing.
        """
        now = {**software, 'host': host}
        before = {**self.software, 'host': self.host}
        changed = [
            f'{key} {printable(now.get(key))} in place of {printable(before.get(key))}'
            for key in sorted({*now, *before}) if now.get(key) != before.get(key)]
        what = printable(', '.join(changed), 1000) or 'the software and host of the first one'
        begin, between = 'continued after ', ' episodes with '
        last = next((
            remark.partition(between)[2] for remark in reversed(self.remarks)
            if remark.startswith(begin)), '')
        # It holds from then on, until another note says otherwise.
        if what == last or not changed and not last:
            return ''
        # Also if it was so before, and no episode came between.
        self.remarks.append(text := f'{begin}{len(self.episodes)}{between}{what}')
        return text

    def require_same(self, policy: Mapping[str, Any], robot: Mapping[str, Any]) -> None:
        """
        Check that policy and robot are those of the earlier episodes.

        :raises EvaluationError: If the policy or the robot description differs.
        """
        for what, mine, other in (('policy', self.policy, policy), ('robot', self.robot, robot)):
            if mine.get('sha256') != other.get('sha256'):
                raise EvaluationError(
                    f'{what}: found {_whose(other)}, expected {_whose(mine)}: a success '
                    'rate belongs to one policy and one robot. Start another '
                    'evaluation with another --out')

    def require_same_plan(self, plan: Mapping[str, Any]) -> None:
        """
        Check that episodes are run as the earlier ones.

        :raises EvaluationError: If an option differs.
        """
        if not self.plan:
            self.remark('the options of the earlier episodes are unknown')
            self.plan = plan
        for option, value in plan.items():
            if self.plan.get(option) != value:
                raise EvaluationError(
                    f'--{option}: found {value!r}, expected {printable(self.plan.get(option))} '
                    'as in the earlier episodes: a success rate belongs to one kind of episode. '
                    'Continue with the same option, or start another evaluation with another '
                    '--out')

    def write(self, path: Path) -> None:
        """
        Write the result atomically.

        :raises EvaluationError: If it cannot be written.
        """
        ended = self.counted
        low, high = wilson_interval(self.solved, ended)
        content = {
            'kind': KIND, 'version': VERSION, 'complete': self.is_complete,
            'success': {
                'solved': self.solved, 'episodes': ended,
                'rate': self.solved / ended if ended else None,
                'low': low, 'high': high, 'interval': "Wilson's, 95 %",
                'left_out_with_a_person': len(self.episodes) - ended},
            **asdict(self)}
        try:
            with atomic_path(path) as partial, partial.open('w', encoding='utf-8') as file:
                json.dump(content, file, indent=1, allow_nan=False)
                file.write('\n')
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise EvaluationError(f'--out: {path} cannot be written: {error.strerror}') from error


def read_evaluation(path: Path) -> RobotEvaluation:
    """
    Read a file written by :meth:`RobotEvaluation.write`.

    :raises EvaluationError: If it is not such a file.
    """
    try:
        if not path.is_file():
            raise EvaluationError(f'--out: {path} is not a file')
        if path.stat().st_size > _MOST_BYTES:
            raise EvaluationError(f'--out: {path} is larger than any evaluation')
        # What has no place in JSON, such as NaN, could not be written again.
        content = read_json(path.read_bytes(), _MOST_BYTES)
        if content['kind'] != KIND or content['version'] != VERSION:
            raise ValueError('another kind or version')
        return RobotEvaluation(
            _count(content, 'asked'), dict(content['policy']), dict(content['robot']),
            dict(content['settings']), dict(content['software']), str(content['host']),
            str(content['started']), [_episode(item) for item in content['episodes']],
            _count(content, 'dropped'), [str(text) for text in content['remarks']],
            dict(content.get('plan', {})))
    except OSError as error:
        raise EvaluationError(f'--out: {path} cannot be read: {error.strerror}') from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, EvaluationError):
            raise
        raise EvaluationError(
            f'--out: {path} is not an evaluation on a robot ({type(error).__name__}: '
            f'{printable(error)}); name another file') from error


def _count(content: Mapping[str, Any], key: str) -> int:
    """Parse a count."""
    found = content[key]
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ValueError(f'{key}: {printable(found)} is no count')
    return found


def _episode(item: Mapping[str, Any]) -> RobotEpisode:
    """Parse one episode."""
    if not isinstance(item['success'], bool):
        raise ValueError('an episode without a success that is true or false')
    return RobotEpisode(
        item['success'], _duration(item['seconds']), str(item['started']), str(item['ended_by']),
        _count(item, 'held'), str(item['held_because']),
        _count({'person_steps': 0, **item}, 'person_steps'))


def _duration(found: Any) -> float:
    """Parse a duration in s; a text such as ``nan`` could not be written again."""
    if not isinstance(found, int | float) or isinstance(found, bool) or found < 0:
        raise ValueError(f'seconds: {printable(found)} is no duration')
    return float(found)


def _whose(what: Mapping[str, Any]) -> str:
    """Name a policy or a robot with the start of its hash."""
    return f'{printable(what.get("name"))} (sha256 {printable(what.get("sha256"))[:12]})'


def policy_of(status: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a status that identifies a policy."""
    spec = status['spec']
    return {
        'name': status['name'], 'path': status['path'], 'sha256': status['sha256'],
        'environment': spec['environment'], 'period': spec['period'],
        'commit': dict(spec['provenance']).get('commit')}
