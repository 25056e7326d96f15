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
"""Pictures of a policy whose inference runs beside the loop, in decisions and in a replay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('PIL')

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.robot_limits import make_limits
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import DecisionRow, read_decision
from dfp_ros.core.control.input_log import Failed, InputLog
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.pictures.picture import hash_bytes
from dfp_ros.core.planning.background_planner import BackgroundPlanner
from dfp_ros.core.policy.background import BackgroundInference
from dfp_ros.core.policy.interface import Chunk
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.tools.replay.replayed_policy import Conditions, ReplayedInference
from dfp_ros.tools.replay.replayer import RecordedStep, Replayer
from testing.fixtures.cameras import camera_robot, camera_samples
from testing.policies.picture_policy import camera_spec, write_picture_policy
from testing.policies.ticked_inference import TickedInference

ROBOT, SPEC, PERIOD = camera_robot(), camera_spec(horizon=12), 50_000_000
NAMES = [image.name for image in SPEC.images]
ROW = DecisionRow(
    ROBOT.sources, SPEC.observation_size, [(member.name, member.size) for member in SPEC.action],
    has_plan=True, images=NAMES)


class Hashing:
    """
    Policy that keeps the hashes of the pictures that it was given.

    :ivar seen: The hashes of each call, by name.
    """

    def __init__(self, policy: OnnxPolicy) -> None:
        self.spec = policy.spec
        self.seen: list[dict[str, int]] = []
        self._policy = policy

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """Answer."""
        self.seen.append({
            name: hash_bytes(picture) for name, picture in zip(NAMES, pictures, strict=True)})
        return self._policy.act(observation, noise, state, pictures)


@pytest.fixture(name='policy', scope='module')
def seeing_policy(tmp_path_factory: pytest.TempPathFactory) -> OnnxPolicy:
    """Load a policy that sees."""
    return OnnxPolicy(
        write_picture_policy(tmp_path_factory.mktemp('policy') / 'seeing.onnx', SPEC))


def make(inference: Any) -> Controller:
    """Make a controller."""
    planner = BackgroundPlanner(
        inference, NoiseStream(3, 2, SPEC.noise_size), PERIOD,
        PlanningSettings(asynchronous=True, lead=0.2))
    return Controller(
        ROBOT, SPEC, planner, CommandLimiter(make_limits(ROBOT, SPEC), PERIOD), tick=PERIOD)


def record(policy: OnnxPolicy, count: int) -> tuple[list[RecordedStep], list[dict[str, int]]]:
    """Run steps with another picture at each; return them, and the pictures of each request."""
    hashing, log = Hashing(policy), InputLog()
    inference = TickedInference(hashing, 3)
    made, steps = make(inference), []
    log.loop = 1
    made.reset(3)
    log.reset(3)
    for i in range(count):
        inference.pass_tick()
        now = 10**18 + i * PERIOD
        samples: dict[str, Sample] = camera_samples(ROBOT, now, i)
        row = np.array(ROW.write(
            i + 1, now, False, made.step(now, samples), samples, log.step(
                'a' * 64, False, Failed.NOTHING)))
        made.planner.prepare()
        steps.append(RecordedStep(read_decision(ROW.parts, row), row, samples))
    return steps, hashing.seen


def replay(steps: list[RecordedStep], policy: OnnxPolicy) -> Replayer:
    """Replay steps."""
    conditions = Conditions()
    replayer = Replayer(
        ROW, lambda loop: make(ReplayedInference(policy, conditions)),
        lambda before, until: range(before + 1, until + 1), conditions)
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        replayer.step(step, following)
    return replayer


def test_a_chunk_is_planned_from_the_pictures_of_its_request(policy: OnnxPolicy) -> None:
    """The decision of the step that it names has their hashes, not that of the answer."""
    steps, asked = record(policy, 40)
    assert all(step.decision.state is State.RUNNING for step in steps[3:])
    origins = []
    for step in steps[3:]:
        plan = step.decision.plan
        assert plan is not None
        assert plan.origin is not None
        if plan.origin.step not in origins:
            origins.append(plan.origin.step)
            assert step.decision.pictures != steps[plan.origin.step - 1].decision.pictures
    assert len(origins) > 3
    assert [steps[i - 1].decision.pictures for i in origins] == asked[:len(origins)]
    assert len({row['wrist'] for row in asked}) == len(asked)


def test_a_replay_is_equal(policy: OnnxPolicy) -> None:
    """Bit for bit, from the pictures; one that was changed afterwards is found."""
    steps, _ = record(policy, 40)
    replayer = replay(steps, policy)
    assert replayer.first is None, replayer.first
    assert replayer.replayed == len(steps)
    # Of the first request, whose answer comes three steps later.
    others = camera_samples(ROBOT, steps[0].decision.stamp, 99)
    changed = [replace(steps[0], samples={**steps[0].samples, **others}), *steps[1:]]
    assert replay(changed, policy).different > 5


def test_the_thread_gets_the_pictures(policy: OnnxPolicy) -> None:
    """Those that were there when it was asked."""
    samples = camera_samples(ROBOT, PERIOD)
    pictures = tuple(
        samples[f'{name}_camera'].values[name].pixels for name in NAMES)
    observation = np.array([0.1, -0.2], np.float32)
    noise = NoiseStream(3, 2, SPEC.noise_size).next()
    inference = BackgroundInference(policy)
    chunk = inference.ask(observation, noise, pictures).future.result(60)
    np.testing.assert_array_equal(
        chunk.actions, policy.act(observation, noise, pictures=pictures).actions)
