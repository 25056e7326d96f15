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
"""Observations, compared with the simulator's own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.description.joint_layout import joint_layout
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.sample import NotFiniteError, ObservationError, Sample
from testing.fixtures.robot_samples import ARM, ogbench_messages, rest_samples, shipped_robot


def changed(samples: dict[str, Sample], source: str, **values: Any) -> dict[str, Sample]:
    """Replace values of one source; ``__`` in a key stands for a dot."""
    new = {key.replace('__', '.'): value for key, value in values.items()}
    sample = samples[source]
    return {**samples, source: replace(sample, values={**sample.values, **new})}


def test_equals_ogbench_through_real_messages() -> None:
    """Over real messages, the description gives OGBench's own observation in many states."""
    pytest.importorskip('rclpy')
    from rclpy.serialization import deserialize_message, serialize_message

    from dfp_ros.node.messages.source_reader import SourceReader
    from dfp_ros.sim.simulation.ogbench_env import make_env
    robot = shipped_robot()
    readers = {name: SourceReader(source, robot) for name, source in robot.sources.items()}
    builder = ObservationBuilder(robot.observation)
    env = make_env('cube-single-singletask-task2-v0')
    random = np.random.default_rng(0)
    yaws = []
    for episode in range(4):
        expected, _ = env.reset(seed=episode)
        for _ in range(50):
            samples = {}
            for name, message in ogbench_messages(env, random).items():
                kind = readers[name].message_type
                received = deserialize_message(serialize_message(message), kind)
                samples[name] = readers[name].read(received, 0)
            found = builder.build(samples, 0)
            assert found.shape == (28,)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
            yaws.append(found[15:17])
            expected, *_ = env.step(random.uniform(-1, 1, 5).astype(np.float32))
    env.close()
    # The arm turned, or the comparison of yaw would be a weak one.
    assert np.ptp(yaws, axis=0).max() > 0.5


@pytest.mark.parametrize('angle', np.linspace(-np.pi, np.pi, 17))
@pytest.mark.parametrize('sign', [1, -1])
def test_yaw(angle: float, sign: int) -> None:
    """A quaternion and its negative are one rotation, with one yaw."""
    samples = changed(
        rest_samples(0), 'effector', pose__orientation__w=sign * np.cos(angle / 2),
        pose__orientation__z=sign * np.sin(angle / 2))
    observation = ObservationBuilder(shipped_robot().observation).build(samples, 0)
    np.testing.assert_allclose(observation[15:17], [np.cos(angle), np.sin(angle)], atol=1e-6)


def test_joints_by_name_when_the_order_changes() -> None:
    """Joint order is the description's, message by message."""
    builder = ObservationBuilder(shipped_robot().observation)
    for order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 0, 1, 5, 3, 4]):
        samples = changed(
            rest_samples(0), 'arm', name=[ARM[i] for i in order],
            position=[float(i) for i in order])
        np.testing.assert_array_equal(builder.build(samples, 0)[:6], range(6))


def test_arrays_are_the_caller_s() -> None:
    """An observation does not change when the next one is built."""
    builder = ObservationBuilder(shipped_robot().observation)
    first = builder.build(rest_samples(0), 0)
    kept = first.copy()
    builder.build(changed(rest_samples(0), 'arm', position=[9.0] * 6), 0)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(('source', 'values', 'message'), [
    ('arm', {'position': [0.0, np.nan, 0, 0, 0, 0]}, r'joint_positions\[1\] is nan \(source .arm'),
    ('arm', {'velocity': [0, 0, 0, 0, 0, -np.inf]}, r'joint_velocities\[5\] is -inf'),
    ('gripper', {'effort': [np.nan]}, r'gripper_contact\[0\] is nan'),
    ('effector', {'pose__position__z': np.nan}, r'effector_position\[2\] is nan'),
    # What fits a double need not fit the policy's float.
    ('cube_0', {'pose__position__x': 1e300}, r'cube_0_position\[0\] is inf'),
    ('cube_0', {'pose__orientation__x': np.nan}, 'cube_0_quaternion: pose.orientation'),
    ('effector', {'pose__orientation__w': np.inf}, 'effector_yaw: pose.orientation'),
])
def test_not_finite(source: str, values: dict[str, Any], message: str) -> None:
    """The field and the source are named."""
    with pytest.raises(NotFiniteError, match=message):
        ObservationBuilder(shipped_robot().observation).build(
            changed(rest_samples(0), source, **values), 0)


@pytest.mark.parametrize(('source', 'values', 'message'), [
    ('arm', {'name': [*ARM[:5], 'wrist3_joint']},
     "joint 'wrist_3_joint' is not in the messages of source 'arm'; did you mean 'wrist3_joint'"),
    ('arm', {'name': []}, "joint 'shoulder_pan_joint' is not in the messages"),
    ('arm', {'velocity': []}, "velocity of source 'arm' has 0 numbers, expected at least 6"),
    ('gripper', {'effort': []}, "effort of source 'gripper' has 0 numbers"),
    ('cube_0', {'pose__orientation__w': 0.0}, 'a quaternion of length 0, expected 1'),
    ('effector', {'pose__orientation__w': 0.9}, 'a quaternion of length 0.9, expected 1'),
])
def test_unreadable(source: str, values: dict[str, Any], message: str) -> None:
    """Missing values are errors, never invented."""
    with pytest.raises(ObservationError, match=message):
        ObservationBuilder(shipped_robot().observation).build(
            changed(rest_samples(0), source, **values), 0)


@pytest.mark.parametrize(('values', 'message'), [
    ({'name': [*ARM, ARM[0]], 'position': [0.1] * 7}, "names joint 'shoulder_pan_joint' twice"),
    ({'position': [0.1] * 7}, "position of source 'arm' has 7 numbers for 6 names"),
    ({'name': [*ARM, 'finger']}, "position of source 'arm' has 6 numbers for 7 names"),
    ({'position': []}, 'has 0 numbers, expected at least 6')])
def test_an_ambiguous_message_is_not_read_by_index_either(
        values: dict[str, Any], message: str) -> None:
    """An array that is read by joints and by indices is not taken apart, but has to be clear."""
    first = shipped_robot().observation[0]
    by_index = replace(first, name='first', offset=(0.0,), scale=(1.0,), reading=replace(
        first.readings[0], joints=(), indices=(0,)))
    assert joint_layout([first.readings[0], by_index.readings[0]]) is None
    builder = ObservationBuilder([first, by_index])
    assert builder.build(rest_samples(0), 0).size == 7
    with pytest.raises(ObservationError, match=message):
        builder.build(changed(rest_samples(0), 'arm', **values), 0)
