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
Checks before the first update of a run, so that export, evaluation and disk do not fail later.

The networks are exported to a policy file and compared with it, the evaluation environments take
one step, and the free disk space is compared with the size of checkpoints and logs.
"""

from __future__ import annotations

import copy
from importlib import util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gymnasium.vector import VectorEnv
import numpy as np

from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.spec import PolicySpec
from training.common.disk import require_room
from training.common.free_memory import free_memory
from training.config import NO_ENVIRONMENT, TrainConfig
from training.data.transitions.transitions import COLUMNS, Transitions
from training.evaluation.environments import EnvironmentFailed
from training.evaluation.episodes import Act, newest_pictures
from training.learning.agents.agent import Agent

# Number of observations on which the policy file is compared.
TRIED = 4
# Number of moments that Adam stores per parameter.
MOMENTS = 2
# Size in bytes of a log row (CSV and TensorBoard), and of an episode's record.
ROW, RECORD = 2_000, 300
# An earlier checkpoint stays until the new one is complete.
CHECKPOINTS = 2
# Largest share of the free memory and swap space for transitions.
MEMORY = 0.8
# Pictures of an online phase for each of its steps, with those after the last of an episode.
ONCE_MORE = 1.02


class NotReady(ValueError):
    """A run would fail later; the message says why, and what to do."""


def require_export(agent: Agent, spec: PolicySpec, folder: Path) -> None:
    """
    Export the networks to a policy file, and compare the two.

    :param agent: The agent before the first update; not modified.
    :param spec: Specification of the policy.
    :param folder: Existing folder for a temporary file.
    :raises NotReady: If a later export would fail.
    """
    for package in ('onnx', 'onnxruntime'):
        if util.find_spec(package) is None:
            raise NotReady(
                f'{package}: not installed, so the policy could not be exported; install the '
                'version in env/constraints.txt')
    import onnx

    from training.onnx_export.parity import compare, ExportError
    from training.onnx_export.policy_graph import policy_model
    low, high = (
        np.concatenate([getattr(member, bound) for member in spec.observation])
        for bound in ('low', 'high'))
    drawn = np.random.default_rng(0).uniform(low, high, (TRIED, len(low))).astype(np.float32)
    subject = copy.deepcopy(agent).cpu()
    try:
        with TemporaryDirectory(prefix='.trial-', dir=folder) as place:
            file = Path(place) / 'trial.onnx'
            onnx.save_model(policy_model(subject, spec), str(file))
            compare(subject, OnnxPolicy(file), drawn)
    except (ExportError, ValueError) as error:
        raise NotReady(
            f'export: the policy file of these settings would be refused ({error}); choose '
            'other settings, or report this as a bug') from error


def require_evaluation(
        environments: VectorEnv, act: Act, spec: PolicySpec, environment: str) -> None:
    """
    Take one step in the evaluation environments.

    :param environments: The environments, already started.
    :param act: See :func:`training.evaluation.episodes.run_episodes`.
    :param spec: Specification of the policy.
    :param environment: Name of the environment.
    :raises NotReady: If sizes or ranges differ, or a step fails.
    """
    for kind, space, size in (
            ('observation', environments.single_observation_space, spec.observation_size),
            ('action', environments.single_action_space, spec.action_size)):
        if space.shape != (size,):
            raise NotReady(
                f'environment: {environment} has {kind}s of shape {space.shape}, the data have '
                f'({size},); name the environment of the data with --environment, or '
                f'{NO_ENVIRONMENT!r}')
    low, high = (
        getattr(environments.single_action_space, bound) for bound in ('low', 'high'))
    if not (np.allclose(low, -1) and np.allclose(high, 1)):
        raise NotReady(
            f'environment: {environment} has actions from {low.min():g} to {high.max():g}, '
            'expected -1 to 1, as the data have them')
    seeds = list(range(environments.num_envs))
    # Typed for a single seed, but documented and implemented for a list.
    reset: Any = environments.reset
    try:
        observations, infos = reset(
            seed=seeds, options={'reset_mask': np.ones(len(seeds), bool)})
        pictures = newest_pictures(infos, [()] * len(seeds))
        noise = NoiseStream(0, spec.candidates, spec.noise_size, spec.noise_scale)
        chunk = act(
            np.asarray(observations[0], np.float32), noise.next(),
            **({'pictures': pictures[0]} if spec.images else {}))
        actions = np.repeat(np.asarray(chunk, np.float32)[:1], len(seeds), axis=0)
        following, rewards, *_, infos = environments.step(actions)
    except EnvironmentFailed:
        raise
    except Exception as error:  # An environment may raise anything.
        raise NotReady(
            f'environment: the first step of an evaluation in {environment} failed '
            f'({type(error).__name__}: {error}); name the environment of the data, or '
            f'{NO_ENVIRONMENT!r}') from error
    if 'success' not in infos or not np.isfinite(rewards).all() or (
            not np.isfinite(following).all()):
        raise NotReady(
            f'environment: a step in {environment} returned no success flag, or a reward or '
            'observation that is not finite; name another environment')


def require_space(agent: Agent, config: TrainConfig, run: Path) -> None:
    """
    Check that the disk has enough space for the run's checkpoints and logs.

    :raises WriteError: If it has not.
    """
    observation, action = len(agent.normaliser.mean), agent.chunk_size // config.horizon
    tensors = [*agent.state_dict().values(), *(agent.trained * MOMENTS)]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    added = min(config.online_steps, config.replay or config.online_steps)
    size += 4 * added * (2 * observation + action + 3)
    # Each step of the online phase has pictures, and each of its episodes once more.
    frames = 0 if agent.encoder is None else ONCE_MORE * config.online_steps * sum(
        height * width * count for height, width, count in agent.encoder.shapes)
    rows = config.updates // config.log_every
    evaluations = 0 if config.environment == NO_ENVIRONMENT else (
        config.updates // config.evaluate_every + 1)
    logs = ROW * rows + (ROW + RECORD * config.episodes) * evaluations
    require_room(
        run, CHECKPOINTS * size + int(frames) + logs,
        f'two checkpoints of {size / 1e6:.1f} MB and the logs'
        + (f', and {frames / 1e6:.0f} MB of pictures' if frames else ''))


def require_replay(config: TrainConfig, longest: int, transitions: Transitions) -> None:
    """
    Check that the replay buffer has room for the data, and the memory for the buffer.

    All of it is written at the start.

    :param config: Settings of the run.
    :param longest: Number of transitions of the longest data file.
    :param transitions: Those of a file, for their size.
    :raises NotReady: If there is no room: the system would end whichever process it likes, such
        as the policy node of a robot.
    """
    if 0 < config.replay < longest:
        raise NotReady(
            f'replay: found {config.replay}, expected 0, or at least {longest}, the size of the '
            'data')
    capacity = config.replay or longest + config.online_steps
    if config.device != 'cpu' or capacity == longest:
        return
    needed = 4 * capacity * sum(
        getattr(transitions, name)[0].size for name in COLUMNS)
    most = MEMORY * free_memory(swap=True)
    if 0 < most < needed:
        raise NotReady(
            f'memory: found room for {capacity} transitions asked for, which takes '
            f'{needed / 1e9:.3g} GB, expected at most {most / 1e9:.3g} GB, {MEMORY:.0%} of the '
            'memory and swap space that are free; ask for fewer (--online-steps or --replay; '
            '--steps of a learner on a robot)')


def require_chunk(terminals: np.ndarray, horizon: int, where: object) -> None:
    """
    Check that an episode is long enough for a chunk.

    Chunks that cross the end of an episode are not learned from.

    :param terminals: Shape (steps,), 1 on the last step of an episode.
    :raises NotReady: If none is.
    """
    ends = np.flatnonzero(terminals) + 1
    longest = int(np.diff(ends, prepend=0).max(initial=0))
    if longest < horizon:
        raise NotReady(
            f'{where}: found no episode longer than {longest} steps, expected at least one of '
            f'{horizon}, the length of a chunk; use a shorter --horizon')
