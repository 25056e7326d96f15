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
"""Online data collection: the current policy acts in the environment, one step at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.sim.simulation.online_seeds import online_seed
from dfp_ros.sim.simulation.picture_names import PICTURES

Act = Callable[..., np.ndarray]


class Explorer:
    """
    Executes action chunks of the current policy, open loop, and returns each transition.

    Episode ``i`` resets the environment and the noise stream with a seed that depends only on the
    run's seed and ``i``, so that an unfinished episode can be resumed by replaying its actions.

    :param env: Environment made by :func:`dfp_ros.sim.simulation.make_env.make_env`.
    :param act: Maps an observation, shape (obs_dim,), float32, and noise, shape
        (candidates, noise_size), float32, to a chunk, shape (horizon, act_dim), in [-1, 1].
        Pictures, if the environment has some, are its keyword argument ``pictures``: a tuple of
        those of each camera, shape (height, width, n), uint8.
    :param candidates: N': noise vectors per chunk.
    :param noise_size: Length of a noise vector.
    :param noise_scale: Factor on the noise.
    :param seed: The run's seed.
    :param sparse: Whether the reward is -1 until the task is solved.
    :param renew: Called with an episode before its first chunk, to have ``act`` use the newest
        policy; None if it does always.
    :param keep: Called with the episode of each state that is saved within it; None for no call.
    """

    def __init__(
            self, env: Any, act: Act, candidates: int, noise_size: int, noise_scale: float,
            seed: int, sparse: bool, renew: Callable[[int], None] | None = None,
            keep: Callable[[int], None] | None = None) -> None:
        self._env, self._act, self._seed, self._sparse = env, act, seed, sparse
        self._renew, self._keep = renew, keep
        self._noise = NoiseStream(0, candidates, noise_size, noise_scale)
        self._observation = np.empty(0, np.float32)
        self._pictures: tuple[np.ndarray, ...] = ()
        self._queue: list[np.ndarray] = []
        self._executed: list[np.ndarray] = []
        self._draws = 0
        self.episode = -1
        self.solved: list[bool] = []
        self._begin()

    def step(self) -> dict[str, Any]:
        """
        Take one step in the environment.

        :return: The transition, with a value for each column of the replay buffer.
        """
        if not self._queue:
            if self._renew and not self._draws:
                self._renew(self.episode)
            self._queue = list(np.asarray(
                self._act(self._observation, self._noise.next(), **self._seen('pictures')),
                np.float32))
            self._draws += 1
        action = self._queue.pop(0)
        before, seen = self._observation, self._seen('pictures')
        following, reward, terminated, truncated, info = self._env.step(action)
        self._observation = np.asarray(following, np.float32)
        self._pictures = _pictures_of(info)
        self._executed.append(action)
        if self._sparse:
            reward = 0.0 if terminated else -1.0
        row = {
            'observations': before, 'actions': action, 'next_observations': self._observation,
            'rewards': float(reward), 'masks': float(not terminated),
            'terminals': float(terminated or truncated), **seen, **self._seen('next_pictures')}
        if terminated or truncated:
            self.solved.append(bool(info['success']))
            self._begin()
        return row

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    @property
    def is_within_episode(self) -> bool:
        """Whether a chunk of the current episode was drawn."""
        return self._draws > 0

    def state(self) -> dict[str, torch.Tensor]:
        """State to save in a checkpoint, from which :meth:`restore` resumes the episode."""
        if self._keep and self.is_within_episode:
            self._keep(self.episode)
        shape = -1, self._env.action_space.shape[0]
        return {
            'episode': torch.tensor(self.episode), 'draws': torch.tensor(self._draws),
            'solved': torch.tensor(self.solved, dtype=torch.bool),
            'executed': torch.from_numpy(np.array(self._executed, np.float32).reshape(shape)),
            'queue': torch.from_numpy(np.array(self._queue, np.float32).reshape(shape))}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Resume an episode: reset with its seed, and replay its actions."""
        self.solved = state['solved'].tolist()
        self.episode = int(state['episode']) - 1
        self._begin()
        for action in state['executed'].numpy():
            following, *_, info = self._env.step(action)
            self._observation = np.asarray(following, np.float32)
            self._pictures = _pictures_of(info)
            self._executed.append(action)
        self._queue = list(state['queue'].numpy())
        self._draws = int(state['draws'])
        for _ in range(self._draws):
            self._noise.next()

    def _seen(self, name: str) -> dict[str, Any]:
        """Newest pictures as an argument; none without cameras."""
        return {name: self._pictures} if self._pictures else {}

    def _begin(self) -> None:
        """Reset for the next episode."""
        self.episode += 1
        seed = online_seed(self._seed, self.episode)
        observation, info = self._env.reset(seed=seed)
        self._pictures = _pictures_of(info)
        self._noise.reset(seed)
        self._observation = np.asarray(observation, np.float32)
        self._queue, self._executed, self._draws = [], [], 0


def _pictures_of(info: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Take the pictures that an environment drew, in the order of its cameras."""
    return tuple(np.asarray(picture, np.uint8) for picture in info.get(PICTURES, {}).values())
