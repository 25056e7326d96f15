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
"""Time grid of a recording: at each step, the samples that the policy node would have used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dfp_ros.core.control.decision import State
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.pictures.picture import find_pictures
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from testing.fixtures.bags import (
    ARRAY,
    array,
    command,
    demonstration,
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
from testing.fixtures.cameras import camera_robot, camera_samples, depths, scene
from testing.fixtures.controllers import controller
from testing.fixtures.robot_samples import shipped_robot
from testing.policies.picture_policy import camera_spec
from testing.policies.small_policy import write_policy
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.convert import convert, Options
from training.data.transitions import stored
from training.data.transitions.transitions import DataError

ROBOT = shipped_robot()


@pytest.mark.parametrize('seed', range(3))
def test_a_step_is_kept_where_the_node_would_have_run(tmp_path: Path, seed: int) -> None:
    """
    Sources fall silent and are late at random; the steps are compared with the node's controller.

    There is no step while it holds the robot; all other steps have its observation.
    """
    random = np.random.default_rng(seed)
    messages = [
        message for i in range(200) for message in command(START + i * PERIOD + 5 * MS, [0.1] * 5)]
    for source in ROBOT.sources.values():
        late = int(random.integers(0, 150)) * MS
        time = START - int(random.integers(0, 60)) * MS
        while time < START + 200 * PERIOD:
            messages += [each for each in state(time, (time - START) * 1e-11, time - late)
                         if each[1] == f'/{source.topic}']
            time += int(random.choice([20, 30, 40, 50, 230], p=[0.3, 0.3, 0.2, 0.15, 0.05])) * MS
    path = write_bag(
        tmp_path / 'bag',
        messages + mark(START, 'start') + mark(START + 200 * PERIOD - MS, 'failure'))
    data, report = convert([path], ROBOT, Options(0.05, ActionLayout.of_robot(ROBOT)))

    node = controller(OnnxPolicy(write_policy(tmp_path / 'policy.onnx')))
    readers = {
        f'/{source.topic}': (name, SampleReader(ROBOT.readings(name), stamped=True))
        for name, source in ROBOT.sources.items()}
    arrivals = sorted((each for each in messages if each[1] in readers), key=lambda each: each[0])
    samples: dict[str, Sample] = {}
    seen = []
    for now in range(START, START + 200 * PERIOD, PERIOD):
        while arrivals and arrivals[0][0] <= now:
            time, topic, message = arrivals.pop(0)
            name, reader = readers[topic]
            samples[name] = reader.read(message, time)
        decision = node.step(now, samples)
        seen.append(decision.observation if decision.state is State.RUNNING else None)
    kept = [(one, other) for one, other in pairwise(seen) if one is not None and other is not None]
    assert 20 < len(kept) < 190
    np.testing.assert_array_equal(data.observations, [one for one, _ in kept])
    np.testing.assert_array_equal(data.next_observations, [other for _, other in kept])
    assert report.counts['steps of episodes'] == 200


@pytest.mark.parametrize(('change', 'splits', 'text'), [
    ('empty', 1, 'commands.gripper: gripper_command: data: found 0 numbers, expected at least 1'),
    ('empty after the command', 1, 'commands.gripper'),
    ('nan', 1, 'commands.gripper: gripper_command: data: found [nan], expected finite numbers'),
    ('last', 0, 'commands.gripper'), ('before', 0, '')])
def test_a_message_that_says_no_command_is_a_gap(
        tmp_path: Path, change: str, splits: int, text: str) -> None:
    """At its time, whether it comes alone, or after a command that it cancels."""
    messages = demonstration(20)
    at = {'last': 19, 'before': -40}.get(change, 10)
    gripper = [each for each in messages if each[1] == '/gripper_command']
    if at == 10 and 'after' not in change or change == 'last':
        messages.remove(gripper[at])
    time = START + at * PERIOD + (8 if 'after' in change else 5) * MS
    messages.append((time, '/gripper_command', array([np.nan] if change == 'nan' else [])))
    data, report = convert(
        [write_bag(tmp_path / 'bag', messages)], ROBOT,
        Options(0.05, ActionLayout.of_robot(ROBOT)))
    assert report.problems == ({'command unusable': 1} if text else {})
    assert text in report.details.get('command unusable', '')
    assert report.counts['splits at gaps'] == splits
    assert len(data) == {1: 9 + 8, 0: 18 if change == 'last' else 19}[splits]
    # Steps 9 and 11 follow no other.
    np.testing.assert_allclose(
        data.next_observations[:, 0] - data.observations[:, 0], 0.01, atol=1e-6)


@pytest.mark.parametrize(('stamp', 'problem', 'what'), [
    (lambda time: time - START + 10**9, 'source stale', r'are 1699999999\.000 s behind'),
    (lambda time: time + 3 * 10**9, 'source future', r'are 3\.000 s ahead of'),
    (lambda time: 0, 'source stale', 'its messages have no stamps')])
def test_stamps_of_another_clock(
        tmp_path: Path, stamp: Callable[[int], int], problem: str, what: str) -> None:
    """Stamps as of a simulation: a note reports them, and the times of arrival are used."""
    messages = demonstration(10)
    messages = [each for each in messages if 'stamp' not in dir(getattr(each[2], 'header', None))
                or 'command' in each[1]]
    for i in range(12):
        messages += state(START + i * PERIOD - 2 * MS, i / 100, stamp(START + i * PERIOD - 2 * MS))
    path = write_bag(tmp_path / 'bag', messages)
    options = Options(0.05, ActionLayout.of_robot(ROBOT))
    with pytest.raises(DataError, match=f"note: source 'arm': .*{what}.*`time: receive`") as found:
        convert([path], ROBOT, options)
    assert problem in str(found.value)
    sources = {name: replace(each, time='receive') for name, each in ROBOT.sources.items()}
    data, report = convert([path], replace(ROBOT, sources=sources), options)
    assert len(data) == 9
    assert not any('source' in note for note in report.notes)


def test_a_grid_that_goes_on_for_ever(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message now and then, for longer than any robot runs, is refused and not waited for."""
    monkeypatch.setattr('training.data.formats.rosbag.grid_steps._MOST_STEPS', 1000)
    messages = [message for i in range(3) for message in state(START + i * 50_000 * MS, 0.0)]
    path = write_bag(tmp_path / 'bag', messages + mark(START, 'start'))
    with pytest.raises(DataError, match=r'more than 1000 control steps of 0\.05 s'):
        convert([path], ROBOT, Options(0.05, ActionLayout.of_robot(ROBOT)))


def seeing(count: int, bad: int = -1) -> list[Message]:
    """Make the messages of the robot with cameras, with another picture at each step."""
    messages = mark(START, 'start') + mark(START + count * PERIOD - MS, 'success')
    for i in range(count):
        time = START + i * PERIOD
        top = header(time - MS)
        messages.append((time - MS, '/joint_states', make(
            'JointState', header=top, name=['shoulder', 'elbow'],
            position=np.array([0.01 * i, 0.0]), velocity=np.zeros(0), effort=np.zeros(0))))
        for topic, pixels, encoding in (
                ('wrist', scene(i), 'bgr8' if i == bad else 'rgb8'),
                ('depth', depths(i), '16UC1')):
            messages.append((time - MS, f'/{topic}/image_raw', make(
                'Image', header=top, height=pixels.shape[0], width=pixels.shape[1],
                encoding=encoding, is_bigendian=0, step=pixels.nbytes // pixels.shape[0],
                data=np.frombuffer(pixels.tobytes(), np.uint8))))
        messages.append((time + 5 * MS, '/speeds', array([0.1, 0.2])))
    return messages


CAMERA_TYPES = {
    **TYPES, '/wrist/image_raw': 'sensor_msgs/msg/Image',
    '/depth/image_raw': 'sensor_msgs/msg/Image', '/speeds': ARRAY}


@pytest.mark.parametrize('in_file', [False, True])
def test_pictures_are_those_that_the_node_would_have_seen(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool) -> None:
    """Bit for bit, in the order of the description, and stored with the transitions."""
    if in_file:
        monkeypatch.setattr('training.data.transitions.frames.free_memory', lambda: 0)
    robot = camera_robot()
    path = write_bag(tmp_path / 'bag', seeing(20), types=CAMERA_TYPES)
    data, report = convert([path], robot, Options(
        0.05, ActionLayout.of_policy(camera_spec()), beside=tmp_path / 'x.npz'))
    assert [camera.field for camera in data.images] == list(camera_spec().images)
    assert len(data) == 19
    assert data.frame is not None
    assert data.frame.tolist() == list(range(19))
    for i in range(20):
        expected = find_pictures(robot.images, camera_samples(robot, START, i))
        for camera, picture in zip(data.images, expected, strict=True):
            np.testing.assert_array_equal(camera.pixels[i], picture.pixels)
    assert not report.problems, report.lines()
    stored.save(tmp_path / 'a.npz', data)
    found = stored.load(tmp_path / 'a.npz')
    np.testing.assert_array_equal(found.images[1].pixels, data.images[1].pixels)


def test_a_bad_picture_is_a_gap(tmp_path: Path) -> None:
    """As it would have stopped the robot; the frames of both pieces are their own."""
    robot = camera_robot()
    path = write_bag(tmp_path / 'bag', seeing(20, bad=8), types=CAMERA_TYPES)
    data, report = convert([path], robot, Options(0.05, ActionLayout.of_policy(camera_spec())))
    assert report.problems['message unreadable'] == 1
    assert data.frame is not None
    assert data.frame.tolist() == [*range(7), *range(8, 18)]
    assert len(data.images[0]) == 19
    expected = find_pictures(robot.images, camera_samples(robot, START, 9))[0]
    np.testing.assert_array_equal(data.images[0].pixels[8], expected.pixels)
