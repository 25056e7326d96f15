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
"""Demo: report, command line, and behaviour after a fault."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
import signal
import time
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from dfp_ros.core.description.robot import require_fit
from dfp_ros.core.policy.policy_file import read_spec
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.resources import find_shared, load_robot
from dfp_ros.sim.demo.main import draw, main, parse, ROBOTS
from dfp_ros.sim.demo.report import Episode, Report
from dfp_ros.sim.demo.run import _hear_the_rest
from testing.processes.ros_processes import NodeProcess

MODULE = 'dfp_ros.sim.demo.main'


def report(solved: int, asked: int = 10) -> Report:
    """Make a report with a number of solved episodes."""
    made = Report(asked)
    made.episodes = [
        Episode(i, i, i < solved, 40 + i, 2.0 + i / 20, 1.0, 1) for i in range(asked)]
    made.take_diagnostics({
        'run_period_mean_ms': '50.0', 'run_period_p99_ms': '51.2', 'run_inference_p50_ms': 'nan',
        'run_ticks': '400', 'run_missed_ticks': '2', 'policy': 'x'})
    return made


def test_eight_of_ten_pass() -> None:
    """Seven do not, and neither do ten with a crash."""
    assert report(8).passed
    assert not report(7).passed
    crashed = report(10)
    crashed.problems.append('policy_node-2 ended with status -11')
    assert not crashed.passed
    missing = report(10)
    missing.asked = 13
    assert not missing.passed


def test_table_and_json_say_the_same(tmp_path: Path) -> None:
    """Unknown values are a question mark in the table and null in the file."""
    made = report(9)
    table = made.table()
    for part in ('9 of 10', '51.20 ms p99', '? ms p50', '2 of 400', '10 physics slices late'):
        assert part in table
    made.write(tmp_path / 'results' / 'demo.json')
    found = json.loads((tmp_path / 'results' / 'demo.json').read_text())
    assert (found['passed'], found['solved'], found['success']) == (True, 9, 0.9)
    assert found['policy']['run_period_p99_ms'] == 51.2
    assert found['policy']['run_inference_p50_ms'] is None
    assert [episode['steps'] for episode in found['episodes']] == list(range(40, 50))
    assert os.listdir(tmp_path / 'results') == ['demo.json']


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--episodes', '0'], '--episodes: found 0, expected at least 1'),
    (['--real-time-factor', '20'], '--real-time-factor: found 20, expected 0.01 to 10'),
    (['--timeout', 'nan'], '--timeout: found nan, expected 0 to 604800 s'),
    (['--seed', '-1'], '--seed: found -1, expected 0 or more'),
    (['--view', 'terminal'], '--view terminal: the output is not a terminal; --view lines'),
    (['--save', 'x.rrd'], '--save: is for --view rerun'),
])
def test_bad_arguments_are_refused(
        arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the argument."""
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_lines_where_there_is_no_terminal() -> None:
    """A log file gets lines, by default and with Rerun; so does a terminal on request."""
    assert not parse(['--no-gif']).draws
    assert not parse(['--no-gif', '--view', 'lines']).draws


@pytest.mark.parametrize('name', ROBOTS)
def test_each_robot_has_a_policy_that_fits(name: str) -> None:
    """Of its own environment, and the package has all three."""
    policy, robot, environment = ROBOTS[name]
    spec = read_spec(find_shared(policy, 'models', '.onnx'))
    require_fit(spec, load_robot(robot))
    assert spec.environment == environment


def test_a_robot_that_cannot_be_drawn_is_skipped(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason; nothing is started."""
    monkeypatch.setenv('MUJOCO_GL', 'disable')
    assert main(['--robot', 'visual']) == 0
    assert 'skipped: the camera of the simulated robot cannot be rendered: MUJOCO_GL=disable' in (
        capsys.readouterr().out)


def test_a_shell_without_the_environment(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """The package is not found, so nothing is started; the message names the remedy."""
    monkeypatch.delenv('AMENT_PREFIX_PATH')
    assert main(['--episodes', '1', '--no-gif']) == 2
    said = capsys.readouterr()
    assert 'first `. env/setup.bash`' in said.err
    assert not said.out


@pytest.mark.parametrize('name', ['--json', '--gif'])
def test_a_result_that_cannot_be_written_is_refused_before_the_run(
        name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check creates no folder."""
    (tmp_path / 'robot.py').touch()
    others = {'--json': tmp_path / 'new' / 'x.json', '--gif': tmp_path / 'new' / 'x.gif'}
    for path, said in (
            (tmp_path / 'robot.py' / 'x', 'robot.py is a file, not a folder; name another path'),
            (tmp_path, 'it is a folder; name a file in it')):
        with pytest.raises(SystemExit) as refused:
            parse([str(word) for pair in {**others, name: path}.items() for word in pair])
        assert refused.value.code == 2
        assert f'{name}: {path} cannot be written: ' in (found := capsys.readouterr().err)
        assert said in found
    assert os.listdir(tmp_path) == ['robot.py']


def test_the_table_is_printed_if_the_file_cannot_be_written(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """The disk may have become full during the run."""
    def fail(self: Report, path: Path) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device', str(path))
    for name in ('Signals', 'run', 'choose_transport'):
        monkeypatch.setattr(f'{MODULE}.{name}', lambda *_: None)
    monkeypatch.setattr(Report, 'write', fail)
    monkeypatch.setenv('ROS_DOMAIN_ID', '0')
    assert main(['--json', str(tmp_path / 'demo.json'), '--no-gif']) == 1
    captured = capsys.readouterr()
    assert 'episodes solved    0 of 10' in captured.out
    assert 'demo.json cannot be written: No space left on device; the table' in captured.err


def test_the_last_episode_may_come_after_other_messages() -> None:
    """As diagnostics of the policy, which are on their way, too."""
    made = report(9)
    last = made.episodes.pop()
    arriving = [lambda: None, lambda: None, lambda: made.episodes.append(last)]
    listener: Any = SimpleNamespace(listen=lambda timeout: arriving.pop(0)())
    _hear_the_rest(listener, made)
    assert len(made.episodes) == made.asked
    assert not arriving


def test_an_episode_that_was_not_recorded_is_not_drawn(tmp_path: Path) -> None:
    """The robot says why in its log."""
    signals: Any = SimpleNamespace()
    said = draw(tmp_path, tmp_path / 'x.gif', signals, report(9))
    assert said == (
        'no GIF: the recording of the episode cannot be read: No such file or directory')


def test_a_policy_that_ends_is_named(tmp_path: Path) -> None:
    """Without its policy the demo ends at once, names the process, and shows why."""
    with NodeProcess(MODULE, free_domain(), '--policy', 'nowhere', '--json',
                     str(tmp_path / 'demo.json'), '--no-gif') as demo:
        assert demo.wait(90) == 1
        assert 'policy_node-2 ended with status 1 after 0 of 10 episodes' in demo.output
        assert "found 'nowhere'" in demo.output
        assert 'Traceback' not in demo.output
    assert json.loads((tmp_path / 'demo.json').read_text())['passed'] is False


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: int, status: int) -> None:
    """In the middle of an episode: no process stays, no traceback, and the status says it."""
    with NodeProcess(MODULE, free_domain(), '--episodes', '100', '--json',
                     str(tmp_path / 'demo.json')) as demo:
        deadline = time.monotonic() + 90
        while 'episode  1/100' not in demo.output:
            assert demo.process.poll() is None, demo.output
            assert time.monotonic() < deadline, demo.output
            with pytest.raises(Exception, match='timed out'):
                demo.process.wait(0.1)
        children = psutil.Process(demo.process.pid).children(recursive=True)
        assert len(children) >= 3
        assert demo.stop(number) == status
        assert 'interrupted; all processes have been stopped' in demo.output
        assert 'Traceback' not in demo.output
        # At once: left alone, they would come to their end a little later.
        assert not [child for child in children if _lives(child)]
    assert not (tmp_path / 'demo.json').exists()


def test_a_demo_beside_another_and_a_demo_that_is_killed(tmp_path: Path) -> None:
    """The second starts nothing, and the first goes on; killed, it leaves no process behind."""
    domain = free_domain()
    with NodeProcess(MODULE, domain, '--episodes', '100', '--json', str(tmp_path / 'a.json'),
                     '--no-gif') as first:
        deadline = time.monotonic() + 90
        while 'episode  1/100' not in first.output and time.monotonic() < deadline:
            time.sleep(0.1)
        assert 'episode  1/100' in first.output, first.output
        children = psutil.Process(first.process.pid).children(recursive=True)
        assert len(children) >= 3
        with NodeProcess(MODULE, domain, '--episodes', '2', '--json', str(tmp_path / 'b.json'),
                         '--gif', str(tmp_path / 'b.gif')) as second:
            assert second.wait(90) == 1
            assert (
                f'found 1 robot(s) that publish episodes in ROS domain {domain}'
                in second.output)
            assert 'Traceback' not in second.output
        assert json.loads((tmp_path / 'b.json').read_text())['passed'] is False
        count = first.output.count('solved  ')
        while first.output.count('solved  ') == count and time.monotonic() < deadline:
            time.sleep(0.1)
        assert first.process.poll() is None
        first.process.kill()
        _, alive = psutil.wait_procs(children, 30)
        assert not [child for child in alive if _lives(child)]


def _lives(process: psutil.Process) -> bool:
    """Whether a process has not ended; a zombie has."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
