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
"""Training loop: a run from its settings to its last checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dfp_ros.core.text.printable import listed
from dfp_ros.core.text.say import say
from dfp_ros.spec import PolicySpec
from training.common import memory
from training.common.disk import make_folder, write_error, WriteError
from training.common.error_line import error_line
from training.common.files import require_output
from training.common.folder_lock import locked, LockedError
from training.common.permission import permitted
from training.common.provenance import commit, versions
from training.config import NO_ENVIRONMENT, TrainConfig
from training.data.datasets.corrections import load_corrections
from training.data.datasets.numbered import Data
from training.data.transitions.statistics import measure, Statistics
from training.data.transitions.stored import Description
from training.data.transitions.transitions import COLUMNS, FRAME, Transitions
from training.evaluation.environment_fit import draws, require_fit
from training.evaluation.environments import single
from training.learning import distributed
from training.learning.agents.agent import Agent
from training.learning.networks.layers import use_tensor_cores
from training.learning.networks.modules import Normaliser
from training.learning.precision import faster
from training.learning.trainer import checkpoint, other_run, readiness
from training.learning.trainer.added_frames import AddedFrames, reopen
from training.learning.trainer.explorer import Explorer
from training.learning.trainer.exported_policy import ExportedPolicy
from training.learning.trainer.log import RunLog
from training.learning.trainer.replay_buffer import HeldFrames, ReplayBuffer
from training.learning.trainer.session import (
    acting,
    disk_errors,
    memory_errors,
    Session,
    stop_signals,
    TrainingError,
)

# File in the folder of a run, locked by the process that trains it.
LOCK = '.training'


def train(
        run: Path, config: TrainConfig, resume: bool = False,
        init_from: Path | None = None, until: int | None = None) -> checkpoint.Progress:
    """
    Train until the last update, or until a signal stops the run.

    :param run: Folder of the run; created if missing.
    :param config: Its settings.
    :param resume: Resume from the checkpoint in the folder.
    :param init_from: Initialise the networks from this checkpoint: a file, or the folder of a run.
    :param until: Stop after this number of updates as at a signal; None for the whole run.
    :return: Progress of the run.
    :raises TrainingError: If the folder already contains a run, the device is missing, a loss is
        not finite, the memory does not suffice, or writing fails (the last checkpoint is kept).
    :raises CompileError: If compilation is requested and there is no working compiler.
    """
    with ExitStack() as locks, memory_errors(config, run / 'checkpoint.pt'):
        return _train(run, config, resume, init_from, until, locks)


def _train(
        run: Path, config: TrainConfig, resume: bool, init_from: Path | None, until: int | None,
        locks: ExitStack) -> checkpoint.Progress:
    config.require_simulator()
    saved = run / 'checkpoint.pt'
    _require_new(saved, resume)
    if resume and init_from:
        raise TrainingError(
            f'--init-from: found {init_from} together with --resume; a resumed run starts from '
            'its own checkpoint, so omit one of them')
    if until is not None and until < 1:
        raise TrainingError(f'--until: found {until}, expected 1 or more updates')
    try:
        require_output(saved)
    except WriteError as error:
        raise TrainingError(str(error)) from error
    if resume and run.is_dir():
        # Before the checkpoint is read, which another may write.
        _lock(run, locks)
    if config.device == 'cuda' and not torch.cuda.is_available():
        raise TrainingError("device: found 'cuda', but torch sees no GPU; use --device cpu")
    if config.batch_size % distributed.count():
        raise TrainingError(
            f'batch_size: found {config.batch_size}, expected a multiple of the '
            f'{distributed.count()} processes that share it')
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.precision != 'float32':
        use_tensor_cores(config.device)
    memory.keep()
    notes = []
    if config.precision == 'auto':
        config, note = resolve_precision(config, saved if resume else None)
        notes.append(note)
    torch.manual_seed(config.seed)
    state = prepare(run.name, config, is_new=not resume)
    state.notes += [*notes, *state.data.notes, *left_out(state.spec, config.data)]
    if config.environment != NO_ENVIRONMENT and not draws(config.environment, state.spec):
        state.notes.append(
            f'{config.environment}: a policy with pictures is not evaluated, as this environment '
            'does not draw them')
    spec = state.spec
    require_fit(config.environment, Description(
        spec.observation, spec.action, spec.period, spec.provenance['data']), config.data)
    if config.online_steps and not draws(config.environment, spec):
        raise TrainingError(
            f'online_steps: found {config.online_steps}, expected 0: {config.environment} does '
            f'not draw the pictures of {config.data}, '
            f'{", ".join(str(image) for image in spec.images)}; name the environment of the data '
            'with --environment, or omit the online phase with --online-steps 0')
    if init_from:
        other_run.initialise(init_from, state)
    content = checkpoint.restore(saved, state) if resume else {}
    if distributed.own() == 0 and state.notes:
        say('\n'.join(map(error_line, state.notes)), to_errors=True)
    progress = state.progress
    with ExitStack() as stack:
        stack.enter_context(disk_errors(saved))
        if distributed.own() == 0:
            readiness.require_space(state.agent, config, run)
            make_folder(run)
            if not resume:
                _lock(run, locks)
                _require_new(saved, resume)
                readiness.require_export(state.agent, spec, run)
        if config.compile:
            state.agent.compile_networks()
        log = None if distributed.own() else stack.enter_context(
            RunLog(run, config, progress.step))
        asked = stack.enter_context(stop_signals())
        session = stack.enter_context(Session(state, saved, log))
        session.begin()

        def stopped() -> bool:
            reached = until is not None and progress.step >= until
            return reached or distributed.anywhere(asked(), config.device)

        while progress.step < config.steps and not stopped():
            if progress.step == config.improve_after and not config.online_steps:
                state.agent.improve()
            swap(state)
            session.update()
            session.keep()
        if config.online_steps and progress.step >= config.steps:
            state.explorer = explorer = go_online(state, content, run)
            stack.callback(explorer.close)
            while progress.environment_steps < config.online_steps and not stopped():
                state.buffer.add(**explorer.step())
                progress.environment_steps += 1
                if progress.environment_steps > config.online_start:
                    for _ in range(config.updates_per_step):
                        session.update()
                session.keep()
        session.keep(everything=stopped())
    return progress


def _require_new(saved: Path, resume: bool) -> None:
    """Require that a run that does not resume replaces no other one."""
    with permitted(saved, TrainingError):
        if saved.exists() and not resume:
            raise TrainingError(
                f'{saved.parent}: found a run there; continue it with --resume, or name another '
                '--run')


def _lock(run: Path, locks: ExitStack) -> None:
    """Require that no other process writes to the folder of a run, until the end of this one."""
    if distributed.own():
        return
    try:
        locks.enter_context(locked(run / LOCK))
    except LockedError as error:
        raise TrainingError(
            f'{run}: another training writes to this folder; wait for it or end it, or name '
            'another --run') from error
    except OSError as error:
        raise TrainingError(str(write_error(run / LOCK, error, None, 0))) from error


def left_out(spec: PolicySpec, data: str) -> Iterator[str]:
    """Say which features of the data, such as videos, are not learned from."""
    names = spec.provenance['data'].get('features_left_out')
    if names:
        yield f'{data}: not learned from: {listed(names)}'


def resolve_precision(config: TrainConfig, saved: Path | None) -> tuple[TrainConfig, str]:
    """
    Replace the precision ``auto`` by that of the run so far, or by the faster one.

    :param config: Settings of the run.
    :param saved: Path of the checkpoint of a run that resumes.
    :return: The settings, and a sentence for the user.
    """
    if saved and saved.exists():
        before = checkpoint.settings(saved).precision
        return replace(config, precision=before), f'precision: {before}, as so far'
    chosen, note = faster(config)
    return replace(config, precision=chosen), note


def prepare(name: str, config: TrainConfig, is_new: bool = True) -> checkpoint.RunState:
    """
    Load the data and build the networks of a run.

    :param name: Name of the run.
    :param config: Its settings.
    :param is_new: Whether it begins now, and does not resume.
    """
    data = Data(config, is_new=is_new)
    file = data.index(0)
    transitions = data.load(0)
    if len(data.files) == 1:
        readiness.require_chunk(transitions.terminals, config.horizon, data.files[0])
    if not config.corrections:
        # Not with each file: a run would end in its middle because another program began.
        readiness.require_replay(config, data.longest, transitions)
    statistics, corrections = data.statistics, load_corrections(config, transitions)
    if corrections is not None:
        readiness.require_chunk(corrections.terminals, config.horizon, 'corrections')
        statistics = statistics.joined(measure(corrections.observations))
        transitions = replace(
            transitions, observation_fields=corrections.observation_fields,
            action_fields=corrections.action_fields)
    agent = Agent(
        config, transitions.observations.shape[1], transitions.actions.shape[1],
        fit_normaliser(statistics, config.normalise),
        [frames.field for frames in transitions.images]).to(config.device)
    return checkpoint.RunState(
        config, describe(name, agent, transitions, statistics, corrections), agent,
        fill(config, transitions, corrections), np.random.default_rng(config.seed), data, file,
        corrections)


def fill(
        config: TrainConfig, transitions: Transitions,
        corrections: Transitions | None = None) -> ReplayBuffer:
    """
    Create the replay buffer of a run, with capacity for its online phase.

    :param config: Settings of the run.
    :param transitions: Transitions of the data.
    :param corrections: Those of corrections, which half of each batch is from.
    """
    if config.sparse:
        transitions = sparse(transitions)
        corrections = None if corrections is None else sparse(corrections)
    if corrections is None:
        return ReplayBuffer(
            transitions, config.horizon, config.discount, config.device,
            config.replay or len(transitions) + config.online_steps, config.balanced,
            config.picture_delay)
    buffer = ReplayBuffer(
        transitions, config.horizon, config.discount, config.device,
        len(transitions) + len(corrections), balanced=True, picture_delay=config.picture_delay)
    columns: tuple[str, ...] = COLUMNS
    if corrections.frame is not None:
        buffer.take_frames(HeldFrames(corrections.images))
        columns = (*COLUMNS, FRAME)
    for i in range(len(corrections)):
        buffer.add(**{name: getattr(corrections, name)[i] for name in columns})
    return buffer


def swap(state: checkpoint.RunState, step: int | None = None) -> None:
    """
    Load the data file that is due into the buffer, if there are several.

    :param state: The run.
    :param step: Updates before the one that it is due for; None for those so far.
    """
    step = state.progress.step if step is None else step
    due = state.data.index(step)
    if due != state.file:
        # Free the old transitions first: memory holds one file and what reading needs.
        state.buffer.clear()
        state.buffer = fill(
            state.config, state.data.load(step), state.corrections)
        state.file = due


def go_online(state: checkpoint.RunState, content: dict[str, Any], run: Path) -> Explorer:
    """
    Begin or resume the online phase.

    :param state: The run.
    :param content: Contents of the checkpoint to resume from; empty if there is none.
    :param run: Folder of the run.
    """
    agent, config = state.agent, state.config
    swap(state)
    exported = ExportedPolicy(
        agent, state.spec, run) if config.acts == 'exported' else None
    if state.spec.images:
        replay = content.get('replay')
        state.buffer.take_frames(
            AddedFrames(run, state.spec.images) if replay is None
            else reopen(run, state.spec.images, replay))
    explorer = Explorer(
        single(config.environment, state.spec.provenance), exported or acting(agent),
        agent.candidates, agent.chunk_size, config.noise_scale, config.seed, config.sparse,
        *((exported.renew, exported.keep) if exported else ()))
    if 'explorer' in content:
        state.buffer.restore(content['replay'])
        explorer.restore(content['explorer'])
        if exported and explorer.is_within_episode:
            exported.load(explorer.episode)
            exported.keep(explorer.episode)
    else:
        agent.improve()
    return explorer


def describe(
        name: str, agent: Agent, transitions: Transitions, statistics: Statistics,
        corrections: Transitions | None = None) -> PolicySpec:
    """Build the policy specification of a run."""
    config = agent.config
    return PolicySpec(
        name=name, environment=config.environment, observation=transitions.observation_fields,
        action=transitions.action_fields, period=transitions.period, horizon=config.horizon,
        candidates=agent.candidates, noise_scale=config.noise_scale,
        images=tuple(frames.field for frames in transitions.images),
        provenance={
            'algorithm': agent.actor.algorithm,
            'config': asdict(config), 'data': dict(transitions.source),
            **({} if corrections is None else {'corrections': dict(corrections.source)}),
            'normalisation': {'applied': config.normalise, **statistics.to_json()},
            'commit': commit(), 'versions': versions()})


def fit_normaliser(statistics: Statistics, wanted: bool) -> Normaliser:
    """
    Fit a normaliser: shift by the mean, scale by the deviation unless a dimension is constant.

    :param statistics: Statistics of the observations.
    :param wanted: If False, the normaliser is the identity.
    """
    size = len(statistics.mean)
    if not wanted:
        return Normaliser(torch.zeros(size), torch.ones(size))
    return Normaliser(
        torch.tensor(statistics.mean, dtype=torch.float32),
        torch.tensor(statistics.scale, dtype=torch.float32))


def sparse(transitions: Transitions) -> Transitions:
    """Replace the reward by the sparse one: -1 until the task is solved, then 0."""
    return replace(transitions, rewards=-transitions.masks)
