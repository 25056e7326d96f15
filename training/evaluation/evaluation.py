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
"""Evaluation of a policy over simulated episodes: success rate and return."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gymnasium.vector import VectorEnv
import numpy as np
from tqdm import tqdm

from dfp_ros.core.intervals import wilson_interval
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.spec import PolicySpec
from training.config import TrainConfig
from training.evaluation.episodes import Act, Episode, run_episodes


@dataclass(frozen=True)
class Evaluation:
    """
    Results of several episodes.

    :param episodes: In the order of their seeds.
    :param discount: Discount factor per step of their returns.
    """

    episodes: tuple[Episode, ...]
    discount: float

    @property
    def success(self) -> float:
        """Success rate: share of episodes solved."""
        return sum(episode.success for episode in self.episodes) / len(self.episodes)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the success rate."""
        solved = sum(episode.success for episode in self.episodes)
        return wilson_interval(solved, len(self.episodes))

    @property
    def mean_steps(self) -> float:
        """Mean number of actions executed."""
        return float(np.mean([episode.steps for episode in self.episodes]))

    @property
    def discounted_return(self) -> float:
        """Mean discounted return."""
        return float(np.mean([episode.discounted_return for episode in self.episodes]))

    def summary(self) -> dict[str, Any]:
        """Results as plain JSON, with one record per episode."""
        records = [asdict(episode) for episode in self.episodes]
        for record in records:
            del record['actions']
        return {
            'success': self.success, 'interval': self.interval, 'episodes': len(self.episodes),
            'mean_steps': self.mean_steps, 'discount': self.discount,
            'discounted_return': self.discounted_return, 'per_episode': records}


def evaluate(
        environments: VectorEnv, act: Act, spec: PolicySpec, episodes: int, seed: int,
        candidates: int | None = None, noise_scale: float | None = None,
        discount: float | None = None, bar: str | None = None) -> Evaluation:
    """
    Evaluate a policy in environments that are already started.

    :param environments: Environments from :func:`training.evaluation.environments.start`.
    :param act: See :func:`training.evaluation.episodes.run_episodes`.
    :param spec: Sizes, and the defaults of candidates, noise scale and discount.
    :param episodes: Number of episodes.
    :param seed: Seed of the first.
    :param bar: Label of the progress bar; None for no bar.
    :raises EnvironmentFailed: If an environment's process dies, or does not respond.
    """
    candidates = spec.candidates if candidates is None else candidates
    scale = spec.noise_scale if noise_scale is None else noise_scale
    discount = discount_of(spec) if discount is None else discount

    def noise(seed: int) -> NoiseStream:
        return NoiseStream(seed, candidates, spec.noise_size, scale)

    ended = tqdm(
        run_episodes(environments, act, range(seed, seed + episodes), noise, discount),
        total=episodes, desc=bar, unit='episode', disable=None if bar else True)
    return Evaluation(tuple(sorted(ended, key=lambda episode: episode.seed)), discount)


def acting(policy: OnnxPolicy) -> Act:
    """Adapt a policy file; see :func:`training.evaluation.episodes.run_episodes`."""
    def act(
            observation: np.ndarray, noise: np.ndarray,
            pictures: tuple[np.ndarray, ...] = ()) -> np.ndarray:
        return policy.act(observation, noise, pictures=pictures).actions
    return act


def discount_of(spec: PolicySpec) -> float:
    """Discount factor that a policy was trained with; the trainer's default if unknown."""
    config = spec.provenance.get('config')
    known = config if isinstance(config, dict) else {}
    return float(known.get('discount', TrainConfig.discount))
