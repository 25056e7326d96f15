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
"""Parameters of all nodes, from the tuples and dataclasses that declare them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import re
from typing import Any

from dfp_ros.core.settings.node import describe
from dfp_ros.node.parameters.parameters import LIFETIME
from dfp_ros.sim.operator.node import PARAMETERS as OPERATOR
from dfp_ros.sim.sim_robot.settings import PARAMETERS as SIM_ROBOT
from dfp_ros.tools.episodes.settings import PARAMETERS as EPISODES
from dfp_ros.tools.recording.recorder import PARAMETERS as RECORDER
from dfp_ros.tools.teleop.joystick import PARAMETERS as JOYSTICK
from dfp_ros.tools.teleop.keyboard import PARAMETERS as KEYBOARD
from documentation.markdown import cell, code, table

#: Executable and parameters of each node but the policy node.
NODES: tuple[tuple[str, Iterable[tuple[str, Any, str, tuple[float, float] | None]]], ...] = (
    ('recorder', RECORDER), ('episode_manager', EPISODES), ('teleop_keyboard', KEYBOARD),
    ('teleop_joy', JOYSTICK), ('sim_node', SIM_ROBOT), ('scripted_operator', OPERATOR))
_HEADS = ('parameter', 'value', 'meaning')


#: Modules that declare parameters: those of the above, and what all nodes have.
DECLARING = {
    'dfp_ros/node/parameters/parameters.py', 'dfp_ros/node/ros/node_main.py',
    'dfp_ros/sim/operator/node.py', 'dfp_ros/sim/sim_robot/settings.py',
    'dfp_ros/tools/episodes/settings.py', 'dfp_ros/tools/recording/recorder.py',
    'dfp_ros/tools/teleop/joystick.py', 'dfp_ros/tools/teleop/keyboard.py'}


def require_all(root: Path) -> None:
    """
    Require that every module that declares parameters is listed.

    :param root: The checkout.
    :raises ValueError: If one is not, or declares none any more.
    """
    found = {
        path.relative_to(root).as_posix() for folder in ('dfp_ros', 'training')
        for path in (root / folder).rglob('*.py')
        if re.search(r'(?<!def )(?<!\.)\bdeclare_parameter\(', path.read_text())}
    if found != DECLARING:
        raise ValueError(
            f'documentation/parameters.py: parameters are declared in {sorted(found)}, listed are '
            f'{sorted(DECLARING)}; list the others in DECLARING, and their parameters in NODES')


def page(root: Path) -> str:
    """
    Format the page.

    :param root: The checkout.
    """
    require_all(root)
    groups: dict[str, list[list[str]]] = {}
    for name, default, meaning in describe():
        when = '; fixed at the start' if meaning.is_fixed else (
            '; set while unconfigured' if meaning.is_unconfigured_only else '')
        groups.setdefault(name.rpartition('.')[0], []).append([
            code(name), _value(default, meaning.bounds, meaning.choices) + when,
            cell(meaning.sentence)])
    parts = [
        '# Parameters',
        'Every parameter of every node, with type, default and range. `ros2 param describe` gives '
        'the same sentences on a running node, and `config/policy.yaml` has all of the policy '
        'node with their defaults. Values of another type or out of range are refused, by name; '
        'so are unknown names.',
        '## policy_node',
        'They can be set while the node runs, unless the table says otherwise. `preflight` takes '
        'the same parameters.']
    for group, rows in groups.items():
        if group:
            parts.append(f'### {group}')
        parts.append(table(_HEADS, rows))
    for name, parameters in NODES:
        parts += [f'## {name}', 'They are read once, at the start.', table(_HEADS, (
            [code(key), _value(default, bounds), cell(sentence)]
            for key, default, sentence, bounds in parameters))]
    name, default, sentence = LIFETIME
    parts += [
        '## All nodes', table(_HEADS, [[code(name), _value(default), cell(sentence)]]),
        '`use_sim_time`, as for every node of ROS 2, makes a node follow the clock of a '
        'simulation.']
    return '\n\n'.join(parts) + '\n'


def _value(
        default: Any, bounds: tuple[float, float] | None = None,
        choices: tuple[str, ...] = ()) -> str:
    """Format type, default and range of a parameter."""
    return ', '.join(filter(None, (_type(default), _default(default), _range(bounds, choices))))


def _type(default: Any) -> str:
    names = {'str': 'string', 'float': 'double', 'int': 'integer'}
    return names.get(type(default).__name__, type(default).__name__)


def _default(default: Any) -> str:
    if isinstance(default, bool):
        return code(str(default).lower())
    return code(default) if default != '' else "`''`"


def _range(bounds: tuple[float, float] | None, choices: tuple[str, ...] = ()) -> str:
    if choices:
        return 'of ' + ', '.join(map(code, choices))
    return '' if bounds is None else ' to '.join(
        str(bound) if isinstance(bound, int) else f'{bound:.12g}' for bound in bounds)
