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
Transitions in a file of their own, with everything that other formats leave out.

An ``.npz`` with one array a column of :class:`Transitions`, and their description as JSON text:
what converters write, and what a trainer reads without knowing where it came from.
"""

from __future__ import annotations

from dataclasses import asdict
import json
from pathlib import Path
from typing import Any
import zipfile

import numpy as np

from dfp_ros.spec import ActionField, ObservationField
from training.datasets.npz import opened, UNREADABLE
from training.provenance import atomic_path, sha256
from training.transitions import COLUMNS, DataError, Transitions

DESCRIPTION = 'description'
VERSION = 1


def save(path: Path, transitions: Transitions) -> None:
    """
    Write transitions.

    :param path: Ends in ``.npz``.
    """
    description = {
        'version': VERSION, 'period': transitions.period, 'source': dict(transitions.source),
        'observation_fields': [asdict(field) for field in transitions.observation_fields],
        'action_fields': [asdict(field) for field in transitions.action_fields]}
    columns = {name: getattr(transitions, name) for name in COLUMNS}
    with atomic_path(path) as partial, partial.open('wb') as file:
        np.savez_compressed(file, **columns, **{DESCRIPTION: np.array(json.dumps(description))})


def is_stored(path: Path) -> bool:
    """Tell whether a file was written by :func:`save`; a damaged one was not."""
    try:
        with zipfile.ZipFile(path) as file:
            return f'{DESCRIPTION}.npy' in file.namelist()
    except UNREADABLE:
        return False


def load(path: Path) -> Transitions:
    """
    Read what :func:`save` wrote.

    :raises DataError: Where the file is damaged, or not what it should hold.
    """
    with opened(path) as file:
        missing = [name for name in (*COLUMNS, DESCRIPTION) if name not in file]
        if missing:
            raise DataError(
                f'{path}: the key {missing[0]!r} is missing; found {", ".join(file)}; convert the '
                'recording again')
        columns = {name: file.array(name) for name in COLUMNS}
        text = file.array(DESCRIPTION)
    try:
        description = json.loads(str(text))
        version = description['version']
        if version == VERSION:
            observing = read_fields(path, ObservationField, description['observation_fields'])
            acting = read_fields(path, ActionField, description['action_fields'])
            period, source = float(description['period']), dict(description['source'])
    except DataError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{path}: {DESCRIPTION}: found other contents than training.convert writes '
            f'({error!r}); convert the recording again') from error
    if version != VERSION:
        raise DataError(
            f'{path}: {DESCRIPTION}: found version {version}, expected {VERSION}; convert the '
            'recording again')
    return Transitions(
        **columns, observation_fields=observing, action_fields=acting, period=period,
        source={**source, 'file': path.name, 'sha256': sha256(path)}).check(path)


def read_fields(path: Path, kind: Any, given: list[dict[str, Any]]) -> tuple[Any, ...]:
    """
    Make fields of a kind from what JSON kept of them.

    :param path: Where they are from, for errors.
    :param kind: The kind.
    :param given: What was kept.
    :raises DataError: Where a field's ranges are not of its size.
    """
    for field in given:
        name, size = field['name'], field['size']
        ranges = [value for key, value in field.items() if key not in ('name', 'size', 'unit')]
        if not isinstance(size, int) or any(len(values) != size for values in ranges):
            raise DataError(
                f'{path}: {DESCRIPTION}: found the field {name!r} of size {size!r} with ranges of '
                'other sizes, expected one number of each for each of its numbers; convert the '
                'recording again')
    return tuple(
        kind(**{key: tuple(value) if isinstance(value, list) else value
                for key, value in field.items()}) for field in given)
