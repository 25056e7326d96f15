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
"""Units of a description compared with those of its messages."""

from pathlib import Path

import pytest

from dfp_ros.core.description.message_units import unit_fault
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError
from testing import ROOT

JOINTS, TRAJECTORY = 'sensor_msgs/msg/JointState', 'trajectory_msgs/msg/JointTrajectory'
TWIST, POSE = 'geometry_msgs/msg/TwistStamped', 'geometry_msgs/msg/PoseStamped'


@pytest.mark.parametrize(('unit', 'message', 'path', 'is_command', 'scale'), [
    ('deg', TRAJECTORY, 'points.positions', True, '0.0174532925'),
    ('deg', JOINTS, 'position', False, '57.2957795'),
    ('deg/s', JOINTS, 'velocity', False, '57.2957795'),
    ('rpm', JOINTS, 'velocity', True, '0.104719755'),
    ('mm', TRAJECTORY, 'points.positions', True, '0.001'),
    ('0.1 m', POSE, 'pose.position', False, '10'),
    ('mm/s', TWIST, 'twist.linear', True, '0.001'),
])
def test_other_units_are_a_question(
        unit: str, message: str, path: str, is_command: bool, scale: str) -> None:
    """The message has rad or m; the scale to it is given, and that of a driver that differs."""
    fault = unit_fault(unit, message, path, is_command)
    assert fault.startswith(f'found the unit {unit!r} without a scale, but {message} is in ')
    assert fault.endswith(
        f'Is this one in {unit}? If not, add scale: {scale}; if so, add scale: 1.0')


@pytest.mark.parametrize(('unit', 'message', 'path'), [
    ('rad/s', TWIST, 'twist.linear.x'), ('m/s', TWIST, 'twist.angular'),
    ('rad', POSE, 'pose.position'), ('rad', 'geometry_msgs/msg/PoseArray', 'poses[2].position'),
    ('m', 'sensor_msgs/msg/Imu', 'angular_velocity'),
])
def test_a_turn_is_no_length(unit: str, message: str, path: str) -> None:
    """A field that is either an angle or a length takes the other only with a scale."""
    assert f'found the unit {unit!r} without a scale' in unit_fault(unit, message, path, True)


@pytest.mark.parametrize(('unit', 'message', 'path'), [
    ('rad', TRAJECTORY, 'points.positions'), ('m', JOINTS, 'position'), ('1', JOINTS, 'position'),
    ('1/3', JOINTS, 'position'), ('N', JOINTS, 'effort'), ('m/s', TWIST, 'twist.linear'),
    ('rad', POSE, 'pose.orientation'), ('rad/s', TWIST, 'twist.angular.z'),
    ('deg', 'std_msgs/msg/Float64MultiArray', 'data'), ('deg', 'my_msgs/msg/Joints', 'angles'),
    ('deg', 'sensor_msgs/msg/NavSatFix', 'latitude'), ('bananas', JOINTS, 'position'),
])
def test_what_fits_or_is_not_known_passes(unit: str, message: str, path: str) -> None:
    """Rad and m, numbers without a unit, and messages that nobody has agreed on."""
    assert unit_fault(unit, message, path, True) == ''


@pytest.mark.parametrize(('command', 'measured', 'message'), [
    ('scale: -1.0', 'scale: 1.0', "found scale 1.0 for joint 'base', expected the sign of"),
    ('scale: 1.0', 'scale: [1.0, -1.0, 1.0]', "found scale -1.0 for joint 'shoulder', expected"),
    ('offset: 0.5', 'scale: 1.0', 'found offset 0.0 .*, expected -0.5, .*: .* be 0.5 away from'),
    ('scale: 1.0', 'offset: [0.0, 0.0, 0.1]', "found offset 0.1 for joint 'elbow', expected 0.0"),
    ('scale: 1.0', 'clip: [-1.0, 1.0]', 'found clip, which hides where the robot is'),
    ('scale: -1.0', 'scale: -1.0', ''), ('offset: 0.5', 'offset: -0.5', ''),
    ('scale: 57.29578', 'scale: 1.0', ''), ('scale: [2.0, 2.0, 2.0]', 'scale: 0.5', ''),
])
def test_a_command_leads_to_what_is_measured(
        tmp_path: Path, command: str, measured: str, message: str) -> None:
    """A joint is not sent to a mirrored or shifted position; a driver may have another unit."""
    text = (ROOT / 'testing' / 'data' / 'position_arm.yaml').read_text()
    for old, new in (
            ('path: points.positions', f'path: points.positions\n        {command}'),
            ('joints: *joints}', f'joints: *joints, {measured}}}')):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / 'robot.yaml').write_text(text)
    if not message:
        load_robot_description(tmp_path / 'robot.yaml')
        return
    with pytest.raises(DescriptionError, match=rf'fields\[0\]\.measured: {message}'):
        load_robot_description(tmp_path / 'robot.yaml')


@pytest.mark.parametrize(('path', 'message'), [
    ('velocity', "found the message field 'velocity', which is a velocity"),
    ('effort', "found the message field 'effort', which is an effort"), ('position', '')])
def test_a_measured_position_is_no_velocity(tmp_path: Path, path: str, message: str) -> None:
    """A resting arm would be taken for one that is at 0, and sent there."""
    text = (ROOT / 'testing' / 'data' / 'position_arm.yaml').read_text()
    before, commands = text.split('commands:')
    assert 'path: position, joints' in commands
    (tmp_path / 'robot.yaml').write_text(f'{before}commands:' + commands.replace(
        'path: position, joints', f'path: {path}, joints'))
    if not message:
        load_robot_description(tmp_path / 'robot.yaml')
        return
    with pytest.raises(DescriptionError, match=rf'fields\[0\]\.measured: {message}'):
        load_robot_description(tmp_path / 'robot.yaml')


def test_degrees_for_an_arm_in_radians(tmp_path: Path) -> None:
    """90 degrees are not sent as 90 rad, and 1 rad is not taken for 1 degree."""
    text = (ROOT / 'testing' / 'data' / 'position_arm.yaml').read_text()
    before, commands = text.split('commands:')
    commands = commands.replace('unit: rad', 'unit: deg')

    def load(commands: str) -> None:
        (tmp_path / 'robot.yaml').write_text(f'{before}commands:{commands}')
        load_robot_description(tmp_path / 'robot.yaml')
    with pytest.raises(DescriptionError, match=r"fields\[0\]\.measured: .* unit 'deg' without"):
        load(commands)
    measured = commands.replace('path: position, joints: *joints}', (
        'path: position, joints: *joints, scale: 57.29578}'))
    assert measured != commands
    with pytest.raises(DescriptionError, match=r"fields\[0\]: found the unit 'deg' without"):
        load(measured)
    load(measured.replace('unit: deg', 'unit: deg\n        scale: 0.0174533'))
    # A driver in degrees says so.
    load(measured.replace('57.29578', '1.0').replace('unit: deg', 'unit: deg\n        scale: 1.0'))
