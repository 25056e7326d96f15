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
"""The report of a preflight: for people, as a file, and as what an activation may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
import datetime
import json
import math
import os
from pathlib import Path
import platform
from typing import Any

from dfp_ros.core.files.atomic import atomic_path
from dfp_ros.core.files.bounded_file import LARGEST_TEXT, read_regular
from dfp_ros.core.files.bounded_json import read_json
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.tools.preflight.measurements import Figures, PARTS, Percentiles
from dfp_ros.tools.preflight.verdict import Verdict

VERSION = 1
# Rates are equal when they differ by no more than how they are written.
_RATE_TOLERANCE = 1e-6
_LARGEST = 1e6


class PreflightError(ValueError):
    """There is no preflight report that an activation could go by; the message says why."""


@dataclass(frozen=True)
class Subject:
    """
    What a preflight is about; another one needs a preflight of its own.

    :param policy: The policy's name.
    :param policy_sha256: Hash of the policy file.
    :param robot: The robot's name.
    :param robot_sha256: Hash of the robot description.
    :param rate: Control rate in Hz.
    :param candidates: Candidates a chunk.
    :param host: Name of the machine.
    """

    policy: str
    policy_sha256: str
    robot: str
    robot_sha256: str
    rate: float
    candidates: int
    host: str


def describe_machine() -> dict[str, Any]:
    """Describe the machine and how busy it is."""
    return {
        'processor': platform.processor() or platform.machine(), 'cores': os.cpu_count(),
        'system': platform.platform(), 'load': [round(load, 2) for load in os.getloadavg()]}


def write_report(path: Path, subject: Subject, figures: Figures, verdict: Verdict) -> None:
    """
    Write a report as JSON, in one piece.

    :param path: The file; its folder has to exist.
    :param subject: What it is about.
    :param figures: What was measured.
    :param verdict: What follows.
    :raises OSError: Where it cannot be written.
    """
    content = _plain({
        'version': VERSION, 'passed': verdict.passed,
        'made': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'subject': asdict(subject), 'machine': describe_machine(), 'verdict': verdict.sentence,
        'fastest_rate': verdict.fastest,
        'remarks': [
            {'level': remark.level.value, 'about': remark.about, 'text': remark.text}
            for remark in verdict.remarks],
        'figures': asdict(figures)})
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + '\n')


def remedy(path: Path) -> str:
    """Say what makes a report that an activation can go by."""
    return f'run `ros2 run dfp_ros preflight --json {path}` with the parameters of this node'


def require_passed(
        path: Path, subject: Subject, hours: float, now: datetime.datetime,
        content: bytes | None = None) -> None:
    """
    See that a report is there, fits, is fresh, and says that all is well.

    :param path: The file.
    :param subject: What is to fly.
    :param hours: How old it may be.
    :param now: The time, with a time zone.
    :param content: What is in it, where that was read before.
    :raises PreflightError: Where it is not.
    """
    what_to_do = remedy(path)
    try:
        if content is None:
            content = read_regular(path, LARGEST_TEXT)
        report = read_json(content)
        found = Subject(**report['subject'])
        made = datetime.datetime.fromisoformat(report['made'])
        age = (now - made).total_seconds() / 3600
        passed, sentence, version = report['passed'], report['verdict'], report['version']
    except OSError as error:
        raise PreflightError(
            f'preflight report {path}: cannot be read: {error.strerror}; {what_to_do}') from error
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise PreflightError(
            f'preflight report {path}: is not one ({type(error).__name__}: {error}); '
            f'{what_to_do}') from error
    if version != VERSION:
        raise PreflightError(
            f'preflight report {path}: found version {printable(version)}, expected {VERSION}; '
            f'{what_to_do}')
    for key, value in asdict(subject).items():
        other = getattr(found, key)
        # JSON may have whole numbers of which no float can be made.
        if isinstance(value, float) and isinstance(other, int | float) and (
                -_LARGEST < other < _LARGEST) and math.isclose(
                    value, other, rel_tol=_RATE_TOLERANCE):
            continue
        if other != value:
            raise PreflightError(
                f'preflight report {path}: is about {key} {printable(repr(other))}, here it is '
                f'{value!r}; {what_to_do}')
    if not -1 / 60 <= age <= hours:
        raise PreflightError(
            f'preflight report {path}: was made at {printable(report["made"])}, {age:.1f} h ago, '
            f'expected at most {hours:g} h; {what_to_do}')
    if passed is not True:
        raise PreflightError(
            f'preflight report {path}: {printable(sentence, 200)}; mend what it names, then '
            f'{what_to_do}')


def format_report(subject: Subject, figures: Figures, verdict: Verdict) -> str:
    """Write a report for a terminal."""
    lines = [
        f'Preflight of policy {subject.policy} (sha256 {subject.policy_sha256[:12]}) on robot '
        f'{subject.robot} (sha256 {subject.robot_sha256[:12]})',
        f'{figures.seconds:g} s at {figures.rate:g} Hz, {subject.candidates} candidate(s) a '
        f'chunk, {figures.ticks} ticks, {figures.missed} missed. Nothing was commanded.', '']
    lines += _table(
        ('tick, ms', 'p50', 'p99', 'p99.9', 'largest', 'of'), [
            *(_tick_row(name, figures.parts.get(name, Percentiles(0))) for name in PARTS),
            _tick_row('together', figures.together),
            _tick_row('observation_age', figures.observation_age)], 1)
    lines += ['', *_table(
        ('source', 'topic', 'rate, Hz', 'jitter, ms', 'longest gap, ms', 'stamp to arrival, ms'), [
            (source.name, source.topic, _number(source.rate), _number(source.jitter * 1e3),
             _number(source.longest_gap * 1e3 if source.count else math.nan),
             _number(source.offset * 1e3))
            for source in figures.sources], 2)]
    lines += ['', *_table(
        ('command', 'topic', 'listeners'), [
            (command.name, command.topic,
             ', '.join(end.node for end in command.subscribers if not end.problem) or 'none')
            for command in figures.commands], 3), '']
    lines += [
        printable(f'{remark.level.value}  {remark.about}: {remark.text}', TEXT)
        for remark in verdict.remarks]
    return '\n'.join([*lines, verdict.sentence])


def _tick_row(name: str, figures: Percentiles) -> tuple[str, ...]:
    """Write one line of the first table."""
    numbers = figures.p50, figures.p99, figures.p999, figures.largest
    return name.replace('_', ' '), *map(_number, numbers), str(figures.count)


def _number(value: float) -> str:
    """Write a number of a table, a dash for none."""
    if not math.isfinite(value):
        return '-'
    return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> list[str]:
    """Set a table in columns; after the first ones, which are texts, come numbers."""
    every = [head, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]
    return [
        '  '.join(
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in every]


def _plain(value: Any) -> Any:
    """Make JSON of it: what is not a number becomes null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
