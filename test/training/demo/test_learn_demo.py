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
"""The demo of learning on a robot, with a clone of small networks."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('rclpy')

from dfp_ros.sim.demo.signals import Interrupted, Signals  # noqa: E402
from training.demo import preparation  # noqa: E402
from training.demo.result import Result  # noqa: E402
from training.demo.session import Witness  # noqa: E402
from training.learn_demo import main  # noqa: E402
from training.learning.trainer.checkpoint import load_agent  # noqa: E402
from training.robot.records import EpisodeRecord  # noqa: E402


def record(number: int, success: int, policy: str) -> EpisodeRecord:
    return EpisodeRecord(
        number, success, -10.0, 10, 10, 0, policy, 5 * number, 0, 6.0 * (number + 1))


@pytest.mark.slow
def test_a_session_leaves_figures_picture_and_both_policies(
        recorded: Path, clone: Path, tmp_path: Path) -> None:
    """The clone is there already; node, robot and learner run, and end with the demo."""
    shutil.copytree(clone.parent, tmp_path / 'runs' / 'learn_clone_3')
    out = tmp_path / 'out'
    ended = subprocess.run(
        [sys.executable, '-m', 'training.learn_demo', '--seed', '3', '--data',
         str(recorded), '--runs', str(tmp_path / 'runs'), '--out', str(out), '--minutes', '0.3'],
        capture_output=True, text=True, timeout=180, check=False)
    output = ended.stdout + ended.stderr
    found = json.loads((out / 'learn.json').read_text())
    # A busy machine may miss ticks, which the exit status tells.
    assert ended.returncode == (1 if found['missed_ticks'] else 0), output
    assert found['problems'] == []
    assert found['commands'] > 0
    assert found['commands_beyond_limits'] == 0
    assert found['learner']['transitions'] > 0
    assert found['node']['run_ticks']
    assert 'commands beyond limits' in output
    assert (out / 'learn.png').read_bytes().startswith(b'\x89PNG')
    assert (out / 'before.onnx').read_bytes() == clone.read_bytes()
    assert (out / 'after.onnx').is_file()
    # Nothing is left behind.
    assert not [
        path for path in Path('/proc').glob('[0-9]*/cmdline') if str(out) in _text(path)]


def test_first_and_last_episodes_are_compared(tmp_path: Path) -> None:
    records = [record(i, int(i >= 30), str(i // 10 or 'start')) for i in range(50)]
    (tmp_path / 'robot' / 'policies').mkdir(parents=True)
    newest = tmp_path / 'robot' / 'policies' / 'policy-000004-700.onnx'
    newest.touch()
    witness = Witness(commands=2000, policy={'run_missed_ticks': '0', 'run_ticks': '2000'})
    learner = {'updates': 500, 'transitions': 600, 'swaps': 4, 'policy': '4', 'minutes': 5.0}
    result = Result(0, records, learner, witness, ())
    assert (result.solved(False), result.solved(True)) == ((0, 20), (20, 20))
    assert result.missed == (0, 2000)
    assert result.policy(tmp_path, tmp_path / 'clone.onnx') == newest
    assert result.solved_first == (0, 10)
    table = result.table()
    assert 'solved by the first policy   0 of 10' in table
    assert 'solved of the last 20        20 (100%)' in table
    result.draw(tmp_path / 'learn.png')
    result.write(tmp_path / 'learn.json')
    found = json.loads((tmp_path / 'learn.json').read_text())
    assert found['last']['solved'] == 20
    assert found['first']['interval'][1] == pytest.approx(0.161, abs=1e-3)
    # Without a swap the policy is the clone, and without diagnostics ticks are unknown.
    nothing = Result(0, (), {}, Witness(), ('learner failed',))
    assert nothing.policy(tmp_path, tmp_path / 'clone.onnx') == tmp_path / 'clone.onnx'
    assert nothing.missed == (-1, -1)
    nothing.draw(tmp_path / 'nothing.png')
    assert '0 of 0' in nothing.table()


@pytest.mark.parametrize(('words', 'text'), [
    (['--minutes', '0'], 'minutes: found 0, expected 0.05 to 10000'),
    (['--seed', '-1'], 'seed: found -1, expected 0 to 10000')])
def test_an_invalid_command_line_says_the_range(
        words: list[str], text: str, capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match='2'):
        main(words)
    assert text in capfd.readouterr().err


def test_a_preparation_that_fails_names_its_command(
        tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    (tmp_path / 'data.npz').write_text('no data')
    # A fault that the command finds before it measures which precision is the faster one.
    (tmp_path / 'runs').mkdir()
    (tmp_path / 'runs' / 'learn_clone_0').write_text('no folder')
    signals = object.__new__(Signals)
    signals.received = 0
    with pytest.raises(preparation.PreparationError, match=r'training\.train learn-clone .* exit'):
        preparation.prepare(tmp_path / 'data.npz', tmp_path / 'runs', 1, 0, signals)
    assert 'learn_clone_0' in capfd.readouterr().err
    signals.received = 2
    with pytest.raises(Interrupted):
        preparation.prepare(tmp_path / 'data.npz', tmp_path / 'runs', 1, 0, signals)


def test_the_shipped_clone_is_taken_for_its_own_data_and_seed_only(
        recorded: Path, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    """The learner would refuse it with other data."""
    shipped = tmp_path / 'learn_clone'
    monkeypatch.setattr(preparation, 'SHIPPED', shipped)
    assert 'found no folder' in preparation.reason_to_clone(recorded, 0)
    shutil.copytree(clone.parent, shipped)
    _, config, _, _ = load_agent(shipped / 'checkpoint.pt')
    signals = object.__new__(Signals)
    signals.received = 0
    taken = preparation.prepare(recorded, tmp_path / 'runs', 1, config.seed, signals)
    assert taken == preparation.Clone(shipped, shipped / 'policy.onnx')
    assert 'the shipped clone of these data is taken' in capsys.readouterr().out
    assert 'its seed is' in preparation.reason_to_clone(recorded, config.seed + 1)
    other = tmp_path / 'other.npz'
    other.write_bytes(recorded.read_bytes() + b' ')
    assert 'its data have the hash' in preparation.reason_to_clone(other, config.seed)
    other.write_bytes(recorded.read_bytes())
    assert 'its data are read from' in preparation.reason_to_clone(other, config.seed)
    monkeypatch.setattr(preparation, 'load_agent', lambda path: (
        *load_agent(path)[:1], replace(config, precision='bf16'), *load_agent(path)[2:]))
    for precision, text in (('bf16', ''), ('float32', 'its updates are in bfloat16')):
        monkeypatch.setattr(preparation, 'faster', lambda _, found=precision: (found, ''))
        assert preparation.reason_to_clone(recorded, config.seed).startswith(text)
        assert bool(text) == bool(preparation.reason_to_clone(recorded, config.seed))


def test_other_data_are_not_ignored(tmp_path: Path) -> None:
    """A clone that is there is of its own data; and other data are not collected."""
    signals = object.__new__(Signals)
    signals.received = 0
    run = tmp_path / 'runs' / 'learn_clone_0'
    run.mkdir(parents=True)
    (run / 'policy.onnx').write_text('a policy')
    mine, other = tmp_path / 'mine.npz', tmp_path / 'other.npz'
    for path in (mine, other):
        path.write_text('data')
    with pytest.raises(preparation.PreparationError, match='no settings of its run'):
        preparation.prepare(mine, tmp_path / 'runs', 1, 0, signals)
    (run / 'config.json').write_text(json.dumps({'data': str(mine)}))
    assert preparation.prepare(mine, tmp_path / 'runs', 1, 0, signals).run == run
    with pytest.raises(preparation.PreparationError, match=r'a clone of .*mine\.npz, asked for'):
        preparation.prepare(other, tmp_path / 'runs', 1, 0, signals)
    with pytest.raises(preparation.PreparationError, match='called cube-single-play-v0.npz'):
        preparation.prepare(tmp_path / 'none.npz', tmp_path / 'runs', 1, 0, signals)


def _text(path: Path) -> str:
    """Read the command line of a process, which may have ended."""
    try:
        return path.read_bytes().replace(b'\0', b' ').decode(errors='replace')
    except OSError:
        return ''
