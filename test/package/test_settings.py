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
"""Settings of the policy node: ranges and descriptions."""

import math
from typing import Any

import pytest
import yaml

from dfp_ros.core.settings.node import describe, make_settings, require_possible
from dfp_ros.core.settings.setting import SettingsError
from testing import ROOT


def defaults(**changes: Any) -> dict[str, Any]:
    """Take all defaults, with the files that every node needs."""
    return {
        **{name: default for name, default, _ in describe()}, 'policy': 'a', 'robot': 'b',
        **changes}


def test_defaults_are_valid_and_described() -> None:
    """Every default is within its own range, and has a sentence."""
    make_settings(defaults())
    for name, default, meaning in describe():
        assert meaning.sentence.endswith('.'), name
        if meaning.bounds is not None:
            assert meaning.bounds[0] <= default <= meaning.bounds[1], name
        if meaning.choices:
            assert default in meaning.choices, name


@pytest.mark.parametrize(('changes', 'message'), [
    ({'policy': ''}, 'parameter policy: found nothing, expected an exported .onnx file'),
    ({'robot': ''}, 'parameter robot: found nothing, expected a robot description'),
    ({'rate': 0.5}, 'parameter rate: found 0.5 Hz, expected 1.0 to 1000.0 Hz, or 0'),
    ({'rate': math.nan}, 'parameter rate: found nan Hz'),
    ({'noise_scale': -0.5}, 'parameter noise_scale: found -0.5, expected 0 to 10, or -1'),
    ({'trigger': 'timr'}, "parameter trigger: found 'timr', expected timer or samples"),
])
def test_invalid_values(changes: dict[str, Any], message: str) -> None:
    """Values that a range alone does not refuse are refused, by name."""
    with pytest.raises(SettingsError) as caught:
        make_settings(defaults(**changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'planning.mode': ''}, "parameter planning.mode: found '', expected open_loop or receding"),
    ({'execution.providers': 'gpu'}, "parameter execution.providers: found 'gpu'"),
    ({'policy': 'a', 'rate': 0.5}, 'parameter rate: found 0.5 Hz'),
])
def test_values_that_are_invalid_with_any_others(changes: dict[str, Any], message: str) -> None:
    """It needs no other value to be refused."""
    with pytest.raises(SettingsError) as caught:
        require_possible(changes)
    assert message in str(caught.value)


def test_unusual_values_that_are_valid() -> None:
    """Values that are files named later, and unknown keys."""
    require_possible({'policy': '', 'robot': '', 'use_sim_time': True, 'trigger': 'samples'})


def test_the_shipped_file_has_every_parameter_with_its_default() -> None:
    """config/policy.yaml has every parameter of the node with its default."""
    file = ROOT / 'config' / 'policy.yaml'
    values = yaml.safe_load(file.read_text())['/**']['ros__parameters']
    assert flatten(values) == {
        name: default for name, default, _ in describe() if name not in ('policy', 'robot')}


def flatten(values: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    """Write groups with dots, as ROS does."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= (
            flatten(value, f'{prefix}{name}.') if isinstance(value, dict)
            else {f'{prefix}{name}': value})
    return flat
