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
Policy rollouts: episodes in parallel environments.

The seed of an episode resets its environment and its noise stream, so its result depends on the
seed alone: not on which environment it ran in, nor on the other episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gymnasium.vector import VectorEnv
import numpy as np

from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.sim.simulation.picture_names import PICTURES

#: Policy: see :func:`run_episodes`.
Act = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Episode:
    """
    Result of one episode.

    :param seed: Seed of the environment and of the noise stream.
    :param success: Whether the task was solved at the last step.
    :param steps: Number of actions executed.
    :param total_reward: Undiscounted return.
    :param discounted_return: Discounted return: sum over steps t of reward times discount ** t.
    :param actions: Shape (steps, act_dim), float32, in [-1, 1].
    """

    seed: int
    success: bool
    steps: int
    total_reward: float
    discounted_return: float
    actions: np.ndarray = field(repr=False)


def run_episodes(
        environments: VectorEnv[Any, Any, Any], act: Act, seeds: Iterable[int],
        noise: Callable[[int], NoiseStream], discount: float) -> Iterator[Episode]:
    """
    Run one episode per seed, each as soon as an environment is free; chunks run open loop.

    :param environments: Environments from :func:`training.evaluation.environments.start`.
    :param act: Maps an observation, shape (obs_dim,), float32, and noise, shape
        (candidates, noise_size), float32, to a chunk, shape (horizon, act_dim). Pictures,
        if there are some, are its keyword argument ``pictures``: a tuple of those of each camera,
        shape (height, width, n), uint8.
    :param seeds: One seed per episode.
    :param noise: Returns the noise stream of a seed.
    :param discount: Discount factor per step.
    :return: Episodes in the order in which they end.
    """
    waiting = iter(seeds)
    running: list[_Running | None] = [None] * environments.num_envs
    # Typed for a single seed, but documented and implemented for a list.
    reset: Any = environments.reset
    actions = np.zeros(environments.action_space.shape or (), np.float32)
    observations = np.empty(0)
    # The newest of each environment: not every step has some.
    pictures: list[tuple[np.ndarray, ...]] = [()] * len(running)
    while True:
        starts: list[int | None] = [None] * len(running)
        for i, episode in enumerate(running):
            if episode is None and (seed := next(waiting, None)) is not None:
                starts[i], running[i] = seed, _Running(seed, noise(seed), discount)
        if not any(running):
            return
        fresh = np.array([seed is not None for seed in starts])
        if fresh.any():
            # The first reset includes all: environments without an episode step idly with the
            # others.
            mask = fresh if observations.size else np.ones_like(fresh)
            observations, infos = reset(seed=starts, options={'reset_mask': mask})
            pictures = newest_pictures(infos, pictures)
        for i, episode in enumerate(running):
            actions[i] = 0 if episode is None else episode.action(
                act, observations[i], pictures[i])
        observations, rewards, terminated, truncated, infos = environments.step(actions)
        pictures = newest_pictures(infos, pictures)
        for i, episode in enumerate(running):
            if episode is None:
                continue
            episode.gain(float(rewards[i]))
            if terminated[i] or truncated[i]:
                running[i] = None
                yield episode.outcome(bool(infos['success'][i]))


def newest_pictures(
        infos: Mapping[str, Any],
        before: Sequence[tuple[np.ndarray, ...]]) -> list[tuple[np.ndarray, ...]]:
    """
    Take the pictures that environments drew, as visual environments do.

    :param infos: Information of a step or a reset of several environments.
    :param before: Newest pictures of each environment before it.
    :return: Newest pictures of each; those of a camera have the shape (height, width, n), uint8.
    """
    drawn = infos.get(PICTURES, {})
    cameras = [name for name in drawn if not name.startswith('_')]
    return [
        tuple(np.asarray(drawn[name][i], np.uint8) for name in cameras)
        if cameras and all(drawn[f'_{name}'][i] for name in cameras) else old
        for i, old in enumerate(before)]


class _Running:
    """State of an episode in progress."""

    def __init__(self, seed: int, noise: NoiseStream, discount: float) -> None:
        self._seed, self._noise, self._discount = seed, noise, discount
        self._actions: list[np.ndarray] = []
        self._chunk: list[np.ndarray] = []
        self._reward = self._return = 0.0
        self._weight = 1.0

    def action(
            self, act: Act, observation: np.ndarray,
            pictures: tuple[np.ndarray, ...]) -> np.ndarray:
        """
        Choose the next action.

        The policy is evaluated on this observation alone: the summation order of its matrix
        products, and so the rounding, depends on the batch size. That costs little, as the physics
        take most of the time.
        """
        if not self._chunk:
            chunk = act(
                np.asarray(observation, np.float32), self._noise.next(),
                **({'pictures': pictures} if pictures else {}))
            self._chunk = list(np.asarray(chunk, np.float32))
        self._actions.append(self._chunk.pop(0))
        return self._actions[-1]

    def gain(self, reward: float) -> None:
        """Add a step's reward."""
        self._reward += reward
        self._return += self._weight * reward
        self._weight *= self._discount

    def outcome(self, success: bool) -> Episode:
        """Return the result, at the end of the episode."""
        return Episode(
            self._seed, success, len(self._actions), self._reward, self._return,
            np.array(self._actions))
