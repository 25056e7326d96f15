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
"""Robot descriptions: the shipped one, and errors of invalid ones."""

from dataclasses import replace
from pathlib import Path

import pytest

from dfp_ros.core.description.commands import Stop
from dfp_ros.core.description.robot import load_robot_description, require_fit
from dfp_ros.core.description.sources import Reception
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.spec import SpecMismatch
from testing import ROOT
from testing.policies.small_policy import cube_spec

SHIPPED = ROOT / 'config' / 'ur5e_cube.yaml'
# What a person commands has its own tests.
TEXT = SHIPPED.read_text().partition('\n# How a person takes the robot over')[0]


def description(folder: Path, old: str = '', new: str = '') -> Path:
    """Write the shipped description with the first occurrence of a text replaced."""
    assert old in TEXT
    path = folder / 'robot.yaml'
    path.write_text(TEXT.replace(old, new, 1))
    return path


def test_shipped_description_fits_cube_single() -> None:
    """28 numbers in, 5 out, under the names and units that policies are trained with."""
    robot = load_robot_description(SHIPPED)
    require_fit(cube_spec(), robot)
    assert sum(entry.size for entry in robot.observation) == 28
    assert set(robot.sources) == {'arm', 'gripper', 'effector', 'cube_0'}


@pytest.mark.parametrize(('old', 'new', 'place', 'message'), [
    ('robot: ur5e_cube', 'robt: ur5e_cube', 'robt', "unknown key; did you mean 'robot'?"),
    ('topic: gripper_state', 'topic: twist_command', 'sources.gripper',
     "found the topic 'twist_command', which a command goes to"),
    ('    max_age: 0.2', '    max_age: 0.2\n    frame_id: 5', 'sources.arm.frame_id',
     'found 5, expected text'),
    ('robot: ur5e_cube', '', '', "the key 'robot' is missing"),
    ('robot: ur5e_cube', 'robot: 5', 'robot', 'found 5, expected text'),
    ('robot: ur5e_cube', 'robot: [a]', 'robot', 'found a list, expected a single value'),
    ('    max_age: 0.2', '    max_ag: 0.2', 'sources.arm.max_ag', "did you mean 'max_age'?"),
    ('    max_age: 0.2', '    max_age: 0', 'sources.arm.max_age', 'found 0.0, expected a number '
     'above 0'),
    ('    max_age: 0.2', '    max_age: .nan', 'sources.arm.max_age', 'expected a finite number'),
    ('    max_age: 0.2', '    max_age: 1e-1', 'sources.arm.max_age', 'YAML 1.1 wants a point'),
    ('    max_age: 0.2', '    max_age: 010', 'sources.arm.max_age',
     "found '010', which YAML 1.1 reads as 8, to base 8; write 10, or quotes"),
    ('    max_age: 0.2', '    max_age: +1:30', 'sources.arm.max_age',
     "found '+1:30', which YAML 1.1 reads as 90, to base 60; write 90, or quotes"),
    ('    max_age: 0.2', '    max_age: 0:0.5', 'sources.arm.max_age',
     "found '0:0.5', which YAML 1.1 reads as 0.5, to base 60"),
    ('    max_age: 0.2', '    max_age: 0.2\n    max_age: 3', 'sources.arm.max_age',
     'a second time'),
    ('    max_age: 0.2', '    max_age: 0.2\n    smapling: newest', 'sources.arm.smapling',
     "did you mean 'sampling'?"),
    ('    max_age: 0.2', '    max_age: 0.2\n    sampling: before', 'sources.arm.sampling',
     "found 'before'; did you mean 'before_tick'?"),
    ('    max_age: 0.2', '    max_age: 0.2\n    time: headr', 'sources.arm.time',
     "did you mean 'header'?"),
    ('    max_age: 0.2', '    max_age: 0.2\n    when_stale: deactivat', 'sources.arm.when_stale',
     "did you mean 'deactivate'?"),
    ('    max_age: 0.2', '    max_age: 0.2\n    qos: reliable', 'sources.arm.qos',
     "found 'reliable', expected keys"),
    ('    max_age: 0.2', '    max_age: 0.2\n    qos: {reliable: true}',
     'sources.arm.qos.reliable', "did you mean 'reliability'?"),
    ('    max_age: 0.2', '    max_age: 0.2\n    qos: {reliability: best}',
     'sources.arm.qos.reliability', "did you mean 'best_effort'?"),
    ('    max_age: 0.2', '    max_age: 0.2\n    qos: {durability: transient}',
     'sources.arm.qos.durability', "did you mean 'transient_local'?"),
    ('    max_age: 0.2', '    max_age: 0.2\n    qos: {depth: 0}', 'sources.arm.qos.depth',
     'found 0, expected a whole number from 1 on'),
    ('        limit: 6.0', '        limit: 0', 'commands.effector.fields[1].limit',
     'found 0.0, expected numbers above 0'),
    ('    source: arm', '    source: armm', 'observation[0].source', "did you mean 'arm'?"),
    ('joints: &arm_joints', 'joint: &arm_joints', 'observation[0].joint', "mean 'joints'?"),
    ('      - elbow_joint', '      - wrist_1_joint', 'observation[0].joints[3]',
     "found 'wrist_1_joint' a second time"),
    ('transform: yaw_cosine_sine\n  # 0', 'transform: yaw_cos_sin\n  # 0',
     'observation[3].transform', "did you mean 'yaw_cosine_sine'?"),
    ('offset: [-0.425, 0.0, 0.0]', 'offset: [-0.425, 0.0]', 'observation[2].offset',
     'found 2 numbers, expected 3'),
    ('components: [x, y, z]', 'components: [x, y, z]\n    indices: [0]', 'observation[2]',
     'found components and indices, expected at most one'),
    ('components: [x, y, z]', 'components: []', 'observation[2].components', 'an empty list'),
    ('  - name: effector_yaw', '  - name: cube_0_yaw', 'observation', "'cube_0_yaw' twice"),
    ('    stop: zero', '    stop: hold', 'commands.effector.fields[0]',
     "the key 'measured' is missing: positions start from the measured position"),
    ('    stop: zero', '    stop: zero\n    kind: position', 'commands.effector.stop',
     "found 'zero', which does not stop an output of kind 'position'; expected hold"),
    ('    stop: zero', '    stop: zeroo', 'commands.effector.stop', "did you mean 'zero'?"),
    ('    stop: zero', '    stop: ramp', 'commands.effector.fields[0]',
     "the key 'limits.acceleration' is missing: stop: ramp slows down by it"),
    ('        limit: 6.0', '        limits: {position: {low: -1, high: 1}}',
     'commands.effector.fields[1]', "the key 'measured' is missing: a velocity is kept within"),
    ('        limit: 6.0', '        limits: {velocity: urdg}',
     'commands.effector.fields[1].limits.velocity', "did you mean 'urdf'?"),
    ('        limit: 6.0', '        limits: {velocity: "0,3"}',
     'commands.effector.fields[1].limits.velocity',
     "found the text '0,3', expected numbers or urdf"),
    ('        limit: 6.0', '        limits: {position: "-1 to 1"}',
     'commands.effector.fields[1].limits.position',
     "found the text '-1 to 1', expected low and high, in numbers, or urdf"),
    ('        limit: 6.0', '        limits: {velocity: urdf}',
     'commands.effector.fields[1]', 'limits from the URDF, but no joint names'),
    ('        limit: 6.0', '        limits: {position: {low: 1, high: 1}}',
     'commands.effector.fields[1].limits.position', 'found low 1.0, expected less than high, 1.0'),
    ('        limit: 6.0', '        limits: {acceleration: 0}',
     'commands.effector.fields[1].limits.acceleration', 'found 0.0, expected numbers above 0'),
    ('        limit: 6.0', '        relative: true', 'commands.effector.fields[1]',
     'found relative: true with stop: zero'),
    ('        limit: 6.0', '        scale: 0', 'commands.effector.fields[1].scale',
     'which makes every number 0'),
    # A position that is always measured as 0, and a number that is invented.
    ('        limit: 6.0',
     '        measured: {source: arm, path: position, joints: [elbow_joint], scale: 1.0e-13}',
     'commands.effector.fields[1].measured.scale', 'which makes every number almost 0'),
    ('        limit: 6.0',
     '        measured: {source: arm, path: position, joints: [elbow_joint], scale: 0.0}',
     'commands.effector.fields[1].measured.scale', 'which makes every number 0'),
    ('    stop: zero', '    stop: zero\n    trajectory: chunk', 'commands.effector.trajectory',
     'it is for trajectory_msgs/msg/JointTrajectory'),
    ('        limit: 6.0',
     '        measured: {source: armm, path: position, joints: [elbow_joint]}',
     'commands.effector.fields[1].measured.source', "did you mean 'arm'?"),
    ('        limit: 6.0',
     '        measured: {source: arm, path: position, indices: [0, 1]}',
     'commands.effector.fields[1].measured', 'found 2 numbers, the action has 1'),
    ('        limit: 6.0',
     '        joints: [a, b]\n        measured: {source: arm, path: position, joints: [b, a]}',
     'commands.effector.fields[1].measured',
     "found the joint 'b' in place 1, expected it in place 2, as joints of the command have it"),
    ('    stop: zero\n', '', 'commands.effector',
     "the key 'stop' is missing; found topic, type, frame_id, fields"),
    ('indices: [0]', 'indices: [-1]', 'commands.gripper.fields[0].indices[0]',
     'found -1, expected an index'),
    ('- action: effector_yaw_rate', '- action: gripper_rate', 'commands',
     "the field 'gripper_rate' twice"),
    ('topic: gripper_command', 'topic: twist_command', 'commands',
     "found the topic 'twist_command' twice; put"),
    ('topic: gripper_command', 'topic: /twist_command', 'commands',
     "found the topic '/twist_command' twice, once as 'twist_command'; put"),
])
def test_bad_description(tmp_path: Path, old: str, new: str, place: str, message: str) -> None:
    """Every message has the file, the line, the key, and the nearest thing that would be right."""
    path = description(tmp_path, old, new)
    with pytest.raises(DescriptionError) as caught:
        load_robot_description(path)
    text = str(caught.value)
    assert text.startswith(f'{path}:')
    assert f': {place}: ' in text or not place
    assert message in text


@pytest.mark.parametrize(('keys', 'place', 'message'), [
    ('type: tf, parent: a, chld: b', '.chld', "did you mean 'child'?"),
    ('type: tf, parent: a', '', "the key 'child' is missing"),
    ('type: tf, parent: a, child: /a', '.child', "found 'a' for both frames"),
    ('type: tff, parent: a, child: b', '.parent', 'unknown key'),
    ('type: tf, parent: a, child: b, qos: {dept: 1}', '.qos.dept', "did you mean 'depth'?"),
])
def test_bad_frames(tmp_path: Path, keys: str, place: str, message: str) -> None:
    """Invalid sources of transforms are rejected."""
    path = description(
        tmp_path, 'sources:\n', f'sources:\n  tool: {{max_age: 1.0, {keys}}}\n')
    with pytest.raises(DescriptionError) as caught:
        load_robot_description(path)
    assert f': sources.tool{place}: ' in str(caught.value)
    assert message in str(caught.value)


def test_how_a_source_is_taken(tmp_path: Path) -> None:
    """The defaults of QoS are those of sensors; explicit keys override them."""
    robot = load_robot_description(description(
        tmp_path, '    max_age: 0.2', '    max_age: 0.2\n    time: receive\n'
        '    sampling: before_tick\n    when_stale: warn\n'
        '    qos: {reliability: reliable, durability: transient_local, depth: 1}'))
    arm, gripper = robot.sources['arm'], robot.sources['gripper']
    assert (arm.time, arm.sampling, arm.when_stale) == ('receive', 'before_tick', 'warn')
    assert arm.qos == Reception('reliable', 'transient_local', 1)
    assert (gripper.time, gripper.sampling, gripper.when_stale) == ('both', 'newest', 'hold')
    assert gripper.qos == Reception('best_effort', 'volatile', 5)


def with_commands(folder: Path, commands: str) -> Path:
    """Write the shipped description with other commands."""
    text = SHIPPED.read_text()
    path = folder / 'robot.yaml'
    path.write_text(f'{text[:text.index("commands:")]}commands:\n{commands}')
    return path


@pytest.mark.parametrize(('first', 'second', 'message'), [
    ('indices: [0, 1]', 'indices: [1]', '.fields[1]: data[1] is given a second time; give'),
    ('indices: [0, 1]', 'indices: [3]', ': data[2] is given by no field, and must not be'),
    ('indices: [1, 2]', 'indices: [3]', ': data[0] is given by no field, and must not be'),
])
def test_each_number_of_a_command_is_given_once(
        tmp_path: Path, first: str, second: str, message: str) -> None:
    """By one field: the node, the recorder and the conversion refuse the same descriptions."""
    path = with_commands(tmp_path, f"""
  rates:
    topic: rates
    type: std_msgs/msg/Float64MultiArray
    kind: velocity
    stop: zero
    fields:
      - {{action: two, unit: rad/s, path: data, {first}, limit: 1.0}}
      - {{action: one, unit: rad/s, path: data, {second}, limit: 1.0}}
""")
    with pytest.raises(DescriptionError) as caught:
        load_robot_description(path)
    assert f'commands.rates{message}' in str(caught.value)


def test_line_number(tmp_path: Path) -> None:
    """The line in the message is the line in the file."""
    path = description(tmp_path, '    source: arm', '    source: leg')
    line = path.read_text().splitlines().index('    source: leg') + 1
    with pytest.raises(DescriptionError, match=f'robot.yaml:{line}: observation'):
        load_robot_description(path)


@pytest.mark.parametrize(('content', 'message'), [
    (b'', 'empty file'), (b'a: [', 'not YAML'), (b'\xff\xfe\x00', 'not YAML'),
    (b'- 1', 'expected keys with values'), (b'text', "found 'text'")])
def test_not_a_description(tmp_path: Path, content: bytes, message: str) -> None:
    """Files that hold something else."""
    (tmp_path / 'robot.yaml').write_bytes(content)
    with pytest.raises(DescriptionError, match=message):
        load_robot_description(tmp_path / 'robot.yaml')


def test_another_file_is_not_quoted_in_full(tmp_path: Path) -> None:
    """A file named by mistake may hold anything, which does not belong into a log."""
    path = tmp_path / 'passwords'
    path.write_text(''.join(f'user{i}:x:{i}:0:secret\n' for i in range(100)))
    with pytest.raises(DescriptionError, match="passwords:1: found 'user0:.*expected") as found:
        load_robot_description(path)
    assert len(str(found.value)) < len(str(path)) + 150


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there."""
    with pytest.raises(DescriptionError, match='there is no such file'):
        load_robot_description(tmp_path / 'none.yaml')


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('      - elbow_joint\n', '', r'joint_positions \(6\), robot .* joint_positions \(5\)'),
    ('name: effector_yaw', 'name: tool_yaw', r'effector_yaw \(2\), robot .* tool_yaw \(2\)'),
    ('unit: 0.1 m', 'unit: m', "effector_position is in 'm', policy 'test' was trained with "
     "'0.1 m'"),
    ('unit: m/s', 'unit: mm/s\n        scale: 0.001', "effector_linear_velocity is in 'mm/s'"),
    ('- action: effector_linear_velocity', '- action: effector_velocity',
     r'effector_linear_velocity \(3\), robot .* effector_velocity \(3\)'),
    ('- action: gripper_rate', '- action: gripper_speed', r'gripper_rate \(1\), robot .* '
     r'gripper_speed \(1\)'),
])
def test_policy_and_robot_differ(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Another size, order, name or unit is refused, and the field is named."""
    with pytest.raises(SpecMismatch, match=message):
        require_fit(cube_spec(), load_robot_description(description(tmp_path, old, new)))


def test_order_of_action_fields_is_the_policy_s() -> None:
    """Action fields find their topic by name, regardless of the order in the file."""
    robot = load_robot_description(SHIPPED)
    require_fit(cube_spec(), replace(robot, commands=robot.commands[::-1]))


@pytest.mark.parametrize(('changed', 'message'), [
    (('trajectory: chunk', 'trajectory: point'), r'arm.velocities: found this key with trajectory:'
     ' point, of which the only point has no velocities; it is for trajectory: chunk'),
    (('    stamp: zero', '    goal_change: 0.1'), r'arm.goal_change: found this key with trajector'
     'y: chunk, of which each plan is a goal of its own')])
def test_keys_that_would_do_nothing(
        changed: tuple[str, str], message: str, tmp_path: Path) -> None:
    """Who sets them expects something."""
    text = (ROOT / 'testing' / 'data' / 'action_arm.yaml').read_text()
    assert changed[0] in text
    path = tmp_path / 'robot.yaml'
    path.write_text(text.replace(*changed))
    with pytest.raises(DescriptionError, match=message):
        load_robot_description(path)


@pytest.mark.parametrize(('first', 'second', 'message'), [
    ('path: pose.position, components: [y, z]', 'path: pose.position.z', 'pose.position.z is'),
    ('path: pose.position.y', 'path: pose.position, components: [x, y]', 'pose.position.y is'),
    ('path: pose.orientation, rotation: quaternion_xyzw',
     'path: pose.orientation, components: [w]', 'pose.orientation.w is')])
def test_a_number_is_given_once_however_its_path_is_written(
        tmp_path: Path, first: str, second: str, message: str) -> None:
    """By components, with dots, or as a rotation."""
    path = with_commands(tmp_path, f"""
  hand:
    topic: hand
    type: geometry_msgs/msg/PoseStamped
    frame_id: base
    stop: keep
    kind: other
    fields:
      - {{action: first, unit: '1', {first}}}
      - {{action: second, unit: '1', {second}}}
""")
    with pytest.raises(DescriptionError, match='given a second time') as caught:
        load_robot_description(path)
    assert f'.fields[1]: {message}' in str(caught.value)


@pytest.mark.parametrize(('rotation', 'measured', 'expected'), [
    ('quaternion_wxyz', 'components: [w, x, y, z]', ''),
    ('quaternion_xyzw', 'components: [x, y, z, w]', ''),
    ('quaternion_xyzw', 'components: [x, y, z, w], relative_to: {source: effector, '
     'orientation: pose.orientation}', ''),
    ('axis_angle', 'transform: axis_angle', ''),
    ('rotation_6d', 'transform: rotation_6d', ''),
    ('quaternion_wxyz', 'components: [x, y, z, w]', 'components: [w, x, y, z]'),
    ('quaternion_xyzw', 'components: [w, x, y, z]', 'components: [x, y, z, w]'),
    ('quaternion_wxyz', 'components: [x, y, z, w], relative_to: {source: effector, '
     'orientation: pose.orientation}', 'components: [w, x, y, z]'),
    ('axis_angle', 'transform: projected_gravity', 'transform: axis_angle'),
    ('axis_angle', 'transform: axis_angle, scale: -1.0', 'without scale and offset'),
    ('quaternion_xyzw', 'components: [x, y, z, w], offset: [0, 0, 0, 0.1]',
     'without scale and offset'),
    ('', 'components: [x, y, z, w]', ''),
    ('', 'components: [w, x, y, z]', 'components: [x, y, z, w]')])
def test_a_rotation_is_measured_as_it_is_commanded(
        tmp_path: Path, rotation: str, measured: str, expected: str) -> None:
    """Read in another order, the first command would be another rotation than the robot's."""
    path = with_commands(tmp_path, f"""
  hand:
    topic: hand
    type: geometry_msgs/msg/PoseStamped
    frame_id: base
    stop: hold
    fields:
      - action: turn
        unit: '1'
        path: pose.orientation
        {f'rotation: {rotation}' if rotation else 'components: [x, y, z, w]'}
        measured: {{source: effector, path: pose.orientation, {measured}}}
        limits: {{velocity: 1.0}}
""")
    if not expected:
        load_robot_description(path)
        return
    with pytest.raises(DescriptionError, match=r'hand.fields\[0\].measured: found ') as caught:
        load_robot_description(path)
    assert expected in str(caught.value)


@pytest.mark.parametrize(('stop', 'unit', 'limits', 'measured', 'message'), [
    ('hold', 'rad', 'velocity: 1.0', 'path: position', ''),
    ('hold', 'rad', 'velocity: 1.0', 'path: velocity',
     "found the message field 'velocity', which is a velocity"),
    ('hold', 'rad', 'velocity: 1.0', 'path: effort',
     "found the message field 'effort', which is an effort"),
    ('hold', 'rad', 'velocity: 1.0', 'path: effort, scale: 1.0', ''),
    ('ramp', 'rad/s', 'position: {low: -1, high: 1}, acceleration: 1.0', 'path: position', ''),
    ('ramp', 'rad/s', 'position: {low: -1, high: 1}, acceleration: 1.0', 'path: velocity',
     "found the message field 'velocity', which is a velocity"),
    ('ramp', 'rad/s', 'acceleration: 1.0', 'path: velocity', ''),
    ('ramp', 'rad/s', 'velocity: 1.0, acceleration: 1.0', 'path: velocity',
     "found the message field 'velocity', which is a velocity"),
    ('keep', '1', '', 'path: effort', '')])
def test_what_is_measured_is_a_position(
        tmp_path: Path, stop: str, unit: str, limits: str, measured: str, message: str) -> None:
    """A robot at rest has the velocity 0, and the first command would be the position 0."""
    path = with_commands(tmp_path, f"""
  arm:
    topic: arm
    type: std_msgs/msg/Float64MultiArray
    stop: {stop}
    kind: {Stop(stop).kind}
    fields:
      - action: elbow
        unit: {unit!r}
        path: data
        indices: [0]
        measured: {{source: arm, joints: [elbow_joint], {measured}}}
        limits: {{{limits}}}
""")
    if not message:
        load_robot_description(path)
        return
    with pytest.raises(DescriptionError, match=r'arm.fields\[0\].measured: found ') as caught:
        load_robot_description(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(('source', 'command', 'measured', 'message'), [
    ('', 'components: [x, y, z]', 'components: [x, y, z]', ''),
    (', frame_id: base_link', 'components: [x, y, z]', 'components: [x, y, z]', ''),
    (', frame_id: /base_link', 'components: [x, y, z]', 'components: [x, y, z]', ''),
    (', frame_id: base', 'components: [x, y, z]', 'components: [x, y, z]',
     "found the source 'hand' in the frame 'base' for a command in the frame 'base_link'"),
    (', frame_id: base', 'components: [x, y, z]', 'components: [x, y, z], relative_to: {source: '
     'other, position: pose.position, orientation: pose.orientation}', ''),
    (', frame_id: base_link', 'components: [x, y, z]', 'components: [y, x, z]',
     "found 'y' in place 1, expected it in place 2"),
    # The axes of another frame may be called otherwise.
    ('', 'components: [x, y, z]', 'components: [y, x, z]', '')])
def test_a_place_is_measured_in_the_frame_of_its_command(
        tmp_path: Path, source: str, command: str, measured: str, message: str) -> None:
    """The first command would be elsewhere, as base is turned against base_link of many arms."""
    path = tmp_path / 'robot.yaml'
    path.write_text(f"""
robot: hand
sources:
  hand: {{topic: pose, type: geometry_msgs/msg/PoseStamped, max_age: 1.0{source}}}
  other: {{topic: other, type: geometry_msgs/msg/PoseStamped, max_age: 1.0}}
observation:
  - {{name: place, unit: m, source: hand, path: pose.position, components: [x, y, z]}}
commands:
  hand:
    topic: target
    type: geometry_msgs/msg/PoseStamped
    frame_id: base_link
    stop: hold
    fields:
      - action: place
        unit: m
        path: pose.position
        {command}
        measured: {{source: hand, path: pose.position, {measured}}}
        limits: {{velocity: 1.0}}
""")
    if not message:
        load_robot_description(path)
        return
    with pytest.raises(DescriptionError, match=r'hand.fields\[0\].measured: found ') as caught:
        load_robot_description(path)
    assert message in str(caught.value)


def test_a_transform_is_measured_in_the_frame_of_its_command(tmp_path: Path) -> None:
    """Its parent is its frame."""
    path = tmp_path / 'robot.yaml'
    text = """
robot: hand
sources:
  hand: {type: tf, parent: world, child: tool, max_age: 1.0}
observation:
  - {name: place, unit: m, source: hand, path: transform.translation, components: [x, y, z]}
commands:
  hand:
    topic: target
    type: geometry_msgs/msg/PoseStamped
    frame_id: base_link
    stop: hold
    fields:
      - action: turn
        unit: '1'
        path: pose.orientation
        rotation: rotation_6d
        measured: {source: hand, path: transform.rotation, transform: rotation_6d}
        limits: {velocity: 1.0}
"""
    path.write_text(text.replace('parent: world', 'parent: base_link'))
    load_robot_description(path)
    path.write_text(text)
    with pytest.raises(DescriptionError, match="in the frame 'world' for a command in the frame"):
        load_robot_description(path)
