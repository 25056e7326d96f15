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
Policy specification: the contract between training and robot, stored in the policy file.

A :class:`PolicySpec` is stored as JSON in the metadata of the ONNX file, under the key
:data:`METADATA_KEY`. It has everything that is needed to run the policy on a robot, and to trace
its origin. It contains no executable code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import accumulate
import json
from typing import Any, TypeVar

from dfp_ros.core.files.bounded_json import JsonError, read_json
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import printable
from dfp_ros.spec_bounds import (
    LARGEST_ACTION,
    LARGEST_OBSERVATION,
    LONGEST_SPEC,
    MOST_ACTIONS,
    MOST_CANDIDATES,
    MOST_COMMANDED,
    MOST_NOISE,
    MOST_NOISE_SCALE,
    MOST_OBSERVED,
    MOST_STATE,
    require_bounds,
    require_fields,
    require_period,
    require_text,
    require_within,
    SpecError,
)
from dfp_ros.spec_images import check_images, ImageField

METADATA_KEY = 'dfp_ros.policy_spec'
SPEC_VERSION = 1
PRECISIONS = ('float32', 'fp16', 'int8')
#: Position that relative actions are relative to: that of the tick at which an action is played,
#: or that of the observation that its chunk was planned from.
ANCHORS = ('tick', 'observation')
# Keys that files of earlier releases lack; their defaults describe those files.
_ADDED = {'precision', 'anchor', 'state_size', 'images'}


class SpecMismatch(ValueError):
    """A policy and a robot (or a data set) disagree on a field; the message names it."""


@dataclass(frozen=True)
class ObservationField:
    """
    A named slice of the observation vector.

    :param name: Its name, for example ``joint_positions``.
    :param size: Count of its numbers.
    :param unit: Their unit in the observation, for example ``rad`` or ``0.1 m``.
    :param low: Smallest value in the training data, for each number.
    :param high: Largest value in the training data, for each number.
    """

    name: str
    size: int
    unit: str
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class ActionField:
    """
    A named slice of the action vector, whose numbers are in [-1, 1].

    :param name: Its name, for example ``effector_linear_velocity``.
    :param size: Count of its numbers.
    :param unit: SI unit of ``low`` and ``high``.
    :param low: Command at action -1, for each number.
    :param high: Command at action +1, for each number.
    :param data_low: Smallest action in the training data, in action units.
    :param data_high: Largest action in the training data, in action units.
    """

    name: str
    size: int
    unit: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    data_low: tuple[float, ...]
    data_high: tuple[float, ...]


@dataclass(frozen=True)
class PolicySpec:
    """
    Specification of a policy, for running and for auditing it.

    :param name: The policy's name.
    :param environment: Environment that it was trained for, for example
        ``cube-single-singletask-task2-v0``.
    :param observation: The observation vector's fields, in order.
    :param action: The action vector's fields, in order.
    :param period: Control period in s: the duration of one action of a chunk.
    :param horizon: Actions in a chunk.
    :param candidates: Number of candidates in its evaluation (best-of-N').
    :param noise_scale: Standard deviation of the noise in its evaluation.
    :param provenance: Algorithm, configuration, data hash, seed, commit, versions: plain JSON.
    :param precision: Precision of the stored weights, one of :data:`PRECISIONS`.
    :param anchor: Position that relative actions are relative to, one of :data:`ANCHORS`; of no
        effect on other actions.
    :param state_size: Length of the state that each answer passes on to the next, as that of a
        recurrent network; 0 for a policy that has none.
    :param images: The pictures of the observation, in order; they are no part of its vector.
    :raises SpecError: If a value is out of its range.
    """

    name: str
    environment: str
    observation: tuple[ObservationField, ...]
    action: tuple[ActionField, ...]
    period: float
    horizon: int
    candidates: int = 1
    noise_scale: float = 1.0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    precision: str = 'float32'
    anchor: str = 'tick'
    state_size: int = 0
    images: tuple[ImageField, ...] = ()

    def __post_init__(self) -> None:
        """Check ranges at construction, so that every specification is valid."""
        require_text('name', self.name)
        require_text('environment', self.environment)
        require_period(self.period)
        require_within('horizon', self.horizon, 1, MOST_ACTIONS)
        require_within('candidates', self.candidates, 1, MOST_CANDIDATES)
        require_within('noise_scale', self.noise_scale, 0, MOST_NOISE_SCALE)
        require_within('state_size', self.state_size, 0, MOST_STATE)
        if self.precision not in PRECISIONS:
            raise SpecError(
                f'precision: found {printable(self.precision)!r}, expected one of '
                + ', '.join(PRECISIONS))
        if self.anchor not in ANCHORS:
            raise SpecError(
                f'anchor: found {printable(self.anchor)!r}, expected one of '
                + ', '.join(ANCHORS))
        for kind, members, most in (
                ('observation', self.observation, MOST_OBSERVED),
                ('action', self.action, MOST_COMMANDED)):
            require_fields(
                kind, [member.name for member in members], [member.unit for member in members])
            for member in members:
                require_within(f'{kind} {member.name}: size', member.size, 1, most)
            require_within(
                f'{kind}: numbers', sum(member.size for member in members), 1, most)
            for member in members:
                _check_lengths(kind, member)
        require_within(
            'noise: horizon * action * candidates', self.noise_size * self.candidates, 1,
            MOST_NOISE)
        if self.images:
            check_images(self.images)

    @property
    def observation_size(self) -> int:
        """Length of the observation vector."""
        return sum(member.size for member in self.observation)

    @property
    def action_size(self) -> int:
        """Length of one action."""
        return sum(member.size for member in self.action)

    @property
    def action_slices(self) -> dict[str, slice]:
        """Slice of each field in an action, by name."""
        ends = accumulate(member.size for member in self.action)
        return {
            member.name: slice(end - member.size, end)
            for member, end in zip(self.action, ends, strict=True)}

    @property
    def noise_size(self) -> int:
        """Length of the noise vector of one candidate: ``horizon * action_size``."""
        return self.horizon * self.action_size

    def to_json(self) -> str:
        """Format the specification as JSON, with the version of the format."""
        values = asdict(self)
        if self.anchor == ANCHORS[0]:
            # Earlier releases read the file, too.
            del values['anchor']
        if not self.state_size:
            # Earlier releases read the files of policies without a state.
            del values['state_size']
        if not self.images:
            # Earlier releases do not know this key.
            del values['images']
        return json.dumps({'version': SPEC_VERSION, **values}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> PolicySpec:
        """
        Parse a specification from JSON.

        :param text: Output of :meth:`to_json`.
        :raises SpecError: If the text is not JSON, of another version, or has a key too many,
            a key too few, or a value of the wrong kind; the message names it.
        """
        try:
            raw = read_json(text, LONGEST_SPEC)
        except JsonError as error:
            raise SpecError(f'policy specification: {error}') from error
        if not isinstance(raw, dict):
            raise SpecError(
                f'policy specification: found {type(raw).__name__}, expected an object')
        version = raw.pop('version', None)
        if version != SPEC_VERSION:
            raise SpecError(
                f'policy specification: found version {printable(version)}, this release reads '
                f'version {SPEC_VERSION}; export the policy again with the matching release')
        values = dict(raw)
        kinds: dict[str, type] = {'observation': ObservationField, 'action': ActionField}
        if 'images' in values:
            kinds['images'] = ImageField
        for key, kind in kinds.items():
            if not isinstance(values.get(key), list):
                raise SpecError(
                    f'{key}: found {printable(repr(values.get(key)))}, expected a list of fields')
            values[key] = tuple(
                _build(kind, member, f'{key}[{i}]') for i, member in enumerate(values[key]))
        return _build(cls, values, 'policy specification')


def require_equal_fields(
        spec: PolicySpec, observation: Sequence[tuple[str, int]],
        action: Sequence[tuple[str, int]], owner: str,
        images: Sequence[ImageField] = ()) -> None:
    """
    Require that a policy's observation and action layouts equal those of another party.

    :param spec: The policy's specification.
    :param observation: Names and sizes of the other's observation fields, in order.
    :param action: Names and sizes of the other's action fields, in order.
    :param owner: Name of the other party, for messages, for example ``robot ur5e_cube``.
    :param images: The other's pictures, in order.
    :raises SpecMismatch: At the first field that differs.
    """
    def sizes(fields: Sequence[tuple[str, int]]) -> list[str]:
        return [f'{name} ({size})' for name, size in fields]

    for kind, mine, theirs in (
            ('observation', sizes([(m.name, m.size) for m in spec.observation]),
             sizes(observation)),
            ('action', sizes([(m.name, m.size) for m in spec.action]), sizes(action)),
            ('image', [str(image) for image in spec.images], [str(image) for image in images])):
        for i in range(max(len(mine), len(theirs))):
            wanted = mine[i] if i < len(mine) else 'nothing'
            found = theirs[i] if i < len(theirs) else 'nothing'
            if wanted != found:
                raise SpecMismatch(
                    f'{kind} field {i}: policy {spec.name!r} has {wanted}, {owner} has {found}')


def require_same_fields(spec: PolicySpec, running: PolicySpec) -> None:
    """
    Require that two policies have the same layouts of observation and action.

    A robot description maps action fields by name, in any order; but at a swap, the last command
    of one policy is the start of the other, number by number.

    :param spec: Specification of the policy that follows or is compared.
    :param running: Specification of the policy that runs.
    :raises SpecMismatch: At the first field that differs.
    """
    require_equal_fields(
        spec, [(member.name, member.size) for member in running.observation],
        [(member.name, member.size) for member in running.action],
        f'the policy that runs, {running.name!r},', running.images)


_T = TypeVar('_T')


def _build(kind: type[_T], raw: Any, where: str) -> _T:
    """Convert parsed JSON to a dataclass, and refuse unknown keys."""
    if not isinstance(raw, dict):
        raise SpecError(f'{where}: found {printable(repr(raw))}, expected an object')
    known = {member.name: member for member in fields(kind)}  # type: ignore[arg-type]
    for key in raw:
        if key not in known:
            raise SpecError(
                f'{where}: found the unknown key {printable(key)!r}; {nearest(key, known)}')
    values = {}
    for key, member in known.items():
        if key not in raw:
            if kind is PolicySpec and key in _ADDED:
                continue
            raise SpecError(f'{where}: the key {key!r} is missing')
        values[key] = _convert(raw[key], str(member.type), f'{where}.{key}')
    return kind(**values)


def _convert(value: Any, annotation: str, where: str) -> Any:
    """Check one JSON value against a field's annotation."""
    if annotation == 'str' and isinstance(value, str):
        return value
    if annotation == 'int' and isinstance(value, int) and not isinstance(value, bool):
        return value
    if annotation == 'float' and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if annotation == 'tuple[float, ...]' and isinstance(value, list):
        return tuple(_convert(item, 'float', f'{where}[{i}]') for i, item in enumerate(value))
    if annotation.startswith('Mapping') and isinstance(value, dict):
        return value
    if annotation.startswith(('tuple[ObservationField', 'tuple[ActionField', 'tuple[ImageField')):
        return value
    raise SpecError(f'{where}: found {printable(repr(value))}, expected {annotation}')


def _check_lengths(kind: str, member: ObservationField | ActionField) -> None:
    """Require one finite number in every bound for each of the field's numbers."""
    for pair in (('low', 'high'), ('data_low', 'data_high')):
        if hasattr(member, pair[0]):
            require_bounds(
                f'{kind} {member.name}', member.size,
                [(bound, getattr(member, bound)) for bound in pair],
                LARGEST_OBSERVATION if kind == 'observation' else LARGEST_ACTION)
