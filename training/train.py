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
Learn a Drifting Field Policy from a data file.

    python -m training.train small-clone --run runs/clone

Every setting of the preset can be replaced on the command line; ``--help`` after the preset's
name lists them. Ctrl-C or SIGTERM writes a checkpoint and ends; ``--resume`` goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
import math
import os
from pathlib import Path
import signal
import sys
import time
from typing import Any

os.environ.setdefault('MUJOCO_GL', 'disable')  # nothing is drawn
if __package__ in (None, ''):
    # Run as a file: the checkout, not training/, is where imports start.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np
import torch
from tqdm import tqdm
import tyro

from dfp_ros.robots.ogbench_env import make_env
from dfp_ros.spec import PolicySpec
from training import checkpoint
from training.agent import Agent
from training.buffer import ChunkSampler, Transitions
from training.config import PRESETS, TrainConfig
from training.datasets.ogbench import load
from training.evaluate import evaluate
from training.log import RunLog
from training.networks import Normaliser
from training.provenance import commit, versions

# Below this deviation a dimension counts as constant and is left at its scale.
CONSTANT = 1e-4


class TrainingError(RuntimeError):
    """A run cannot start or cannot go on."""


@dataclass(frozen=True)
class Command:
    """What the command line asks for."""

    run: Path
    """Folder of the run: settings, logs, checkpoint, evaluations."""
    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    resume: bool = False
    """Go on from the run's checkpoint."""


def train(run: Path, config: TrainConfig, resume: bool = False) -> checkpoint.Progress:
    """
    Take a run to its last update, or to the signal that ends it.

    :param run: Folder of the run; made if missing.
    :param config: Its settings.
    :param resume: Go on from the folder's checkpoint.
    :returns: How far the run has come.
    :raises TrainingError: Where the folder already holds a run, the device is missing, or a loss
        is not finite (the last checkpoint stays).
    """
    saved = run / 'checkpoint.pt'
    if saved.exists() and not resume:
        raise TrainingError(
            f'{run}: found a run there; go on with --resume, or name another --run')
    if config.device == 'cuda' and not torch.cuda.is_available():
        raise TrainingError("device: found 'cuda', but torch sees no GPU; use --device cpu")
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    generator = np.random.default_rng(config.seed)

    transitions = load(Path(config.data), config.environment)
    spec = describe(run.name, config, transitions)
    sampler = ChunkSampler(transitions, config.horizon, config.discount, config.device)
    agent = Agent(
        config, spec.observation_size, spec.action_size,
        fit_normaliser(transitions.observations, config.normalise)).to(config.device)
    progress = checkpoint.Progress()
    if resume:
        progress = checkpoint.restore(saved, config, spec, agent, generator)

    env = make_env(config.environment)
    with RunLog(run, config, progress.step) as log, _stop_signals() as stopped:
        bar = tqdm(
            total=config.steps, initial=progress.step, desc=run.name, unit='update', disable=None)
        clock = _Clock(progress)
        info: dict[str, torch.Tensor] | None = None
        while progress.step < config.steps and not stopped():
            agent.set_learning_rate(learning_rate(config, progress.step))
            info = agent.update(sampler.sample(config.batch_size, generator))
            progress.step += 1
            bar.update()
            last = progress.step == config.steps
            if last or progress.step % config.log_every == 0:
                clock.tick()
                log.update(progress, _finite(info, progress.step, saved))
            if last or progress.step % config.evaluate_every == 0:
                found = evaluate(env, _acting(agent), spec, config.episodes, 10_000)
                clock.tick()
                log.evaluation(progress, found)
                bar.set_postfix(success=f'{found.success:.0%}')
            if last or progress.step % config.checkpoint_every == 0:
                _finite(info, progress.step, saved)
                clock.tick()
                checkpoint.save(saved, config, spec, agent, generator, progress)
        if stopped() and progress.step % config.checkpoint_every != 0:
            if info is not None:
                _finite(info, progress.step, saved)
            clock.tick()
            checkpoint.save(saved, config, spec, agent, generator, progress)
        bar.close()
    env.close()
    return progress


def describe(name: str, config: TrainConfig, transitions: Transitions) -> PolicySpec:
    """Write down what the policy of a run will say of itself."""
    return PolicySpec(
        name=name, environment=config.environment, observation=transitions.observation_fields,
        action=transitions.action_fields, period=transitions.period, horizon=config.horizon,
        candidates=config.best_of, noise_scale=config.noise_scale,
        provenance={
            'algorithm': 'Drifting Field Policy, arXiv 2605.07727',
            'config': asdict(config), 'data': dict(transitions.source), 'commit': commit(),
            'versions': versions()})


def fit_normaliser(observations: np.ndarray, wanted: bool) -> Normaliser:
    """
    Take mean and deviation from the data; constant dimensions keep their scale.

    :param observations: Shape (size, obs_dim).
    :param wanted: Where False, the normaliser does nothing.
    """
    size = observations.shape[1]
    if not wanted:
        return Normaliser(torch.zeros(size), torch.ones(size))
    mean = observations.mean(axis=0, dtype=np.float64)
    deviation = observations.std(axis=0, dtype=np.float64)
    deviation[deviation < CONSTANT] = 1.0
    return Normaliser(
        torch.tensor(mean, dtype=torch.float32), torch.tensor(deviation, dtype=torch.float32))


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rate of the update after ``step`` updates."""
    if config.schedule == 'constant':
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / config.steps))


class _Clock:
    """Adds the time since the last tick to a run's counters."""

    def __init__(self, progress: checkpoint.Progress) -> None:
        self._progress = progress
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def tick(self) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        self._progress.wall_seconds += wall - self._wall
        self._progress.cpu_seconds += cpu - self._cpu
        self._wall, self._cpu = wall, cpu


def _acting(agent: Agent) -> Any:
    device = agent.normaliser.mean.device

    def act(observation: np.ndarray, noise: np.ndarray) -> np.ndarray:
        chunk = agent.act(
            torch.from_numpy(observation).to(device), torch.from_numpy(noise).to(device))
        return chunk.cpu().numpy()
    return act


def _finite(info: dict[str, torch.Tensor], step: int, saved: Path) -> dict[str, float]:
    values = {name: float(value) for name, value in info.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            kept = f'the last good checkpoint is {saved}' if saved.exists() else 'none was saved'
            raise TrainingError(f'{name}: found {value} at update {step}; training stops, {kept}')
    return values


@contextmanager
def _stop_signals() -> Iterator[Any]:
    """Turn Ctrl-C and SIGTERM into a flag, so that a run ends between updates."""
    seen: list[int] = []
    kinds = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(kind, lambda number, frame: seen.append(number)) for kind in kinds]
    try:
        yield lambda: bool(seen)
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says."""
    presets = {
        name: (f'{text}.', Command(tyro.MISSING, config))
        for name, (text, config) in PRESETS.items()}
    try:
        asked = tyro.extras.overridable_config_cli(
            presets, args=arguments, prog='python -m training.train',
            description=(__doc__ or '').strip().splitlines()[0])
        progress = train(asked.run, asked.config, asked.resume)
    except (ValueError, TrainingError) as error:
        print(error, file=sys.stderr)
        return 2
    done = progress.step == asked.config.steps
    print(f'{asked.run}: {progress.step} of {asked.config.steps} updates'
          + ('' if done else '; stopped, go on with --resume'))
    return 0 if done else 130


if __name__ == '__main__':
    sys.exit(main())
