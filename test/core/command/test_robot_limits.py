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
"""Command limits as the intersection of URDF, description and parameters."""

from dataclasses import replace
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.arrays import UNBOUNDED
from dfp_ros.core.command.limits import Limits
from dfp_ros.core.command.robot_limits import (
    describe_changes,
    LimitError,
    make_limits,
    require_joints,
)
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.description.limit_check import start_margin
from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.urdf import JointLimits, UrdfError
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.feedback import FeedbackReader
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.units import read_unit
from dfp_ros.spec import ActionField, ObservationField, PolicySpec

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
    """Make a field whose data used the middle half of the range."""
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
    return [np.asarray(limits.position_low).tolist(), np.asarray(limits.position_high).tolist()]


def test_limits_are_intersected(tmp_path: Path) -> None:
    """Policy, description and URDF, by joint name and in the policy's order of fields."""
    limits = make_limits(robot(tmp_path), SPEC)
    np.testing.assert_array_equal(limits.low, [0, -2, -0.5, -0.5])
    np.testing.assert_array_equal(limits.high, [1, 2, 0.7, 0.5])
    np.testing.assert_array_equal(limits.velocity, [UNBOUNDED, 2, 1, UNBOUNDED])
    np.testing.assert_array_equal(limits.acceleration, [UNBOUNDED, 3, 4, 1])
    assert limits.stop == (Stop.KEEP, Stop.HOLD, Stop.HOLD, Stop.RAMP)
    assert [row[1:3] for row in places(limits)] == [[-2, -0.5], [2, 0.7]]


@pytest.mark.parametrize(('unit', 'width', 'expected'), [
    ('rad', 2.0, 8 * math.pi), ('rad', 10.0, 100.0), ('m', 0.2, 100.0), ('mm', 200.0, 1e5),
    ('deg', 100.0, 8 * 180.0), ('1', 2.0, 200.0), ('m', UNBOUNDED, 10 * UNBOUNDED)])
def test_how_far_outside_commands_start(unit: str, width: float, expected: float) -> None:
    """By the range, and by the size of what is measured."""
    assert start_margin(read_unit(unit), width) == pytest.approx(expected)


def test_commands_do_not_start_where_no_robot_can_be(tmp_path: Path) -> None:
    """Positions have a margin, rotations and velocities need none."""
    margin = np.asarray(make_limits(robot(tmp_path), SPEC).start_margin)
    np.testing.assert_allclose(margin, [np.inf, 40.0, 8 * math.pi, np.inf])


def test_the_data_narrow_them_on_demand(tmp_path: Path) -> None:
    """Limits are the middle half of the policy's range, if not narrower, and include zero."""
    limits = make_limits(robot(tmp_path), SPEC, data_envelope=True)
    np.testing.assert_array_equal(limits.low, [0.25, -1, -0.5, 0])
    np.testing.assert_array_equal(limits.high, [0.75, 1, 0.7, 0.5])


def test_a_relative_position_is_bounded_as_a_position(tmp_path: Path) -> None:
    """The policy's range bounds the step, the URDF the resulting position."""
    limits = make_limits(
        robot(tmp_path, ('joints: [b, a]\n        m', 'joints: [b, a]\n        '
                         'relative: true\n        m')), SPEC)
    np.testing.assert_array_equal(limits.relative, [False, True, True, False])
    np.testing.assert_array_equal(limits.low[1:3], [-2, -2])
    assert [row[1:3] for row in places(limits)] == [[-9, -0.5], [9, 0.7]]


def test_a_velocity_has_its_walls_where_the_joint_ends(tmp_path: Path) -> None:
    """Position limits bound a velocity through the measured position."""
    limits = make_limits(
        robot(tmp_path, ('kind: position', 'kind: velocity'), ('stop: hold', 'stop: zero'),
              ('unit: rad\n        path: points.pos', 'unit: rad/s\n        path: points.veloc'),
              ('points.velocitions', 'points.velocities')),
        SPEC)
    np.testing.assert_array_equal(limits.low[1:3], [-2, -1])
    assert [row[1:3] for row in places(limits)] == [[-9, -0.5], [9, 0.7]]


def test_an_empty_intersection_is_refused(tmp_path: Path) -> None:
    """A URDF that is not there, a joint that is not in it, and a range that is empty."""
    described = robot(tmp_path)
    with pytest.raises(LimitError, match="found 'urdf', but there is no URDF"):
        make_limits(replace(described, joints=None), SPEC)
    with pytest.raises(UrdfError, match=r"robot.yaml:19: .*no joint 'b'"):
        make_limits(replace(described, joints={'a': JOINTS['a']}), SPEC)
    with pytest.raises(LimitError, match=r'joint_targets\[1\] .* together leave 3 to 2'):
        make_limits(replace(described, joints={
            **JOINTS, 'a': replace(JOINTS['a'], low=3, high=4)}), SPEC)


@pytest.mark.parametrize(('changed', 'message'), [
    ({'velocity': -1.0}, "joint 'a': velocity: found -1.0, expected numbers above 0; a negative"),
    ({'velocity': 0.0}, "joint 'a': velocity: found 0.0, expected numbers above 0"),
    ({'velocity': math.inf}, 'velocity: found inf'),
    ({'velocity': math.nan}, 'velocity: found nan'),
    ({'velocity': 1e-12}, 'velocity: found 1e-12, expected at least'),
    ({'velocity': 124.0}, 'found 124.0, expected at most 50 a second; rad is expected, and this'),
    ({'velocity': 1e16}, 'expected less than 1e'),
    ({'low': 0.0, 'high': 0.0}, "joint 'a': position: found low 0.0, expected less than high"),
    ({'low': 0.7, 'high': -0.5}, "joint 'a': position: found low 0.7, expected less than high"),
    ({'low': -1e-9, 'high': 1e-9}, 'the robot would be driven there'),
    ({'low': -166.0, 'high': 166.0}, "joint 'a': position: found low -166.0, expected at most"),
    ({'low': -1e16, 'high': 1e16}, 'is usually meant as "no limit"'),
    ({'low': -math.inf, 'high': math.inf}, "joint 'a': position: found low -inf"),
    ({'kind': 'prismatic'}, "'prismatic', whose limits are in m, for an action in 'rad'; correct"),
    ({'position_fault': 'has no <limit>'}, "joint 'a' has no <limit>"),
])
def test_a_urdf_is_not_believed(
        tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    """Impossible limits are rejected with joint, source and value, before anything moves."""
    described = robot(tmp_path)
    joints = {**JOINTS, 'a': replace(JOINTS['a'], **{'kind': 'revolute', **changed})}
    for check in (lambda: make_limits(replace(described, joints=joints), SPEC),
                  lambda: require_joints(described, joints)):
        with pytest.raises((LimitError, UrdfError), match=r'robot.yaml:19: .* URDF: ') as caught:
            check()
        assert message in str(caught.value)


def test_a_sliding_joint_is_in_metres(tmp_path: Path) -> None:
    """Limits of a URDF have the unit of the joint's type, which the action must have, too."""
    sliding = {name: replace(joint, kind='prismatic') for name, joint in JOINTS.items()}
    described = robot(
        tmp_path, ('unit: rad\n        path: points', 'unit: m\n        path: points'))
    spec = replace(SPEC, action=tuple(
        replace(field, unit='m') if field.name == 'joint_targets' else field
        for field in SPEC.action))
    require_joints(described, {**sliding, 'b': replace(sliding['b'], low=-2.0, high=2.0)})
    for joint, message in (
            (replace(sliding['a'], high=400.0), 'm is expected, and this looks like millimetres'),
            (replace(sliding['a'], kind='revolute'), "'revolute', whose limits are in rad, for"),
            (replace(sliding['a'], kind='continuous'), "'continuous', whose limits are in rad")):
        joints = {**sliding, 'a': joint}
        with pytest.raises(LimitError, match=r"robot.yaml:19: .* URDF: joint 'a': ") as caught:
            make_limits(replace(described, joints=joints), spec)
        assert message in str(caught.value)


def test_velocities_without_bounds(tmp_path: Path) -> None:
    """A policy file alone is not believed either; limits make it usable."""
    wild = replace(SPEC, action=tuple(
        replace(field, high=(1e6,)) if field.name == 'base_speed' else field
        for field in SPEC.action))
    assert make_limits(robot(tmp_path), wild).high[3] == 0.5
    with pytest.raises(LimitError, match=(
            r'base_speed\[0\]: .* leave a speed: found 1000000.0, .*give limits.velocity')):
        make_limits(robot(tmp_path, ('{velocity: 0.5, acc', '{acc')), wild)


def test_only_joints_that_are_asked_for_are_looked_at(tmp_path: Path) -> None:
    """Faults of unused joints do not matter, nor those that the description overrides."""
    joints = {**JOINTS, 'caster': JointLimits(1, -1, -1, 'revolute')}
    assert set(require_joints(robot(tmp_path), joints).joints or ()) == {'a', 'b'}
    given = robot(tmp_path, ('velocity: urdf', 'velocity: 0.5'))
    negative = {name: replace(joint, velocity=-1.0) for name, joint in JOINTS.items()}
    np.testing.assert_array_equal(
        make_limits(require_joints(given, negative), SPEC).velocity[1:3], [0.5, 0.5])


def test_another_urdf_differs_in_what_is_taken_from_it(tmp_path: Path) -> None:
    """Unused joints, and values that the description overrides, are no difference."""
    described = require_joints(robot(tmp_path), JOINTS)
    changed = {
        **JOINTS, 'a': replace(JOINTS['a'], high=1.5, velocity=0.25),
        'caster': JointLimits(1, -1, -1, 'revolute')}
    low, high, velocity = JOINTS['a'].low, JOINTS['a'].high, JOINTS['a'].velocity
    assert describe_changes(described, {**JOINTS, 'caster': changed['caster']}) == ()
    assert describe_changes(described, changed) == (
        f"joint 'a': position {low} to {high} then, {low} to 1.5 now",
        f"joint 'a': velocity {velocity} then, 0.25 now")
    given = require_joints(robot(tmp_path, ('velocity: urdf', 'velocity: 0.5')), JOINTS)
    assert describe_changes(given, changed) == (
        f"joint 'a': position {low} to {high} then, {low} to 1.5 now",)
    with pytest.raises(UrdfError, match="the URDF has no joint 'a'"):
        describe_changes(described, {'b': JOINTS['b']})


def test_endless_joints_have_no_range(tmp_path: Path) -> None:
    """A continuous joint is bounded by the policy alone, and is no wheel if it has positions."""
    endless = JointLimits(-math.inf, math.inf, 2.0, 'continuous')
    described = robot(tmp_path)
    limits = make_limits(require_joints(described, {'a': endless, 'b': endless}), SPEC)
    np.testing.assert_array_equal(limits.low[1:3], [-2, -2])
    fast = replace(endless, velocity=300.0)
    with pytest.raises(LimitError, match=r"joint_targets\[0\] \(joint 'b'\): limits.velocity: "):
        make_limits(require_joints(described, {'a': endless, 'b': fast}), SPEC)


@pytest.mark.parametrize(('low', 'high'), [(2.0, 3.0), (1.999, 3.0), (2.5, 3.0)])
def test_ranges_that_hardly_meet(tmp_path: Path, low: float, high: float) -> None:
    """The intersection of two ranges must be a range, not a single position."""
    described = replace(robot(tmp_path), joints={
        **JOINTS, 'a': replace(JOINTS['a'], low=low, high=high)})
    with pytest.raises(LimitError, match=(
            r"joint_targets\[1\] \(joint 'a'\): .* together leave .*policy -2 to 2, URDF")):
        make_limits(described, SPEC)


def test_data_without_width_are_no_envelope(tmp_path: Path) -> None:
    """A policy file without real bounds of its data drives no joint to the middle."""
    still = replace(SPEC, action=tuple(
        replace(field, data_low=(0.25,) * field.size, data_high=(0.25,) * field.size)
        for field in SPEC.action))
    make_limits(robot(tmp_path), still)
    with pytest.raises(LimitError, match=r'joint_targets\[0\] .*: training data: found low 0.5, '
                       'expected less than high, 0.5.*limits.data_envelope'):
        make_limits(robot(tmp_path), still, data_envelope=True)


def test_outputs_that_the_policy_never_moves_may_stay(tmp_path: Path) -> None:
    """A range that the policy file has without width is one that was meant so."""
    locked = replace(SPEC, action=tuple(
        replace(field, low=(0.1,) * field.size, high=(0.1,) * field.size)
        if field.name == 'joint_targets' else field for field in SPEC.action))
    np.testing.assert_array_equal(make_limits(robot(tmp_path), locked).high[1:3], [0.1, 0.1])


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('velocity: urdf', 'velocity: -1', 'found -1.0, expected numbers above 0'),
    ('velocity: urdf', 'velocity: 170', 'found 170.0, expected at most 50 a second; rad is exp'),
    ('velocity: urdf', 'velocity: 1.0e-9', 'expected at least 1e-06: nothing would move'),
    ('position: urdf', 'position: {low: -170, high: 170}', 'found low -170.0, expected at most'),
    ('position: urdf', 'position: {low: 0, high: 0.0}', 'found low 0.0, expected less than high'),
    ('position: urdf', 'position: {low: 0, high: 1.0e-9}', 'the robot would be driven there'),
    ('acceleration: [3, 4]', 'acceleration: 1.0e+12', 'found 1e+12, expected less'),
    ('acceleration: [3, 4]', 'acceleration: urdf', 'a URDF has no acceleration'),
    ('unit: rad\n        path: points',
     'unit: deg\n        scale: 0.0174533\n        path: points',
     "found limits from the URDF, which are in rad and m, for an action in 'deg'"),
])
def test_a_description_passes_the_same_check(
        tmp_path: Path, old: str, new: str, message: str) -> None:
    """With file, line and key."""
    with pytest.raises(DescriptionError, match=r'robot.yaml:\d+: commands.arm') as caught:
        robot(tmp_path, (old, new), ('joints: [b, a]}', 'joints: [b, a], scale: 1.0}'))
    assert message in str(caught.value)


@pytest.mark.parametrize(('changes', 'name', 'found'), [
    ((('path: points.positions', 'path: points.positions\n        scale: [1.0, -1.0]'),
      ('joints: [b, a]}', 'joints: [b, a], scale: [1.0, -1.0]}')), 'a', 'measured.scale -1.0'),
    ((('path: points.positions', 'path: points.positions\n        offset: [0.5, 0]'),
      ('joints: [b, a]}', 'joints: [b, a], offset: [-0.5, 0]}')), 'b', 'measured.offset -0.5'),
    ((('kind: position\n    stop: hold', 'kind: other\n    stop: keep'), ('        joints', (
        '        offset: 0.1\n        joints')), ('velocity: urdf, acceleration: [3, 4]', ''),
      ('        measured: {source: arm, path: position, joints: [b, a]}\n', '')),
     'b', 'offset 0.1'),
    ((('kind: position\n    stop: hold', 'kind: velocity\n    stop: ramp'),
      ('unit: rad\n        path: points.positions',
       'unit: rad/s\n        scale: -1.0\n        path: points.velocities'),
      ('joints: [b, a]}', 'joints: [b, a], scale: -1.0}')), 'b', 'measured.scale -1.0'),
    ((('path: points.positions', 'path: points.positions\n        scale: [1.0, -1.0]'),
      ('joints: [b, a]}', 'joints: [left_b, left_a]}')), 'a', 'scale -1.0')])
def test_a_range_of_the_urdf_is_that_of_the_joint(
        tmp_path: Path, changes: tuple[tuple[str, str], ...], name: str, found: str) -> None:
    """A mirrored or shifted number has another range: joint a went to 0.5, and not to 0.7."""
    with pytest.raises(DescriptionError, match=r'robot.yaml:\d+: commands.arm.fields') as caught:
        robot(tmp_path, *changes)
    assert f'found limits.position from the URDF with {found} for joint {name!r}' in str(
        caught.value)


def test_a_range_of_the_urdf_is_not_that_of_a_difference(tmp_path: Path) -> None:
    """A position relative to another joint's has another range."""
    with pytest.raises(DescriptionError, match=r'for a difference \(measured.minus\)'):
        robot(tmp_path, (
            'joints: [b, a]}', 'joints: [b, a], minus: {source: arm, path: effort}}'))


def test_a_range_of_the_urdf_fits_a_driver_of_degrees(tmp_path: Path) -> None:
    """Another unit in the messages changes nothing: limits are in the unit of the action."""
    limits = make_limits(robot(
        tmp_path,
        ('path: points.positions', 'path: points.positions\n        scale: 57.29577951308232'),
        ('joints: [b, a]}', 'joints: [b, a], scale: 0.017453292519943295}')), SPEC)
    np.testing.assert_array_equal(limits.high[1:3], [2, 0.7])


def test_reads_where_the_robot_is(tmp_path: Path) -> None:
    """Positions are read by joint name in the order of the command; missing joints are unknown."""
    reader = FeedbackReader(robot(tmp_path), SPEC)
    assert reader.is_needed

    def read(names: list[str], positions: list[float]) -> list[float]:
        return reader.read({'arm': Sample(0, 0, {'name': names, 'position': positions})}).tolist()

    unknown = np.full(4, np.nan)
    np.testing.assert_array_equal(read(['a', 'b'], [0.5, 0.25]), [np.nan, 0.25, 0.5, np.nan])
    np.testing.assert_array_equal(read(['a', 'c'], [0.5, 0.25]), unknown)
    np.testing.assert_array_equal(read(['a', 'b'], [0.5, np.nan]), unknown)
    np.testing.assert_array_equal(read(['a', 'b'], [0.5, 1e39]), unknown)
    np.testing.assert_array_equal(reader.read({}), unknown)


def test_a_millimetre_far_from_the_origin_survives(tmp_path: Path) -> None:
    """Positions in a map frame are not rounded to single precision, which is 3 cm there."""
    described, names = robot(tmp_path), ['a', 'b']
    reader = FeedbackReader(described, SPEC)
    here, there = (
        reader.read({'arm': Sample(0, 0, {'name': names, 'position': [0.5, position]})})
        for position in (4e5, 4e5 + 1e-3))
    assert (here[1], there[1]) == (4e5, 4e5 + 1e-3)
