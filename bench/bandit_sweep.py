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
Bandwidth sweep of cloning with the drifting field: at which settings actions spread over modes.

    python -m bench.bandit_sweep

docs/bandit.md has the table and the explanation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
import json
import sys

import torch

from bench.bandit.problem import actor_loss, figures, learn, make, many_positives_loss, sample
from bench.common.arguments import count
from training.learning.agents import drift
from training.learning.agents.actor import Actor

# Below this deviation the actions have not spread; that of the data is 0.42.
SPREAD = 0.15


@dataclass(frozen=True)
class Trial:
    """Variant of cloning in the sweep."""

    name: str
    learning_rate: float = 3e-4
    generated: int = 8
    loss: Callable[[Actor], torch.Tensor] = actor_loss
    beside: tuple[float, ...] = ()
    start: float = 0.0
    floor: float = drift.AFFINITY_FLOOR


TRIALS = (
    Trial('as it is'),
    Trial('rate 1e-3', 1e-3),
    Trial('rate 4e-3', 4e-3),
    Trial('bandwidth 0.5 beside it', beside=(0.5,)),
    Trial('start stretched to 0.4', start=0.4),
    Trial('16 positives, 16 generated', generated=16, loss=many_positives_loss),
    Trial('affinity floor 1e-30', floor=1e-30))
BANDWIDTHS = (0.05, 0.1, 0.2, 0.5)


def spreads(trial: Trial, bandwidth: float, updates: int, seed: int) -> bool:
    """Clone for a few updates, and return whether the actions have spread."""
    actor = make(
        'dfp', seed, bandwidths=(bandwidth, *trial.beside), generated=trial.generated,
        learning_rate=trial.learning_rate)
    if trial.start:
        with torch.no_grad():
            actor.network.layers[-1].weight *= trial.start / figures(sample(actor))['spread']
    usual, drift.AFFINITY_FLOOR = drift.AFFINITY_FLOOR, trial.floor
    learn(actor, updates, loss=trial.loss)
    drift.AFFINITY_FLOOR = usual
    return figures(sample(actor))['spread'] > SPREAD


def sweep(updates: int, seeds: int) -> dict[str, list[int]]:
    """Count the seeds whose actions spread, by variant and bandwidth."""
    print(f'seeds of {seeds} that spread within {updates} updates, by bandwidth '
          + ', '.join(map(str, BANDWIDTHS)))
    found = {}
    for trial in TRIALS:
        found[trial.name] = [
            sum(spreads(trial, bandwidth, updates, seed) for seed in range(seeds))
            for bandwidth in BANDWIDTHS]
        print(f'{trial.name}:', ', '.join(map(str, found[trial.name])), flush=True)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print a table, and the counts as JSON on the last line."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--updates', type=count, default=200)
    made.add_argument('--seeds', type=count, default=3)
    asked = made.parse_args(arguments)
    torch.set_num_threads(1)
    print(json.dumps(sweep(asked.updates, asked.seeds)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
