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
"""Preflight reports: writing, reading, and the requirement of an activation."""

from __future__ import annotations

from dataclasses import asdict, replace
import errno
import json
from pathlib import Path
import re
from typing import Any

import pytest

from dfp_ros.tools.preflight.main import parse
from dfp_ros.tools.preflight.report import (
    format_report,
    PreflightError,
    require_passed,
    require_writable,
)
from dfp_ros.tools.preflight.verdict import judge
from testing.fixtures.preflight_reports import now, SUBJECT, written
from testing.fixtures.preflights import source


def test_a_passed_report_is_enough(tmp_path: Path) -> None:
    """It is one file of plain JSON, without temporary files left beside it."""
    path = written(tmp_path)
    require_passed(path, SUBJECT, 24, now())
    require_passed(path, SUBJECT, 24, now(23.9))
    assert [file.name for file in tmp_path.iterdir()] == ['preflight.json']
    report = json.loads(path.read_text())
    assert report['passed'] is True
    assert report['figures']['sources'][0]['rate'] == 100


def test_a_report_that_cannot_be_written(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """Found before anything is measured, with the file; existing content stays."""
    pytest.importorskip('rclpy')
    from dfp_ros.tools.preflight.main import main

    path = written(tmp_path)
    before = path.read_bytes()
    require_writable(path)
    require_writable(tmp_path / 'new.json')
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ['preflight.json']

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    monkeypatch.setattr(Path, 'write_text', full)
    for name in ('preflight.json', 'new.json'):
        assert main(['--json', str(tmp_path / name)]) == 1
        assert re.search(
            f'{name}: cannot be written: No space left on device; make room or name another file',
            capsys.readouterr().err)
    with pytest.raises(PreflightError, match=r'preflight\.json: cannot be written: No space'):
        written(tmp_path)
    with pytest.raises(PreflightError, match='cannot be written: Is a directory'):
        require_writable(tmp_path)
    assert path.read_bytes() == before


def test_nan_is_written_as_null(tmp_path: Path) -> None:
    """JSON knows no NaN and no infinity."""
    path = written(tmp_path, source(count=0, rate=float('nan'), longest_gap=float('inf')))
    assert json.loads(path.read_text())['figures']['sources'][0]['rate'] is None


@pytest.mark.parametrize(('changes', 'message'), [
    ({'policy_sha256': 'c' * 64}, "is about policy_sha256 'aaaa"),
    ({'robot_sha256': 'c' * 64}, "is about robot_sha256 'bbbb"),
    ({'rate': 100.0}, 'is about rate 50.0, here it is 100.0'),
    ({'candidates': 16}, 'is about candidates 1, here it is 16'),
    ({'host': 'there'}, "is about host 'here', here it is 'there'")])
def test_another_subject_needs_its_own(
        tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Each part of the subject counts."""
    with pytest.raises(PreflightError) as caught:
        require_passed(written(tmp_path), replace(SUBJECT, **changes), 24, now())
    assert message in str(caught.value)
    assert 'run `ros2 run dfp_ros preflight --json' in str(caught.value)


def test_a_rate_need_not_be_the_same_to_the_last_digit(tmp_path: Path) -> None:
    """Rates are made of periods in whole ns."""
    require_passed(written(tmp_path), replace(SUBJECT, rate=50.0000001), 24, now())


@pytest.mark.parametrize(('hours', 'message'), [
    (24.1, '24.1 h ago, expected at most 24 h'), (-0.1, '-0.1 h ago, expected at most 24 h')])
def test_old_reports_and_those_of_tomorrow(tmp_path: Path, hours: float, message: str) -> None:
    """A report that is too old, or from the future, is rejected."""
    with pytest.raises(PreflightError) as caught:
        require_passed(written(tmp_path), SUBJECT, 24, now(hours))
    assert message in str(caught.value)


def test_a_failed_one(tmp_path: Path) -> None:
    """It is there, and says no."""
    path = written(tmp_path, source(count=0))
    with pytest.raises(PreflightError) as caught:
        require_passed(path, SUBJECT, 24, now())
    assert 'FAILED at 50 Hz: 1 fault(s)' in str(caught.value)


@pytest.mark.parametrize(('content', 'message'), [
    (None, 'cannot be read: No such file'), ('', 'is not a preflight report'),
    ('[]', 'is not a preflight report'), ('{}', 'is not a preflight report'),
    ('{"subject": {"policy": 1}}', 'is not a preflight report'),
    ('[' * 100_000, 'is not a preflight report')])
def test_invalid_files_are_rejected(tmp_path: Path, content: str | None, message: str) -> None:
    """The error names the file and its fault."""
    path = tmp_path / 'preflight.json'
    if content is not None:
        path.write_text(content)
    with pytest.raises(PreflightError) as caught:
        require_passed(path, SUBJECT, 24, now())
    assert f'preflight report {path}: {message}' in str(caught.value)


@pytest.mark.parametrize(('key', 'value', 'message'), [
    ('version', 0, 'found version 0, expected 1'),
    ('made', 'yesterday', 'is not a preflight report'),
    ('made', '2026-01-01T00:00:00', 'is not a preflight report'),
    ('passed', 'yes', 'PASSED at 50 Hz'),
    ('version', [0] * 9999, 'found version [0, 0'),
    ('subject', {**asdict(SUBJECT), 'rate': 10**400}, 'a number of 401 digits'),
    ('subject', {**asdict(SUBJECT), 'rate': 10**39}, 'is about rate 1000'),
    ('subject', {**asdict(SUBJECT), 'host': 'x' * 9999}, "is about host 'xxx")])
def test_manipulated_reports_are_rejected(
        tmp_path: Path, key: str, value: Any, message: str) -> None:
    """Only a valid value passes."""
    path = written(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(PreflightError) as caught:
        require_passed(path, SUBJECT, 24, now())
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_report_for_people() -> None:
    """Tables in columns, then every remark, then the verdict."""
    figures = source(rate=40.0)
    lines = format_report(SUBJECT, figures, judge(figures)).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith('source'))
    assert lines[at + 1].split() == [
        'arm', '/joint_states', '40.0', '1.000', '20.0', '1.000']
    assert len(lines[at]) == len(lines[at + 1])
    assert 'WARN  source arm (/joint_states): it comes at 40 Hz' in lines[-2]
    assert lines[-1] == 'PASSED at 50 Hz; ticks fit up to 200 Hz'


def test_a_folder_as_report_is_refused_before_the_measurement(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(['--json', str(tmp_path)])
    assert refused.value.code == 2
    assert f'--json: {tmp_path} cannot be written: it is a folder' in capsys.readouterr().err
