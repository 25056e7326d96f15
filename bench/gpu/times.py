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
"""Times on a device: updates at paper size, the device's product rate, and a policy's answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import time
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.common.distribution import distribution
from bench.update import cases, make_agent, OBSERVATION, transitions
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.execution import ExecutionSettings
from training.learning.agents.agent import Agent
from training.learning.networks.layers import CompileError
from training.learning.trainer.replay_buffer import ReplayBuffer

PRODUCTS = {'float32': torch.float32, 'bf16': torch.bfloat16}


def wait(device: str) -> None:
    """Wait until a GPU has finished; nothing on a CPU."""
    if device == 'cuda':
        torch.cuda.synchronize()


def product_rate(device: str, precision: str, size: int = 2048, calls: int = 20) -> float:
    """Return the floating-point operations per second of (size, 512) by (512, 512)."""
    left, right = (
        torch.randn(*shape, device=device, dtype=PRODUCTS[precision])
        for shape in ((size, 512), (512, 512)))
    torch.mm(left, right)
    wait(device)
    start = time.perf_counter()
    for _ in range(calls):
        torch.mm(left, right)
    wait(device)
    return calls * 2 * size * 512 * 512 / (time.perf_counter() - start)


def updates(device: str, count: int, compiles: bool) -> list[dict[str, Any]]:
    """
    Time updates of both phases in both precisions, eager and compiled.

    :param count: Timed updates of each.
    :param compiles: Whether to measure compiled updates too.
    :return: A row each: median and 99th percentile in ms, work, and the time that the products
        alone take at the device's rate in that precision.
    """
    rows = []
    for phase in ('offline', 'online'):
        config, improving = cases('dfp')[phase]
        for precision in ('float32', 'bf16'):
            for compiled in (False, True)[:1 + compiles]:
                agent = make_agent(replace(config, precision=precision), improving, False)
                agent.to(device)
                try:
                    if compiled:
                        agent.compile_networks()
                    rows.append({
                        'phase': phase, 'precision': precision, 'compiled': compiled,
                        **_time(agent, device, precision, count)})
                except CompileError as error:
                    rows.append({'phase': phase, 'precision': precision, 'compiled': compiled,
                                 'error': str(error)})
    return rows


def _time(agent: Agent, device: str, precision: str, count: int) -> dict[str, float]:
    buffer = ReplayBuffer(
        transitions(20_000, OBSERVATION), agent.config.horizon, agent.config.discount, device)
    generator = np.random.default_rng(0)

    def update() -> None:
        agent.update(buffer.sample(agent.config.batch_size, generator))

    with FlopCounterMode(display=False) as counter:
        update()
    for _ in range(3):
        update()
    taken = []
    for _ in range(count):
        wait(device)
        start = time.perf_counter()
        update()
        wait(device)
        taken.append(1e3 * (time.perf_counter() - start))
    rate = product_rate(device, precision)
    return {
        'p50_ms': float(np.median(taken)), 'p99_ms': float(np.percentile(taken, 99)),
        'work_gflop': counter.get_total_flops() / 1e9, 'rate_tflops': rate / 1e12,
        'bound_ms': 1e3 * counter.get_total_flops() / rate}


def answers(file: Path, device: str, calls: int) -> list[dict[str, Any]]:
    """
    Time a policy file's answers with each execution provider.

    :param file: The policy file.
    :param device: ``cuda`` to measure ONNX Runtime's CUDA provider beside the CPU's.
    :param calls: Calls of each.
    """
    rows = []
    for provider in ('cpu', 'cuda')[:1 + (device == 'cuda')]:
        policy = OnnxPolicy(file, ExecutionSettings(providers=provider))
        generator = np.random.default_rng(0)
        observation = generator.standard_normal(
            policy.spec.observation_size, dtype=np.float32)
        for candidates in (1, 16):
            noise = generator.standard_normal(
                (candidates, policy.spec.noise_size), dtype=np.float32)
            taken = []
            for i in range(calls + 20):
                start = time.perf_counter()
                policy.act(observation, noise)
                if i >= 20:
                    taken.append(time.perf_counter() - start)
            rows.append({
                'provider': policy.providers[0], 'candidates': candidates,
                **distribution(taken)})
    return rows
