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
_HEADS = ('parameter', 'type', 'default', 'range', 'meaning')


def page() -> str:
    """Format the page."""
    groups: dict[str, list[list[str]]] = {}
    for name, default, meaning in describe():
        when = 'at the start' if meaning.is_fixed else (
            'while unconfigured' if meaning.is_unconfigured_only else 'while it runs')
        groups.setdefault(name.rpartition('.')[0], []).append([
            code(name), _type(default), _default(default), _range(meaning.bounds, meaning.choices),
            when, cell(meaning.sentence)])
    parts = [
        '# Parameters',
        'Every parameter of every node. `ros2 param describe` gives the same sentences on a '
        'running node, and `config/policy.yaml` has all of the policy node with their '
        'defaults. Values of another type or out of range are refused, by name; so are unknown '
        'names.',
        '## policy_node',
        'The column *set* says when a parameter can be changed. `preflight` takes the same '
        'parameters.']
    for group, rows in groups.items():
        if group:
            parts.append(f'### {group}')
        parts.append(table((*_HEADS[:4], 'set', _HEADS[4]), rows))
    for name, parameters in NODES:
        parts += [f'## {name}', table(_HEADS, (
            [code(key), _type(default), _default(default), _range(bounds), cell(sentence)]
            for key, default, sentence, bounds in parameters))]
    name, default, sentence = LIFETIME
    parts += [
        '## All nodes', table(('parameter', 'type', 'default', 'meaning'), [
            [code(name), _type(default), _default(default), cell(sentence)]]),
        '`use_sim_time`, as for every node of ROS 2, makes a node follow the clock of a '
        'simulation.']
    return '\n\n'.join(parts) + '\n'


def _type(default: Any) -> str:
    names = {'str': 'string', 'float': 'double', 'int': 'integer'}
    return names.get(type(default).__name__, type(default).__name__)


def _default(default: Any) -> str:
    if isinstance(default, bool):
        return code(str(default).lower())
    return code(default) if default != '' else "`''`"


def _range(bounds: tuple[float, float] | None, choices: tuple[str, ...] = ()) -> str:
    if choices:
        return ', '.join(map(code, choices))
    return '' if bounds is None else ' to '.join(
        str(bound) if isinstance(bound, int) else f'{bound:.12g}' for bound in bounds)
