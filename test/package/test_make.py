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
"""`make` in a checkout, beside the user's own `colcon build`, and in paths that it refuses."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess

import pytest

from testing import ROOT

FIND = "from dfp_ros.resources import find_shared; print(find_shared('{}', 'models', '.onnx'))"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the files that git knows, into a folder, and lend them the environment."""
    if not (ROOT / '.git').exists() or not (ROOT / '.venv').exists():
        pytest.skip('this is no checkout with an environment of its own')
    copy = tmp_path / 'dfp_ros'
    listed = subprocess.run(
        ['git', 'ls-files', '-z'], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split('\0')):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / '.venv').symlink_to((ROOT / '.venv').resolve())
    return copy


def run(checkout: Path, *command: str) -> str:
    """Run a command to its end in a shell that knows nothing of this checkout."""
    strange = ('AMENT_', 'COLCON_', 'PYTHONPATH', 'VIRTUAL_ENV', 'MAKE', 'ROS_DISTRO')
    environment = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
    done = subprocess.run(
        command, cwd=checkout, env=environment, text=True, timeout=240, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_make_and_colcon_do_not_disturb_each_other(checkout: Path) -> None:
    """In either order, and if the installed content changes in between."""
    make = 'make', '-o', 'env', 'build'
    colcon = 'bash', '-c', (
        '. env/setup.bash && python "$(command -v colcon)" --log-base log build --base-paths .')
    run(checkout, *make)
    run(checkout, *colcon)
    shutil.copy(checkout / 'models' / 'lift.onnx', checkout / 'models' / 'new one.onnx')
    run(checkout, *make)
    run(checkout, *colcon)
    found = run(checkout, 'bash', '-c', f'. env/setup.bash && cd / && python -c "{FIND}"'.format(
        'new one')).strip()
    assert Path(found).is_relative_to(checkout / '.colcon')
    (checkout / 'models' / 'new one.onnx').unlink()
    run(checkout, *make)
    run(checkout, *colcon)
    listed = run(checkout, 'bash', '-c', '. env/setup.bash && ros2 pkg executables dfp_ros')
    assert 'dfp_ros preflight' in listed


def test_a_checkout_in_a_path_with_spaces_is_refused(checkout: Path, tmp_path: Path) -> None:
    """Instead of an environment that installs for minutes and in which nothing runs."""
    moved = tmp_path / 'my robots' / 'dfp_ros'
    moved.parent.mkdir()
    checkout.rename(moved)
    done = subprocess.run(
        ['make'], cwd=moved, text=True, timeout=60, check=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert done.returncode != 0
    assert "a path with ' '" in done.stdout
    assert 'move the checkout' in done.stdout
