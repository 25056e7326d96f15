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
from training.data.datasets.alike import difference, joined
from training.data.datasets.numbered import Data
from training.data.transitions.transitions import Transitions
from training.learning.agents.agent import Agent
from training.learning.networks.modules import Normaliser
from training.learning.trainer.checkpoint_file import CheckpointError, digest, read, REMEDY, write
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
# Name of the anchor policy's encoder in the weights.
ANCHOR = 'anchor_encoder'


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
    return _said(path, read(path))[0]


def specification(path: Path) -> PolicySpec:
    """
    Read the specification in a checkpoint.

    :raises CheckpointError: If the file cannot be read.
    """
    return _said(path, read(path))[1]


def load_agent(path: Path) -> tuple[Agent, TrainConfig, PolicySpec, Progress]:
    """
    Rebuild a checkpoint's agent on the CPU, for evaluation and export.

    :raises CheckpointError: See :func:`training.learning.trainer.checkpoint_file.read`; also if
        its networks do not match its own settings.
    """
    content = read(path, tell=True)
    config, spec, progress = _said(path, content)
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
    before, spec, progress = _said(path, content)
    try:
        lengths = compare(before, state.config, progress.step, progress.environment_steps)
    except ContinuationError as error:
        raise CheckpointError(f'{path}: {error}') from error
    source = _data_hash(path, spec)
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
    _restore_random(path, state, content)
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


def initialise(path: Path, state: RunState) -> None:
    """
    Initialise a run with the networks of another run's checkpoint, and nothing else.

    The normaliser is taken over with the networks, which are useless without it. Update counter,
    optimiser, schedule and random numbers start afresh. The specification records the origin of
    the networks.

    :param path: Checkpoint or folder of the other run.
    :param state: The run as set up.
    :raises CheckpointError: If the file cannot be read, or the other run's networks or data differ
        in shape or meaning.
    """
    path = path / 'checkpoint.pt' if path.is_dir() else path
    content = read(path, tell=True)
    config, spec, progress = _said(path, content)
    seeing = ('encoder', 'encoder_widths', 'encoder_features') if state.spec.images else ()
    for name in ('policy', 'hidden', 'critics', 'horizon', 'normalise', *seeing):
        theirs, ours = getattr(config, name), getattr(state.config, name)
        if theirs != ours:
            raise CheckpointError(
                f'{path}: was trained with {name} {theirs!r}, now asked for {ours!r}; start from '
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
                f'{state.config.data} have {_part(ours, i)}; start from networks that were '
                'trained on the same fields')
    theirs, ours = ([str(image) for image in one.images] for one in (spec, state.spec))
    if theirs != ours:
        raise CheckpointError(
            f'{path}: found the pictures {", ".join(theirs) or "none"}, the data '
            f'{state.config.data} have {", ".join(ours) or "none"}; start from networks that were '
            'trained on the same pictures')
    if fault := difference(state.spec.action, spec.action, 'those networks'):
        state.notes.append(
            f'{path}: action {fault}, so an action of the networks begins as another command in '
            f'{state.config.data}; to keep it, convert the data with --policy and the policy of '
            'that run')
    if state.spec.period != spec.period:
        state.notes.append(
            f'{path}: the networks learned steps of {spec.period:g} s, and those of '
            f'{state.config.data} take {state.spec.period:g} s')
    _load_networks(path, state.agent, content['agent'])
    state.agent.resume(began_trained=True)
    # Policy improvement starts by this run's own schedule.
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
        f'{progress.step} updates; the optimiser and the learning-rate schedule start afresh')


def take_over(path: Path, state: RunState) -> None:
    """
    Begin an online phase elsewhere with the state of a run: networks, optimiser, random states.

    Settings of learning and execution may differ, those of networks and data may not. Transitions
    of an online phase of that run are not taken over.

    :param path: Checkpoint of the run.
    :param state: The run as set up.
    :raises CheckpointError: If the file cannot be read, or networks or data differ.
    """
    content = read(path, tell=True)
    _, spec, progress = _said(path, content)
    source, wanted = _data_hash(path, spec), state.spec.provenance['data']['sha256']
    if source != wanted:
        raise CheckpointError(
            f'{path}: was trained on data with hash {source[:12]}, found {wanted[:12]} in '
            f'{state.config.data}; restore the data of the run, or train it again')
    _load_networks(path, state.agent, content['agent'])
    require_optimiser(path, state.agent, content['optimiser'])
    state.agent.optimiser.load_state_dict(content['optimiser'])
    state.agent.resume('initialised_from' in spec.provenance)
    _restore_random(path, state, content)
    state.progress = Progress(progress.step)
    past = {name: spec.provenance[name] for name in PAST if name in spec.provenance}
    # The networks learned from corrections, too, if the run had some.
    state.spec = replace(
        state.spec, name=spec.name, observation=joined(state.spec.observation, spec.observation),
        action=joined(state.spec.action, spec.action), provenance={
            **state.spec.provenance, **past,
            'normalisation': spec.provenance.get(
                'normalisation', state.spec.provenance['normalisation'])})


def _load_networks(path: Path, agent: Agent, found: Mapping[str, Any]) -> None:
    """
    Load the networks of another run, which may average the actor's weights or not.

    An average begins as a copy of the actor; a run without one goes on with that of the other. The
    same holds for the encoders of pictures, of which the anchor policy may have one, too.
    """
    found = _with(found, 'average', 'actor', agent.average is not None)
    found = _with(found, 'average_encoder', 'encoder', agent.average_encoder is not None)
    if agent.anchor_encoder is None:
        # It shares the encoder from now on, and becomes a copy of the actor when that improves.
        found = {name: value for name, value in found.items() if not _is_of(name, ANCHOR)}
    elif not any(_is_of(name, ANCHOR) for name in found):
        found = _with(found, ANCHOR, 'encoder', True)
    require_agent(path, agent, found)
    agent.load_state_dict(found)


def _with(
        found: Mapping[str, Any], copy: str, original: str, wanted: bool) -> Mapping[str, Any]:
    """Give weights a copy of a network if it is wanted, or have it take the network's place."""
    if wanted == any(_is_of(name, copy) for name in found):
        return found
    source, goal = (original, copy) if wanted else (copy, original)
    pairs = [(name.partition('.')[2], value) for name, value in found.items()
             if _is_of(name, source)]
    return {name: value for name, value in found.items() if not _is_of(name, copy)} | {
        f'{goal}.{name}': value for name, value in pairs}


def _is_of(name: str, network: str) -> bool:
    return name.startswith(f'{network}.')


def _said(path: Path, content: Mapping[str, Any]) -> tuple[TrainConfig, PolicySpec, Progress]:
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


def _data_hash(path: Path, spec: PolicySpec) -> str:
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


def _restore_random(path: Path, state: RunState, content: Mapping[str, Any]) -> None:
    try:
        state.generator.bit_generator.state = json.loads(content['batch_random'])
        torch.set_rng_state(content['torch_random'])
        if torch.cuda.is_available() and 'cuda_random' in content:
            torch.cuda.set_rng_state_all(content['cuda_random'])
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f'{path}: found states of random generators that cannot be restored '
            f'({str(error)[:200]}); {REMEDY}') from error


def _part(parts: list[tuple[str, int, str]], i: int) -> str:
    return f'{parts[i][0]} ({parts[i][1]}, {parts[i][2]})' if i < len(parts) else 'nothing'
