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
"""Arguments of launch files that come into expressions, without a process."""

from __future__ import annotations

from importlib import util
from typing import Any

import pytest

pytest.importorskip('launch_ros')

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.utilities import perform_substitutions
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from dfp_ros.launch_arguments import LaunchError
from testing import ROOT

FILES = 'demo.launch.py', 'learn.launch.py'


def parameters(name: str, **arguments: str) -> dict[str, object]:
    """Evaluate the parameters that follow from the arguments of a launch file."""
    spec = util.spec_from_file_location('launched', ROOT / 'launch' / name)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    found: dict[str, object] = {}
    for entity in module.generate_launch_description().entities:
        if isinstance(entity, DeclareLaunchArgument | OpaqueFunction):
            entity.execute(context)
        elif isinstance(entity, Node):
            for each in entity._Node__parameters:
                found |= {
                    perform_substitutions(context, key): evaluated(context, value)
                    for key, value in each.items()}
    return found


def evaluated(context: LaunchContext, value: Any) -> object:
    """Evaluate a parameter of a node."""
    if isinstance(value, ParameterValue):
        return value.evaluate(context)
    return value if isinstance(value, bool) else perform_substitutions(context, value)


@pytest.mark.parametrize('name', FILES)
@pytest.mark.parametrize('mode', ["it's", 'fast', "x' or print('evaluated') or '", ''])
def test_a_mode_is_no_part_of_an_expression(
        name: str, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Launch evaluates expressions as Python."""
    with pytest.raises(LaunchError, match='argument mode: found .*realtime, lockstep'):
        parameters(name, mode=mode)
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('name', FILES)
def test_what_follows_from_mode_and_pace(name: str) -> None:
    """A pace that the robot refuses by name gets there."""
    for mode, pace, trigger, has_clock in (
            ('realtime', '1.0', 'timer', False), ('realtime', '0.5', 'timer', True),
            ('lockstep', '2', 'samples', False), ('realtime', 'inf', 'timer', True)):
        found = parameters(name, mode=mode, real_time_factor=pace)
        assert (found['trigger'], found['use_sim_time']) == (trigger, has_clock)
        assert found['publish_clock'] is has_clock
