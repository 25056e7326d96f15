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
"""The core runs without ROS and without torch."""

import subprocess
import sys

import pytest

MODULES = (
    'preflight_figures', 'preflight_verdict', 'preflight_report', 'spec', 'policy',
    'robot_description', 'observation', 'chunk', 'planner', 'chunk_joining', 'limit_findings',
    'limits', 'command_limiter', 'safety', 'source_watch', 'controller', 'decision',
    'decision_log', 'settings', 'setting', 'braking', 'position_limiter', 'velocity_limiter',
    'command_limits', 'measured', 'rotation', 'urdf', 'transforms', 'reading', 'observation_field',
    'sample_store', 'sample_reader', 'transform_reader', 'diagnostics_settings', 'status_level',
    'statistics_row', 'journal', 'recorded_decision', 'replayed_policy', 'replayer',
    'policy_difference', 'execution', 'policy_file', 'shadow', 'printable')
PROGRAM = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('rclpy', 'torch', 'training', 'ament_index_python'):
            raise ImportError(f'{name} is blocked')

sys.meta_path.insert(0, Blocked())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize('module', MODULES)
def test_imports_alone(module: str) -> None:
    """Each module of the core imports with rclpy and torch blocked."""
    subprocess.run([sys.executable, '-c', PROGRAM, f'dfp_ros.{module}'], check=True)


def test_the_block_blocks() -> None:
    """A module that needs ROS does fail under the same block."""
    found = subprocess.run(
        [sys.executable, '-c', PROGRAM, 'dfp_ros.node.messages.command_writer'],
        capture_output=True, text=True)
    assert found.returncode == 1
    assert 'is blocked' in found.stderr
