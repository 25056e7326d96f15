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
"""Console commands: help, and rejection of unknown arguments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
import os
from pathlib import Path
import subprocess
import sys
import sysconfig

import pytest

from testing import ROOT

pytest.importorskip('rclpy')

from dfp_ros.node.process.missing_package import remedy
from dfp_ros.node.ros.domain import free_domain

COMMANDS = (
    'adopt', 'demo', 'describe', 'episode_manager', 'evaluate_on_robot', 'mark_episodes',
    'policy_node', 'preflight', 'recorder', 'replay', 'scripted_operator', 'sim_node',
    'teleop_joy', 'teleop_keyboard', 'view')


def run(command: str, *arguments: str, **environment: str | None) -> tuple[int, str]:
    """Run a command as its entry point does; return status and output."""
    program = f'import sys; from dfp_ros.commands import {command} as run; sys.exit(run())'
    variables = {
        **os.environ, 'ROS_DOMAIN_ID': str(free_domain()),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', **environment}
    done = subprocess.run(
        [sys.executable, '-c', program, *arguments], cwd=ROOT, text=True, timeout=120,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={name: value for name, value in variables.items() if value is not None})
    return done.returncode, done.stdout


def test_all_are_installed() -> None:
    """Each name of the package's has a function here."""
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    for command in COMMANDS:
        assert f"'{command} = dfp_ros.commands:{command}'" in setup


def test_help() -> None:
    """Help lists the settings, and nothing starts."""
    with ThreadPoolExecutor(2) as pool:
        for command, (status, output) in zip(
                COMMANDS, pool.map(lambda each: run(each, '--help'), COMMANDS), strict=True):
            assert status == 0, output
            assert output.startswith('usage: ')
            assert 'Traceback' not in output
            if command in ('episode_manager', 'policy_node', 'recorder', 'sim_node'):
                assert "  end_with_parent (str, default 'auto')" in output
            if command == 'policy_node':
                assert "  safety.envelope (str, default '" in output


@pytest.mark.parametrize(('command', 'arguments', 'message'), [
    ('policy_node', ('policy:=x',), 'did you mean --ros-args -p policy:=x ?'),
    ('policy_node', ('--policy', 'x'), 'did you mean --ros-args -p policy:=VALUE ?'),
    ('policy_node', ('--noise-seed=3',), 'did you mean --ros-args -p noise_seed:=3 ?'),
    ('policy_node', ('--ros-args', '--log-level', 'loud'),
     'expected debug, info, warn, error or fatal'),
    ('policy_node', ('--ros-args', '--params-file', 'config/ur5e_cube.yaml'),
     'a robot description is the parameter robot'),
    ('sim_node', ('--ros-args', '-p', 'episodes:=two'),
     "cannot start: parameter episodes: found 'two', expected an int, such as 30\n"),
    ('recorder', ('--frobnicate',), "found '--frobnicate', expected nothing but arguments"),
    ('policy_node', ('--ros-args', '-p', 'planning.envelope:=hold'),
     "parameter 'planning.envelope' (planning.envelope:=hold): this node has none of that name; "
     "did you mean 'safety.envelope'?"),
    ('sim_node', ('--ros-args', '-p', 'epsodes:=3'), "did you mean 'episodes'?"),
    ('recorder', ('--ros-args', '-p', 'storag:=mcap'), "did you mean 'storage'?"),
    ('preflight', ('--ros-args', '-p', 'rat:=3.0'), "did you mean 'rate'?"),
    ('policy_node', ('--ros-args', '-p', 'rate=3'), 'cannot start: '),
    ('policy_node', ('--ros-args', '--params-file', 'nowhere.yaml'),
     'parameter file nowhere.yaml: there is no such file'),
    ('policy_node', ('--ros-args', '-p', 'end_with_parent:=perhaps'),
     "parameter end_with_parent: found 'perhaps', expected auto, always, never")])
def test_refuses_unknown_arguments(
        command: str, arguments: tuple[str, ...], message: str) -> None:
    """In one line, with the nearest that it has, and a status."""
    status, output = run(command, *arguments)
    assert status in (1, 2), output
    assert message in output
    assert 'Traceback' not in output


@pytest.mark.parametrize(('command', 'package', 'said'), [
    ('policy_node', 'onnxruntime', 'apt install python3-onnxruntime'),
    ('recorder', 'rosbags', 'pip install rosbags'),
    ('sim_node', 'mujoco', 'pip install gymnasium imageio mujoco ogbench pillow'),
    ('describe', 'rclpy', 'it comes with ROS 2: source its setup file first')])
def test_a_missing_package_is_named_with_its_remedy(
        command: str, package: str, said: str) -> None:
    """package.xml has those of the node alone, and not even ONNX Runtime."""
    program = (
        f'import sys; sys.modules[{package!r}] = None; from dfp_ros.commands import {command}; '
        f'sys.exit({command}())')
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, text=True, timeout=60, capture_output=True,
        env={**os.environ, 'ROS_DOMAIN_ID': str(free_domain()),
             'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'})
    assert done.returncode == 1
    assert f'cannot start: found no Python package {package!r} in {sys.executable}; ' in (
        done.stderr)
    assert said in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_python_that_pip_leaves_alone_needs_an_environment(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ubuntu 24.04 and later mark the system's Python (PEP 668), so that pip refuses it."""
    monkeypatch.setattr(sysconfig, 'get_path', lambda name: str(tmp_path))
    monkeypatch.setattr(sys, 'prefix', sys.base_prefix)
    assert remedy('onnxruntime').endswith('python3-onnxruntime')
    (tmp_path / 'EXTERNALLY-MANAGED').touch()
    assert '-m venv --system-site-packages' in remedy('onnxruntime')
    assert 'venv' not in remedy('rclpy'), 'it comes with ROS 2'
    monkeypatch.setattr(sys, 'prefix', str(tmp_path))
    assert 'venv' not in remedy('onnxruntime'), 'in a virtual environment already'


@pytest.mark.parametrize(('found', 'asked'), [('1.21.5', " 'numpy<2'"), ('2.3.4', '')])
def test_numpy_stays_what_messages_were_built_for(
        monkeypatch: pytest.MonkeyPatch, found: str, asked: str) -> None:
    """Else pip has NumPy 2 in place of Ubuntu 22.04's, with which its messages do not work."""
    monkeypatch.setattr(metadata, 'version', lambda name: found)
    assert f'pip install onnxruntime{asked}, or on Ubuntu' in remedy('onnxruntime')
    assert f'pip install gymnasium imageio mujoco ogbench pillow{asked}' in remedy('mujoco')
    assert ('numpy' in remedy('rosbags')) == bool(asked)


@pytest.mark.parametrize('environment', [
    {'HOME': None, 'ROS_LOG_DIR': None}, {'ROS_LOG_DIR': '/proc/nowhere'}])
def test_no_log_file(environment: dict[str, str | None]) -> None:
    """If no log file can be written, the log goes to the console, and everything else works."""
    status, output = run('mark_episodes', **environment)
    assert status == 0, output
    assert 'no log file: ' in output
    assert 's: start' in output
    status, output = run('policy_node', '--ros-args', '-p', 'robot:=ur5e_cube', **environment)
    assert status == 1
    assert 'parameter policy: found nothing' in output
    assert 'Traceback' not in output


def test_parameters_of_ros_itself() -> None:
    """They are parameters of ROS, and work; those without effect are reported."""
    status, output = run(
        'policy_node', '--ros-args', '-p', 'use_sim_time:=true', '-p',
        'qos_overrides./parameter_events.publisher.depth:=7', '-p',
        'qos_overrides./joint_states.subscription.reliability:=reliable')
    assert status == 1
    assert 'parameter policy: found nothing' in output
    assert 'qos_overrides./joint_states.subscription.reliability has no effect' in output
    assert 'depth has no effect' not in output


def test_the_log_begins_with_the_parameters_in_force(tmp_path: Path) -> None:
    """Its first line has the parameter files, and the safety settings that are not the default."""
    file = tmp_path / 'robot.yaml'
    file.write_text('/**: {ros__parameters: {safety: {late_inference: hold}}}')
    for arguments, words in (
            (('--params-file', str(file), '-p', 'safety.envelope:=hold'),
             f'parameter files: {file}; settings of safety: '),
            ((), 'parameter files: none; settings of safety: all are the defaults')):
        status, output = run('policy_node', '--ros-args', *arguments)
        assert status == 1
        (first, *_) = (line for line in output.splitlines() if '[dfp_policy]: ' in line)
        assert words in first, output
        if arguments:
            assert 'safety.envelope=hold' in first
            assert 'safety.late_inference=hold' in first
            assert first.count('=') == 2
