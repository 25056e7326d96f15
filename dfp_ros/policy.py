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
"""
A trained policy, ready to run: the ONNX file, checked, loaded and warmed up.

This is the only module of the package that knows ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnxruntime

from dfp_ros.bound_session import BoundSession
from dfp_ros.chunk import Chunk, FloatArray
from dfp_ros.execution import ExecutionSettings, PROVIDERS
from dfp_ros.policy_file import PolicyError, read_policy_file, REMEDY
from dfp_ros.spec import PolicySpec

# Who runs a policy catches its errors.
__all__ = ('OnnxPolicy', 'PolicyError')

_INPUTS = ('observation', 'noise')
_OUTPUTS = ('action_chunk', 'value', 'spread')


class _Pause:
    """
    No optimizers at all; who goes through them waits.

    ONNX Runtime looks at those that it is to leave out between its two long steps, reading a model
    and preparing it.
    """

    def __init__(self, wait: Callable[[], None]) -> None:
        """Keep what to wait for."""
        self._wait = wait

    def __iter__(self) -> Iterator[str]:
        """Wait, then end."""
        self._wait()
        return iter(())


class OnnxPolicy:
    """
    A policy file in memory.

    By default one thread, no spinning and no pool of threads, so that inference never competes
    with the control loop that waits for it. Weights and metadata come from the one file that was
    hashed: the file may change or vanish afterwards.

    :param path: The ONNX file.
    :param execution: What it runs on.
    :param wait: Called before ONNX Runtime reads the model and before it prepares it, for which it
        keeps the interpreter from other threads for milliseconds each; returns when they can spare
        it. None for no wait.
    :raises PolicyError: Where the file is missing, cut short, not ONNX, not self-contained,
        without a specification, of another version, or with inputs or outputs that do not fit
        its own specification; or where nothing that it may run on is there. Each has its own
        message.

    :ivar path: Where the file was.
    :ivar sha256: Hash of the file, 64 hexadecimal digits.
    :ivar spec: The specification that the file carries.
    :ivar execution: What it was to run on.
    :ivar providers: What it runs on, by ONNX Runtime's names, first choice first.
    """

    path: Path
    sha256: str
    spec: PolicySpec
    execution: ExecutionSettings
    providers: tuple[str, ...]

    def __init__(
            self, path: str | os.PathLike[str],
            execution: ExecutionSettings | None = None,
            wait: Callable[[], None] | None = None) -> None:
        """Read, check and load the file."""
        file = read_policy_file(path)
        self.path, self.sha256, self.spec = file.path, file.sha256, file.spec
        self.execution = ExecutionSettings() if execution is None else execution
        self._session = self._open_session(file.content, wait)
        self.providers = tuple(self._session.get_providers())
        self._check_signature()
        self._self_test()
        self._bound = BoundSession(
            self._session, self.spec.observation_size, (self.spec.horizon, self.spec.action_size))

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """
        Answer one observation.

        :param observation: Shape (obs_dim,), float32, raw units; it must be finite.
        :param noise: Shape (candidates, horizon * act_dim), float32, already scaled.
        :return: The chunk that the policy chose.
        :raises PolicyError: Where a shape or a type is another, or inference fails.
        """
        spec = self.spec
        if observation.shape != (spec.observation_size,) or observation.dtype != np.float32:
            raise PolicyError(
                f'observation: found shape {observation.shape} of {observation.dtype}, policy '
                f'{spec.name!r} expects ({spec.observation_size},) of float32')
        if (noise.ndim != 2 or noise.shape[0] < 1 or noise.shape[1] != spec.noise_size
                or noise.dtype != np.float32):
            raise PolicyError(
                f'noise: found shape {noise.shape} of {noise.dtype}, policy {spec.name!r} '
                f'expects (candidates, {spec.noise_size}) of float32')
        try:
            return self._bound.run(observation, noise)
        except Exception as error:  # ONNX Runtime's own errors share no public base class
            raise PolicyError(f'policy {spec.name!r}: inference failed: {error}') from error

    def warm_up(self, candidates: int, calls: int = 20) -> NDArray[np.float64]:
        """
        Run a few times as the control loop will, so that its first tick is no slower than others.

        :param candidates: Noise vectors a call.
        :param calls: How often.
        :return: Seconds that each call took, shape (calls,).
        """
        observation = self._typical_observation()
        noise = np.zeros((candidates, self.spec.noise_size), np.float32)
        seconds = np.empty(calls)
        for i in range(calls):
            begin = time.perf_counter()
            self.act(observation, noise)
            seconds[i] = time.perf_counter() - begin
        return seconds

    def _open_session(self, content: bytes, wait: Callable[[], None] | None) -> Any:
        """Hand the model to ONNX Runtime with the options of a control loop."""
        execution = self.execution
        there = onnxruntime.get_available_providers()
        providers = [
            PROVIDERS[word] for word in execution.order if PROVIDERS[word] in there]
        if not providers:
            raise PolicyError(
                f'parameter execution.providers: found {execution.providers}, this ONNX Runtime '
                f'{onnxruntime.__version__} has {", ".join(there)}; add cpu at the end to fall '
                'back on it, or install the ONNX Runtime for that hardware')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = execution.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry(
            'session.intra_op.allow_spinning', '1' if execution.spinning else '0')
        options.add_session_config_entry('session.inter_op.allow_spinning', '0')
        # Neither was seen to make a call faster, and without them memory does not grow in steps.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = 4
        pause = {}
        if wait is not None:
            wait()
            pause['disabled_optimizers'] = _Pause(wait)
        try:
            return onnxruntime.InferenceSession(content, options, providers=providers, **pause)
        except Exception as error:  # ONNX Runtime's own errors share no public base class
            raise PolicyError(
                f'policy file {self.path}: ONNX Runtime {onnxruntime.__version__} cannot load it: '
                f'{error}; {REMEDY}') from error

    def _check_signature(self) -> None:
        """Compare the graph's inputs and outputs with the specification."""
        spec = self.spec
        wanted: dict[str, list[int | None]] = {
            'observation': [1, spec.observation_size], 'noise': [None, spec.noise_size],
            'action_chunk': [spec.horizon, spec.action_size], 'value': [1], 'spread': [1]}
        found: dict[str, tuple[str, Any]] = {}
        for kind, names, nodes in (
                ('input', _INPUTS, self._session.get_inputs()),
                ('output', _OUTPUTS, self._session.get_outputs())):
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
            if node.type != 'tensor(float)' or not fits:
                expected = ['candidates' if size is None else size for size in shape]
                raise PolicyError(
                    f'policy file {self.path}: {kind} {name!r} is {node.type} of shape '
                    f'{node.shape}, its specification asks for tensor(float) of shape '
                    f'{expected}; {REMEDY}')

    def _self_test(self) -> None:
        """Run once, with one candidate and with two, and look at what comes out."""
        spec = self.spec
        for candidates in (1, 2):
            try:
                actions, *_ = self._session.run(_OUTPUTS, {
                    'observation': self._typical_observation()[None],
                    'noise': np.zeros((candidates, spec.noise_size), np.float32)})
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
        """Find the middle of the training data."""
        middle = [
            (low + high) / 2 for member in self.spec.observation
            for low, high in zip(member.low, member.high, strict=True)]
        return np.array(middle, np.float32)
