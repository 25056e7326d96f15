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
"""Deadline of a policy that does not answer."""

from __future__ import annotations

import gc
from pathlib import Path
import threading

import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.policy.background import BackgroundInference
from dfp_ros.core.policy.deadline import DeadlinePolicy, with_deadline
from dfp_ros.core.policy.interface import Chunk, LateError, PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.node import Settings
from dfp_ros.core.settings.safety import SafetySettings
from testing.policies.endless_policy import write_endless_policy
from testing.policies.small_policy import cube_spec

OBSERVATION, NOISE = np.zeros(28, np.float32), np.zeros((1, 25), np.float32)


class Hesitant:
    """A policy that answers when it may, with the observation's first number as its value."""

    spec = cube_spec()

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.is_asked = threading.Event()

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer, or fail if the observation requests it."""
        self.is_asked.set()
        assert self.may_answer.wait(60)
        if observation[0] < 0:
            raise PolicyError('cannot answer this')
        return Chunk(np.zeros((5, 5), np.float32), float(observation[0]), 0.0)


def test_answers_in_time() -> None:
    """Answers and failures are those of the policy."""
    policy = DeadlinePolicy(Hesitant(), 60.0)
    assert policy.spec == Hesitant.spec
    for value in (1.0, 2.0):
        assert policy.act(OBSERVATION + np.float32(value), NOISE).value == value
    with pytest.raises(PolicyError, match='cannot answer this') as failure:
        policy.act(OBSERVATION - 1, NOISE)
    assert not isinstance(failure.value, LateError)


def test_a_late_answer_is_given_up() -> None:
    """The caller does not wait, and the late answer is discarded."""
    hesitant = Hesitant()
    policy = DeadlinePolicy(hesitant, 0.01)
    hesitant.may_answer.clear()
    with pytest.raises(LateError, match=r'given up after 10\.00 ms'):
        policy.act(OBSERVATION + 1, NOISE)
    for _ in range(3):
        with pytest.raises(LateError, match='earlier observation still goes on'):
            policy.act(OBSERVATION + 2, NOISE)
    last = policy._last
    hesitant.may_answer.set()
    assert last is not None
    assert last.result(60).value == 1
    policy._deadline = 60.0
    assert policy.act(OBSERVATION + 3, NOISE).value == 3


@pytest.mark.parametrize(('answer', 'share'), [('hold', 0.0), ('warn', 0.5)])
def test_none_is_given_up_unless_the_settings_say_so(answer: str, share: float) -> None:
    """Then the policy is asked as it is, without a thread."""
    policy = Hesitant()
    safety = SafetySettings(late_inference=answer, inference_deadline=share)
    assert with_deadline(policy, Settings('policy', 'robot', safety=safety)) is policy


def test_the_deadline_is_a_share_of_a_tick() -> None:
    """Of the rate that is set, not of the policy's own."""
    safety = SafetySettings(late_inference='hold', inference_deadline=0.5)
    policy = with_deadline(Hesitant(), Settings('policy', 'robot', rate=50.0, safety=safety))
    assert isinstance(policy, DeadlinePolicy)
    assert policy._deadline == 0.01


def test_its_thread_ends_with_it() -> None:
    """Each change of a parameter makes another planner; their threads must not add up."""
    policy = DeadlinePolicy(Hesitant(), 60.0)
    policy.act(OBSERVATION, NOISE)
    thread = policy._thread
    assert thread is not None
    assert thread.is_alive()
    del policy
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize('kind', ['waited for', 'beside'])
def test_a_call_without_end_is_ended_with_it(kind: str, tmp_path: Path) -> None:
    """Each swap away from a policy that hangs would leave a thread that computes for ever."""
    spec = cube_spec()
    policy = OnnxPolicy(
        write_endless_policy(tmp_path / 'endless.onnx', spec, place=0),
        ExecutionSettings(unbounded_operators='Loop'))
    noise = np.zeros((1, spec.noise_size), np.float32)
    asked = DeadlinePolicy(policy, 0.1) if kind == 'waited for' else BackgroundInference(policy)
    if isinstance(asked, DeadlinePolicy):
        with pytest.raises(LateError):
            asked.act(OBSERVATION + 1, noise)
        last = asked._last
    else:
        last = asked.ask(OBSERVATION + 1, noise).future
    thread = asked._thread
    assert thread is not None
    assert last is not None
    assert not last.done()
    # Another user of the same policy is not disturbed.
    other = DeadlinePolicy(policy, 60.0)
    del asked
    gc.collect()
    assert other.act(OBSERVATION, noise).actions.shape == (spec.horizon, spec.action_size)
    thread.join(60)
    assert not thread.is_alive()
    assert 'terminate' in str(last.exception(0))
