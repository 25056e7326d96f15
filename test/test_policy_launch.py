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
"""The launch file of the policy node: what it forwards."""

import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip('launch_ros')

from diagnostic_msgs.msg import DiagnosticArray
from ros_processes import Peer

from dfp_ros.robots.domain import free_domain

FILE = Path(__file__).parent.parent / 'launch' / 'policy.launch.py'
PROGRAM = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [argument.split(':=', 1) for argument in sys.argv[2:]]
service = LaunchService()
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)]))
sys.exit(service.run())
"""


def launch(domain: int, *arguments: str) -> subprocess.Popen[str]:
    """Run the launch file with arguments as `ros2 launch` takes them."""
    return subprocess.Popen(
        [sys.executable, '-c', PROGRAM, str(FILE), *arguments], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain),
             'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'})


def test_forwards_its_arguments() -> None:
    """Policy, robot, rate, name and namespace reach the node, and Ctrl-C ends it cleanly."""
    domain = free_domain()
    with Peer(domain) as peer:
        reports: list[Any] = peer.collect(DiagnosticArray, '/diagnostics')
        process = launch(
            domain, 'policy:=cube_single', 'robot:=ur5e_cube', 'rate:=100', 'name:=pilot',
            'namespace:=left')
        try:
            peer.wait_for(lambda: reports)
            status = reports[-1].status[0]
            assert status.name == '/left/pilot: control loop'
            assert {item.key: item.value for item in status.values}['rate_hz'] == '100'
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert 'process has finished cleanly' in output
    assert 'Traceback' not in output


@pytest.mark.parametrize(('arguments', 'message'), [
    (['policy:=none_such', 'robot:=ur5e_cube'], "found 'none_such', which is neither a file"),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'rate:=fast'],
     "argument rate: found 'fast', expected float"),
    (['robot:=ur5e_cube'], "argument 'policy'")])
def test_says_what_is_wrong(arguments: list[str], message: str) -> None:
    """A launch that cannot work ends by itself, with the reason."""
    process = launch(free_domain(), *arguments)
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert message.lower() in output.lower(), output
