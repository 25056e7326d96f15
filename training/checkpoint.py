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
"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
import json
import os
from pathlib import Path
import pickle
from typing import Any

import numpy as np
import torch

from dfp_ros.spec import PolicySpec
from training.agent import Agent
from training.buffer import ReplayBuffer
from training.config import TrainConfig
from training.datasets.numbered import Data
from training.networks import Normaliser
from training.online import Explorer
from training.provenance import atomic_path

FORMAT = 2
# Settings that may change at resume: they do not change what is learned.
FREE = (
    'device', 'threads', 'evaluate_every', 'episodes', 'environments', 'log_every',
    'checkpoint_every', 'data')


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or belongs to another configuration."""


@dataclass
class Progress:
    """
    How far a run has come.

    :param step: Updates taken.
    :param environment_steps: Steps of the online phase.
    :param wall_seconds: Time spent in updates and evaluations, over all sessions.
    :param cpu_seconds: Processor time of the same, all threads together, without that of
        environments in processes of their own.
    """

    step: int = 0
    environment_steps: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass
class RunState:
    """
    Everything that changes while a run goes on, and what it was made from.

    :param config: The run's settings.
    :param spec: What the policy is to say of itself.
    :param agent: Networks and optimiser.
    :param buffer: The transitions.
    :param generator: Source of the batches.
    :param progress: Counters.
    :param data: Where the transitions come from.
    :param file: Which of the data's files is in the buffer.
    :param explorer: The online phase's robot, once there is one.
    """

    config: TrainConfig
    spec: PolicySpec
    agent: Agent
    buffer: ReplayBuffer
    generator: np.random.Generator
    data: Data
    file: int
    progress: Progress = field(default_factory=Progress)
    explorer: Explorer | None = None


def save(path: Path, state: RunState) -> None:
    """
    Write a checkpoint in one piece.

    The data file's transitions are not in it, those that an online phase added are.

    :raises OSError: Where it cannot be written; an earlier checkpoint there is kept.
    """
    content: dict[str, Any] = {
        'format': FORMAT, 'config': state.config.to_json(), 'spec': state.spec.to_json(),
        'agent': state.agent.state_dict(), 'optimiser': state.agent.optimiser.state_dict(),
        'torch_random': torch.get_rng_state(),
        'batch_random': json.dumps(state.generator.bit_generator.state),
        'progress': asdict(state.progress)}
    if state.explorer is not None:
        content['replay'] = state.buffer.additions()
        content['explorer'] = state.explorer.state()
    if torch.cuda.is_available():
        content['cuda_random'] = torch.cuda.get_rng_state_all()
    # Through a file object: torch's own writer hides which system error it met.
    with atomic_path(path) as partial, partial.open('wb') as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> dict[str, Any]:
    """
    Read a checkpoint's contents; nothing in it is executed.

    :raises CheckpointError: Where the file is missing, damaged or of another format.
    """
    if not path.is_file():
        raise CheckpointError(f'{path}: found no checkpoint; give the folder of a run')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f'{path}: found a file that is damaged or no checkpoint ({error})') from error
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise CheckpointError(
            f'{path}: found a checkpoint of another format, this release reads format {FORMAT}')
    return content


def build_agent(config: TrainConfig, spec: PolicySpec) -> Agent:
    """Make an agent of the right sizes, to be filled by :func:`restore`."""
    size = spec.observation_size
    normaliser = Normaliser(torch.zeros(size), torch.ones(size))
    return Agent(config, size, spec.action_size, normaliser)


def load_agent(path: Path) -> tuple[Agent, TrainConfig, PolicySpec, Progress]:
    """
    Rebuild a checkpoint's agent on the CPU, for evaluation and export.

    :raises CheckpointError: See :func:`read`.
    """
    content = read(path)
    config = TrainConfig.from_json(content['config'])
    spec = PolicySpec.from_json(content['spec'])
    agent = build_agent(config, spec)
    agent.load_state_dict(content['agent'])
    return agent, config, spec, Progress(**content['progress'])


def restore(path: Path, state: RunState) -> dict[str, Any]:
    """
    Put a checkpoint's state into a run that is to go on.

    :param path: The checkpoint.
    :param state: The run as it was set up; networks, random states and counters are replaced.
    :returns: The checkpoint's contents, for the online phase to be taken up from.
    :raises CheckpointError: Where the settings or the data differ; the message names the first.
    """
    content = read(path)
    before, now = asdict(TrainConfig.from_json(content['config'])), asdict(state.config)
    for name in before:
        if name not in FREE and before[name] != now[name]:
            raise CheckpointError(
                f'{path}: was trained with {name} {before[name]!r}, now asked for {now[name]!r}; '
                'resume with the same settings, or start another run')
    source = PolicySpec.from_json(content['spec']).provenance['data']['sha256']
    wanted = state.spec.provenance['data']['sha256']
    if source != wanted:
        raise CheckpointError(
            f'{path}: was trained on data with hash {source[:12]}, now asked for {wanted[:12]} '
            f'({state.config.data}); resume with the same data, or start another run')
    state.agent.load_state_dict(content['agent'])
    state.agent.optimiser.load_state_dict(content['optimiser'])
    state.generator.bit_generator.state = json.loads(content['batch_random'])
    torch.set_rng_state(content['torch_random'])
    if torch.cuda.is_available() and 'cuda_random' in content:
        torch.cuda.set_rng_state_all(content['cuda_random'])
    state.progress = Progress(**content['progress'])
    return content
