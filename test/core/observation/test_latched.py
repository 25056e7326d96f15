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
"""Latched sources: a value stays valid until another one replaces it."""

from __future__ import annotations

from dataclasses import replace
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import DecisionRow
from dfp_ros.core.description.robot import count_slots, load_robot_description, RobotDescription
from dfp_ros.core.description.sources import Reception, Source
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.freshness import FreshnessMonitor
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.observation.sample_store import Instant, SampleStore
from dfp_ros.core.observation.tf_reader import TfReader
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.ros.endpoints import Endpoint
from dfp_ros.tools.preflight.arrivals import Arrivals
from dfp_ros.tools.preflight.verdict import judge
from dfp_ros.tools.replay.recorded_bag import RecordedBag
from testing import ROOT
from testing.fixtures.bags import (
    array,
    command,
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
from testing.fixtures.preflights import source
from testing.fixtures.robot_samples import rest_samples, shipped_robot
from testing.fixtures.transforms import READINGS
from testing.policies.small_policy import cube_spec, write_policy
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.convert import convert, Options

S = 1_000_000_000
LATCHED = Reception('reliable', 'transient_local', 1)


def with_latched_cube(**changes: Any) -> RobotDescription:
    """Describe the shipped robot with a cube whose place is published once."""
    robot = shipped_robot()
    changes = {'max_age': math.inf, 'time': 'receive', **changes}
    return replace(robot, sources={
        **robot.sources, 'cube_0': replace(robot.sources['cube_0'], qos=LATCHED, **changes)})


def sources(**latched: str) -> dict[str, Source]:
    """Describe an ordinary source and a latched one."""
    one = Source('arm', 'arm', 'some_msgs/msg/Type', 0.2, 'here', **latched)  # type: ignore
    return {'arm': one, 'goal': replace(one, name='goal', qos=LATCHED, max_age=math.inf)}


def goal(stamp: int | None, received: int, value: float = 0.0) -> Sample:
    """Make a sample of it."""
    return Sample(stamp, received, {'x': value}, lasts=True)


@pytest.mark.parametrize('sampling', ['newest', 'before_tick'])
def test_nothing_but_another_one_forgets_it(sampling: str) -> None:
    """Neither a reset, nor a clock that is set back, nor an activation."""
    store = SampleStore(sources(sampling=sampling))
    store.add('goal', goal(10, 20))
    store.add('arm', Sample(10, 20, {}))
    store.pass_time(30)
    assert store.at(30).keys() == {'arm', 'goal'}
    for forget in (store.clear, lambda: store.pass_time(25)):
        store.add('arm', Sample(10, 30, {}))
        forget()
        assert store.missing == ['arm']
        assert store.at(30).keys() == {'goal'}
    store = store.renewed()
    assert store.at(30).keys() == {'goal'}
    store.add('goal', goal(11, 40, 1.0))
    assert store.at(40)['goal'].values['x'] == 1.0


def test_it_is_part_of_no_instant() -> None:
    """A robot that waits for each answer gets one though the goal was set long ago."""
    store = SampleStore(sources())
    assert store.add('arm', Sample(10, 10, {})) is Instant.INCOMPLETE
    assert store.add('goal', goal(None, 3)) is Instant.NEW
    assert store.instant == 10
    assert store.add('arm', Sample(20, 20, {})) is Instant.NEW
    assert store.add('arm', Sample(20, 20, {})) is Instant.REPEATED
    assert store.add('goal', goal(None, 25)) is Instant.INCOMPLETE
    store.clear()
    assert store.add('arm', Sample(30, 30, {})) is Instant.NEW
    assert store.instant == 30


@pytest.mark.parametrize('time', ['both', 'header', 'receive'])
@pytest.mark.parametrize(('stamp', 'received'), [
    (-7200, -3600), (0, -3600), (-math.inf, -3600), (3600, 3600), (-3600, 0)])
def test_its_age_is_none_unless_one_is_given(
        time: str, stamp: float, received: float) -> None:
    """Published long ago, unstamped, before the clock was set back: valid until replaced."""
    now = 10_000 * S
    at = 0 if stamp == -math.inf else now + int(stamp) * S
    sample = goal(at, now + int(received) * S)
    endless = replace(sources()['goal'], time=time)
    assert FreshnessMonitor([endless], 1.0).check(now, {'goal': sample}) == []
    aged = replace(endless, max_age=60.0)
    reasons = [each.reason for each in FreshnessMonitor([aged]).check(now, {'goal': sample})]
    is_old = {
        'both': stamp < -60 or received < -60, 'header': stamp < -60,
        'receive': received < -60}[time]
    assert reasons == ([Reason.STALE] if is_old else [])


def test_a_missing_latched_value_is_reported_with_a_remedy() -> None:
    """It is asked for otherwise than others."""
    (found,) = FreshnessMonitor([sources()['goal']]).check(0, {})
    assert found.reason is Reason.WAITING
    assert 'durability transient_local' in found.text


def test_the_description_needs_no_maximum_age(tmp_path: Path) -> None:
    """A latched source needs no maximum age; any other one does."""
    text = (ROOT / 'config' / 'ur5e_cube.yaml').read_text()
    lines = text.split('\n')
    at = next(i for i, line in enumerate(lines) if line.strip() == 'topic: cube_0_pose')
    age = next(i for i in range(at, at + 5) if 'max_age' in lines[i])
    del lines[age]
    path = tmp_path / 'robot.yaml'
    path.write_text('\n'.join(lines))
    with pytest.raises(DescriptionError, match="the key 'max_age' is missing"):
        load_robot_description(path)
    indent = lines[at][:len(lines[at]) - len(lines[at].lstrip())]
    lines.insert(at, f'{indent}qos: {{reliability: reliable, durability: transient_local}}')
    path.write_text('\n'.join(lines))
    robot = load_robot_description(path)
    assert robot.sources['cube_0'].max_age == math.inf
    assert robot.sources['cube_0'].is_latched
    assert not robot.sources['arm'].is_latched


def test_a_controller_goes_on_with_it_after_a_reset(tmp_path: Path) -> None:
    """An hour old, and the age of the observation is that of the others."""
    robot = with_latched_cube()
    policy = OnnxPolicy(write_policy(tmp_path / 'x.onnx', cube_spec()))
    brain, store = controller(policy, robot=robot), SampleStore(robot.sources)
    now = 10_000 * S
    store.add('cube_0', replace(rest_samples(now - 3600 * S)['cube_0'], stamp=None, lasts=True))
    for _ in range(2):
        for name, sample in rest_samples(now - MS, now).items():
            if name != 'cube_0':
                store.add(name, sample)
        decision = brain.step(now, store.at(now))
        assert decision.state is State.RUNNING
        assert decision.observation_age == pytest.approx(0.001)
        brain.reset(0)
        store.clear()
        now += S


def test_frames_that_do_not_move_are_latched_too() -> None:
    """A chain of static transforms is sent once, and has no age; with one that moves it has."""
    reader = TfReader('world', 'cube', READINGS, stamped=True)

    def transforms(parent: str, child: str, stamp: int = 5) -> Any:
        return SimpleNamespace(transforms=[SimpleNamespace(
            child_frame_id=child, header=SimpleNamespace(
                frame_id=parent, stamp=SimpleNamespace(sec=stamp, nanosec=0)),
            transform=SimpleNamespace(
                translation=SimpleNamespace(x=1.0, y=0.0, z=0.0),
                rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)))])

    sample = reader.read(transforms('world', 'cube'), 7, is_static=True)
    assert sample is not None
    assert sample.lasts
    tf = Source('cube', '/tf', 'tf2_msgs/msg/TFMessage', 0.2, 'here', parent='world', child='cube')
    assert FreshnessMonitor([tf]).check(3600 * S, {'cube': sample}) == []
    reader.read(transforms('world', 'table'), 8, is_static=True)
    moving = reader.read(transforms('table', 'cube'), 9)
    assert moving is not None
    assert not moving.lasts


def test_frames_without_end_cost_no_more_than_a_moment() -> None:
    """Neither their number nor the length of their chain is without bounds."""
    reader = TfReader('world', 'f0', READINGS, stamped=True)
    chain = SimpleNamespace(transforms=[SimpleNamespace(
        child_frame_id=f'f{i}', header=SimpleNamespace(
            frame_id=f'f{i + 1}', stamp=SimpleNamespace(sec=1, nanosec=0)),
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=1.0, y=0.0, z=0.0),
            rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0))) for i in range(30_000)])
    assert reader.read(chain, 5) is None
    assert len(reader._links) <= 10_000


class Recording:
    """
    Recording of a node and a recorder that each receive a latched cube pose when they start.

    :param heard: Times at which the node receives each pose, in ms after its start; the recorder
        starts at 0 as well.
    :param recorded: Times at which the recorder receives each pose.
    """

    def __init__(
            self, folder: Path, heard: dict[int, float], recorded: dict[int, float]) -> None:
        """Have the node decide a hundred times."""
        self.robot = with_latched_cube()
        brain = controller(
            OnnxPolicy(write_policy(folder / 'x.onnx', cube_spec())), robot=self.robot)
        row = DecisionRow(self.robot.sources, 28, [
            (entry.action, entry.size) for topic in self.robot.commands
            for entry in topic.entries], count_slots(self.robot))
        read = {
            f'/{each.topic}': (each.name, SampleReader(
                self.robot.readings(each.name), each.time != 'receive',
                lasts=each.is_latched).read)
            for each in self.robot.sources.values()}
        store, messages = SampleStore(self.robot.sources), mark(START - MS // 2, 'start')
        self.seen: list[np.ndarray | None] = []
        messages += [place(START + at * MS, value) for at, value in recorded.items()]
        for number in range(100):
            now = START + number * PERIOD
            moving = [each for each in state(now - 2 * MS, 0.001 * number)
                      if each[1] != '/cube_0_pose']
            latched = [
                place(START + at * MS, value) for at, value in heard.items()
                if now - PERIOD < START + at * MS <= now or (not number and at < 0)]
            for received, topic, content in [*moving, *latched]:
                name, take = read[topic]
                store.add(name, take(content, received))
            samples = dict(store.at(now))
            decision = brain.step(now, samples)
            self.seen.append(
                decision.observation if decision.state is State.RUNNING else None)
            messages += moving
            messages += [(now + MS, '/dfp_policy/decision', array(
                row.write(number + 1, now, False, decision, samples), row.parts))]
            messages += command(now + MS, [0.0] * 5)
        messages += mark(START + 100 * PERIOD, 'success')
        self.bag = write_bag(folder / 'bag', messages, types=TYPES)

    def replayed(self) -> list[bool]:
        """Tell which decisions have all of their samples, those that the node saw."""
        from dfp_ros.core.observation.builder import ObservationBuilder
        builder = ObservationBuilder(self.robot.observation)
        with RecordedBag(self.bag) as bag:
            steps = bag.with_samples(bag.read(), self.robot)
        found = []
        for step, seen in zip(steps, self.seen, strict=True):
            found.append(not step.missing)
            if seen is not None and not step.missing:
                np.testing.assert_array_equal(
                    builder.build(step.samples, step.decision.stamp), seen)
                assert step.samples['cube_0'].received == step.decision.received['cube_0']
        return found

    def converted(self, ticks: Any) -> Any:
        """Convert it."""
        return convert([self.bag], self.robot, Options(
            0.05, ActionLayout.of_robot(self.robot), ticks=ticks))


def place(time: int, value: float) -> Message:
    """Make the message with the cube's place; its stamp says nothing."""
    return time, '/cube_0_pose', make('PoseStamped', header=make(
        'Header', stamp=make('Time', sec=0, nanosec=0), frame_id='world'), pose=make(
            'Pose', position=make('Point', x=0.4, y=value, z=0.2),
            orientation=make('Quaternion', x=0.0, y=0.0, z=0.0, w=1.0)))


@pytest.mark.parametrize(('heard', 'recorded'), [
    # The recorder was there first, or the node was, or the place changes meanwhile.
    ({-1: 0.1}, {-3_600_000: 0.1}), ({-3_600_000: 0.1}, {-1: 0.1}),
    ({-3_600_000: 0.1, 2000: 0.2, 3333: 0.3}, {-3: 0.1, 2001: 0.2, 3330: 0.3})])
def test_a_latched_value_is_recorded_in_either_start_order(
        tmp_path: Path, heard: dict[int, float], recorded: dict[int, float]) -> None:
    """Replay and conversion find the place that the node knew, at every decision."""
    made = Recording(tmp_path, heard, recorded)
    assert all(made.replayed())
    data, report = made.converted('decisions')
    assert not report.problems
    assert report.difference == 0
    np.testing.assert_array_equal(data.observations, made.seen[:-1])
    data, report = made.converted('grid')
    assert not report.problems
    assert len(data.observations) >= 95


def test_a_place_that_was_replaced_before_the_recorder_heard_of_it(tmp_path: Path) -> None:
    """The node's earlier value is not in the recording, and no other value replaces it."""
    made = Recording(tmp_path, {-3_600_000: 0.1, 1990: 0.2}, {1991: 0.2})
    found = made.replayed()
    assert not any(found[:39])
    assert all(found[41:])
    data, report = made.converted('decisions')
    assert report.problems['sample not recorded'] >= 39
    assert report.difference == 0


def test_preflight_counts_earlier_latched_values() -> None:
    """There is no rate, gap or age: only a value, and a publisher that would send it again."""
    arrivals = Arrivals(100 * S, goal(None, 5))
    found = arrivals.figures(110 * S, [])
    assert found['has_value']
    assert found['count'] == 0
    assert not Arrivals(100 * S).figures(110 * S, [])['has_value']

    def remarks(**changes: Any) -> str:
        latched = source(
            is_latched=True, count=0, rate=math.nan, longest_gap=10.0, offset=math.nan,
            smallest_offset=math.nan, **changes)
        return ' '.join(each.text for each in judge(latched).remarks)

    assert not remarks(has_value=True)
    assert 'has published' in remarks(has_value=False)
    assert 'publisher that is gone' in remarks(has_value=True, publishers=())
    assert 'it has no publisher' in remarks(has_value=False, publishers=())
    assert 'nothing comes from /goal' in remarks(
        has_value=False, publishers=(Endpoint('/goal', 'volatile'),))
