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
"""Value monitor: jumping and frozen values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
from pathlib import Path

import pytest

from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.urdf import JointLimits
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.value_monitor import ValueMonitor
from dfp_ros.core.safety.reasons import Finding, Reason, Response
from dfp_ros.core.settings.safety import SafetySettings
from testing import ROOT
from testing.faults.robots import POSITION_ARM
from testing.fixtures.robot_samples import rest_samples, shipped_robot

S = 1_000_000_000
TICK = S // 50
START = 1000 * S
SHIPPED = ROOT / 'config' / 'ur5e_cube.yaml'


def watched(**changes: object) -> RobotDescription:
    """Describe the shipped robot, with something to watch of its joints' positions."""
    robot = shipped_robot()
    first, *others = robot.observation
    assert first.name == 'joint_positions'
    return replace(robot, observation=(replace(first, **changes), *others))  # type: ignore


def check(
        watch: ValueMonitor, i: int, position: float, stamp: int | None = None,
        settings: SafetySettings | None = None) -> list[Finding]:
    """Check a tick of the shipped robot, with its first joint somewhere."""
    samples = rest_samples(START + (i if stamp is None else stamp) * TICK)
    values = {**samples['arm'].values, 'position': [position, *[0.1] * 5]}
    samples['arm'] = replace(samples['arm'], values=values)
    return watch.check(samples, settings or SafetySettings())


def test_nothing_is_watched_unless_the_description_says_so() -> None:
    """Without limits in the description, no value is monitored."""
    watch = ValueMonitor(shipped_robot(), TICK)
    assert not any(check(watch, i, (-1) ** i) for i in range(200))


def test_a_value_that_jumps_further_than_it_can() -> None:
    """It is named with both values, and forgotten half a second later."""
    watch = ValueMonitor(watched(max_rate=(3.0,) * 6), TICK)
    assert not check(watch, 0, 0.1)
    assert not check(watch, 1, 0.15)
    [jump] = check(watch, 2, -0.9)
    assert (jump.reason, jump.response) == (Reason.JUMP, Response.WARN)
    assert jump.text == (
        'joint_positions[0] went from 0.15 to -0.9 rad within 0.020 s, at most 3 rad/s are '
        'possible (max_rate)')
    assert check(watch, 27, -0.9) == [jump]
    assert not check(watch, 28, -0.9)
    # After a while without messages it may be anywhere near; angles go around.
    assert not check(watch, 128, 0.9)
    watch.reset()
    assert not check(watch, 129, 3.14)
    assert not check(watch, 130, -3.14)
    [held] = check(watch, 131, 0.0, settings=SafetySettings(jump='hold'))
    assert held.response is Response.HOLD


@pytest.mark.parametrize(('unit', 'size', 'expected'), [
    ('deg', math.degrees(1), False), ('0.1 rad', 10.0, False), ('turn', 1 / math.tau, False),
    ('0.1 m', 10.0, True), ('1', 1.0, True)])
def test_angles_go_around_in_any_unit(unit: str, size: float, expected: bool) -> None:
    """What is no angle has jumped."""
    watch = ValueMonitor(
        watched(unit=unit, scale=(size,) * 6, max_rate=(3.0 * size,) * 6), TICK)
    assert not check(watch, 0, 3.14)
    assert bool(check(watch, 1, -3.14)) == expected


JOINTS = """
robot: arm
sources:
  arm: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 1.0}
observation:
  - {name: places, unit: rad, source: arm, path: position, joints: [a, b]}
commands:
  arm:
    topic: commands
    type: trajectory_msgs/msg/JointTrajectory
    kind: KIND
    fields:
      - action: targets
        unit: UNIT
        path: points.PATH
        joints: [a, b]
        measured: {source: arm, path: position, joints: [a, b]}
        limits: {position: {low: -4, high: 4}, velocity: SPEEDS, acceleration: 5.0}
"""


def test_the_angle_of_a_derivative_goes_around() -> None:
    """Its limit is for the angle, which is read past half a turn."""
    watch = ValueMonitor(watched(unit='rad/s', derivative=True, max_rate=(3.0,) * 6), TICK)
    assert not check(watch, 0, 3.14)
    assert not check(watch, 1, -3.14)
    [jump] = check(watch, 2, -2.9)
    assert 'from -3.14 to -2.9 rad within 0.020 s, at most 3 rad/s' in jump.text


ROTATION = """
robot: hand
sources:
  hand: {topic: pose, type: geometry_msgs/msg/PoseStamped, max_age: 1.0}
observation:
  - {name: place, unit: m, source: hand, path: pose.position, components: [x, y, z]}
commands:
  hand:
    topic: target
    type: geometry_msgs/msg/PoseStamped
    frame_id: base
    kind: position
    stop: hold
    fields:
      - action: turn
        unit: UNIT
        path: pose.orientation
        rotation: ROTATION
        measured: {source: hand, path: pose.orientation, PICK}
        limits: {velocity: 1.0}
"""


ROTATIONS = [
    ('quaternion_xyzw', 'components: [x, y, z, w]', "'1'"),
    ('quaternion_wxyz', 'components: [w, x, y, z]', "'1'"),
    ('axis_angle', 'transform: axis_angle', 'rad'),
    ('rotation_6d', 'transform: rotation_6d', "'1'")]


def _rotation_monitor(
        folder: Path, rotation: str, pick: str, unit: str) -> Callable[..., list[Finding]]:
    """Make a monitor of a rotation about one axis; it is called with tick, angle and sign."""
    path = folder / 'robot.yaml'
    path.write_text(ROTATION.replace('ROTATION', rotation).replace('PICK', pick).replace(
        'UNIT', unit))
    watch = ValueMonitor(load_robot_description(path), TICK)

    def turned(i: int, angle: float, sign: float = 1.0) -> list[Finding]:
        x = y = sign * math.sin(angle / 2) / math.sqrt(2)
        values = {'x': x, 'y': y, 'z': 0.0, 'w': sign * math.cos(angle / 2)}
        stamp = START + i * TICK
        return watch.check({'hand': Sample(stamp, stamp, {
            f'pose.orientation.{name}': value for name, value in values.items()})},
            SafetySettings())

    return turned


@pytest.mark.parametrize(('rotation', 'pick', 'unit'), ROTATIONS)
def test_a_rotation_that_has_other_numbers_has_not_jumped(
        rotation: str, pick: str, unit: str, tmp_path: Path) -> None:
    """A quaternion changes its sign, and an axis its direction at half a turn."""
    turned = _rotation_monitor(tmp_path, rotation, pick, unit)
    assert not turned(0, 3.10)
    assert not turned(1, 3.13, -1.0)
    assert not turned(2, 3.16, -1.0)
    assert not turned(3, 3.19)
    assert not turned(4, 3.16)
    assert turned(5, 2.5)


@pytest.mark.parametrize(('rotation', 'pick', 'unit'), ROTATIONS)
def test_a_rotation_that_goes_all_the_way_round_has_not_jumped(
        rotation: str, pick: str, unit: str, tmp_path: Path) -> None:
    """Its numbers are those of the beginning then, or their negatives."""
    turned = _rotation_monitor(tmp_path, rotation, pick, unit)
    for i in range(300):
        assert not turned(i, i * 0.05), i


def test_a_measured_position_cannot_jump_either() -> None:
    """Its limit of velocity says how fast it may be moved, and several times that is no motion."""
    robot = load_robot_description(POSITION_ARM.description)
    watch = ValueMonitor(robot, TICK)

    def arm(i: int, position: float) -> list[Finding]:
        stamp = START + i * TICK
        values = {'name': ['base', 'shoulder', 'elbow'], 'position': [position, 0.0, 0.0]}
        pose = {f'pose.position.{axis}': 0.0 for axis in 'xyz'}
        return watch.check(
            {'arm': Sample(stamp, stamp, values), 'target': Sample(stamp, stamp, pose)},
            SafetySettings())

    assert not arm(0, 0.3)
    assert not arm(1, 0.39)
    [jump] = arm(2, -0.9)
    assert '5 times limits.velocity' in jump.text


@pytest.mark.parametrize('speeds', ['urdf', '[2.0, 1.0]'])
@pytest.mark.parametrize(('kind', 'unit', 'path'), [
    ('position\n    stop: hold', 'rad', 'positions'),
    ('velocity\n    stop: ramp', 'rad/s', 'velocities')])
def test_a_position_cannot_jump_whatever_is_commanded_and_wherever_its_speed_is_from(
        kind: str, unit: str, path: str, speeds: str, tmp_path: Path) -> None:
    """Positions and velocities, with limits of the description and of the URDF."""
    file = tmp_path / 'robot.yaml'
    file.write_text(JOINTS.replace('KIND', kind).replace('UNIT', unit).replace(
        'PATH', path).replace('SPEEDS', speeds))
    watch = ValueMonitor(replace(load_robot_description(file), joints={
        'a': JointLimits(-4.0, 4.0, 2.0), 'b': JointLimits(-4.0, 4.0, 1.0)}), TICK)

    def arm(i: int, a: float, b: float) -> list[Finding]:
        stamp = START + i * TICK
        return watch.check({'arm': Sample(
            stamp, stamp, {'name': ['a', 'b'], 'position': [a, b]})}, SafetySettings())

    assert not arm(0, 0.0, 3.1)
    assert not arm(1, 0.15, -3.1 + 0.01)
    [jump] = arm(2, 0.30, -2.0)
    assert jump.text == (
        'targets[1] went from -3.09 to -2 rad within 0.020 s, at most 5 rad/s are possible '
        '(5 times limits.velocity)')


def test_an_effort_is_no_speed_of_what_is_measured(tmp_path: Path) -> None:
    """Its limits.velocity bounds the effort, however fast the robot moves by it."""
    file = tmp_path / 'robot.yaml'
    file.write_text(JOINTS.replace('KIND', 'velocity\n    stop: zero').replace(
        'UNIT', 'N m').replace('PATH', 'effort').replace('SPEEDS', '0.1'))
    watch = ValueMonitor(load_robot_description(file), TICK)
    for i in range(10):
        stamp = START + i * TICK
        assert not watch.check({'arm': Sample(
            stamp, stamp, {'name': ['a', 'b'], 'position': [0.04 * i, 0.0]})}, SafetySettings())


def test_a_value_that_is_stuck_though_messages_come() -> None:
    """Not one whose messages do not come, which is stale."""
    watch = ValueMonitor(watched(changes_within=0.5), TICK)
    assert not check(watch, 0, 0.1)
    assert not any(check(watch, i, 0.1) for i in range(1, 26))
    [stuck] = check(watch, 30, 0.1)
    assert (stuck.reason, stuck.response) == (Reason.STUCK, Response.WARN)
    assert stuck.text == (
        "joint_positions has been exactly the same for 0.60 s, though messages of source 'arm' "
        'come; it changes within 0.5 s (changes_within)')
    assert not check(watch, 31, 0.1000001)
    assert not any(check(watch, i, 0.1000001, stamp=31) for i in range(32, 100))


def test_a_value_that_is_stuck_though_its_stamps_go_back_and_forth() -> None:
    """As those of a driver with several threads; a clock that was set back begins anew."""
    watch = ValueMonitor(watched(changes_within=0.5), TICK)
    stamps = [i + (-3 if i % 2 else 0) for i in range(3, 40)]
    assert [bool(check(watch, 0, 0.1, stamp)) for stamp in stamps] == [
        stamp > 25 for stamp in stamps]
    assert not check(watch, 0, 0.1, 40 - 1000)
    assert not check(watch, 0, 0.1, 60 - 1000)
    assert check(watch, 0, 0.1, 70 - 1000)


@pytest.mark.parametrize(('line', 'message'), [
    ('max_rate: 0.0', 'expected numbers above 0'), ('max_rate: [1.0, 2.0]', 'found 2 numbers'),
    ('changes_within: -1.0', 'expected a number above 0')])
def test_monitored_values_are_read(tmp_path: Path, line: str, message: str) -> None:
    """One rate for all numbers, or one a number; nothing that cannot be."""
    text = SHIPPED.read_text()
    field = '    source: arm\n    path: position\n'
    assert field in text
    path = tmp_path / 'robot.yaml'
    path.write_text(text.replace(field, f'{field}    {line}\n', 1))
    with pytest.raises(DescriptionError, match=message):
        load_robot_description(path)
    path.write_text(text.replace(
        field, f'{field}    max_rate: 3.2\n    changes_within: 0.5\n', 1))
    [first, *_] = load_robot_description(path).observation
    assert (first.max_rate, first.changes_within) == ((3.2,) * 6, 0.5)
