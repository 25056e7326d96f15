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
"""The section takeover of a robot description: what it says, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError
from testing.fixtures.people import DESCRIPTION, taken_over

TEXT = DESCRIPTION.read_text()


def test_what_it_says() -> None:
    """Sources, dead-man, meanings, and the sources that a person needs too."""
    robot = taken_over()
    takeover = robot.takeover
    assert takeover is not None
    assert set(takeover.sources) == {'pad', 'leader'}
    assert set(robot.every_source) == {'arm', 'camera', 'pad', 'leader'}
    assert set(robot.sources) == {'arm', 'camera'}
    assert takeover.needs == ('arm',), 'the feedback; the camera is for the policy'
    assert takeover.dead_man.reading is not None
    assert takeover.dead_man.reading.path == 'buttons[4]'
    assert takeover.when_stale == 'end'
    assert [(entry.action, entry.numbers, entry.meaning) for entry in takeover.entries] == [
        ('joint_positions', (0, 1), 'target'), ('slide_step', (0,), 'velocity'),
        ('base_speed', (0,), 'velocity'), ('grip', (0,), 'target')]
    assert {reading.path for reading in robot.readings('pad')} == {
        'buttons[4]', 'axes', 'buttons[0]', 'buttons[1]'}
    assert set(robot.layouts) == {'arm', 'leader'}


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('dead_man:', 'deadman:', "takeover.deadman: found an unknown key; did you mean 'dead_man'"),
    ("  dead_man: {source: pad, path: 'buttons[4]'}\n", '', "the key 'dead_man' is missing"),
    ('dead_man: {source: pad,', 'dead_man: {source: pat,', "found 'pat'; did you mean 'pad'"),
    ("path: 'buttons[4]'}", "path: 'buttons[4]', above: 1, below: 0}",
     'found above and below, expected at most one'),
    ("{source: pad, path: 'buttons[4]'}", '{source: pad, above: 0.5}',
     'found this key without path'),
    ("{source: pad, path: 'buttons[4]'}", '{source: pad}\n  when_stale: hold',
     "found 'hold' with a dead_man without path: letting go could not be told from a fault"),
    ('  fields:\n    # The', '  when_stale: stop\n  fields:\n    # The', "found 'stop'; "),
    ('  fields:\n    # The', '  needs: [camara]\n  fields:\n    # The',
     "needs[0]: found 'camara'; did you mean 'camera'"),
    ('meaning: target', 'meaning: goal', "found 'goal'; "),
    ('meaning: target', 'meening: target', "the key 'meaning' is missing"),
    ('numbers: [0, 1]', 'numbers: [0, 3]', 'found 3, but joint_positions has 3 numbers'),
    ('numbers: [0, 1]', 'numbers: [0]', 'found 2 numbers to read for 1 of joint_positions'),
    ('      numbers: [0, 1]\n', '', 'found 2 numbers to read for 3 of joint_positions; numbers'),
    ('action: slide_step', 'action: slide_stop', "found 'slide_stop'; "),
    ('action: slide_step, meaning', 'action: joint_positions, meaning',
     'found 1 numbers to read for 3'),
    ('action: slide_step, meaning', 'action: joint_positions, numbers: [1], meaning',
     'found joint_positions[1] a second time'),
    ('base_speed\n      meaning: velocity', 'base_speed\n      meaning: target',
     "found 'target' for base_speed, which is a velocity"),
    ('dead_zone: 0.1', 'dead_zone: 1.0', 'found 1, expected a fraction of full scale'),
    ('dead_zone: 0.1', 'deadzone: 0.1', "unknown key; did you mean 'dead_zone'"),
    ('dead_zone: 0.1', 'derivative: true', 'found an unknown key'),
    ('      topic: joy', '      when_stale: hold\n      topic: joy',
     'found this key for a source of the person'),
    ('      topic: joy', '      topic: /cmd_vel', "found the topic '/cmd_vel', which a command"),
    ('      topic: joy', '      sampling: before_tick\n      topic: joy', 'found before_tick'),
    ('      topic: joy', '      qos: {durability: transient_local}\n      topic: joy',
     'found durability transient_local'),
    ('    pad:\n      topic: joy', '    camera:\n      topic: joy',
     "found the name 'camera', which a source of the robot has already"),
    ('max_age: 0.3', 'max_age: 60.0', 'max_age: found 60 s, expected at most 5 s: so long would'),
    ('indices: [1]\n      scale: 0.9', 'indices: [1]\n      clip: [0.1, 0.3]',
     'clip: found bounds without 0, so that a person could not hold base_speed still'),
    ('meaning: target\n      source: leader\n      path: position',
     'meaning: target\n      source: leader\n      path: velocity',
     "found meaning: target, which needs a position, but the message field 'velocity' says"),
    ('base_speed\n      meaning: velocity\n      source: pad\n      path: axes\n      '
     'indices: [1]\n      scale: 0.9',
     'base_speed\n      meaning: velocity\n      source: leader\n      path: position\n      '
     'joints: [leader_base]',
     "found meaning: velocity, which needs a velocity, but the message field 'position' says"),
    ('    leader:\n',
     '    spare: {topic: x, type: std_msgs/msg/Bool, max_age: 1.0}\n    leader:\n',
     'found a source that neither a field nor dead_man reads'),
])
def test_what_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    """With file, line, key and remedy."""
    head, section = TEXT.split('takeover:\n')
    assert old in section
    path = tmp_path / 'robot.yaml'
    path.write_text(f'{head}takeover:\n{section.replace(old, new)}')
    with pytest.raises(DescriptionError) as raised:
        load_robot_description(path)
    assert message in str(raised.value)
    assert 'robot.yaml:' in str(raised.value)


OWN = """
    leader:
      topic: %s
      type: sensor_msgs/msg/JointState
      max_age: 0.2
  dead_man: {source: leader%s}
  fields:
    - action: joint_positions
      meaning: displacement
      source: leader
      path: position
      joints: [%s]
"""


@pytest.mark.parametrize(('topic', 'path', 'joints', 'message'), [
    ('leader/joint_states', '', 'base, shoulder, elbow', ''),
    ('joint_states', ", path: 'velocity[0]'", 'my_base, my_shoulder, my_elbow', ''),
    ('leader/joint_states', '', 'base, elbow, shoulder',
     "fields[0]: found the joint 'elbow' for the number 1 of joint_positions, which is that of"),
    ('leader/joint_states', '', 'elbow, my_shoulder, my_elbow',
     "fields[0]: found the joint 'elbow' for the number 0 of joint_positions, which is that of "
     "the joint 'base'"),
    ('joint_states', '', 'my_base, my_shoulder, my_elbow',
     "dead_man: found the topic 'joint_states' without path, which the source 'arm' of the robot"),
    ('/joint_states', ", path: 'velocity[0]'", 'my_base, my_shoulder, elbow',
     "fields[0]: found position of elbow of the topic '/joint_states', where the robot itself"),
])
def test_the_robot_is_no_person(
        tmp_path: Path, topic: str, path: str, joints: str, message: str) -> None:
    """Its messages always come, and it would follow its own motion."""
    file = tmp_path / 'robot.yaml'
    head = TEXT.partition('takeover:\n')[0]
    file.write_text(f'{head}takeover:\n  sources:{OWN % (topic, path, joints)}')
    if message:
        with pytest.raises(DescriptionError) as raised:
            load_robot_description(file)
        assert message in str(raised.value)
    else:
        load_robot_description(file)


def test_a_rotation_is_a_whole_target(tmp_path: Path) -> None:
    """Its numbers do not add up, and it is read in its own encoding."""
    rotation = """
  hand:
    topic: hand
    type: geometry_msgs/msg/PoseStamped
    frame_id: base
    stop: hold
    fields:
      - action: hand_rotation
        unit: '1'
        path: pose.orientation
        rotation: rotation_6d
        measured: {source: camera, path: pose.orientation, transform: rotation_6d}
        limits: {velocity: 1.0}
"""
    person = (
        '    - {action: hand_rotation, meaning: %s, source: wand, path: pose.orientation, %s}\n')
    wand = '    wand: {topic: wand, type: geometry_msgs/msg/PoseStamped, max_age: 0.2}\n'
    path = tmp_path / 'robot.yaml'

    def load(meaning: str, keys: str) -> None:
        head, tail = TEXT.split('takeover:\n  sources:\n')
        path.write_text(
            f'{head.rstrip()}{rotation}\ntakeover:\n  sources:\n{wand}{tail}'
            + person % (meaning, keys))
        load_robot_description(path)

    load('target', 'transform: rotation_6d')
    with pytest.raises(DescriptionError, match='its numbers do not add up'):
        load('displacement', 'transform: rotation_6d')
    with pytest.raises(DescriptionError, match='expected transform: rotation_6d, and all'):
        load('target', 'components: [w, x, y, z], numbers: [0, 1, 2, 3]')
    # Relative to a pose, its components are in the order that is given, too.
    rotation = rotation.replace('rotation: rotation_6d', 'rotation: quaternion_wxyz').replace(
        'transform: rotation_6d', 'components: [w, x, y, z]')
    grip = 'relative_to: {source: wand, orientation: pose.orientation}'
    load('target', f'components: [w, x, y, z], {grip}')
    with pytest.raises(DescriptionError, match=r'expected components: \[w, x, y, z\], and all'):
        load('target', f'components: [x, y, z, w], {grip}')


@pytest.mark.parametrize('meaning', ['target', 'displacement', 'velocity'])
def test_a_person_commands_in_the_frame_of_the_command(tmp_path: Path, meaning: str) -> None:
    """Forward in another frame is another direction."""
    hand = """
  hand:
    topic: hand
    type: geometry_msgs/msg/PointStamped
    frame_id: base
    stop: hold
    fields:
      - action: hand_place
        unit: m
        path: point
        components: [x, y, z]
        measured: {source: camera, path: pose.position, components: [x, y, z]}
        limits: {velocity: 1.0}
"""
    path = tmp_path / 'robot.yaml'

    def load(frame: str) -> None:
        head, tail = TEXT.split('takeover:\n  sources:\n')
        path.write_text(
            f'{head.rstrip()}{hand}\ntakeover:\n  sources:\n    wand: {{topic: wand, type: '
            f'geometry_msgs/msg/PointStamped, max_age: 0.2{frame}}}\n{tail}'
            f'    - {{action: hand_place, meaning: {meaning}, source: wand, path: point, '
            'components: [x, y, z], scale: 1.0}\n')
        load_robot_description(path)

    load('')
    load(', frame_id: base')
    with pytest.raises(DescriptionError, match="the source 'wand' in the frame 'tool' for hand_"):
        load(', frame_id: tool')
