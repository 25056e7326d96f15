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
Update time of the agent, compared with the lower bound of its arithmetic.

    python -m bench.update --threads 2

The sizes are the paper's: batch 256, networks of 4 x 512, chunks of 5 actions, N 16, N' 16, G 8,
K 4, with cube-single's 28 observations and 5 actions. *offline* clones and learns the critic, like
the first phase of an offline-to-online run; *online* adds the top-K drift. The bound is the
floating-point work of the update, as PyTorch counts its matrix products, at the rate that this
machine reaches in the same run, with as many threads and in the same precision, on the networks'
product, (2048, 512) by (512, 512). Rates, updates in both precisions (float32, bf16), and compiled
ones (``--compile``) are measured in interleaved blocks. The warm-up is the time of the compiled
agent's first two updates less that of two later ones, with an empty compiler cache; a later run of
the same sizes uses most of it again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
import sys
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.common.arguments import count
from bench.common.machine import machine
from training.common import memory
from training.config import TrainConfig
from training.data.transitions.transitions import Transitions
from training.learning.agents.agent import Agent
from training.learning.agents.registry import ACTORS
from training.learning.networks.layers import CompileError
from training.learning.networks.modules import Normaliser
from training.learning.trainer.replay_buffer import ReplayBuffer
from training.presets import PRESETS

OBSERVATION, ACTION = 28, 5
# cube-triple's observation, for the replay buffer.
TRIPLE = 46
TURNS = 5
PRODUCTS = 20
KINDS = {'float32': torch.float32, 'bf16': torch.bfloat16}


def transitions(size: int, observation: int) -> Transitions:
    """Draw random data; their values do not affect the time of an update."""
    generator = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return generator.random(shape, dtype=np.float32)

    terminals = np.zeros(size, np.float32)
    terminals[199::200] = 1
    return Transitions(
        observations=draw(size, observation), actions=draw(size, ACTION) * 2 - 1,
        next_observations=draw(size, observation), rewards=-draw(size),
        masks=np.ones(size, np.float32), terminals=terminals, observation_fields=(),
        action_fields=(), period=0.05, source={})


def cases(policy: str) -> dict[str, tuple[TrainConfig, bool]]:
    """List the settings of each case, and whether it improves on the data."""
    paper = TrainConfig(
        policy=policy, horizon=5, best_of=16, pool=16, top=4, value_weight=0.5,
        online_steps=1_000_000)
    return {
        'offline': (paper, False), 'online': (paper, True),
        'cpu_preset': (PRESETS['cpu'][1], True),
        'small_clone': (PRESETS['small-clone'][1], False)}


def product_rate(kind: torch.dtype = torch.float32) -> float:
    """Return the floating-point operations per second of the networks' product."""
    left, right = torch.randn(2048, 512, dtype=kind), torch.randn(512, 512, dtype=kind)
    start = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.mm(left, right)
    return PRODUCTS * 2 * 2048 * 512 * 512 / (time.perf_counter() - start)


def make_agent(config: TrainConfig, improving: bool, compiled: bool) -> Agent:
    """
    Make an agent in one of the two phases.

    :raises CompileError: If it must be compiled, and there is no working compiler.
    """
    torch.manual_seed(0)
    agent = Agent(
        config, OBSERVATION, ACTION, Normaliser(torch.zeros(OBSERVATION), torch.ones(OBSERVATION)))
    if improving:
        agent.improve()
    if compiled:
        agent.compile_networks()
    return agent


def measure(
        config: TrainConfig, improving: bool, compiled: bool, updates: int) -> dict[str, float]:
    """
    Time one case in both precisions.

    :return: Time of an update in ms (median, 90th percentile, minimum), of its sampling, of a
        compiled one, and of the bound; warm-up of the compiled agent in s; work in 10^9
        operations, rate in 10^9 per second. Those in bfloat16 have the prefix ``bf16_``.
    """
    buffer = ReplayBuffer(transitions(20_000, OBSERVATION), config.horizon, config.discount)
    generator = np.random.default_rng(0)
    agents = {
        (precision, each): make_agent(replace(config, precision=precision), improving, each)
        for each in (False, True)[:1 + compiled] for precision in KINDS}
    with FlopCounterMode(display=False) as counter:
        agents['float32', False].update(buffer.sample(config.batch_size, generator))
    work = counter.get_total_flops()
    warm_up = {}
    for name, agent in agents.items():
        started = time.perf_counter()
        for _ in range(2):
            agent.update(buffer.sample(config.batch_size, generator))
        warm_up[name] = time.perf_counter() - started
    sampled = []
    rates: dict[str, list[float]] = {precision: [] for precision in KINDS}
    taken: dict[tuple[str, bool], list[float]] = {name: [] for name in agents}
    for kind in KINDS.values():
        product_rate(kind)
    turns = min(TURNS, updates)
    for _ in range(turns):
        for precision, kind in KINDS.items():
            rates[precision].append(product_rate(kind))
        for name, agent in agents.items():
            for _ in range(updates // turns):
                start = time.perf_counter()
                batch = buffer.sample(config.batch_size, generator)
                drawn = time.perf_counter()
                agent.update(batch)
                sampled.append(drawn - start)
                taken[name].append(time.perf_counter() - start)
    figures = {'sampling_ms': 1e3 * float(np.median(sampled)), 'work_gflop': work / 1e9}
    for precision in KINDS:
        prefix = '' if precision == 'float32' else f'{precision}_'
        rate, eager = float(np.median(rates[precision])), np.array(taken[precision, False])
        figures |= {
            f'{prefix}ms': 1e3 * float(np.median(eager)),
            f'{prefix}p90_ms': 1e3 * float(np.percentile(eager, 90)),
            f'{prefix}least_ms': 1e3 * float(eager.min()),
            f'{prefix}bound_ms': 1e3 * work / rate, f'{prefix}rate_gflops': rate / 1e9}
        if compiled:
            again = float(np.median(taken[precision, True]))
            figures |= {
                f'{prefix}compiled_ms': 1e3 * again,
                f'{prefix}compile_seconds': warm_up[precision, True] - 2 * again}
    # The goal's ratio: the fastest update in bfloat16 over one in float32 without compilation.
    best = min(figures['bf16_ms'], figures.get('bf16_compiled_ms', float('inf')))
    figures['bf16_share'] = best / figures['ms']
    return figures


def can_compile() -> bool:
    """Tell whether the machine can compile, and print the reason if not."""
    try:
        make_agent(PRESETS['cpu'][1], False, True)
    except CompileError as error:
        print(error)
        return False
    return True


def replay_figures(size: int) -> dict[str, float]:
    """Return the memory of a cube-triple buffer, and the time of a batch from it."""
    data = transitions(size, TRIPLE)
    buffer = ReplayBuffer(data, 5, 0.99)
    generator = np.random.default_rng(0)
    taken = []
    for _ in range(50):
        start = time.perf_counter()
        buffer.sample(256, generator)
        taken.append(time.perf_counter() - start)
    kept = sum(column.nbytes for column in buffer._columns.values())
    return {
        'replay_transitions': size, 'replay_megabytes': kept / 1e6,
        'replay_sampling_ms': 1e3 * float(np.median(taken))}


def rows(name: str, found: dict[str, float]) -> str:
    """Format the results of a case as rows of the table, one a precision."""
    made = []
    for precision in KINDS:
        prefix = '' if precision == 'float32' else f'{precision}_'
        ms, bound = found[f'{prefix}ms'], found[f'{prefix}bound_ms']
        line = (
            f'{name:11} {precision:8} {ms:6.1f} {found[prefix + "p90_ms"]:6.1f} '
            f'{found[prefix + "least_ms"]:6.1f} {bound:6.1f} {ms / bound:6.2f} '
            f'{found["work_gflop"]:6.2f} {found[prefix + "rate_gflops"]:8.1f} '
            f'{found["sampling_ms"]:5.2f} {ms / found["ms"]:6.2f}')
        if f'{prefix}compiled_ms' in found:
            again = found[f'{prefix}compiled_ms']
            line += (
                f' {again:8.1f} {again / bound:6.2f} {again / found["ms"]:6.2f} '
                f'{found[prefix + "compile_seconds"]:10.1f}')
        made.append(line)
    return '\n'.join(made)


def main(arguments: list[str] | None = None) -> int:
    """Print a table, and the results as JSON on the last line."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--threads', type=count, default=2)
    made.add_argument('--updates', type=count, default=40, help='timed updates of each case')
    made.add_argument('--policy', default='dfp', choices=tuple(ACTORS))
    made.add_argument('--replay', type=count, default=1_000_000, help='transitions of the buffer')
    made.add_argument(
        '--compile', action=argparse.BooleanOptionalAction, default=True,
        help='also measure the compiled agent (minutes)')
    asked = made.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    memory.keep()
    figures: dict[str, object] = {}
    compiled = asked.compile and can_compile()
    print('case        precision median  p90  least  bound  ratio  GFLOP  GFLOP/s  drawn  share'
          ' compiled  ratio  share  warm-up s   (times in ms; ratio: over the bound; share: of an '
          'update in float32)')
    # Here, as it takes seconds to import.
    from torch._inductor.utils import fresh_cache
    for name, (config, improving) in cases(asked.policy).items():
        torch.compiler.reset()
        with fresh_cache():
            found = measure(config, improving, compiled, asked.updates)
        figures |= {f'{name}_{key}': value for key, value in found.items()}
        print(rows(name, found), flush=True)
    figures |= replay_figures(asked.replay)
    print(f'{asked.replay} transitions of cube-triple: {figures["replay_megabytes"]:.0f} MB, '
          f'{figures["replay_sampling_ms"]:.2f} ms a batch of 256 chunks')
    described = machine()
    print(', '.join(f'{key} {value}' for key, value in described.items())
          + f', threads {asked.threads}, torch {torch.__version__}')
    print(json.dumps({
        **figures, 'policy': asked.policy, 'threads': asked.threads, 'machine': described}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
