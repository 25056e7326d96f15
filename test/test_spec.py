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
"""Policy specifications: they come back as they went, and say what is wrong with a bad one."""

from dataclasses import replace
import json
from typing import Any

from policies import cube_spec
import pytest

from dfp_ros.spec import PolicySpec, require_equal_fields, SpecError, SpecMismatch

FIELDS = [(member.name, member.size) for member in cube_spec().observation]
ACTION = [(member.name, member.size) for member in cube_spec().action]


def changed(*path: Any, value: Any) -> str:
    """Write a specification with one value replaced, or removed where the value is ``...``."""
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
    """What is written is what is read, down to the last digit."""
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
    (changed('noise_scale', value=-1), 'noise_scale: found -1.0, expected 0 or more'),
    (changed('observation', value='x'), "observation: found 'x', expected a list"),
    (changed('observation', 0, 'low', value=[0, 0]), 'joint_positions.low: found 2 numbers'),
    (changed('observation', 0, 'low', 0, value=9), 'joint_positions: found low above high'),
    (changed('action', 1, 'name', value='gripper_rate'), "the field 'gripper_rate' twice"),
    (changed('action', value=[]), 'action: found no field'),
])
def test_bad_text(text: str, message: str) -> None:
    """Every way to be wrong has its own message."""
    with pytest.raises(SpecError) as caught:
        PolicySpec.from_json(text)
    assert message in str(caught.value)


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
