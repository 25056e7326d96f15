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
"""Benchmark of corrections: its stages and its table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('torch')
pytest.importorskip('rclpy')

from bench.corrections import parse, SETTINGS, StageError, Stages, table


def evaluation(*solved: bool) -> dict[str, Any]:
    """Make the result of an evaluation."""
    return {'per_episode': [{'success': each} for each in solved], 'mean_steps': 100.0}


def test_policies_are_compared_on_the_same_seeds() -> None:
    """Episodes that one of two policies solved, and the test of their difference."""
    clone = [True, True, False, False, False, False, False, False]
    rows = {row['policy']: row for row in table({
        'clone': evaluation(*clone), 'longer': evaluation(*clone),
        'corrected': evaluation(False, *[True] * 7)})}
    assert rows['clone']['success'] == 0.25
    assert rows['longer']['p'] == 1.0
    found = rows['corrected']
    assert (found['solved'], found['gained'], found['lost']) == (7, 6, 1)
    # Seven pairs that differ, of which six or more, or one or fewer: 16 of 128.
    assert found['p'] == pytest.approx(16 / 128)
    assert found['interval'][0] < 7 / 8 < found['interval'][1]


def test_a_folder_has_one_set_of_settings(tmp_path: Path) -> None:
    """Results would be those of other settings than the file says."""
    Stages(parse(['--out', str(tmp_path)]))
    Stages(parse(['--out', str(tmp_path), '--json', 'other.json']))
    with pytest.raises(StageError, match='episodes: found 20, asked for 21; the stages there are'):
        Stages(parse(['--out', str(tmp_path), '--episodes', '21']))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """A file, a FIFO, or settings that are none: refused, with a remedy."""
    file = tmp_path / 'file'
    file.touch()
    os.mkfifo(tmp_path / SETTINGS)
    for out in (file, tmp_path):
        with pytest.raises(StageError, match='is no folder of the stages .* with --out'):
            Stages(parse(['--out', str(out)]))
    (tmp_path / SETTINGS).unlink()
    for text in ('{', '[1]'):
        (tmp_path / SETTINGS).write_text(text)
        with pytest.raises(StageError, match='name another'):
            Stages(parse(['--out', str(tmp_path)]))


def test_what_is_done_is_not_done_again(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stage whose result exists is skipped; one that fails is named, with its output."""
    stages = Stages(parse(['--out', str(tmp_path), '--episodes', '1']))
    result = tmp_path / 'result.json'
    with pytest.raises(StageError, match=r'(?s)evaluate: ended with status 2; .*no such file'):
        stages._command('evaluate', ('training.evaluate', 'nowhere.onnx'), result)
    result.touch()
    stages._command('evaluate', ('training.evaluate', 'nowhere.onnx'), result)
    (tmp_path / 'robot').mkdir()
    (tmp_path / 'robot' / 'episodes.csv').write_text(
        'episode,success,transitions,person_steps\n0,1,90,40\n')
    stages._record()
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == ['evaluate: done before', 'record: done before']
    assert stages._operator() == {
        'episodes': 1, 'solved': 1, 'corrected': 1, 'steps': 90, 'person_steps': 40}
