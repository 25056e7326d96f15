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
What LeRobot does not keep, beside its own files: ``meta/dfp_ros.json``.

Units, limits of the actions, the fields that the numbers belong to, and the provenance. A dataset
of somebody else has no such file: :func:`draft_of` makes one, in which a person fills in the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from dataclasses import field as dataclass_field
import json
from pathlib import Path
from typing import Any

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.files.bounded_json import JsonError, read_json
from dfp_ros.core.text.printable import listed, printable, quoted
from dfp_ros.spec import ActionField, ObservationField
from dfp_ros.spec_bounds import MOST_COMMANDED, MOST_OBSERVED
from dfp_ros.spec_images import ImageField
from training.data.formats.lerobot.layout import (
    ACTION,
    INFO,
    Info,
    picture_key,
    read_info,
    read_text,
    require_row,
    split_keys,
    STATE,
)
from training.data.transitions import stored
from training.data.transitions.stored import read_fields, read_period, read_source
from training.data.transitions.transitions import DataError, SAME_PERIOD, Transitions

FILE = 'meta/dfp_ros.json'
VERSION = 1
#: Actions of a dataset: as ours, in [-1, 1], or commands in physical units.
NORMALISED, PHYSICAL = 'normalised', 'physical'
KEYS_OPTION = '--observation-keys'
_REMEDY = f'mend it, or copy {FILE} from the dataset that this one was made of'


@dataclass(frozen=True)
class Description:
    """
    What a dataset's numbers mean.

    :param observation_fields: Names and units of the observation.
    :param action_fields: Names, units and limits of the action.
    :param period: Control period in s.
    :param source: Provenance of the data.
    :param actions: :data:`NORMALISED` or :data:`PHYSICAL`.
    :param is_ranged: Whether the fields have the ranges of these very frames.
    :param images: Pictures by the name of their feature, if the dataset was written here.
    """

    observation_fields: tuple[ObservationField, ...]
    action_fields: tuple[ActionField, ...]
    period: float
    source: dict[str, Any]
    actions: str
    is_ranged: bool
    images: dict[str, ImageField] = dataclass_field(default_factory=dict)


def write(path: Path, data: Transitions) -> None:
    """Write the file for a dataset of these transitions, not atomically."""
    path.write_text(json.dumps({
        'version': VERSION, 'actions': NORMALISED, 'period': data.period, 'frames': len(data),
        'episodes': int(data.terminals.sum()), 'source': dict(data.source),
        'observation_fields': [asdict(field) for field in data.observation_fields],
        'action_fields': [asdict(field) for field in data.action_fields],
        **({'images': {picture_key(frames.field.name): asdict(frames.field)
                       for frames in data.images}} if data.images else {})}, indent=2) + '\n')


def draft_of(
        folder: Path, keys: Sequence[str], lows: Sequence[float], highs: Sequence[float]) -> str:
    """
    Draft the file for a dataset of somebody else.

    :param folder: Folder of the dataset.
    :param keys: Parts of the observation; empty for ``observation.state``.
    :param lows: Smallest command in the dataset, for each number.
    :param highs: Largest command in the dataset, for each number.
    :return: JSON with a :data:`MARK` for all that is not known.
    :raises DataError: If a part is not in the dataset.
    """
    info = read_info(folder)
    keys = split_keys(info, keys)[0]
    for key in keys:
        require_row(folder, info, key, MOST_OBSERVED, KEYS_OPTION)
    actions: list[dict[str, Any]] = []
    start = 0
    for name, size in _layout(info, (ACTION,)):
        run = slice(start, start := start + size)
        actions.append({
            'name': name, 'size': size, 'unit': MARK, 'low': [MARK] * size, 'high': [MARK] * size,
            # For the reader of the draft; not read again.
            'data_low': list(lows[run]), 'data_high': list(highs[run])})
    observations = [
        {'name': name, 'size': size, 'unit': MARK}
        for name, size in _layout(info, keys)]
    return json.dumps({
        'version': VERSION, 'actions': PHYSICAL, 'observation_fields': observations,
        'action_fields': actions}, indent=2) + '\n'


def read(folder: Path, info: Info, keys: Sequence[str] = (STATE,)) -> Description:
    """
    Read the description of a dataset.

    :param folder: Folder of the dataset.
    :param info: Its contents.
    :param keys: Parts of the observation, in order.
    :raises DataError: If it is missing, for which the message names all that is not known, or is
        damaged, or still has marks, or does not fit the dataset.
    """
    path = folder / FILE
    widths = {
        ACTION: require_row(folder, info, ACTION, MOST_COMMANDED),
        ' and '.join(keys): sum(
            require_row(folder, info, key, MOST_OBSERVED, KEYS_OPTION) for key in keys)}
    if not path.is_file():
        raise DataError(_missing(folder, info, keys))
    try:
        content = read_json(read_text(path), stored.LONGEST)
        _require_filled(path, content)
        if content['version'] != VERSION:
            raise DataError(
                f'{path}: version: found {quoted(content["version"])}, expected {VERSION}; '
                f'{_REMEDY}')
        if content['actions'] not in (NORMALISED, PHYSICAL):
            raise DataError(
                f'{path}: actions: found {quoted(content["actions"])}, expected {NORMALISED!r} '
                f'or {PHYSICAL!r}; {_REMEDY}')
        observation, action = content['observation_fields'], content['action_fields']
        for kind, fields, (name, width) in zip(
                ('action', 'observation'), (action, observation), widths.items(), strict=True):
            _require_width(path, kind, fields, name, width)
        is_ranged = content['actions'] == NORMALISED and (
            (content.get('frames'), content.get('episodes')) == (info.frames, info.episodes))
        if not is_ranged:
            observation = [_unranged(field, 'low', 'high') for field in observation]
            action = [_unranged(field, 'data_low', 'data_high') for field in action]
        found = Description(
            read_fields(path, ObservationField, observation, 'observation_fields: ', _REMEDY),
            read_fields(path, ActionField, action, 'action_fields: ', _REMEDY),
            read_period(path, content.get('period', 1 / info.rate), '', _REMEDY),
            read_source(path, content.get('source', {}), '', _REMEDY), content['actions'],
            is_ranged, _read_images(path, info, content.get('images', {})))
    except DataError:
        raise
    except JsonError as error:
        raise DataError(f'{path}: {error}; {_REMEDY}') from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f'{path}: found contents that training.write does not write '
            f'({printable(repr(error), 200)}); {_REMEDY}') from error
    _require_period(path, found.period, info.rate)
    _require_limits(path, found)
    return found


def describe(folder: Path, keys: Sequence[str] = (STATE,)) -> stored.Description:
    """
    Read only the description of a dataset, without its data.

    :raises DataError: As :func:`read` does.
    """
    info = read_info(folder)
    found = read(folder, info, split_keys(info, keys)[0])
    return stored.Description(
        found.observation_fields, found.action_fields, found.period, found.source)


def _read_images(path: Path, info: Info, given: dict[str, Any]) -> dict[str, ImageField]:
    """Read what pictures there are, which is in the list of features, too."""
    made = stored.read_images(path, list(given.values()), '', _REMEDY)
    found = dict(zip(given, made, strict=True))
    for key, image in found.items():
        feature = info.features.get(key)
        if feature is None or not feature.is_pictures or feature.pixels != image.shape:
            raise DataError(
                f'{path}: images: found {image}, expected the pictures {printable(key)!r} of '
                f'{INFO}, which has {"none" if feature is None else feature}; {_REMEDY}')
    return found


def _layout(info: Info, keys: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Name and size of each field, as far as the dataset tells."""
    for key in keys:
        feature = info.features[key]
        if feature.names:
            several = len(keys) > 1
            yield from ((f'{key}.{name}' if several else name, 1) for name in feature.names)
        else:
            yield key, feature.shape[0]


def _missing(folder: Path, info: Info, keys: Sequence[str]) -> str:
    observed, commanded = (
        listed([name for name, _ in _layout(info, part)], 20) for part in (keys, (ACTION,)))
    options = '' if tuple(keys) == (STATE,) else f' {KEYS_OPTION} {" ".join(keys)}'
    return (
        f'{folder / FILE}: found no such file, expected what LeRobot does not keep: the unit of '
        f'{observed}, and unit and limits of the actions {commanded}; copy it from the dataset '
        'that this one was made of, or draft it with `python -m training.write '
        f'{folder} --format lerobot-fields --out {folder / FILE}{options}` and fill it in')


def _require_filled(path: Path, content: Any) -> None:
    """Require that nothing is marked any more, and name all that is."""
    found = [
        f'{kind} {printable(field.get("name"))}: {key}'
        for kind in ('observation', 'action') for field in content[f'{kind}_fields']
        for key, value in field.items()
        if value == MARK or isinstance(value, list) and MARK in value]
    if found:
        raise DataError(
            f'{path}: found {MARK}, which is still to be filled in: {listed(found, 20)}; limits '
            'are the commands that an action of -1 and of 1 stand for')


def _require_width(
        path: Path, kind: str, fields: list[dict[str, Any]], name: str, width: int) -> None:
    """Require that the fields have as many numbers as the features."""
    sizes = [field['size'] for field in fields]
    sound = len(sizes) <= width and all(
        isinstance(size, int) and not isinstance(size, bool) and 0 < size <= width
        for size in sizes)
    if not sound or sum(sizes) != width:
        raise DataError(
            f'{path}: {kind}_fields: found fields of {listed(sizes)} numbers, expected {width} '
            f'as in {printable(name)} of {INFO}; {_REMEDY}')


def _unranged(field: dict[str, Any], low: str, high: str) -> dict[str, Any]:
    """Return a field without the range of the data, which follows from the frames."""
    return {**field, low: [0.0] * field['size'], high: [0.0] * field['size']}


def _require_period(path: Path, period: float, rate: float) -> None:
    if abs(period * rate - 1) > SAME_PERIOD:
        raise DataError(
            f'{path}: period: found {period:g} s, expected {1 / rate:g} s, as fps in {INFO} is '
            f'{rate:g}; {_REMEDY}')


def _require_limits(path: Path, found: Description) -> None:
    """Require limits that commands can be scaled by."""
    for field in found.action_fields if found.actions == PHYSICAL else ():
        for low, high in zip(field.low, field.high, strict=True):
            if not low < high:
                raise DataError(
                    f'{path}: action_fields: {printable(field.name)}: found the limits {low:g} '
                    f'and {high:g}, expected a lower and an upper one; {_REMEDY}')
