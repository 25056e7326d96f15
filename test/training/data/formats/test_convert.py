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
"""Conversion of a recording and training on it, without loss of data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
import re
import subprocess
import sys

import numpy as np
import pytest

from testing import ROOT
from testing.fixtures.bags import decision, demonstration, write_bag
from training.convert import main
from training.data.transitions import stored

ROBOT = str(ROOT / 'config' / 'ur5e_cube.yaml')
POLICY = ROOT / 'models' / 'cube_single.onnx'


def test_writes_a_data_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two bags, one file; rate and bounds from a policy are those of the description."""
    bags = [str(write_bag(tmp_path / name, demonstration(steps), storage)) for name, steps, storage
            in (('one', 10, 'mcap'), ('two', 20, 'sqlite3'))]
    files = []
    for robot, words in ((ROBOT, ['--rate', '20']), ('ur5e_cube', ['--policy', str(POLICY)])):
        out = tmp_path / f'{words[0].strip("-")}.npz'
        assert main([*bags, '--robot', robot, *words, '--out', str(out)]) == 0
        assert re.search(r'^transitions +28$', capsys.readouterr().out, re.MULTILINE)
        files.append(stored.load(out))
    first, second = files
    np.testing.assert_array_equal(first.actions, second.actions)
    assert first.action_fields == second.action_fields
    assert first.period == second.period == 0.05
    source = json.loads(json.dumps(dict(first.source)))
    assert [bag['bag'] for bag in source['bags']] == ['one', 'two']
    assert len({bag['sha256'] for bag in source['bags']} | {source['robot_sha256']}) == 3
    assert source['counts']['episodes solved'] == 2


@pytest.mark.parametrize(('words', 'message'), [
    (['none', '--rate', '20'], 'none: found no such file or folder'),
    (['bag', '--rate', '20', '--ticks', 'decisions'], 'topic /dfp_policy/decision is missing'),
    (['bag', '--policy', 'none.onnx'], 'policy file none.onnx'),
    (['bag', '--rate', '20', '--robot', 'none.yaml'],
     "found 'none.yaml', which is neither a file here"),
    (['bag', '--rate', '20', '--robot', './none.yaml'], 'none.yaml: there is no such file')])
def test_says_what_is_wrong(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        words: list[str], message: str) -> None:
    """Status 2, the reason, and no file."""
    from testing.fixtures.bags import TYPES
    monkeypatch.chdir(tmp_path)
    types = {topic: kind for topic, kind in TYPES.items() if 'decision' not in topic}
    write_bag(tmp_path / 'bag', demonstration(10), types=types)
    robot = [] if '--robot' in words else ['--robot', ROBOT]
    assert main([*words, *robot, '--out', 'x.npz']) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'x.npz').exists()


def test_a_recording_that_cannot_be_used_is_left_out(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are in the file; the status is 1, or 2 if none can be used."""
    from testing.fixtures.bags import START
    good = [write_bag(tmp_path / name, demonstration(10, START + i * 10**9))
            for i, name in enumerate(('one', 'two'))]
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / 'bad.mcap').write_text('no recording')
    out = tmp_path / 'x.npz'
    words = ['--robot', ROBOT, '--rate', '20', '--out', str(out)]
    assert main([str(good[0]), str(tmp_path / 'bad'), str(good[1]), *words]) == 1
    found = capsys.readouterr()
    assert f'left out: {tmp_path / "bad" / "bad.mcap"}: ' in found.err
    assert f'{out}: 18 transitions' in found.out
    source = stored.load(out).source
    assert [bag['bag'] for bag in source['bags']] == ['one', 'two']
    assert len(source['left_out']) == 1
    out.unlink()
    assert main([str(tmp_path / 'bad'), str(tmp_path / 'none'), *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert not out.exists()


def test_a_file_that_cannot_be_written(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and the reason."""
    (tmp_path / 'file').write_text('no folder')
    bag, out = write_bag(tmp_path / 'bag', demonstration(10)), tmp_path / 'file' / 'x.npz'
    assert main([str(bag), '--robot', ROBOT, '--rate', '20', '--out', str(out)]) == 2
    assert f'{out}: cannot be written' in capsys.readouterr().err


def test_a_policy_learns_from_it(tmp_path: Path) -> None:
    """Without an environment, a robot's recording is all that training needs."""
    from training.train import main as train
    bag, data = write_bag(tmp_path / 'bag', demonstration(40)), tmp_path / 'data.npz'
    assert main([str(bag), '--robot', ROBOT, '--rate', '20', '--out', str(data)]) == 0
    assert train([
        'small-clone', '--data', str(data), '--environment', 'none', '--run',
        str(tmp_path / 'run'), '--steps', '2', '--batch-size', '8', '--hidden', '8',
        '--threads', '1']) == 0
    assert (tmp_path / 'run' / 'checkpoint.pt').is_file()


def test_says_how_far_it_is_off_what_the_node_saw(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A description that is not the one that the node had gives other observations."""
    from testing.fixtures.bags import mark, PERIOD, START, state
    messages = mark(START, 'start') + mark(START + 10 * PERIOD, 'success')
    for i in range(9):
        at = START + i * PERIOD + 1000
        messages += state(at, 0.25, at) + decision(i, at, at, 0.25)
    bag = str(write_bag(tmp_path / 'bag', messages))
    other = tmp_path / 'other.yaml'
    other.write_text(Path(ROBOT).read_text().replace('scale: 3.0', 'offset: 2.0'))
    for robot, text in ((ROBOT, '0'), (str(other), '2')):
        out = str(tmp_path / 'x.npz')
        assert main([bag, '--robot', robot, '--rate', '20', '--out', out]) == 0
        line = f'{"largest difference from logged observations":44}{text:>8}'
        said = capsys.readouterr().out
        assert line in said
        assert ('observations differ from those that the node logged' in said) == (robot != ROBOT)


def test_decisions_of_another_robot_description_are_said(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was sent has no joint names: in another order, each would be another joint's."""
    from testing.fixtures.bags import decision, make, mark, PERIOD, START, state, STRING, TYPES
    messages = mark(START, 'start') + mark(START + 10 * PERIOD, 'success')
    for i in range(9):
        at = START + i * PERIOD + 1000
        messages += state(at, 0.25, at) + decision(i, at, at, 0.25)
    for name, known in (('same', hashlib.sha256(Path(ROBOT).read_bytes()).hexdigest()),
                        ('other', 'ab' * 32)):
        status = json.dumps({'robot': {'name': 'ur5e_cube', 'sha256': known}})
        message = START, '/dfp_policy/policy', make('String', data=status)
        bag = write_bag(
            tmp_path / name, [*messages, message], types={**TYPES, '/dfp_policy/policy': STRING})
        out = str(tmp_path / 'x.npz')
        assert main([str(bag), '--robot', ROBOT, '--rate', '20', '--out', out]) == 0
        said = capsys.readouterr().out
        assert ('made with another robot description' in said) == (name == 'other')
        assert ('(sha256 abababababab) than the one given' in said) == (name == 'other')


def test_needs_no_ros() -> None:
    """A machine that only learns has none."""
    program = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('rclpy', 'ament_index_python', 'std_msgs', 'sensor_msgs'):
            raise ImportError(f'{name} is blocked')

sys.meta_path.insert(0, Blocked())
from training.convert import main
sys.exit(main(["none", "--robot", "ur5e_cube", "--rate", "20", "--out", "none.npz"]))
"""
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, 'none: found no such file or folder\n')


def test_a_rate_above_that_of_the_commands_is_said(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a rate that fits; at that rate, nothing is said."""
    bag = str(write_bag(tmp_path / 'bag', demonstration(40)))
    for rate in (100, 20):
        main([bag, '--robot', ROBOT, '--rate', str(rate), '--out', str(tmp_path / f'{rate}.npz')])
        found = capsys.readouterr()
        assert bool(re.search(
            r'^note: commands\.\w+ comes at 20 Hz, and the control rate is 100 Hz, so steps have '
            'no command, and episodes are split there; convert with --rate 20$', found.out,
            re.MULTILINE)) == (rate == 100)
        assert ('convert with' in found.out) == (rate == 100)
