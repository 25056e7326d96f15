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
"""Recordings as transitions: episodes, gaps, rewards, and unreadable bags."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.decision_row import DecisionRow
from dfp_ros.core.description.observation import read_observation
from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.yaml_section import read_yaml
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.safety.reasons import Reason
from testing import ROOT
from testing.fixtures.bags import (
    ARRAY,
    array,
    command,
    decision,
    demonstration,
    fill,
    JOINTS,
    make,
    mark,
    MS,
    observation,
    PERIOD,
    START,
    state,
    STRING,
    TYPES,
    write_bag,
)
from testing.fixtures.robot_samples import ARM, shipped_robot
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.bag import Bag
from training.data.formats.rosbag.convert import convert, Options
from training.data.formats.rosbag.report import Report
from training.data.transitions import stored
from training.data.transitions.transitions import DataError, Transitions

ROBOT = shipped_robot()
LAYOUT = ActionLayout.of_robot(ROBOT)


def read(path: Path, **options: Any) -> tuple[Transitions, Report]:
    """Convert one bag at 20 Hz."""
    return convert([path], ROBOT, Options(0.05, LAYOUT, **options))


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_demonstration(tmp_path: Path, storage: str) -> None:
    """Each step has the newest state, the command that answered it, and the reward of its end."""
    data, report = read(write_bag(tmp_path / 'bag', demonstration(10), storage))
    expected = np.array([observation(i / 100) for i in range(10)])
    np.testing.assert_allclose(data.observations, expected[:-1], atol=1e-6)
    np.testing.assert_allclose(data.next_observations, expected[1:], atol=1e-6)
    np.testing.assert_allclose(data.actions, np.arange(9)[:, None] / 100 * np.ones(5), atol=1e-6)
    np.testing.assert_array_equal(data.rewards, [-1] * 8 + [0])
    np.testing.assert_array_equal(data.masks, [1] * 8 + [0])
    np.testing.assert_array_equal(data.terminals, [0] * 8 + [1])
    assert report.counts['episodes solved'] == 1
    assert [field.name for field in data.action_fields] == [
        'effector_linear_velocity', 'effector_yaw_rate', 'gripper_rate']
    assert data.action_fields[1].high == (6.0,)


def test_a_failure_is_an_episode_without_reward(tmp_path: Path) -> None:
    """It ends, but no state of it is one after which nothing follows."""
    data, _ = read(write_bag(tmp_path / 'bag', demonstration(10, end='failure')))
    assert (data.rewards == -1).all()
    assert (data.masks == 1).all()
    assert data.terminals.sum() == 1


def silent(messages: list[Any], topic: str, begin: int, end: int) -> list[Any]:
    """Take a topic's messages out, from one step up to another."""
    return [each for each in messages if each[1] != topic or not (
        START + begin * PERIOD - 10 * MS <= each[0] < START + end * PERIOD - 10 * MS)]


def test_gaps_split_and_are_never_filled(tmp_path: Path) -> None:
    """A source that is silent for longer than its maximum age of 0.2 s, and commands missing."""
    messages = demonstration(30)
    messages = silent(messages, '/cube_0_pose', 10, 16)
    messages = silent(messages, '/gripper_command', 22, 25)
    data, report = read(write_bag(tmp_path / 'bag', messages))
    # The state at step 9 arrived at 448 ms: at 650 ms and at 700 and 750 it is too old.
    assert report.problems == {'source stale': 3, 'no command': 2}
    assert data.terminals.sum() == 3
    assert report.counts['splits at gaps'] == 2
    assert len(data) == 12 + 6 + 4
    joints, following = data.observations[:, 0], data.next_observations[:, 0]
    np.testing.assert_allclose(following - joints, 0.01, atol=1e-6)
    assert 'cube_0' in report.details['source stale']


def test_a_success_after_a_gap_is_not_taken_for_the_end_of_what_was_before(
        tmp_path: Path) -> None:
    """The steps that led to it are not recorded."""
    messages = silent(demonstration(20), '/cube_0_pose', 10, 20)
    data, report = read(write_bag(tmp_path / 'bag', messages))
    assert report.counts['successes lost in a gap'] == 1
    assert (data.masks == 1).all()
    # A single step after the gap is no transition.
    messages = silent(demonstration(20), '/cube_0_pose', 10, 19)
    data, report = read(write_bag(tmp_path / 'step', messages))
    assert report.counts['successes lost in a gap'] == 1
    assert (data.masks == 1).all()
    assert report.counts['episodes solved'] == 0


def test_messages_in_another_frame_are_no_steps(tmp_path: Path) -> None:
    """The node rejects them, so they are not part of the data."""
    bag = write_bag(tmp_path / 'bag', demonstration(10))

    def described(frame: str) -> RobotDescription:
        sources = dict(ROBOT.sources)
        sources['cube_0'] = replace(sources['cube_0'], frame_id=frame)
        return replace(ROBOT, sources=sources)

    data, report = convert([bag], described('world'), Options(0.05, LAYOUT))
    assert len(data) == 9
    assert not report.problems
    with pytest.raises(DataError, match='source unreadable.*cube_0.*world.*table'):
        convert([bag], described('table'), Options(0.05, LAYOUT))


@pytest.mark.parametrize(('old', 'new', 'where', 'message'), [
    ('path: pose.position\n', 'path: pose.positon\n', 'observation[',
     "'pose.positon.x', but geometry_msgs/msg/Pose has no field 'positon'; did you mean 'posi"),
    ('components: [x, y, z]', 'components: [x, y, t]', 'observation[',
     "'pose.position.t', but geometry_msgs/msg/Point has no field 't'; known: x, y, z"),
    ('path: twist.angular.z\n', 'path: twist.angula.z\n',
     'commands.effector.fields[1]: cannot be read from ',
     "'twist.angula.z', but geometry_msgs/msg/Twist has no field 'angula'; did you mean 'ang"),
])
def test_a_field_that_messages_do_not_have(
        tmp_path: Path, old: str, new: str, where: str, message: str) -> None:
    """The line of the field, its path, and the nearest name."""
    text, bag = (ROOT / 'config' / 'ur5e_cube.yaml').read_text(), tmp_path / 'bag'
    assert old in text
    (tmp_path / 'robot.yaml').write_text(text.replace(old, new))
    write_bag(bag, demonstration(10))
    with pytest.raises(DataError) as caught:
        convert([bag], load_robot_description(tmp_path / 'robot.yaml'), Options(0.05, LAYOUT))
    assert f': {where}' in str(caught.value)
    assert f'found the path {message}' in str(caught.value)


def test_stamps_that_go_back(tmp_path: Path) -> None:
    """A message that was overtaken changes nothing."""
    messages = demonstration(12)
    expected, _ = read(write_bag(tmp_path / 'in_order', messages))
    messages += [each for each in state(
        START + 6 * PERIOD - MS, 0.5, START + 5 * PERIOD - 60 * MS) if each[1] == '/effector_pose']
    data, report = read(write_bag(tmp_path / 'bag', messages))
    assert report.problems == {}
    np.testing.assert_array_equal(data.observations, expected.observations)


@pytest.mark.parametrize('sampling', ['newest', 'before_tick'])
def test_samples_of_after_the_step(tmp_path: Path, sampling: str) -> None:
    """A robot whose clock is ahead: its newest sample may be of a time that is yet to come."""
    sources = {
        name: replace(source, sampling=sampling) for name, source in ROBOT.sources.items()}
    messages = [each for each in demonstration(10) if 'command' in each[1] or 'marks' in each[1]]
    for i in range(-1, 12):
        at = START + i * PERIOD
        messages += state(at - 20 * MS, i / 100, at - 10 * MS)
        # Measured 10 ms after the step, if the robot's clock is right.
        messages += state(at - 2 * MS, i / 100 + 0.005, at + 10 * MS)
    data, _ = convert(
        [write_bag(tmp_path / 'bag', messages)], replace(ROBOT, sources=sources),
        Options(0.05, LAYOUT))
    expected = np.arange(9) / 100 + (0.005 if sampling == 'newest' else 0)
    np.testing.assert_allclose(data.observations[:, 0], expected, atol=1e-6)


def with_history() -> RobotDescription:
    """Describe the robot with its joints' positions at two ticks, and their change a second."""
    first, second, *rest = ROBOT.observation
    return replace(ROBOT, observation=(
        replace(first, history=2), replace(second, reading=first.reading, derivative=True), *rest))


def test_steps_that_need_earlier_ones(tmp_path: Path) -> None:
    """A history goes over no gap, and no episode's beginning; a derivative goes by stamps."""
    messages = silent(demonstration(20), '/cube_0_pose', 10, 15)
    data, report = convert(
        [write_bag(tmp_path / 'bag', messages)], with_history(), Options(0.05, LAYOUT))
    assert report.problems['earlier steps missing'] == 2
    assert report.problems['source stale'] > 0
    before, now, speed = (data.observations[:, run] for run in np.split(np.arange(18), 3))
    np.testing.assert_allclose(now - before, 0.01, atol=1e-6)
    np.testing.assert_allclose(speed[:, 0], 0.01 / 0.05, rtol=0.01)


def test_steps_of_a_node_that_needs_earlier_ones(tmp_path: Path) -> None:
    """
    Memory of the node, such as histories, is reconstructed step by step.

    It waits at first, fails to answer once but remembers that step, and loses its memory when
    a source is stale.
    """
    robot = with_history()
    row = DecisionRow(robot.sources, 34, [
        (entry.action, entry.size) for topic in robot.commands for entry in topic.entries])
    held = {0: Reason.WAITING, 4: Reason.INFERENCE_FAILED, 7: Reason.STALE, 8: Reason.WAITING}
    messages = mark(START - 5 * MS, 'start')
    for i in range(14):
        at = START + i * PERIOD
        messages += state(at - 2 * MS, i / 100, at - 3 * MS)
        seen = np.concatenate([
            observation((i - 1) / 100)[:6], observation(i / 100)[:6], np.full(6, 0.2),
            observation(i / 100)[12:]]).astype(np.float32)
        reason = held.get(i, Reason.NONE)
        found = Decision(
            State.HOLD if reason else State.RUNNING, reason, '', np.zeros(5),
            seen if reason in (Reason.NONE, Reason.INFERENCE_FAILED) else None)
        samples = {name: Sample(at - 3 * MS, at - 2 * MS, {}) for name in robot.sources}
        messages += [(at, '/dfp_policy/decision', array(
            row.write(i + 1, at, False, found, samples), row.parts))]
    messages += mark(START + 14 * PERIOD, 'success')
    _, report = convert([write_bag(tmp_path / 'bag', messages)], robot, Options(0.05, LAYOUT))
    assert report.problems == {
        'node hold: waiting': 2, 'node hold: inference_failed': 1, 'node hold: stale': 1}
    assert report.difference is not None
    assert report.difference < 1e-5


def test_a_recording_that_pauses(tmp_path: Path) -> None:
    """Half a minute without messages is a gap, despite the marks."""
    messages = demonstration(10) + demonstration(10, START + 600 * PERIOD)
    data, report = read(write_bag(
        tmp_path / 'bag', [each for each in messages if each[2].__msgtype__ != STRING]
        + mark(START, 'start') + mark(START + 800 * PERIOD, 'failure')))
    assert data.terminals.sum() == 2
    assert np.abs(data.next_observations - data.observations).max() < 0.11
    assert report.problems['source stale'] > 500


def test_a_clock_that_is_set_forward(tmp_path: Path) -> None:
    """A jump from 1970 to now is not a million steps, and a success after it has no episode."""
    messages = demonstration(10)
    path = write_bag(tmp_path / 'bag', [
        *[each for each in demonstration(10, 10**9) if each[0] < 10**9 + 9 * PERIOD],
        *mark(START, 'success'), *messages])
    data, report = read(path)
    assert report.problems == {'nothing recorded': 1}
    assert 'was the clock set?' in report.details['nothing recorded']
    assert report.counts['successes lost in a gap'] == 1
    assert data.terminals.sum() == 2
    assert data.masks.sum() == len(data) - 1


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_clock_that_is_set_back(tmp_path: Path, storage: str) -> None:
    """Sorted by time, two episodes would be one; a recorder's own disorder is no such thing."""
    again = [each for time in (START, START + 5 * PERIOD) for each in demonstration(60, time)]
    path = write_bag(tmp_path / 'back', again, storage, ordered=False)
    with pytest.raises(DataError, match=r'back: .* clock that was set back by 2\.74') as caught:
        read(path)
    assert 'record again' in str(caught.value)
    swapped = sorted(demonstration(60), key=lambda each: each[0])
    swapped[100:140] = reversed(swapped[100:140])
    whole, report = read(write_bag(tmp_path / 'disorder', swapped, storage, ordered=False))
    assert (len(whole), report.problems) == (59, {})


def test_a_robot_without_a_source_yet(tmp_path: Path) -> None:
    """Steps before the first message of a source are not learned from."""
    _, report = read(write_bag(
        tmp_path / 'bag', silent(demonstration(10), '/gripper_state', -1, 3)))
    assert report.problems == {'source waiting': 3}


def test_marks(tmp_path: Path) -> None:
    """Started again, ended twice, never ended, and no mark that is known."""
    second, third = START + 20 * PERIOD, START + 40 * PERIOD
    messages = [each for each in demonstration(10) if each[0] < START + 9 * PERIOD]
    messages += demonstration(10, second) + mark(second + 11 * PERIOD, 'success')
    messages += mark(second + 12 * PERIOD, 'reset')
    messages += [each for each in demonstration(10, third) if each[0] < third + 9 * PERIOD]
    path = write_bag(tmp_path / 'bag', messages)
    data, report = read(path)
    assert data.terminals.sum() == 1
    counts = report.counts
    assert (counts['episodes marked'], counts['episodes kept']) == (3, 1)
    assert counts['episodes started again'] == 1
    assert counts['episodes without an end'] == 1
    assert counts['ends without a start'] == 1
    assert counts['unknown marks, not start, success, failure'] == 1
    data, report = read(path, unended='keep')
    assert report.counts['episodes kept'] == 3
    assert data.masks.sum() == len(data) - 1


def test_a_recording_without_marks(tmp_path: Path) -> None:
    """Without marks there is a note, and, on request, a single episode."""
    messages = [each for each in demonstration(10) if each[2].__msgtype__ != STRING]
    path = write_bag(tmp_path / 'bag', messages)
    with pytest.raises(DataError, match='--unended keep takes the whole recording as one'):
        read(path)
    data, _ = read(path, unended='keep')
    assert len(data) >= 8
    assert (data.masks == 1).all()


def decided(
        lockstep: bool = False, spacing: int = PERIOD, late: int = 0, count: int = 10,
        grain: int = 1, **held: int) -> list[Any]:
    """
    Record steps of a node, whose samples were received after the decisions.

    :param late: By how much the fifth step is late, in ns.
    :param count: Number of steps.
    :param grain: Steps of the clock in ns.
    """
    messages = mark(START - 5 * MS, 'start')
    for i in range(count):
        at = START + i * spacing // grain * grain + (late if i == 4 else 0)
        messages += state(at + 2 * MS, i / 100, at - MS)
        messages += decision(
            i + 1, at, at - MS, i / 100, lockstep=lockstep, held=held.get('step') == i)
    return messages + mark(START + count * spacing, 'success')


def test_steps_of_the_node(tmp_path: Path) -> None:
    """Steps have the node's samples and commands and, on request, the policy's answers."""
    path = write_bag(tmp_path / 'bag', decided())
    data, report = read(path)
    assert len(data) == 9
    np.testing.assert_allclose(data.actions, 0.25, atol=1e-6)
    np.testing.assert_allclose(data.observations[:, 0], np.arange(9) / 100, atol=1e-6)
    assert report.difference is not None
    assert report.difference < 1e-6
    data, _ = read(path, action='raw')
    np.testing.assert_allclose(data.actions, 0.5, atol=1e-6)


def test_a_node_of_another_rate(tmp_path: Path) -> None:
    """25 or 21 Hz are not 20 Hz; a clock of coarse steps, and a step that is late, are."""
    for rate in (25, 21, 17, 10, 50):
        path = write_bag(tmp_path / str(rate), decided(
            spacing=round(1e9 / rate), count=40))
        with pytest.raises(DataError, match=f'control period of {1 / rate:.4g} s, expected'):
            read(path)
    data, _ = read(write_bag(tmp_path / 'late', decided(late=20 * MS)))
    assert len(data) == 9
    data, _ = read(write_bag(tmp_path / 'coarse', decided(grain=20 * MS, count=40)))
    assert len(data) == 39


def test_a_node_of_the_same_rate_whose_steps_are_unsteady(tmp_path: Path) -> None:
    """A simulation of 24 Hz leaves out clock steps, and a machine with too much load decisions."""
    data, _ = read(write_bag(tmp_path / 'simulated', decided(grain=41_666_667, count=60)))
    assert len(data) > 40
    # A step that is late by 1.2 periods leaves one out, and is followed by a short one.
    messages, number = mark(START - 5 * MS, 'start'), 0
    for i in range(100):
        if i % 5 == 4:
            continue
        number, at = number + 1, START + i * PERIOD + (i % 5 == 3) * PERIOD * 12 // 10
        messages += state(at + 2 * MS, i / 1000, at - MS)
        messages += decision(number, at, at - MS, i / 1000)
    data, _ = read(write_bag(tmp_path / 'busy', messages + mark(START + 100 * PERIOD, 'success')))
    assert len(data) > 40


def test_a_node_whose_rate_was_changed_for_a_while(tmp_path: Path) -> None:
    """However few its steps were; a few steps after another change of a parameter are none."""
    messages, at = mark(START - 5 * MS, 'start'), START
    for i in range(300):
        at += 40 * MS if 260 <= i < 290 else PERIOD
        messages += state(at + 2 * MS, i / 1000, at - MS)
        messages += decision(i + 1, at, at - MS, i / 1000, loop=1 + (i >= 260) + (i >= 290))
    path = write_bag(tmp_path / 'bag', messages + mark(at + PERIOD, 'success'))
    with pytest.raises(DataError, match='control period of 0.04 s, expected 0.05'):
        read(path)


def test_steps_of_another_robot(tmp_path: Path) -> None:
    """Fields of an action are identified by name, in any order; other sizes are rejected."""
    path = write_bag(tmp_path / 'bag', decided())
    other = replace(ROBOT, commands=ROBOT.commands[::-1])
    for action, number in (('sent', 0.25), ('raw', 0.5)):
        data, _ = convert(
            [path], other, Options(0.05, ActionLayout.of_robot(other), action=action))
        assert [field.name for field in data.action_fields][0] == 'gripper_rate'
        np.testing.assert_allclose(data.actions, number, atol=1e-6)
    with pytest.raises(DataError, match='found observations of size 28, expected 26'):
        convert([path], replace(ROBOT, observation=ROBOT.observation[:-1]), Options(0.05, LAYOUT))
    entry = replace(ROBOT.commands[1].entries[0], action='finger_rate')
    other = replace(ROBOT, commands=(replace(ROBOT.commands[1], entries=(entry,)),))
    with pytest.raises(DataError, match=r'gripper_rate \(1\), expected finger_rate \(1\)'):
        convert([path], other, Options(0.05, ActionLayout.of_robot(other)))


def test_lockstep_goes_by_steps_and_not_by_the_clock(tmp_path: Path) -> None:
    """A robot that waits is as fast as the machine; any other has to keep its period."""
    data, _ = read(write_bag(tmp_path / 'bag', decided(lockstep=True, spacing=8 * MS)))
    assert len(data) == 9
    for name, late, pieces in (('jitter', 20, 1), ('late', 30, 2)):
        data, _ = read(write_bag(tmp_path / name, decided(late=late * MS)))
        assert data.terminals.sum() == pieces
    with pytest.raises(DataError, match=r'0\.008 s, expected 0\.05 s'):
        read(write_bag(tmp_path / 'other', decided(spacing=8 * MS)))


def test_steps_that_are_missing_or_held(tmp_path: Path) -> None:
    """A decision that was not recorded, one that held, and a sample that was not recorded."""
    messages = decided(step=6)
    messages = [each for each in messages if each[0] != START + 3 * PERIOD]
    messages = [each for each in messages
                if each[1] != '/cube_0_pose' or each[0] != START + 8 * PERIOD + 2 * MS]
    data, report = read(write_bag(tmp_path / 'bag', messages))
    assert report.problems == {'node hold: stale': 1, 'sample not recorded': 1}
    # 0 1 2 | 4 5 | 7 | 9
    assert len(data) == 2 + 1
    np.testing.assert_allclose(
        data.next_observations[:, 0] - data.observations[:, 0], 0.01, atol=1e-6)


def test_a_node_whose_clock_was_set_back(tmp_path: Path) -> None:
    """The rest is another piece."""
    messages = [each for each in decided() if '/decision' not in each[1]]
    for i in range(10):
        at = START + i * PERIOD
        back = decision(i + 1, at - (10**9 if i >= 5 else 0), at - MS, i / 100)
        messages += [(at, topic, message) for _, topic, message in back]
    data, report = read(write_bag(tmp_path / 'bag', messages))
    assert report.problems == {'clock set back': 1}
    assert len(data) == 4 + 3


def test_commands_beyond_the_limit_are_clipped_and_counted(tmp_path: Path) -> None:
    """As the node would have clipped them."""
    messages = demonstration(10) + command(START + 3 * PERIOD + MS, [2.0, 0, 0, 0, 0])
    data, report = read(write_bag(tmp_path / 'bag', messages))
    assert report.counts['actions clipped to their bounds'] == 1
    assert data.actions[3, 0] == 1


@settings(max_examples=50)
@given(strategies.lists(strategies.floats(-1, 1, width=32), min_size=5, max_size=5))
def test_an_action_that_was_sent_comes_back(numbers: list[float]) -> None:
    """Scaled to SI units and back, it is the same number in float32."""
    action, scale = np.array(numbers, np.float32), LAYOUT.scale
    sent = scale.low + (action.astype(np.float64) + 1) / 2 * (scale.high - scale.low)
    np.testing.assert_allclose(scale.action(sent).astype(np.float32), action, atol=1e-6)


def test_a_robot_without_limits() -> None:
    """The description says nothing about actions, and no policy does."""
    topic = ROBOT.commands[0]
    bare = replace(ROBOT, commands=(replace(
        topic, entries=(replace(topic.entries[0], limit=()),)),))
    with pytest.raises(DataError, match=r"ur5e_cube\.yaml:\d+.*'limit' is missing"):
        ActionLayout.of_robot(bare)


def test_a_recording_that_was_cut_short(tmp_path: Path) -> None:
    """Whole messages are read; the number of lost bytes is reported."""
    path = write_bag(tmp_path / 'bag', [
        each for i in range(120) for each in demonstration(10, START + 20 * i * PERIOD)])
    file = path / 'bag.mcap'
    whole = len(read(path)[0])
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('version: 9', 'version: 99'))
    assert len(read(path)[0]) == whole, 'metadata.yaml is of a later version'
    metadata.unlink()
    data, report = read(path)
    assert len(data) == whole, 'only metadata.yaml is missing'
    assert not report.counts['bytes lost at a cut end']
    file.write_bytes(file.read_bytes()[:-300_000])
    data, report = read(path)
    assert 0.4 * whole < len(data) < whole
    assert report.counts['bytes lost at a cut end'] > 0
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(DataError, match='of which nothing can be read'):
        read(path)


def test_disorder_in_a_recording_that_was_cut_short(tmp_path: Path) -> None:
    """There is no index to sort by, so it is sorted here."""
    messages = sorted(demonstration(400), key=lambda each: each[0])
    for i in range(0, len(messages) - 7, 7):
        messages[i], messages[i + 5] = messages[i + 5], messages[i]
    path = write_bag(tmp_path / 'bag', messages, ordered=False)
    whole = read(path)[0]
    file = path / 'bag.mcap'
    file.write_bytes(file.read_bytes()[:-4000])
    np.testing.assert_array_equal(read(path)[0].observations, whole.observations)


@pytest.mark.parametrize('mode', ['DELETE', 'WAL'])
def test_a_database_that_was_not_closed(tmp_path: Path, mode: str) -> None:
    """Committed messages count, others do not, with any journal mode, as folder or file."""
    import shutil
    import sqlite3
    path = write_bag(tmp_path / 'bag', demonstration(10), 'sqlite3')
    file = path / 'bag.db3'
    with closing(sqlite3.connect(file)) as database:
        database.execute(f'PRAGMA journal_mode={mode}')
        # So small that what is not finished has to go to the file.
        database.execute('PRAGMA cache_size=1')
        if mode == 'WAL':
            database.execute('UPDATE topics SET name = name || "_finished"')
            database.commit()
        database.execute('UPDATE messages SET data = zeroblob(5000)')
        shutil.copytree(path, tmp_path / 'killed')
    (tmp_path / 'killed' / 'metadata.yaml').unlink()
    assert len(list((tmp_path / 'killed').iterdir())) > 1, 'a journal'
    for name in ('killed', 'killed/bag.db3'):
        with Bag(tmp_path / name) as bag:
            topic = '/joint_states' + ('_finished' if mode == 'WAL' else '')
            assert bag.count(topic) == 20
            found = [message for _, _, message in bag.messages({topic: JOINTS})]
            assert list(found[0].name) == list(ARM)


@pytest.mark.parametrize(('storage', 'mode'), [
    ('mcap', 'FILE'), ('mcap', 'MESSAGE'), ('mcap', 'STORAGE'), ('sqlite3', 'FILE'),
    ('sqlite3', 'MESSAGE')])
def test_compressed(tmp_path: Path, storage: str, mode: str) -> None:
    """Files compressed by rosbag2 are read; without metadata.yaml they must be decompressed."""
    plugin = StoragePlugin[storage.upper()]
    path = tmp_path / 'bag'
    writer = Writer(path, version=8, storage_plugin=plugin)
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        fill(writer, demonstration(10))
    assert len(read(path)[0]) == 9
    if mode == 'FILE':
        (path / 'metadata.yaml').unlink()
        with pytest.raises(DataError, match='found a compressed file .* `zstd -d`'):
            read(path)


def test_what_is_no_bag(tmp_path: Path) -> None:
    """Nothing there, an empty folder, another file, garbage, and no message."""
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'notes.txt').write_text('notes')
    (tmp_path / 'noise.mcap').write_bytes(bytes(range(256)) * 40)
    (tmp_path / 'noise.db3').write_bytes(bytes(range(256)) * 40)
    write_bag(tmp_path / 'silent', [])
    for name, message in (
            ('none', 'found no such file or folder'), ('empty', r'found no \.mcap or \.db3 file'),
            ('notes.txt', "found '.txt', expected a rosbag2 folder"),
            ('noise.mcap', 'damaged: it has no mcap header'),
            ('noise.db3', 'damaged: it has no SQLite header'),
            ('silent', 'found a bag without messages')):
        with pytest.raises(DataError, match=message) as caught:
            read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_topics_and_types_that_are_not_there(tmp_path: Path) -> None:
    """The error names topic, type, and the place that asks for it."""
    without = {topic: kind for topic, kind in TYPES.items() if topic != '/cube_0_pose'}
    messages = [each for each in demonstration(10) if each[1] != '/cube_0_pose']
    with pytest.raises(
            DataError, match=r'topic /cube_0_pose is missing, required by .*ur5e_cube.yaml:\d+'):
        read(write_bag(tmp_path / 'missing', messages, types=without))
    with pytest.raises(DataError, match='expected geometry_msgs/msg/PoseStamped'):
        read(write_bag(
            tmp_path / 'other', [(START, '/cube_0_pose', make('String', data='x'))],
            types={**TYPES, '/cube_0_pose': STRING}))
    with pytest.raises(
            DataError, match=r'/episode_marks: found std_msgs/msg/Float64MultiArray, expected '
            r'std_msgs/msg/String, as the option --marks says'):
        read(write_bag(
            tmp_path / 'marks', [(START, '/episode_marks', array([1]))],
            types={**TYPES, '/episode_marks': ARRAY}))
    with pytest.raises(DataError, match='topic /left/joint_states is missing'):
        read(write_bag(tmp_path / 'names', demonstration(10)), namespace='left')
    with pytest.raises(DataError, match='which --action raw needs; use --action sent, or record'):
        read(tmp_path / 'names', action='raw')
    with pytest.raises(
            DataError, match='found no message on /dfp_policy/decision, which --ticks decisions '
            'needs; use --ticks grid, or record'):
        read(tmp_path / 'names', ticks='decisions')
    with pytest.raises(DataError, match='found --ticks grid with --action raw, .* use --action '
                       'sent, or --ticks decisions'):
        read(tmp_path / 'names', ticks='grid', action='raw')


def test_two_robots_in_one_recording(tmp_path: Path) -> None:
    """Each has its namespace, with its own marks."""
    messages = [(time, f'/left{topic}', message) for time, topic, message in demonstration(10)]
    messages += [(time, f'/right{topic}', message) for time, topic, message in demonstration(
        20, START + 3 * PERIOD, end='failure')]
    path = write_bag(tmp_path / 'bag', messages, types={
        f'/{name}{topic}': kind for name in ('left', 'right') for topic, kind in TYPES.items()})
    left, right = (read(path, namespace=name)[0] for name in ('left', '/right/'))
    assert (len(left), left.masks.sum()) == (9, 8)
    assert (len(right), right.masks.sum()) == (19, 19)
    with pytest.raises(DataError, match="did you mean '/left/joint_states'.*--namespace"):
        read(path)


def test_a_recording_that_is_given_twice(tmp_path: Path) -> None:
    """A recording given twice is rejected, because its episodes would count twice."""
    import shutil
    path = write_bag(tmp_path / 'bag', demonstration(10))
    copy = shutil.copytree(path, tmp_path / 'copy')
    with pytest.raises(DataError, match='copy: found the same recording as bag; give it once'):
        convert([path, copy], ROBOT, Options(0.05, LAYOUT))
    # A file beside its folder, of which it is a part.
    shutil.copy(
        write_bag(tmp_path / 'more', demonstration(10, START + 10**10)) / 'more.mcap', path)
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('  - bag.mcap\n', (
        '  - bag.mcap\n  - more.mcap\n')))
    with pytest.raises(DataError, match='bag.mcap: found the same recording as bag; give it once'):
        convert([path, path / 'bag.mcap'], ROBOT, Options(0.05, LAYOUT))


def test_a_type_that_nobody_knows(tmp_path: Path) -> None:
    """A bag of an older ROS carries no definitions; a robot's own type cannot be read then."""
    import sqlite3
    path = write_bag(tmp_path / 'bag', demonstration(10), 'sqlite3')
    whole = len(read(path)[0])
    database = sqlite3.connect(path / 'bag.db3')
    database.execute('DELETE FROM message_definitions')
    database.commit()
    assert len(read(path)[0]) == whole, 'types of ROS 2 itself are known'
    database.execute("UPDATE topics SET type = 'my_msgs/msg/Pose' WHERE name = '/cube_0_pose'")
    database.commit()
    database.close()
    (path / 'metadata.yaml').unlink()
    cube = replace(ROBOT.sources['cube_0'], type='my_msgs/msg/Pose')
    sources = {**ROBOT.sources, 'cube_0': cube}
    with pytest.raises(DataError, match='type my_msgs/msg/Pose, which is unknown'):
        convert([path], replace(ROBOT, sources=sources), Options(0.05, LAYOUT))


def test_interventions(tmp_path: Path) -> None:
    """Steps that a person commanded are flagged, and learned from as they were sent."""
    messages = mark(START - 5 * MS, 'start')
    for i in range(12):
        at = START + i * PERIOD
        messages += state(at - 2 * MS, i / 100, at - MS)
        messages += decision(i + 1, at, at - MS, i / 100, by_person=4 <= i < 7)
    path = write_bag(tmp_path / 'bag', messages + mark(START + 12 * PERIOD, 'success'))
    data, report = read(path)
    assert data.interventions is not None
    assert data.interventions.tolist() == [0] * 4 + [1] * 3 + [0] * 4
    assert report.counts['transitions commanded by a person'] == 3
    np.testing.assert_allclose(data.actions, 0.25)
    stored.save(tmp_path / 'data.npz', data)
    again = stored.load(tmp_path / 'data.npz').interventions
    assert again is not None
    assert again.tolist() == data.interventions.tolist()
    # The answers of the policy did not lead to the states that follow.
    raw, report = read(path, action='raw')
    assert report.problems == {'commanded by a person, with --action raw': 3}
    assert len(raw) == 3 + 4
    assert raw.interventions is None


@pytest.mark.parametrize(
    ('anchor', 'unit'), [('observation', '1/s'), ('observation', 'rad'), ('tick', '1/s')])
def test_relative_actions(tmp_path: Path, anchor: str, unit: str) -> None:
    """
    A step leads from where the robot was to what was sent, if the policy counts from elsewhere.

    The robot was at i / 100; 5 was sent, as half of the answer. In rad, a whole turn is missing in
    what was measured.
    """
    entry = ROBOT.commands[1].entries[0]
    measured = read_observation(read_yaml('robot.yaml', (
        f'{{source: arm, path: position, joints: [{ARM[0]}], scale: 1.0}}').encode()),
        ROBOT.sources, 'gripper_rate', '1/s')
    robot = replace(ROBOT, commands=(ROBOT.commands[0], replace(
        ROBOT.commands[1],
        entries=(replace(entry, unit=unit, relative=True, measured=measured),))))
    status = {'sha256': '0' * 64, 'spec': {'anchor': anchor}}
    messages = [*decided(), (
        START - 4 * MS, '/dfp_policy/policy', make('String', data=json.dumps(status)))]
    path = write_bag(
        tmp_path / 'bag', messages, types={**TYPES, '/dfp_policy/policy': STRING})
    data, _ = convert([path], robot, Options(0.05, LAYOUT))
    wanted = np.full(9, 0.5) if anchor == 'tick' else (
        5 - np.arange(9) / 100 - (2 * np.pi if unit == 'rad' else 0)) / 20
    np.testing.assert_allclose(data.actions[:, 4], wanted, atol=1e-6)
    raw = Options(0.05, LAYOUT, action='raw')
    if anchor == 'observation':
        with pytest.raises(DataError, match='whose anchor is observation'):
            convert([path], robot, raw)
    else:
        convert([path], robot, raw)
