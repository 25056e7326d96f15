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

import subprocess
import sys

from testing import ROOT
from testing.processes.ros_processes import in_domain

FOLDER = ROOT / 'launch'
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
