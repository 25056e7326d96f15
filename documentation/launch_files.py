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
"""Arguments of the launch files, from the launch descriptions that declare them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from launch import LaunchContext, LaunchDescription  # type: ignore[attr-defined]
from launch.actions import DeclareLaunchArgument
from launch.substitutions import PathJoinSubstitution, TextSubstitution
from launch.utilities import perform_substitutions

from dfp_ros.policy_arguments import OPTIONAL
from documentation.markdown import cell, code, table


def page(root: Path) -> str:
    """
    Format the page.

    :param root: The checkout.
    """
    parts = [
        '# Launch arguments',
        'Every argument of every launch file, as `ros2 launch dfp_ros FILE --show-args` prints '
        'them. Unknown arguments and values of another type are refused, by name. An empty '
        'default leaves the node its own.']
    settings = {name for name, _, _ in OPTIONAL}
    for path in sorted((root / 'launch').glob('*.launch.py')):
        about, declared = _read(path)
        names = {argument.name for argument in declared}
        # The launch files of the policy node have all of its parameters.
        elsewhere = settings if settings <= names else set()
        rows = [
            [code(argument.name), _default(argument), cell(argument.description)]
            for argument in declared if argument.name not in elsewhere]
        parts += [f'## {path.name}', about, table(('argument', 'default', 'meaning'), rows)]
        if elsewhere:
            parts.append(
                'Every [parameter of the policy node](parameters.md#policy_node) is an argument, '
                f'too: {", ".join(code(name) for name, _, _ in OPTIONAL)}.')
    return '\n\n'.join(parts) + '\n'


def _read(path: Path) -> tuple[str, list[DeclareLaunchArgument]]:
    """Read the first lines of a launch file's docstring, and its arguments."""
    spec = importlib.util.spec_from_file_location(path.name.partition('.')[0] + '_launch', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    described = module.generate_launch_description()
    assert isinstance(described, LaunchDescription)
    about = str(module.__doc__).strip().replace('``', '`')
    return about, [
        each for each in described.entities if isinstance(each, DeclareLaunchArgument)]


def _default(argument: DeclareLaunchArgument) -> str:
    """Format the default of an argument; a file of the package by its path in it."""
    value = argument.default_value
    if value is None:
        return 'required'
    if len(value) == 1 and isinstance(value[0], PathJoinSubstitution):
        words = [
            part for part in value[0].substitutions
            if len(part) == 1 and isinstance(part[0], TextSubstitution)]
        return code('/'.join(part[0].text for part in words))
    return code(perform_substitutions(LaunchContext(), value)) or "`''`"
