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
"""Property tests of observations: complete and finite, or an error with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
import numpy as np
import pytest

from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.sample import NotReadyError, ObservationError, Sample
from dfp_ros.core.observation.sample_store import SampleStore
from testing.fixtures.descriptions import GRIP

TEXT = """
robot: test
sources:
  tool: {topic: tool, type: geometry_msgs/msg/PoseStamped, max_age: 1.0, sampling: before_tick}
  arm: {topic: arm, type: sensor_msgs/msg/JointState, max_age: 1.0}
  poses: {topic: poses, type: geometry_msgs/msg/PoseArray, max_age: 1.0}
observation:
  - {name: joints, unit: rad, source: arm, path: position, joints: [b, a], scale: [2, 1.0e+12]}
  - {name: speed, unit: rad/s, source: arm, path: position, joints: [a], derivative: true}
  - {name: some, unit: m, source: arm, path: position, indices: [1], clip: [-1, 1], history: 2}
  - {name: turn, unit: '1', source: tool, path: pose.orientation, transform: rotation_6d,
     history: 3, at_start: fill}
  - {name: quaternion, unit: '1', source: tool, path: pose.orientation, components: [x, y, z, w]}
  - {name: seen, unit: m, source: poses, path: 'poses[1].position', components: [x, y, z],
     relative_to: {source: tool, position: pose.position, orientation: pose.orientation}}
  - {name: yaw, unit: rad/s, source: tool, path: pose.orientation, transform: yaw,
     derivative: true, at_start: fill, history: 2}
  - {name: gap, unit: m, source: poses, path: 'poses[1].position.x', minus: {source: arm,
     path: position, indices: [0]}}
  - {name: number, unit: m, constant: [1, 2]}
""" + GRIP
SIZE = 2 + 1 + 2 + 18 + 4 + 3 + 2 + 1 + 2

# Mostly numbers that a robot sends, and everything else that a message can carry.
numbers = some.one_of(
    some.floats(-10, 10), some.floats(-10, 10), some.floats(), some.sampled_from([1e300, True, 7]))
BROKEN = (None, 'text', [], [[1.0, 2.0]], 10**400, object())
angles = some.floats(-4, 4)


@some.composite
def arms(draw: Any) -> dict[str, Any]:
    """Draw joints in any order, some missing, with arrays of any length."""
    names = draw(some.permutations(['a', 'b', 'c']))
    return {
        'name': draw(some.sampled_from([names, names, names, names[:1], []])),
        'position': draw(some.lists(numbers, min_size=0, max_size=4)) if draw(
            some.integers(0, 5)) == 0 else draw(some.lists(numbers, min_size=3, max_size=3))}


@some.composite
def points(draw: Any, path: str) -> dict[str, Any]:
    """Draw three numbers."""
    return {f'{path}.{name}': draw(numbers) for name in 'xyz'}


@some.composite
def tools(draw: Any) -> dict[str, Any]:
    """Draw a pose, mostly turned by some angle."""
    half = draw(angles) / 2
    turn = {'w': np.cos(half), 'x': 0.0, 'y': 0.0, 'z': np.sin(half)}
    if draw(some.integers(0, 4)) == 0:
        turn = {name: draw(numbers) for name in 'wxyz'}
    return {
        **draw(points('pose.position')),
        **{f'pose.orientation.{name}': value for name, value in turn.items()}}


@some.composite
def messages(draw: Any) -> tuple[str, dict[str, Any]]:
    """Draw a source and the values of its message, now and then with one that is broken."""
    source = draw(some.sampled_from(['tool', 'arm', 'poses']))
    values = draw({
        'tool': tools(), 'arm': arms(), 'poses': points('poses[1].position')}[source])
    if draw(some.integers(0, 9)) == 0:
        values[draw(some.sampled_from(sorted(values)))] = draw(some.sampled_from(BROKEN))
    return source, values


@pytest.fixture(name='robot', scope='module')
def described_robot(tmp_path_factory: pytest.TempPathFactory) -> RobotDescription:
    """Describe a robot that has a field of every kind."""
    path = tmp_path_factory.mktemp('robot') / 'robot.yaml'
    path.write_text(TEXT)
    return load_robot_description(path)


def good(value: float, angle: float, time: int) -> dict[str, Sample]:
    """Make samples with which nothing is wrong."""
    turn = {'w': np.cos(angle / 2), 'x': 0.0, 'y': 0.0, 'z': np.sin(angle / 2)}
    values: dict[str, dict[str, Any]] = {
        'arm': {'name': ['a', 'b'], 'position': [value, value]},
        'poses': {f'poses[1].position.{name}': value for name in 'xyz'},
        'tool': {**{f'pose.position.{name}': value for name in 'xyz'},
                 **{f'pose.orientation.{name}': part for name, part in turn.items()}}}
    return {name: Sample(time, time, each) for name, each in values.items()}


@given(some.lists(some.tuples(
    messages(), some.integers(0, 50), some.integers(0, 50), some.integers(-3, 10),
    some.booleans()), max_size=15))
@settings(max_examples=50)
def test_finite_or_an_error(robot: RobotDescription, course: list[Any]) -> None:
    """Messages and ticks come in any order and at any time."""
    builder, store, now = ObservationBuilder(robot.observation), SampleStore(robot.sources), 0
    for name, sample in good(0.5, 1.0, 0).items():
        store.add(name, sample)
    for (source, values), stamp, received, step, is_reset in course:
        now += step
        store.pass_time(now)
        store.add(source, Sample(stamp, received, values))
        if is_reset and step == 0:
            builder.reset()
        try:
            observation = builder.build(store.at(now), now)
        except ObservationError:
            continue
        assert observation.dtype == np.float32
        assert observation.shape == (SIZE,)
        assert np.isfinite(observation).all()


def test_every_value_that_is_none(robot: RobotDescription) -> None:
    """A value that is not finite, at any index, is an error that names it."""
    samples = good(0.5, 1.0, 0)
    for source, sample in samples.items():
        for leaf in sample.values:
            for value in BROKEN:
                broken = replace(sample, values={**sample.values, leaf: value})
                with pytest.raises(ObservationError) as caught:
                    ObservationBuilder(robot.observation).build({**samples, source: broken}, 0)
                assert source in str(caught.value), (leaf, value)


@given(some.lists(some.tuples(some.floats(-10, 10), angles), min_size=3, max_size=8))
def test_good_samples_give_observations(
        robot: RobotDescription, course: list[tuple[float, float]]) -> None:
    """With messages that are right, all is there at the second tick, and from then on."""
    builder = ObservationBuilder(robot.observation)
    for tick, (value, angle) in enumerate(course):
        samples = good(value, angle, tick)
        if tick:
            assert builder.build(samples, tick).shape == (SIZE,)
        else:
            with pytest.raises(NotReadyError, match='speed'):
                builder.build(samples, tick)
