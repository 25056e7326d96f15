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
Update time compared with the paper's release, measured in interleaved blocks.

    python -m pip install --constraint env/constraints.txt --requirement env/requirements-bench.txt
    python -m bench.release --threads 2

The release is a JAX program. Its update is reimplemented in bench/learning/release_update.py with
the same structure, because the release needs packages that conflict with these; JAX uses all
processors. *offline* and *online* are the paper's sizes, as in bench/update.py; *cpu_clone* is the
preset ``cpu`` without top-K, *small_clone* the preset of that name. Before timing, the gradients
of both drift losses are checked to be equal.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
import sys
import time

import jax
import numpy as np
import torch

from bench.common.arguments import count
from bench.common.machine import machine
from bench.learning.release_update import drift, make_update
from bench.update import ACTION, cases, make_agent, OBSERVATION, transitions
from training.common import memory
from training.config import TrainConfig
from training.learning.agents.batch import Batch
from training.learning.agents.drift import drift_loss
from training.learning.trainer.replay_buffer import ReplayBuffer
from training.presets import PRESETS

TURNS = 4


def samedrift() -> float:
    """Return the largest difference between both gradients, relative to the largest entry."""
    generator = np.random.default_rng(0)
    generated, positives = (
        generator.uniform(-1, 1, (32, count, 25)).astype(np.float32) for count in (8, 4))
    ours = torch.tensor(generated, requires_grad=True)
    drift_loss(ours, torch.tensor(positives), (0.05, 0.5))[0].backward()
    theirs = np.asarray(jax.grad(drift)(generated, positives, (0.05, 0.5)))
    assert ours.grad is not None
    return float(np.abs(ours.grad.numpy() - theirs).max() / np.abs(theirs).max())


def measure(config: TrainConfig, improving: bool, updates: int) -> dict[str, float]:
    """
    Make updates of both in interleaved blocks.

    :return: Median time of an update of each in ms, and their ratio.
    """
    buffer = ReplayBuffer(transitions(20_000, OBSERVATION), config.horizon, config.discount)
    generator = np.random.default_rng(0)
    agent = make_agent(config, improving, False)
    release = make_update(config, improving, OBSERVATION, ACTION)

    def plain(batch: Batch) -> None:
        release(tuple(part.numpy() for part in (
            batch.observation, batch.chunk, batch.next_observation, batch.reward, batch.mask,
            batch.valid)))

    taken: dict[str, list[float]] = {'ours': [], 'release': []}
    for turn in range(TURNS + 1):
        for name, update in (('ours', agent.update), ('release', plain)):
            for _ in range(max(2, updates // TURNS)):
                batch = buffer.sample(config.batch_size, generator)
                start = time.perf_counter()
                update(batch)
                # The first turn compiles and warms up.
                if turn:
                    taken[name].append(1e3 * (time.perf_counter() - start))
    found = {f'{name}_ms': float(np.median(times)) for name, times in taken.items()}
    return {**found, 'ratio': found['ours_ms'] / found['release_ms']}


def main(arguments: list[str] | None = None) -> int:
    """Print a table, and the results as JSON on the last line."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--threads', type=count, default=2, help='of torch; JAX uses all processors')
    made.add_argument('--updates', type=count, default=20, help='timed updates of each case')
    asked = made.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    memory.keep()
    difference = samedrift()
    print(f'gradients of the drift losses: relative difference {difference:.1e}')
    if difference > 1e-4:
        print('the gradients differ, so nothing is timed', file=sys.stderr)
        return 1
    chosen = cases('dfp')
    chosen['cpu_clone'] = (replace(PRESETS['cpu'][1], value_weight=0.0), False)
    figures: dict[str, object] = {}
    print('case         ours  release  ratio   (medians, ms)')
    for name in ('offline', 'online', 'cpu_preset', 'cpu_clone', 'small_clone'):
        found = measure(*chosen[name], asked.updates)
        figures |= {f'{name}_{key}': value for key, value in found.items()}
        print(f'{name:11} {found["ours_ms"]:6.1f} {found["release_ms"]:8.1f} '
              f'{found["ratio"]:6.2f}', flush=True)
    print(json.dumps({
        **figures, 'threads': asked.threads, 'torch': torch.__version__, 'jax': jax.__version__,
        'machine': machine()}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
