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
"""Summaries of policy files, and descriptions scaffolded from a robot's topics."""

from __future__ import annotations

from dataclasses import replace
import math
import os
from pathlib import Path
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from dfp_ros.core.description.picture_format import PictureFormat
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.tools.describe.policy_table import describe_policy_file
from dfp_ros.tools.describe.scaffold import ScaffoldError, write_scaffold
from dfp_ros.tools.describe.scaffold_sources import JOINT_STATE, name_sources, write_source
from dfp_ros.tools.describe.survey import PublishedTopic, Survey, TakenTopic
from dfp_ros.tools.describe.topic_kinds import classify, COMMAND, SOURCE
from testing import ROOT
from testing.fixtures.cameras import compressed, depths, raw, scene
from testing.policies.picture_policy import write_picture_policy

NAMES = ('shoulder', 'elbow', 'quill')
URDF = """
<robot name="arm">
  <joint name="shoulder" type="revolute"><limit lower="-2" upper="2" velocity="1.5"/></joint>
  <joint name="elbow" type="revolute"><limit lower="-1" upper="1" velocity="2"/></joint>
  <joint name="quill" type="prismatic"><limit lower="0" upper="0.1" velocity="0.2"/></joint>
</robot>"""


def joint_state(names: tuple[str, ...] = NAMES) -> Any:
    """Make the content of a JointState."""
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=''), name=list(names), position=[0.0] * len(names))


def survey(**changes: Any) -> Survey:
    """Make a survey of an arm of three joints that a controller moves."""
    joints = PublishedTopic(
        'joint_states', 'sensor_msgs/msg/JointState', ('/driver',), count=500, rate=100.0,
        message=joint_state())
    goal = PublishedTopic(
        'goal_pose', 'geometry_msgs/msg/PoseStamped', ('/planner',), is_latched=True, count=1,
        message=SimpleNamespace(header=SimpleNamespace(frame_id='map')))
    arm = TakenTopic(
        'arm_controller/commands', 'std_msgs/msg/Float64MultiArray', ('/arm_controller',),
        joints=NAMES, interface='position')
    return replace(Survey((joints, goal), (arm,), {}, URDF, 5.0), **changes)


def load(text: str, tmp_path: Path) -> Any:
    """Read a description."""
    path = tmp_path / 'scaffold.yaml'
    path.write_text(text)
    return load_robot_description(path)


def test_scaffold_is_taken_once_it_is_filled_in(tmp_path: Path) -> None:
    """Facts of controller and URDF are filled in; the others are marked by name."""
    text = write_scaffold(survey(), 'my_arm')
    with pytest.raises(DescriptionError, match=r'scaffold.yaml:\d+: commands.arm_controller.fie'
                       r'lds\[0\].limits.acceleration: found FILL_IN.*fields\[1\]'):
        load(text, tmp_path)
    robot = load(text.replace('FILL_IN', '5.0'), tmp_path)
    assert robot.name == 'my_arm'
    assert [(entry.name, entry.unit, entry.joints) for entry in robot.observation[:2]] in (
        [('joint_angles', 'rad', NAMES[:2]), ('joint_travels', 'm', NAMES[2:])],
        [('goal_position', 'm', ()), ('goal_rotation', '1', ())])
    assert robot.sources['goal_pose'].is_latched
    assert robot.sources['goal_pose'].max_age == math.inf
    assert robot.sources['goal_pose'].frame_id == 'map'
    angles, travels = robot.commands[0].entries
    assert (angles.indices, travels.indices) == ((0, 1), (2,))
    assert angles.limits.position == ((-2.0, -1.0), (2.0, 1.0))
    assert travels.limits.velocity == (0.2,)
    assert robot.commands[0].stop.value == 'hold'


@pytest.mark.parametrize('urdf', ['', 'no XML', URDF.replace('velocity="1.5"', 'velocity="-1"')
                                  .replace('lower="-2"', 'lower="2"')])
def test_nothing_is_guessed(urdf: str) -> None:
    """Without a URDF that can be believed, units and limits are asked for."""
    found = yaml.safe_load(write_scaffold(survey(urdf=urdf), 'arm'))
    limits = found['commands']['arm_controller']['fields'][0]['limits']
    assert limits['velocity'] == 'FILL_IN'
    assert limits['position'] == {'low': 'FILL_IN', 'high': 'FILL_IN'}
    if not urdf.startswith('\n'):
        joints = next(
            field for field in found['observation'] if field['source'] == 'joint_states')
        assert joints['unit'] == 'FILL_IN'


@pytest.mark.parametrize('kind', [
    'std_msgs/msg/Float64MultiArray', 'trajectory_msgs/msg/JointTrajectory',
    'geometry_msgs/msg/Twist', 'geometry_msgs/msg/TwistStamped', 'geometry_msgs/msg/PoseStamped',
    'sensor_msgs/msg/JointState', 'std_msgs/msg/UInt8'])
def test_every_kind_of_command_leaves_something_open(kind: str, tmp_path: Path) -> None:
    """A topic of which only the type is known is described, and rejected until filled in."""
    text = write_scaffold(
        survey(taken=(TakenTopic('a/b', kind, ('/x',), ('/joystick',)),), urdf=''), 'robot')
    assert yaml.safe_load(text)['commands']['a']['type'] == kind
    assert '/joystick' in text
    with pytest.raises(DescriptionError, match='found FILL_IN'):
        load(text, tmp_path)


def test_cameras_are_described(tmp_path: Path) -> None:
    """Encoding and size are those of a message; how large the policy sees it is left open."""
    def camera(topic: str, kind: str, message: Any) -> PublishedTopic:
        return PublishedTopic(
            topic, f'sensor_msgs/msg/{kind}', ('/driver',), count=150, rate=30.0, message=message)

    pytest.importorskip('PIL')
    cameras = (
        camera('wrist/image_raw', 'Image', raw(scene(0), 'rgb8')),
        camera('wrist/image_raw/compressed', 'CompressedImage', compressed(scene(0), 'jpeg')),
        camera('depth/image_rect_raw', 'Image', raw(depths(0), '16UC1')))
    text = write_scaffold(survey(published=(*survey().published, *cameras)), 'my_arm')
    with pytest.raises(DescriptionError, match=r'images\[0\].height.*images\[2\].range\[1\]'):
        load(text, tmp_path)
    text = text.replace('[FILL_IN, FILL_IN]', '[0.2, 1.5]')
    robot = load(text.replace('FILL_IN', '5'), tmp_path)
    assert [(image.name, image.field.channels) for image in robot.images] == [
        ('wrist', 'rgb'), ('wrist_image_raw_compressed', 'rgb'), ('depth', 'depth')]
    assert [str(robot.sources[image.source].picture) for image in robot.images] == [
        str(PictureFormat(encoding, *size)) for encoding, size in (
            ('rgb8', (64, 48)), ('jpeg', (64, 48)), ('16UC1', (32, 24)))]
    assert robot.sources['wrist'].frame_id == 'camera'
    # What is not known is asked for.
    unread = (
        camera('a', 'Image', None), camera('b', 'Image', raw(scene(0), 'yuv422')),
        camera('c', 'CompressedImage', compressed(scene(0), 'jpeg', data=b'x')))
    found = yaml.safe_load(write_scaffold(survey(published=(*survey().published, *unread)), 'x'))
    assert found['sources']['a']['picture'] == MARK
    assert found['sources']['b']['picture'] == {'encoding': MARK, 'width': 64, 'height': 48}
    assert set(found['sources']['c']['picture'].values()) == {MARK}
    assert [image['channels'] for image in found['images']] == [MARK] * 3


def test_names_from_outside_are_no_yaml() -> None:
    """Frames, joints and reasons with line breaks and YAML syntax are escaped."""
    evil = 'a\n  evil: {b: 1}\n# '
    joints = PublishedTopic(
        'joint_states', 'sensor_msgs/msg/JointState', (evil,), rate=1e-7,
        message=joint_state((evil, '\x1b[2J')))
    joints.message.header.frame_id = evil
    goal = PublishedTopic(
        'goal_pose', 'geometry_msgs/msg/PoseStamped', ('/planner',), rate=10.0,
        message=SimpleNamespace(header=SimpleNamespace(frame_id=evil)))
    text = write_scaffold(
        survey(published=(joints, goal), left_out={evil: evil}, urdf=''), 'robot')
    found = yaml.safe_load(text)
    assert set(found) == {'robot', 'sources', 'observation', 'commands'}
    assert 'evil' not in found['sources']['joint_states']
    # Joints are in no frame; a pose is refused where its frame changes.
    assert 'frame_id' not in found['sources']['joint_states']
    assert found['sources']['goal_pose']['frame_id'] == evil
    assert found['observation'][0]['joints'] == [evil, '\x1b[2J']
    assert '\x1b' not in text


def test_two_topics_that_are_named_alike_have_fields_of_their_own(tmp_path: Path) -> None:
    """The names of fields are cut, and no two may be the same."""
    joints, goal = survey().published
    arm, = survey().taken
    text = write_scaffold(survey(
        published=(joints, replace(joints, topic='joint_state', message=joint_state(NAMES[:1])),
                   goal, replace(goal, topic='goal')),
        taken=(arm, replace(arm, topic='arm/commands'))), 'my_arm')
    robot = load(re.sub(r'source: FILL_IN', 'source: joint_states', text).replace(
        'FILL_IN', '5.0'), tmp_path)
    assert len({entry.name for entry in robot.observation}) == 7
    assert [entry.action for topic in robot.commands for entry in topic.entries] == [
        'arm_angles', 'arm_travels', 'arm_2_angles', 'arm_2_travels']


@pytest.mark.parametrize('word', ['on', 'no', 'null', 'true', '_12', '_0x1f', '_1_0'])
def test_topics_whose_names_are_values_in_yaml(word: str) -> None:
    """They stay text."""
    heard = PublishedTopic(f'arm/{word}', 'std_msgs/msg/Float64', ('/driver',), rate=10.0)
    text = write_scaffold(survey(published=(heard,), taken=(TakenTopic(
        f'{word}/commands', 'std_msgs/msg/UInt8', ('/x',)),)), 'arm')
    found, name = yaml.safe_load(text), word.strip('_')
    assert list(found['sources']) == [name]
    assert found['observation'][0]['source'] == name
    assert list(found['commands']) == [name]
    assert found['commands'][name]['fields'][0]['action'] == name
    camera = replace(heard, topic=f'{word}/image_raw', type='sensor_msgs/msg/Image')
    found = yaml.safe_load(write_scaffold(survey(published=(heard, camera)), 'arm'))
    assert found['images'][0]['name'] == found['images'][0]['source']


def test_a_robot_that_is_not_there_is_no_description() -> None:
    """There is no publisher, or no subscriber."""
    with pytest.raises(ScaffoldError, match='no command topic with a subscriber within'):
        write_scaffold(survey(taken=()), 'robot')
    with pytest.raises(ScaffoldError, match='no topic with observations'):
        write_scaffold(survey(published=()), 'robot')


@pytest.mark.parametrize(('topic', 'kind', 'publishers', 'subscribers', 'what'), [
    ('/joint_states', 'sensor_msgs/msg/JointState', ['/driver'], ['/rviz'], SOURCE),
    ('/joint_states', 'sensor_msgs/msg/JointState', [], ['/robot_state_publisher'], ''),
    ('/cmd_vel', 'geometry_msgs/msg/Twist', ['/joystick'], ['/base'], COMMAND),
    ('/cmd_vel', 'geometry_msgs/msg/Twist', ['/dfp_policy'], [], ''),
    ('/tool_velocity', 'geometry_msgs/msg/TwistStamped', ['/driver'], [], SOURCE),
    ('/joint_states', 'sensor_msgs/msg/JointState', ['/driver'], ['/dfp_recorder'], SOURCE),
    ('/dfp_policy/statistics', 'std_msgs/msg/Float64MultiArray', ['/dfp_policy'], ['/dfp_view'],
     ''),
    ('/dfp_policy/statistics', 'std_msgs/msg/Float64MultiArray', [], ['/left/dfp_view'], ''),
    ('/currents', 'std_msgs/msg/Float64MultiArray', ['/driver'], ['/evaluate_on_robot'], SOURCE),
    ('/currents', 'std_msgs/msg/Float64MultiArray', ['/driver'], ['/rosbag2_recorder'], SOURCE),
    ('/currents', 'std_msgs/msg/Float64MultiArray', ['/driver'],
     ['/_ros2cli_4711', '/rqt_gui_py_node_12'], SOURCE),
    ('/currents', 'std_msgs/msg/Float64MultiArray', ['/driver'],
     ['/_NODE_NAME_UNKNOWN_'], COMMAND),
    ('/dfp_policy/statistics', 'std_msgs/msg/Float64MultiArray', ['/dfp_policy'],
     ['/plotjuggler'], ''),
    ('/tool_twist', 'geometry_msgs/msg/TwistStamped', ['/driver'], ['/rviz'], SOURCE),
    ('/cmd_vel', 'geometry_msgs/msg/Twist', [], ['/rosbag2_recorder', '/base'], COMMAND),
    ('/rosout', 'rcl_interfaces/msg/Log', ['/driver'], [], ''),
    ('/camera/image', 'sensor_msgs/msg/Image', ['/camera'], [], SOURCE),
    ('/camera/image', 'sensor_msgs/msg/Image', [], ['/viewer'], ''),
    ('/camera/camera_info', 'sensor_msgs/msg/CameraInfo', ['/camera'], [], ''),
    ('/joy', 'sensor_msgs/msg/Joy', ['/joy_node'], ['/teleop'], '')])
def test_classification_of_topics(
        topic: str, kind: str, publishers: list[str], subscribers: list[str], what: str) -> None:
    """Topics are classified by type, publishers and subscribers."""
    assert classify(topic, kind, publishers, subscribers)[0] == what


def test_unfilled_places_are_found_once_however_nested(tmp_path: Path) -> None:
    """Anchors are looked at once, and a file of nothing but references ends."""
    lines = ['a0: &a0 [FILL_IN]', *(
        f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 30))]
    with pytest.raises(DescriptionError):
        load('\n'.join(lines), tmp_path)
    with pytest.raises(DescriptionError, match=r'2: b\[1\]: found FILL_IN'):
        load('a: 1\nb: [1, FILL_IN]\n', tmp_path)


def test_a_policy_that_sees(tmp_path: Path) -> None:
    """Its pictures are listed in their order, with what their numbers stand for."""
    file = read_policy_file(write_picture_policy(tmp_path / 'seeing.onnx'))
    text = describe_policy_file(file)
    assert text.index('Observation') < text.index('Pictures') < text.index('Action')
    assert re.search(r'wrist +rgb +12 +12 +0 to 255\n', text)
    assert re.search(r'depth +depth +6 +8 +0.2 to 1.2 m as 1 to 255, 0 for none\n', text)
    blind = replace(file, spec=replace(file.spec, images=()))
    assert 'Pictures' not in describe_policy_file(blind)


@pytest.mark.parametrize('name', ['cube_single', 'lift_joint'])
def test_a_policy_is_printed(name: str) -> None:
    """Layout, meaning of actions, period, horizon, bounds and provenance."""
    file = read_policy_file(ROOT / 'models' / f'{name}.onnx')
    text = describe_policy_file(file)
    for member in (*file.spec.observation, *file.spec.action):
        assert member.name in text
    assert file.sha256 in text
    assert '50 ms (20 Hz)' in text
    assert file.spec.provenance['commit'] in text
    rows = [line for line in text.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    assert len(rows) == file.spec.observation_size + file.spec.action_size


def test_a_policy_that_lies_forges_no_line() -> None:
    """Names from the file are escaped, cut and not too many."""
    file = read_policy_file(ROOT / 'models' / 'cube_single.onnx')
    evil = '\nPolicy other\x1b[2J' * 1000
    spec = replace(
        file.spec, name='x' * 200, environment='y' * 200,
        provenance={evil: evil, 'deep': {str(i): {'x': [evil] * 9} for i in range(5000)}})
    text = describe_policy_file(replace(file, spec=spec))
    assert '\x1b' not in text
    assert sum(line.startswith('Policy') for line in text.splitlines()) == 1
    assert len(text) < 40_000


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Faults of arguments are reported before the survey starts."""
    pytest.importorskip('rclpy')
    from dfp_ros.tools.describe.main import main
    assert main(['cube_single']) == 0
    assert 'effector_linear_velocity[0]' in capsys.readouterr().out
    (tmp_path / 'damaged.onnx').write_bytes(b'no model')
    (tmp_path / 'robot.yaml').write_text('robot: x')
    for arguments, message in (
            [['cube_singel'], "did you mean 'cube_single'"],
            [[str(tmp_path / 'damaged.onnx')], 'damaged.onnx'],
            [[str(tmp_path / 'robot.yaml')], 'found a robot description'],
            [['--out', str(tmp_path / 'robot.yaml')], 'add --force'],
            [['--out', str(tmp_path)], 'expected the name of a file'],
            [['--out', str(tmp_path / 'no' / 'x.yaml')], 'there is no folder']):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert main(['--ros-args', '--out', 'x.yaml']) == 1
    assert 'options of the command go before --ros-args' in capsys.readouterr().err
    for arguments in (['--seconds', '0'], ['cube_single', '--out', 'x'], ['--name', 'a\nb']):
        with pytest.raises(SystemExit):
            main(arguments)


def test_an_edited_file_is_not_written_over(tmp_path: Path) -> None:
    """Also not one that appeared while the command listened."""
    pytest.importorskip('rclpy')
    from dfp_ros.tools.describe.main import check_out, OutputError, write_out
    path = tmp_path / 'robot.yaml'
    check_out(path, False)
    path.write_text('edited')
    with pytest.raises(OutputError, match='cannot be written'):
        write_out(path, 'new', False)
    assert path.read_text() == 'edited'
    write_out(path, 'new', True)
    assert path.read_text() == 'new'
    assert os.listdir(tmp_path) == ['robot.yaml']


def test_joints_of_two_publishers_are_all_there() -> None:
    """An arm and its gripper on one topic are one robot."""
    pytest.importorskip('rclpy')
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import JointState

    from dfp_ros.tools.describe.listener import _Heard
    heard = _Heard(JointState)
    for names in (['arm_1', 'arm_2'], ['finger'], ['arm_1', 'arm_2'], ['broken', 'twice']):
        positions = [0.5] * (len(names) if names[0] != 'broken' else 1)
        heard.receive(serialize_message(JointState(name=names, position=positions)))
    assert heard.count == 4
    assert list(heard.message().name) == ['arm_1', 'arm_2', 'finger']
    assert len(heard.message().position) == 3


def test_the_slowest_joint_decides_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gripper at 5 Hz beside an arm at 100 Hz: its samples are up to 0.2 s old."""
    pytest.importorskip('rclpy')
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import JointState

    from dfp_ros.tools.describe import listener
    heard = listener._Heard(JointState)
    now = 0.0
    monkeypatch.setattr(listener, 'time', SimpleNamespace(monotonic=lambda: now))
    for i in range(1, 500):
        now = i / 100
        heard.receive(serialize_message(JointState(name=['arm'], position=[0.5])))
        if i % 20 == 1:
            heard.receive(serialize_message(JointState(name=['finger'], position=[0.5])))
            # One message tells no rate.
            assert i > 1 or heard.rate is None
    assert heard.rate == pytest.approx(5.0)
    both = replace(survey().published[0], publishers=('/arm', '/gripper'), rate=heard.rate)
    text = '\n'.join(write_source('arm', both))
    assert 'max_age: 1.0' in text
    assert 'its slowest joint comes at 5 Hz' in text


def test_the_shortest_topic_has_the_plain_name() -> None:
    """Whichever comes first; the order of the topics stays."""
    published = tuple(PublishedTopic(topic, JOINT_STATE, ('/driver',), message=joint_state())
                      for topic in ('gripper/joint_states', 'joint_states', '/b/c/joint_states'))
    assert {name: topic.topic for name, topic in name_sources(published).items()} == {
        'gripper_joint_states': 'gripper/joint_states', 'joint_states': 'joint_states',
        'b_c_joint_states': '/b/c/joint_states'}
    assert list(name_sources(published)) == [
        'gripper_joint_states', 'joint_states', 'b_c_joint_states']


@pytest.mark.parametrize(('topic', 'kind'), [
    ('forward_velocity_controller/commands', 'velocity'),
    ('arm/joint_position/commands', 'position'), ('forward_effort_controller/commands', ''),
    ('velocity_position_controller/commands', ''), ('velocityless/commands', '')])
def test_the_kind_is_read_from_the_name_of_a_topic(topic: str, kind: str) -> None:
    """If its controller does not state it, and the name has one such word."""
    found = yaml.safe_load(write_scaffold(survey(taken=(TakenTopic(
        topic, 'std_msgs/msg/Float64MultiArray', ('/x',), joints=NAMES),)), 'robot'))
    command = next(iter(found['commands'].values()))
    assert (command['kind'], command['stop']) == (
        (kind, {'velocity': 'ramp', 'position': 'hold'}[kind]) if kind else (MARK, MARK))


def commanded(kind: str, topic: str, interface: str) -> dict[str, Any]:
    """Describe a command topic of two joints that the URDF has."""
    found = yaml.safe_load(write_scaffold(survey(taken=(TakenTopic(
        topic, kind, ('/x',), joints=NAMES[:2], interface=interface),)), 'robot'))
    command: dict[str, Any] = next(iter(found['commands'].values()))
    return command


@pytest.mark.parametrize('interface', ['effort', 'acceleration', 'other', ''])
def test_limits_of_the_urdf_are_no_limits_of_an_unknown_number(interface: str) -> None:
    """Its rad/s are no N m."""
    [field] = commanded('std_msgs/msg/Float64MultiArray', 'arm/commands', interface)['fields']
    assert field['unit'] == MARK
    assert field['limits']['velocity'] == MARK
    assert field['limits'].get('position', {}) in ({}, {'low': MARK, 'high': MARK})
    assert ('measured' in field) is (interface == '')


@pytest.mark.parametrize(('interface', 'words'), [
    ('position', '# largest speed\n'), ('velocity', '# largest speed\n'),
    ('effort', '# largest effort\n'), ('', '# largest speed, or largest effort\n')])
def test_the_largest_is_named_by_its_kind(interface: str, words: str) -> None:
    """A position has no largest effort."""
    text = write_scaffold(survey(urdf='', taken=(TakenTopic(
        'arm/commands', 'std_msgs/msg/Float64MultiArray', ('/x',), joints=NAMES[:2],
        interface=interface),)), 'robot')
    assert words in text


def test_a_trajectory_has_positions_whatever_its_controller_commands() -> None:
    """A trajectory controller with a velocity interface takes positions, too."""
    for interface in ('velocity', 'effort', 'position', ''):
        command = commanded(
            'trajectory_msgs/msg/JointTrajectory', 'arm/joint_trajectory', interface)
        assert (command['kind'], command['stop']) == ('position', 'hold')
        [field] = command['fields']
        assert (field['unit'], field['path']) == ('rad', 'points.positions')
        assert field['limits']['position'] == {'low': [-2.0, -1.0], 'high': [2.0, 1.0]}


def test_a_joint_state_of_velocities_is_read_from_its_velocities() -> None:
    """They are no positions."""
    [field] = commanded('sensor_msgs/msg/JointState', 'arm/velocity_command', '')['fields']
    assert (field['unit'], field['path']) == ('rad/s', 'velocity')
    [field] = commanded('sensor_msgs/msg/JointState', 'arm/position_command', '')['fields']
    assert (field['unit'], field['path']) == ('rad', 'position')


def test_nodes_that_do_not_answer_take_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of command topics of a node without parameter services, and of many such nodes."""
    rclpy = pytest.importorskip('rclpy')
    from dfp_ros.node.ros.domain import free_domain
    from dfp_ros.tools.describe import listener
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain())
    node = rclpy.create_node('listener', context=context)
    robot = listener.RobotListener(node)
    asked = []

    def call(client: Any) -> None:
        asked.append(client.srv_name)
        clock.now += listener._ANSWER

    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(listener, 'time', SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(robot, '_call', call)
    monkeypatch.setattr(node, 'get_topic_names_and_types', lambda: [
        (f'/c{i}/commands', ['std_msgs/msg/Float64MultiArray']) for i in range(300)])
    try:
        for names, most in ((['/mute'], 1), ([f'/mute_{i}' for i in range(300)], 12)):
            asked.clear()
            monkeypatch.setattr(
                robot, '_ends', lambda topic, names=names: (
                    (), (names[int(topic[2:-9]) % len(names)],)))
            assert len(robot._sum_up(1.0).taken) == 300
            assert 0 < len(asked) <= most
    finally:
        robot.close()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_a_controller_that_stops_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has said counts, and the rest is unknown."""
    pytest.importorskip('rclpy')
    from rcl_interfaces.msg import ParameterType, ParameterValue
    from rcl_interfaces.srv import GetParameters

    from dfp_ros.tools.describe import listener

    def answer(request: GetParameters.Request) -> Any:
        value = ParameterValue(
            type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=NAMES)
        return SimpleNamespace(
            done=lambda: request.names == ['joints'],
            result=lambda: GetParameters.Response(values=[value]))

    client = SimpleNamespace(
        service_is_ready=lambda: True, call_async=answer, remove_pending_request=lambda _: None)
    monkeypatch.setattr(listener, '_ANSWER', 0.01)
    asker = SimpleNamespace(
        _mute=set(), _executor=SimpleNamespace(spin_once=lambda seconds: None),
        _node=SimpleNamespace(
            create_client=lambda *_, **__: client, destroy_client=lambda _: None))
    asker._call = lambda each: listener.RobotListener._call(asker, each)
    taken = TakenTopic('arm/commands', 'std_msgs/msg/Float64MultiArray', ('/arm',))
    assert listener.RobotListener._ask(asker, taken, math.inf) == replace(taken, joints=NAMES)


def test_a_standard_output_that_cannot_be_written() -> None:
    """A full disk is named, and no success: the file that a shell writes is cut; a pipe ends."""
    with open('/dev/full', 'wb') as full:
        ended = subprocess.run(
            [sys.executable, '-m', 'dfp_ros.tools.describe.main', 'cube_single'], cwd=ROOT,
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (
        2, 'describe: the standard output cannot be written: No space left on device; write to '
        'another file, or free space\n')
