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
Metadata of mjlab's ONNX files, as far as they say what a policy's numbers mean.

mjlab (``mjlab.rl.exporter_utils``) writes the names of observation terms, the default posture and
the scale of actions, numbers rounded to three decimals; terms have neither size nor unit.
"""

from __future__ import annotations

from collections.abc import Mapping
import math

from dfp_ros.core.text.printable import printable
from dfp_ros.tools.adopt.adoption import AdoptError, MOST_TICKS
from dfp_ros.tools.adopt.draft import (
    Draft,
    draft_field,
    draft_term,
    Facts,
    fill_top,
    find_states,
    one,
)
from dfp_ros.tools.adopt.foreign_model import ForeignModel

_NAMES = 'observation_names'
# Longest item of the metadata in characters; that of a humanoid robot has a hundredth of it.
_LONGEST = 20_000
_ROUNDED = 'mjlab rounds to 3 decimals; give all of them if you have them'
# Terms of mjlab's own tasks: size, 0 for that of the joints, and unit of the value.
_KNOWN = {
    'base_lin_vel': (3, 'm/s'), 'base_ang_vel': (3, 'rad/s'), 'projected_gravity': (3, '1'),
    'joint_pos': (0, 'rad'), 'joint_vel': (0, 'rad/s')}
_BY_NAME = "by its name, as in mjlab's own tasks; check"
_ACTIONS = ('actions', 'last_action', 'last_actions')


def is_mjlab(foreign: ForeignModel) -> bool:
    """Return whether a model has the metadata of mjlab."""
    return _NAMES in foreign.metadata and 'joint_names' in foreign.metadata


def draft_of_mjlab(foreign: ForeignModel) -> Draft:
    """
    Draft an adoption from mjlab's metadata.

    :param foreign: The model.
    :raises AdoptError: If the metadata does not fit the graph.
    """
    metadata = foreign.metadata
    for key, text in metadata.items():
        if len(text) > _LONGEST:
            raise AdoptError(
                f'{foreign.path}: its metadata has {len(text)} characters of {printable(key)}, '
                f'expected at most {_LONGEST}; describe it in a YAML file instead (--plain)')
    draft = Draft(notes=[
        f'Meaning of {foreign.path.name}, from the metadata that mjlab wrote into it, for',
        '`ros2 run dfp_ros adopt`. Each FILL_IN is a fact that the metadata does not state;',
        'docs/adopting.md explains the keys. Check every value with a comment.'])
    fill_top(draft, foreign, metadata.get('run_path') or None)
    states = find_states(foreign)
    inputs = [name for name in foreign.inputs if name not in states]
    outputs = [name for name in foreign.outputs if name not in states.values()]
    if len(inputs) != 1:
        raise AdoptError(
            f'{foreign.path}: has the metadata of mjlab and the inputs {", ".join(inputs)}, '
            'expected one input of observations; describe it in a YAML file instead (--plain)')
    if not outputs:
        raise AdoptError(
            f'{foreign.path}: has the metadata of mjlab; found the outputs '
            f'{", ".join(foreign.outputs)}, expected one of actions beside the states; describe '
            'it in a YAML file instead (--plain)')
    action = 'actions' if 'actions' in outputs else outputs[0]
    joints = split(metadata['joint_names'])
    draft.inputs[inputs[0]] = _terms(foreign, inputs[0], action, joints)
    for name, answer in states.items():
        draft.inputs[name] = []
        draft.input_keys[name] = keys = Facts()
        keys.put('state', answer, 'by its name and its size; check')
    draft.outputs[action] = [_field(foreign, action, joints)]
    draft.unused = [name for name in outputs if name != action]
    for key, name, unit in (
            ('joint_stiffness', 'kp', 'N m/rad'), ('joint_damping', 'kd', 'N m s/rad')):
        values = _numbers(metadata, key)
        if values:
            gains = Facts()
            gains.put('name', name, 'leave the item out if the driver of the robot has the gains')
            gains.put('unit', unit)
            gains.put('values', values, _ROUNDED)
            if len(values) == len(joints):
                gains.put('elements', joints)
            draft.constants.append(gains)
    return draft


def _terms(foreign: ForeignModel, given: str, action: str, joints: list[str]) -> list[Facts]:
    """Draft the terms of the observation."""
    metadata = foreign.metadata
    names = split(metadata[_NAMES])
    scales, clips, histories = (split(metadata.get(f'observation_terms_{key}', '')) for key in (
        'scale', 'clip', 'history_length'))
    for key, found in (('scale', scales), ('clip', clips), ('history_length', histories)):
        if found and len(found) != len(names):
            raise AdoptError(
                f'{foreign.path}: its metadata has {len(names)} names of observation terms, and '
                f'{len(found)} items of observation_terms_{key}')
    sizes = {
        name: len(joints) if _KNOWN[name][0] == 0 else _KNOWN[name][0]
        for name in names if name in _KNOWN}
    sizes |= {name: foreign.outputs[action].size for name in names if name in _ACTIONS}
    lengths = [_length(foreign, text) for text in histories] or [1] * len(names)
    left = foreign.inputs[given].size - sum(
        sizes.get(name, 0) * length for name, length in zip(names, lengths, strict=True))
    others = [name for name in names if name not in sizes]
    if left < len(others) or not others and left:
        # At least one of them is not what its name says.
        sizes = {}
    terms = []
    for i, name in enumerate(names):
        is_last = others == [name] and sizes and left % lengths[i] == 0
        size = sizes.get(name) or (
            left // lengths[i] if is_last else
            f'all {len(names)} terms have {foreign.inputs[given].size} numbers together')
        if name in _ACTIONS:
            term = Facts()
            term.put('last_action', action, _BY_NAME)
        else:
            term = draft_term(name, size, _KNOWN.get(name, (0, None))[1])
            term.comments.setdefault('name', _BY_NAME if name in _KNOWN else '')
            if is_last:
                term.comments['size'] = 'what the other terms leave; check'
            if name == 'projected_gravity':
                term.put('low', -1.0)
                term.put('high', 1.0)
                for key in ('low', 'high'):
                    term.comments.pop(key)
            if name == 'joint_pos' and metadata.get('default_joint_pos'):
                posture = _numbers(metadata, 'default_joint_pos')
                term.put('minus', posture or None, (
                    _ROUNDED if posture else 'the default posture, which mjlab states as '
                    f'{printable(metadata["default_joint_pos"])!r}'))
            if name in ('joint_pos', 'joint_vel') and size == len(joints):
                term.put('elements', joints, 'the order of joint_names; check')
        if lengths[i] > 1:
            term.put('history', lengths[i])
        if scales and scales[i] not in ('1.000', ''):
            scale = _list(scales[i])
            term.put('scale', one(scale) if scale else None, (
                _ROUNDED if scale else f'mjlab states {scales[i]!r}'))
        if clips and _list(clips[i]) != [-math.inf, math.inf]:
            clip = [number for number in _list(clips[i]) if math.isfinite(number)]
            term.put('clip', clip if len(clip) == 2 else None, (
                _ROUNDED if len(clip) == 2 else f'two bounds; mjlab states {clips[i]!r}'))
        terms.append(term)
    return terms


def _field(foreign: ForeignModel, action: str, joints: list[str]) -> Facts:
    """Draft the field of the action, the targets of all joints."""
    size = foreign.outputs[action].size
    field = draft_field('joint_position_targets', size, 'rad')
    field.comments['unit'] = 'rad, or m for a prismatic joint'
    scale = _numbers(foreign.metadata, 'action_scale')
    if len(scale) in (1, size):
        field.put('scale', one(scale), _ROUNDED)
    posture = _numbers(foreign.metadata, 'default_joint_pos')
    if len(posture) == size:
        field.put('offset', posture, (
            f'the default posture, unless use_default_offset was off; {_ROUNDED}'))
    if len(joints) == size:
        field.put('elements', joints, 'the order of joint_names; check')
    return field


def _length(foreign: ForeignModel, text: str) -> int:
    """Read the number of ticks in a history; 0 is that of this tick, as 1."""
    found = _number(text)
    if not 0 <= found <= MOST_TICKS:
        raise AdoptError(
            f'{foreign.path}: its metadata has observation_terms_history_length '
            f'{printable(text)}, expected 0 to {MOST_TICKS}; describe it in a YAML file instead '
            '(--plain)')
    return max(1, round(found))


def split(text: str) -> list[str]:
    """Split at commas, but not at those in brackets."""
    items, depth = [''], 0
    for each in text:
        depth += {'[': 1, '(': 1, ']': -1, ')': -1}.get(each, 0)
        if each == ',' and depth == 0:
            items.append('')
        else:
            items[-1] += each
    return [item.strip() for item in items] if text.strip() else []


def _numbers(metadata: Mapping[str, str], key: str) -> list[float]:
    """Read numbers from the metadata; empty if there are none."""
    return _list(metadata.get(key, ''))


def _list(text: str) -> list[float]:
    """Read one number or several, separated by commas or semicolons; empty if it is not."""
    inner = text.strip().removeprefix('[').removesuffix(']')
    found = [_number(item) for item in split(inner.replace(';', ','))]
    return [] if any(map(math.isnan, found)) else found


def _number(text: str) -> float:
    """Read a number, NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
