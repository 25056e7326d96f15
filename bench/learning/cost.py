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
"""Cost of the compared policies: of their updates, and of an action, side by side in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnx
import torch

from bench.common.turns import in_turns, tight
from bench.inference.paper_policy import MODELS
from bench.inference.runtimes import Inputs, onnx_answer
from bench.learning.methods import METHODS, settings
from bench.update import transitions
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import read_spec
from training.common import memory
from training.config import TrainConfig
from training.learning.agents.agent import Agent
from training.learning.networks.modules import Normaliser
from training.learning.trainer.replay_buffer import ReplayBuffer
from training.learning.trainer.schedule import trains_actor
from training.onnx_export.policy_graph import policy_model

TURNS, PRECISIONS = 8, ('float32', 'bf16')
# Observations and actions of the scene.
_SPEC = replace(read_spec(MODELS / 'scene.onnx'), horizon=5, provenance={})


def costs(updates: int, calls: int) -> dict[str, dict[str, Any]]:
    """
    Time the methods' updates and actions on one thread, in interleaved blocks.

    Data are random and networks untrained, which changes neither. Sizes are those of scene-task2.

    :param updates: Timed updates of each method in each of its phases.
    :param calls: Timed inferences of each method with each number of candidates.
    :return: By method: the ``precision`` that is faster, as ``--precision auto`` takes it; in it,
        the mean time of an update in ms before and after its policy is improved on the data
        (``update_ms``, ``improving_ms``; one in ``actor_every`` trains the actor), and processor
        time of all updates in s (``run_seconds``); and of each number of candidates the 50th and
        99th percentile of an inference's time in microseconds.
    """
    memory.keep()
    torch.set_num_threads(1)
    configs = {name: settings('scene-task2', name, 0) for name in METHODS}
    timed = {
        key: 1e3 * float(np.mean(taken))
        for key, taken in in_turns(dict(_updates(configs, updates)), TURNS).items()}
    found: dict[str, dict[str, Any]] = {name: {} for name in METHODS}
    for name, config in configs.items():
        best = min(PRECISIONS, key=lambda each, name=name: timed[name, each, 'update_ms'])
        found[name] = {'precision': best} | {
            phase: ms for (each, precision, phase), ms in timed.items()
            if each == name and precision == best}
        before, after = found[name]['update_ms'], found[name].get('improving_ms')
        found[name]['run_seconds'] = 1e-3 * (
            before * config.steps if after is None
            else before * config.improve_after + after * (config.steps - config.improve_after))
    with tempfile.TemporaryDirectory() as folder:
        inferences = dict(_inferences(configs, Path(folder), calls))
        for (name, candidates), taken in in_turns(inferences, TURNS).items():
            found[name][f'inference_{candidates}_us'] = [
                1e6 * float(np.percentile(taken, rank)) for rank in (50, 99)]
    return found


def cost_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Format the costs as a Markdown table."""
    counts = sorted({
        int(key.split('_')[1]) for row in found.values() for key in row
        if key.startswith('inference_')})
    lines = [
        ['policy', 'precision', 'update, ms', 'update that improves, ms', '100,000 updates, min',
         *(f'action, {count} candidate{"s" * (count > 1)}, us (p99)' for count in counts)]]
    lines.append(['---'] * len(lines[0]))
    for name, row in found.items():
        after = row.get('improving_ms')
        lines.append([
            METHODS[name].title, row['precision'], f'{row["update_ms"]:.1f}',
            '' if after is None else f'{after:.1f}', f'{row["run_seconds"] / 60:.0f}',
            *('{:.0f} ({:.0f})'.format(*row[f'inference_{count}_us']) for count in counts)])
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


_Timed = tuple[Callable[[int], NDArray[np.float64]], int]


def _updates(
        configs: Mapping[str, TrainConfig], updates: int,
) -> Iterator[tuple[Any, _Timed]]:
    """Yield, by method, precision and phase, what times updates."""
    data = transitions(20_000, _SPEC.observation_size)
    for name, config in configs.items():
        buffer = ReplayBuffer(data, config.horizon, config.discount)
        phases = ['update_ms', *(['improving_ms'] if config.value_weight > 0
                                 and 0 < config.improve_after < config.steps else [])]
        for precision, phase in product(PRECISIONS, phases):
            agent = _agent(replace(config, precision=precision))
            if phase == 'improving_ms' or config.improve_after == 0:
                agent.improve()
            generator = np.random.default_rng(0)

            def update(
                    step: int, agent: Agent = agent, buffer: ReplayBuffer = buffer,
                    config: TrainConfig = config,
                    generator: np.random.Generator = generator) -> None:
                agent.update(
                    buffer.sample(config.batch_size, generator),
                    actor=trains_actor(config, step))
            # Blocks begin and end with whole turns of critics and actor.
            each = config.actor_every * -(-updates // (config.actor_every * TURNS))
            yield (name, precision, phase), (
                lambda calls, call=update: tight(call, calls), each * TURNS)


def _inferences(
        configs: Mapping[str, TrainConfig], folder: Path, calls: int,
) -> Iterator[tuple[Any, _Timed]]:
    """Yield, by method and number of candidates, what times inferences as the node makes them."""
    for name, config in configs.items():
        path = folder / f'{name}.onnx'
        onnx.save_model(policy_model(_agent(config), _SPEC), str(path))
        for candidates in (1, config.best_of):
            policy = OnnxPolicy(path, candidates=candidates)
            answer = onnx_answer(policy, Inputs(policy, candidates))
            yield (name, candidates), (
                lambda count, answer=answer: tight(answer, count), calls)


def _agent(config: TrainConfig) -> Agent:
    """Make an untrained agent."""
    torch.manual_seed(0)
    size = _SPEC.observation_size
    return Agent(
        config, size, _SPEC.action_size, Normaliser(torch.zeros(size), torch.ones(size)))
