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
"""Kinds of commands: a position is never stopped by zero, a velocity never by holding."""

from pathlib import Path

import pytest

from dfp_ros.core.command.robot_limits import find_positions, make_limits
from dfp_ros.core.description.command_kind import KindEvidence, stop_fault
from dfp_ros.core.description.commands import Stop
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.units import read_unit
from dfp_ros.spec import ActionField, ObservationField, PolicySpec

ARRAY = 'std_msgs/msg/Float64MultiArray'
TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory'
STATE = 'sensor_msgs/msg/JointState'
POSE, TWIST = 'geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/TwistStamped'


def said(unit: str, kind: str = ARRAY, path: str = 'data', topic: str = 'commands',
         action: str = 'targets', keys: tuple[str, ...] = (), says: str = '') -> KindEvidence:
    """Say something of a command that goes by no other name."""
    return KindEvidence(unit, kind, (path,), topic, action, keys, says)


@pytest.mark.parametrize('stop', [Stop.ZERO, Stop.RAMP])
@pytest.mark.parametrize('says', ['', 'velocity'])
@pytest.mark.parametrize(('command', 'evidence'), [
    (said('rad'), "by the unit 'rad'"), (said('m'), "by the unit 'm'"),
    (said('deg'), "the unit 'deg'"), (said('0.1 m'), "the unit '0.1 m'"), (said('mm'), "'mm'"),
    (said('turns'), "'turns'"), (said('°'), "'°'"), (said('Rad'), "'Rad'"),
    (said('1', TRAJECTORY, 'points.positions'), "the message field 'points.positions'"),
    (said('rad/s', TRAJECTORY, 'points.positions'), "the message field 'points.positions'"),
    (said('1', STATE, 'position'), "the message field 'position'"),
    (said('1', POSE, 'pose.position'), "the message field 'pose.position'"),
    (said('1', POSE, 'pose.orientation'), "'pose.orientation'"),
    (said('m/s', 'geometry_msgs/msg/PointStamped', 'point'), "'point'"),
    (said('1', 'geometry_msgs/msg/Quaternion', 'x'), 'the message type Quaternion'),
    (said('1', 'control_msgs/msg/GripperCommand', 'position'), "'position'"),
    (said('1', 'control_msgs/msg/JointJog', 'displacements'), "'displacements'"),
    (said('rad', 'ackermann_msgs/msg/AckermannDrive', 'steering_angle'), "'steering_angle'"),
    (said('1', keys=('measured',)), "by measured, in the unit '1'"),
    (said('1', keys=('measured', 'limits.position')), 'by measured and limits.position'),
    (said('1', topic='forward_position_controller/commands'), "'forward_position_controller/c"),
    (said('%', topic='/left/position_controllers'), "the name of the topic '/left/position_c"),
    (said('1', 'std_msgs/msg/Float64', topic='armServoAngle'), "'armServoAngle'"),
    (said('1', action='joint_positions'), "the name of the action 'joint_positions'"),
])
def test_no_position_is_stopped_by_a_zero(
        command: KindEvidence, evidence: str, stop: Stop, says: str) -> None:
    """A declared velocity may use zero, even if other keys look like those of a position."""
    fault = stop_fault(KindEvidence(**{**vars(command), 'kind': says}), stop.value, stop.kind)
    assert fault.startswith(
        f'found stop: {stop.value}, which sends 0, for a value that is a position by')
    assert evidence in fault
    assert 'stop: hold, with measured and limits.velocity' in fault


@pytest.mark.parametrize('command', [
    said('1'), said('%'), said('tick'), said('rad/s^2'), said('1', 'std_msgs/msg/UInt8'),
    said('1', 'std_msgs/msg/Float64', topic='gripper/command'), said('1e400 m'),
    said('rad/s', topic='forward_position_controller/commands'),
    said('m', TWIST, 'twist.linear'), said('1', topic='forward_velocity_controller/commands'),
    said('1/s', action='joint_positions'), said('kg m/s'),
    said('m/s^2', TRAJECTORY, 'points.accelerations'),
])
def test_an_ambiguous_kind_must_be_declared(command: KindEvidence) -> None:
    """An ambiguous kind is an error until it is declared a velocity."""
    fault = stop_fault(command, 'zero', 'velocity')
    assert 'which sends 0. Is this a velocity, or a position, which would be driven to 0?' in fault
    assert 'add kind: velocity' in fault
    declared = KindEvidence(**{**vars(command), 'kind': 'velocity'})
    assert not stop_fault(declared, 'zero', 'velocity')


@pytest.mark.parametrize('command', [
    said('rad/s'), said('m/s'), said('1/s'), said('deg s^-1'), said('rpm'), said('%/s'),
    said('m·s⁻¹'), said('rad per second'), said('1', TWIST, 'twist.linear.x'),
    said('1', 'geometry_msgs/msg/Twist', 'linear.x'), said('1', STATE, 'velocity'),
    said('rad/s', keys=('measured', 'limits.position')), said('N m'), said('A'),
    said('1', STATE, 'effort'), said('rad/s', TRAJECTORY, 'points.velocities'),
    said('m/s', 'ackermann_msgs/msg/AckermannDrive', 'speed'),
    said('1', 'ackermann_msgs/msg/AckermannDrive', 'steering_angle_velocity'),
])
def test_velocities_need_no_more_words(command: KindEvidence) -> None:
    """Their unit or their message says it; positions that bound them are no evidence."""
    assert not stop_fault(command, 'zero', 'velocity')


@pytest.mark.parametrize('command', [
    said('m/s', TWIST, 'twist.linear'), said('rad/s'), said('1', STATE, 'velocity')])
def test_velocities_do_not_go_on(command: KindEvidence) -> None:
    """Repeating the last velocity is no stop, except for an explicit ``keep``, as of a fan."""
    assert 'the robot would go on' in stop_fault(command, 'hold', 'position')
    assert 'Is the robot to go on at that velocity' in stop_fault(command, 'keep', 'other')
    assert not stop_fault(KindEvidence(**{**vars(command), 'kind': 'other'}), 'keep', 'other')


@pytest.mark.parametrize('stop', [Stop.HOLD, Stop.KEEP])
@pytest.mark.parametrize(('command', 'evidence'), [
    (said('N m'), "is an effort by the unit 'N m'"), (said('N'), 'effort'), (said('A'), 'effort'),
    (said('V'), 'effort'), (said('N⋅m'), 'effort'), (said('mNm'), 'effort'),
    (said('1', STATE, 'effort'), "an effort by the message field 'effort'"),
    (said('1', 'geometry_msgs/msg/Wrench', 'torque.z'), "the message field 'torque.z'"),
    (said('1', 'geometry_msgs/msg/WrenchStamped', 'wrench.force'), 'an effort'),
    (said('rad/s^2'), "is an acceleration by the unit 'rad/s^2'"), (said('m/s²'), 'acceleration'),
    (said('1', 'geometry_msgs/msg/Accel', 'linear.x'), 'acceleration by the message type Accel'),
    (said('m/s/s/s'), 'acceleration'), (said('krad/s'), 'velocity'), (said('rps'), 'velocity'),
    (said('rpm'), 'velocity'), (said('kph'), 'velocity'), (said('m⋅s-1'), 'velocity'),
    (said('rad_per_s'), 'velocity'), (said('[m/s]'), 'velocity'), (said('dps'), 'velocity')])
def test_what_moves_the_robot_does_not_go_on(
        command: KindEvidence, evidence: str, stop: Stop) -> None:
    """The last effort or acceleration is no stop, nor is the last velocity in any spelling."""
    fault = stop_fault(command, stop.value, stop.kind)
    assert fault.startswith(f'found stop: {stop.value}, which goes on sending the last number')
    assert evidence in fault
    assert 'use stop: zero, or ramp' in fault.replace('Use', 'use')
    position = KindEvidence(**{**vars(command), 'kind': 'position'})
    assert stop_fault(position, 'hold', 'position')


@pytest.mark.parametrize(('stop', 'says'), [(Stop.HOLD, 'position'), (Stop.KEEP, 'other')])
@pytest.mark.parametrize(('command', 'evidence'), [
    *((said('1', topic=name), f"a velocity by the name of the topic '{name}'") for name in (
        'cmd_vel', 'joint_velocities', '/a/cmdVel', 'cmdvel', 'jointvelocities', 'wheel_speed',
        'turn_rate', 'velocity_position_controller/commands')),
    *((said('1', action=name), f"a velocity by the name of the action '{name}'") for name in (
        'joint_velocities', 'base_twist', 'qdot')),
    (said('rad', topic='joint_velocities'), "a velocity by the name of the topic 'joint_vel"),
    (said('1', topic='motor_torque'), "an effort by the name of the topic 'motor_torque'"),
    (said('1', action='throttle'), 'an effort by the name of the action'),
    (said('1', topic='base_acceleration'), 'an acceleration by the name of the topic'),
    (said('1', 'my_msgs/msg/Drive', 'left_rpm'), "of the message field 'left_rpm'"),
    *((said(unit), f"a velocity by the unit '{unit}'") for unit in (
        'r/min', 'U/min', 'counts/s', 'ticks/s', 'steps/s', 'steps/sec', 'counts per second',
        'counts per minute', 'counts s-1', 'counts s^-1', 'counts s^{-1}', 'counts s⁻¹', 'kHz',
        'counts/(10 ms)', 'counts / 100ms', '㎧', 'counts∕s', 'tick/step', 'counts persec',
        'kg m/s', 'm^2/s', 'counts s**-1', '1e400 m/s', f'm/s {"m" * 200}', 'normalised speed')),
    (said('percent of torque'), "an effort by the unit 'percent of torque'"),
])
def test_what_may_move_the_robot_is_asked_for(
        command: KindEvidence, evidence: str, stop: Stop, says: str) -> None:
    """A velocity by nothing but its name, or by a unit that looks like a rate."""
    fault = stop_fault(command, stop.value, stop.kind)
    assert fault.startswith(f'found stop: {stop.value}, which goes on sending the last number')
    assert evidence in fault
    assert 'What stops it?' in fault
    assert 'use stop: zero, or ramp, with kind: velocity' in fault
    assert f'add kind: {says}' in fault
    assert not stop_fault(KindEvidence(**{**vars(command), 'kind': says}), stop.value, stop.kind)


@pytest.mark.parametrize('command', [
    said('1'), said('%'), said('tick'), said('1', topic='gripper'), said('m', action='opening'),
    said('rad', topic='velocity_position_controller/commands'), said('percent of range'),
    said('1', TRAJECTORY, 'points.positions', topic='velocity_limited/joint_trajectory'),
    said('mm', topic='travel'), said('1', 'std_msgs/msg/UInt8', topic='level'),
    said('person'), said('positions'), said('steps'), said('s')])
def test_what_does_not_move_by_itself_may_stay(command: KindEvidence) -> None:
    """Words within words say nothing, and a position message outweighs the topic's name."""
    assert not stop_fault(command, 'hold', 'position')
    assert not stop_fault(command, 'keep', 'other')


def test_positions_are_held_and_kept() -> None:
    """Positions hold as before, and a gripper may keep its state."""
    for command in (said('rad'), said('1'), said('1', POSE, 'pose.orientation')):
        assert not stop_fault(command, 'hold', 'position')
        assert not stop_fault(command, 'keep', 'other')


@pytest.mark.parametrize(('text', 'measures', 'size', 'seconds'), [
    ('', 'number', 1, 0), ('1/3', 'number', 1 / 3, 0), ('0.1 m', 'length', 0.1, 0),
    ('rad/s', 'angle', 1, -1), ('m/s²', 'length', 1, -2), ('m s-1', 'length', 1, -1),
    ('m/s/s', 'length', 1, -2), ('N*m', 'effort', 1, 0), ('km/h', 'length', 1 / 3.6, -1),
    ('m^2', 'other', 1, 0), ('1/m', 'other', 1, 0), ('bananas', 'other', 1, 0),
    ('rps', 'angle', 6.283185307179586, -1), ('N⋅m', 'effort', 1, 0), ('[m/s]', 'length', 1, -1),
    ('m⋅s-1', 'length', 1, -1), ('rad_per_s', 'angle', 1, -1), ('percent', 'number', 0.01, 0),
    ('m/s 1/1e-320', 'other', 1, 0), ('m' * 10**6, 'other', 1, 0), ('1e9999 m', 'other', 1, 0)])
def test_units(text: str, measures: str, size: float, seconds: int) -> None:
    """Kinds implied by units, and ambiguous units."""
    unit = read_unit(text)
    assert (unit.measures, unit.size) == (measures, pytest.approx(size))
    assert measures == 'other' or unit.seconds == seconds


CAR = """
robot: car
sources:
  wheels: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 0.2}
observation:
  - {name: angle, unit: rad, source: wheels, path: position, joints: [steering]}
commands:
  car:
    topic: drive
    type: std_msgs/msg/Float64MultiArray
    stop: ramp
    fields:
      - {action: speed, unit: m/s, path: data, indices: [0], limits: {acceleration: 2.0}}
      - action: steering
        unit: rad
        path: data
        indices: [1]
        stop: hold
        measured: {source: wheels, path: position, joints: [steering]}
        limits: {velocity: 1.0}
"""


def test_fields_of_one_topic_stop_in_their_own_way(tmp_path: Path) -> None:
    """A car stands still with its wheels as they are; without its own stop they would turn."""
    path = tmp_path / 'robot.yaml'
    path.write_text(CAR)
    robot = load_robot_description(path)
    spec = PolicySpec(
        'car', 'none', (ObservationField('angle', 1, 'rad', (-1.0,), (1.0,)),), tuple(
            ActionField(name, 1, unit, (-1.0,), (1.0,), (-1.0,), (1.0,))
            for name, unit in (('speed', 'm/s'), ('steering', 'rad'))), 0.1, 1)
    assert make_limits(robot, spec).stop == (Stop.RAMP, Stop.HOLD)
    assert find_positions(robot, spec).tolist() == [False, True]
    path.write_text(CAR.replace('        stop: hold\n', ''))
    with pytest.raises(DescriptionError, match=r'robot.yaml:14: commands.car.fields\[1\]: '):
        load_robot_description(path)


@pytest.mark.parametrize(('old', 'new', 'place', 'message'), [
    ('stop: hold', 'stop: hold\n        kind: velocity', 'fields[1].stop', "found 'hold', which"),
    ('indices: [1]', 'indices: [1]\n        kind: other', 'fields[1].stop', "found 'hold', which"),
    ('indices: [0],', 'indices: [0], kind: position,', 'fields[0].kind', "found 'ramp', which"),
])
def test_a_field_that_contradicts_itself(
        tmp_path: Path, old: str, new: str, place: str, message: str) -> None:
    """Keys of a field are checked like those of a topic."""
    path = tmp_path / 'robot.yaml'
    path.write_text(CAR.replace(old, new))
    with pytest.raises(DescriptionError) as caught:
        load_robot_description(path)
    assert f'{place}: {message}' in str(caught.value)


@pytest.mark.parametrize('path', ['linear.y', 'angular.z'])
def test_a_velocity_that_no_stop_ends(tmp_path: Path, path: str) -> None:
    """Constants of every message are in the stop command, too."""
    text = CAR.replace(ARRAY, 'geometry_msgs/msg/Twist').replace(
        '    fields:', f'    fixed: {{{path}: 0.1}}\n    fields:').replace(
        'path: data, indices: [0]', 'path: linear.x')
    (tmp_path / 'robot.yaml').write_text(text[:text.index('      - action: steering')])
    with pytest.raises(DescriptionError, match=r'commands.car.fixed: found 0.1 for .*no stop'):
        load_robot_description(tmp_path / 'robot.yaml')
    (tmp_path / 'robot.yaml').write_text(
        text[:text.index('      - action: steering')].replace('0.1}', '0.0}'))
    load_robot_description(tmp_path / 'robot.yaml')


@pytest.mark.parametrize(('kind', 'path', 'fixed', 'what'), [
    ('Wrench', 'force.x', 'torque.z: 100.0', 'an effort'),
    ('WrenchStamped', 'wrench.force.x', 'wrench.torque.z: 1', 'an effort'),
    ('Accel', 'linear.x', 'angular.z: 1.0', 'an acceleration'),
    ('Twist', 'linear.x', 'angular.z: 1.0', 'a velocity'),
    ('Vector3', 'x', 'z: 1.0', 'a velocity'),
    ('Vector3Stamped', 'vector.x', 'vector.y: -1.0', 'a velocity')])
def test_an_effort_that_no_stop_ends(
        tmp_path: Path, kind: str, path: str, fixed: str, what: str) -> None:
    """Constant efforts and accelerations go on like constant velocities."""
    text = CAR.replace(ARRAY, f'geometry_msgs/msg/{kind}').replace(
        '    fields:', f'    fixed: {{{fixed}}}\n    fields:').replace(
        'path: data, indices: [0],', f'path: {path}, kind: velocity,')
    text = text[:text.index('      - action: steering')]
    (tmp_path / 'robot.yaml').write_text(text)
    with pytest.raises(DescriptionError, match=f'commands.car.fixed: found .*, {what} that no st'):
        load_robot_description(tmp_path / 'robot.yaml')
    (tmp_path / 'robot.yaml').write_text(text.replace(fixed, f'{fixed.partition(":")[0]}: 0.0'))
    load_robot_description(tmp_path / 'robot.yaml')


@pytest.mark.parametrize(('kind', 'fixed'), [
    ('control_msgs/msg/GripperCommand', 'max_effort: 40.0'),
    ('my_msgs/msg/Drive', 'torque_mode: 2'), ('sensor_msgs/msg/JoyFeedback', 'type: 1')])
def test_constants_that_move_nothing(tmp_path: Path, kind: str, fixed: str) -> None:
    """The largest effort of a gripper and the mode of a controller may be fixed."""
    text = CAR.replace(ARRAY, kind).replace(
        '    fields:', f'    fixed: {{{fixed}}}\n    fields:').replace('indices: [0], ', '')
    (tmp_path / 'robot.yaml').write_text(text[:text.index('      - action: steering')])
    load_robot_description(tmp_path / 'robot.yaml')


@pytest.mark.parametrize('key', ['velocity', 'acceleration'])
def test_limits_that_limit_nothing(tmp_path: Path, key: str) -> None:
    """An output that only repeats its last number has no speed to limit."""
    (tmp_path / 'robot.yaml').write_text(CAR.replace('stop: hold', 'stop: keep').replace(
        'limits: {velocity', f'limits: {{{key}'))
    with pytest.raises(DescriptionError, match=rf'limits\.{key} with stop: keep, which limits no'):
        load_robot_description(tmp_path / 'robot.yaml')


@pytest.mark.parametrize(('kind', 'old', 'new'), [
    ('geometry_msgs/msg/Twist', 'path: data, indices: [0]', 'path: linear.x, offset: 0.1'),
    (ARRAY, 'indices: [0]', 'indices: [0, 2], offset: [5.0, 0.0]'),
    (ARRAY, 'unit: m/s, path: data', 'unit: rad/s, path: data, offset: 5.0'),
    (ARRAY, 'unit: m/s, path: data', "unit: '1', kind: velocity, path: data, offset: 5.0"),
    (ARRAY, 'unit: m/s, path: data', 'unit: N m, path: data, offset: 5.0'),
    ('geometry_msgs/msg/Wrench', 'm/s, path: data, indices: [0]', 'N, path: force.x, offset: 9'),
    ('geometry_msgs/msg/Accel', 'm/s, path: data, indices: [0]',
     'm/s^2, kind: velocity, path: linear.x, offset: 9')])
def test_a_velocity_that_is_stopped_with_an_offset(
        tmp_path: Path, kind: str, old: str, new: str) -> None:
    """A zero is a zero in the message, whichever key says that it stops the output."""
    path = tmp_path / 'robot.yaml'
    assert old in CAR
    path.write_text(CAR.replace(ARRAY, kind).replace(old, new))
    with pytest.raises(DescriptionError, match='the robot would not be stopped by a zero'):
        load_robot_description(path)
