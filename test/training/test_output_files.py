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
"""Output files that must not be replaced, and invalid file names."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import os
from pathlib import Path
import re
import stat

import pytest

from testing import ROOT

pytest.importorskip('torch')
pytest.importorskip('gymnasium')

from testing.learning.transitions import drawn
from training import (
    collect,
    convert,
    evaluate,
    export,
    precision_effect,
    report,
    sweep,
    train,
    write,
)
from training import inspect_data as inspect
from training.common.disk import WriteError
from training.common.files import atomic_path
from training.data.datasets import official
from training.data.transitions import stored

MODEL = ROOT / 'models' / 'lift.onnx'


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    """A pipe stands for a device such as /dev/null, which root could replace by a file."""
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'link').symlink_to('pipe')
    for name in ('pipe', 'link'):
        with pytest.raises(WriteError, match=f'{name}: cannot be written .is a FIFO.*another'), (
                atomic_path(tmp_path / name)) as partial:
            partial.write_text('new')
    assert stat.S_ISFIFO((tmp_path / 'pipe').stat().st_mode)
    assert (tmp_path / 'link').is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_the_command_that_exports_says_it(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / 'pipe')
    assert export.main([str(MODEL), '--out', str(tmp_path / 'pipe')]) == 2
    assert 'pipe: cannot be written (is a FIFO' in capsys.readouterr().err
    assert stat.S_ISFIFO((tmp_path / 'pipe').stat().st_mode)


@pytest.mark.parametrize(('main', 'arguments'), [
    (inspect.main, []), (export.main, ['--out', 'policy.onnx']), (evaluate.main, []),
    (convert.main, ['--robot', 'arm.yaml', '--rate', '20', '--out', 'a.npz']),
    (report.main, []), (write.main, ['--format', 'robomimic', '--out', 'a.hdf5'])])
def test_a_name_that_forges_a_line(
        main: Callable[[list[str]], int], arguments: list[str], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its line breaks and escapes are escaped."""
    monkeypatch.chdir(tmp_path)
    name = 'a\n[ERROR] forged\x1b[2J.npz'
    if main is convert.main:
        arguments = [*arguments[:1], name, *arguments[2:]]
    with contextlib.suppress(SystemExit):
        assert main([name, *arguments]) == 2
    err = capsys.readouterr().err
    assert r'a\n[ERROR] forged\x1b[2J.npz' in err
    assert not re.search(r'^\[ERROR\]|\x1b', err, re.MULTILINE)


@pytest.mark.parametrize(('main', 'arguments'), [
    (inspect.main, ['x' * 300]),
    (export.main, ['x' * 300, '--out', 'policy.onnx']),
    (sweep.main, ['small-clone', '--list', '--run-folder', 'x' * 300]),
])
def test_a_name_that_no_file_can_have(
        main: Callable[[list[str]], int], arguments: list[str],
        capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert 'no file can have that path: File name too long' in capsys.readouterr().err


@pytest.mark.parametrize(('main', 'words', 'name'), [
    (evaluate.main, [str(MODEL)], '--json'), (evaluate.main, [str(MODEL)], '--video'),
    (precision_effect.main, [str(MODEL)], '--json'), (report.main, ['run'], '--png'),
    (inspect.main, ['x.npz'], '--png'), (inspect.main, ['x.npz'], '--html'),
    (export.main, ['run'], '--out'), (write.main, ['x.npz', '--format', 'own'], '--out'),
    (convert.main, ['bag', '--robot', 'robot.yaml', '--rate', '20'], '--out'),
])
def test_an_output_is_checked_before_the_work(
        main: Callable[[list[str]], int], words: list[str], name: str, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'robot.py').touch()

    def work(*_: object) -> None:
        raise AssertionError('the work began')
    monkeypatch.setattr(evaluate, 'evaluate_file', work)
    monkeypatch.setattr(precision_effect, 'measure', work)
    try:
        status = main([*words, name, 'robot.py/x.npz'])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert 'robot.py/x.npz: cannot be written (' in (said := capsys.readouterr().err)
    assert 'robot.py is a file, not a folder; name another path)' in said


@pytest.mark.parametrize(('main', 'words'), [
    (report.main, ['run']), (inspect.main, ['x.npz'])])
@pytest.mark.parametrize(('path', 'found'), [('x.txt', '.txt'), ('x', 'no ending')])
def test_a_picture_ends_in_png(
        main: Callable[[list[str]], int], words: list[str], path: str, found: str,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, '--png', path]) == 2
    assert f'{path}: found {found}, expected a name that ends in .png' in capsys.readouterr().err


def test_the_home_folder_in_every_path(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """A shell leaves ``--out=~/x`` to the command, which must not make a folder named ``~``."""
    home, here = tmp_path / 'home', tmp_path / 'here'
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv('HOME', str(home))
    monkeypatch.chdir(here)
    stored.save(home / 'x.npz', drawn([9, 9, 9]))
    small = ['--hidden', '8', '--batch-size', '4', '--log-every', '1', '--pool', '4', '--top', '2']
    assert train.main([
        'cpu', '--run=~/runs/a', '--data=~/x.npz', '--environment=none', '--steps=1', *small,
        '--device=cpu', '--threads=1']) == 0
    assert train.main([
        'cpu', '--run=~/runs/b', '--data=~/x.npz', '--environment=none', '--steps=1', *small,
        '--init-from=~/runs/a', '--device=cpu', '--threads=1']) == 0
    assert export.main(['~/runs/a', '--out=~/a.onnx', '--data=~/x.npz']) == 0
    assert report.main(['~/runs', '--out=~/r.html', '--png=~/r.png']) == 0
    assert inspect.main(['~/x.npz', '--html=~/i.html', '--png=~/i.png', '--preset=cpu']) == 0
    assert write.main(['~/x.npz', '--format=own', '--out=~/y.npz']) == 0
    assert sweep.main([
        'cpu', '--run-folder=~/sweep', '--seeds', '0', '--set', 'data=~/x.npz', 'environment=none',
        '--list']) == 0
    names = 'a.onnx', 'i.html', 'i.png', 'r.html', 'r.png', 'runs', 'x.npz', 'y.npz'
    assert sorted(path.name for path in home.iterdir()) == list(names)
    assert list(here.iterdir()) == []
    for parser, words in (
            (collect.parser(), ['--out=~/x']), (official.parser(), ['name', '--out=~/x'])):
        assert parser.parse_args(words).out == home / 'x'
    found = evaluate.parser().parse_args(['~/a', '--json=~/b', '--video=~/c'])
    assert (found.policy, found.json, found.video) == (home / 'a', home / 'b', home / 'c')
    asked = convert.parse(['~/a', '--robot=~/b', '--policy=~/c', '--out=~/d.npz'])
    assert (asked.bags, asked.policy, asked.out) == ([home / 'a'], home / 'c', home / 'd.npz')
    capsys.readouterr()
    assert convert.main(['~/a', '--robot=~/b', '--rate=20', '--out=~/d.npz']) == 2
    assert str(home / 'b') in capsys.readouterr().err


@pytest.mark.parametrize('name', ['checkpoint.pt', 'x.npz'])
def test_export_of_a_file_that_is_no_policy(
        name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It wants the folder of the run, and says so."""
    (tmp_path / name).write_bytes(b'PK\x03\x04 an archive')
    assert export.main([str(tmp_path / name), '--out', str(tmp_path / 'x.onnx')]) == 2
    said = capsys.readouterr().err
    assert 'export the policy again' not in said
    assert f'{name}: found a file that is no policy, expected the folder of a run' in said
    assert ((f'; give {tmp_path}' in said) == (name == 'checkpoint.pt')), said
