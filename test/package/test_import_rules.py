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
"""Import rules: the contracts of pyproject.toml, and a core that loads without ROS and PyTorch."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

from testing import ROOT

PROGRAM = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('rclpy', 'torch', 'training', 'ament_index_python'):
            raise ImportError(f'{name} is blocked')

sys.meta_path.insert(0, Blocked())
for top in sys.argv[1:]:
    package = importlib.import_module(top)
    for found in pkgutil.walk_packages(getattr(package, '__path__', []), f'{top}.'):
        if not found.name.endswith('__main__'):
            importlib.import_module(found.name)
            print(found.name)
"""


def imported(*names: str) -> subprocess.CompletedProcess[str]:
    """Import packages with all that is in them."""
    return subprocess.run(
        [sys.executable, '-c', PROGRAM, *names], cwd=ROOT, capture_output=True, text=True)


def test_the_core_loads_without_ros_and_pytorch() -> None:
    """All of it, in one process."""
    found = imported('dfp_ros.core', 'dfp_ros.spec')
    assert found.returncode == 0, found.stderr
    assert len(found.stdout.splitlines()) > 70


def test_the_block_blocks() -> None:
    """A module that needs ROS does fail under the same block."""
    found = imported('dfp_ros.node.messages.command_writer')
    assert found.returncode == 1
    assert 'is blocked' in found.stderr


@pytest.mark.parametrize(('file', 'line', 'broken'), [
    ('dfp_ros/core/planning/planner.py', 'import rclpy', 'The core needs no ROS and no PyTorch'),
    ('dfp_ros/core/safety/reasons.py', 'from dfp_ros.core.control import decision',
     'Floors and rooms of dfp_ros'),
    ('dfp_ros/spec.py', 'import training.config', 'A robot needs no training'),
    ('training/collect.py', 'import training.convert', 'Rooms of training')])
def test_an_import_against_the_rules_is_found(
        file: str, line: str, broken: str, tmp_path: Path) -> None:
    """Each contract fails if a forbidden import is added."""
    pytest.importorskip('importlinter')
    for folder in ('dfp_ros', 'training', 'bench', 'testing', 'documentation'):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns(
            '__pycache__', '*.png', '*.json'))
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    with (tmp_path / file).open('a') as planted:
        planted.write(f'\n{line}\n')
    found = subprocess.run(
        [str(Path(sys.executable).with_name('lint-imports')), '--no-cache', '--no-logo'],
        cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(tmp_path)}, capture_output=True,
        text=True)
    assert found.returncode == 1, found.stdout + found.stderr
    assert any(
        text.startswith(broken) and text.endswith('BROKEN') for text in found.stdout.splitlines())


def test_files_of_tests_have_names_of_their_own() -> None:
    """Folders of tests are no packages, and pytest collects one module of a name."""
    names = [path.name for path in (ROOT / 'test').rglob('test_*.py')]
    assert sorted(names) == sorted(set(names))
