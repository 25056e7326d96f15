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
"""Source subscriptions over real topics, with the described quality of service."""

from dataclasses import replace
from pathlib import Path
import time
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy')

import rclpy
from rclpy.context import Context
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float64, Float64MultiArray

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.node.commanding.command_publishers import CommandPublishers
from dfp_ros.node.loop.source_subscriptions import SourceSubscriptions
from dfp_ros.node.ros.domain import free_domain
from testing.fixtures.cameras import camera_robot
from testing.fixtures.descriptions import described, GRIP, TEXT
from testing.fixtures.people import DESCRIPTION
from testing.processes.ros_processes import Peer


@pytest.mark.parametrize(('qos', 'expected'), [
    ('qos: {reliability: reliable, durability: transient_local, depth: 1}', [1, 2]),
    ('qos: {reliability: reliable}', [2])])
def test_latched_messages_from_before_the_subscription(
        tmp_path: Path, qos: str, expected: list[float]) -> None:
    """A latched goal, published before the subscription, arrives if it is requested."""
    robot = described(tmp_path, 'std_msgs/msg/Float64', 'path: data', f', {qos}')
    with Peer(free_domain()) as peer:
        publisher = peer.node.create_publisher(
            Float64, 'it', QoSProfile(depth=9, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        publisher.publish(Float64(data=1.0))
        seen: list[tuple[str, float]] = []
        loop: Any = SimpleNamespace(robot=robot, is_lockstep=False)
        subscriptions = SourceSubscriptions(
            peer.node, loop, lambda name, sample: seen.append((name, sample.values['data'])))
        peer.wait_for(publisher.get_subscription_count)
        peer.wait_for(lambda: len(seen) == len(expected) - 1)
        publisher.publish(Float64(data=2.0))
        peer.wait_for(lambda: ('it', 2.0) in seen)
        assert seen == [('it', number) for number in expected]
        subscriptions.close()


@pytest.mark.parametrize(('durability', 'ignored'), [
    ('transient_local', {3.0}), ('volatile', set())])
def test_a_latched_value_that_was_replaced(
        tmp_path: Path, durability: str, ignored: set[float]) -> None:
    """
    What was published earlier does not replace it, in whatever order it arrives.

    A clock that is ahead outdates nothing that comes later, and a middleware without times does
    not order anything.
    """
    robot = described(
        tmp_path, 'std_msgs/msg/Float64', 'path: data',
        f', qos: {{reliability: reliable, durability: {durability}}}')
    with Peer(free_domain()) as peer:
        seen: list[float] = []
        loop: Any = SimpleNamespace(robot=robot, is_lockstep=False)
        subscriptions = SourceSubscriptions(
            peer.node, loop, lambda name, sample: seen.append(sample.values['data']))
        receive = subscriptions._subscriptions[0].callback
        second, tomorrow = 10**9, time.time_ns() + 10**14
        published = [second, 9 * second, 8 * second, None, 0, 9 * second, tomorrow, tomorrow - 1]
        for i, each in enumerate(published):
            receive(Float64(data=i + 1.0), {'source_timestamp': each})
        assert seen == [i + 1.0 for i in range(len(published)) if i + 1.0 not in ignored]
        subscriptions.close()


def test_a_latched_value_after_the_clock_was_set_back(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new goal was ignored until the clock had caught up, and one published once, for ever."""
    robot = described(
        tmp_path, 'std_msgs/msg/Float64', 'path: data',
        ', qos: {reliability: reliable, durability: transient_local}')
    with Peer(free_domain()) as peer:
        seen: list[float] = []
        loop: Any = SimpleNamespace(robot=robot, is_lockstep=False)
        subscriptions = SourceSubscriptions(
            peer.node, loop, lambda name, sample: seen.append(sample.values['data']))
        receive = subscriptions._subscriptions[0].callback
        now = time.time_ns()
        receive(Float64(data=1.0), {'source_timestamp': now})
        monkeypatch.setattr(time, 'time_ns', lambda: now - 3600 * 10**9)
        receive(Float64(data=2.0), {'source_timestamp': now - 3600 * 10**9 - 1000})
        monkeypatch.undo()
        assert seen == [1.0, 2.0]
        subscriptions.close()


@pytest.mark.parametrize(('topics', 'more'), [
    (('cmd', 'other'), ['--ros-args', '-r', 'other:=cmd']),
    (('a', 'b'), ['--ros-args', '-r', 'a:=/x', '-r', 'b:=/x']),
    (('cmd', '/arm/cmd'), ['--ros-args', '-r', '__ns:=/arm']),
    (('~/cmd', '/peer/cmd'), ['--ros-args', '-r', '__node:=peer'])])
def test_two_commands_of_one_resolved_topic(
        tmp_path: Path, topics: tuple[str, str], more: list[str]) -> None:
    """Two publishers on one topic would contradict each other; nothing is published."""
    path = tmp_path / 'robot.yaml'
    second = GRIP.partition('\n')[2].replace('grip', 'second').replace(
        'topic: second', f'topic: {topics[1]}')
    text = (TEXT % ('std_msgs/msg/Float64', '', 'path: data')).replace(
        GRIP, GRIP.replace('topic: grip', f'topic: {topics[0]}') + second)
    path.write_text(text)
    robot = load_robot_description(path)
    context = Context()
    rclpy.init(args=more, context=context, domain_id=free_domain())
    try:
        node = rclpy.create_node('other', context=context)
        loop: Any = SimpleNamespace(robot=robot, writers=[
            SimpleNamespace(message_type=Float64MultiArray)] * 2)
        with pytest.raises(DescriptionError, match=r"robot.yaml:\d+: commands.second: .* 'grip'"):
            CommandPublishers(node, loop)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def test_two_cameras_on_one_topic() -> None:
    """A remapping makes one of two cameras: both would get the pictures of either."""
    context = Context()
    rclpy.init(
        args=['--ros-args', '-r', 'depth/image_raw:=/wrist/image_raw'], context=context,
        domain_id=free_domain())
    try:
        node = rclpy.create_node('other', context=context)
        robot = camera_robot()
        wrist = robot.sources['wrist_camera']
        robot = replace(robot, sources={**robot.sources, 'depth_camera': replace(
            wrist, name='depth_camera', topic='depth/image_raw')})
        loop: Any = SimpleNamespace(robot=robot, is_lockstep=False)
        with pytest.raises(DescriptionError, match=(
                'its topic depth/image_raw is, as remapped, /wrist/image_raw, which the camera '
                "'wrist_camera' has, too: .* topic of its own camera")):
            SourceSubscriptions(node, loop, lambda name, sample: None)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


@pytest.mark.parametrize('topic', ['~/decision', '/diagnostics', '/clock', '/other/policy'])
def test_a_command_on_a_topic_of_the_node(tmp_path: Path, topic: str) -> None:
    """A controller would take what the node reports for commands."""
    path = tmp_path / 'robot.yaml'
    text = TEXT % ('std_msgs/msg/Float64MultiArray', '', 'path: data')
    assert 'topic: grip' in text
    path.write_text(text.replace('topic: grip', f'topic: {topic}'))
    context = Context()
    rclpy.init(context=context, domain_id=free_domain())
    try:
        node = rclpy.create_node('other', context=context)
        loop: Any = SimpleNamespace(robot=load_robot_description(path), writers=[])
        with pytest.raises(DescriptionError, match=rf'its topic {topic} is /.* node uses'):
            CommandPublishers(node, loop)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(('topic', 'more'), [
    ('it', ['it:=grip']), ('it', ['grip:=it']), ('it', ['it:=/x', '-r', 'grip:=/x']),
    ('/grip', ['a:=b'])])
def test_a_source_on_a_command_topic(tmp_path: Path, topic: str, more: list[str]) -> None:
    """The robot's state would then be its own commands, also after a remapping."""
    path = tmp_path / 'robot.yaml'
    path.write_text((TEXT % ('std_msgs/msg/Float64MultiArray', '', 'path: data')).replace(
        'topic: it', f'topic: {topic}'))
    context = Context()
    rclpy.init(args=['--ros-args', '-r', *more], context=context, domain_id=free_domain())
    try:
        node = rclpy.create_node('other', context=context)
        loop: Any = SimpleNamespace(robot=load_robot_description(path), is_lockstep=False)
        with pytest.raises(DescriptionError, match=(
                rf'robot.yaml:\d+: .*its topic {topic} is, as remapped, /\w+, which the command '
                r"'grip' goes to")):
            SourceSubscriptions(node, loop, lambda name, sample: None)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(('rules', 'message'), [
    (['joy:=joint_states'], r'its topic joy is, as remapped, /joint_states, with messages of '
     r"sensor_msgs/msg/Joy, but the source 'arm' expects sensor_msgs/msg/JointState there"),
    (['/a:=/b', 'leader/joint_states:=/joint_states'],
     r"found position of base of the topic 'leader/joint_states' \(as remapped, /joint_states\), "
     'where the robot itself is measured'),
    (['joint_states:=/leader/joint_states'], 'where the robot itself is measured')])
def test_a_person_on_a_topic_of_the_robot(
        tmp_path: Path, rules: list[str], message: str) -> None:
    """A remapping makes a person of the robot: refused as the description would be."""
    text = DESCRIPTION.read_text().replace('[leader_base, leader_shoulder]', '[base, shoulder]')
    path = tmp_path / 'robot.yaml'
    path.write_text(text)
    words = [word for rule in rules for word in ('-r', rule)]
    context = Context()
    rclpy.init(args=['--ros-args', *words], context=context, domain_id=free_domain())
    try:
        node = rclpy.create_node('other', context=context)
        loop: Any = SimpleNamespace(robot=load_robot_description(path), is_lockstep=False)
        with pytest.raises(DescriptionError, match=rf'robot.yaml:\d+: .*{message}'):
            SourceSubscriptions(node, loop, lambda name, sample: None)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
