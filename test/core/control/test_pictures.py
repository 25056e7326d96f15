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
"""Control steps with pictures: what the policy gets, and what stops the robot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('PIL')

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.decision_row import DecisionRow, read_decision
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.policy.interface import Chunk
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.spec import SpecMismatch
from testing.fixtures.cameras import camera_robot, camera_samples, raw, scene
from testing.fixtures.controllers import controller, S, TICK
from testing.policies.picture_policy import camera_spec, IMAGES, write_picture_policy

START = 100 * S
ROBOT = camera_robot()
ROW = DecisionRow(ROBOT.sources, 2, [('speed', 2)], images=['wrist', 'depth'])


class Counted:
    """A policy that keeps the pictures that it was given."""

    def __init__(self, policy: OnnxPolicy) -> None:
        self.spec = policy.spec
        self._policy = policy
        self.seen: list[Pictures] = []

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """Answer."""
        self.seen.append(pictures)
        return self._policy.act(observation, noise, state, pictures)


@pytest.fixture(name='policy', scope='module')
def seeing_policy(tmp_path_factory: pytest.TempPathFactory) -> OnnxPolicy:
    """Load a policy that sees."""
    return OnnxPolicy(write_picture_policy(tmp_path_factory.mktemp('policy') / 'seeing.onnx'))


def run(
        made: Controller, ticks: int, robot: RobotDescription = ROBOT,
        change: Callable[[int, dict[str, Sample]], Any] = lambda i, samples: None,
        seed: Callable[[int], int] = lambda i: i) -> list[Decision]:
    """Step at the control rate, with another picture at each tick unless the seed says not."""
    decisions = []
    for i in range(ticks):
        now = START + i * TICK
        samples = camera_samples(robot, now, seed(i))
        change(i, samples)
        decisions.append(made.step(now, samples))
    return decisions


def test_a_chunk_encodes_once(policy: OnnxPolicy) -> None:
    """The policy is asked once for each chunk, with the pictures of that tick."""
    counted = Counted(policy)
    decisions = run(controller(counted, robot=ROBOT), 9)
    assert [decision.state for decision in decisions] == [State.RUNNING] * 9
    assert len(counted.seen) == 3
    noise = NoiseStream(3, 2, policy.spec.noise_size)
    for i, given in zip((0, 4, 8), counted.seen, strict=True):
        expected = tuple(
            camera_samples(ROBOT, START, i)[name].values[image].pixels
            for name, image in (('wrist_camera', 'wrist'), ('depth_camera', 'depth')))
        for mine, theirs in zip(given, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        chunk = policy.act(np.array([0.1, -0.2], np.float32), noise.next(), pictures=expected)
        np.testing.assert_array_equal(decisions[i].action, chunk.actions[0])


def test_a_prepared_chunk_sees_the_picture_of_its_tick(policy: OnnxPolicy) -> None:
    """A chunk that is asked for ahead gets what the tick before it saw."""
    counted = Counted(policy)
    made = controller(counted, robot=ROBOT, planning=PlanningSettings(ahead=True))
    for i in range(5):
        now = START + i * TICK
        made.step(now, camera_samples(ROBOT, now, i))
        made.planner.prepare()
    assert len(counted.seen) == 2
    np.testing.assert_array_equal(
        counted.seen[1][0], camera_samples(ROBOT, START, 3)['wrist_camera'].values['wrist'].pixels)


BAD = {
    'wrong encoding': (raw(scene(0), 'bgr8'), "the encoding 'bgr8'"),
    'short data': (raw(scene(0), 'rgb8', data=b'1234'), 'has 4 bytes of data, expected 9216'),
    'no size': (raw(scene(0)[:0], 'rgb8'), 'is 64 x 0 pixels'),
    'another size': (raw(scene(0, (24, 32, 3)), 'rgb8'), 'is 32 x 24 pixels')}


@pytest.mark.parametrize('fault', BAD)
def test_a_bad_picture_stops_the_robot(policy: OnnxPolicy, fault: str) -> None:
    """It is named with source and picture; the next good one lets the robot go on."""
    message, text = BAD[fault]

    def change(i: int, samples: dict[str, Sample]) -> None:
        if i in (2, 3):
            time = START + i * TICK
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(time, S)
            samples.update(camera_samples(ROBOT, time, wrist_camera=message))

    counted = Counted(policy)
    decisions = run(controller(counted, robot=ROBOT), 6, change=change)
    assert [decision.state for decision in decisions] == [
        State.RUNNING, State.RUNNING, State.HOLD, State.HOLD, State.RUNNING, State.RUNNING]
    for decision in decisions[2:4]:
        assert decision.reason == Reason.UNREADABLE
        assert decision.text.startswith("wrist: source 'wrist_camera': ")
        assert text in decision.text
        assert decision.sent is not None
        assert not decision.sent.any()
        assert decision.pictures == ()
    # After a hold, the policy plans anew.
    assert decisions[4].chunk_index == 0
    assert len(counted.seen) == 2


def test_a_camera_that_falls_silent_or_was_never_there(policy: OnnxPolicy) -> None:
    """It is stale, or waited for, as any other source."""
    def change(i: int, samples: dict[str, Sample]) -> None:
        if i < 2:
            del samples['depth_camera']
        elif i > 3:
            samples['depth_camera'] = camera_samples(ROBOT, START + 3 * TICK, 3)['depth_camera']

    decisions = run(controller(policy, robot=ROBOT), 16, change=change)
    assert [decision.reason for decision in decisions[:2]] == [Reason.WAITING] * 2
    assert decisions[0].sent is None
    assert decisions[13].state is State.RUNNING
    assert decisions[14].reason == Reason.STALE
    assert 'depth_camera' in decisions[14].text


def stuck_robot(folder: Path) -> RobotDescription:
    """Describe the robot with a camera whose pictures always change."""
    return camera_robot(folder, {'channels: rgb': 'channels: rgb, changes_within: 0.32'})


@pytest.mark.parametrize('response', ['warn', 'hold'])
def test_a_frozen_camera(policy: OnnxPolicy, tmp_path: Path, response: str) -> None:
    """The same picture with fresh stamps is stuck after the time of the description."""
    robot = stuck_robot(tmp_path)
    made = controller(policy, robot=robot, settings=SafetySettings(stuck=response))
    decisions = run(made, 20, robot, seed=lambda i: i if i < 4 or i > 15 else 4)
    stuck = [i for i, decision in enumerate(decisions) if Reason.STUCK in decision.reason]
    assert stuck == list(range(11, 16))
    assert decisions[11].text == (
        "wrist has been exactly the same for 0.35 s, though messages of source 'wrist_camera' "
        'come; it changes within 0.32 s (changes_within)')
    expected = Response.WARN if response == 'warn' else Response.HOLD
    assert {decisions[i].response for i in stuck} == {expected}


def test_a_frozen_picture_whose_stamps_go_back_and_forth(
        policy: OnnxPolicy, tmp_path: Path) -> None:
    """It is stuck, too."""
    robot = stuck_robot(tmp_path)

    def change(i: int, samples: dict[str, Sample]) -> None:
        time = START + (i - 2 * (i % 2)) * TICK
        samples['wrist_camera'] = camera_samples(
            robot, time, wrist_camera=raw(scene(0), 'rgb8', time))['wrist_camera']

    decisions = run(controller(policy, robot=robot), 20, robot, change)
    assert Reason.STUCK in decisions[-2].reason


def test_a_scene_at_rest_is_not_stuck(policy: OnnxPolicy, tmp_path: Path) -> None:
    """The noise of the camera is compared, which a scaled picture may not have."""
    robot = stuck_robot(tmp_path)

    def change(i: int, samples: dict[str, Sample]) -> None:
        pixels = np.full((48, 64, 3), 100, np.uint8)
        # Outside of the part that the policy sees.
        pixels[0, 0, 0] = i
        samples['wrist_camera'] = camera_samples(
            robot, START + i * TICK, wrist_camera=raw(pixels, 'rgb8', START + i * TICK),
        )['wrist_camera']

    decisions = run(controller(policy, robot=robot), 20, robot, change)
    assert len({decision.pictures[0].number for decision in decisions}) == 1
    assert all(decision.reason == Reason.NONE for decision in decisions)


def test_frozen_cameras_are_not_watched_by_default(policy: OnnxPolicy) -> None:
    """A simulated scene at rest is the same to the last bit."""
    decisions = run(controller(policy, robot=ROBOT), 60, seed=lambda i: 0)
    assert all(decision.reason == Reason.NONE for decision in decisions)


def test_decisions_have_the_hashes_of_the_pictures(policy: OnnxPolicy) -> None:
    """The first 48 bits of the SHA-256 of what the policy got; none without an observation."""
    made = controller(policy, robot=ROBOT)
    samples = camera_samples(ROBOT, START, 7)
    decision = made.step(START, samples)
    row = ROW.write(1, START, False, decision, samples)
    found = read_decision(ROW.parts, row)
    for name, picture in zip(('wrist', 'depth'), decision.pictures, strict=True):
        digest = hashlib.sha256(picture.pixels.tobytes()).hexdigest()
        assert found.pictures[name] == int(digest[:12], 16) == picture.number
    bad = camera_samples(ROBOT, START + TICK, wrist_camera=BAD['no size'][0])
    row = ROW.write(2, START, False, made.step(START + TICK, bad), bad)
    assert read_decision(ROW.parts, row).pictures == {}
    assert all(map(math.isnan, row[-2:]))


@pytest.mark.parametrize('value', [-1.0, 0.5e300, math.inf])
def test_recorded_hashes_are_bounded(policy: OnnxPolicy, value: float) -> None:
    """A recording may have anything in their place."""
    samples = camera_samples(ROBOT, START)
    row = ROW.write(
        1, START, False, controller(policy, robot=ROBOT).step(START, samples), samples)
    row[-1] = value
    with pytest.raises(ValueError, match="the part 'picture/depth': found"):
        read_decision(ROW.parts, row)


def test_policies_with_other_pictures_do_not_follow(policy: OnnxPolicy, tmp_path: Path) -> None:
    """Neither on this robot nor after a policy that sees something else."""
    with pytest.raises(SpecMismatch, match='image field 0: policy'):
        controller(policy, robot=replace(ROBOT, images=ROBOT.images[::-1]))
    other = OnnxPolicy(write_picture_policy(
        tmp_path / 'x.onnx', camera_spec(images=IMAGES[:1])))
    with pytest.raises(SpecMismatch, match='image field 1: policy'):
        controller(policy, robot=ROBOT).transfer_from(
            controller(other, robot=replace(ROBOT, images=ROBOT.images[:1])))


def test_the_envelope_is_of_numbers(policy: OnnxPolicy) -> None:
    """Pictures have none, and joints outside of their range are found as before."""
    def change(i: int, samples: dict[str, Sample]) -> None:
        samples['arm'] = replace(samples['arm'], values={
            **samples['arm'].values, 'position': [9.0, 0.0]})

    made = controller(policy, robot=ROBOT)
    decision = run(made, 1, change=change)[0]
    assert Reason.OUTSIDE_ENVELOPE in decision.reason
    assert made.outside == {'joints[0]': 1}
