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
"""Recorder: all messages arrive in the bag unchanged, and every fault leaves a valid bag."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
import os
from pathlib import Path
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
import numpy as np
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.tools.bags.checked_writer import CheckedWriter
from dfp_ros.tools.bags.reader import RecordingError
from dfp_ros.tools.recording.bag_writer import _is_full, BagError, BagWriter
from dfp_ros.tools.recording.message_definitions import find_definitions
from dfp_ros.tools.recording.operator_marks import Presses
from dfp_ros.tools.recording.reception import Reception
from dfp_ros.tools.recording.recorded_topics import recorded_topics
from dfp_ros.tools.recording.recorder import main, RecorderNode
from dfp_ros.tools.replay.recorded_bag import RecordedBag
from testing import ROOT
from testing.fixtures.bags import demonstration, STORE, TYPES
from testing.fixtures.robot_samples import rest_messages
from testing.processes.ros_processes import in_domain, NodeProcess, Peer, status_of
from training.data.formats.rosbag.bag import Bag
from training.data.transitions.transitions import DataError


@contextmanager
def recording(out: Path, **parameters: Any) -> Iterator[tuple[NodeProcess, Peer]]:
    """Run a recorder, and a peer that knows it is there."""
    domain = free_domain()
    with NodeProcess(
            'dfp_ros.tools.recording.recorder', domain, *recorder_words(out, **parameters),
            ) as process, Peer(domain) as peer:
        yield process, peer


def recorder_words(out: Path | str, **parameters: Any) -> list[str]:
    """Make the command line of a recorder."""
    given = {'robot': 'ur5e_cube', 'out': out, **parameters}
    return ['--ros-args', *(
        word for name, value in given.items() for word in ('-p', f'{name}:={value}'))]


def contents(path: Path) -> dict[str, list[bytes]]:
    """Read a bag with rosbags: raw messages by topic, types checked by their hashes."""
    found: dict[str, list[bytes]] = {}
    with AnyReader([path]) as reader:
        for connection, _, raw in reader.messages():
            reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append(bytes(raw))
    return found


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_records_all_messages_unchanged(tmp_path: Path, storage: str) -> None:
    """
    Sources, commands, and marks by service and by joystick, until SIGTERM.

    One source is published without repetition, as sensors do; it is heard all the same.
    """
    out = tmp_path / 'bags' / 'monday'
    with recording(
            out, storage=storage, joystick='joy', button_success=2) as (process, peer):
        messages = rest_messages(peer.node.get_clock().now().to_msg())
        messages['twist_command'] = TwistStamped()
        lossy = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        publishers = {
            topic: peer.node.create_publisher(
                type(message), topic, lossy if topic == 'cube_0_pose' else 5)
            for topic, message in messages.items()}
        joystick = peer.node.create_publisher(Joy, 'joy', 5)
        marks = peer.collect(String, 'episode_marks')
        peer.wait_for(lambda: 'cube_0_pose is published best effort' in process.output)
        peer.wait_for(lambda: all(
            each.get_subscription_count() for each in (*publishers.values(), joystick)))
        for topic, publisher in publishers.items():
            publisher.publish(messages[topic])
        assert peer.call(Trigger, 'dfp_recorder/start_episode').success

        def press() -> int:
            # Pressed again until it was seen, for a joystick may be heard late too.
            joystick.publish(Joy(buttons=[0, 0, 0]))
            joystick.publish(Joy(buttons=[0, 0, 1]))
            return len(marks) > 1

        peer.wait_for(press)
        peer.wait_for(lambda: 'mark: success' in process.output)
        assert process.stop(signal.SIGTERM) == 0, process.output
        assert '0 dropped' in process.output
    found = contents(out)
    for topic, message in messages.items():
        raw, = found[f'/{topic}']
        assert deserialize_message(raw, type(message)) == message
    words = [deserialize_message(raw, String).data for raw in found['/episode_marks']]
    assert words[:2] == ['start', 'success']
    assert (out / 'metadata.yaml').is_file()
    with Bag(out) as bag:
        assert bag.lost == 0


@pytest.mark.parametrize(('parameters', 'message'), [
    ({'out': '{}'}, 'already exists; name another folder'),
    ({'out': r'"{}/a\n[FATAL] forged"'}, r'/a\n[FATAL] forged: already exists'),
    ({'robot': 'none_such'}, "found 'none_such', which is neither a file"),
    ({'storage': 'tape'}, "parameter storage: found 'tape'"),
    ({'policy_node': 'a b'}, "parameter policy_node: found 'a b', expected a name such as left/"),
    ({'joystick': '1joy'}, "parameter joystick: found '1joy', expected a name such as left/joy"),
    ({'joystick': 'joy/{{x}}', 'button_start': 1}, "parameter joystick: found 'joy/{x}'"),
    ({'joystick': 'joy'}, "parameter joystick: found 'joy' and no button, so it could mark"),
    ({'button_start': 3}, 'parameter button_start: found 3 without a joystick; set joystick'),
    ({'joystick': 'joy', 'button_start': 3, 'button_failure': 3},
     'parameter button_failure: found 3, which is button_start, too'),
    ({'joystick': 'joint_states', 'button_start': 3}, 'which is a topic of JointState, expected'),
    ({'keep_free': 1_000_000_000}, 'MB are kept free (keep_free); nothing is recorded')])
def test_refuses(
        tmp_path: Path, parameters: dict[str, Any], message: str,
        capfd: pytest.CaptureFixture[str]) -> None:
    """
    Existing files are never overwritten; faults are reported before the recording starts.

    No folder is left that would be in the way once the fault is corrected.
    """
    (tmp_path / 'kept').write_text('kept')
    (tmp_path / 'a\n[FATAL] forged').mkdir()
    given = {name: str(value).format(tmp_path) for name, value in parameters.items()}
    assert status_of(main, *recorder_words(**{'out': tmp_path / 'new', **given})) == 1
    said = capfd.readouterr().err
    assert message in said
    assert 'Traceback' not in said
    assert '\n[FATAL] forged' not in said
    assert (tmp_path / 'kept').read_text() == 'kept'
    assert not (tmp_path / 'new').exists()


def test_marks_of_two_programs(tmp_path: Path) -> None:
    """They are named while there is time to end one, not only when the bag is converted."""
    with recording(tmp_path / 'bag') as (process, peer):
        publishers = [
            peer.node.create_publisher(String, 'episode_marks', 10) for _ in range(2)]
        for publisher in publishers:
            peer.wait_for(publisher.get_subscription_count)

        def mark(which: int, word: str) -> None:
            before = process.output.count(f'mark: {word}')
            publishers[which].publish(String(data=word))
            peer.wait_for(lambda: process.output.count(f'mark: {word}') > before)
        mark(0, 'failure')
        assert 'failure comes without an episode that has started, and is' in process.output
        assert 'judged wrongly' not in process.output
        mark(0, 'start')

        def is_named() -> bool:
            # The name of a node may be discovered after its publishers.
            mark(1, 'start')
            return '/peer publish marks: if more than one of them sends marks, ' in process.output

        peer.wait_for(is_named, 30.0)
        assert 'start comes within an episode, which has no end and is dropped; ' in process.output


def test_ends_after_so_many_episodes(tmp_path: Path) -> None:
    """One of them is a failure. An end without a start, or repeated, is no episode."""
    with recording(tmp_path / 'bag', episodes=2) as (process, peer):
        for name in ('end_success', 'start_episode', 'end_success', 'end_success',
                     'start_episode', 'end_failure'):
            peer.call(Trigger, f'dfp_recorder/{name}')
        assert process.wait() == 0, process.output
        assert 'mark: failure; episodes ended: 2' in process.output
        assert 'ends by itself: 2 of 2 episodes ended' in process.output
        assert 'asked to end' not in process.output
    assert len(contents(tmp_path / 'bag')['/episode_marks']) == 6


def test_topics_without_messages_are_named(tmp_path: Path) -> None:
    """After some seconds, with publishers and types, and at the end."""
    with recording(tmp_path / 'bag') as (process, peer):
        publishers = [
            peer.node.create_publisher(JointState, 'joint_states', 5),
            peer.node.create_publisher(String, 'effector_pose', 5)]
        peer.wait_for(publishers[0].get_subscription_count)
        publishers[0].publish(JointState())
        peer.wait_for(lambda: '/dfp_policy/decision: no message yet' in process.output)
        assert process.stop() == 0, process.output
        output = process.output
    assert '/joint_states: no message' not in output
    assert (
        '/effector_pose: no message yet; /peer: its type is std_msgs/msg/String, the robot '
        'description says geometry_msgs/msg/') in output
    assert '/cube_0_pose: no message yet; nothing publishes it\n' in output
    # Without a policy node, as while a person is recorded, that is no fault.
    assert re.search(
        r'\[INFO\].*/decision: no message yet; nothing publishes it; the policy node does with .*'
        '; a recording of a person needs none\n', output)
    assert re.search(r'\[INFO\].*dfp_policy/policy: no message yet; nothing publishes it', output)
    last = output.splitlines()[-1]
    assert '; no message on /gripper_state, /effector_pose, /cube_0_pose, ' in last
    assert '/episode_marks' not in last


def test_a_policy_node_that_publishes_no_decisions_is_named(tmp_path: Path) -> None:
    """As a warning: whoever records a policy wants them."""
    with recording(tmp_path / 'bag') as (process, peer):
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        peer.node.create_publisher(String, 'dfp_policy/policy', latched)
        peer.wait_for(lambda: '/dfp_policy/decision: no message yet' in process.output)
        assert process.stop() == 0, process.output
        output = process.output
    assert re.search(
        r'\[WARN\].*/decision: no message yet; nothing publishes it; the policy node does with '
        'publish_decisions:=true\n', output)


def test_messages_before_the_end_are_recorded(tmp_path: Path) -> None:
    """Messages that no callback has taken yet count too, such as a mark right before Ctrl-C."""
    with Peer(free_domain()) as peer:
        recorder = RecorderNode(context=peer.node.context, parameter_overrides=[
            Parameter('robot', value='ur5e_cube'),
            Parameter('out', value=str(tmp_path / 'bag'))])
        assert recorder.autostart()
        # One that comes while its subscription is made anew would end the process.
        assert not any(each.event_handlers for each in recorder._subscriptions_made)
        publisher = peer.node.create_publisher(JointState, 'joint_states', 100)
        peer.wait_for(publisher.get_subscription_count)
        for _ in range(50):
            publisher.publish(JointState())
        assert publisher.wait_for_all_acked(Duration(seconds=30))
        recorder.close()
    assert len(contents(tmp_path / 'bag')['/joint_states']) == 50


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_recorder_that_is_killed(tmp_path: Path, storage: str) -> None:
    """As after a power cut: messages written until a moment before can be read."""
    out = tmp_path / 'bag'
    with recording(out, storage=storage) as (process, peer):
        publisher = peer.node.create_publisher(JointState, 'joint_states', 5)
        # The database has its tables before the first message.
        peer.wait_for(lambda: 'recording' in process.output)

        def size() -> int:
            return (out / f'bag.{"mcap" if storage == "mcap" else "db3"}').stat().st_size

        def grown() -> bool:
            publisher.publish(JointState(name=['joint'] * 50))
            return size() > before

        # When the file grows for the second time, all of the first time is in it.
        for _ in range(2):
            before = size()
            peer.wait_for(grown)
        process.stop(signal.SIGKILL)
    assert not (out / 'metadata.yaml').exists()
    with Bag(out) as bag:
        assert bag.count('/joint_states') > 0
    # The replay opens it too; what it lacks is a node.
    with RecordedBag(out) as opened, pytest.raises(RecordingError, match='decision'):
        opened.read()


def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """The bag ends there, valid, with the reason, because it could not be read in order."""
    with recording(tmp_path / 'bag', use_sim_time='true') as (process, peer):
        clock = peer.node.create_publisher(Clock, '/clock', 5)
        marks = peer.node.create_publisher(String, 'episode_marks', 5)

        # Again and again: a mark may overtake the clock, and be stamped with the time before.
        seconds = cycle([1000] * 3 + [10] * 3)

        def ended() -> bool:
            clock.publish(Clock(clock=Time(sec=next(seconds))))
            marks.publish(String(data='start'))
            return 'the clock was set back by 990.000 s' in process.output

        peer.wait_for(ended)
        assert process.wait() == 1, process.output
    assert contents(tmp_path / 'bag')['/episode_marks']


def test_a_simulation_that_ends_with_the_last_episode(tmp_path: Path) -> None:
    """The recorder ends, too, and had looked for publishers before time began."""
    with recording(tmp_path / 'bag', use_sim_time='true', episodes=1) as (process, peer):
        clock = peer.node.create_publisher(Clock, '/clock', 5)
        marks = peer.node.create_publisher(String, 'episode_marks', 5)
        lossy = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        peer.node.create_publisher(JointState, 'joint_states', lossy)
        peer.wait_for(lambda: 'joint_states is published best effort' in process.output, 30.0)

        def ended() -> bool:
            clock.publish(Clock(clock=Time(sec=1000)))
            for mark in 'start', 'success':
                marks.publish(String(data=mark))
            return 'episodes ended: 1' in process.output

        peer.wait_for(ended)
        assert process.wait(30.0) == 0, process.output
    assert contents(tmp_path / 'bag')['/episode_marks']


def test_messages_before_time_begins(tmp_path: Path) -> None:
    """A simulated clock is 0 until it is heard; they are not from long before."""
    hour = 3600 * 10**9
    for name, times, expected in (
            ('first', (0, 0, hour, hour + 1), [hour, hour, hour, hour + 1]),
            ('paused', (0, 0), [0, 0])):
        bag = BagWriter(
            tmp_path / name, 'mcap', [('/a', 'std_msgs/msg/String')],
            find_definitions(['std_msgs/msg/String']), 10, 0)
        reception = Reception(bag)
        for now in times:
            assert reception.take(0, now, serialize_message(String(data='x'))) == 0.0
        reception.end()
        bag.close()
        with AnyReader([tmp_path / name]) as reader:
            assert [time for _, time, _ in reader.messages()] == expected
    assert reception.take(0, hour, b'') == 0.0
    assert reception.take(0, hour - 5 * 10**8, b'') == 0.0
    assert reception.take(0, hour - 2 * 10**9, b'') == pytest.approx(2.0)


def test_messages_before_time_begins_fit_into_the_queue(tmp_path: Path) -> None:
    """It takes them all at once, and may be short."""
    bag = BagWriter(
        tmp_path / 'bag', 'mcap', [('/a', 'std_msgs/msg/String')],
        find_definitions(['std_msgs/msg/String']), 20, 0)
    reception = Reception(bag)
    for _ in range(500):
        assert reception.take(0, 0, serialize_message(String(data='x'))) == 0.0
        while not bag._queue.empty():
            assert not bag.failure
    reception.end()
    bag.close()
    assert (bag.written, bag.dropped) == (500, 0)


def writer(path: Path, **options: Any) -> BagWriter:
    """Begin a bag with the topics of the tests."""
    return BagWriter(path, options.pop('storage', 'mcap'), list(TYPES.items()),
                     find_definitions(TYPES.values()),
                     **{'queue_size': 1_000_000, 'reserve': 0, **options})


def write(bag: BagWriter, episodes: int) -> None:
    """Write demonstrations."""
    topics = list(TYPES)
    rows = [(topics.index(topic), time, bytes(STORE.serialize_cdr(message, TYPES[topic])))
            for time, topic, message in demonstration(10)]
    for i in range(episodes):
        for topic, time, raw in rows:
            bag.add(topic, time + i * 10**9, raw)


def test_a_queue_is_bounded_in_bytes(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of cameras are large, and a slow disk must not fill the memory."""
    monkeypatch.setattr('dfp_ros.tools.recording.bag_writer.MOST_BYTES', 1000)
    bag = writer(tmp_path / 'bag')
    bag.add(0, 10**9, bytes(1001))
    assert (bag.received, bag.dropped) == (1, 1)
    write(bag, 1)
    bag.close()
    # Whether a message is dropped depends on the disk, but each is counted.
    assert bag.written + bag.dropped == bag.received
    assert bag.lost == 0


def test_the_remedy_of_a_full_disk() -> None:
    with open('/dev/full', 'wb', buffering=0) as file, (
            pytest.raises(OSError, match='No space left')) as found:
        file.write(b'x')
    assert _is_full(found.value)
    base = sqlite3.connect(':memory:')
    base.execute('PRAGMA max_page_count = 2')
    base.execute('CREATE TABLE a (x)')
    with pytest.raises(sqlite3.OperationalError) as refused:
        base.execute('CREATE TABLE b (x)')
    assert _is_full(refused.value)
    assert not _is_full(OverflowError('too large'))


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_disk_that_is_full(tmp_path: Path, storage: str) -> None:
    """The reason is logged, nothing hangs, and the messages written before can be read."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    bag = writer(tmp_path / 'bag', storage=storage)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, before[1]))
        write(bag, 400)
        bag.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path / 'bag') in bag.failure
    assert 'cannot be written' in bag.failure
    # What is said to be there is there, and what came besides is said to be lost.
    assert bag.lost > 1000
    assert bag.written + bag.lost == bag.received == 400 * len(demonstration(10))
    if storage == 'mcap' or bag.written:
        with Bag(tmp_path / 'bag') as found:
            assert sum(found.count(topic) for topic in TYPES) == bag.written
            assert found.lost == 0
    assert bag.written > 1000 or storage == 'sqlite3'


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_bit_that_is_changed(tmp_path: Path, storage: str) -> None:
    """
    A changed bit anywhere in the file is detected; the unchanged file is valid for any reader.

    The last 8 bytes are an exception: they only mark the end.
    """
    bag = writer(tmp_path / 'bag', storage=storage)
    write(bag, 3)
    bag.close()
    assert not bag.failure
    with Bag(tmp_path / 'bag') as found:
        assert not found.notes, 'it has checksums'
    assert len(contents(tmp_path / 'bag')['/joint_states']) == 3 * 20
    file = next(each for each in (tmp_path / 'bag').iterdir() if each.stem == 'bag')
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    places = {*random.integers(0, len(whole) - 8, 150), *range(8, 60),
              *range(len(whole) - 60, len(whole) - 8)}
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(random.integers(8))
        file.write_bytes(changed)
        with pytest.raises(DataError, match=r'bag\.(mcap|db3): found a file that is damaged: '):
            Bag(tmp_path / 'bag')


def test_a_disk_that_is_too_slow(tmp_path: Path) -> None:
    """Messages that did not fit into the queue are counted, and all others are in the bag."""
    bag = writer(tmp_path / 'bag', queue_size=1)
    write(bag, 50)
    bag.close()
    total = 50 * len(demonstration(10))
    assert bag.dropped > 0
    assert bag.written + bag.dropped == total
    with Bag(tmp_path / 'bag') as found:
        assert sum(found.count(topic) for topic in TYPES) == bag.written


def test_a_message_that_cannot_be_written(tmp_path: Path) -> None:
    """Any error of the writer is reported, not only disk errors."""
    bag = writer(tmp_path / 'bag')
    bag.add(0, -1, b'before 1970')
    bag.close()
    assert f'{tmp_path / "bag"}: cannot be written: OverflowError' in bag.failure


def test_a_folder_that_is_there(tmp_path: Path) -> None:
    """An empty one too."""
    with pytest.raises(BagError, match='already exists'):
        writer(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Nothing was written, so nothing can be converted."""
    (tmp_path / 'robot.py').touch()
    with pytest.raises(BagError) as caught:
        writer(tmp_path / 'robot.py' / 'x')
    assert str(caught.value) == (
        f'{tmp_path / "robot.py" / "x"}: cannot be written: {tmp_path / "robot.py"} is a file, '
        'not a folder; name another path')


def test_what_was_written_is_mentioned_only_if_there_is_something(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first message fails, or the third, with the others on the disk."""
    monkeypatch.setattr('dfp_ros.tools.recording.bag_writer.FLUSH_EVERY', 0.0)
    for name, before in (('none', 0), ('two', 2)):
        bag = writer(tmp_path / name)
        for time in range(before):
            bag.add(0, time, b'')
        bag.add(0, -1, b'before 1970')
        bag.close()
        assert bag.written == before
        assert ('can be converted' in bag.failure) == bool(before)


def test_definitions_are_those_of_ros() -> None:
    """The hash of each type is the one that ROS 2 computes, so other readers accept the bag."""
    store = find_definitions(('sensor_msgs/msg/JointState', 'diagnostic_msgs/msg/DiagnosticArray'))
    assert store.hash_rihs01('sensor_msgs/msg/JointState') == (
        JointState.get_type_description_hash()
        if hasattr(JointState, 'get_type_description_hash') else
        'RIHS01_a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e')
    assert 'diagnostic_msgs/msg/KeyValue' in store.fielddefs


def test_buttons_count_when_they_go_down() -> None:
    """A button that is held, held at the start, or missing from the joystick does not count."""
    presses = Presses({'start': 0, 'success': 3, 'failure': -1})
    assert presses.update([1, 0, 0, 0]) == [], 'held before anybody looked'
    assert presses.update([0, 0, 0, 0]) == []
    assert presses.update([1, 0, 0, 1]) == ['start', 'success']
    assert presses.update([1, 0, 0, 1]) == []
    assert presses.update([0, 0]) == []


def test_a_joystick_without_the_button_is_reported(tmp_path: Path) -> None:
    """Its presses mark nothing, which nobody would notice before the conversion."""
    with recording(tmp_path / 'bag', joystick='joy', button_start=0, button_failure=9) as (
            process, peer):
        joystick = peer.node.create_publisher(Joy, 'joy', 5)

        def reported() -> bool:
            joystick.publish(Joy(buttons=[0, 0, 0]))
            return 'the joystick has 3 buttons' in process.output

        peer.wait_for(reported)
        assert 'cannot mark failure; correct button_failure' in process.output


def test_a_bag_that_cannot_be_begun_leaves_no_folder(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that is full; once there is room, the same folder can be named again."""
    for storage in ('mcap', 'sqlite3'):
        with monkeypatch.context() as patch:
            def fail(*_: object, **__: object) -> None:
                raise OSError(28, 'No space left on device')

            patch.setattr(CheckedWriter, 'add_connection', fail)
            with pytest.raises(BagError, match='No space left on device'):
                writer(tmp_path / 'bag', storage=storage)
        assert not (tmp_path / 'bag').exists()
    writer(tmp_path / 'bag').discard()
    assert not (tmp_path / 'bag').exists()
    bag = writer(tmp_path / 'bag')
    write(bag, 1)
    bag.discard()
    assert contents(tmp_path / 'bag'), 'what was received is kept'


def test_two_names_of_one_topic_are_recorded_once(tmp_path: Path) -> None:
    """A bag has a topic once; of two sources that share one, the demands of both count."""
    text = (ROOT / 'config' / 'ur5e_cube.yaml').read_text()
    old = '\nobservation:\n'
    assert old in text
    path = tmp_path / 'robot.yaml'
    path.write_text(text.replace(old, (
        '\n  again: {topic: /joint_states, type: sensor_msgs/msg/JointState, '
        'qos: {durability: transient_local}}\n'
        '  marked: {topic: moved, type: std_msgs/msg/Float64, max_age: 1.0}\n' + old + (
            '  - {name: again, unit: rad, source: again, path: position, '
            'joints: [shoulder_pan_joint]}\n'
            "  - {name: marked, unit: '1', source: marked, path: data}\n")), 1))
    robot = load_robot_description(path)
    topics = recorded_topics(
        robot, 'left/dfp_policy', lambda name: '/left/' + name if name[0] != '/' else name)
    assert len({topic.name for topic in topics}) == len(topics)
    joints, = [topic for topic in recorded_topics(
        robot, 'dfp_policy', lambda name: '/' + name.lstrip('/')) if 'joint_states' in topic.name
        and 'teleop' not in topic.name]
    assert (joints.name, joints.is_latched) == ('/joint_states', True)
    assert (topics[-1].name, topics[-1].is_expected) == ('/left/episode_marks', False)
    assert [topic.name for topic in topics if topic.is_latched] == [
        '/joint_states', '/left/left/dfp_policy/policy']
    BagWriter(
        tmp_path / 'bag', 'mcap', [(topic.name, topic.type) for topic in topics],
        find_definitions(topic.type for topic in topics), 10, 0).close()


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_latched_topics_are_latched_when_they_are_played(tmp_path: Path, storage: str) -> None:
    """``ros2 bag play`` offers what the bag says; else, listeners of /tf_static have nothing."""
    topics = [(name, 'std_msgs/msg/String') for name in ('/tf', '/tf_static')]
    BagWriter(
        tmp_path / 'bag', storage, topics, find_definitions({kind for _, kind in topics}), 10, 0,
        latched={1}).close()
    with AnyReader([tmp_path / 'bag']) as reader:
        offered = {
            each.topic: [
                (qos.durability, qos.reliability) for qos in each.ext.offered_qos_profiles]
            for each in reader.connections}
    assert offered == {
        '/tf': [], '/tf_static': [(QosDurability.TRANSIENT_LOCAL, QosReliability.RELIABLE)]}


def test_a_topic_that_is_given_twice_leaves_no_folder(tmp_path: Path) -> None:
    """It would be in the way of the next recording."""
    with pytest.raises(BagError, match='can only be added once'):
        BagWriter(
            tmp_path / 'bag', 'mcap', [('/a', 'std_msgs/msg/String')] * 2,
            find_definitions(['std_msgs/msg/String']), 10, 0)
    assert not (tmp_path / 'bag').exists()


def test_keys_mark_episodes(tmp_path: Path) -> None:
    """Keys of a real terminal, without Enter; the terminal is left as it was."""
    domain = free_domain()
    ours, theirs = os.openpty()
    with Peer(domain) as peer:
        marks = peer.collect(String, 'episode_marks')
        process = subprocess.Popen(
            [sys.executable, '-m', 'dfp_ros.tools.recording.mark_episodes'], stdin=theirs,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=in_domain(domain))
        try:
            peer.wait_for(lambda: peer.node.count_publishers('episode_marks'))

            def start() -> int:
                os.write(ours, b's')
                return len(marks)

            peer.wait_for(start)
            os.write(ours, b'xynq')
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)
        assert process.returncode == 0, output
        peer.wait_for(lambda: len(marks) > 2 and marks[-1].data == 'failure')
    assert {mark.data for mark in marks[:-2]} == {'start'}
    assert [mark.data for mark in marks[-2:]] == ['success', 'failure']


@pytest.mark.parametrize('given', ['yes', "yes ''", 'yes | tr -d "\\n"', "printf 's\\n\\xff\\n'"])
def test_any_input_is_for_keys(given: str) -> None:
    """An endless input, one without lines, and bytes that are no text: it ends when asked to."""
    with subprocess.Popen(['bash', '-c', given], stdout=subprocess.PIPE) as source, \
            NodeProcess('dfp_ros.tools.recording.mark_episodes', free_domain(),
                        stdin=source.stdout) as marking:
        assert source.stdout is not None
        # The end of its only reader ends the source.
        source.stdout.close()
        if 'yes' in given:
            marking.wait_until_it_reads('q: quit')
            marking.process.send_signal(signal.SIGTERM)
        assert marking.wait(60) == 0, marking.output
        assert 'Traceback' not in marking.output


def test_no_keys_without_an_input() -> None:
    """As when a service starts it, with its standard input closed; nobody may read its output."""
    ended = subprocess.run(
        ['bash', '-c', 'set -o pipefail; { sleep 0.5; '
         '"$0" -m dfp_ros.tools.recording.mark_episodes <&-; } | true', sys.executable],
        env=in_domain(free_domain()), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, '')
