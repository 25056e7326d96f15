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
"""I/O binding of an ONNX Runtime session to preallocated arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import threading
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from onnxruntime import RunOptions

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.policy.interface import Chunk

#: Called right before and right after a run, in its thread: meanwhile it needs no interpreter.
Pauses = tuple[Callable[[], None], Callable[[], None]]


def call_with(pauses: Pauses | None, run: Callable[..., Any], *arguments: Any) -> Any:
    """
    Call a run of a session.

    :param pauses: Called right before and right after it; None for no calls.
    :param run: Method of the session.
    :param arguments: Its arguments.
    """
    if pauses is None:
        return run(*arguments)
    before, after = pauses
    before()
    try:
        return run(*arguments)
    finally:
        after()


@dataclass(frozen=True)
class _Arrays:
    """Arrays of one call, and their binding; without numbers for a state that there is not."""

    binding: Any
    observation: FloatArray
    noise: FloatArray
    pictures: Pictures
    actions: FloatArray
    value: FloatArray
    spread: FloatArray
    state: FloatArray
    next_state: FloatArray


class IoBinding:
    """
    Runs a session on preallocated arrays.

    ONNX Runtime then neither inspects the arrays of each call nor allocates new ones. Calls may
    overlap: a call that finds no free arrays allocates some, and the result belongs to the caller.

    :param session: The session, ``onnxruntime.InferenceSession``.
    :param observation_size: Length of an observation.
    :param chunk_shape: Horizon and length of an action.
    :param state_size: Length of the recurrent state, 0 for none.
    :param has_noise: Whether the graph has the input for noise.
    :param pictures: Height, width and numbers of a pixel of each picture, by the name of its
        input.
    :param pauses: Called right before and right after each run; None for no calls.
    :param is_bounded: Whether each call ends by itself; else :meth:`end_call` can end it.
    """

    def __init__(
            self, session: Any, observation_size: int, chunk_shape: tuple[int, int],
            state_size: int = 0, has_noise: bool = True,
            pictures: Mapping[str, tuple[int, int, int]] | None = None,
            pauses: Pauses | None = None, is_bounded: bool = True) -> None:
        """Start without a binding."""
        self._pauses = pauses
        self._state_size = state_size
        self._has_noise = has_noise
        self._session = session
        self._observation_size = observation_size
        self._chunk_shape = chunk_shape
        self._pictures = dict(pictures or {})
        # Free arrays, by number of candidates.
        self._free: dict[int, list[_Arrays]] = {}
        self._is_bounded = is_bounded
        # Options of the calls of each thread. With options a call takes longer, by twice the time
        # of a small network, so that graphs that always end have none.
        self._options: WeakKeyDictionary[threading.Thread, RunOptions] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def run(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """
        Run once.

        :param observation: Shape (obs_dim,), float32.
        :param noise: Shape (candidates, horizon * act_dim), float32.
        :param state: Shape (state_size,), float32; None for zeros.
        :param pictures: Each of shape (height, width, n), uint8.
        :return: The chunk; its actions and its state are the caller's.
        """
        candidates = len(noise)
        free = self._free.get(candidates)
        if free is None:
            free = self._free.setdefault(candidates, [])
        try:
            arrays = free.pop()
        except IndexError:
            arrays = self._bind(candidates)
        arrays.observation[...] = observation
        arrays.noise[...] = noise
        if self._state_size:
            arrays.state[...] = 0 if state is None else state
        if pictures:
            for array, picture in zip(arrays.pictures, pictures, strict=True):
                array[0] = picture
        options = None if self._is_bounded else self._options_of(threading.current_thread())
        call_with(self._pauses, self._session.run_with_iobinding, arrays.binding, options)
        chunk = Chunk(
            arrays.actions.copy(), arrays.value.item(), arrays.spread.item(),
            arrays.next_state[0].copy() if self._state_size else None)
        free.append(arrays)
        return chunk

    def end_call(self, thread: threading.Thread) -> None:
        """
        Have a call, and each later one of the same thread, fail at the next node of the graph.

        :param thread: The thread that made it.
        """
        if not self._is_bounded:
            self._options_of(thread).terminate = True

    def _options_of(self, thread: threading.Thread) -> RunOptions:
        """Return the options of the calls of a thread."""
        with self._lock:
            return self._options.setdefault(thread, RunOptions())

    def _bind(self, candidates: int) -> _Arrays:
        """Allocate arrays for a call, and bind them."""
        horizon, action_size = self._chunk_shape
        made = _Arrays(
            self._session.io_binding(), np.zeros((1, self._observation_size), np.float32),
            np.zeros((candidates, horizon * action_size), np.float32),
            tuple(np.zeros((1, *shape), np.uint8) for shape in self._pictures.values()),
            np.zeros(self._chunk_shape, np.float32), np.zeros(1, np.float32),
            np.zeros(1, np.float32), np.zeros((1, self._state_size), np.float32),
            np.zeros((1, self._state_size), np.float32))
        inputs = [('observation', made.observation)]
        outputs = [
            ('action_chunk', made.actions), ('value', made.value), ('spread', made.spread)]
        if self._has_noise:
            inputs.append(('noise', made.noise))
        if self._state_size:
            inputs.append(('state', made.state))
            outputs.append(('next_state', made.next_state))
        for name, array in inputs:
            made.binding.bind_input(
                name, 'cpu', 0, np.float32, array.shape, array.ctypes.data)
        for name, picture in zip(self._pictures, made.pictures, strict=True):
            made.binding.bind_input(
                name, 'cpu', 0, np.uint8, picture.shape, picture.ctypes.data)
        for name, array in outputs:
            made.binding.bind_output(
                name, 'cpu', 0, np.float32, array.shape, array.ctypes.data)
        return made
