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
"""Training session: updates, with logging, evaluation and checkpoints at their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import math
import os
from pathlib import Path
import signal
import time

import numpy as np
import torch
from tqdm import tqdm

from dfp_ros.core.text.printable import printable
from dfp_ros.core.text.say import say
from training.common.disk import DISK, free_bytes, megabytes, number_of, WriteError
from training.config import NO_ENVIRONMENT, TrainConfig
from training.evaluation.environment_fit import draws
from training.evaluation.environments import EnvironmentFailed, start
from training.evaluation.episodes import Act
from training.evaluation.evaluation import evaluate
from training.learning import distributed
from training.learning.agents.actor import Info
from training.learning.agents.agent import Agent
from training.learning.agents.batch import Batch
from training.learning.trainer import checkpoint, readiness
from training.learning.trainer.diagnosis import diagnose
from training.learning.trainer.log import RunLog
from training.learning.trainer.schedule import (
    learning_rate,
    renews_anchor,
    trains_actor,
    value_weight,
)

# What PyTorch's error of a failed allocation on the CPU begins with, after its place in the code.
_CPU_ALLOCATOR = 'DefaultCPUAllocator:'
# Most characters of it that are repeated.
_LONGEST = 300


class TrainingError(RuntimeError):
    """A run cannot start or cannot continue."""


class Session:
    """
    Makes a run's updates, and writes its log, evaluations and checkpoints.

    :param state: The run.
    :param saved: Path of the checkpoint.
    :param log: Log of metrics and evaluations; None on all ranks except the first, which write
        nothing.
    :param on_robot: Whether the steps are those of a robot: nothing is evaluated in the simulator,
        and there is no progress bar.
    """

    def __init__(
            self, state: checkpoint.RunState, saved: Path, log: RunLog | None,
            on_robot: bool = False) -> None:
        self._state, self._saved, self._log = state, saved, log
        self._on_robot = on_robot
        config, progress = state.config, state.progress
        # Environments take seconds to start, so all evaluations share them.
        self._environments = start(
            config.environment, min(config.environments, config.episodes),
            state.spec.provenance, state.spec.horizon
        ) if log and not on_robot and is_evaluated(state) else None
        self._success: dict[str, str] = {}
        self._bar = self._phase_bar()
        self._wall, self._cpu = time.monotonic(), time.process_time()
        # Seconds spent in updates since the last log row, and number of those updates.
        self._updating, self._updates = 0.0, 0
        self._batch: Batch | None = None
        self._info: Info | None = None
        self._seen = progress.step  # Updates at the last call of keep().
        self._warned: set[str] = set()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._environments:
            self._environments.close()

    def begin(self) -> None:
        """
        Check the evaluation environments, and make up for an evaluation that was interrupted.

        An evaluation may be missing because its checkpoint is written first: evaluations may fail.

        :raises NotReady: If an evaluation would fail later.
        """
        state, config, step = self._state, self._state.config, self._state.progress.step
        if self._log is None or self._environments is None:
            return
        readiness.require_evaluation(
            self._environments, acting(state.agent), state.spec, config.environment)
        last = self._log.last_evaluation()
        if step > last and (
                step in (config.steps, config.updates)
                or step // config.evaluate_every > last // config.evaluate_every):
            self._evaluate()

    def update(self) -> None:
        """
        Take one update.

        :raises TrainingError: If the memory does not suffice.
        """
        with memory_errors(self._state.config, self._saved):
            self._update()

    def _update(self) -> None:
        state = self._state
        began = time.monotonic()
        config, step = state.config, state.progress.step
        state.agent.set_learning_rate(learning_rate(config, step))
        state.agent.actor.value_weight = value_weight(config, step)
        if renews_anchor(config, step):
            state.agent.renew_anchor()
        self._batch = state.buffer.sample(config.batch_size, state.generator)
        # The log has the actor's last metrics if this update trains the critics alone.
        self._info = (self._info or {}) | state.agent.update(
            self._batch, actor=trains_actor(config, step))
        state.progress.step += 1
        self._updating += time.monotonic() - began
        self._updates += 1

    def keep(self, everything: bool = False) -> None:
        """
        Log, evaluate and write a checkpoint, each if due since the last call.

        All are due at the end of each phase.

        :param everything: Whether to write a checkpoint regardless of the settings.
        """
        config, step = self._state.config, self._state.progress.step
        self._show()
        ends = step != self._seen and step in (config.steps, config.updates)
        evaluates = is_evaluated(self._state) and (
            ends or self._due(config.evaluate_every))
        if self._due(config.log_every) or ends:
            self._log_row()
        # One after the first update, to prove that it can be written; and before each evaluation,
        # which may fail.
        first = step > 0 and self._seen == 0
        if everything or ends or first or evaluates or self._due(config.checkpoint_every):
            self.save()
        if evaluates:
            self._evaluate()
        self._seen = step

    def log(self) -> None:
        """Log if due, for a caller that writes checkpoints itself."""
        if self._due(self._state.config.log_every):
            self._log_row()
        self._seen = self._state.progress.step

    def save(self) -> None:
        """
        Write a checkpoint.

        :raises TrainingError: If a loss is not finite; the checkpoint before is kept.
        """
        self.require_finite()
        self._tick()
        if self._log:
            checkpoint.save(self._saved, self._state)

    def _log_row(self) -> None:
        """Write a row of metrics, and print new warnings."""
        state = self._state
        self._tick()
        looked = {} if self._batch is None else state.agent.look(self._batch)
        values = self._timed() | {key: float(value) for key, value in looked.items()}
        if self._log:
            self._log.update(state.progress, values)
            self._warn(self._log.rows)

    def _evaluate(self) -> None:
        """Evaluate the current agent, on the rank that writes the log."""
        if self._log is None or self._environments is None:
            return
        state = self._state
        try:
            found = evaluate(
                self._environments, acting(state.agent), state.spec, state.config.episodes, 10_000)
        except EnvironmentFailed as error:
            raise TrainingError(f'{error}; {_last_good(self._saved)}') from error
        self._tick()
        self._log.evaluation(state.progress, found)
        self._success = {'success': f'{found.success:.0%}'}
        self._bar.set_postfix(self._success)

    def _warn(self, rows: Sequence[dict[str, float]]) -> None:
        """Print the warnings about the run that are new."""
        for name, text in diagnose(self._state.config, rows).items():
            if name not in self._warned:
                self._warned.add(name)
                # Above the bar, which is drawn again.
                self._bar.clear()
                say(f'{self._saved.parent}: warning: {text}', to_errors=True)
                self._bar.refresh()

    def _due(self, every: int) -> bool:
        return self._state.progress.step // every > self._seen // every

    def _tick(self) -> None:
        """Add the time since the last call to the run's counters."""
        wall, cpu = time.monotonic(), time.process_time()
        self._state.progress.wall_seconds += wall - self._wall
        self._state.progress.cpu_seconds += cpu - self._cpu
        self._wall, self._cpu = wall, cpu

    def _phase_bar(self) -> tqdm:
        """
        Create the progress bar of the current phase.

        Each phase has its own, because their rates differ. The rate is the mean since the bar was
        created, so that the remaining time includes evaluations.
        """
        config, step = self._state.config, self._state.progress.step
        online = step > config.steps
        return tqdm(
            desc=self._saved.parent.name + (' online' if online else ''), unit='update',
            total=config.updates if online else config.steps, initial=step, smoothing=0,
            postfix=self._success,
            disable=None if not self._on_robot and distributed.own() == 0 else True)

    def _show(self) -> None:
        """Update the progress bar."""
        step = self._state.progress.step
        if step > self._bar.total:
            self._bar.close()
            self._bar = self._phase_bar()
        self._bar.update(step - self._bar.n)

    def _timed(self) -> dict[str, float]:
        """Losses of the last update, and mean time of an update since the last log row."""
        began = time.monotonic()
        values = self.require_finite()
        # Reading the losses waits for a GPU to finish its updates.
        self._updating += time.monotonic() - began
        update_ms = 1000 * self._updating / self._updates
        self._updating, self._updates = 0.0, 0
        return {'update_ms': update_ms, **values}

    def require_finite(self) -> dict[str, float]:
        """
        Return the losses of the last update.

        :raises TrainingError: If one is not finite.
        """
        values = {name: float(value) for name, value in (self._info or {}).items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f'{name}: found {value} at update {self._state.progress.step}; training '
                    f'stops, {_last_good(self._saved)}')
        return values


def is_evaluated(state: checkpoint.RunState) -> bool:
    """Tell whether a run is evaluated: its environment is simulated, and draws its pictures."""
    environment = state.config.environment
    return environment != NO_ENVIRONMENT and draws(environment, state.spec)


def acting(agent: Agent) -> Act:
    """Adapt an agent to numpy arrays; see :func:`training.evaluation.episodes.run_episodes`."""
    device = agent.normaliser.mean.device

    def act(
            observation: np.ndarray, noise: np.ndarray,
            pictures: Sequence[np.ndarray] = ()) -> np.ndarray:
        chunk = agent.act(
            torch.from_numpy(observation).to(device), torch.from_numpy(noise).to(device),
            [torch.from_numpy(picture).to(device) for picture in pictures])
        return chunk.cpu().numpy()
    return act


def _last_good(saved: Path) -> str:
    return f'the last good checkpoint is {saved}' if saved.exists() else 'none was saved'


@contextmanager
def disk_errors(saved: Path, resume: str = 'use --resume') -> Iterator[None]:
    """
    Turn disk errors into a :class:`TrainingError` that says how to continue the run.

    :param saved: Path of the run's checkpoint.
    :param resume: How the command goes on from it.
    :raises TrainingError: If a write failed.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = number_of(error)
        if isinstance(error, TrainingError) or number is None or (
                number not in DISK and not isinstance(error, WriteError)):
            raise
        if isinstance(error, WriteError):
            # Its message is complete, with path and remedy.
            raise TrainingError(str(error) + (
                f'; then {resume}, {_last_good(saved)}' if saved.exists() else '')) from error
        free = free_bytes(saved)
        room = f'; {megabytes(free)} are free there' if free is not None else ''
        raise TrainingError(
            f'{saved.parent}: cannot be written ({os.strerror(number)}{room}); free some space '
            f'and {resume if saved.exists() else "start again"}, {_last_good(saved)}'
        ) from error


@contextmanager
def memory_errors(config: TrainConfig, saved: Path) -> Iterator[None]:
    """
    Turn a failed allocation into a :class:`TrainingError` that says how to need less.

    On the CPU, Linux may grant more than there is, and end the process when that is used.

    :param config: Settings of the run.
    :param saved: Path of the run's checkpoint.
    :raises TrainingError: If memory could not be allocated, on the CPU or a GPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and _CPU_ALLOCATOR not in (
                text):
            raise
        why = printable(text.rpartition(_CPU_ALLOCATOR)[2].strip().partition('\n')[0], _LONGEST)
        raise TrainingError(
            f'device {config.device}: found too little memory ({why or "not said how much"}) for '
            f'--batch-size {config.batch_size}, --pool {config.pool} and --hidden '
            f'{" ".join(map(str, config.hidden))}, in a new run of which one has to be smaller; '
            f'{_last_good(saved)}') from error


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a flag, so that a run ends between updates."""
    seen: list[int] = []
    kinds = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(kind, lambda number, frame: seen.append(number)) for kind in kinds]
    try:
        yield lambda: bool(seen)
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
