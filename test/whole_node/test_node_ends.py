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
"""Shutdown and pauses of the policy node: the robot is always stopped first."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import sys
import time

import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition

from dfp_ros.node.ros.domain import free_domain
from testing.processes.policy_cell import arguments, Cell, SHIPPED
from testing.processes.ros_processes import NodeProcess

# Starts what follows and waits for it, as `ros2 run` does: it passes on no SIGTERM.
WRAPPER = 'import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)'
# Gives it an output that takes nothing, and passes SIGTERM on.
FULL = """
import os, signal, subprocess, sys
read, write = os.pipe()
os.set_blocking(write, False)
try:
    while True:
        os.write(write, bytes(64))
except BlockingIOError:
    os.set_blocking(write, True)
process = subprocess.Popen(sys.argv[1:], stdout=write, stderr=write)
signal.signal(signal.SIGTERM, lambda *_: process.terminate())
sys.exit(process.wait())
"""


# Is the example of a program of one's own in its place.
OWN = """
import runpy, sys
policy, robot = (
    word.partition(':=')[2] for word in sys.argv if word.startswith(('policy:=', 'robot:=')))
sys.argv = ['own', policy, robot, '--seconds', '600']
runpy.run_path('examples/own_executor.py', run_name='__main__')
"""


@pytest.fixture(scope='module')
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a policy that moves the robot at rest."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx')


def test_a_closed_terminal_and_a_suspension(policy: Path) -> None:
    """Ctrl-Z stops the robot until the node is activated again; SIGHUP ends the node."""
    with Cell(policy) as cell:
        cell.wait_for_motion()
        pid = cell.process.process.pid
        cell.process.process.send_signal(signal.SIGTSTP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
        cell.wait_for_no_motion()
        assert 'stopped: sent a stop to every command topic' in cell.process.output
        cell.process.process.send_signal(signal.SIGCONT)
        assert cell.change(Transition.TRANSITION_ACTIVATE)
        cell.wait_for_motion()
        cell.end(signal.SIGHUP)
        cell.wait_for_no_motion()
        assert 'asked to end: SIGHUP' in cell.process.output


@pytest.mark.parametrize(('program', 'number'), [
    (WRAPPER, signal.SIGKILL), (FULL, signal.SIGTERM)], ids=['wrapper', 'full output'])
def test_a_wrapper_that_ends_and_an_output_that_is_full(
        policy: Path, program: str, number: signal.Signals) -> None:
    """The wrapper is gone, and the node's output is not read any more."""
    with Cell(policy, prefix=(sys.executable, '-c', program)) as cell:
        cell.wait_for_motion()
        cell.process.process.send_signal(number)
        cell.wait_for_no_motion()
        cell.process.wait()
        # It sends nothing any more.
        cell.peer.wait_for(
            lambda: not cell.peer.node.get_publishers_info_by_topic('twist_command'))
        cell.wait_for_no_motion()


def test_a_program_of_ones_own(policy: Path) -> None:
    """Rclpy's own handlers would shut the context down, and with it the publishers of the stop."""
    with Cell(policy, prefix=(sys.executable, '-c', OWN)) as cell:
        cell.wait_for_motion()
        cell.end(signal.SIGINT)
        cell.wait_for_no_motion()


def test_a_signal_while_it_waits_for_a_urdf(tmp_path: Path) -> None:
    """It would wait for a minute, but the signal ends it immediately."""
    robot = tmp_path / 'robot.yaml'
    text = (SHIPPED.parent / 'panda_joint.yaml').read_text(encoding='utf-8')
    numbers = 'velocity: [2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61]'
    assert numbers in text
    robot.write_text(text.replace(numbers, 'velocity: urdf'), encoding='utf-8')
    with NodeProcess(
            'dfp_ros.policy_node', free_domain(), '--ros-args',
            *arguments('lift_joint', robot=robot), '-p', 'limits.urdf_wait:=60.0') as process:
        deadline = time.monotonic() + 120
        while 'settings of safety: limits.urdf_wait=60.0' not in process.output:
            assert time.monotonic() < deadline, process.output
            time.sleep(0.05)
        since = time.monotonic()
        assert process.stop(signal.SIGTERM) == 0
        assert time.monotonic() - since < 40
        assert 'asked to end: SIGTERM' in process.output
