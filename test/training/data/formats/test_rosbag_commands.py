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
"""Actions from recorded commands of every message type."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from testing.fixtures.robot_samples import shipped_robot
from testing.policies.small_policy import cube_spec

pytest.importorskip('rclpy')

from dfp_ros.core.description.commands import CHUNK, CommandEntry, CommandTopic, Stop, TRAJECTORY
from dfp_ros.core.description.limits import FieldLimits
from dfp_ros.core.rotations import COMMAND_ENCODINGS
from dfp_ros.node.messages.command_writer import CommandWriter
from dfp_ros.spec import ActionField
from training.data.formats.rosbag.actions import ActionLayout, CommandError, read_command
from training.data.transitions.transitions import DataError


def entry(action: str, path: str, **changes: Any) -> CommandEntry:
    """Make a command entry."""
    return replace(CommandEntry(action, '', path, (), (), 'robot.yaml:9'), **changes)


def topic(kind: str, *entries: CommandEntry, **changes: Any) -> CommandTopic:
    """Make a topic."""
    return replace(
        CommandTopic('c', 'c', kind, 'base', Stop.HOLD, entries, 'robot.yaml:7'), **changes)


TOPICS = [
    topic(TRAJECTORY, entry('one', 'points.positions', joints=('c',), offset=(0.5,)),
          entry('three', 'points.positions', joints=('d', 'a', 'b'), scale=(2.0, 3.0, -1.0)),
          trajectory=CHUNK),
    topic('sensor_msgs/msg/JointState', entry('one', 'position', joints=('c',)),
          entry('three', 'position', joints=('d', 'a', 'b'))),
    topic('std_msgs/msg/Float64MultiArray', entry('three', 'data', indices=(0, 3, 2)),
          entry('one', 'data', indices=(1,), scale=(1000.0,)), frame_id=''),
    topic('geometry_msgs/msg/TwistStamped', entry('one', 'twist.angular.z'),
          entry('three', 'twist.linear', components=('z', 'x', 'y'))),
    *(topic('geometry_msgs/msg/PoseStamped', entry('turn', 'pose.orientation', rotation=rotation))
      for rotation in COMMAND_ENCODINGS)]


def test_an_action_of_a_range_without_width_is_nothing() -> None:
    """As the policy node has it: a number that is always the same says nothing."""
    spec = cube_spec()
    fixed = replace(spec.action[1], low=(2.0,), high=(2.0,), data_low=(2.0,), data_high=(2.0,))
    layout = ActionLayout.of_policy(
        replace(spec, action=(spec.action[0], fixed, *spec.action[2:])))
    action = layout.scale.action(np.array([0.5, -1.0, 1.0, 2.0, 0.0]))
    np.testing.assert_array_equal(action, [0.5, -1, 1, 0, 0])


@pytest.mark.parametrize('described', TOPICS)
def test_back_from_the_message(described: CommandTopic) -> None:
    """Every part of the command, in the action's own unit."""
    random = np.random.default_rng(0)
    sizes = {each.action: each.size for each in described.entries}
    spec = cube_spec(action=tuple(
        ActionField(name, size, '', *((bound,) * size for bound in (-9.0, 9.0, -1.0, 1.0)))
        for name, size in sizes.items()))
    command = random.uniform(-1, 1, spec.action_size)
    if 'turn' in sizes and sizes['turn'] == 4:
        command *= np.sign(command[0]) / np.linalg.norm(command)
    if sizes.get('turn') == 6:
        command[:3] /= np.linalg.norm(command[:3])
        command[3:] -= command[:3] * (command[:3] @ command[3:])
        command[3:] /= np.linalg.norm(command[3:])
    message = CommandWriter(described, spec).write(command, 0, command[None] + 1)
    found = read_command(described, message)
    for name, place in spec.action_slices.items():
        np.testing.assert_allclose(found[name], command[place], atol=1e-9)


def trajectory(described: CommandTopic) -> Any:
    """Make a trajectory of one point for the first of :data:`TOPICS`."""
    return CommandWriter(described, cube_spec(action=tuple(
        ActionField(name, size, '', (-9.0,) * size, (9.0,) * size, (-1.0,) * size, (1.0,) * size)
        for name, size in (('one', 1), ('three', 3))))).write(np.zeros(4), 0)


def test_what_no_message_says() -> None:
    """An action relative to the position of the robot, and a field that the type lacks."""
    described = TOPICS[0]
    message = trajectory(described)
    relative = replace(described, entries=tuple(
        replace(each, relative=True) for each in described.entries))
    with pytest.raises(DataError, match='is relative to the position of the robot'):
        read_command(relative, message)
    other = replace(described, entries=(replace(described.entries[0], path='points.places'),))
    with pytest.raises(DataError, match="robot.yaml:9: cannot be read from .*'places'"):
        read_command(other, message)


def change(**values: Any) -> Any:
    """Make a change of a trajectory, or of its point if that has the attribute."""
    def apply(message: Any) -> None:
        for name, value in values.items():
            setattr(message if hasattr(message, name) else message.points[0], name, value)
    return apply


@pytest.mark.parametrize(('changed', 'text'), [
    (change(points=[]), 'a trajectory without a point, which cancels the one before'),
    (change(joint_names=['c', 'd', 'x', 'b']), "no command for joint 'a'; there are c, d, x, b"),
    (change(joint_names=[]), "no command for joint 'c'; there are none"),
    (change(joint_names=['c', 'd', 'a', 'c']), "two commands for joint 'c'"),
    (change(joint_names=['c', 'a', 'b', 'd', *(f'{i}\n' for i in range(20))]),
     'expected one for each of the 24 joints'),
    (change(positions=[]), 'points.positions: found 0 numbers, expected one for each of the 4'),
    (change(positions=[0.0] * 5), 'found 5 numbers, expected one for each of the 4 joints'),
    (change(positions=[0.0, 0.1 + 0.2, np.nan, 0.0]), 'found .*nan.*, expected finite numbers'),
    (change(positions=[0.0, 0.0, 0.0, -np.inf]), 'found .*-inf.*, expected finite numbers')])
def test_a_message_that_says_no_command(changed: Any, text: str) -> None:
    """The error names the missing part of the message, with short numbers."""
    message = trajectory(TOPICS[0])
    changed(message)
    with pytest.raises(CommandError, match=f'^c: .*{text}') as caught:
        read_command(TOPICS[0], message)
    assert '0.30000000000000004' not in str(caught.value)
    assert '\n' not in str(caught.value)


def test_an_array_that_is_too_short() -> None:
    """Its elements are counted."""
    message = CommandWriter(TOPICS[2], cube_spec(action=tuple(
        ActionField(name, size, '', (-9.0,) * size, (9.0,) * size, (-1.0,) * size, (1.0,) * size)
        for name, size in (('one', 1), ('three', 3))))).write(np.zeros(4), 0)
    message.data = message.data[:3]
    with pytest.raises(CommandError, match='^c: data: found 3 numbers, expected at least 4'):
        read_command(TOPICS[2], message)


def test_bounds_of_actions_without_a_limit() -> None:
    """A position has its own range, a velocity its speed; other missing bounds are requested."""
    robot = shipped_robot()
    ranged = entry('one', 'data', indices=(0, 1), limits=FieldLimits(
        position=((0.0, -1.0), (3.0, 2.0)), velocity=(1.0, 2.0)))

    def bounds(stop: Stop, **changes: Any) -> list[list[float]]:
        described = topic(
            'std_msgs/msg/Float64MultiArray', replace(ranged, **changes), stop=stop)
        scale = ActionLayout.of_robot(replace(robot, commands=(described,))).scale
        return [scale.low.tolist(), scale.high.tolist()]

    assert bounds(Stop.HOLD) == [[0, -1], [3, 2]]
    assert bounds(Stop.ZERO) == [[-1, -2], [1, 2]]
    assert bounds(Stop.HOLD, limit=(5.0, 6.0)) == [[-5, -6], [5, 6]]
    for stop, changes, missing in (
            (Stop.HOLD, {'limits': FieldLimits(position='urdf')}, 'or limits.position, with low'),
            (Stop.ZERO, {'limits': FieldLimits()}, 'or limits.velocity in numbers'),
            (Stop.HOLD, {'relative': True}, 'add it or give --policy'),
            (Stop.KEEP, {}, 'add it or give --policy')):
        with pytest.raises(DataError, match=f"robot.yaml:9: the key 'limit' is .*{missing}"):
            bounds(stop, **changes)
