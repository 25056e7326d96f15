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
"""The limits of commands are what everybody who has a say leaves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfp_ros.braking import UNBOUNDED
from dfp_ros.command_description import Stop
from dfp_ros.command_limits import LimitError, make_limits
from dfp_ros.limits import Limits
from dfp_ros.measured import MeasuredReader
from dfp_ros.observation import Sample
from dfp_ros.robot_description import load_robot_description, RobotDescription
from dfp_ros.spec import ActionField, ObservationField, PolicySpec
from dfp_ros.urdf import JointLimits, UrdfError

TEXT = """
robot: test
sources:
  arm: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 0.2}
observation:
  - {name: joints, unit: rad, source: arm, path: position, joints: [a, b]}
commands:
  arm:
    topic: arm/joint_trajectory
    type: trajectory_msgs/msg/JointTrajectory
    kind: position
    stop: hold
    fields:
      - action: joint_targets
        unit: rad
        path: points.positions
        joints: [b, a]
        measured: {source: arm, path: position, joints: [b, a]}
        limits: {position: urdf, velocity: urdf, acceleration: [3, 4]}
  base:
    topic: cmd_vel
    type: geometry_msgs/msg/Twist
    stop: ramp
    fields:
      - action: base_speed
        unit: m/s
        path: linear.x
        limits: {velocity: 0.5, acceleration: 1}
  gripper:
    topic: gripper
    type: std_msgs/msg/Float64MultiArray
    stop: keep
    fields:
      - {action: grip, unit: '1', path: data, indices: [0]}
"""
JOINTS = {'a': JointLimits(-0.5, 0.7, 1.0), 'b': JointLimits(-9.0, 9.0, 2.0)}


def action(name: str, unit: str, low: float, high: float, size: int = 1) -> ActionField:
    """Make a field of which the data used the middle half."""
    return ActionField(
        name, size, unit, (low,) * size, (high,) * size, (-0.5,) * size, (0.5,) * size)


SPEC = PolicySpec(
    'test', 'test', (ObservationField('joints', 2, 'rad', (-1.0,) * 2, (1.0,) * 2),),
    (action('grip', '1', 0.0, 1.0), action('joint_targets', 'rad', -2.0, 2.0, 2),
     action('base_speed', 'm/s', -1.0, 7.0)), 0.1, 4)


def robot(tmp_path: Path, *changes: tuple[str, str]) -> RobotDescription:
    """Load the description, changed."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / 'robot.yaml').write_text(text)
    return replace(load_robot_description(tmp_path / 'robot.yaml'), joints=JOINTS)


def places(limits: Limits) -> list[list[float]]:
    """List the bounds of positions."""
    return [np.asarray(limits.place_low).tolist(), np.asarray(limits.place_high).tolist()]


def test_each_narrows_what_the_others_leave(tmp_path: Path) -> None:
    """Policy, description and URDF, by joint name and in the policy's order of fields."""
    limits = make_limits(robot(tmp_path), SPEC)
    np.testing.assert_array_equal(limits.low, [0, -2, -0.5, -0.5])
    np.testing.assert_array_equal(limits.high, [1, 2, 0.7, 0.5])
    np.testing.assert_array_equal(limits.velocity, [UNBOUNDED, 2, 1, UNBOUNDED])
    np.testing.assert_array_equal(limits.acceleration, [UNBOUNDED, 3, 4, 1])
    assert limits.stop == (Stop.KEEP, Stop.HOLD, Stop.HOLD, Stop.RAMP)
    assert [row[1:3] for row in places(limits)] == [[-2, -0.5], [2, 0.7]]


def test_the_data_narrow_them_on_demand(tmp_path: Path) -> None:
    """The middle half of the policy's range, where nothing else is narrower; zero stays in."""
    limits = make_limits(robot(tmp_path), SPEC, data_envelope=True)
    np.testing.assert_array_equal(limits.low, [0.25, -1, -0.5, 0])
    np.testing.assert_array_equal(limits.high, [0.75, 1, 0.7, 0.5])


def test_a_relative_position_is_bounded_as_a_position(tmp_path: Path) -> None:
    """The policy's range bounds the step, the URDF where it leads to."""
    limits = make_limits(
        robot(tmp_path, ('joints: [b, a]\n        m', 'joints: [b, a]\n        '
                         'relative: true\n        m')), SPEC)
    np.testing.assert_array_equal(limits.relative, [False, True, True, False])
    np.testing.assert_array_equal(limits.low[1:3], [-2, -2])
    assert [row[1:3] for row in places(limits)] == [[-9, -0.5], [9, 0.7]]


def test_a_velocity_has_its_walls_where_the_joint_ends(tmp_path: Path) -> None:
    """Positions bound a velocity through what is measured."""
    limits = make_limits(
        robot(tmp_path, ('kind: position', 'kind: velocity'), ('stop: hold', 'stop: zero')),
        SPEC)
    np.testing.assert_array_equal(limits.low[1:3], [-2, -1])
    assert [row[1:3] for row in places(limits)] == [[-9, -0.5], [9, 0.7]]


def test_what_leaves_nothing_is_refused(tmp_path: Path) -> None:
    """A URDF that is not there, a joint that is not in it, and a range that is empty."""
    described = robot(tmp_path)
    with pytest.raises(LimitError, match="found 'urdf', but there is no URDF"):
        make_limits(replace(described, joints=None), SPEC)
    with pytest.raises(UrdfError, match=r"robot.yaml:19: .*no limits for joint 'b'"):
        make_limits(replace(described, joints={'a': JOINTS['a']}), SPEC)
    with pytest.raises(LimitError, match=r'joint_targets\[1\]: .* together leave 3 to 2'):
        make_limits(replace(described, joints={
            **JOINTS, 'a': replace(JOINTS['a'], low=3, high=4)}), SPEC)


def test_reads_where_the_robot_is(tmp_path: Path) -> None:
    """By joint name, in the order of the command; unknown where a joint or a message lacks."""
    reader = MeasuredReader(robot(tmp_path), SPEC)
    assert reader.is_needed

    def read(names: list[str], positions: list[float]) -> list[float]:
        return reader.read({'arm': Sample(0, 0, {'name': names, 'position': positions})}).tolist()

    unknown = np.full(4, np.nan)
    np.testing.assert_array_equal(read(['a', 'b'], [0.5, 0.25]), [np.nan, 0.25, 0.5, np.nan])
    np.testing.assert_array_equal(read(['a', 'c'], [0.5, 0.25]), unknown)
    np.testing.assert_array_equal(read(['a', 'b'], [0.5, np.nan]), unknown)
    np.testing.assert_array_equal(reader.read({}), unknown)
