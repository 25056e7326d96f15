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
"""Data files that are learned from together: period and fields are to be the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math
from pathlib import Path
from typing import Any

from dfp_ros.spec import ActionField, ObservationField
from training.data.transitions.transitions import DataError, SAME_PERIOD, Transitions

#: Observation fields, and action fields.
Fields = tuple[Sequence[ObservationField], Sequence[ActionField]]


def require_alike(
        path: Path, found: Transitions, period: float, fields: Fields, whose: str,
        remedy: str) -> None:
    """
    Require the period and the fields of other data, with their units and the limits of actions.

    An action of 1 would otherwise be one speed in a file, and another speed in the next.

    :param path: The file, for the error.
    :param found: Its transitions.
    :param period: Expected control period in s.
    :param fields: Expected fields.
    :param whose: What has them, for the error.
    :param remedy: What to do.
    :raises DataError: At the first difference.
    """
    if abs(found.period - period) > SAME_PERIOD * period:
        raise DataError(
            f'{path}: found a period of {found.period:g} s, expected {period:g} s, that of '
            f'{whose}; {remedy}')
    observation, action = fields
    if fault := difference(found.observation_fields, observation, whose):
        raise DataError(f'{path}: observation {fault}; {remedy}')
    if fault := difference(found.action_fields, action, whose):
        raise DataError(f'{path}: action {fault}; {remedy}')


def difference(
        found: Sequence[ObservationField | ActionField],
        expected: Sequence[ObservationField | ActionField], whose: str) -> str:
    """Describe the first field that has another meaning; empty if there is none."""
    theirs, ours = ([_meaning(field) for field in fields] for fields in (found, expected))
    i = next(
        (i for i, pair in enumerate(zip(theirs, ours, strict=False)) if not _is_same(*pair)),
        min(len(theirs), len(ours)))
    if i == len(theirs) == len(ours):
        return ''
    return f'field {i}: found {_part(theirs, i)}, expected {_part(ours, i)}, that of {whose}'


def joined(fields: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    """
    Merge the ranges of the data in fields with those of another file, which are alike.

    :param fields: The fields so far.
    :param others: Those of the file.
    """
    low, high = ('low', 'high') if isinstance(fields[0], ObservationField) else (
        'data_low', 'data_high')
    return tuple(replace(field, **{
        low: tuple(map(min, getattr(field, low), getattr(other, low))),
        high: tuple(map(max, getattr(field, high), getattr(other, high)))})
        for field, other in zip(fields, others, strict=True))


def _meaning(field: ObservationField | ActionField) -> tuple[Any, ...]:
    """Return what has to be equal: a range of the data may differ, a limit of an action not."""
    limits = (field.low, field.high) if isinstance(field, ActionField) else ()
    return (field.name, field.size, field.unit, *limits)


def _is_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Compare meanings; limits are written with some digits, as periods are."""
    return one[:3] == other[:3] and all(
        math.isclose(low, high, rel_tol=SAME_PERIOD) for some, more in zip(
            one[3:], other[3:], strict=True) for low, high in zip(some, more, strict=True))


def _part(parts: list[tuple[Any, ...]], i: int) -> str:
    """Describe a field, for an error."""
    if i >= len(parts):
        return 'nothing'
    name, size, unit, *limits = parts[i]
    between = f', {_numbers(limits[0])} to {_numbers(limits[1])}' if limits else ''
    return f'{name} ({size}, {unit}{between})'


def _numbers(values: Sequence[float]) -> str:
    """Format the limits of a field: one number if all are the same."""
    shown = [f'{value:g}' for value in values]
    return shown[0] if len({*shown}) == 1 else f'[{", ".join(shown)}]'
