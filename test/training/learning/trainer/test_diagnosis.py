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
"""Warnings about runs that do not learn, and none about a run that does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import subprocess
import sys

import pytest

from testing import ROOT

torch = pytest.importorskip('torch')

from testing.learning.runs import unevaluated  # noqa: E402
from testing.learning.small_runs import small  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.learning.trainer.diagnosis import diagnose  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.report import report  # noqa: E402

CONFIG = TrainConfig(value_weight=1.0, improve_after=1000, steps=2000)
HEALTHY = {
    'value_of_data': -50.0, 'value_of_candidates': -50.0, 'candidate_spread': 0.12,
    'distance_to_data': 1.0}


def rows(**after: float) -> list[dict[str, float]]:
    """Twenty rows; what is given is reached after the start of the ascent."""
    return [{'step': 100.0 * i, **HEALTHY, **(after if i > 10 else {})} for i in range(1, 21)]


@pytest.mark.parametrize(('after', 'names'), [
    ({}, set()),
    ({'candidate_spread': 0.07, 'value_of_candidates': -40.0}, set()),
    ({'candidate_spread': 0.03, 'value_of_candidates': -40.0}, set()),
    ({'candidate_spread': 0.03, 'value_of_candidates': -60.0}, {'joint_collapse'}),
    ({'distance_to_data': 1.5, 'value_of_candidates': -30.0}, {'leaving_the_data'})])
def test_what_is_warned_of(after: dict[str, float], names: set[str]) -> None:
    found = diagnose(CONFIG, rows(**after))
    assert found.keys() == names
    assert all('--' in text for text in found.values())


def test_a_critic_that_is_not_there_yet() -> None:
    falling = [{**row, 'value_of_data': -0.05 * row['step']} for row in rows()]
    assert diagnose(CONFIG, falling).keys() == {'unfinished_critic'}
    assert '--improve-after' in diagnose(CONFIG, falling)['unfinished_critic']


def test_nothing_is_said_before_there_is_something_to_compare() -> None:
    collapsed = rows(candidate_spread=0.01, value_of_candidates=-90.0)
    assert diagnose(CONFIG, collapsed[:12]) == {}
    assert diagnose(replace(CONFIG, value_weight=0.0), collapsed) == {}
    assert diagnose(replace(CONFIG, improve_after=0), collapsed) == {}
    assert diagnose(CONFIG, []) == {}
    assert diagnose(CONFIG, [{'step': float(i)} for i in range(1, 3000)]) == {}


def test_a_run_says_it_once_and_its_report_too(
        drawn_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log in which the distance to the data rises."""
    config = unevaluated(
        drawn_data, improve_after=30, steps=60, log_every=2, value_weight=5.0,
        learning_rate=1e-5)
    train(tmp_path / 'run', replace(config, steps=30))
    train(tmp_path / 'run', replace(config, steps=60), resume=True)
    assert 'trust region' not in capsys.readouterr().err
    log = tmp_path / 'run' / 'updates.csv'
    header, *lines = log.read_text().splitlines()
    column = header.split(',').index('distance_to_data')
    for i, line in enumerate(lines):
        if int(line.split(',')[0]) > 30:
            cells = line.split(',')
            cells[column] = '9.0'
            lines[i] = ','.join(cells)
    log.write_text('\n'.join([header, *lines]) + '\n')
    train(tmp_path / 'run', replace(config, steps=64), resume=True)
    assert capsys.readouterr().err.count('the trust region leaks') == 1
    assert 'the trust region leaks' in report([tmp_path / 'run']).read_text()


_RUN = """
import sys
from pathlib import Path
from training.config import TrainConfig
from training.learning.trainer.run import train
train(Path(sys.argv[1]), TrainConfig.from_json(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_warning_that_nobody_can_read_ends_no_training(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As when the disk of the log is full, or the reader of a pipe has ended."""
    stored.save(tmp_path / 'data.npz', drawn([12, 12, 12]))
    config = small(
        tmp_path / 'data.npz', steps=200, improve_after=100, anchor='frozen', value_weight=3.0,
        log_every=5, learning_rate=3e-3)
    train(tmp_path / 'read', config)
    assert 'was still moving' in capsys.readouterr().err
    with open('/dev/full', 'w') as full:
        done = subprocess.run(
            [sys.executable, '-c', _RUN, str(tmp_path / 'full'), config.to_json()], cwd=ROOT,
            timeout=200, stderr=full)
    assert done.returncode == 0
