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
"""Replay of invalid and manipulated recordings."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import re
import textwrap
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.control.decision_row import DecisionRow, read_decision
from dfp_ros.core.control.input_log import Failed, InputLog
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.node import describe, make_settings
from dfp_ros.node.loading.control_loop import make_control_loop
from dfp_ros.node.reporting.policy_status import Standing
from dfp_ros.resources import hash_robot
from dfp_ros.tools.replay import main as replay
from dfp_ros.tools.replay.main import main
from dfp_ros.tools.replay.recorded_loop import find_policy, hash_policy, LoopError
from testing import ROOT
from testing.fixtures.bags import (
    array,
    make,
    Message,
    MS,
    PERIOD,
    START,
    state,
    TYPES,
    write_bag,
)
from testing.fixtures.robot_samples import shipped_robot
from testing.policies.small_policy import cube_spec, write_policy

STEPS = 12


def record(
        folder: Path, status: Callable[[dict[str, Any]], Any] = lambda content: None,
        row: Callable[[int, dict[str, np.ndarray]], Any] = lambda number, parts: None,
        heard: Callable[[list[Message]], list[Message]] = lambda seen: seen) -> Path:
    """
    Record a node that is none, with a policy that draws noise.

    :param status: Changes what ``~/policy`` says.
    :param row: Changes the parts of a decision, by label.
    :param heard: Changes which messages of the robot the recorder gets.
    """
    robot = shipped_robot()
    path = write_policy(folder / 'recorded.onnx', cube_spec(candidates=2, noise_scale=1.0))
    settings = make_settings({
        **{name: default for name, default, _ in describe()}, 'policy': str(path),
        'robot': 'ur5e_cube', 'noise_seed': 3})
    loop, input_log = make_control_loop(settings, robot, OnnxPolicy(path)), InputLog()
    input_log.reset(3)
    loop.controller.reset(3)
    written = DecisionRow(robot.sources, loop.policy.spec.observation_size, [
        (field.name, field.size) for field in loop.policy.spec.action])
    content = json.loads(Standing(
        loop, input_log.loop, 'monday', (), None, None, None).to_json(hash_robot('ur5e_cube')))
    content = status(content) or content
    messages = [(START - 10 * MS, '/dfp_policy/policy', make('String', data=json.dumps(content)))]
    readers = {
        f'/{source.topic}': (name, SampleReader(robot.readings(name), stamped=True))
        for name, source in robot.sources.items()}
    for i in range(STEPS):
        at = START + i * PERIOD
        seen = state(at - 2 * MS, i / 100)
        samples = {}
        for time, topic, message in seen:
            name, reader = readers[topic]
            samples[name] = reader.read(message, time)
        decision = loop.controller.step(at, samples)
        entry = input_log.step(loop.policy.sha256, False, Failed.NOTHING)
        numbers = np.array(written.write(i + 1, at, False, decision, samples, entry))
        ends = np.cumsum([size for _, size in written.parts])
        row(i + 1, dict(zip(
            [label for label, _ in written.parts], np.split(numbers, ends[:-1]), strict=True)))
        loop.controller.planner.prepare()
        messages += heard(seen)
        messages.append((at + MS, '/dfp_policy/decision', array(numbers, written.parts)))
    return write_bag(
        folder / 'bag', messages,
        types={**TYPES, '/dfp_policy/policy': 'std_msgs/msg/String'})


def test_all_equal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unchanged recordings are reproduced, also that of a killed recorder."""
    bag = record(tmp_path)
    assert main([str(bag)]) == 0
    assert f'{STEPS} decisions, all equal' in capsys.readouterr().out
    (bag / 'metadata.yaml').unlink()
    file = bag / 'bag.mcap'
    file.write_bytes(file.read_bytes()[:-1000])
    assert main([str(bag)]) == 0
    assert f'{STEPS} decisions, all equal' in capsys.readouterr().out


def beside(seen: list[Message], value: float = 9.0) -> list[Message]:
    """Add those of a second driver, with the same stamps; the recorder hears it first."""
    return [*state(seen[0][0], value), *((time + MS, *rest) for time, *rest in seen)]


def test_two_publishers_of_one_stamp(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recorded observation tells which one the node had, or the result says that none does."""
    assert main([str(record(tmp_path, heard=beside))]) == 0
    assert f'{STEPS} decisions, all equal' in capsys.readouterr().out
    (tmp_path / 'none').mkdir()
    lost = record(tmp_path / 'none', heard=lambda seen: beside(state(seen[0][0], 8.0)))
    assert main([str(lost)]) == 1
    output = capsys.readouterr().out
    assert "source 'arm': several messages have one stamp" in output
    assert "source 'gripper'" not in output


def test_a_description_that_changed_while_it_was_recorded(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each loop has its own, and the note says that not all are the file's."""
    first: dict[str, Any] = {}

    def restart(seen: list[Message]) -> list[Message]:
        status = {**first, 'loop': first['loop'] + 1, 'robot': {
            **first['robot'], 'sha256': '0' * 64}}
        return [(seen[0][0], '/dfp_policy/policy', make('String', data=json.dumps(status))), *seen]

    assert main([str(record(tmp_path, status=first.update, heard=restart))]) == 0
    assert 'note: ur5e_cube is not the file that was recorded with some of the decisions' in (
        capsys.readouterr().err)


def set_part(label: str, value: float, only: int = 0) -> Callable[[int, dict[str, Any]], None]:
    """Make a change of one part, in all rows or in one."""
    def apply(number: int, parts: dict[str, np.ndarray]) -> None:
        if only in (0, number):
            parts[label][-1] = value
    return apply


@pytest.mark.parametrize(('changes', 'part'), [
    ({'row': set_part('policy', 5)}, 'policy'), ({'row': set_part('seed', 4)}, 'seed'),
    ({'row': set_part('policy', 5, 7)}, 'policy'), ({'row': set_part('seed', 4, 7)}, 'seed'),
    ({'status': lambda content: content['settings'].update(noise_seed=4)}, 'seed')])
def test_another_policy_or_seed_is_a_difference(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: Any, part: str) -> None:
    """Rows and the recorded settings of the loop must agree."""
    assert main([str(record(tmp_path, **changes))]) == 1
    output = capsys.readouterr().out
    assert 'decisions differ; the first is' in output
    assert f'\n  {part}\n' in output


@pytest.mark.parametrize(('status', 'message'), [
    (lambda c: c['settings'].update(candidates=10**9), 'candidates: found 1000000000, expected 0'),
    (lambda c: c['settings'].update(candidates='many'), "candidates: found 'many', expected int"),
    (lambda c: c['settings']['execution'].update(threads=10**6), 'execution.threads: found'),
    (lambda c: c['settings'].update(rate=1e300), 'rate: found 1e+300, expected 0 to 1000'),
    (lambda c: c['settings'].update(noise_seed=-1), 'noise_seed: found -1'),
    (lambda c: c['settings'].update(robot='/etc/passwd'), "'/etc/passwd', expected a bare name"),
    (lambda c: c.pop('settings'), 'settings: found None'),
    (lambda c: c.pop('path'), 'path: found None'),
    (lambda c: c.update(sha256='x' * 64), 'sha256: found'),
    (lambda c: c.update(robot={}), 'robot.sha256: found None, expected 64'),
    (lambda c: c.update(joints=5), 'joints: found 5'),
    (lambda c: c.update(joints={'a': {'x': 1}}), "'a'"),
    (lambda c: c.update(name='\x1b[2J' * 2000), 'name: found'),
    (lambda c: [c], 'expected an object'),
    (lambda c: c.update(path='/dev/zero', parameter='FIFO', name='none'),
     '/dev/zero: expected a name that ends in .onnx; ')])
def test_impossible_records_are_rejected(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], status: Callable[[Any], Any],
        message: str) -> None:
    """Refused by name, before a file is opened, or memory or threads are taken for it."""
    fifo = tmp_path / 'fifo.onnx'
    os.mkfifo(fifo)

    def change(content: dict[str, Any]) -> Any:
        changed = status(content)
        if content.get('parameter') == 'FIFO':
            content['parameter'] = str(fifo)
        return changed if isinstance(changed, list) else None

    bag = record(tmp_path, status=change)
    assert main([str(bag)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert '/dev/zero' not in error or ': Is a FIFO, expected a regular file' in error
    assert '\x1b' not in error


@pytest.mark.parametrize(('part', 'value'), [
    ('stop_commands', 1e15), ('draw', 1e15), ('draw', np.inf), ('seed', -1.0), ('seed', 2.0**40),
    ('loop', -5.0), ('step', 1e300), ('failed', 7.0), ('failed', np.nan), ('state', 9.0),
    ('reason', 2.0**50), ('number', np.inf), ('stamp', 1e12), ('inference', 1e9),
    ('sample/arm', -5.0), ('stop_commands', 1e5)])
def test_numbers_that_no_node_writes(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, value: float) -> None:
    """Refused at once, by the part that they are in; none keeps the replay busy."""
    bag = record(tmp_path, row=set_part(part, value))
    # How often noise was drawn is an outcome, so it is compared.
    status = 1 if (part, value) == ('draw', 1e15) else 2
    assert main([str(bag)]) == status
    captured = capsys.readouterr()
    if status == 2:
        assert captured.err.startswith((
            f'{bag}: /dfp_policy/decision: found', f'{bag}: /dfp_policy/decision: the part'))


def test_reading_a_row_again(tmp_path: Path) -> None:
    """A row with arbitrary numbers is read or rejected, without another exception."""
    random = np.random.default_rng(0)
    robot = shipped_robot()
    written = DecisionRow(robot.sources, 28, [('a', 3)])
    size = sum(size for _, size in written.parts)
    odd = [np.nan, np.inf, -np.inf, 1e300, -1e300, -1.0, 0.0, 0.5, 2.0**53, 1e19]
    for _ in range(300):
        row = np.ones(size)
        places = random.integers(0, size, 3)
        row[places] = random.choice(odd, 3)
        try:
            read_decision(written.parts, row)
        except ValueError:
            pass


def test_a_policy_that_never_answers(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """It is not waited for without end, as the node's watchdog is not there."""
    bag, ended = record(tmp_path), threading.Event()
    monkeypatch.setattr(replay, 'LONGEST_ANSWER', 0.2)
    monkeypatch.setattr(replay, 'leave', lambda status: status)
    monkeypatch.setattr(OnnxPolicy, 'act', lambda *_: ended.wait(20) and None)
    assert main([str(bag)]) == 2
    assert 'recorded.onnx: gave no answer within 0.2 s' in capsys.readouterr().err
    ended.set()


def test_a_file_that_the_user_names_is_taken_by_its_hash(tmp_path: Path) -> None:
    """With any name; a file that only the recording names must look like a policy."""
    file = write_policy(tmp_path / 'made.onnx').rename(tmp_path / 'model')
    known: dict[str, Any] = {
        'sha256': hash_policy(file), 'path': str(file), 'parameter': str(file), 'name': 'made',
        'settings': {'policy': str(file), 'robot': 'ur5e_cube'}}
    assert find_policy(known, {known['sha256']: str(file)}) is not None
    with pytest.raises(LoopError, match='expected a name that ends in .onnx'):
        find_policy(known, {})


def test_the_page_shows_what_is_printed(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/explaining.md, but for names and numbers."""
    assert main([str(record(tmp_path))]) == 0
    page = (ROOT / 'docs' / 'explaining.md').read_text()
    shown = page.split('$ ros2 run dfp_ros replay bags/monday\n')[1].split('\n\n')[0]
    changing = r'(?<=^  )\w+|(?<=sha256 )\w+|(?<=from )\S+|\b\d[\d.]*'
    assert [re.sub(changing, '…', line) for line in textwrap.dedent(shown).splitlines()] == [
        re.sub(changing, '…', line) for line in capsys.readouterr().out.splitlines()]
