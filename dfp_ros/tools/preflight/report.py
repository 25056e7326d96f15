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
"""Report of a preflight: printed, written as a file, and required by an activation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
import datetime
import errno
import json
import math
import os
from pathlib import Path
import platform
from typing import Any

from dfp_ros.core.files.atomic import atomic_path, partial_path
from dfp_ros.core.files.bounded_file import LARGEST_TEXT, read_regular
from dfp_ros.core.files.bounded_json import read_json
from dfp_ros.core.files.replaceable import require_replaceable
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.tools.preflight.measurements import Figures, PARTS, Percentiles
from dfp_ros.tools.preflight.verdict import Verdict

VERSION = 1
# Rates are equal if they differ only by rounding in their text.
_RATE_TOLERANCE = 1e-6
_LARGEST = 1e6
# More bytes than a report usually has.
_USUAL_SIZE = 1 << 16


class PreflightError(ValueError):
    """No preflight report permits the activation; the message says why."""


@dataclass(frozen=True)
class Subject:
    """
    Identity of policy, robot and machine; any other combination needs its own preflight.

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
    """Describe the machine and its load."""
    return {
        'processor': platform.processor() or platform.machine(), 'cores': os.cpu_count(),
        'system': platform.platform(), 'load': [round(load, 2) for load in os.getloadavg()]}


def write_report(path: Path, subject: Subject, figures: Figures, verdict: Verdict) -> None:
    """
    Write a report as JSON, atomically.

    :param path: The file; its folder must exist.
    :param subject: Identity of policy, robot and machine.
    :param figures: Measurements.
    :param verdict: Verdict on them.
    :raises PreflightError: If it cannot be written.
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
    try:
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(content, indent=2, allow_nan=False) + '\n')
    except OSError as error:
        raise unwritable(path, error) from error


def require_writable(path: Path) -> None:
    """
    Check that a report can be written, before anything is measured.

    :param path: The file; one that is there stays as it is.
    :raises PreflightError: If it cannot; names the file.
    """
    try:
        # As the report itself; on a full disk, only writing fails.
        partial = partial_path(path)
        require_replaceable(path)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        try:
            partial.write_bytes(bytes(_USUAL_SIZE))
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> PreflightError:
    """Make the error for a report that cannot be written."""
    return PreflightError(
        f'report {path}: cannot be written: {error.strerror or error}; make room or name another '
        'file with --json')


def remedy(path: Path) -> str:
    """Return the command that makes a report which permits the activation."""
    return f'run `ros2 run dfp_ros preflight --json {path}` with the parameters of this node'


def require_passed(
        path: Path, subject: Subject, hours: float, now: datetime.datetime,
        content: bytes | None = None) -> None:
    """
    Check that a report exists, matches, is recent enough, and has passed.

    :param path: The file.
    :param subject: Identity of policy, robot and machine at activation.
    :param hours: Maximum age in hours.
    :param now: Current time, with a time zone.
    :param content: Content of the file if it has already been read.
    :raises PreflightError: If it is not.
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
            f'preflight report {path}: is not a preflight report ({type(error).__name__}: '
            f'{error}); {what_to_do}') from error
    if version != VERSION:
        raise PreflightError(
            f'preflight report {path}: found version {printable(version)}, expected {VERSION}; '
            f'{what_to_do}')
    for key, value in asdict(subject).items():
        other = getattr(found, key)
        # JSON may contain integers too large for a float.
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
            f'preflight report {path}: {printable(sentence, 200)}; correct the faults it names, '
            f'then {what_to_do}')


def format_report(subject: Subject, figures: Figures, verdict: Verdict) -> str:
    """Format a report for a terminal."""
    lines = [
        f'Preflight of policy {subject.policy} (sha256 {subject.policy_sha256[:12]}) on robot '
        f'{subject.robot} (sha256 {subject.robot_sha256[:12]})',
        f'{figures.seconds:g} s at {figures.rate:g} Hz, {subject.candidates} candidate(s) a '
        f'chunk, {figures.ticks} ticks, {figures.missed} missed. Nothing was commanded.',
        f'The policy file is {figures.signer or "trusted without a signature (policy_keys)"}.', '']
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
    cameras = [source for source in figures.sources if source.picture]
    if cameras:
        lines += ['', *_table(
            ('camera', 'pictures', 'messages', 'decoded', 'decoding, ms'), [
                (source.name, source.picture, str(source.messages), str(source.decoded),
                 _number(source.decoding * 1e3)) for source in cameras], 2)]
    lines += ['', *_table(
        ('command', 'topic', 'listeners'), [
            (command.name, command.topic,
             ', '.join(end.node for end in command.subscribers if not end.problem) or 'none')
            for command in figures.commands], 3), '']
    if figures.people:
        lines += [*_table(
            ('person', 'topic', 'publishers'), [
                (person.name, person.topic,
                 ', '.join(end.node for end in person.publishers if not end.problem) or 'nobody')
                for person in figures.people], 3), '']
    lines += [
        printable(f'{remark.level.value}  {remark.about}: {remark.text}', TEXT)
        for remark in verdict.remarks]
    return '\n'.join([*lines, verdict.sentence])


def _tick_row(name: str, figures: Percentiles) -> tuple[str, ...]:
    """Format one row of the first table."""
    numbers = figures.p50, figures.p99, figures.p999, figures.largest
    return name.replace('_', ' '), *map(_number, numbers), str(figures.count)


def _number(value: float) -> str:
    """Format a number of a table; a dash for none."""
    if not math.isfinite(value):
        return '-'
    return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> list[str]:
    """Align a table: first text columns, then numbers."""
    every = [head, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]
    return [
        '  '.join(
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in every]


def _plain(value: Any) -> Any:
    """Convert to JSON values; NaN and infinity become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
