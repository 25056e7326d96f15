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
"""State of a run on a robot: begun from a trained run, or resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import os
from pathlib import Path
from types import MappingProxyType

import torch

from dfp_ros.core.text.printable import printable, TEXT
from training.common import memory
from training.common.disk import make_folder, write_error
from training.config import ConfigError, TrainConfig
from training.learning.networks.layers import use_tensor_cores
from training.learning.trainer import checkpoint, other_run
from training.learning.trainer.continuation import (
    changed_lengths,
    ContinuationError,
    differences,
)
from training.learning.trainer.run import prepare, swap
from training.robot.episode_files import DEMONSTRATIONS, EPISODES
from training.robot.learner_error import LearnerError
from training.robot.records import TABLE
from training.robot.releases import POLICIES
from training.robot.settings import LearnerSettings

#: Folder of the robot's episodes, policies and checkpoint in that of the trained run.
FOLDER, CHECKPOINT = 'robot', 'checkpoint.pt'
# The learner's flags by the settings of the trainer that they set.
_FLAGS = MappingProxyType({
    'online_start': '--start', 'updates_per_step': '--updates-per-step',
    'balanced': '--batches', 'learning_rate': '--learning-rate',
    'average_rate': '--average-rate', 'value_weight': '--value-weight'})
_BATCHES = MappingProxyType({True: 'balanced', False: 'uniform'})


class RobotEpisodes:
    """
    Count of episodes, in the form in which a checkpoint has the source of its transitions.

    :param action_size: Length of an action.

    :ivar solved: Whether each episode with an end mark was a success.
    """

    def __init__(self, action_size: int) -> None:
        """Start before the first episode."""
        self.solved: list[bool] = []
        self._action_size = action_size

    def state(self) -> dict[str, torch.Tensor]:
        """Return the state to save; see :class:`training.learning.trainer.explorer.Explorer`."""
        none = torch.zeros(0, self._action_size)
        return {
            'episode': torch.tensor(len(self.solved)), 'draws': torch.tensor(0),
            'solved': torch.tensor(self.solved, dtype=torch.bool), 'executed': none,
            'queue': none}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the state."""
        self.solved = state['solved'].tolist()


class RunFolder:
    """
    The folder, whatever becomes of its name.

    :param path: Where it is at the beginning.
    """

    def __init__(self, path: Path) -> None:
        """Find out which folder it is."""
        self.path = path
        self._identity = _identity(path)

    def require(self) -> None:
        """
        Require that the folder is still the one of the beginning.

        :raises LearnerError: If it is not: a new one there would have none of what was learned.
        """
        if _identity(self.path) != self._identity:
            raise LearnerError(
                f'{self.path}: was removed, moved or replaced while the learner ran, and nothing '
                'more is written there; what was learned since the last checkpoint is lost. Put '
                'the folder back and start again, or name another one with --out')


def require_without_pictures(run: Path) -> None:
    """
    Require a trained run whose policy the learner can learn from.

    :param run: Folder of the trained run.
    :raises CheckpointError: If its checkpoint cannot be read, or it is of a policy with pictures.
    """
    base = run / CHECKPOINT
    spec = checkpoint.specification(base)
    if spec.images:
        raise checkpoint.CheckpointError(
            f'{base}: found a policy with pictures '
            f'({", ".join(image.name for image in spec.images)}), expected one of numbers alone: '
            'decisions, which the learner learns from, have no pictures; convert recordings with '
            'training.convert, and train on them with training.train')


def make_folders(out: Path) -> None:
    """
    Make the folder of a run on a robot, and require that files can be written to it.

    So they have to be to the folders in it, and to its table, which another user may have made:
    the first file of a policy or episode comes when the robot has worked for a while.

    :raises WriteError: If one cannot be written to.
    """
    make_folder(out)
    for name in (POLICIES, EPISODES, DEMONSTRATIONS):
        if os.path.lexists(out / name):
            make_folder(out / name)
    try:
        os.close(os.open(out / TABLE, os.O_WRONLY | os.O_NONBLOCK))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise write_error(out / TABLE, error, 4096, 0) from error


def open_run(
        run: Path, out: Path, settings: LearnerSettings,
) -> tuple[checkpoint.RunState, RobotEpisodes]:
    """
    Begin from a trained run, or resume.

    :param run: Folder of the trained run.
    :param out: Folder of the run on the robot; it is resumed if it has a checkpoint.
    :param settings: Settings of the learner.
    :return: The state, and the count of its episodes.
    :raises CheckpointError: If a checkpoint is missing, damaged, or of other settings.
    :raises ConfigError: If the settings do not fit each other.
    """
    base, saved = run / CHECKPOINT, out / CHECKPOINT
    _, before, _, progress = checkpoint.load_agent(base)
    config = make_config(before, progress.step, settings)
    if config.device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError(
            "device: found 'cuda' in the settings of the run, but torch sees no GPU; use "
            '--device cpu')
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.precision != 'float32':
        use_tensor_cores(config.device)
    memory.keep()
    torch.manual_seed(config.seed)
    state = prepare(run.name, config, is_new=False)
    other_run.take_over(base, state)
    # Of numbered files, that of the last update; an online phase keeps that of the one before.
    swap(state, min(progress.step, before.steps) - 1)
    episodes = RobotEpisodes(state.spec.action_size)
    if saved.exists():
        named = state.spec
        content = checkpoint.restore(saved, state, resumed_lengths)
        state.spec = replace(state.spec, name=named.name)
        if 'replay' in content:
            state.buffer.restore(content['replay'])
            episodes.restore(content['explorer'])
    else:
        state.agent.improve()
    state.explorer = episodes
    return state, episodes


def notes_on_data(state: checkpoint.RunState) -> Iterator[str]:
    """Say which of numbered data files batches are from, as only one is in memory."""
    if len(state.data.files) > 1:
        yield from state.data.notes
        yield (
            f'{state.config.data}: of {len(state.data.files)} numbered files, batches are from '
            f'{printable(state.data.files[state.file].name, TEXT)} alone, the last one of the '
            'run, beside those of the robot')


def notes_on_rewards(state: checkpoint.RunState) -> Iterator[str]:
    """Say that a step of the data has another reward than one on the robot, if one has."""
    rewards, masks = (state.buffer.of_data(name) for name in ('rewards', 'masks'))
    if bool((rewards + masks).any()):
        yield (
            f'{state.config.data}: found rewards from {float(rewards.min()):g} to '
            f'{float(rewards.max()):g}, and a step on the robot has -1, or 0 if it solves the '
            'task: the critics learn both as one task, so that values of the two cannot be '
            'compared; begin with a run that was trained with --sparse, whose steps have the '
            "robot's rewards")


def resumed_lengths(
        before: TrainConfig, now: TrainConfig, step: int,
        transitions: int) -> dict[str, list[int]]:
    """
    Determine how the length of a run on the robot changes if it is resumed.

    :param before: Settings so far.
    :param now: Settings to resume with.
    :param step: Updates taken.
    :param transitions: Transitions of the robot so far.
    :return: As of :func:`training.learning.trainer.continuation.changed_lengths`.
    :raises ContinuationError: If other settings differ; in the words of the learner's flags.
    """
    for name, (old, new) in differences(before, now).items():
        if flag := _FLAGS.get(name):
            if name == 'balanced':
                old, new = _BATCHES[old], _BATCHES[new]
            raise ContinuationError(
                f'learned on the robot with {flag} {old}, now asked for {new}; give {flag} {old} '
                'again, or begin anew in another folder (--out)')
        if name != 'online_steps':
            raise ContinuationError(
                f'began from a run with {name} {old!r}, but the run has {new!r} now: it was '
                'trained since, or is another one; begin anew in another folder (--out)')
        if new < transitions:
            raise ContinuationError(
                f'has {transitions} transitions of the robot, now asked for --steps {new}; ask '
                f'for {transitions} or more')
    return changed_lengths(before, now, step, transitions)


def make_config(
        before: TrainConfig, steps: int, settings: LearnerSettings) -> TrainConfig:
    """
    Derive the settings of the run on the robot.

    :param before: Settings of the trained run.
    :param steps: Its updates.
    :param settings: Settings of the learner.
    """
    return replace(
        before, steps=steps, corrections=(), online_steps=settings.steps,
        online_start=settings.start, updates_per_step=max(1, settings.updates_per_step),
        acts='newest', balanced=settings.batches == 'balanced', replay=0, schedule='constant',
        learning_rate=(
            before.learning_rate if settings.learning_rate == -1 else settings.learning_rate),
        average_rate=(
            before.average_rate if settings.average_rate == -1 else settings.average_rate),
        value_weight=(
            before.value_weight if settings.value_weight == -1 else settings.value_weight),
        threads=settings.threads or before.threads, compile=False)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Identify a folder whatever its name; None if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
