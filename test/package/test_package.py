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
"""Package metadata as colcon, ROS 2 and other programs read it."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest
from setuptools import find_packages

from dfp_ros.node.ros.domain import free_domain
from testing import ROOT


def colcon(*words: str, cwd: Path) -> str:
    """Run colcon in the tests' Python, and return its output."""
    program = shutil.which('colcon')
    assert program, 'colcon is on PATH once the setup file of the environment is sourced'
    done = subprocess.run([sys.executable, program, *words], cwd=cwd, text=True, timeout=240,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope='module')
def install_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package as a user's workspace would, without links into the checkout."""
    folder = tmp_path_factory.mktemp('workspace')
    colcon('--log-base', str(folder / 'log'), 'build', '--base-paths', str(ROOT),
           '--build-base', str(folder / 'build'), '--install-base', str(folder / 'install'),
           cwd=folder)
    return folder / 'install'


def in_fresh_shell(install_space: Path, command: str, **extra: str) -> subprocess.Popen[str]:
    """Start a command in a bash that knows ROS 2 and the install space, not the checkout."""
    search_path = os.pathsep.join([str(Path(sys.executable).parent), '/usr/bin', '/bin'])
    inherited = {k: v for k, v in os.environ.items() if k.startswith(('ROS_', 'RMW_'))}
    underlay = [p for p in os.environ['AMENT_PREFIX_PATH'].split(':')
                if not Path(p).is_relative_to(ROOT / '.colcon' / 'install')]
    environment = {
        'PATH': search_path, 'HOME': str(Path.home()), 'AMENT_PREFIX_PATH': ':'.join(underlay),
        'PYTHONPATH': ':'.join(p for p in os.environ.get('PYTHONPATH', '').split(':')
                               if p and not Path(p).is_relative_to(ROOT)),
        'LD_LIBRARY_PATH': os.environ.get('LD_LIBRARY_PATH', ''),
        **inherited, **extra}
    return subprocess.Popen(
        ['bash', '-c', f'. "{install_space}/setup.bash" && {command}'], cwd='/', text=True,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def output_of(install_space: Path, command: str) -> str:
    """Run a command to its end in a fresh shell."""
    process = in_fresh_shell(install_space, command)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output


def test_colcon_takes_it_for_an_ament_python_package():
    listed = colcon('--log-base', os.devnull, 'list', '--base-paths', str(ROOT), cwd=ROOT)
    assert listed.split() == ['dfp_ros', str(ROOT), '(ros.ament_python)']


def test_only_the_package_itself_is_installed():
    everything = find_packages(str(ROOT))
    assert 'training' in everything, 'else this test could not fail'
    chosen = find_packages(str(ROOT), include=['dfp_ros', 'dfp_ros.*'])
    rooms = {
        '.'.join(folder.relative_to(ROOT).parts)
        for folder in (ROOT / 'dfp_ros').rglob('*')
        if folder.is_dir() and list(folder.glob('*.py'))}
    # A room without an __init__.py would be missing on a robot.
    assert set(chosen) == rooms | {'dfp_ros'}


@pytest.mark.slow
def test_the_install_space_stands_alone(install_space):
    found = output_of(
        install_space, 'python3 -c "import dfp_ros; print(dfp_ros.__file__)"').strip()
    assert Path(found).is_relative_to(install_space)
    assert not list(install_space.rglob('site-packages/training'))
    share = install_space / 'dfp_ros' / 'share' / 'dfp_ros'
    for folder in ('launch', 'config', 'models'):
        installed = sorted(p.name for p in (share / folder).iterdir())
        assert installed == sorted(p.name for p in (ROOT / folder).iterdir() if p.is_file())
    assert output_of(install_space, 'ros2 pkg executables dfp_ros').splitlines() == [
        'dfp_ros adopt', 'dfp_ros demo', 'dfp_ros describe', 'dfp_ros episode_manager',
        'dfp_ros evaluate_on_robot', 'dfp_ros mark_episodes', 'dfp_ros policy_node',
        'dfp_ros preflight', 'dfp_ros recorder', 'dfp_ros replay',
        'dfp_ros scripted_operator', 'dfp_ros sim_node', 'dfp_ros teleop_joy',
        'dfp_ros teleop_keyboard', 'dfp_ros view']


@pytest.fixture
def running_node(install_space: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start the policy node with `ros2 run`, on a domain of its own."""
    domain = free_domain()
    process = in_fresh_shell(
        install_space, 'exec ros2 run dfp_ros policy_node --ros-args -p autostart:=false',
        ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    yield process, domain
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


@pytest.mark.slow
def test_the_node_runs_from_the_install_space(running_node):
    from lifecycle_msgs.srv import GetState
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    process, domain = running_node
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node('package_test', context=context)
    try:
        client = node.create_client(GetState, '/dfp_policy/get_state')
        assert client.wait_for_service(timeout_sec=40), 'the node did not start'
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        # A service can be seen before it sees its client, and its answer is lost then: ask again.
        deadline = time.monotonic() + 40
        answer = client.call_async(GetState.Request())
        while not answer.done() and time.monotonic() < deadline:
            answer = client.call_async(GetState.Request())
            executor.spin_until_future_complete(answer, timeout_sec=2)
        assert answer.done(), 'the node runs, but does not answer'
        assert answer.result().current_state.label == 'unconfigured'
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    # As Ctrl-C does: to every process of the terminal's group.
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert 'Traceback' not in output
