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
"""The wheel, installed by pip into a prefix of its own, beside the ROS 2 of the environment."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

from testing import ROOT

pytest.importorskip('ros2cli')


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command to its end; return its output."""
    foreign = ('PYTHONPATH', 'COLCON_PREFIX_PATH')
    variables = {k: v for k, v in os.environ.items() if k not in foreign}
    underlay = [
        each for each in os.environ['AMENT_PREFIX_PATH'].split(':')
        if not (Path(each) / 'share' / 'dfp_ros').exists()]
    done = subprocess.run(
        command, cwd=cwd, text=True, timeout=120, check=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**variables, 'AMENT_PREFIX_PATH': ':'.join(underlay), **environment})
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.long
def test_the_wheel_has_node_tools_and_models(tmp_path: Path) -> None:
    """``make wheel`` does more, in an environment that has nothing else, and takes minutes."""
    source = tmp_path / 'source'
    for name in ('setup.py', 'setup.cfg', 'package.xml', 'LICENSE'):
        source.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source)
    for name in ('dfp_ros', 'launch', 'config', 'models', 'resource'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
    run(sys.executable, 'setup.py', '--quiet', 'bdist_wheel', cwd=source)
    (wheel,) = (source / 'dist').iterdir()
    prefix = tmp_path / 'prefix'
    run(sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index',
        '--ignore-installed', '--prefix', prefix, wheel, cwd=tmp_path)

    (packages,) = (prefix / 'lib').glob('python3*/site-packages')
    assert not (packages / 'training').exists()
    share = prefix / 'share' / 'dfp_ros'
    for folder in ('launch', 'config', 'models'):
        installed, expected = (
            sorted(path.name for path in (root / folder).iterdir() if path.is_file())
            for root in (share, ROOT))
        assert installed == expected
    # Bare names are found though AMENT_PREFIX_PATH does not have the prefix; ros2 needs it there.
    described = run(prefix / 'bin' / 'describe', 'cube_single', cwd=tmp_path,
                    PYTHONPATH=str(packages))
    assert f'{share}/models/cube_single.onnx' in described
    visible = f'{prefix}:{os.environ["AMENT_PREFIX_PATH"]}'
    listed = run('ros2', 'pkg', 'executables', 'dfp_ros', cwd=tmp_path,
                 PYTHONPATH=str(packages), AMENT_PREFIX_PATH=visible)
    assert len(listed.split()) == 2 * len(list((prefix / 'lib' / 'dfp_ros').iterdir()))
    helped = run('ros2', 'run', 'dfp_ros', 'policy_node', '--help', cwd=tmp_path,
                 PYTHONPATH=str(packages), AMENT_PREFIX_PATH=visible)
    assert helped.startswith('usage: ')
