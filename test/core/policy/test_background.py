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
"""Inference in a thread beside the loop."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from dfp_ros.core import hung_calls
from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.policy.background import BackgroundInference
from dfp_ros.core.policy.interface import Chunk, PolicyError
from testing.policies.small_policy import cube_spec

OBSERVATION, NOISE = np.zeros(28, np.float32), np.zeros((1, 25), np.float32)


class Hesitant:
    """A policy that answers when it may, with the observation's first number as its value."""

    spec = cube_spec()

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.threads: list[str] = []

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer, or fail if the observation requests it."""
        self.threads.append(threading.current_thread().name)
        assert self.may_answer.wait(60)
        if observation[0] < 0:
            raise PolicyError('cannot answer this')
        return Chunk(np.zeros((5, 5), np.float32), float(observation[0]), 0.0)


def wait_for(condition: object, timeout: float = 60.0) -> None:
    """Wait until a function returns something true."""
    assert callable(condition)
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.001)


def test_nobody_waits_and_one_call_is_at_a_time() -> None:
    """A request returns at once; another is possible once it was answered."""
    policy, prepared = Hesitant(), []
    inference = BackgroundInference(
        policy, lambda: prepared.append(threading.current_thread().name))
    assert inference.may_ask(True)
    assert not inference.may_ask(False)
    call = inference.ask(OBSERVATION + np.float32(3), NOISE)
    assert not call.is_done
    assert inference.is_busy
    assert not inference.may_ask(True)
    assert np.isnan(call.seconds)
    policy.may_answer.set()
    assert call.future.result(60).value == 3
    assert call.is_done
    assert call.result().value == 3
    assert call.seconds > 0
    wait_for(lambda: not inference.is_busy)
    assert inference.may_ask(True)
    failed = inference.ask(OBSERVATION - 1, NOISE)
    with pytest.raises(PolicyError, match='cannot answer this'):
        failed.future.result(60)
    assert prepared == ['inference beside']
    assert policy.threads == ['inference beside'] * 2


def test_the_thread_ends_with_its_object() -> None:
    """A thread holds neither the policy nor the process."""
    policy = Hesitant()
    policy.may_answer.set()
    inference = BackgroundInference(policy)
    inference.ask(OBSERVATION, NOISE).future.result(60)
    thread = inference._thread
    assert thread is not None
    assert thread.daemon
    reference = weakref.ref(policy)
    del inference, policy
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()
    gc.collect()
    assert reference() is None


def test_a_call_in_flight_does_not_delay_the_end_of_the_process() -> None:
    """A process that ends leaves without waiting for it."""
    policy = Hesitant()
    call = BackgroundInference(policy).ask(OBSERVATION, NOISE)
    assert call.future in hung_calls._given_up
    policy.may_answer.set()
    call.future.result(60)
