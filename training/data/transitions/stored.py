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
Native data file format: transitions with their full description, as ``.npz``.

The ``.npz`` has one array per column of :class:`Transitions`, and their description as JSON text.
Pictures are not compressed, and mapped rather than read: memory needs room only for those in use.
Converters write it, and the trainer reads it, for any source of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import json
import operator
from pathlib import Path
import sys
from typing import Any
import zipfile

import numpy as np

from dfp_ros.core.files.digest import sha256
from dfp_ros.core.text.printable import listed, printable
from dfp_ros.spec import ActionField, ObservationField
from dfp_ros.spec_bounds import SpecError
from dfp_ros.spec_images import check_images, ImageField
from training.common.files import atomic_path
from training.data.transitions import npz
from training.data.transitions.errors import permitted
from training.data.transitions.frames import Frames, make_room, sealed
from training.data.transitions.npz import Archive, opened, UNREADABLE
from training.data.transitions.transitions import (
    COLUMNS,
    DataError,
    FRAME,
    INTERVENTIONS,
    LONGEST_PERIOD,
    SHORTEST,
    Transitions,
)

DESCRIPTION = 'description'
VERSION = 1
#: Place of a description in a file, and what to do if it is wrong.
WHERE, REMEDY = f'{DESCRIPTION}: ', 'convert the recording again'
#: Keys of pictures begin with it.
IMAGE = 'image_'
# Maximum number of characters of a description: enough for thousands of fields.
LONGEST = 4_000_000


@dataclass(frozen=True)
class Description:
    """
    Description of the transitions in a file.

    :param observation_fields: Names, units and ranges of the observation.
    :param action_fields: Names, units and ranges of the action.
    :param period: Control period in s.
    :param source: Provenance of the data.
    :param images: Names, sizes and channels of the pictures.
    """

    observation_fields: tuple[ObservationField, ...]
    action_fields: tuple[ActionField, ...]
    period: float
    source: Mapping[str, Any]
    images: tuple[ImageField, ...] = ()


def save(path: Path, transitions: Transitions) -> None:
    """
    Write transitions to a file.

    :param path: Ends in ``.npz``.
    """
    description = {
        'version': VERSION, 'period': transitions.period, 'source': dict(transitions.source),
        'observation_fields': [asdict(field) for field in transitions.observation_fields],
        'action_fields': [asdict(field) for field in transitions.action_fields]}
    columns = {name: getattr(transitions, name) for name in COLUMNS}
    if transitions.interventions is not None:
        columns[INTERVENTIONS] = transitions.interventions
    pictures = {IMAGE + frames.field.name: frames.pixels for frames in transitions.images}
    if transitions.frame is not None:
        columns[FRAME] = transitions.frame
        description['images'] = [asdict(frames.field) for frames in transitions.images]
    with atomic_path(path) as partial:
        npz.write(partial, {
            **columns, DESCRIPTION: np.array(json.dumps(description)), **pictures},
            mapped=pictures)


def is_stored(path: Path) -> bool:
    """
    Tell whether a file was written by :func:`save`; a damaged one was not.

    :raises DataError: If this user may not read it.
    """
    try:
        with permitted(path), zipfile.ZipFile(path) as file:
            return f'{DESCRIPTION}.npy' in file.namelist()
    except UNREADABLE:
        return False


def load(path: Path) -> Transitions:
    """
    Load a file that :func:`save` wrote.

    :raises DataError: If the file is damaged, or has invalid contents.
    """
    with opened(path) as file:
        described = _describe(path, file)
        columns = {name: file.array(name) for name in COLUMNS}
        interventions = file.array(INTERVENTIONS) if INTERVENTIONS in file else None
        images = tuple(_load_frames(path, file, field) for field in described.images)
        frame = _require(path, file, FRAME).array(FRAME) if images else None
    return Transitions(
        **columns, observation_fields=described.observation_fields,
        action_fields=described.action_fields, period=described.period,
        source={**described.source, 'file': path.name, 'sha256': sha256(path)},
        interventions=interventions, images=images, frame=frame).check(path)


def describe(path: Path) -> Description:
    """
    Read only the description of a file that :func:`save` wrote.

    :raises DataError: If the file is damaged, or its description is invalid.
    """
    with opened(path) as file:
        return _describe(path, file)


def _load_frames(path: Path, file: Archive, field: ImageField) -> Frames:
    """Map the pictures of a camera, or read them if another tool has compressed them."""
    key = IMAGE + field.name
    shape, kind = _require(path, file, key).header(key)
    if kind != np.uint8 or shape[1:] != field.shape:
        raise DataError(
            f'{path}: {printable(key)}: found {kind} of shape {shape}, expected uint8 of shape '
            f'(frames, {", ".join(map(str, field.shape))}); convert the recording again')
    pixels = file.mapped(key)
    if pixels is None:
        pixels = make_room(shape, path)
        for start, block in file.blocks(key):
            pixels[start:start + len(block)] = block
        pixels = sealed(pixels)
    return Frames(field, pixels)


def _require(path: Path, file: Archive, *names: str) -> Archive:
    """Require keys of a file."""
    missing = [name for name in names if name not in file]
    if missing:
        raise DataError(
            f'{path}: the key {printable(missing[0])!r} is missing; found {listed(file)}; convert '
            'the recording again')
    return file


def _describe(path: Path, file: Archive) -> Description:
    _require(path, file, *COLUMNS, DESCRIPTION)
    shape, kind = file.header(DESCRIPTION)
    if kind.kind != 'U' or shape or kind.itemsize > 4 * LONGEST:
        raise DataError(
            f'{path}: {DESCRIPTION}: found {kind} of shape {shape}, expected one text of at most '
            f'{LONGEST} characters; convert the recording again')
    try:
        content = json.loads(str(file.array(DESCRIPTION)))
        version = content['version']
        if version == VERSION:
            return Description(
                read_fields(path, ObservationField, content['observation_fields']),
                read_fields(path, ActionField, content['action_fields']),
                read_period(path, content['period']), read_source(path, content['source']),
                read_images(path, content.get('images', [])))
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # The error may quote all of a long text.
        raise DataError(
            f'{path}: {DESCRIPTION}: found contents that training.convert does not write '
            f'({repr(error)[:200]}); convert the recording again') from error
    raise DataError(
        f'{path}: {DESCRIPTION}: found version {str(version)[:20]}, expected {VERSION}; convert '
        'the recording again')


def read_period(path: Path, value: Any, where: str = WHERE, remedy: str = REMEDY) -> float:
    """
    Check a control period that was read.

    :param where: Place in the file, and what to do, for the error; as in all readers of a
        description.
    :raises DataError: If it is no number within the bounds.
    """
    # Checked before conversion to float: JSON allows integers that overflow a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not (
            SHORTEST <= value <= LONGEST_PERIOD):
        raise DataError(
            f'{path}: {where}period: found {str(value)[:20]}, expected {SHORTEST:g} to '
            f'{LONGEST_PERIOD:g} s; {remedy}')
    return float(value)


def read_source(
        path: Path, value: Any, where: str = WHERE, remedy: str = REMEDY) -> dict[str, Any]:
    """
    Validate the values of a source that are used.

    :raises DataError: If one is of another kind.
    """
    source = dict(value)
    dropped, args = source.get('dropped', {}), source.get('env_args')
    if not isinstance(dropped, dict) or not all(
            isinstance(count, int) for count in dropped.values()):
        raise DataError(
            f'{path}: {where}source: dropped: found {str(dropped)[:40]}, expected counts '
            f'by reason; {remedy}')
    if args is not None and not (
            isinstance(args, dict) and isinstance(args.get('env_name'), str)
            and isinstance(args.get('env_kwargs'), dict)):
        raise DataError(
            f'{path}: {where}source: env_args: found {str(args)[:40]}, expected env_name '
            f'and env_kwargs; {remedy}')
    return source


def read_images(
        path: Path, given: list[dict[str, Any]], where: str = WHERE,
        remedy: str = REMEDY) -> tuple[ImageField, ...]:
    """
    Build the fields of pictures from JSON.

    :raises DataError: If one is invalid.
    """
    # The specification of a policy has the same, and its rules.
    made = tuple(ImageField(**field) for field in given)
    for field in made:
        kinds = [str, int, int, str, float, float]
        values = list(vars(field).values())
        if [type(value) for value in values] != kinds:
            raise DataError(
                f'{path}: {where}images: found {_short(values)}, expected name, height, width, '
                f'channels, low and high; {remedy}')
    try:
        if made:
            check_images(made)
    except SpecError as error:
        raise DataError(f'{path}: {where}images: {error}; {remedy}') from error
    return made


def _short(value: object) -> str:
    """Quote a value for an error."""
    return printable(repr(value))


def _is_finite(value: object) -> bool:
    """Tell whether a value is a number that a float can hold."""
    # Compared before conversion to float, as in _period.
    return isinstance(value, int | float) and not isinstance(value, bool) and (
        -sys.float_info.max <= value <= sys.float_info.max)


def read_fields(
        path: Path, kind: Any, given: list[dict[str, Any]], where: str = WHERE,
        remedy: str = REMEDY) -> tuple[Any, ...]:
    """
    Build observation or action fields from JSON.

    :param path: Path of their file, for errors.
    :param kind: Class of the fields.
    :param given: The fields as JSON.
    :raises DataError: If a field is invalid: its ranges have another size, are not finite or are
        reversed, or its name or unit is not text.
    """
    made = []
    for field in given:
        name, size = field['name'], field['size']
        ranges = [value for key, value in field.items() if key not in ('name', 'size', 'unit')]
        if not isinstance(size, int) or isinstance(size, bool) or size < 1 or any(
                not isinstance(values, list) or len(values) != size for values in ranges):
            raise DataError(
                f'{path}: {where}found the field {_short(name)} of size {_short(size)} '
                'with ranges of '
                f'another size, expected the size of the field; {remedy}')
        if not all(isinstance(text, str) and text.isprintable() for text in (
                name, field['unit'])) or not name:
            raise DataError(
                f'{path}: {where}found a field named {_short(name)} with the unit '
                f'{_short(field["unit"])}, expected text; {remedy}')
        if not all(_is_finite(value) for values in ranges for value in values):
            raise DataError(
                f'{path}: {where}found ranges of the field {_short(name)} that are not '
                f'finite numbers; {remedy}')
        one = kind(**{
            key: tuple(value) if isinstance(value, list) else value
            for key, value in field.items()})
        for low, high in (('low', 'high'), ('data_low', 'data_high')):
            if any(map(operator.gt, getattr(one, low, ()), getattr(one, high, ()))):
                raise DataError(
                    f'{path}: {where}found {low} above {high} in the field '
                    f'{_short(name)}; {remedy}')
        made.append(one)
    names = [field.name for field in made]
    if not made or len(set(names)) < len(names):
        raise DataError(
            f'{path}: {where}found the fields {listed(names) or "none"}, '
            f'expected at least one, with unique names; {remedy}')
    return tuple(made)
