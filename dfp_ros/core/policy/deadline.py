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
"""A policy that is not waited for longer than its deadline: there is a robot to stop."""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future
from queue import SimpleQueue
import threading
import weakref

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.hung_calls import give_up
from dfp_ros.core.policy.interface import Chunk, LateError, Policy
from dfp_ros.core.settings.node import Settings

_Call = tuple[FloatArray, FloatArray, 'Future[Chunk]']


class DeadlinePolicy:
    """
    Asks a policy in a thread of its own, and gives up an answer that is late.

    An answer that was given up is still being computed; until it is there, others are late at
    once.

    :param policy: The policy.
    :param deadline: Seconds that an answer may take.
    """

    def __init__(self, policy: Policy, deadline: float) -> None:
        """Do without a thread until there is a call; it ends with this object."""
        self.spec = policy.spec
        self._deadline = deadline
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._last: Future[Chunk] | None = None
        self._thread: threading.Thread | None = None
        self._policy = policy

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """
        Answer one observation.

        :param observation: Shape (obs_dim,), float32.
        :param noise: Shape (candidates, horizon * act_dim), float32.
        :raises LateError: Where the answer is not there in time.
        :raises PolicyError: Where the policy fails.
        """
        if self._last is not None and not self._last.done():
            raise LateError(
                'inference was given up at once: that of an earlier observation still goes on; '
                f'the deadline is {self._deadline * 1e3:.2f} ms')
        if self._thread is None:
            self._thread = threading.Thread(
                target=_answer, args=(self._policy, self._calls), name='inference', daemon=True)
            self._thread.start()
            weakref.finalize(self, self._calls.put, None)
        self._last = Future()
        self._calls.put((observation, noise, self._last))
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
    :return: The policy itself if the robot waits for late answers, or has no deadline.
    """
    deadline = settings.safety.inference_deadline * settings.tick(policy.spec) * 1e-9
    if deadline and settings.safety.late_inference == 'hold':
        return DeadlinePolicy(policy, deadline)
    return policy


def _answer(policy: Policy, calls: SimpleQueue[_Call | None]) -> None:
    """Answer one call after the other."""
    while (call := calls.get()) is not None:
        observation, noise, future = call
        try:
            future.set_result(policy.act(observation, noise))
        except Exception as error:  # it is raised where the answer is waited for
            future.set_exception(error)
        # Nothing of the call is kept while the next is waited for.
        del call, observation, noise, future
