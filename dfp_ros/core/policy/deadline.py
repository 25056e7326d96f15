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
"""Deadline wrapper of a policy: a late answer is abandoned, so that the robot can be stopped."""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future
from queue import SimpleQueue
import threading
import weakref

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.hung_calls import give_up
from dfp_ros.core.policy.interface import ask, Chunk, end_call, LateError, Policy
from dfp_ros.core.settings.node import Settings

_Call = tuple[FloatArray, FloatArray, FloatArray | None, Pictures, 'Future[Chunk]']


class DeadlinePolicy:
    """
    Runs a policy in a thread of its own, and abandons a late answer.

    An abandoned answer is still being computed; until it is finished, further calls are late at
    once.

    :param policy: The policy.
    :param deadline: Timeout of an answer in s.
    """

    def __init__(self, policy: Policy, deadline: float) -> None:
        """Start without a thread, which begins with the first call and ends with this object."""
        self.spec = policy.spec
        self._deadline = deadline
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._last: Future[Chunk] | None = None
        self._thread: threading.Thread | None = None
        self._policy = policy

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """
        Answer one observation.

        :param observation: Shape (obs_dim,), float32.
        :param noise: Shape (candidates, horizon * act_dim), float32.
        :param state: State of the chunk before, shape (state_size,), float32; None for the first.
        :param pictures: Its pictures, each of shape (height, width, n), uint8.
        :raises LateError: If the answer is late.
        :raises PolicyError: If the policy fails.
        """
        if self._last is not None and not self._last.done():
            raise LateError(
                'inference was given up at once: that of an earlier observation still goes on; '
                f'the deadline is {self._deadline * 1e3:.2f} ms')
        if self._thread is None:
            self._thread = threading.Thread(
                target=_answer, args=(self._policy, self._calls), name='inference', daemon=True)
            self._thread.start()
            weakref.finalize(self, _end, self._policy, self._calls, self._thread)
        self._last = Future()
        self._calls.put((observation, noise, state, pictures, self._last))
        try:
            return self._last.result(self._deadline)
        except concurrent.futures.TimeoutError:
            give_up(self._last)
            raise LateError(
                'inference was given up after '
                f'{self._deadline * 1e3:.2f} ms, its deadline') from None


def with_deadline(policy: Policy, settings: Settings) -> Policy:
    """
    Give a policy the deadline that the settings ask for.

    :param policy: The policy.
    :param settings: The node's parameters.
    :return: The policy itself if the robot waits for late answers, or for none, or has no
        deadline.
    """
    if settings.planning.asynchronous:
        return policy
    deadline = settings.safety.inference_deadline * settings.tick(policy.spec) * 1e-9
    if deadline and settings.safety.late_inference == 'hold':
        return DeadlinePolicy(policy, deadline)
    return policy


def _end(policy: Policy, calls: SimpleQueue[_Call | None], thread: threading.Thread) -> None:
    """End a thread, which would compute for ever if its call hangs."""
    calls.put(None)
    end_call(policy, thread)


def _answer(policy: Policy, calls: SimpleQueue[_Call | None]) -> None:
    """Answer one call after the other."""
    while (call := calls.get()) is not None:
        observation, noise, state, pictures, future = call
        try:
            future.set_result(ask(policy, observation, noise, state, pictures))
        except Exception as error:  # raised again in the thread that waits for the answer
            future.set_exception(error)
        # Release all references to the call before waiting for the next.
        del call, observation, noise, state, pictures, future
