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
Transitions: one in-memory layout for the data of all sources.

Every reader in :mod:`training.data.formats` returns validated :class:`Transitions`; later code
does not depend on the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfp_ros.spec import ActionField, ObservationField
from training.data.transitions.errors import DataError
from training.data.transitions.frames import Frames

# Tolerance of the range of actions, for rounding errors.
TOLERANCE = 1e-5
# Physical value of an action of 1, or of actions of -1 and of 1.
Bound = float | tuple[Any, Any]
# Control periods in s: 1000 Hz to 1 Hz.
SHORTEST, LONGEST_PERIOD = 1e-3, 1.0
# Relative tolerance for equal control periods: a person writes 0.0333333 for 1/30.
SAME_PERIOD = 1e-5
COLUMNS = ('observations', 'actions', 'next_observations', 'rewards', 'masks', 'terminals')
#: Column that only data with a takeover have.
INTERVENTIONS = 'interventions'
#: Column that only data with pictures have.
FRAME = 'frame'


@dataclass(frozen=True)
class Transitions:
    """
    Steps of many episodes, concatenated.

    :param observations: Shape (size, obs_dim), float32, raw units.
    :param actions: Shape (size, act_dim), float32, in [-1, 1].
    :param next_observations: Shape (size, obs_dim), float32.
    :param rewards: Shape (size,), float32.
    :param masks: Shape (size,), float32: 0 if the step solved the task (no bootstrapping), else 1.
    :param terminals: Shape (size,), float32: 1 on the last step of an episode.
    :param observation_fields: Names, units and ranges of the observation.
    :param action_fields: Names, units and ranges of the action.
    :param period: Control period in s.
    :param source: Provenance of the data: file, hash, counts; plain JSON.
    :param interventions: Shape (size,), float32: 1 if a person commanded the step (takeover), else
        0; None if nobody did, or the data do not say.
    :param images: Pictures of each camera, in order, all of one count; none without cameras.
    :param frame: Shape (size,), int64: frame of each observation in all of :attr:`images`. The one
        after it is that of the next observation. None without cameras.
    """

    observations: np.ndarray
    actions: np.ndarray
    next_observations: np.ndarray
    rewards: np.ndarray
    masks: np.ndarray
    terminals: np.ndarray
    observation_fields: tuple[ObservationField, ...]
    action_fields: tuple[ActionField, ...]
    period: float
    source: Mapping[str, Any]
    interventions: np.ndarray | None = None
    images: tuple[Frames, ...] = ()
    frame: np.ndarray | None = None

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.actions)

    def check(self, where: object) -> Transitions:
        """
        Validate shapes, types and ranges.

        :param where: Path of the file, for the error.
        :return: Itself.
        :raises DataError: With file, column and row of the first fault.
        """
        if self.actions.ndim != 2:
            raise DataError(
                f'{where}: actions: found {self.actions.dtype} of shape {self.actions.shape}, '
                'expected rows of numbers; collect or convert the data again')
        size = len(self)
        widths = {
            'observations': sum(field.size for field in self.observation_fields),
            'actions': sum(field.size for field in self.action_fields)}
        widths['next_observations'] = widths['observations']
        flags = ('masks', 'terminals', *([] if self.interventions is None else [INTERVENTIONS]))
        for name in dict.fromkeys((*COLUMNS, *flags)):
            values = getattr(self, name)
            shape = (size, widths[name]) if name in widths else (size,)
            if values.dtype != np.float32 or values.shape != shape:
                raise DataError(
                    f'{where}: {name}: found {values.dtype} of shape {values.shape}, expected '
                    f'float32 of shape {shape}; collect or convert the data again')
            finite = np.isfinite(values)
            if not finite.all():
                row = int(np.argwhere(~finite)[0][0])
                raise DataError(
                    f'{where}: {name}: found a number that is not finite, in row {row}; leave its '
                    'episode out')
        if not SHORTEST <= self.period <= LONGEST_PERIOD:
            raise DataError(
                f'{where}: period: found {self.period:g} s, expected {SHORTEST:g} to '
                f'{LONGEST_PERIOD:g} s; collect or convert the data again')
        for name in flags:
            values = getattr(self, name)
            odd = np.flatnonzero((values != 0) & (values != 1))
            if len(odd):
                raise DataError(
                    f'{where}: {name}: found {values[odd[0]]:g} in row {odd[0]}, expected 0 or 1; '
                    'collect or convert the data again')
        if not size:
            raise DataError(
                f'{where}: actions: found no step, expected at least one episode; collect or '
                'record some')
        if not self.terminals[-1]:
            raise DataError(
                f'{where}: terminals: found no episode that ends on the last of {size} steps; the '
                'data may be truncated: collect or copy them again')
        self._check_images(where)
        outside = np.abs(self.actions).max(axis=1) > 1 + TOLERANCE
        if outside.any():
            raise DataError(
                f'{where}: actions: found {np.abs(self.actions).max():g} in row '
                f'{int(np.flatnonzero(outside)[0])}, expected numbers within [-1, 1]; scale them '
                'by the limits of what they command')
        return self

    def _check_images(self, where: object) -> None:
        """Validate pictures, and which of them belongs to which step."""
        if (self.frame is None) != (not self.images):
            raise DataError(
                f'{where}: {FRAME}: found {"none" if self.frame is None else "some"} with '
                f'{len(self.images)} cameras, expected both or none; convert the data again')
        if self.frame is None:
            return
        count = len(self.images[0])
        for frames in self.images:
            shape, kind = frames.pixels.shape, frames.pixels.dtype
            if kind != np.uint8 or shape != (count, *frames.field.shape):
                raise DataError(
                    f'{where}: {frames.field.name}: found {kind} of shape {shape}, expected uint8 '
                    f'of shape {(count, *frames.field.shape)}; convert the data again')
        if self.frame.dtype != np.int64 or self.frame.shape != (len(self),):
            raise DataError(
                f'{where}: {FRAME}: found {self.frame.dtype} of shape {self.frame.shape}, '
                f'expected int64 of shape {(len(self),)}; convert the data again')
        odd = np.flatnonzero((self.frame < 0) | (self.frame > count - 2))
        if len(odd):
            raise DataError(
                f'{where}: {FRAME}: found {self.frame[odd[0]]} in row {odd[0]}, expected 0 to '
                f'{count - 2}, as there are {count} frames; convert the data again')


def observation_fields(
        layout: Iterable[tuple[str, int, str]],
        values: np.ndarray) -> tuple[ObservationField, ...]:
    """
    Build the fields of an observation, with the range of the values.

    :param layout: Name, size and unit of each part, in order.
    :param values: Shape (size, obs_dim).
    """
    lows, highs = values.min(axis=0), values.max(axis=0)
    fields, start = [], 0
    for name, size, unit in layout:
        run = slice(start, start + size)
        fields.append(ObservationField(name, size, unit, _floats(lows[run]), _floats(highs[run])))
        start += size
    return tuple(fields)


def action_fields(
        layout: Iterable[tuple[str, int, str, Bound]],
        values: np.ndarray) -> tuple[ActionField, ...]:
    """
    Build the fields of an action, with the range of the values.

    :param layout: Name, size and unit of each part, and the physical value of an action of 1 in
        that unit, or those of actions of -1 and of 1, one per number.
    :param values: Shape (size, act_dim), in [-1, 1].
    """
    lows, highs = values.min(axis=0), values.max(axis=0)
    fields, start = [], 0
    for name, size, unit, bound in layout:
        run = slice(start, start + size)
        low, high = bound if isinstance(bound, tuple) else ((-bound,) * size, (bound,) * size)
        fields.append(ActionField(
            name, size, unit, _floats(low), _floats(high), _floats(lows[run]),
            _floats(highs[run])))
        start += size
    return tuple(fields)


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
