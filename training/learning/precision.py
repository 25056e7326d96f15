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
"""The faster precision of an update on this machine, measured."""

from __future__ import annotations

from dataclasses import replace
import time
from typing import Literal

import numpy as np
import torch

from training.config import TrainConfig
from training.learning import distributed
from training.learning.agents.agent import Agent
from training.learning.agents.batch import Batch
from training.learning.networks.modules import Normaliser

# Sizes of OGBench's cube-single; the layers' own widths take nearly all of the time.
OBSERVATION, ACTION = 28, 5
TURNS = 5


def measure(config: TrainConfig) -> dict[Literal['float32', 'bf16'], float]:
    """
    Measure the time of an update in each precision, in turns.

    The random state is the same before and after.

    :param config: Settings of the run.
    :return: The least time by precision, in s.
    """
    state = torch.get_rng_state()
    batch = random_batch(config)
    agents, taken = [], []
    kinds: tuple[Literal['float32', 'bf16'], ...] = ('float32', 'bf16')
    for precision in kinds:
        agents.append(improving_agent(replace(config, precision=precision)))
    for _ in range(1 + TURNS):
        row = []
        for agent in agents:
            began = time.perf_counter()
            # Reading a loss waits for a GPU.
            float(agent.update(batch)['critic_loss'])
            row.append(time.perf_counter() - began)
        taken.append(row)
    torch.set_rng_state(state)
    least = np.array(taken[1:]).min(axis=0)
    return dict(zip(kinds, map(float, least), strict=True))


def faster(config: TrainConfig) -> tuple[Literal['float32', 'bf16'], str]:
    """
    Choose the faster precision, the same on all ranks.

    :param config: Settings of the run.
    :return: The precision, and a sentence for the user.
    """
    found = measure(config)
    halves = distributed.anywhere(found['bf16'] < found['float32'], config.device)
    chosen: Literal['float32', 'bf16'] = 'bf16' if halves else 'float32'
    times = ', '.join(f'{1e3 * taken:.0f} ms in {name}' for name, taken in found.items())
    return chosen, f'precision: {chosen} (an update takes {times} on this machine)'


def improving_agent(config: TrainConfig) -> Agent:
    """Make an untrained agent that improves on the data, of the sizes of OGBench's cube-single."""
    agent = Agent(
        config, OBSERVATION, ACTION,
        Normaliser(torch.zeros(OBSERVATION), torch.ones(OBSERVATION))).to(config.device)
    agent.improve()
    return agent


def random_batch(config: TrainConfig) -> Batch:
    """Draw a batch for it; the values do not affect the time of an update."""
    size = config.batch_size // distributed.count()
    device = config.device
    return Batch(
        observation=torch.randn(size, OBSERVATION, device=device),
        chunk=torch.rand(size, config.horizon * ACTION, device=device) * 2 - 1,
        next_observation=torch.randn(size, OBSERVATION, device=device),
        reward=-torch.ones(size, device=device), mask=torch.ones(size, device=device),
        valid=torch.ones(size, device=device))
