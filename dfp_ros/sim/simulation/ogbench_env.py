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
Deterministic manipulation environments of OGBench.

OGBench settles the goal scene with unseeded random actions at every reset. Their control signal,
constraint warm start and simulation time remain in MuJoCo's data, so that two episodes with one
seed agree at first and diverge in contact. :class:`DeterministicReset` removes the residue.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
import warnings

import gymnasium
import mujoco
import numpy as np
import ogbench  # noqa: F401, registers the environments

from dfp_ros.core.text.errors import near_names


class DeterministicReset(gymnasium.Wrapper):
    """
    Wrapper that starts every episode from MuJoCo's defaults and the positions of the reset.

    :param env: An environment of OGBench, which makes its spaces anew whenever they are read.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        with _without_warnings():
            self.action_space, self.observation_space = env.action_space, env.observation_space

    def reset(
            self, *, seed: int | None = None,
            options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """
        Reset; equal seeds give equal episodes, bit for bit.

        :param seed: Seed of the environment's own random generator.
        :param options: Passed on to the environment.
        :return: Observation, shape (obs_dim,), float64, and the info dictionary.
        """
        with _without_warnings():
            _, info = self.env.reset(seed=seed, options=options)
        env: Any = self.unwrapped
        data = env.data
        kept = data.qpos.copy(), data.qvel.copy(), data.mocap_pos.copy(), data.mocap_quat.copy()
        mujoco.mj_resetData(env.model, data)
        data.qpos[:], data.qvel[:], data.mocap_pos[:], data.mocap_quat[:] = kept
        env.pre_step()
        mujoco.mj_forward(env.model, data)
        env.post_step()
        return env.compute_observation(), {**info, **env.get_reset_info()}


def make_env(environment: str, **kwargs: Any) -> gymnasium.Env:
    """
    Make a deterministic OGBench environment.

    :param environment: Gymnasium id, for example ``cube-single-singletask-task2-v0``.
    :param kwargs: Passed to ``gymnasium.make``.
    :raises ValueError: If no such environment is registered, with similar names, or it cannot be
        made.
    """
    with _without_warnings():
        return DeterministicReset(_make(environment, **kwargs))


def make_scene(environment: str, **kwargs: Any) -> Any:
    """
    Make an environment to be drawn, which is reset once.

    What OGBench and Gymnasium would draw on the way is not drawn: resets, and the spaces of an
    environment whose observations are pictures, take several pictures each.

    :param environment: Gymnasium id; ``visual-`` ones have the colours and the camera of OGBench's
        visual data sets.
    :param kwargs: Passed to ``gymnasium.make``.
    :return: OGBench's own environment, without wrappers, whose observations are states.
    :raises ValueError: As of :func:`make_env`.
    """
    env: Any = _make(environment, disable_env_checker=True, **kwargs).unwrapped
    # The type of the observations decides the colours here, and later only what is observed.
    env._mjcf_model = env.build_mjcf_model()
    env._ob_type = 'states'
    with _without_warnings():
        env.reset(seed=0)
    return env


def _make(environment: str, **kwargs: Any) -> gymnasium.Env:
    if environment not in gymnasium.registry:
        raise ValueError(_unknown(environment))
    try:
        return gymnasium.make(environment, **kwargs)
    except (ImportError, gymnasium.error.Error) as error:
        # Gymnasium registers environments whose packages are not installed.
        raise ValueError(
            f'environment: found {environment!r}, which cannot be made: {error}') from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore that OGBench declares a float64 action space and stores it in float32."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*precision lowered')
        yield


def _unknown(environment: str) -> str:
    """Name the requested environment and some that exist."""
    near = near_names(environment, gymnasium.registry, count=3, likeness=0.6) or [
        'cube-single-singletask-task2-v0', 'lift-mh-low_dim', 'lift-joint-low_dim']
    return (
        f'environment: found {environment!r}, which is not registered with Gymnasium; names such '
        f'as {", ".join(near)}')
