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
"""Section ``postures`` of a robot description: what it takes, and each of its faults."""

from __future__ import annotations

import pytest

from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.yaml_section import DescriptionError
from testing import ROOT

ARM = (ROOT / 'testing' / 'data' / 'position_arm.yaml').read_text()
CUBE = (ROOT / 'config' / 'ur5e_cube.yaml').read_text()


def load(text: str) -> RobotDescription:
    """Read a description."""
    return load_robot_description('robot.yaml', text.encode())


def test_numbers_in_order_or_by_joint() -> None:
    """Both give the same command."""
    robot = load(ARM + """
postures:
  home: {joint_positions: [0.1, -0.2, 0.3]}
  named: {joint_positions: {elbow: 0.3, base: 0.1, shoulder: -0.2}}
""")
    assert robot.postures['home'].values == {'joint_positions': (0.1, -0.2, 0.3)}
    assert robot.postures['named'].values == robot.postures['home'].values
    assert load(ARM).postures == {}


def test_velocities_are_zero() -> None:
    """Only an output that is no velocity has to be named."""
    text = CUBE + """
postures:
  rest: {}
"""
    values = load(text).postures['rest'].values
    assert values['effector_linear_velocity'] == (0.0, 0.0, 0.0)
    with pytest.raises(DescriptionError, match='found a velocity for effector_yaw_rate'):
        load(text.replace('{}', '{effector_yaw_rate: 0.1}'))


@pytest.mark.parametrize(('posture', 'message'), [
    ('{}', r"postures.home: the output 'joint_positions' is missing"),
    ('{joint_position: 0.0}', r"'joint_position', which is no action of commands; did you mean"),
    ('{joint_positions: [0.1, 0.2]}', 'found 2 numbers, expected 3'),
    ('{joint_positions: {base: 0.1, shoulder: 0.2}}', 'joints are missing: elbow'),
    ('{joint_positions: {bas: 0.1}}', "found 'bas'; did you mean 'base'"),
    ('[0.1]', 'expected keys with values'),
])
def test_faults(posture: str, message: str) -> None:
    """Each is told with file, line and key."""
    with pytest.raises(DescriptionError, match=message):
        load(f'{ARM}\npostures:\n  home: {posture}\n')


def test_a_relative_output_has_no_place() -> None:
    """A policy file can do it."""
    text = ARM.replace('        path: points.positions', (
        '        relative: true\n        path: points.positions'))
    with pytest.raises(DescriptionError, match='is relative to the measured position'):
        load(f'{text}\npostures:\n  home: {{joint_positions: 0.0}}\n')
