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
"""Interface of a policy: an action chunk for an observation, or an error."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread
from typing import Protocol, runtime_checkable

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.spec import PolicySpec


@dataclass(frozen=True)
class Chunk:
    """
    Action chunk, the policy's answer to one observation.

    :param actions: Shape (horizon, act_dim), float32, in [-1, 1].
    :param value: Mean value of this chunk by the critics; NaN for a single candidate, for which
        the critics are not evaluated.
    :param spread: Standard deviation of the candidates, averaged over dimensions; 0 for one.
    :param state: State for the next request, shape (state_size,), float32; None if the policy has
        none.
    """

    actions: FloatArray
    value: float
    spread: float
    state: FloatArray | None = None


class Policy(Protocol):
    """Policy that answers an observation; see :mod:`dfp_ros.core.policy.onnx_policy`."""

    spec: PolicySpec

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """
        Answer one observation with a chunk, or raise PolicyError.

        :param state: State of the chunk before; None is the first state.
        :param pictures: The pictures of the observation, in the policy's order.
        """
        ...  # pragma: no cover


@runtime_checkable
class Ending(Protocol):
    """Policy whose calls can be ended."""

    def end_call(self, thread: Thread) -> None:
        """End the call that a thread waits for, and let it begin no other."""
        ...  # pragma: no cover


class PolicyError(ValueError):
    """A policy file cannot be used, or its inference failed."""


class LateError(PolicyError):
    """A policy has not answered by its deadline."""


def ask(
        policy: Policy, observation: FloatArray, noise: FloatArray,
        state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
    """
    Ask a policy; one without a state or without pictures need not know of them.

    :param state: State of the chunk before, shape (state_size,); None for the first one.
    :param pictures: The pictures of the observation, in the policy's order.
    """
    if pictures:
        return policy.act(observation, noise, state, pictures)
    if state is None:
        return policy.act(observation, noise)
    return policy.act(observation, noise, state)


def end_call(policy: Policy, thread: Thread) -> None:
    """
    End the call of a policy that nobody waits for any more, if it can be ended.

    :param thread: The thread that calls it, and will call it no more.
    """
    if isinstance(policy, Ending):
        policy.end_call(thread)
