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
Isaac Lab's ``IO_descriptors.yaml``: the terms of a policy's observation and its actions.

Isaac Lab writes it beside ``policy.onnx`` if a run is started with ``--export_io_descriptors``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from pathlib import Path

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
    one,
)
from dfp_ros.tools.adopt.foreign_model import ForeignModel

# Keys at the top of the file.
_TOP = ('actions', 'observations', 'scene')
# Action terms whose command is offset + scale * number for each joint, with the unit of a revolute
# joint.
_ACTIONS = {
    'JointPositionAction': ('joint_position_targets', 'rad'),
    'JointVelocityAction': ('joint_velocity_targets', 'rad/s'),
    'JointEffortAction': ('joint_efforts', 'N m')}


def is_io_descriptors(content: object) -> bool:
    """Return whether parsed YAML is a file of IO descriptors."""
    # The configuration of an environment has these keys, too, but not a list.
    return all(key in mapping(content) for key in _TOP) and isinstance(
        mapping(content)['actions'], list)


def draft_of_io_descriptors(
        foreign: ForeignModel, path: Path, content: Mapping[str, object]) -> Draft:
    """
    Draft an adoption from IO descriptors.

    :param foreign: The model that they describe.
    :param path: Their file.
    :param content: Its content.
    :raises AdoptError: If they do not fit the model.
    """
    draft = Draft(notes=[
        f'Meaning of {foreign.path.name}, from {path.name}, for `ros2 run dfp_ros adopt`.',
        'Each FILL_IN is a fact that the descriptors do not state; docs/adopting.md explains the',
        'keys. Check every value with a comment.'])
    period = finite(mapping(content['scene']).get('dt'), 1)
    fill_top(draft, foreign, None, period[0] if period else None)
    states = find_states(foreign)
    inputs = [name for name in foreign.inputs if name not in states]
    outputs = [name for name in foreign.outputs if name not in states.values()]
    if len(inputs) != 1:
        raise AdoptError(
            f'{foreign.path}: found the inputs {", ".join(inputs)}, expected one input of '
            'observations; leave the descriptors out and describe it in a YAML file')
    if not outputs:
        raise AdoptError(
            f'{foreign.path}: found the outputs {", ".join(foreign.outputs)}, expected one of '
            'actions beside the states; leave the descriptors out and describe it in a YAML file')
    action = 'actions' if 'actions' in outputs else outputs[0]
    described = _group(foreign, inputs[0], path, content['observations'])
    draft.inputs[inputs[0]] = [_term(path, each, action) for each in described]
    for name, answer in states.items():
        draft.inputs[name] = []
        draft.input_keys[name] = keys = Facts()
        keys.put('state', answer, 'by its name and its size; check')
    draft.outputs[action] = [
        _field(path, each, content) for each in _list(path, 'actions', content['actions'])]
    draft.unused = [name for name in outputs if name != action]
    return draft


def _group(
        foreign: ForeignModel, given: str, path: Path,
        groups: object) -> list[Mapping[str, object]]:
    """Choose the group of observation terms whose size is that of the input."""
    size = foreign.inputs[given].size
    found = {
        str(name): _list(path, f'observations.{name}', terms)
        for name, terms in mapping(groups).items()}
    sizes = {name: sum(map(_width, terms)) for name, terms in found.items()}
    fitting = [name for name, total in sizes.items() if total == size]
    if len(fitting) > 1 and 'policy' in fitting:
        fitting = ['policy']
    if len(fitting) != 1:
        raise AdoptError(
            f'{path}: found the groups of observation terms '
            f'{", ".join(f"{name} ({total} numbers)" for name, total in sizes.items())}; the '
            f'input {given!r} of {foreign.path.name} has {size}, expected one group of that size. '
            'Are both files of one run?')
    return found[fitting[0]]


def _term(path: Path, described: Mapping[str, object], action: str) -> Facts:
    """Draft a term of the observation."""
    name, kind = str(described.get('name', '')), str(described.get('full_path', ''))
    overloads, extras = mapping(described.get('overloads')), mapping(described.get('extras'))
    if extras.get('modifiers'):
        raise AdoptError(
            f'{path}: the term {name!r} has modifiers, whose effect the descriptors do not state; '
            'describe the policy in a YAML file')
    size = math.prod(_shape(path, described))
    kind = kind.rpartition('.')[2]
    if kind == 'last_action':
        term = Facts()
        term.put('last_action', action)
    else:
        unit = extras.get('units')
        term = draft_term(name, size, unit if isinstance(unit, str) else None)
        if kind == 'projected_gravity':
            # Its descriptor has the unit of gravity, but it is a direction of length 1.
            for key, value in (('unit', '1'), ('low', -1.0), ('high', 1.0)):
                term.put(key, value)
                term.comments.pop(key, None)
        for offsets in ('joint_pos_offsets', 'joint_vel_offsets'):
            term.put_stated('minus', described.get(offsets), size)
        _put_joints(term, described, size)
    length = overloads.get('history_length')
    if isinstance(length, int) and length > 1:
        term.put('history', length)
    term.put_stated('scale', overloads.get('scale'))
    term.put_stated('clip', overloads.get('clip'), 2)
    return term


def _field(path: Path, described: Mapping[str, object], content: Mapping[str, object]) -> Facts:
    """Draft a field of the action."""
    kind = str(described.get('full_path', '')).rpartition('.')[2]
    size = math.prod(_shape(path, described))
    name, unit = _ACTIONS.get(kind, (str(described.get('name', 'action')), None))
    field = draft_field(name, size, unit)
    field.comments['unit'] = (
        'of a revolute joint; check' if unit else f'of the command of a {kind}')
    for key in ('scale', 'offset'):
        values = finite(described.get(key), size)
        if kind not in _ACTIONS:
            ask_beyond(field, key, described.get(key), kind)
        elif values:
            field.put(key, one(values))
            field.comments.pop(key, None)
    clip = described.get('clip')
    if isinstance(clip, Sequence) and len(clip) == size and all(finite(each, 2) for each in clip):
        for key, bounds in (('low', [each[0] for each in clip]), ('high', [
                each[1] for each in clip])):
            field.put(key, one(bounds), 'the clip of the action')
    elif kind == 'JointPositionAction' and (limits := _limits(described, content)):
        for key, bounds in (('low', limits[0]), ('high', limits[1])):
            field.comments[key] += f'; the joints of the training have {bounds}'
    _put_joints(field, described, size)
    return field


def _put_joints(facts: Facts, described: Mapping[str, object], size: int) -> None:
    """Add the names of joints or axes, in their order."""
    # Those of a position or a quaternion, whose order is not that of ROS in each release.
    axes = mapping(described.get('extras')).get('axes')
    for names in (described.get('joint_names'), axes):
        if isinstance(names, list) and len(names) == size:
            facts.put('elements', [str(name) for name in names])
            return


def _limits(
        described: Mapping[str, object],
        content: Mapping[str, object]) -> tuple[list[float], list[float]] | None:
    """Find the position limits of the joints of an action; None if they are not stated."""
    joints = described.get('joint_names')
    for each in mapping(content.get('articulations')).values():
        robot = mapping(each)
        names, limits = robot.get('joint_names'), robot.get('default_joint_pos_limits')
        if not isinstance(names, list) or not isinstance(limits, list) or not isinstance(
                joints, list) or not {*joints} <= {*names} or len(limits) != len(names):
            continue
        pairs = [finite(limits[names.index(joint)], 2) for joint in joints]
        found = [pair for pair in pairs if pair]
        if len(found) == len(joints):
            low, high = ([round(pair[i], 4) for pair in found] for i in (0, 1))
            return low, high
    return None


def _width(described: Mapping[str, object]) -> int:
    """Return the size of a term with its history."""
    shape = described.get('shape')
    size = math.prod(shape) if isinstance(shape, list) and all(
        isinstance(each, int) for each in shape) else 0
    length = mapping(described.get('overloads')).get('history_length')
    return size * (length if isinstance(length, int) and length > 1 else 1)


def _shape(path: Path, described: Mapping[str, object]) -> list[int]:
    """Return the shape of a term."""
    shape = described.get('shape')
    if not isinstance(shape, list) or not shape or not all(
            isinstance(each, int) and each > 0 for each in shape):
        raise AdoptError(
            f'{path}: the term {described.get("name")!r} has the shape {shape}, expected sizes')
    return shape


def _list(path: Path, key: str, value: object) -> list[Mapping[str, object]]:
    """Require a list of terms."""
    if not isinstance(value, list) or not value or not all(
            isinstance(each, Mapping) for each in value):
        raise AdoptError(f'{path}: {key}: expected a list of terms, as Isaac Lab writes it')
    return value
