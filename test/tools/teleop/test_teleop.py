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
"""Teleoperation: keys and sticks, the messages they become, and a robot taken over by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import math
from pathlib import Path
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from sensor_msgs.msg import Joy
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.decision import Commanding
from dfp_ros.core.control.decision_row import read_decision, RecordedDecision
from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.takeover import INCREMENT, TARGET, VELOCITY
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.node.messages.source_reader import SourceReader
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.tools.teleop.controls import find_controls, LastAsked
from dfp_ros.tools.teleop.held_keys import HeldKeys, MOVES
from dfp_ros.tools.teleop.joystick import read_stick
from dfp_ros.tools.teleop.person_topics import PersonTopics
from testing import ROOT
from testing.fixtures.people import meaning, taken_over
from testing.processes.policy_cell import Cell, CommonNode
from testing.processes.ros_processes import in_domain, NodeProcess, Peer

SHIPPED = ('ur5e_cube', 'ur5e_cube_visual', 'ur5e_scene', 'panda_lift', 'panda_joint')


def shipped(name: str) -> RobotDescription:
    """Load a shipped description."""
    return load_robot_description(ROOT / 'config' / f'{name}.yaml')


def with_pad() -> RobotDescription:
    """Describe a robot whose person has a pad, with a button, a dead zone and pairs of buttons."""
    robot = meaning(meaning(taken_over(), 'joint_positions', VELOCITY), 'grip', INCREMENT)
    assert robot.takeover is not None
    return replace(robot, takeover=replace(robot.takeover, entries=tuple(
        replace(entry, reading=replace(entry.reading, low=(-0.1,), high=(0.1,)))
        if entry.action == 'grip' else entry for entry in robot.takeover.entries)))


@pytest.fixture(name='peer', scope='module')
def a_peer() -> Iterator[Peer]:
    """Make a node."""
    with Peer(free_domain()) as peer:
        yield peer


@pytest.mark.parametrize('robot', [*map(shipped, SHIPPED), with_pad()], ids=[*SHIPPED, 'pad'])
@pytest.mark.parametrize('deflection', [-1.0, 0.0, 1.0])
def test_what_is_published_is_what_is_read(
        peer: Peer, robot: RobotDescription, deflection: float) -> None:
    """Each control at full deflection, alone and with all others."""
    controls = find_controls(robot)
    topics = PersonTopics(peer.node, robot, controls)
    messages: dict[str, Any] = {}

    def keep(name: str) -> Any:
        return SimpleNamespace(publish=lambda message: messages.update({name: message}))

    topics._publishers = {name: keep(name) for name in topics._publishers}
    assert robot.takeover is not None
    deflections = [deflection] * len(controls)
    topics.publish(deflections)
    samples = {}
    for source in robot.takeover.sources.values():
        sample = SourceReader(source, robot).read(messages[source.name], 1)
        assert sample is not None
        samples[source.name] = sample
    read: dict[str, list[float]] = {}
    for entry in robot.takeover.entries:
        numbers = ObservationField(entry.reading).read(samples)
        assert numbers is not None
        read[entry.action] = list(numbers)
    for control in controls:
        asked = deflection * control.full
        if control.entry.dead_zone and asked:
            # The person's reading is before its dead zone.
            zone = control.entry.dead_zone[control.index]
            scale = control.entry.reading.scale[control.index]
            asked = asked * (1 - zone) + deflection * zone * scale
        assert read[control.entry.action][control.index] == pytest.approx(asked), control.name
    if robot.takeover.dead_man.reading is not None:
        assert list(messages['pad'].buttons[:5])[4] == 1
        topics.let_go()
        assert messages['pad'].buttons[4] == 0


def test_a_gripper_that_nobody_asked_for_is_left_as_it_is(peer: Peer) -> None:
    """Not sent to 0 with the first key for another output."""
    robot = shipped('panda_joint')
    controls = find_controls(robot)
    keys, stick = HeldKeys(controls, release_after=1.0), LastAsked(controls)
    keys.press('w', 0.0)
    assert keys.deflections(0.0)[:7] == [1.0] + [0.0] * 6
    assert math.isnan(keys.deflections(0.0)[7])
    assert math.isnan(stick.update([0.0] * 8)[7])
    assert stick.update([0.5] * 7 + [-1.0]) == [0.5] * 7 + [-1.0]
    assert stick.update([0.0] * 8) == [0.0] * 7 + [-1.0]
    topics = PersonTopics(peer.node, robot, controls)
    heard = peer.collect(Float64MultiArray, 'teleop/gripper')
    peer.wait_for(lambda: topics.publish(keys.deflections(0.0)) or heard)
    assert math.isnan(heard[0].data[0])


def test_a_gripper_that_cannot_be_left_as_it_is(peer: Peer) -> None:
    """A target that is read from whole numbers would be 0 with the first key of another."""
    pad = meaning(with_pad(), 'grip', TARGET)
    with pytest.raises(DescriptionError, match=(
            r'grip: found a target that is read from buttons\[0\], a whole number, which cannot')):
        PersonTopics(peer.node, pad, find_controls(pad))


def test_what_keys_cannot_give(peer: Peer) -> None:
    """A target of joints, and a number without a range."""
    with pytest.raises(DescriptionError, match='which keys and sticks cannot give; expected'):
        find_controls(taken_over())
    with pytest.raises(DescriptionError, match="the key 'clip' is missing, the largest number"):
        find_controls(meaning(
            meaning(taken_over(), 'joint_positions', VELOCITY), 'grip', INCREMENT))
    with pytest.raises(DescriptionError, match='has no section takeover'):
        find_controls(replace(taken_over(), takeover=None))


@pytest.mark.parametrize('wanted', [VELOCITY, INCREMENT])
def test_the_range_of_a_position_is_no_speed(wanted: str) -> None:
    """A fifth of 3.14 rad a second would be more than the joint's limit of 0.5 rad/s."""
    robot = meaning(with_pad(), 'joint_positions', wanted)
    size = 3
    ranged = replace(robot, commands=tuple(
        replace(topic, entries=tuple(
            replace(entry, limit=(3.14,) * size, limits=replace(
                entry.limits, velocity=(0.5,) * size))
            if entry.action == 'joint_positions' else entry for entry in topic.entries))
        for topic in robot.commands))
    found = {control.name: control.full for control in find_controls(ranged, rate=20.0)}
    expected = 0.1 if wanted == VELOCITY else 0.1 / 20.0
    assert found['joint_positions[0]'] == pytest.approx(expected)


def test_keys_that_are_held() -> None:
    """A key moves for a moment and for as long as it repeats; silence lets go."""
    controls = find_controls(shipped('ur5e_cube'), 0.5)
    keys = HeldKeys(controls, release_after=1.0)
    assert not keys.is_held(0.0)
    assert keys.press('w', 0.0)
    assert keys.deflections(0.0) == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert keys.deflections(MOVES) == [0.0] * 5
    for i in range(20):
        keys.press('D', 0.5 + 0.04 * i)
        assert keys.deflections(0.5 + 0.04 * i) == [0.0, -1.0, 0.0, 0.0, 0.0]
    assert keys.press(' ', 1.3)
    assert keys.deflections(1.3) == [0.0] * 5
    assert keys.is_held(2.2)
    assert not keys.is_held(2.4)
    assert not keys.press('?', 2.4)
    assert not keys.is_held(2.4)
    assert 'w / s   effector_linear_velocity[0]: +0.15 / -0.15 m/s' in keys.help()


def test_a_gripper_stays_as_it_was_asked_for() -> None:
    """It would let go of what it holds otherwise."""
    controls = find_controls(shipped('panda_joint'))
    keys = HeldKeys(controls, release_after=1.0)
    keys.press('y', 0.0)
    assert keys.deflections(30.0) == [0.0] * 7 + [1.0]


def test_the_next_takeover_leaves_a_gripper_as_the_policy_has_it() -> None:
    """What was asked for before, the policy may have changed: it may hold something by now."""
    controls = find_controls(shipped('panda_joint'))
    keys, stick = HeldKeys(controls, release_after=1.0), LastAsked(controls)
    keys.press('y', 0.0)
    # Until the person lets go, it stays.
    keys.press('w', 0.9)
    assert keys.deflections(0.9)[7] == 1.0
    keys.press('w', 2.0)
    assert math.isnan(keys.deflections(2.0)[7])
    keys.press('h', 2.1)
    assert keys.deflections(2.1)[7] == -1.0
    assert stick.update([0.0] * 7 + [1.0])[7] == 1.0
    stick.forget()
    assert math.isnan(stick.update([0.5] * 7 + [0.0])[7])


def test_letting_go_moves_no_gripper(peer: Peer, tmp_path: Path) -> None:
    """Its message comes before that of the dead-man, which is held for so long."""
    text = (ROOT / 'config' / 'panda_joint.yaml').read_text()
    old = '  dead_man: {source: person_arm}\n'
    assert old in text
    path = tmp_path / 'panda_pad.yaml'
    path.write_text(text.replace(old, (
        '    pad: {topic: joy, type: sensor_msgs/msg/Joy, max_age: 0.3}\n'
        "  dead_man: {source: pad, path: 'buttons[1]'}\n")))
    robot = load_robot_description(path)
    topics = PersonTopics(peer.node, robot, find_controls(robot))
    sent: list[Any] = []
    topics._publishers = {
        name: SimpleNamespace(publish=sent.append) for name in topics._publishers}
    topics.let_go()
    arm, gripper, pad = sent
    assert not any(arm.velocity)
    assert math.isnan(gripper.data[0])
    assert list(pad.buttons) == [0, 0]


@pytest.mark.parametrize(('word', 'found'), [
    ('a0', 0.0), ('a1', 0.5), ('-a1', -0.5), ('a2', -1.0), ('b0-b1', 1.0), ('b1-b0', -1.0),
    ('a9', 0.0), ('b8-b9', 0.0), ('b2-b0', 1.0), ('b1-b2', -1.0)])
def test_sticks(word: str, found: float) -> None:
    """With a dead zone, a sign, pairs of buttons, pressures, and axes that the joystick lacks."""
    message = Joy(axes=[0.1, 0.6, -3.0], buttons=[1, 0, 255])
    assert read_stick(word, message, 0.2) == pytest.approx(found)


@pytest.mark.parametrize('axis', [math.nan, math.inf, -math.inf])
def test_an_axis_that_is_no_number_moves_nothing(axis: float) -> None:
    """It is no full deflection."""
    assert read_stick('a0', Joy(axes=[axis]), 0.1) == 0.0


class Driven:
    """The shipped robot with a policy node, and its decisions."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self._rows = cell.peer.collect(Float64MultiArray, 'dfp_policy/decision', 500)

    def wait_for(self, commander: Commanding) -> RecordedDecision:
        """Wait for five decisions in a row by someone; return the last."""
        begin = len(self._rows)

        def newest() -> list[RecordedDecision]:
            return [read_decision([(part.label, part.size) for part in row.layout.dim], row.data)
                    for row in self._rows[begin:][-5:]]
        self.cell.peer.wait_for(
            lambda: len(newest()) == 5 and all(each.commander is commander for each in newest()))
        return newest()[-1]


@pytest.fixture(name='policy', scope='module')
def small_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a policy of the shipped robot."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx')


@pytest.fixture(name='deciding', scope='module')
def deciding_node(policy: Path) -> Iterator[CommonNode]:
    """Have a policy node that publishes its decisions."""
    with CommonNode(policy, publish_decisions='true') as node:
        yield node


def test_by_keyboard(deciding: CommonNode) -> None:
    """Keys move the robot, silence gives it back."""
    with Cell(deciding) as cell:
        driven = Driven(cell)
        driven.wait_for(Commanding.POLICY)
        keyboard = subprocess.Popen(
            [sys.executable, '-m', 'dfp_ros.tools.teleop.keyboard', '--ros-args',
             '-p', 'robot:=ur5e_cube', '-p', 'release_after:=0.5'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=in_domain(cell.domain))
        assert keyboard.stdin is not None
        keys, ended = keyboard.stdin, threading.Event()

        def type_on() -> None:
            while not ended.wait(0.04):
                keys.write('w\n')
                keys.flush()

        typist = threading.Thread(target=type_on)
        typist.start()
        try:
            decision = driven.wait_for(Commanding.PERSON)
        finally:
            ended.set()
            typist.join()
        assert decision.sent is not None
        assert decision.sent['effector_linear_velocity'].tolist() == [0.3, 0.0, 0.0]
        assert decision.action is not None
        driven.wait_for(Commanding.POLICY)
        keys.write('q\n')
        output, _ = keyboard.communicate(timeout=30)
        assert keyboard.returncode == 0, output
        assert 'you command' in output
        assert 'given back' in output


def test_by_joystick(deciding: CommonNode) -> None:
    """A button is held, and an axis moved."""
    with Cell(deciding) as cell, NodeProcess(
            'dfp_ros.tools.teleop.joystick', cell.domain, '--ros-args',
            '-p', 'robot:=ur5e_cube') as joystick:
        driven = Driven(cell)
        publisher = cell.peer.node.create_publisher(Joy, 'joy', 5)
        message = Joy(axes=[0.0, -1.0, 0.0, 0.0, 0.0], buttons=[0, 0, 0, 0, 1])
        timer = cell.peer.node.create_timer(0.02, lambda: publisher.publish(message))
        decision = driven.wait_for(Commanding.PERSON)
        assert decision.sent is not None
        assert decision.sent['effector_linear_velocity'].tolist() == [-0.3, 0.0, 0.0]
        message.buttons = [0] * 5
        driven.wait_for(Commanding.POLICY)
        message.buttons = [0, 0, 0, 0, 1]
        driven.wait_for(Commanding.PERSON)
        message.axes = [math.nan] * 5
        driven.wait_for(Commanding.POLICY)
        message.axes = [0.0] * 5
        driven.wait_for(Commanding.PERSON)
        # A network delivers now what the person did a second ago.
        message.header.stamp = (cell.peer.node.get_clock().now() - Duration(seconds=1)).to_msg()
        driven.wait_for(Commanding.POLICY)
        message.header.stamp = Joy().header.stamp
        driven.wait_for(Commanding.PERSON)
        # The joystick falls silent while its button is held.
        cell.peer.node.destroy_timer(timer)
        driven.wait_for(Commanding.POLICY)
        assert joystick.stop() == 0, joystick.output
        assert 'a3: found nan; the robot is given back' in joystick.output
        assert 'the stamp of a message is more than 0.5 s (max_age) from' in joystick.output


def test_two_joysticks_are_said() -> None:
    """Each would give back what the other holds."""
    domain = free_domain()
    with Peer(domain) as peer, NodeProcess(
            'dfp_ros.tools.teleop.joystick', domain, '--ros-args',
            '-p', 'robot:=ur5e_cube') as joystick:
        first = peer.node.create_publisher(Joy, 'joy', 5)
        peer.wait_for(first.get_subscription_count)
        assert 'publishers' not in joystick.output
        peer.node.create_publisher(Joy, 'joy', 5)
        peer.wait_for(lambda: '/joy: found 2 publishers, /peer' in joystick.output, 30.0)
        assert joystick.stop() == 0, joystick.output


def test_what_a_joystick_lacks_is_said() -> None:
    """Instead of a stick that moves nothing, or a button that cannot be held."""
    domain = free_domain()
    with Peer(domain) as peer, NodeProcess(
            'dfp_ros.tools.teleop.joystick', domain, '--ros-args', '-p', 'robot:=ur5e_cube',
            '-p', 'axes:=a1 a7', '-p', 'button:=9') as joystick:
        publisher = peer.node.create_publisher(Joy, 'joy', 5)
        pad = Joy(axes=[0.0] * 6, buttons=[0] * 8)
        peer.node.create_timer(0.02, lambda: publisher.publish(pad))
        peer.wait_for(lambda: 'parameter button: found 9, but the joystick has 8' in (
            joystick.output))
        pad.buttons = [0] * 12
        peer.wait_for(lambda: 'parameter axes: found a7, but the joystick has 6 axes' in (
            joystick.output))
        assert joystick.stop() == 0, joystick.output


@pytest.mark.parametrize(('module', 'words', 'message'), [
    ('keyboard', (), 'cannot start: parameter robot: found nothing'),
    ('joystick', ('-p', 'robot:=ur5e_cube', '-p', 'joystick:=a b'),
     "cannot start: parameter joystick: found 'a b', expected a name"),
    ('keyboard', ('-p', 'robot:=ur5e_cub'), "did you mean 'ur5e_cube'"),
    ('joystick', ('-p', 'robot:=ur5e_cube', '-p', 'time:=recieve'), "did you mean 'receive'?"),
    ('joystick', ('-p', 'robot:=ur5e_cube', '-p', 'axes:=a1 b3'), "found 'b3', expected a1"),
    ('joystick', ('-p', 'robot:=ur5e_cube', '-p', 'axes:=a1 a2 a3 a4 a5 a6'), 'at most 5')])
def test_a_wrong_command_line(module: str, words: tuple[str, ...], message: str) -> None:
    """It ends with status 1, and says what is wrong."""
    with NodeProcess(
            f'dfp_ros.tools.teleop.{module}', free_domain(), '--ros-args', *words) as process:
        assert process.wait() == 1
        assert message in process.output


def test_an_endless_input_ends_when_asked() -> None:
    """It neither keeps the program from ending nor the robot from being given back."""
    with subprocess.Popen(['yes', 'w'], stdout=subprocess.PIPE) as source, NodeProcess(
            'dfp_ros.tools.teleop.keyboard', free_domain(), '--ros-args',
            '-p', 'robot:=ur5e_cube', stdin=source.stdout) as keyboard:
        assert source.stdout is not None
        # The end of its only reader ends the source.
        source.stdout.close()
        keyboard.wait_until_it_reads('you command')
        assert keyboard.stop(signal.SIGTERM, 60) == 0, keyboard.output


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_motion(number: signal.Signals) -> None:
    """The last message counts for its maximum age, and the robot would go on for as long."""
    domain = free_domain()
    with Peer(domain) as peer, subprocess.Popen(
            ['yes', 'w'], stdout=subprocess.PIPE) as source, NodeProcess(
                'dfp_ros.tools.teleop.keyboard', domain, '--ros-args',
                '-p', 'robot:=ur5e_cube', stdin=source.stdout) as keyboard:
        assert source.stdout is not None
        source.stdout.close()
        heard = peer.collect(TwistStamped, 'teleop/twist', 100)
        peer.wait_for(lambda: heard and heard[-1].twist.linear.x == 0.3)
        assert keyboard.stop(number, 60) == 0, keyboard.output
        peer.wait_for(lambda: heard[-1].twist.linear.x == 0.0)


def require_no_motion_while_suspended(peer: Peer, moving: NodeProcess, speed: float) -> None:
    """Suspend a program that moves the robot, as Ctrl-Z does; afterwards it goes on."""
    heard = peer.collect(TwistStamped, 'teleop/twist', 100)
    peer.wait_for(lambda: heard and heard[-1].twist.linear.x == speed)
    process = psutil.Process(moving.process.pid)
    moving.process.send_signal(signal.SIGTSTP)
    peer.wait_for(lambda: heard[-1].twist.linear.x == 0.0)
    peer.wait_for(lambda: process.status() == psutil.STATUS_STOPPED)
    moving.process.send_signal(signal.SIGCONT)
    peer.wait_for(lambda: heard[-1].twist.linear.x == speed)
    assert moving.stop(signal.SIGTERM, 60) == 0, moving.output


def test_a_keyboard_that_is_suspended_ends_the_motion() -> None:
    """A process that stands still can let go of nothing."""
    domain = free_domain()
    with Peer(domain) as peer, subprocess.Popen(
            ['yes', 'w'], stdout=subprocess.PIPE) as source, NodeProcess(
                'dfp_ros.tools.teleop.keyboard', domain, '--ros-args',
                '-p', 'robot:=ur5e_cube', stdin=source.stdout) as keyboard:
        assert source.stdout is not None
        source.stdout.close()
        require_no_motion_while_suspended(peer, keyboard, 0.3)


def test_a_joystick_that_is_suspended_ends_the_motion() -> None:
    """Although its button is held on."""
    domain = free_domain()
    with Peer(domain) as peer, NodeProcess(
            'dfp_ros.tools.teleop.joystick', domain, '--ros-args',
            '-p', 'robot:=ur5e_cube') as joystick:
        publisher = peer.node.create_publisher(Joy, 'joy', 5)
        message = Joy(axes=[0.0, -1.0, 0.0, 0.0, 0.0], buttons=[0, 0, 0, 0, 1])
        peer.node.create_timer(0.02, lambda: publisher.publish(message))
        require_no_motion_while_suspended(peer, joystick, -0.3)


def test_letting_go_of_the_button_ends_the_motion() -> None:
    """At once, although the dead-man of this robot is let go by silence."""
    domain = free_domain()
    with Peer(domain) as peer, NodeProcess(
            'dfp_ros.tools.teleop.joystick', domain, '--ros-args',
            '-p', 'robot:=ur5e_cube') as joystick:
        heard = peer.collect(TwistStamped, 'teleop/twist', 100)
        publisher = peer.node.create_publisher(Joy, 'joy', 5)
        message = Joy(axes=[0.0, -1.0, 0.0, 0.0, 0.0], buttons=[0, 0, 0, 0, 1])
        peer.node.create_timer(0.02, lambda: publisher.publish(message))
        peer.wait_for(lambda: heard and heard[-1].twist.linear.x == -0.3)
        message.buttons = [0] * 5
        peer.wait_for(lambda: heard[-1].twist.linear.x == 0.0)
        count = len(heard)
        peer.wait_for(lambda: 'given back' in joystick.output)
        assert joystick.stop() == 0, joystick.output
        # It is not taken over once more for the end.
        assert len(heard) == count
