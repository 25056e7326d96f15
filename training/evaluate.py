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
Run a policy's episodes in the simulator and count how many it solves.

Episode ``i`` resets the environment with ``seed + i`` and starts the noise stream there too, so
a result depends on the seed alone, not on how many processes shared the work.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
import multiprocessing
from pathlib import Path
import sys
from typing import Any

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from dfp_ros.chunk import NoiseStream
from dfp_ros.policy import OnnxPolicy
from dfp_ros.robots.ogbench_env import make_env
from dfp_ros.spec import PolicySpec
from training.provenance import versions, write_json

Act = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Episode:
    """
    One episode's outcome.

    :param seed: Seed of the environment and of the noise stream.
    :param success: Whether the task was solved at the last step.
    :param steps: Actions executed.
    :param reward: Sum of rewards, undiscounted.
    :param actions: Shape (steps, act_dim), float32, in [-1, 1].
    """

    seed: int
    success: bool
    steps: int
    reward: float
    actions: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Evaluation:
    """Outcomes of several episodes."""

    episodes: tuple[Episode, ...]

    @property
    def success(self) -> float:
        """Share of episodes solved."""
        return sum(episode.success for episode in self.episodes) / len(self.episodes)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the success rate."""
        solved = sum(episode.success for episode in self.episodes)
        low, high = binomtest(solved, len(self.episodes)).proportion_ci(method='wilson')
        return float(low), float(high)

    def summary(self) -> dict[str, Any]:
        """Plain numbers, with one record an episode."""
        lengths = [episode.steps for episode in self.episodes]
        records = [asdict(episode) for episode in self.episodes]
        for record in records:
            del record['actions']
        return {
            'success': self.success, 'interval': self.interval, 'episodes': len(self.episodes),
            'mean_steps': float(np.mean(lengths)), 'per_episode': records}


def run_episode(
        env: Any, act: Act, seed: int, noise: NoiseStream, horizon: int | None = None) -> Episode:
    """
    Run one episode; chunks are executed open loop.

    :param env: What :func:`dfp_ros.robots.ogbench_env.make_env` made.
    :param act: Maps an observation, shape (obs_dim,), float32, and noise, shape
        (candidates, noise_size), float32, to a chunk, shape (horizon, act_dim).
    :param seed: Resets the environment and the noise stream.
    :param noise: The stream to draw from.
    :param horizon: Actions executed of each chunk; all of them where None.
    """
    observation, info = env.reset(seed=seed)
    noise.reset(seed)
    actions: list[np.ndarray] = []
    queue: list[np.ndarray] = []
    reward, done = 0.0, False
    while not done:
        if not queue:
            chunk = act(np.asarray(observation, np.float32), noise.next())
            queue = list(np.asarray(chunk, np.float32)[:horizon])
        actions.append(queue.pop(0))
        observation, gained, terminated, truncated, info = env.step(actions[-1])
        reward += float(gained)
        done = terminated or truncated
    return Episode(seed, bool(info['success']), len(actions), reward, np.array(actions))


def evaluate(
        env: Any, act: Act, spec: PolicySpec, episodes: int, seed: int,
        candidates: int | None = None, noise_scale: float | None = None) -> Evaluation:
    """
    Run episodes one after the other in this process.

    :param env: The environment.
    :param act: See :func:`run_episode`.
    :param spec: Sizes, candidates and noise scale, where these are not given.
    :param episodes: How many.
    :param seed: Seed of the first.
    """
    noise = NoiseStream(
        seed, spec.candidates if candidates is None else candidates, spec.noise_size,
        spec.noise_scale if noise_scale is None else noise_scale)
    return Evaluation(tuple(run_episode(env, act, seed + i, noise) for i in range(episodes)))


_worker: tuple[Any, OnnxPolicy, NoiseStream]


def _start_worker(
        path: Path, environment: str | None, candidates: int | None,
        noise_scale: float | None) -> None:
    global _worker
    policy = OnnxPolicy(path)
    spec = policy.spec
    noise = NoiseStream(
        0, spec.candidates if candidates is None else candidates, spec.noise_size,
        spec.noise_scale if noise_scale is None else noise_scale)
    _worker = make_env(environment or spec.environment), policy, noise


def _work(seed: int) -> Episode:
    env, policy, noise = _worker
    return run_episode(env, lambda *inputs: policy.act(*inputs).actions, seed, noise)


def evaluate_file(
        path: Path, episodes: int, seed: int, workers: int = 1, environment: str | None = None,
        candidates: int | None = None, noise_scale: float | None = None) -> Evaluation:
    """
    Run a policy file's episodes in several processes.

    :param path: The ONNX file.
    :param episodes: How many.
    :param seed: Seed of the first.
    :param workers: Processes; the result does not depend on it.
    :param environment: Another environment than the file's own.
    :param candidates: Another number of candidates than the file's own.
    :param noise_scale: Another noise scale than the file's own.
    :raises PolicyError: Where the file cannot be run.
    :raises ValueError: Where no such environment is registered.
    """
    # A bad file or environment is refused here: a pool restarts workers that fail for ever.
    make_env(environment or OnnxPolicy(path).spec.environment).close()
    context = multiprocessing.get_context('spawn')
    settings = path, environment, candidates, noise_scale
    with context.Pool(workers, _start_worker, settings) as pool:
        done: Iterable[Episode] = tqdm(
            pool.imap(_work, range(seed, seed + episodes)), total=episodes, desc=path.stem,
            unit='episode', disable=None)
        return Evaluation(tuple(done))


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.evaluate', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('policy', type=Path, help='policy file')
    made.add_argument('--episodes', type=int, default=100, help='how many (default: %(default)s)')
    made.add_argument('--seed', type=int, default=100_000,
                      help='seed of the first episode (default: %(default)s)')
    made.add_argument('--environment', help="another environment than the file's own")
    made.add_argument('--candidates', type=int, help="another number than the file's own")
    made.add_argument('--noise-scale', type=float, help="another scale than the file's own")
    made.add_argument('--workers', type=int, default=2, help='processes (default: %(default)s)')
    made.add_argument('--json', type=Path, help='write the result there')
    return made


def main(arguments: list[str] | None = None) -> int:
    """Evaluate a policy file and print its success rate."""
    made = parser()
    asked = made.parse_args(arguments)
    if min(asked.episodes, asked.workers, 1 if asked.candidates is None else asked.candidates) < 1:
        made.error('--episodes, --workers and --candidates take 1 or more')
    try:
        found = evaluate_file(
            asked.policy, asked.episodes, asked.seed, asked.workers, asked.environment,
            asked.candidates, asked.noise_scale)
    except ValueError as error:
        made.exit(2, f'{error}\n')
    low, high = found.interval
    print(f'{asked.policy.name}: {found.success:.1%} of {asked.episodes} episodes solved '
          f'(95 % interval {low:.1%} to {high:.1%}), '
          f'{found.summary()["mean_steps"]:.1f} steps an episode')
    if asked.json:
        write_json(asked.json, {
            'policy': asked.policy.name, 'sha256': OnnxPolicy(asked.policy).sha256,
            'seed': asked.seed, 'candidates': asked.candidates, 'noise_scale': asked.noise_scale,
            'versions': versions(), **found.summary()})
    return 0


if __name__ == '__main__':
    sys.exit(main())
