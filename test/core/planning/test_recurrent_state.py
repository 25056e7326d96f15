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
"""State of a recurrent policy: passed on from answer to answer, and begun again after a break."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import State
from dfp_ros.core.control.factory import make_planner
from dfp_ros.core.policy.deadline import DeadlinePolicy
from dfp_ros.core.policy.interface import Chunk
from dfp_ros.core.policy.onnx_policy import OnnxPolicy, PolicyError
from dfp_ros.core.settings.node import Settings
from dfp_ros.core.settings.planning import PlanningSettings
from testing.fixtures.controllers import controller, S, TICK
from testing.fixtures.robot_samples import rest_samples, shipped_robot
from testing.policies.small_policy import cube_spec, write_policy

SPEC = cube_spec(horizon=1, state_size=1)


class Counting:
    """Policy whose state, and whose action times 100, is the number of calls before."""

    def __init__(self, name: str = 'test') -> None:
        self.spec = replace(SPEC, name=name)

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None) -> Chunk:
        """Count."""
        count = 0.0 if state is None else float(state[0])
        return Chunk(
            np.full((1, 5), count / 100, np.float32), 0.0, 0.0,
            np.array([count + 1], np.float32))


class Steps:
    """Controller that is stepped at the control rate."""

    def __init__(self, used: Controller) -> None:
        self.controller = used
        self._now = 100 * S

    def __call__(self, count: int, age: int = 1000) -> list[int | None]:
        """Step; return how many calls the state has seen, None without an action."""
        found: list[int | None] = []
        for _ in range(count):
            self._now += TICK
            decision = self.controller.step(self._now, rest_samples(self._now - age, self._now))
            found.append(None if decision.state is not State.RUNNING or decision.action is None
                         else round(float(decision.action[0]) * 100))
        return found


def test_it_begins_again_after_every_break() -> None:
    """With the episode, after a hold, and after the last command before silence."""
    steps = Steps(controller(Counting(), candidates=1))
    assert steps(3) == [0, 1, 2]
    assert steps(2, age=10 * S) == [None, None]
    assert steps(3) == [0, 1, 2]
    steps.controller.operator.stop('x')
    assert steps(1) == [None]
    steps.controller.operator.resume()
    assert steps(2) == [0, 1]
    steps.controller.reset(3)
    assert steps(2) == [0, 1]
    steps.controller.halt()
    assert steps(2) == [0, 1]


def test_a_change_of_parameters_keeps_it() -> None:
    """Another policy begins with its own first state, the same one goes on."""
    steps = Steps(controller(Counting(), candidates=1))
    assert steps(3) == [0, 1, 2]
    for policy, expected in ((Counting(), [3, 4]), (Counting('other'), [0, 1])):
        made = controller(policy, candidates=1)
        made.transfer_from(steps.controller)
        steps.controller = made
        assert steps(2) == expected


def test_it_goes_through_the_deadline() -> None:
    """A policy with a deadline has its state, too."""
    steps = Steps(controller(DeadlinePolicy(Counting(), 5.0), candidates=1))
    assert steps(3) == [0, 1, 2]


def test_a_file_with_a_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same answers for the same state; another state is refused."""
    spec = cube_spec(state_size=7)
    path = write_policy(tmp_path_factory.mktemp('policy') / 'x.onnx', spec, gain=0.5)
    policy = OnnxPolicy(path)
    assert policy.spec.state_size == 7
    observation, noise = np.ones(28, np.float32), np.zeros((1, 25), np.float32)
    first = policy.act(observation, noise)
    assert first.state is not None
    assert first.state.shape == (7,)
    kept = first.state.copy()
    second = policy.act(observation, noise, first.state)
    np.testing.assert_array_equal(first.state, kept)
    assert np.abs(second.actions - first.actions).max() > 1e-3
    again = policy.act(observation, noise, kept)
    np.testing.assert_array_equal(again.actions, second.actions)
    np.testing.assert_array_equal(
        policy.act(observation, noise, np.zeros(7, np.float32)).actions, first.actions)
    with pytest.raises(PolicyError, match=r'state: found shape \(3,\) of float32, policy'):
        policy.act(observation, noise, np.zeros(3, np.float32))


def test_files_without_a_state_are_as_before() -> None:
    """Earlier releases read their specification."""
    assert 'state_size' not in cube_spec().to_json()
    assert cube_spec(state_size=3).from_json(cube_spec(state_size=3).to_json()).state_size == 3


def test_inference_beside_the_loop_is_refused() -> None:
    """A state that misses steps is another policy."""
    settings = Settings('a.onnx', 'a', planning=PlanningSettings(asynchronous=True))
    with pytest.raises(ValueError, match=r'asynchronous: found true, but policy .* state'):
        make_planner(settings, Counting(), shipped_robot())
    make_planner(Settings('a.onnx', 'a'), Counting(), shipped_robot())
