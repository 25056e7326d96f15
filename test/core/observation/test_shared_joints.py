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
"""Joints of one topic in several messages, as from an arm and its gripper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math
from pathlib import Path
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.decision_row import DecisionRow, read_decision
from dfp_ros.core.description.robot import count_slots
from dfp_ros.core.description.sources import Reception
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.freshness import FreshnessMonitor
from dfp_ros.core.observation.sample import NotReadyError, Sample
from dfp_ros.core.observation.sample_index import SampleIndex
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.observation.sample_store import Instant, SampleStore
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.tools.preflight.arrivals import Arrivals
from dfp_ros.tools.replay.recorded_bag import RecordedBag
from testing.fixtures.bags import (
    array,
    command,
    header,
    make,
    mark,
    Message,
    MS,
    PERIOD,
    START,
    state,
    TYPES,
    write_bag,
)
from testing.fixtures.controllers import controller
from testing.fixtures.robot_samples import ARM, rest_samples, shipped_robot
from testing.policies.small_policy import cube_spec, write_policy
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.convert import convert, Options

S = 1_000_000_000
ROBOT = shipped_robot()
# The arm's joints, in two messages.
SHOULDER, WRIST = ARM[:2], ARM[2:]


def message(
        names: Sequence[str], stamp: int = START, position: Sequence[float] | None = None,
        velocity: Sequence[float] | None = None) -> Any:
    """Make a JointState."""
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=stamp // S, nanosec=stamp % S)),
        name=list(names),
        position=[0.1] * len(names) if position is None else position,
        velocity=[0.0] * len(names) if velocity is None else velocity, effort=[])


def reader() -> SampleReader:
    """Read the arm of the shipped robot."""
    return SampleReader(ROBOT.readings('arm'), stamped=True)


class Node:
    """Sample handling of a node, without ROS."""

    def __init__(self, sampling: str = 'newest') -> None:
        """Start without a message."""
        self.sources = {
            **ROBOT.sources, 'arm': replace(ROBOT.sources['arm'], sampling=sampling)}
        self.store = SampleStore(self.sources)
        self.watch = FreshnessMonitor(self.sources.values())
        self.reader = reader()

    def hear(self, received: int, *messages: Any) -> None:
        """Receive messages of the arm, and fresh samples of all others."""
        for name, sample in rest_samples(received).items():
            if name != 'arm':
                self.store.add(name, sample)
        for each in messages:
            self.store.add('arm', self.reader.read(each, received))

    def findings(self, now: int) -> list[tuple[Reason, str]]:
        """Look at the sources."""
        return [(each.reason, each.text) for each in self.watch.check(now, self.store.at(now))]

    def joints(self, now: int = START) -> list[float]:
        """Observe the positions."""
        entry = ROBOT.observation[0]
        return ObservationBuilder([entry]).build(self.store.at(now), now).tolist()


def test_each_joint_is_taken_from_the_newest_message_that_has_it() -> None:
    """Messages come in any order and number; messages of other joints change nothing."""
    node = Node()
    node.hear(START, message(SHOULDER, position=[1, 2]))
    assert node.store.missing == ['arm']
    node.hear(START, message([*WRIST[::-1], 'finger'], position=[6, 5, 4, 3, 9]))
    assert node.store.missing == []
    assert node.findings(START) == []
    assert node.joints() == [1, 2, 3, 4, 5, 6]
    node.hear(START, message(SHOULDER[1:], position=[20]), message(['finger']))
    assert node.joints() == [1, 20, 3, 4, 5, 6]
    node.hear(START, message(ARM, position=[10, 20, 30, 40, 50, 60]))
    assert node.joints() == [10, 20, 30, 40, 50, 60]
    node.hear(START, message(WRIST, position=[3, 4, 5, 6]))
    assert node.joints() == [10, 20, 3, 4, 5, 6]


def test_positions_and_velocities_of_a_joint_may_come_apart() -> None:
    """An empty array counts as missing, and missing joints are named."""
    node = Node()
    node.hear(START, message(ARM, velocity=[]))
    (reason, text), = node.findings(START)
    assert reason is Reason.WAITING
    assert 'velocity of shoulder_pan_joint' in text
    node.hear(START, message(ARM, position=[], velocity=[1.0] * 6))
    assert node.findings(START) == []
    assert node.joints() == pytest.approx([0.1] * 6)


def test_a_joint_that_stops_is_named_with_its_own_age() -> None:
    """Other messages do not hide a missing joint, and joints that continue identify it."""
    node = Node()
    node.hear(START, message(SHOULDER), message(WRIST))
    for i in range(1, 60):
        now = START + i * 5 * MS
        publishers = ('/arm', '/wrist') if i < 20 else ('/arm',)
        sample = node.reader.read(message(SHOULDER, now), now)
        assert sample.joints is not None
        sample = replace(sample, joints=replace(sample.joints, publishers=publishers))
        node.hear(now)
        node.store.add('arm', sample)
        node.hear(now, message(['finger'], now))
        found = node.findings(now)
        if i <= 40:
            assert found == []
        else:
            (reason, text), = found
            assert reason is Reason.STALE
            assert f'joint(s) {", ".join(WRIST)}: nothing arrived for {i * 5e-3:.3f} s' in text
            assert 'shoulder_pan_joint' not in text


def test_messages_that_name_others_say_so() -> None:
    """All joints were there, and now only messages with other names arrive."""
    node = Node()
    node.hear(START, message(ARM))
    now = START + 300 * MS
    node.hear(now, message(['x\n[INFO] running'], now))
    (reason, text), = node.findings(now)
    assert reason is Reason.STALE
    assert f'joint(s) {", ".join(ARM)}: nothing arrived for 0.300 s' in text
    assert text.endswith(r'; the newest message names x\n[INFO] running')
    node.hear(now, message(ARM, now))
    assert node.findings(now) == []
    assert node.store.samples['arm'].joints is None


def test_a_stopped_publisher_is_named() -> None:
    """A publisher that was there when old joints came, and is not any more."""
    node = Node()

    def hear(now: int, names: Sequence[str], *publishers: str) -> None:
        sample = node.reader.read(message(names, now), now)
        assert sample.joints is not None
        node.hear(now)
        node.store.add('arm', replace(
            sample, joints=replace(sample.joints, publishers=publishers)))

    hear(START, WRIST, '/arm', '/wrist_driver')
    hear(START + 300 * MS, SHOULDER, '/arm')
    (_, text), = node.findings(START + 300 * MS)
    assert text.endswith('; published by 1 publisher(s): /arm; /wrist_driver is gone')


def test_a_missing_joint_is_named_with_the_received_ones() -> None:
    """The error names the nearest joint received, and its publisher, in one line."""
    node = Node()
    node.hear(START, message(['finger\n[INFO] running']))
    node.hear(START, message(['shoulder_pan', *ARM[1:]]))
    assert node.store.missing == ['arm']
    (reason, text), = node.findings(START)
    assert reason is Reason.WAITING
    assert text.startswith(
        "source 'arm' (topic joint_states): shoulder_pan_joint never received; seen so far, in 2 "
        r'kind(s) of messages: finger\n[INFO] running | shoulder_pan, shoulder_lift_joint')
    assert text.endswith("; did you mean 'shoulder_pan'?")


def test_a_missing_joint_of_a_latched_source_is_named_too() -> None:
    """What lasts has no age, and yet has to be there."""
    arm = replace(
        ROBOT.sources['arm'], max_age=math.inf,
        qos=Reception('reliable', 'transient_local', 1))
    store = SampleStore({'arm': arm})
    store.add('arm', SampleReader(ROBOT.readings('arm'), stamped=True, lasts=True).read(
        message(ARM[:5]), START))
    [found] = FreshnessMonitor([arm]).check(START, store.at(START))
    assert found.reason is Reason.WAITING
    assert 'wrist_3_joint never received' in found.text
    store.add('arm', SampleReader(ROBOT.readings('arm'), stamped=True, lasts=True).read(
        message(ARM[5:]), START))
    assert not FreshnessMonitor([arm]).check(START, store.at(START))


@pytest.mark.parametrize(('changes', 'problem'), [
    ({'names': [ARM[0], *ARM]}, 'a message names shoulder_pan_joint twice'),
    ({'names': ARM, 'position': [0.1] * 7}, '6 names and 7 numbers in position'),
    ({'names': ARM, 'velocity': [0.1] * 3}, '6 names and 3 numbers in velocity'),
    ({'names': WRIST, 'position': [0.1] * 5}, '4 names and 5 numbers in position')])
def test_ambiguous_joints_are_not_read(changes: dict[str, Any], problem: str) -> None:
    """It stops the robot by name, until messages that can be read replace it."""
    policy = SimpleNamespace(spec=cube_spec())
    node, brain = Node(), controller(policy)  # type: ignore[arg-type]
    node.hear(START, message(ARM))
    node.hear(START, message(**changes))
    # What else comes does not hide it.
    node.hear(
        START, message(['finger']), message(SHOULDER[:1] if len(changes['names']) < 6 else []))
    decision = brain.step(START, node.store.at(START))
    assert decision.reason is Reason.UNREADABLE
    assert problem in decision.text
    node.hear(START, message(ARM))
    assert node.joints() == pytest.approx([0.1] * 6)


def test_names_that_are_not_the_robot_s_cost_no_more_than_reading_them() -> None:
    """Ten thousand names, other ones each time, and those of the robot among them or not."""
    node, took = Node(), []
    position = [0.0] * 10_000
    for i in range(20):
        names = [f'shoulder_lift_join_{i}_{j}' for j in range(10_000)]
        if i % 2:
            names[-6:] = ARM
        many = message(names, position=position, velocity=position)
        begin = time.thread_time()
        node.hear(START, many)
        node.findings(START)
        if i % 2:
            node.joints()
        took.append(time.thread_time() - begin)
    assert np.median(took) < 0.02


def test_the_newest_before_the_tick_of_each_joint() -> None:
    """A message of after the tick waits for its own; one that came late does not go back."""
    node = Node('before_tick')
    for at, names, value in (
            (10, SHOULDER, 1.0), (12, WRIST, 2.0), (30, WRIST, 4.0), (20, WRIST, 3.0),
            (40, SHOULDER, 5.0)):
        node.hear(50, message(names, at, [value] * len(names)))
    assert node.store.at(11)['arm'].missing == WRIST
    assert node.joints(12) == [1, 1, 2, 2, 2, 2]
    assert node.joints(29) == [1, 1, 3, 3, 3, 3]
    assert node.joints(39) == [1, 1, 4, 4, 4, 4]
    assert node.joints(40) == [5, 5, 4, 4, 4, 4]
    node.hear(50, message(WRIST, 35, [9.0] * 4))
    assert node.joints(41) == [5, 5, 9, 9, 9, 9]
    node.hear(50, message(WRIST, 33, [8.0] * 4))
    assert node.joints(42) == [5, 5, 9, 9, 9, 9]


def test_an_instant_is_complete_with_the_last_of_its_messages() -> None:
    """In lockstep a set of samples is complete with its last message, also when resent."""
    store, read = SampleStore({'arm': ROBOT.sources['arm']}), reader().read

    def add(names: Sequence[str], stamp: int) -> Instant:
        return store.add('arm', read(message(names, stamp), 0))

    assert add(SHOULDER, START) is Instant.INCOMPLETE
    assert add(WRIST, START) is Instant.NEW
    assert add(SHOULDER, START + MS) is Instant.INCOMPLETE
    assert add(WRIST, START + MS) is Instant.NEW
    assert add(SHOULDER, START + MS) is Instant.REPEATED
    assert store.instant == START + MS
    store.clear()
    assert add(WRIST, START + 2 * MS) is Instant.INCOMPLETE
    assert add(SHOULDER, START + 2 * MS) is Instant.NEW


@pytest.mark.parametrize('at_start', ['wait', 'fill'])
def test_a_derivative_goes_by_the_times_of_each_joint(at_start: str) -> None:
    """Joints of two messages, 10 ms and 30 ms apart, that move at 2 and at 3 rad/s."""
    entry = replace(ROBOT.observation[0], derivative=True, at_start=at_start)
    builder, node = ObservationBuilder([entry]), Node()
    for i in range(7):
        now = START + i * 10 * MS
        node.hear(now, message(SHOULDER, now, [2 * i * 0.01] * 2))
        if i % 3 == 0:
            node.hear(now, message(WRIST, now + MS, [3 * i * 0.01] * 4))
        if i < 3 and at_start == 'wait':
            with pytest.raises(NotReadyError):
                builder.build(node.store.at(now), now)
            continue
        rates = builder.build(node.store.at(now), now).tolist()
        if i >= 3:
            assert rates == pytest.approx([2, 2, 3, 3, 3, 3])


def split(time: int, value: float) -> list[Message]:
    """Make the messages of all sources, the arm's in two parts that are 3 ms apart."""
    found: list[Message] = []
    for each in state(time, value):
        if each[1] != '/joint_states':
            found.append(each)
            continue
        for later, names in ((0, SHOULDER), (3 * MS, WRIST)):
            found.append((time + later, '/joint_states', make(
                'JointState', header=header(time + later - MS), name=list(names),
                position=np.full(len(names), value + later / S), velocity=np.zeros(len(names)),
                effort=np.zeros(0))))
    found.append((time + MS, '/joint_states', make(
        'JointState', header=header(time), name=['finger'], position=np.ones(1),
        velocity=np.zeros(0), effort=np.zeros(0))))
    return found


@pytest.fixture(scope='module')
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """Have a node decide on split messages and record it; return its observations, too."""
    folder = tmp_path_factory.mktemp('split')
    brain = controller(OnnxPolicy(write_policy(folder / 'x.onnx', cube_spec())))
    row = DecisionRow(ROBOT.sources, 28, [
        (entry.action, entry.size) for topic in ROBOT.commands for entry in topic.entries],
        count_slots(ROBOT))
    readers = {f'/{source.topic}': (name, SampleReader(ROBOT.readings(name), stamped=True))
               for name, source in ROBOT.sources.items()}
    messages = mark(START - 10 * MS, 'start')
    for i in range(-2, 400):
        messages += split(START + i * 10 * MS, 0.1 + 0.001 * i)
    store, seen, recorded = SampleStore(ROBOT.sources), [], list(messages)
    arrivals = sorted(
        (each for each in messages if each[1] in readers), key=lambda each: each[0])
    for number in range(75):
        now = START + number * PERIOD + MS + (number % 5) * MS
        while arrivals and arrivals[0][0] <= now:
            received, topic, content = arrivals.pop(0)
            name, read = readers[topic]
            # The node hears them a moment after the recorder.
            store.add(name, read.read(content, received + MS // 10))
        samples = dict(store.at(now))
        decision = brain.step(now, samples)
        assert decision.state is State.RUNNING
        assert decision.observation is not None
        seen.append(decision.observation)
        recorded += [(now + MS, '/dfp_policy/decision', array(
            row.write(number + 1, now, False, decision, samples), row.parts))]
        recorded += command(now + MS, [0.0] * 5)
    recorded += mark(START + 75 * PERIOD, 'success')
    return write_bag(folder / 'bag', recorded, types=TYPES), seen


def test_a_replay_has_the_nodes_observations(
        recording: tuple[Path, list[np.ndarray]]) -> None:
    """Every sample of every decision is put together again, to the last bit and time."""
    path, seen = recording
    with RecordedBag(path) as bag:
        steps = bag.with_samples(bag.read(), ROBOT)
    builder, mixed = ObservationBuilder(ROBOT.observation), 0
    row = DecisionRow(ROBOT.sources, 28, [
        (entry.action, entry.size) for topic in ROBOT.commands for entry in topic.entries],
        count_slots(ROBOT))
    for step, observation in zip(steps, seen, strict=True):
        assert step.missing == ()
        np.testing.assert_array_equal(
            builder.build(step.samples, step.decision.stamp), observation)
        joints = step.samples['arm'].joints
        assert joints is not None
        mixed += joints.is_mixed
        again = np.array(row.write(
            step.decision.number, step.decision.stamp, False,
            SimpleNamespace(  # type: ignore[arg-type]
                state=step.decision.state, reason=Reason.NONE, response=0, draw=None,
                chunk_index=None, value=None, spread=None, inference=None, observation_age=None,
                observation_stamp=None, observation=observation, action=None, command=None,
                limited=None, sent=None, commander=0), step.samples))
        start = 0
        for label, size in row.parts:
            if label.split('/')[0] in ('sample', 'received', 'joint_sample', 'joint_received'):
                np.testing.assert_array_equal(
                    again[start:start + size], step.row[start:start + size], label)
            start += size
    assert mixed == len(seen)


def test_parts_whose_clocks_are_years_apart_are_written_and_read() -> None:
    """One of two drivers does not stamp: its age is missing, and nothing fails."""
    node = Node()
    node.hear(START, message(SHOULDER), message(WRIST, 0))
    row = DecisionRow(ROBOT.sources, 28, [('all', 5)], count_slots(ROBOT))
    decision = Decision(State.HOLD, Reason.STALE, '')
    written = row.write(1, START, False, decision, node.store.samples)
    times = read_decision(row.parts, written).times('arm')
    assert times is not None
    assert times.joints[0] == (-1, -1)
    assert times.joints[-1] == (0, START)
    assert SampleIndex(ROBOT.layouts['arm']).find(times, START) is None


@pytest.mark.parametrize('ticks', ['decisions', 'grid'])
def test_a_recording_of_split_messages_is_converted(
        recording: tuple[Path, list[np.ndarray]], ticks: Any) -> None:
    """No step is dropped, and the observations equal those of the node."""
    path, seen = recording
    data, report = convert(
        [path], ROBOT, Options(0.05, ActionLayout.of_robot(ROBOT), ticks=ticks))
    assert not report.problems
    if ticks == 'decisions':
        assert report.difference == 0
        np.testing.assert_array_equal(data.observations, seen[:-1])
    else:
        assert len(data.observations) >= 70
        assert np.ptp(data.observations[:, 0]) > 0.3


def test_preflight_counts_each_joint() -> None:
    """An arm at 100 Hz, a wrist at 20 Hz that pauses, and an unrelated publisher on the topic."""
    arrivals, read = Arrivals(START), reader().read
    wanted = [(joint, 'name') for joint in ARM]
    for i in range(1, 101):
        now = START + i * 10 * MS
        arrivals.add(read(message(SHOULDER, now), now))
        arrivals.add(read(message(['finger'], now), now))
        if i % 5 == 0 and not 30 < i < 70:
            arrivals.add(read(message(WRIST, now), now))
    figures = arrivals.figures(START + S, wanted)
    assert figures['missing_joints'] == ()
    assert figures['longest_gap'] == pytest.approx(0.4)
    assert figures['gap_joint'] in WRIST
    assert figures['rate'] < 20
    assert figures['shares'] == 3
    arrivals.add(read(message(ARM, START + S), START + S))
    assert arrivals.figures(START + S, wanted)['shares'] == 1, 'two have the same joints'
    only_arm = Arrivals(START)
    for i in range(10):
        only_arm.add(read(message(SHOULDER), START + i))
    figures = only_arm.figures(START + S, wanted)
    assert figures['missing_joints'] == WRIST
    whole = Arrivals(START)
    for i in range(10):
        whole.add(read(message(ARM), START + i))
        whole.add(read(message(['finger']), START + i))
    assert whole.figures(START + S, wanted)['shares'] == 2


@pytest.mark.parametrize(('layout', 'problem'), [
    ({}, ''), ({'dim': [3]}, ''), ({'dim': [1, 3]}, ''), ({'dim': [1, 2]}, ''),
    ({'dim': [4]}, 'data has 3 numbers, and its layout says [4]'),
    ({'dim': [2, 3]}, 'its layout says [2, 3]'), ({'data_offset': 1}, 'data_offset is 1'),
    ({'dim': [2] * 100_000}, 'and more')])
def test_a_layout_that_says_something_else(layout: dict[str, Any], problem: str) -> None:
    """Numbers that are laid out otherwise than they are counted are not read."""
    reading = replace(ROBOT.observation[0].readings[0], path='data', joints=(), indices=(0,))
    dim = [SimpleNamespace(size=size) for size in layout.get('dim', [])]
    sample: Sample = SampleReader([reading], stamped=False).read(SimpleNamespace(
        data=[1.0, 2.0, 3.0], layout=SimpleNamespace(
            dim=dim, data_offset=layout.get('data_offset', 0))), 5)
    assert problem in sample.problem
    assert bool(problem) == bool(sample.problem)
