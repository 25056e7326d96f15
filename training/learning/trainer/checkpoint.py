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

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dfp_ros.spec import PolicySpec
from training.config import TrainConfig
from training.data.datasets.numbered import Data
from training.learning.agents.agent import Agent
from training.learning.networks.modules import Normaliser
from training.learning.trainer.checkpoint_file import CheckpointError, digest, read, REMEDY, write
from training.learning.trainer.checkpoint_fit import (
    require_agent,
    require_online,
    require_optimiser,
)
from training.learning.trainer.continuation import changed_lengths, ContinuationError, told
from training.learning.trainer.explorer import Explorer
from training.learning.trainer.replay_buffer import ReplayBuffer

# Who reads checkpoints catches its errors.
__all__ = ('CheckpointError', 'read')
# What a specification says of the run's past, which a run that goes on says too.
PAST = ('initialised_from', 'continued')


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
    :param notes: What to tell the user when the run begins.
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
    notes: list[str] = field(default_factory=list)


def save(path: Path, state: RunState) -> None:
    """
    Write a checkpoint in one piece, with the hash of its contents.

    The data file's transitions are not in it, those that an online phase added are.

    :raises OSError: If it cannot be written; an earlier checkpoint there is kept.
    """
    content: dict[str, Any] = {
        'config': state.config.to_json(), 'spec': state.spec.to_json(),
        'agent': state.agent.state_dict(), 'optimiser': state.agent.optimiser.state_dict(),
        'torch_random': torch.get_rng_state(),
        'batch_random': json.dumps(state.generator.bit_generator.state),
        'progress': asdict(state.progress)}
    if state.explorer is not None:
        content['replay'] = state.buffer.additions()
        content['explorer'] = state.explorer.state()
    if torch.cuda.is_available():
        content['cuda_random'] = torch.cuda.get_rng_state_all()
    write(path, content)


def build_agent(config: TrainConfig, spec: PolicySpec) -> Agent:
    """Make an agent of the right sizes, to be filled by :func:`restore`."""
    size = spec.observation_size
    normaliser = Normaliser(torch.zeros(size), torch.ones(size))
    return Agent(config, size, spec.action_size, normaliser)


def load_agent(path: Path) -> tuple[Agent, TrainConfig, PolicySpec, Progress]:
    """
    Rebuild a checkpoint's agent on the CPU, for evaluation and export.

    :raises CheckpointError: See :func:`training.learning.trainer.checkpoint_file.read`; also
        where its networks are not those of its own settings.
    """
    content = read(path, tell=True)
    config, spec, progress = _said(path, content)
    agent = build_agent(config, spec)
    require_agent(path, agent, content['agent'])
    agent.load_state_dict(content['agent'])
    return agent, config, spec, progress


def restore(path: Path, state: RunState) -> dict[str, Any]:
    """
    Put a checkpoint's state into a run that is to go on.

    :param path: The checkpoint.
    :param state: The run as it was set up; networks, random states and counters are replaced.
    :return: The checkpoint's contents, for the online phase to be taken up from.
    :raises CheckpointError: If the settings or the data differ; the message names the first.
    """
    content = read(path, tell=True)
    before, spec, progress = _said(path, content)
    try:
        lengths = changed_lengths(before, state.config, progress.step, progress.environment_steps)
    except ContinuationError as error:
        raise CheckpointError(f'{path}: {error}') from error
    source = _data_hash(path, spec)
    wanted = state.spec.provenance['data']['sha256']
    if source != wanted:
        raise CheckpointError(
            f'{path}: was trained on data with hash {source[:12]}, now asked for {wanted[:12]} '
            f'({state.config.data}); resume with the same data, or start another run')
    require_agent(path, state.agent, content['agent'])
    require_optimiser(path, state.agent, content['optimiser'])
    require_online(path, state.agent, content)
    state.agent.load_state_dict(content['agent'])
    state.agent.optimiser.load_state_dict(content['optimiser'])
    _restore_random(path, state, content)
    state.progress = progress
    past = {name: spec.provenance[name] for name in PAST if name in spec.provenance}
    if lengths:
        state.notes.append(f'{path}: {told(before, state.config, progress.step)}')
        past['continued'] = [*past.get('continued', []), {'at': progress.step, **lengths}]
    # The networks may have come with a normaliser that is not of this run's data.
    past['normalisation'] = spec.provenance.get(
        'normalisation', state.spec.provenance['normalisation'])
    state.spec = replace(state.spec, provenance={**state.spec.provenance, **past})
    return content


def initialise(path: Path, state: RunState) -> None:
    """
    Begin a run with the networks of another run's checkpoint, and with nothing else of it.

    Its normaliser comes with the networks, which mean nothing without it. Updates, optimiser,
    schedule and random numbers begin anew. The specification says where the networks came from.

    :param path: The other run's checkpoint, or its folder.
    :param state: The run as it was set up.
    :raises CheckpointError: If the file cannot be read, or the other run's networks or data
        have another shape or meaning.
    """
    path = path / 'checkpoint.pt' if path.is_dir() else path
    content = read(path, tell=True)
    config, spec, progress = _said(path, content)
    for name in ('policy', 'hidden', 'critics', 'horizon', 'normalise'):
        theirs, ours = getattr(config, name), getattr(state.config, name)
        if theirs != ours:
            raise CheckpointError(
                f'{path}: was trained with {name} {theirs!r}, now asked for {ours!r}; begin with '
                'networks of the same settings')
    for kind in ('observation', 'action'):
        theirs, ours = (
            [(part.name, part.size, part.unit) for part in getattr(one, kind)]
            for one in (spec, state.spec))
        if theirs != ours:
            i = next(
                (i for i, pair in enumerate(zip(theirs, ours, strict=False))
                 if pair[0] != pair[1]), min(len(theirs), len(ours)))
            raise CheckpointError(
                f'{path}: {kind} field {i}: found {_part(theirs, i)}, the data '
                f'{state.config.data} have {_part(ours, i)}; begin with networks that learned '
                'from the same fields')
    require_agent(path, state.agent, content['agent'])
    state.agent.load_state_dict(content['agent'])
    # Whether it improves yet is a matter of this run's own phases.
    state.agent.actor.improving = False
    origin = {
        'name': spec.name, 'run': path.parent.name, 'steps': progress.step,
        'weights_sha256': digest(content['agent']), 'data_sha256': _data_hash(path, spec),
        'commit': spec.provenance.get('commit', 'unknown')}
    if 'initialised_from' in spec.provenance:
        origin['initialised_from'] = spec.provenance['initialised_from']
    state.spec = replace(state.spec, provenance={
        **state.spec.provenance, 'initialised_from': origin,
        'normalisation': spec.provenance.get(
            'normalisation', state.spec.provenance['normalisation'])})
    state.notes.append(
        f'{path}: the networks and the normaliser are those of {spec.name!r} after '
        f'{progress.step} updates; the optimiser and the learning rate begin anew')


def _said(path: Path, content: Mapping[str, Any]) -> tuple[TrainConfig, PolicySpec, Progress]:
    """Read settings, specification and counters of a checkpoint."""
    try:
        config = TrainConfig.from_json(content['config'])
        spec = PolicySpec.from_json(content['spec'])
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f'{path}: found settings that cannot be read ({str(error)[:200]}); {REMEDY}'
        ) from error
    counters = content['progress']
    known = {one.name for one in fields(Progress)}
    sound = counters.keys() <= known and all(
        isinstance(value, int | float) and not isinstance(value, bool)
        and math.isfinite(value) and value >= 0 for value in counters.values())
    if not sound or not all(
            isinstance(counters.get(name, 0), int) for name in ('step', 'environment_steps')):
        raise CheckpointError(
            f'{path}: progress: found {str(counters)[:200]}, expected counters '
            f'{", ".join(sorted(known))}; {REMEDY}')
    return config, spec, Progress(**counters)


def _data_hash(path: Path, spec: PolicySpec) -> str:
    data = spec.provenance.get('data')
    found = data.get('sha256') if isinstance(data, Mapping) else None
    if not isinstance(found, str):
        raise CheckpointError(
            f'{path}: found no hash of the data that it was trained on; {REMEDY}')
    return found


def _restore_random(path: Path, state: RunState, content: Mapping[str, Any]) -> None:
    try:
        state.generator.bit_generator.state = json.loads(content['batch_random'])
        torch.set_rng_state(content['torch_random'])
        if torch.cuda.is_available() and 'cuda_random' in content:
            torch.cuda.set_rng_state_all(content['cuda_random'])
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f'{path}: found states of random numbers that cannot be taken up '
            f'({str(error)[:200]}); {REMEDY}') from error


def _part(parts: list[tuple[str, int, str]], i: int) -> str:
    return f'{parts[i][0]} ({parts[i][1]}, {parts[i][2]})' if i < len(parts) else 'nothing'
