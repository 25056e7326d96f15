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
"""Bandit with five modes and a known value, and the training of a policy on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import math

import torch
from torch import nn

from training.config import TrainConfig
from training.learning.agents.actor import Actor
from training.learning.agents.drift import drift_loss
from training.learning.agents.registry import ACTORS

DEVIATION = 0.08
# Radius of a mode within which an action has support of the data: 3 deviations, 98.9 % of it.
REACH = 3 * DEVIATION
ANGLES = torch.tensor([90, 150, 210, 270, 30]).deg2rad()
CENTRES = 0.6 * torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
WEIGHTS = torch.tensor([0.3, 0.1, 0.25, 0.15, 0.2])
HEIGHTS = torch.tensor([0.2, 0.9, 0.3, 0.8, 0.1])
BEST = (1, 3)
# The highest value is outside the data, beyond the open side of the ring.
PEAK, PEAK_HEIGHT = torch.tensor([0.87, -0.5]), 1.5
TOPS, LEVELS = torch.cat([CENTRES, PEAK[None]]), torch.cat([HEIGHTS, torch.tensor([PEAK_HEIGHT])])
WIDTHS = torch.tensor([0.2] * len(CENTRES) + [0.35])
SETTINGS = TrainConfig(
    hidden=(128, 128, 128), batch_size=128, bandwidths=(0.1,), top=4, value_weight=0,
    instantaneous=0.5, distillation=1.0)
# For each policy, the best of the few values tried.
RATES = {'dfp': 4e-3, 'flow': 5e-3, 'meanflow': 1e-2, 'fql': 2e-3}
ROWS = 1024
SAMPLES = 4000


def draw_data(count: int) -> torch.Tensor:
    """Return actions of the data, shape (count, 2)."""
    modes = torch.multinomial(WEIGHTS, count, replacement=True)
    return CENTRES[modes] + DEVIATION * torch.randn(count, 2)


class KnownValue(nn.Module):
    """Known value in place of the critics: a hill at each mode, and a higher one beyond them."""

    def forward(
            self, state: torch.Tensor, chunk: torch.Tensor, frozen: bool = False) -> torch.Tensor:
        """Return values, shape (1, B, N), of chunks, shape (B, N, 2)."""
        distance = (chunk.unsqueeze(2) - TOPS).norm(dim=3)
        return (torch.exp(-(distance / WIDTHS).square() / 2) @ LEVELS)[None]


def shares(actions: torch.Tensor) -> torch.Tensor:
    """Return the fraction of actions at each mode, and last the fraction outside all modes."""
    nearest = torch.cdist(actions, CENTRES).min(dim=1)
    place = nearest.indices.where(nearest.values < REACH, len(CENTRES))
    return torch.bincount(place, minlength=len(CENTRES) + 1) / len(actions)


OUTSIDE = math.exp(-REACH ** 2 / (2 * DEVIATION ** 2))
EXPECTED = torch.cat([(1 - OUTSIDE) * WEIGHTS, torch.tensor([OUTSIDE])])


def figures(actions: torch.Tensor) -> dict[str, float]:
    """
    Compare actions with the distribution of the data.

    :param actions: Shape (count, 2).
    :return: Total variation between the fractions of the modes and of the actions outside, the
        fractions outside and at the best two modes, mean value and deviation of the actions.
    """
    found = shares(actions)
    return {
        'total_variation': 0.5 * (found - EXPECTED).abs().sum().item(),
        'outside': found[-1].item(), 'at_best': found[list(BEST)].sum().item(),
        'value': KnownValue()(actions[:1], actions[None]).mean().item(),
        'spread': actions.std(dim=0).mean().item()}


def make(policy: str, seed: int, **changes: object) -> Actor:
    """Make a policy of the trainer for the bandit's only state."""
    torch.manual_seed(seed)
    settings = {'policy': policy, 'learning_rate': RATES[policy], **changes}
    return ACTORS[policy](replace(SETTINGS, **settings), 1, 2)


@torch.no_grad()
def sample(actor: Actor, count: int = SAMPLES) -> torch.Tensor:
    """Draw actions from fixed noise, shape (count, 2), without disturbing the training."""
    noise = torch.randn(1, count, 2, generator=torch.Generator().manual_seed(1))
    return actor(torch.zeros(1, 1), noise)[0]


def actor_loss(actor: Actor) -> torch.Tensor:
    """Return the policy's loss as in the trainer: one positive per state."""
    rows = actor.config.batch_size if actor.config.policy == 'dfp' else ROWS
    return actor.loss(
        torch.zeros(rows, 1), draw_data(rows), torch.ones(rows), KnownValue())[0]


def learn(
        actor: Actor, updates: int, watch: Callable[[int], None] = lambda update: None,
        loss: Callable[[Actor], torch.Tensor] = actor_loss) -> None:
    """
    Train with a learning rate that decays to zero along a half cosine.

    :param watch: Called before each update, and after the last one.
    """
    optimiser = torch.optim.Adam(
        [p for p in actor.parameters() if p.requires_grad], actor.config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    for update in range(updates):
        watch(update)
        optimiser.zero_grad()
        loss(actor).backward()
        optimiser.step()
        schedule.step()
        actor.update_targets()
    watch(updates)


def many_positives_loss(actor: Actor) -> torch.Tensor:
    """Clone with as many positives per state as generated chunks, and the usual number of rows."""
    count = actor.config.generated
    states = ROWS // count
    generated = actor.network(torch.zeros(states, 1), torch.randn(states, count, 2))
    return drift_loss(
        generated, draw_data(ROWS).view(states, count, 2), actor.config.bandwidths)[0]


def drift_at(actor: Actor, places: torch.Tensor, draws: int = 256) -> torch.Tensor:
    """
    Mean drift of a chunk among the policy's own, over draws of the others and of the positives.

    :param places: Shape (count, 2), positions of the chunk.
    :return: Shape (count, 2), the loss's step in units of actions.
    """
    config, states = actor.config, len(places) * draws
    state = torch.zeros(states, 1)
    with torch.no_grad():
        generated = actor.network(state, torch.randn(states, config.generated, 2))
    generated[:, 0] = places.repeat_interleave(draws, dim=0)
    generated.requires_grad_()
    loss, info = drift_loss(generated, draw_data(states).unsqueeze(1), config.bandwidths)
    if config.value_weight:
        best = actor._best_of_anchor(state, KnownValue())[0]
        loss = loss + config.value_weight * drift_loss(generated, best, config.bandwidths)[0]
    loss.backward()
    # The gradient of an entry is -2 F / (c N); a step of F is c F in units of actions.
    squared_unit = info['scale'].square() / 2
    field = -generated.grad[:, 0] * generated.numel() / 2 * squared_unit
    return field.view(len(places), draws, 2).mean(dim=1)


@dataclass
class Course:
    """
    Course of a policy's training.

    :param places: Actions, shape (count, 2), by the update before which they were drawn.
    :param drift: Start and vector of the arrows, shape (count, 2) each, by update.
    :param curve: Metrics, by update.
    """

    name: str
    updates: int
    places: dict[int, torch.Tensor]
    drift: dict[int, tuple[torch.Tensor, torch.Tensor]]
    curve: dict[int, dict[str, float]]
    seconds: float = 0.0


MOMENTS = (0.0, 0.1, 0.3, 1.0)
ARROWS = 50
POINTS = 40
