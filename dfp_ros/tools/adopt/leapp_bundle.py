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
LEAPP bundles: a YAML file with the inputs, outputs and feedback of exported models.

`LEAPP <https://github.com/nvidia-isaac/leapp>`_ is the export of Isaac Lab 3. A bundle may have
several models in a row; here it has to have one, in ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
from pathlib import Path
import struct

import numpy as np

from dfp_ros.core.files.bounded_file import LARGEST_TEXT, read_regular
from dfp_ros.core.files.bounded_json import read_json
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.adopt.adoption import AdoptError
from dfp_ros.tools.adopt.draft import (
    Draft,
    draft_field,
    draft_term,
    Facts,
    fill_top,
    finite,
    mapping,
    one,
)
from dfp_ros.tools.adopt.foreign_model import ForeignModel

# Units that follow from a kind; those of joints depend on the joint.
_UNITS = {
    'state/body/position': 'm', 'state/body/linear_velocity': 'm/s',
    'state/body/angular_velocity': 'rad/s', 'state/body/linear_acceleration': 'm/s^2',
    'state/body/angular_acceleration': 'rad/s^2', 'state/body/rotation': '1',
    'command/body/rotation': '1', 'target/body/position': 'm', 'target/body/orientation': '1',
    'target/body/linear_velocity': 'm/s', 'target/body/linear_acceleration': 'm/s^2',
    'target/body/angular_acceleration': 'rad/s^2'}
# Types of the safetensors format, in NumPy.
_TYPES = {
    'F32': '<f4', 'F64': '<f8', 'F16': '<f2', 'I64': '<i8', 'I32': '<i4', 'BOOL': '?'}
_JOINTS = {
    'position': 'rad, or m for a prismatic joint', 'velocity': 'rad/s, or m/s',
    'effort': 'N m, or N for a prismatic joint', 'torques': 'N m', 'kp': 'N m/rad, or N/m',
    'kd': 'N m s/rad, or N s/m'}


def is_leapp(content: object) -> bool:
    """Return whether parsed YAML is that of a bundle."""
    return 'models' in mapping(content) and 'pipeline' in mapping(content)


def find_model(path: Path, content: Mapping[str, object]) -> Path:
    """
    Find the one model of a bundle.

    :param path: The bundle's YAML file.
    :param content: Its content.
    :raises AdoptError: If it has several, or another kind than ONNX.
    """
    parameters = mapping(_only_model(path, content)[1].get('parameters'))
    name = str(parameters.get('model_path', ''))
    if not name.endswith('.onnx'):
        raise AdoptError(
            f'{path}: found the model {name!r}, expected an .onnx file; export it with '
            "export_with='onnx'")
    if Path(name).is_absolute() or '..' in Path(name).parts:
        raise AdoptError(f'{path}: found the model {name!r}, expected a file beside it')
    return path.parent / name


def draft_of_leapp(foreign: ForeignModel, path: Path, content: Mapping[str, object]) -> Draft:
    """
    Draft an adoption from a bundle.

    :param foreign: Its model.
    :param path: Its YAML file.
    :param content: The content of that.
    :raises AdoptError: If they do not fit each other.
    """
    node, stated = _only_model(path, content)
    pipeline = mapping(content['pipeline'])
    draft = Draft(notes=[
        f'Meaning of {foreign.path.name}, from {path.name}, for `ros2 run dfp_ros adopt`.',
        'Each FILL_IN is a fact that the bundle does not state; docs/adopting.md explains the',
        'keys. Check every value with a comment.'])
    frequency = finite(mapping(pipeline.get('configs')).get('frequency'), 1)
    fill_top(
        draft, foreign, None, 1 / frequency[0] if frequency and frequency[0] > 0 else None)
    feedback = {
        str(target).partition('/')[2]: str(source).partition('/')[2]
        for source, targets in mapping(pipeline.get('feedback_flow')).items()
        for target in (targets if isinstance(targets, list) else [targets])}
    initial = _initial_values(path, pipeline)
    for port in _ports(path, stated, 'inputs'):
        name = str(port['name'])
        draft.inputs[name] = []
        draft.input_keys[name] = keys = Facts()
        if name in foreign.inputs and foreign.inputs[name].open_beside(foreign.batch):
            keys.put('shape', _shape(path, port))
        if name in feedback:
            keys.put('state', feedback[name])
            if any(values := initial.get(f'{node}/{name}', [])):
                keys.put('initial', one(values))
            continue
        term = draft_term(name, math.prod(_shape(path, port)), _unit(port))
        _put_semantics(term, port)
        draft.inputs[name].append(term)
    external = {
        str(name) for names in mapping(pipeline.get('outputs')).values()
        for name in (names if isinstance(names, list) else [names])}
    for port in _ports(path, stated, 'outputs'):
        name = str(port['name'])
        if name in feedback.values():
            continue
        if name not in external:
            draft.unused.append(name)
            continue
        field = draft_field(name, math.prod(_shape(path, port)), _unit(port))
        # The operations after the network are in the graph.
        for key, value in (('scale', 1.0), ('offset', 0.0)):
            field.put(key, value)
            field.comments.pop(key, None)
        _put_semantics(field, port)
        draft.outputs[name] = [field]
    return draft


def _only_model(
        path: Path, content: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """Require one model, and return its name and what is stated of it."""
    models = mapping(content['models'])
    if len(models) != 1:
        raise AdoptError(
            f'{path}: found the models {", ".join(map(str, models)) or "nothing"}, expected one; '
            'export the whole pipeline as one node')
    [(name, model)] = models.items()
    return name, mapping(model)


def _unit(port: Mapping[str, object]) -> str | None:
    """Return the unit of a kind; None if it depends on more."""
    return _UNITS.get(str(port.get('kind', '')))


def _put_semantics(facts: Facts, port: Mapping[str, object]) -> None:
    """Add the names of numbers, and what the kind says of the unit."""
    kind = str(port.get('kind', ''))
    hint = _JOINTS.get(kind.rpartition('/')[2], '')
    if _unit(port) is None and kind:
        facts.comments['unit'] = f'{hint}; its kind is {kind}' if hint else f'its kind is {kind}'
    names = port.get('element_names')
    axes = names if isinstance(names, list) else []
    last = axes[-1] if axes and isinstance(axes[-1], list) else axes
    if last and all(isinstance(each, str) for each in last) and len(last) == facts.keys['size']:
        facts.put('elements', [str(each) for each in last])


def _ports(path: Path, stated: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    """List the inputs or the outputs of a model."""
    found = stated.get(key)
    if not isinstance(found, list) or not all(
            isinstance(each, Mapping) and 'name' in each for each in found):
        raise AdoptError(
            f'{path}: models: expected a list of {key} with names, as LEAPP writes it')
    return found


def _shape(path: Path, port: Mapping[str, object]) -> list[int]:
    """Return the shape of an input or output."""
    shape = port.get('shape')
    if not isinstance(shape, list) or not all(
            isinstance(each, int) and each > 0 for each in shape):
        raise AdoptError(
            f'{path}: {port["name"]!r} has the shape {shape}, expected sizes; export it with '
            'fixed shapes')
    return shape


def _initial_values(path: Path, pipeline: Mapping[str, object]) -> dict[str, list[float]]:
    """Read the values of the first call, which are in the safetensors format."""
    name = pipeline.get('initial_values')
    if not isinstance(name, str):
        return {}
    if Path(name).is_absolute() or '..' in Path(name).parts:
        raise AdoptError(f'{path}: found initial_values {name!r}, expected a file beside it')
    file = path.parent / name
    try:
        content = read_regular(file, LARGEST_TEXT)
        length = struct.unpack('<Q', content[:8])[0]
        header = read_json(content[8:8 + length])
        numbers = memoryview(content)[8 + length:]
        found = {}
        for key, entry in header.items():
            if key == '__metadata__':
                continue
            start, end = entry['data_offsets']
            kind = _TYPES[entry['dtype']]
            values = np.frombuffer(numbers[start:end], kind)
            found[key] = values.astype(np.float64).tolist()
        return found
    except OSError as error:
        raise AdoptError(f'{file}: cannot be read: {error.strerror}') from error
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise AdoptError(
            f'{file}: is not a file of initial values as LEAPP writes it: '
            f'{printable(repr(error), 300)}') from error
