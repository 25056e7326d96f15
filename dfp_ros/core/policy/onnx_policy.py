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
"""Policy in ONNX Runtime: a policy file, validated, loaded and warmed up."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
import os
from pathlib import Path
from threading import Thread
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.policy.interface import Chunk, PolicyError
from dfp_ros.core.policy.io_binding import call_with, IoBinding, Pauses
from dfp_ros.core.policy.onnx_session import open_session
from dfp_ros.core.policy.policy_file import PolicyFile, read_policy_file, REMEDY, require_ending
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.spec import PolicySpec
from dfp_ros.spec_images import INPUTS, NEXT_STATE, OUTPUTS, STATE

# Re-exported for callers that run a policy and catch its errors.
__all__ = ('OnnxPolicy', 'PolicyError')

_FLOAT32, _UINT8 = np.dtype(np.float32), np.dtype(np.uint8)
# Types of ONNX Runtime.
_FLOATS, _BYTES = 'tensor(float)', 'tensor(uint8)'
# Every number of a picture of which nothing is known.
_GRAY = 128


class OnnxPolicy:
    """
    A policy file in memory.

    By default it uses one thread, no spinning and no thread pool, so that inference never competes
    with the control loop that waits for it. Weights and metadata are from the bytes that were
    hashed: the file may be changed or deleted afterwards.

    :param path: The ONNX file, or its content if it has been read already.
    :param execution: Execution providers and threads.
    :param wait: Called before each of the two steps in which ONNX Runtime parses and optimises the
        model and holds the GIL for milliseconds; returns when other threads can spare it. None for
        no wait.
    :param candidates: Noise vectors of every call, 0 for the file's own number. ONNX Runtime then
        prunes the graph, such as the critics for a single candidate, so that the policy loads and
        answers faster. None for calls of any number.
    :param loaded: Called once ONNX Runtime has optimised the model; None for no call.
    :param pauses: As for :class:`IoBinding`.
    :raises PolicyError: If the file is missing, cut short, not ONNX, not self-contained,
        without a specification, of another version, or with inputs or outputs that do not fit
        its own specification; if it has operators that can run without end, unless they are
        allowed; or if no execution provider is available. Each has its own message.

    :ivar file: The file's content, shared by all policies prepared from it.
    :ivar path: Path of the file.
    :ivar sha256: Hash of the file, 64 hexadecimal digits.
    :ivar spec: The specification in the file.
    :ivar execution: Requested execution providers and threads.
    :ivar candidates: Noise vectors of every call, None if calls may have any number.
    :ivar providers: ONNX Runtime's names of the providers in use, in order of preference.
    """

    file: PolicyFile
    path: Path
    sha256: str
    spec: PolicySpec
    execution: ExecutionSettings
    candidates: int | None
    providers: tuple[str, ...]

    def __init__(
            self, path: str | os.PathLike[str] | PolicyFile,
            execution: ExecutionSettings | None = None,
            wait: Callable[[], None] | None = None, candidates: int | None = None,
            loaded: Callable[[], None] | None = None, pauses: Pauses | None = None) -> None:
        """Read, check and load the file."""
        self._pauses = pauses
        self.file = file = path if isinstance(path, PolicyFile) else read_policy_file(path)
        self.path, self.sha256, self.spec = file.path, file.sha256, file.spec
        self.execution = ExecutionSettings() if execution is None else execution
        require_ending(file, self.execution)
        self._observation_shape = (self.spec.observation_size,)
        self._noise_size = self.spec.noise_size
        self._picture_shapes = {image.name: image.shape for image in self.spec.images}
        self._load(self.spec.candidates if candidates == 0 else candidates, wait, loaded)

    def prepared_for(
            self, candidates: int, wait: Callable[[], None] | None = None) -> OnnxPolicy:
        """
        Prepare the same policy for a number of candidates; the file is not read again.

        :param candidates: Noise vectors of every call, 0 for the file's own number.
        :param wait: As when the policy was loaded.
        :return: The policy; this one if it is prepared for them already.
        :raises PolicyError: If the graph does not support this number.
        """
        candidates = candidates or self.spec.candidates
        if candidates == self.candidates:
            return self
        other = copy(self)
        other._load(candidates, wait)
        return other

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """
        Answer one observation.

        :param observation: Shape (obs_dim,), float32, raw units; it must be finite.
        :param noise: Shape (candidates, horizon * act_dim), float32, already scaled; a policy
            without noise ignores it.
        :param state: State of the chunk before, shape (state_size,), float32; None for the first
            chunk of an episode, and for a policy without a state.
        :param pictures: Its pictures in the order of the specification, each of shape
            (height, width, n), uint8.
        :return: The chunk that the policy chose.
        :raises PolicyError: If a shape or a type is wrong, or inference fails.
        """
        if observation.shape != self._observation_shape or observation.dtype != _FLOAT32:
            raise PolicyError(
                f'observation: found shape {observation.shape} of {observation.dtype}, policy '
                f'{self.spec.name!r} expects {self._observation_shape} of float32')
        shape = noise.shape
        if (len(shape) != 2 or shape[0] != (self.candidates or max(1, shape[0]))
                or shape[1] != self._noise_size or noise.dtype != _FLOAT32):
            raise PolicyError(
                f'noise: found shape {shape} of {noise.dtype}, policy {self.spec.name!r} '
                f'expects ({self.candidates or "candidates"}, {self._noise_size}) of float32')
        if state is not None and (
                state.shape != (self.spec.state_size,) or state.dtype != _FLOAT32):
            raise PolicyError(
                f'state: found shape {state.shape} of {state.dtype}, policy '
                f'{self.spec.name!r} expects ({self.spec.state_size},) of float32')
        if pictures or self._picture_shapes:
            self._check_pictures(pictures)
        try:
            return self._bound.run(observation, noise, state, pictures)
        except Exception as error:  # ONNX Runtime's own errors share no public base class
            raise PolicyError(f'policy {self.spec.name!r}: inference failed: {error}') from error

    def end_call(self, thread: Thread) -> None:
        """
        End a call that may take for ever, as that of a graph with a loop may.

        :param thread: The thread that made it, and makes no other.
        """
        self._bound.end_call(thread)

    def warm_up(self, candidates: int, calls: int = 20) -> NDArray[np.float64]:
        """
        Run a few times like the control loop, so that its first tick is not slower than others.

        :param candidates: Noise vectors of a call.
        :param calls: Number of calls.
        :return: Seconds that each call took, shape (calls,).
        """
        observation, pictures = self._typical_observation(), typical_pictures(self.spec)
        noise = np.zeros((candidates, self.spec.noise_size), np.float32)
        seconds = np.empty(calls)
        for i in range(calls):
            begin = time.perf_counter()
            self.act(observation, noise, pictures=pictures)
            seconds[i] = time.perf_counter() - begin
        return seconds

    def _load(
            self, candidates: int | None, wait: Callable[[], None] | None,
            loaded: Callable[[], None] | None = None) -> None:
        """Open a session for a number of candidates, and run the self-test."""
        self.candidates = candidates
        self._session = open_session(self.file, self.execution, candidates, wait)
        if loaded is not None:
            loaded()
        self.providers = tuple(self._session.get_providers())
        # A deterministic policy may do without noise.
        self._has_noise = self.spec.noise_scale > 0 or any(
            node.name == 'noise' for node in self._session.get_inputs())
        if not self._has_noise and candidates is not None and candidates > 1:
            raise PolicyError(
                f'policy file {self.path}: found candidates {candidates}, expected 1: the policy '
                'is deterministic, so that all candidates would be the same; set the parameter '
                'candidates to 0 or 1')
        self._check_signature()
        self._self_test()
        self._bound = IoBinding(
            self._session, self.spec.observation_size, (self.spec.horizon, self.spec.action_size),
            self.spec.state_size, self._has_noise, self._picture_shapes, self._pauses,
            is_bounded=not self.file.unbounded)

    def _check_pictures(self, pictures: Pictures) -> None:
        """Compare the pictures of a call with the specification."""
        shapes = list(self._picture_shapes.values())
        if [picture.shape for picture in pictures] != shapes or any(
                picture.dtype != _UINT8 for picture in pictures):
            found = [f'{picture.shape} of {picture.dtype}' for picture in pictures]
            raise PolicyError(
                f'pictures: found {", ".join(found) or "none"}, policy {self.spec.name!r} expects '
                f'{", ".join(map(str, shapes)) or "none"} of uint8')

    def _check_signature(self) -> None:
        """Compare the graph's inputs and outputs with the specification."""
        spec = self.spec
        wanted: dict[str, list[int | None]] = {
            'observation': [1, spec.observation_size], 'noise': [self.candidates, spec.noise_size],
            'action_chunk': [spec.horizon, spec.action_size], 'value': [1], 'spread': [1],
            **{name: [1, *shape] for name, shape in self._picture_shapes.items()}}
        inputs, outputs = [*INPUTS, *self._picture_shapes], list(OUTPUTS)
        if not self._has_noise:
            inputs.remove('noise')
            del wanted['noise']
        if spec.state_size:
            inputs.append(STATE)
            outputs.append(NEXT_STATE)
            wanted |= {STATE: [1, spec.state_size], NEXT_STATE: [1, spec.state_size]}
        found: dict[str, tuple[str, Any]] = {}
        for kind, names, nodes in (
                ('input', inputs, self._session.get_inputs()),
                ('output', outputs, self._session.get_outputs())):
            if sorted(node.name for node in nodes) != sorted(names):
                raise PolicyError(
                    f'policy file {self.path}: found the {kind}s '
                    f'{", ".join(sorted(node.name for node in nodes))}, expected '
                    f'{", ".join(names)}; {REMEDY}')
            found.update({node.name: (kind, node) for node in nodes})
        for name, shape in wanted.items():
            kind, node = found[name]
            # An exporter may leave a dimension symbolic; the self-test sees the real one.
            fits = len(node.shape) == len(shape) and all(
                not isinstance(theirs, int) if mine is None
                else theirs == mine or not isinstance(theirs, int)
                for mine, theirs in zip(shape, node.shape, strict=True))
            number = _BYTES if name in self._picture_shapes else _FLOATS
            if node.type != number or not fits:
                expected = ['candidates' if size is None else size for size in shape]
                raise PolicyError(
                    f'policy file {self.path}: {kind} {name!r} is {node.type} of shape '
                    f'{node.shape}, its specification asks for {number} of shape '
                    f'{expected}; {REMEDY}')

    def _self_test(self) -> None:
        """Run once for each kind of call, and check the outputs."""
        spec = self.spec
        given: dict[str, NDArray[Any]] = {'observation': self._typical_observation()[None]}
        for image, picture in zip(spec.images, typical_pictures(spec), strict=True):
            given[image.name] = picture[None]
        if spec.state_size:
            given[STATE] = np.zeros((1, spec.state_size), np.float32)
        for candidates in (1, 2) if self.candidates is None else (self.candidates,):
            if self._has_noise:
                given['noise'] = np.zeros((candidates, spec.noise_size), np.float32)
            try:
                actions, *_ = call_with(self._pauses, self._session.run, OUTPUTS, given)
            except Exception as error:  # ONNX Runtime's own errors share no public base class
                raise PolicyError(f'policy {spec.name!r}: inference failed: {error}') from error
            if actions.shape != (spec.horizon, spec.action_size):
                raise PolicyError(
                    f"policy file {self.path}: output 'action_chunk' came out with shape "
                    f'{actions.shape}, its specification asks for '
                    f'({spec.horizon}, {spec.action_size}); {REMEDY}')
            if not np.isfinite(actions).all():
                raise PolicyError(
                    f'policy file {self.path}: the actions for the middle of the training data '
                    f'are not finite, so its weights are broken; {REMEDY} from a checkpoint '
                    'whose losses are finite')

    def _typical_observation(self) -> FloatArray:
        """Return the middle of the training range."""
        middle = [
            (low + high) / 2 for member in self.spec.observation
            for low, high in zip(member.low, member.high, strict=True)]
        return np.array(middle, np.float32)


def typical_pictures(spec: PolicySpec) -> Pictures:
    """Make pictures for a call of which only the time counts, or whether it succeeds."""
    return tuple(np.full(image.shape, _GRAY, np.uint8) for image in spec.images)
