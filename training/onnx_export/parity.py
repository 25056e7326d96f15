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
"""Numerical parity between PyTorch and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dfp_ros.core.policy.interface import ask
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from training.learning.agents.agent import Agent

# Tolerances far above rounding errors, and far below the effect of a wrong weight.
TOLERANCES = {'float32': 1e-5, 'fp16': 1e-2, 'int8': 0.3}
CANDIDATES = (1, 2, 16)


class ExportError(RuntimeError):
    """An exported policy differs from its networks, or cannot be verified."""


@dataclass(frozen=True)
class Parity:
    """
    Largest differences between PyTorch and ONNX Runtime.

    :param action: Difference of an action, in action units.
    :param value: Difference of a value, relative to 1 plus its magnitude.
    :param spread: Difference of a spread, in action units.
    :param compared: Number of compared chunks.
    """

    action: float
    value: float
    spread: float
    compared: int


def compare(
        agent: Agent, policy: OnnxPolicy, observations: np.ndarray,
        pictures: Sequence[np.ndarray] = ()) -> Parity:
    """
    Compare PyTorch and ONNX Runtime on the same observations and noise.

    :param agent: The networks.
    :param policy: The policy file exported from them.
    :param observations: Shape (count, obs_dim), float32, raw units.
    :param pictures: Those of each camera, shape (count, height, width, n), uint8; random ones by
        default.
    :raises ExportError: If a difference exceeds the tolerance in :data:`TOLERANCES` for the file's
        precision; the message names it.
    """
    generator, tolerance = np.random.default_rng(0), TOLERANCES[policy.spec.precision]
    worst = {'action': 0.0, 'value': 0.0, 'spread': 0.0}
    compared = 0
    if policy.spec.images and not pictures:
        pictures = [
            generator.integers(0, 256, (len(observations), *image.shape), np.uint8)
            for image in policy.spec.images]
    for count in CANDIDATES:
        for i, observation in enumerate(observations):
            seen = tuple(each[i] for each in pictures)
            noise = generator.standard_normal((count, policy.spec.noise_size), dtype=np.float32)
            chunk = ask(policy, observation, noise, pictures=seen)
            chunks, values = _torch_candidates(agent, observation, noise, seen)
            # Candidates may be tied within rounding: any of the best is accepted.
            margin = tolerance * (1 + abs(values.max()))
            best = np.flatnonzero(values >= values.max() - margin)
            differences = np.abs(chunks[best] - chunk.actions.reshape(-1)).max(axis=1)
            worst['action'] = max(worst['action'], float(differences.min()))
            worst['spread'] = max(
                worst['spread'], abs(float(chunks.std(axis=0).mean()) - chunk.spread))
            if count > 1:
                difference = abs(float(values.max()) - chunk.value) / (1 + abs(values.max()))
                worst['value'] = max(worst['value'], float(difference))
            compared += 1
    for name, difference in worst.items():
        if not difference <= tolerance:
            raise ExportError(
                f'{name}: PyTorch and ONNX Runtime differ by {difference:.2e}, expected at most '
                f'{tolerance:.0e} in {policy.spec.precision}; the file was not written')
    return Parity(compared=compared, **worst)


@torch.no_grad()
def _torch_candidates(
        agent: Agent, observation: np.ndarray, noise: np.ndarray,
        pictures: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All candidates, shape (candidates, chunk), and their values, shape (candidates,)."""
    chunks, values = agent.candidates_of(
        torch.from_numpy(observation), torch.from_numpy(noise),
        [torch.from_numpy(picture) for picture in pictures])
    assert values is not None
    return chunks.numpy(), values.numpy()
