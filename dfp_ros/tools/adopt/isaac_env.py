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
Isaac Lab's ``params/env.yaml``: the configuration of the environment that a policy was trained in.

Every run has this file. It states the terms of the observation and their scale, clip and history,
but neither the sizes of all of them nor the order of the joints, which the simulator decides:
:mod:`dfp_ros.tools.adopt.io_descriptors` reads a file that states those, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dfp_ros.core.text.numbers import shown
from dfp_ros.tools.adopt.adoption import AdoptError
from dfp_ros.tools.adopt.draft import (
    ask_beyond,
    Draft,
    draft_field,
    draft_term,
    Facts,
    fill_top,
    find_states,
    finite,
    mapping,
)
from dfp_ros.tools.adopt.foreign_model import ForeignModel

# Functions of isaaclab.envs.mdp: size, 0 if it depends on the robot, and unit of the value.
_FUNCTIONS = {
    'base_lin_vel': (3, 'm/s'), 'base_ang_vel': (3, 'rad/s'), 'imu_ang_vel': (3, 'rad/s'),
    'imu_lin_acc': (3, 'm/s^2'), 'projected_gravity': (3, '1'),
    'imu_projected_gravity': (3, '1'), 'root_quat_w': (4, '1'), 'imu_orientation': (4, '1'),
    'root_pos_w': (3, 'm'), 'root_lin_vel_w': (3, 'm/s'), 'root_ang_vel_w': (3, 'rad/s'),
    'joint_pos': (0, None), 'joint_pos_rel': (0, None), 'joint_vel': (0, None),
    'joint_vel_rel': (0, None)}
# Action terms whose command is offset + scale * number.
_ACTIONS = {
    'JointPositionAction': 'joint_position_targets',
    'JointVelocityAction': 'joint_velocity_targets', 'JointEffortAction': 'joint_efforts'}
# What use_default_offset adds: a part of the initial state, with words for it.
_OFFSETS = {
    'JointPositionAction': ('joint_pos', 'the default posture'),
    'JointVelocityAction': ('joint_vel', 'the default velocity')}
_QUATERNION = 'w, x, y, z up to Isaac Lab 2; x, y, z, w from 3 on'


def is_isaac_env(content: object) -> bool:
    """Return whether parsed YAML is the configuration of an environment of Isaac Lab."""
    found = mapping(content)
    return 'decimation' in found and 'sim' in found and all(
        isinstance(found.get(key), Mapping) for key in ('observations', 'actions'))


def draft_of_isaac_env(
        foreign: ForeignModel, path: Path, content: Mapping[str, object]) -> Draft:
    """
    Draft an adoption from the configuration of an environment.

    :param foreign: The model.
    :param path: The file.
    :param content: Its content.
    :raises AdoptError: If it does not fit the model.
    """
    draft = Draft(notes=[
        f'Meaning of {foreign.path.name}, from {path.name}, for `ros2 run dfp_ros adopt`.',
        'Each FILL_IN is a fact that the configuration does not state, such as the order of the',
        'joints, which the simulator decides; docs/adopting.md explains the keys. Check every',
        'value with a comment.'])
    step = finite(mapping(content['sim']).get('dt'), 1)
    decimation = finite(content['decimation'], 1)
    period = step[0] * decimation[0] if step and decimation else None
    fill_top(draft, foreign, None, None if period is None else round(period, 9))
    states = find_states(foreign)
    inputs = [name for name in foreign.inputs if name not in states]
    outputs = [name for name in foreign.outputs if name not in states.values()]
    if len(inputs) != 1:
        raise AdoptError(
            f'{foreign.path}: found the inputs {", ".join(inputs)}, expected one input of '
            'observations; leave the configuration out and describe it in a YAML file')
    if not outputs:
        raise AdoptError(
            f'{foreign.path}: found the outputs {", ".join(foreign.outputs)}, expected one of '
            'actions beside the states; leave the configuration out and describe it in a YAML '
            'file')
    action = 'actions' if 'actions' in outputs else outputs[0]
    groups = mapping(content['observations'])
    group = mapping(groups.get('policy'))
    if not group:
        raise AdoptError(
            f'{path}: found the groups of observations {", ".join(map(str, groups))}, expected '
            'policy among them')
    if group.get('concatenate_terms') is False:
        raise AdoptError(f'{path}: observations.policy: its terms are not concatenated')
    terms = {
        str(name): mapping(term) for name, term in group.items() if 'func' in mapping(term)}
    width = foreign.inputs[inputs[0]].size
    draft.inputs[inputs[0]] = [
        _term(path, name, term, content, action, f'all terms have {width} numbers together')
        for name, term in terms.items()]
    for name, answer in states.items():
        draft.inputs[name] = []
        draft.input_keys[name] = keys = Facts()
        keys.put('state', answer, 'by its name and its size; check')
    fields = [
        _field(str(name), mapping(each), content, foreign.outputs[action].size)
        for name, each in mapping(content['actions']).items() if 'class_type' in mapping(each)]
    if len(fields) == 1:
        fields[0].put('size', foreign.outputs[action].size)
        fields[0].comments.pop('size', None)
    draft.outputs[action] = fields or [draft_field(None, foreign.outputs[action].size)]
    draft.unused = [name for name in outputs if name != action]
    return draft


def _term(
        path: Path, name: str, described: Mapping[str, object], content: Mapping[str, object],
        action: str, hint: str) -> Facts:
    """Draft a term of the observation."""
    if described.get('modifiers'):
        raise AdoptError(
            f'{path}: the term {name!r} has modifiers; describe the policy in a YAML file')
    function = str(described['func']).rpartition(':')[2].rpartition('.')[2]
    if function == 'last_action':
        term = Facts()
        term.put('last_action', action)
    else:
        size, unit = _FUNCTIONS.get(function, (0, None))
        term = draft_term(name, size or hint, unit)
        if unit is None:
            term.comments['unit'] = f'of the value of {function}'
        if function.endswith('projected_gravity'):
            for key, value in (('low', -1.0), ('high', 1.0)):
                term.put(key, value)
                term.comments.pop(key, None)
        if function == 'joint_pos_rel':
            term.put('minus', None, 'the default posture, in the order of the joints')
        elif function == 'joint_vel_rel':
            asset = mapping(mapping(described.get('params')).get('asset_cfg')).get('name', 'robot')
            velocity = _initial(content, asset, 'joint_vel')
            if any(velocity.values()):
                term.put('minus', None, (
                    f'the default velocity, in the order of the joints: {_by_pattern(velocity)}'))
        elif size == 4:
            term.comments['size'] = _QUATERNION
    # That of the group, if it has one, is that of all terms.
    group = mapping(mapping(content['observations']).get('policy'))
    lengths = [each for each in (
        group.get('history_length'), described.get('history_length')) if isinstance(each, int)]
    if lengths and lengths[0] > 1:
        term.put('history', lengths[0])
    term.put_stated('scale', described.get('scale'))
    term.put_stated('clip', described.get('clip'), 2)
    return term


def _field(
        name: str, described: Mapping[str, object], content: Mapping[str, object],
        size: int) -> Facts:
    """Draft a field of the action."""
    kind = str(described['class_type']).rpartition(':')[2].rpartition('.')[2]
    field = draft_field(
        _ACTIONS.get(kind, name), f'all fields of the output have {size} numbers together')
    field.comments['unit'] = f'of the command of a {kind}'
    scale, offset = described.get('scale'), described.get('offset')
    if kind not in _ACTIONS:
        for key in ('scale', 'offset'):
            ask_beyond(field, key, described.get(key), kind)
        return field
    if isinstance(scale, int | float) and (found := finite(scale, 1)):
        field.put('scale', found[0])
        field.comments.pop('scale')
    elif isinstance(scale, Mapping):
        field.comments['scale'] = f'in the order of the joints: {_by_pattern(scale)}'
    if described.get('use_default_offset') and kind in _OFFSETS:
        key, words = _OFFSETS[kind]
        initial = _initial(content, described.get('asset_name'), key)
        field.comments['offset'] = f'{words}, in the order of the joints: {_by_pattern(initial)}'
        if initial and not any(initial.values()):
            field.put('offset', 0.0)
            field.comments.pop('offset')
    elif isinstance(offset, int | float) and (found := finite(offset, 1)):
        field.put('offset', found[0])
        field.comments.pop('offset')
    if clip := mapping(described.get('clip')):
        for key in ('low', 'high'):
            field.comments[key] += f'; the action is clipped in the training: {_by_pattern(clip)}'
    return field


def _initial(content: Mapping[str, object], asset: object, key: str) -> Mapping[str, object]:
    """Find a part of the initial state of a robot, by patterns of joint names."""
    robot = mapping(mapping(content.get('scene')).get(str(asset)))
    return mapping(mapping(robot.get('init_state')).get(key))


def _by_pattern(values: Mapping[str, object]) -> str:
    """Format values by patterns of joint names."""
    return ', '.join(
        f'{name} {shown(value) if isinstance(value, int | float) else value}'
        for name, value in values.items())
