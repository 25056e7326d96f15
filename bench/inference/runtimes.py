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
"""Several runtimes for one policy, on the same observations and noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import warnings

import numpy as np
from numpy.typing import NDArray
import onnx
import torch
from torch import nn

from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.execution import ExecutionSettings
from training.learning.agents.agent import Agent
from training.learning.networks import layers
from training.onnx_export.precision import in_precision

FloatArray = NDArray[np.float32]
Answer = Callable[[int], FloatArray]
INPUTS = 256


class Inputs:
    """
    Observations within the range of the data, and noise, shared by all runtimes.

    :param policy: Policy that determines the sizes.
    :param candidates: Noise vectors per call.

    :ivar observations: Shape (INPUTS, obs_dim), float32.
    :ivar noise: Shape (INPUTS, candidates, chunk), float32.
    """

    def __init__(self, policy: OnnxPolicy, candidates: int) -> None:
        """Draw observations and noise."""
        generator = np.random.default_rng(0)
        low, high = (
            np.concatenate([getattr(member, bound) for member in policy.spec.observation])
            for bound in ('low', 'high'))
        self.observations: FloatArray = generator.uniform(
            low, high, (INPUTS, len(low))).astype(np.float32)
        self.noise: FloatArray = generator.standard_normal(
            (INPUTS, candidates, policy.spec.noise_size), dtype=np.float32)


def onnx_answer(policy: OnnxPolicy, inputs: Inputs) -> Answer:
    """Return inference as in the node; the actions have the shape (horizon, act_dim)."""
    act, observations, noise = policy.act, list(inputs.observations), list(inputs.noise)
    return lambda i: act(observations[i % INPUTS], noise[i % INPUTS]).actions


def quantise(path: Path) -> Path:
    """Write a policy file with int8 weights beside another, as an export does."""
    out = path.with_name(f'{path.stem}-int8.onnx')
    onnx.save_model(in_precision(onnx.load(path), 'int8'), str(out))
    return out


class _Chooser(nn.Module):
    """Action selection of the agent as a module."""

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self.agent = agent

    def forward(self, observation: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.agent.act(observation, noise)


def torch_answers(agent: Agent, inputs: Inputs, compiled: bool) -> dict[str, Answer]:
    """
    Return inference with PyTorch: eager, TorchScript and, if requested, compiled.

    From numpy to numpy, as a node requires: the conversions share memory.

    :param agent: The networks.
    :param compiled: Whether to add torch.compile, which takes seconds per shape.
    :raises training.learning.networks.layers.CompileError: If there is no compiler.
    """
    chooser = _Chooser(agent).eval().requires_grad_(False)
    example = (
        torch.from_numpy(inputs.observations[0]), torch.from_numpy(inputs.noise[0]))
    with torch.inference_mode(), warnings.catch_warnings():
        # The sizes are intended constants of the trace. TorchScript is deprecated in favour of
        # torch.compile, which is measured too.
        warnings.simplefilter('ignore')
        traced = torch.jit.freeze(torch.jit.trace(chooser, example, check_trace=False))
    functions = {'torch eager': chooser, 'torchscript': traced}
    if compiled:
        functions['torch.compile'] = layers.compiled(chooser, torch.device('cpu'))
    return {name: _torch_answer(function, inputs) for name, function in functions.items()}


def _torch_answer(function: Callable[..., torch.Tensor], inputs: Inputs) -> Answer:
    observations, noise = list(inputs.observations), list(inputs.noise)

    def answer(i: int) -> FloatArray:
        with torch.inference_mode():
            return function(
                torch.from_numpy(observations[i % INPUTS]),
                torch.from_numpy(noise[i % INPUTS])).numpy()
    return answer


def execution(threads: int, spinning: bool = False) -> ExecutionSettings:
    """Return settings with a number of threads."""
    return ExecutionSettings(threads=threads, spinning=spinning)
