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
"""Checks that a device computes what the CPU computes: drift gradients, and an update."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from bench.update import cases, make_agent, OBSERVATION, transitions
from training.config import TrainConfig
from training.learning.agents.agent import Agent
from training.learning.agents.drift import drift_loss
from training.learning.trainer.replay_buffer import ReplayBuffer

# Largest relative differences that pass: of a gradient's largest entry, and of the length of a
# whole update's gradient, in float32 and with products in bfloat16.
GRADIENT = 1e-4
UPDATE = {'float32': 1e-2, 'bf16': 0.2}


def drift_gradients(device: str) -> dict[str, Any]:
    """Compare the gradient of the drift loss with that on the CPU in double precision."""
    generator = torch.Generator().manual_seed(0)
    generated = torch.randn(256, 8, 25, generator=generator)
    positives = torch.randn(256, 4, 25, generator=generator)
    found = []
    for place, kind in (('cpu', torch.float64), (device, torch.float32)):
        chunks = generated.to(place, kind).requires_grad_()
        drift_loss(chunks, positives.to(place, kind), (0.05, 0.5))[0].backward()
        assert chunks.grad is not None
        found.append(chunks.grad.double().cpu())
    difference = float((found[1] - found[0]).abs().max() / found[0].abs().max())
    return _result('gradient of the drift loss, float32', difference, GRADIENT)


def one_update(device: str, precision: str, config: TrainConfig | None = None) -> dict[str, Any]:
    """
    Compare the gradient of one update with that on the CPU in float32.

    Random numbers differ between devices, so the noise of both is zero.

    :param precision: ``float32`` or ``bf16``.
    :param config: Settings; None for the paper's.
    """
    config = replace(config or cases('dfp')['online'][0], noise_scale=0.0)
    gradients = []
    for place, kind in (('cpu', 'float32'), (device, precision)):
        agent = make_agent(replace(config, precision=kind), True, False).to(place)
        gradients.append(gradient(agent, place))
    difference = float((gradients[1] - gradients[0]).norm() / gradients[0].norm())
    return _result(f'gradient of an update, {precision}', difference, UPDATE[precision])


def gradient(agent: Agent, device: str) -> torch.Tensor:
    """Gradient of the critics' loss, and of the actor at chunks of fixed noise, as one vector."""
    buffer = ReplayBuffer(
        transitions(1_000, OBSERVATION), agent.config.horizon, agent.config.discount, device)
    batch = buffer.gather(torch.arange(agent.config.batch_size, device=device)).normalised(
        agent.normaliser)
    noise = torch.randn(
        len(batch.chunk), agent.config.generated, agent.chunk_size,
        generator=torch.Generator().manual_seed(2)).to(device)
    cloning = drift_loss(
        agent.actor(batch.observation, noise), batch.chunk.unsqueeze(1), agent.config.bandwidths,
        weights=batch.valid)[0]
    (agent.critic_loss(batch)[0] + cloning).backward()
    return torch.cat([
        parameter.grad.flatten().double().cpu() for parameter in agent.trained
        if parameter.grad is not None])


def _result(name: str, difference: float, limit: float) -> dict[str, Any]:
    return {'check': name, 'difference': difference, 'limit': limit, 'passed': difference < limit}
