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
"""Policy specifications: round trip, and errors of invalid ones."""

from dataclasses import replace
import json
import time
from typing import Any

import pytest

from dfp_ros.spec import ObservationField, PolicySpec, require_equal_fields, SpecMismatch
from dfp_ros.spec_bounds import SpecError
from testing.policies.small_policy import cube_spec

FIELDS = [(member.name, member.size) for member in cube_spec().observation]
ACTION = [(member.name, member.size) for member in cube_spec().action]


def changed(*path: Any, value: Any) -> str:
    """Write a specification with one value replaced, or removed if the value is ``...``."""
    raw = json.loads(cube_spec().to_json())
    holder = raw
    for key in path[:-1]:
        holder = holder[key]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return json.dumps(raw)


def test_round_trip() -> None:
    """A specification is read as it was written, to the last digit."""
    spec = cube_spec(period=1 / 3, provenance={'seed': 1, 'versions': {'torch': '2'}})
    assert PolicySpec.from_json(spec.to_json()) == spec


def test_sizes() -> None:
    """Sizes follow from the fields."""
    spec = cube_spec()
    assert (spec.observation_size, spec.action_size, spec.noise_size) == (28, 5, 25)


@pytest.mark.parametrize(('text', 'message'), [
    ('{', 'text that is not JSON'),
    ('[]', 'found list, expected an object'),
    (changed('version', value=2), 'found version 2, this release reads version 1'),
    (changed('horizon', value=...), "the key 'horizon' is missing"),
    (changed('horizn', value=3), "unknown key 'horizn'; did you mean 'horizon'?"),
    (changed('horizon', value=2.5), 'horizon: found 2.5, expected int'),
    (changed('horizon', value=True), 'horizon: found True, expected int'),
    (changed('horizon', value=0), 'horizon: found 0, expected at least 1'),
    (changed('period', value=-0.05), 'period: found -0.05, expected a positive number'),
    (changed('noise_scale', value=-1), 'noise_scale: found -1.0, expected at least 0'),
    (changed('observation', value='x'), "observation: found 'x', expected a list"),
    (changed('observation', 0, 'low', value=[0, 0]), 'joint_positions.low: found 2 numbers'),
    (changed('observation', 0, 'low', 0, value=9), 'joint_positions: found low above high'),
    (changed('action', 1, 'name', value='gripper_rate'), "the field 'gripper_rate' twice"),
    (changed('action', value=[]), 'action: found no field'),
    *((changed('period', value=period), f'period: found {found} s, which is')
      for period, found in ((1e9, '1e+09'), (4, '4'), (1.01, '1.01'), (0.0009, '0.0009'),
                            (1e-300, '1e-300'))),
    (changed('period', value='long'), "period: found 'long', expected float"),
    (changed('horizon', value=100_000), 'horizon: found 100000, expected at most 1000'),
    (changed('candidates', value=1_000_000), 'candidates: found 1000000, expected at most 1024'),
    (changed('noise_scale', value=1e6), 'noise_scale: found 1000000.0, expected at most 10'),
    (changed('action', 0, 'size', value=10**6), 'velocity: size: found 1000000, expected at most'),
    (changed('observation', 0, 'size', value=10**30), 'joint_positions: size: found 1000000'),
    (changed('action', 0, 'high', 0, value=1e200), 'found 1e+200, expected at most 1e+09'),
    (changed('action', 0, 'data_high', 0, value=1e30), 'data_high: found 1e+30, expected at most'),
    (changed('name', value='a' * 10_000), 'name: found 10000 characters, expected at most 200'),
    (changed('name', value='a\n[INFO] all is well'), 'name: found a\\n[INFO] all is well, expect'),
    (changed('name', value='\ud800'), 'name: found \\ud800, expected printable characters'),
    (changed('action', 0, 'unit', value='\x1b[2J'), 'action[0].unit: found \\x1b[2J, expected'),
    (changed('version', value=[1] * 10_000), 'found version [1, 1, 1'),
    (changed('horizon', value=[0] * 10_000), 'horizon: found [0, 0'),
    (changed('period', value=0.05).replace('0.05', '9' * 400), 'a number of 400 digits'),
    (changed('period', value=0.05).replace('0.05', '1e999'), 'the number 1e999, expected a'),
    (changed('period', value=0.05).replace('0.05', 'NaN'), 'found NaN, expected a finite number'),
    (changed('period', value=0.05).replace('"period"', '"horizon"'), "the key 'horizon' twice"),
    (changed('provenance', value={}).replace('{}', '[' * 100_000), 'nesting deeper than 40'),
    (changed('provenance', value={}).replace('{}', '{"a":' * 5_000), 'nesting deeper than 40'),
    (changed('provenance', value={'a': 'x' * 10**6}), 'expected at most 262144'),
    (changed('action', value=[
        {'name': f'{i}', 'size': 1, 'unit': 'm', 'low': [0], 'high': [0], 'data_low': [0],
         'data_high': [0]} for i in range(2000)]), 'action: number of fields: found 2000'),
], ids=lambda value: value[:60])
def test_bad_text(text: str, message: str) -> None:
    """Every way to be wrong has its own message, short and within a second."""
    begun = time.process_time()
    with pytest.raises(SpecError) as caught:
        PolicySpec.from_json(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500
    assert time.process_time() - begun < 2


@pytest.mark.parametrize('rate', [1, 3, 7, 20, 333, 1000])
def test_periods_that_nodes_tick_with(rate: int) -> None:
    """All periods of the parameter ``rate`` are valid, despite rounding."""
    assert PolicySpec.from_json(changed('period', value=1 / rate)).period == 1 / rate


def test_large_policies_fit() -> None:
    """Hundreds of joints with digits that have no end are no attack."""
    spec = cube_spec(observation=tuple(
        ObservationField(f'field_{i}', 10, 'rad', (-1 / 3,) * 10, (1 / 3,) * 10)
        for i in range(300)))
    assert PolicySpec.from_json(spec.to_json()) == spec


def test_noise_of_all_candidates_is_bounded() -> None:
    """Each number by itself may be fine."""
    with pytest.raises(SpecError, match=r'noise: horizon \* action \* candidates: found 512'):
        replace(cube_spec(), horizon=1000, candidates=1024)


def test_equal_fields() -> None:
    """The first field that differs is named with both sides."""
    spec = cube_spec()
    require_equal_fields(spec, FIELDS, ACTION, 'robot x')
    with pytest.raises(SpecMismatch, match=r"field 1: policy 'test' has joint_velocities \(6\), "
                                           r'robot x has joint_velocities \(7\)'):
        require_equal_fields(spec, [FIELDS[0], ('joint_velocities', 7)], ACTION, 'robot x')
    with pytest.raises(SpecMismatch, match='action field 2: .* robot x has nothing'):
        require_equal_fields(spec, FIELDS, ACTION[:2], 'robot x')
    with pytest.raises(SpecMismatch, match='observation field 9: .* has nothing, robot x has'):
        require_equal_fields(spec, [*FIELDS, ('more', 1)], ACTION, 'robot x')


def test_not_finite_is_never_written() -> None:
    """JSON has no NaN; a specification that would need one is refused."""
    with pytest.raises(SpecError, match='period'):
        replace(cube_spec(), period=float('nan'))
