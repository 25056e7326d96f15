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
"""Checkpoints: the complete state of a run, to resume it exactly where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
import json
import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from dfp_ros.spec import PolicySpec
from training.config import TrainConfig
from training.data.datasets.numbered import Data
from training.data.transitions.transitions import Transitions
from training.learning.agents.agent import Agent
from training.learning.networks.modules import Normaliser
from training.learning.trainer.checkpoint_file import CheckpointError, read, REMEDY, write
from training.learning.trainer.checkpoint_fit import (
    require_agent,
    require_online,
    require_optimiser,
)
from training.learning.trainer.continuation import changed_lengths, ContinuationError, told
from training.learning.trainer.replay_buffer import ReplayBuffer

# Re-exported: code that reads checkpoints catches its errors.
__all__ = ('CheckpointError', 'read')
# Provenance keys of a run's history, which a resumed run keeps.
PAST = ('initialised_from', 'continued')


@dataclass
class Progress:
    """
    Progress of a run.

    :param step: Number of updates.
    :param environment_steps: Number of environment steps in the online phase.
    :param wall_seconds: Time spent in updates and evaluations, over all sessions.
    :param cpu_seconds: CPU time of the same, summed over threads, without that of environments in
        separate processes.
    """

    step: int = 0
    environment_steps: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0


class OnlineSource(Protocol):
    """Source of the transitions of an online phase."""

    def state(self) -> dict[str, torch.Tensor]:
        """State to save in a checkpoint; see :data:`.checkpoint_fit.EXPLORER`."""


@dataclass
class RunState:
    """
    State of a run: everything that changes during training, and its inputs.

    :param config: The run's settings.
    :param spec: Specification of the policy.
    :param agent: Networks and optimiser.
    :param buffer: Replay buffer.
    :param generator: Random generator that samples the batches.
    :param progress: Counters.
    :param data: Source of the transitions.
    :param file: Index of the data file that is in the buffer.
    :param corrections: Corrections that are in the buffer, too.
    :param explorer: Source of the transitions of an online phase, once that has begun.
    :param notes: Messages to print when the run begins.
    """

    config: TrainConfig
    spec: PolicySpec
    agent: Agent
    buffer: ReplayBuffer
    generator: np.random.Generator
    data: Data
    file: int
    corrections: Transitions | None = None
    progress: Progress = field(default_factory=Progress)
    explorer: OnlineSource | None = None
    notes: list[str] = field(default_factory=list)


def save(path: Path, state: RunState) -> None:
    """
    Write a checkpoint atomically, with the hash of its contents.

    It contains the transitions that an online phase added, but not those of the data file.

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
    """Build an agent of the right sizes, in float32, with weights to be loaded."""
    config = replace(config, precision='float32')
    size = spec.observation_size
    normaliser = Normaliser(torch.zeros(size), torch.ones(size))
    return Agent(config, size, spec.action_size, normaliser, spec.images)


def settings(path: Path) -> TrainConfig:
    """
    Read the settings in a checkpoint.

    :raises CheckpointError: If the file cannot be read.
    """
    return parsed(path, read(path))[0]


def specification(path: Path) -> PolicySpec:
    """
    Read the specification in a checkpoint.

    :raises CheckpointError: If the file cannot be read.
    """
    return parsed(path, read(path))[1]


def load_agent(path: Path) -> tuple[Agent, TrainConfig, PolicySpec, Progress]:
    """
    Rebuild a checkpoint's agent on the CPU, for evaluation and export.

    :raises CheckpointError: See :func:`training.learning.trainer.checkpoint_file.read`; also if
        its networks do not match its own settings.
    """
    content = read(path, tell=True)
    config, spec, progress = parsed(path, content)
    agent = build_agent(config, spec)
    require_agent(path, agent, content['agent'])
    agent.load_state_dict(content['agent'])
    return agent, config, spec, progress


def restore(
        path: Path, state: RunState,
        compare: Callable[[TrainConfig, TrainConfig, int, int], dict[str, list[int]]]
        = changed_lengths) -> dict[str, Any]:
    """
    Restore a checkpoint into a run that resumes.

    :param path: The checkpoint.
    :param state: The run as set up; networks, random states and counters are replaced.
    :param compare: Compares the settings, as
        :func:`training.learning.trainer.continuation.changed_lengths` does; another command has
        other words for them.
    :return: The contents of the checkpoint, to resume the online phase from.
    :raises CheckpointError: If the settings or the data differ; the message names the first
        difference.
    """
    content = read(path, tell=True)
    before, spec, progress = parsed(path, content)
    try:
        lengths = compare(before, state.config, progress.step, progress.environment_steps)
    except ContinuationError as error:
        raise CheckpointError(f'{path}: {error}') from error
    source = data_hash(path, spec)
    wanted = state.spec.provenance['data']['sha256']
    if source != wanted:
        raise CheckpointError(
            f'{path}: was trained on data with hash {source[:12]}, now asked for {wanted[:12]} '
            f'({state.config.data}); resume with the same data, or start another run')
    theirs, ours = (one.provenance.get('corrections') for one in (spec, state.spec))
    if theirs != ours:
        raise CheckpointError(
            f'{path}: was trained with {_steps(theirs)} of corrections, now asked for '
            f'{_steps(ours)}; resume with the same corrections, or start another run from these '
            'networks (--init-from)')
    require_agent(path, state.agent, content['agent'])
    require_optimiser(path, state.agent, content['optimiser'])
    require_online(path, state.agent, content)
    state.agent.load_state_dict(content['agent'])
    state.agent.optimiser.load_state_dict(content['optimiser'])
    state.agent.resume('initialised_from' in spec.provenance)
    restore_random(path, state, content)
    state.progress = progress
    past = {name: spec.provenance[name] for name in PAST if name in spec.provenance}
    if lengths:
        state.notes.append(f'{path}: {told(before, state.config, progress.step)}')
        past['continued'] = [*past.get('continued', []), {'at': progress.step, **lengths}]
    # The normaliser may be that of another run's data, if its networks were taken over.
    past['normalisation'] = spec.provenance.get(
        'normalisation', state.spec.provenance['normalisation'])
    state.spec = replace(state.spec, provenance={**state.spec.provenance, **past})
    return content


def parsed(path: Path, content: Mapping[str, Any]) -> tuple[TrainConfig, PolicySpec, Progress]:
    """Parse settings, specification and counters of a checkpoint."""
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


def data_hash(path: Path, spec: PolicySpec) -> str:
    data = spec.provenance.get('data')
    found = data.get('sha256') if isinstance(data, Mapping) else None
    if not isinstance(found, str):
        raise CheckpointError(
            f'{path}: found no hash of its training data; {REMEDY}')
    return found


def _steps(corrections: Mapping[str, Any] | None) -> str:
    """Describe corrections, for an error."""
    if corrections is None:
        return '0 steps'
    return f'{corrections["steps"]} steps ({str(corrections["sha256"])[:12]})'


def restore_random(path: Path, state: RunState, content: Mapping[str, Any]) -> None:
    try:
        state.generator.bit_generator.state = json.loads(content['batch_random'])
        torch.set_rng_state(content['torch_random'])
        if torch.cuda.is_available() and 'cuda_random' in content:
            torch.cuda.set_rng_state_all(content['cuda_random'])
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f'{path}: found states of random generators that cannot be restored '
            f'({str(error)[:200]}); {REMEDY}') from error
