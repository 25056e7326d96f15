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
"""Background inference: a policy that answers in a thread of its own, beside the control loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
import math
from queue import SimpleQueue
import threading
import time
from typing import Protocol
import weakref

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.hung_calls import give_up
from dfp_ros.core.policy.interface import ask, Chunk, end_call, Policy


class Call(Protocol):
    """Request of a chunk, and its answer once that is there."""

    @property
    def is_done(self) -> bool:
        """Whether the answer is there, or inference failed."""
        ...  # pragma: no cover

    @property
    def seconds(self) -> float:
        """Inference time in s, NaN without an answer."""
        ...  # pragma: no cover

    def result(self) -> Chunk:
        """
        Return the answer of a call that is done.

        :raises PolicyError: If inference failed.
        """
        ...  # pragma: no cover


class Inference(Protocol):
    """Inference that is not waited for; one call at a time."""

    policy: Policy

    def may_ask(self, is_due: bool) -> bool:
        """
        Return whether to request a chunk now.

        :param is_due: Whether the plan needs one.
        """
        ...  # pragma: no cover

    def ask(
            self, observation: FloatArray, noise: FloatArray, pictures: Pictures = ()) -> Call:
        """
        Request a chunk, and return at once.

        :param observation: Shape (obs_dim,), float32; it must not be changed any more.
        :param noise: Shape (candidates, horizon * act_dim), float32; likewise.
        :param pictures: The pictures of the observation, in the policy's order; likewise.
        """
        ...  # pragma: no cover


class ThreadCall:
    """
    A :class:`Call` that a thread answers.

    :param observation: The observation.
    :param noise: The noise.
    :param pictures: The pictures of the observation.

    :ivar future: The answer.
    :ivar seconds: Inference time in s, NaN until it is known.
    """

    def __init__(
            self, observation: FloatArray, noise: FloatArray, pictures: Pictures = ()) -> None:
        """Wait for an answer."""
        self.observation = observation
        self.noise = noise
        self.pictures = pictures
        self.future: Future[Chunk] = Future()
        self.seconds = math.nan

    @property
    def is_done(self) -> bool:
        """Whether the answer is there, or inference failed."""
        return self.future.done()

    def result(self) -> Chunk:
        """Return the answer, as :meth:`Call.result`."""
        return self.future.result(0)


def _stay() -> None:
    """Leave the thread as it is."""


class BackgroundInference:
    """
    Runs a policy in a thread of its own; ONNX Runtime releases the interpreter meanwhile.

    There is one call at a time, and no queue: an answer that nobody wants any more is still
    computed to its end, and only then can the next chunk be requested. A call ends with this
    object at the latest, whoever holds its answer. All planners of a session share one object, so
    that many changes of a parameter do not start many calls.

    :param policy: The policy.
    :param prepare: Called first in the thread, for example to lower its priority.
    :param clock: Clock in ns, for measuring inference time.
    """

    def __init__(
            self, policy: Policy, prepare: Callable[[], None] = _stay,
            clock: Callable[[], int] = time.perf_counter_ns) -> None:
        """Start without a thread, which begins with the first call and ends with this object."""
        self.policy = policy
        self._prepare = prepare
        self._clock = clock
        self._calls: SimpleQueue[ThreadCall | None] = SimpleQueue()
        self._last: ThreadCall | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a call is going on, wanted or not."""
        return self._last is not None and not self._last.is_done

    def may_ask(self, is_due: bool) -> bool:
        """Return whether a chunk is needed, and can be computed now."""
        return is_due and not self.is_busy

    def ask(
            self, observation: FloatArray, noise: FloatArray,
            pictures: Pictures = ()) -> ThreadCall:
        """Request a chunk, as :meth:`Inference.ask`; no other call may be going on."""
        assert not self.is_busy, 'there is one call at a time'
        if self._thread is None:
            self._thread = threading.Thread(
                target=_answer, args=(self.policy, self._calls, self._prepare, self._clock),
                name='inference beside', daemon=True)
            self._thread.start()
            weakref.finalize(self, _end, self.policy, self._calls, self._thread)
        self._last = call = ThreadCall(observation, noise, pictures)
        # The process can end while it goes on, or hangs.
        give_up(call.future)
        self._calls.put(call)
        return call


def _end(
        policy: Policy, calls: SimpleQueue[ThreadCall | None], thread: threading.Thread) -> None:
    """End a thread, which would compute for ever if its call hangs."""
    calls.put(None)
    end_call(policy, thread)


def _answer(
        policy: Policy, calls: SimpleQueue[ThreadCall | None], prepare: Callable[[], None],
        clock: Callable[[], int]) -> None:
    """Answer one call after the other."""
    prepare()
    while (call := calls.get()) is not None:
        begin = clock()
        try:
            chunk = ask(policy, call.observation, call.noise, pictures=call.pictures)
        except Exception as error:  # raised again in the thread that takes the answer
            call.future.set_exception(error)
        else:
            call.seconds = (clock() - begin) * 1e-9
            call.future.set_result(chunk)
            del chunk
        # Release all references to the call before waiting for the next.
        del call
