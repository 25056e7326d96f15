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
"""Frame poses from individual transforms."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dfp_ros.core.description.observation import ObservationEntry
from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.sources import BEFORE_TICK, BOTH, RECEIVE, Source
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.freshness import FreshnessMonitor
from dfp_ros.core.observation.sample import ObservationError, Sample
from dfp_ros.core.observation.sample_store import SampleStore
from dfp_ros.core.observation.tf_reader import TfReader
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.tools.replay.recorded_bag import RecordedBag
from testing import ROOT
from testing.fixtures.bags import (
    command,
    decision,
    header,
    make,
    mark,
    MS,
    PERIOD,
    START,
    state,
    STORE,
    TYPES,
    write_bag,
)
from testing.fixtures.transforms import READINGS
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.convert import convert, Options

S = 1_000_000_000
TF = 'tf2_msgs/msg/TFMessage'


def transform(
        above: str, frame: str, time: int = 0, position: Any = (0, 0, 0),
        rotation: Any = (0, 0, 0, 1)) -> Any:
    """Make a TransformStamped; the rotation is x y z w."""
    x, y, z = map(float, position)
    i, j, k, w = map(float, rotation)
    return make(
        'TransformStamped', header=replace(header(time), frame_id=above), child_frame_id=frame,
        transform=make(
            'Transform', translation=make('Vector3', x=x, y=y, z=z),
            rotation=make('Quaternion', x=i, y=j, z=k, w=w)))


def message(*transforms: Any) -> Any:
    """Make the message of transforms."""
    return STORE.types[TF](transforms=list(transforms))


def pose(sample: Sample | None) -> tuple[np.ndarray, Rotation]:
    """Take a sample apart."""
    assert sample is not None
    place, turn = (
        np.array([sample.values[leaf] for leaf in reading.leaves]) for reading in READINGS)
    return place, Rotation.from_quat(turn)


def in_base(links: dict[str, tuple[str, np.ndarray, Rotation]], frame: str) -> np.ndarray:
    """Multiply the matrices from a frame up to the base."""
    whole = np.eye(4)
    while frame != 'base':
        above, position, rotation = links[frame]
        link = np.eye(4)
        link[:3, :3], link[:3, 3] = rotation.as_matrix(), position
        whole, frame = link @ whole, above
    return whole


def test_a_chain_up_one_branch_and_down_another() -> None:
    """The pose of a tool in a camera's frame, both in trees of links, is scipy's."""
    random = np.random.default_rng(0)
    ways = ('base', 'shoulder'), ('shoulder', 'tool'), ('base', 'mast'), ('mast', 'camera')
    for _ in range(20):
        links = {
            frame: (above, random.normal(size=3), Rotation.random(random_state=random))
            for above, frame in ways}
        order = random.permutation([frame for _, frame in ways])
        reader = TfReader('camera', 'tool', READINGS, True)
        samples = [reader.read(message(transform(
            links[frame][0], frame, S, links[frame][1], links[frame][2].as_quat())), 5)
            for frame in order]
        assert samples[:3] == [None] * 3

        expected = np.linalg.inv(in_base(links, 'camera')) @ in_base(links, 'tool')
        position, rotation = pose(samples[-1])
        np.testing.assert_allclose(position, expected[:3, 3], atol=1e-12)
        np.testing.assert_allclose(rotation.as_matrix(), expected[:3, :3], atol=1e-12)


def test_age_is_that_of_the_oldest_link_that_moves() -> None:
    """A static link has no age; an outdated one makes the chain old."""
    reader = TfReader('base', 'tool', READINGS, True)
    assert reader.read(message(transform('arm', 'tool')), 1, is_static=True) is None
    first = reader.read(message(transform('base', 'rail', 5), transform('rail', 'arm', 7)), 2)
    second = reader.read(message(transform('rail', 'arm', 9)), 3)
    for sample, received in ((first, 2), (second, 3)):
        assert sample is not None
        assert (sample.stamp, sample.received) == (5, received)
    third = reader.read(message(transform('base', 'rail', 8, (1, 0, 0))), 4)
    assert pose(third)[0].tolist() == [1, 0, 0]
    assert third is not None
    assert third.stamp == 8


def test_a_link_that_is_not_sent_any_more_is_old_without_stamps_too() -> None:
    """With time: receive, the arrival of the oldest link counts, not that of the last one."""
    reader = TfReader('base', 'tool', READINGS, False)
    source = Source(
        'tool', '/tf', TF, 0.2, 'here', time=RECEIVE, parent='base', child='tool')
    reader.read(message(transform('mast', 'base')), 0, is_static=True)
    assert reader.read(message(transform('base', 'arm', 7)), S) is None
    for i in range(5):
        now = S + i * S // 10
        tool = [transform('arm', 'tool', 7)] if i < 2 else []
        sample = reader.read(message(transform('base', 'arm', 7, (i, 0, 0)), *tool), now)
        assert sample is not None
        assert pose(sample)[0].tolist() == [i, 0, 0]
        assert (sample.stamp, sample.received) == (None, S + min(i, 1) * S // 10)
    [found] = FreshnessMonitor([source]).check(now, {'tool': sample})
    assert found.reason is Reason.STALE
    assert 'nothing arrived for 0.300 s' in found.text


@pytest.mark.parametrize('time', [BOTH, RECEIVE])
def test_a_fast_link_moves_though_a_slow_one_has_its_time(time: str) -> None:
    """Sampled before the tick, the last of the poses with the time of the oldest link counts."""
    reader = TfReader('base', 'tool', READINGS, time == BOTH, 0.2 * S)
    store = SampleStore({'tool': Source(
        'tool', '/tf', TF, 0.2, 'here', time=time, sampling=BEFORE_TICK, parent='base',
        child='tool')}, in_order=True)
    for i in range(15):
        now = S + i * S // 100
        slow = [] if i % 10 else [transform('base', 'arm', now)]
        sample = reader.read(message(*slow, transform('arm', 'tool', now, (i, 0, 0))), now)
        assert sample is not None
        store.add('tool', sample)
        assert pose(store.at(now)['tool'])[0].tolist() == [i, 0, 0]


def test_a_transform_that_was_overtaken_replaces_none() -> None:
    """As in tf2, the newest stamp of each link counts, but only within the maximum age."""
    reader = TfReader('base', 'tool', READINGS, True, 0.2 * S)
    now = 10 * S

    def at(stamp: float, x: float) -> float | None:
        sample = reader.read(message(transform('rail', 'tool', round(stamp * S), (x, 0, 0))), now)
        return None if sample is None else float(pose(sample)[0][0])

    assert reader.read(message(transform('base', 'rail', now)), now) is None
    assert at(9.9, 1) == 1
    assert at(9.89, 2) is None
    assert at(9.91, 3) == 3
    assert at(9.7, 4) == 4
    now = 9 * S
    assert reader.read(message(transform('base', 'rail', now)), now) is None
    assert at(8.99, 5) == 5


def test_a_link_from_before_the_clock_was_set_back_is_not_used() -> None:
    """A simulation was reset, and one link is not sent any more: the others do not hide that."""
    reader = TfReader('base', 'tool', READINGS, True, 0.2 * S)
    reader.read(message(transform('base', 'mast')), 0, is_static=True)
    # As localisation does, it is stamped ahead of the time when it was sent.
    ahead = 101 * S
    reader.read(message(transform('mast', 'rail', ahead, (1, 0, 0))), 100 * S)
    assert reader.read(message(transform('rail', 'tool', 100 * S)), 100 * S) is not None
    for now in (S, 50 * S, 101 * S):
        assert reader.read(message(transform('rail', 'tool', now)), now) is None
    sample = reader.read(message(transform('mast', 'rail', 102 * S, (2, 0, 0))), 101 * S)
    assert sample is not None
    assert sample.stamp == 101 * S
    assert pose(sample)[0].tolist() == [2, 0, 0]


def test_a_frame_that_is_hung_elsewhere_before_that_place_is_known() -> None:
    """Static transforms come once: the one that completes the new chain has to be enough."""
    reader = TfReader('base', 'object', READINGS, True)
    reader.read(message(transform('base', 'table')), 1, is_static=True)
    before = reader.read(message(transform('table', 'object', 0, (1, 0, 0))), 2, is_static=True)
    assert pose(before)[0].tolist() == [1, 0, 0]
    # Its old pose, which had no age, is none any more.
    broken = reader.read(message(transform('shelf', 'object', 0, (5, 0, 0))), 3, True)
    assert broken is not None
    assert broken.lasts
    assert broken.problem == "the frame 'object' is not connected with 'base' any more"
    store = SampleStore({'tool': Source(
        'tool', '/tf', TF, 0.2, 'here', parent='base', child='object')}, in_order=True)
    store.add('tool', broken)
    field = ObservationField(ObservationEntry(
        'place', 'm', 'here', (0.0,) * 3, (1.0,) * 3, replace(READINGS[0], source='tool')))
    with pytest.raises(ObservationError, match='not connected'):
        field.read(store.at(3))
    assert reader.read(message(transform('base', 'other')), 4, is_static=True) is None
    after = reader.read(message(transform('base', 'shelf', 0, (0, 2, 0))), 5, is_static=True)
    assert pose(after)[0].tolist() == [5, 2, 0]
    store.add('tool', after)
    assert field.read(store.at(5)) == [5, 2, 0]
    assert reader.read(message(transform('base', 'other')), 6, is_static=True) is None


def test_unrelated_transforms_give_no_sample() -> None:
    """Other frames, and numbers that are no transform, as tf2 leaves them out."""
    reader = TfReader('base', 'tool', READINGS, True)
    assert reader.read(message(transform('/base', '/tool', 5)), 5) is not None
    assert reader.read(message(transform('base', 'camera', 6)), 6) is None
    for bad in (transform('base', 'tool', 7, (np.nan, 0, 0)),
                transform('base', 'tool', 7, rotation=(0, 0, 0, 0))):
        assert reader.read(message(bad), 7) is None


def test_frames_in_a_ring() -> None:
    """Nonsense does not hang."""
    reader = TfReader('base', 'tool', READINGS, True)
    assert reader.read(message(
        transform('a', 'tool'), transform('tool', 'a'), transform('b', 'base')), 5) is None


def robot_with_frames(folder: Path) -> RobotDescription:
    """Describe the shipped robot with the cube's pose from transforms."""
    shipped = ROOT / 'config' / 'ur5e_cube.yaml'
    text = shipped.read_text().replace(
        '    topic: cube_0_pose\n    type: geometry_msgs/msg/PoseStamped',
        '    type: tf\n    parent: world\n    child: cube')
    before, after = text.split('  - name: cube_0_position')
    after = after.replace('pose.position', 'transform.translation').replace(
        'pose.orientation', 'transform.rotation')
    path = folder / 'robot.yaml'
    path.write_text(f'{before}  - name: cube_0_position{after}')
    return load_robot_description(path)


def test_transforms_out_of_a_recording(tmp_path: Path) -> None:
    """One link that is for ever, and one that moves, as the converter reads them."""
    messages = mark(START, 'start') + [
        (START - 9 * MS, '/tf_static', message(transform('world', 'table', 0, (0.4, 0, 0))))]
    for i in range(10):
        at = START + i * PERIOD
        messages += [each for each in state(at - 2 * MS, 0.0) if each[1] != '/cube_0_pose']
        messages += [(at - 2 * MS, '/tf', message(transform(
            'table', 'cube', at - 3 * MS, (0, i / 100, 0))))]
        messages += command(at + 5 * MS, [0.0] * 5)
    types = {**TYPES, '/tf': TF, '/tf_static': TF}
    del types['/cube_0_pose']
    robot = robot_with_frames(tmp_path)
    data, _ = convert(
        [write_bag(tmp_path / 'bag', messages, types=types)], robot,
        Options(0.05, ActionLayout.of_robot(robot), unended='keep'))
    place = sum(entry.size for entry in robot.observation[:6])
    expected = np.stack([np.full(9, -0.25), np.arange(9) / 10, np.zeros(9)], axis=1)
    np.testing.assert_allclose(data.observations[:, place:place + 3], expected, atol=1e-6)


def test_the_transforms_that_a_decision_was_made_from(tmp_path: Path) -> None:
    """A replay finds them in a recording, the one that is for ever included."""
    messages = [(START - 9 * MS, '/tf_static', message(transform('world', 'table', 0, (1, 0, 0))))]
    for i in range(3):
        at = START + i * PERIOD
        messages += [each for each in state(at, 0.0, at) if each[1] != '/cube_0_pose']
        messages += [(at, '/tf', message(transform('table', 'cube', at, (0, i, 0))))]
        messages += decision(i + 1, at + 5 * MS, at, 0.0)
    types = {**TYPES, '/tf': TF, '/tf_static': TF}
    with RecordedBag(write_bag(tmp_path / 'bag', messages, types=types)) as bag:
        steps = bag.with_samples(bag.read(), robot_with_frames(tmp_path))
    assert [step.missing for step in steps] == [()] * 3
    places = [step.samples['cube_0'].values for step in steps]
    assert [each['transform.translation.x'] for each in places] == [1, 1, 1]
    assert [each['transform.translation.y'] for each in places] == [0, 1, 2]


def test_transforms_where_their_messages_are_not_installed(tmp_path: Path) -> None:
    """The error names the remedy; if the messages are installed, they can be read."""
    pytest.importorskip('rclpy')
    from dfp_ros.core.description.yaml_section import DescriptionError
    from dfp_ros.node.messages.source_reader import SourceReader
    robot = robot_with_frames(tmp_path)
    try:
        import tf2_msgs.msg  # noqa: F401
    except ImportError:
        with pytest.raises(DescriptionError, match=r'robot.yaml:\d+: sources.cube_0: found type: '
                           r'tf, which needs the package tf2_msgs'):
            SourceReader(robot.sources['cube_0'], robot)
    else:
        reader = SourceReader(robot.sources['cube_0'], robot)
        sample = reader.read(message(transform('world', 'cube', 5, (0.4, 0, 0))), 5)
        assert sample is not None
        assert sample.values['transform.translation.x'] == 0.4
        assert ObservationBuilder(robot.observation)
