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
"""Launch files run in a process, as `ros2 launch` runs them."""

from __future__ import annotations

from collections.abc import Sequence
import json
import re
import subprocess
import sys

from testing import ROOT
from testing.processes.ros_processes import in_domain

FOLDER = ROOT / 'launch'
_RUN = """
import json
import os
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
import launch_ros.actions
def run(file, *words):
    service = LaunchService()
    service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
        PythonLaunchDescriptionSource(file),
        launch_arguments=[word.split(':=', 1) for word in words])]))
    return service.run()
"""
PROGRAM = f'{_RUN}sys.exit(run(*sys.argv[1:]))'
# What is slow to import is imported once; each launch is a process of its own.
PROGRAM_OF_MANY = f"""{_RUN}
for words in json.load(sys.stdin):
    child = os.fork()
    if not child:
        sys.exit(run(*words))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print('ended with', status, flush=True)
"""


def launch(file: str, domain: int, *arguments: str) -> subprocess.Popen[str]:
    """Run a file of ``launch/`` with launch arguments."""
    return subprocess.Popen(
        [sys.executable, '-c', PROGRAM, str(FOLDER / file), *arguments], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=in_domain(domain))


def output_of(file: str, domain: int, *arguments: str) -> tuple[str, int]:
    """Run a file of ``launch/`` that ends by itself; return its output and its status."""
    process = launch(file, domain, *arguments)
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    return output, process.returncode


def outputs_of(
        domain: int, launches: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, int]]:
    """
    Run launches that end by themselves, one after the other.

    :param domain: ROS domain.
    :param launches: File of ``launch/`` and launch arguments of each.
    :return: Output and status of each.
    """
    asked = [[str(FOLDER / file), *arguments] for file, arguments in launches]
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM_OF_MANY], input=json.dumps(asked), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=in_domain(domain), check=True,
        timeout=60 * len(asked))
    found = re.findall(r'(.*?)^ended with (-?\d+)\n', done.stdout, re.MULTILINE | re.DOTALL)
    assert len(found) == len(asked), done.stdout
    return [(output, int(status)) for output, status in found]
