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
"""Remedies for Python packages that are not installed."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
import sys
import sysconfig
from types import MappingProxyType

#: What pip installs, by the name that is imported, if it is more than that name.
_PIP = MappingProxyType({
    'yaml': 'pyyaml',
    # The simulated robots; no distribution of ROS has them.
    **dict.fromkeys(
        ('gymnasium', 'imageio', 'mujoco', 'ogbench', 'PIL'),
        'gymnasium imageio mujoco ogbench pillow')})
#: Packages of the system, likewise.
_SYSTEM = MappingProxyType({
    'onnxruntime': ', or on Ubuntu 26.04 and Debian 13 apt install python3-onnxruntime',
    'yaml': ', or apt install python3-yaml', 'numpy': ', or apt install python3-numpy'})
#: Packages that come with ROS 2 alone.
_ROS = ('ament_index_python', 'launch', 'launch_ros', 'rclpy', 'rcl_interfaces', 'rosidl_parser')


def remedy(name: str) -> str:
    """
    Say how to get a package.

    :param name: Name of a top-level module that could not be imported.
    :return: A clause.
    """
    if name in _ROS or name.endswith('_msgs'):
        return (
            'it comes with ROS 2: source its setup file first (. /opt/ros/DISTRIBUTION/setup.bash '
            'or, in a checkout, . env/setup.bash), and use the Python that it was built for')
    return (
        f'install it for this Python: pip install {_PIP.get(name, name)}{_with_numpy()}'
        f'{_SYSTEM.get(name, "")}{_beside_the_system()}')


def _with_numpy() -> str:
    """Have pip keep NumPy 1, which messages of ROS 2 were built for then; 2 breaks them."""
    try:
        return " 'numpy<2'" if metadata.version('numpy').startswith('1.') else ''
    except metadata.PackageNotFoundError:
        return ''


def _beside_the_system() -> str:
    """Say that pip needs a virtual environment, as PEP 668 has it for a system's own Python."""
    marker = Path(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED')
    if sys.prefix != sys.base_prefix or not marker.exists():
        return ''
    return (
        '. pip leaves the Python of this system alone: make a virtual environment that sees its '
        'packages (python3 -m venv --system-site-packages FOLDER), activate it, and use its pip '
        '(docs/installing.md)')


def describe_missing(error: ModuleNotFoundError) -> str | None:
    """
    Describe a package that is not installed.

    :param error: Failed import.
    :return: A line for the user; None if it is no foreign package, but a fault in this one.
    """
    name = (error.name or '').partition('.')[0]
    if name in ('', 'dfp_ros'):
        return None
    return f'cannot start: found no Python package {name!r} in {sys.executable}; {remedy(name)}'
