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
"""Outputs that the slow-speed settings do not affect."""

from __future__ import annotations

from typing import Any

import pytest

from dfp_ros.core.command.unslowed import describe_unslowed
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.settings.node import describe, make_settings, Settings
from testing import ROOT

CONFIG = ROOT / 'config'


def settings(**changes: Any) -> Settings:
    """Make settings by the parameters' names."""
    return make_settings({
        **{name: default for name, default, _ in describe()}, 'policy': 'a', 'robot': 'b',
        **changes})


@pytest.mark.parametrize(('name', 'value', 'said'), [
    ('limits.ramp_in', 1.0, 'limits.ramp_in cannot'),
    ('safety.envelope', 'slow', 'safety.envelope: slow cannot'),
    ('safety.spread', 'slow', 'safety.spread: slow cannot')])
def test_unaffected_outputs_are_named(name: str, value: Any, said: str) -> None:
    """With its line in the file, and the remedy."""
    robot = load_robot_description(CONFIG / 'panda_joint.yaml')
    text = describe_unslowed(settings(**{name: value}), robot)
    assert text.startswith(f'{said} slow down gripper')
    assert 'panda_joint.yaml:98: commands.gripper' in text
    assert 'stop: keep' in text
    assert 'limits.velocity' in text


def test_no_warning_without_need() -> None:
    """There is no warning if no slow speed is set, or if all outputs can be slowed down."""
    assert not describe_unslowed(settings(), load_robot_description(CONFIG / 'panda_joint.yaml'))
    assert not describe_unslowed(
        settings(**{'limits.ramp_in': 1.0}), load_robot_description(CONFIG / 'ur5e_cube.yaml'))
