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
Parallel (vectorised) Gymnasium environments in separate processes, with timeouts.

Gymnasium itself waits for such a process without a timeout, and a Ctrl-C that is meant as a
request for a checkpoint also kills the process. :class:`Processes` has a timeout and blocks the
signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
import multiprocessing
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
import os
import signal
import sys
import threading
import time
from types import ModuleType
from typing import Any
import warnings
import weakref

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
import numpy as np

from dfp_ros.sim.simulation.make_env import make_env
from dfp_ros.sim.simulation.picture_names import VISUAL
from dfp_ros.sim.simulation.render_backend import choose_backend

# Timeout of a step or a start, s; they take milliseconds and seconds.
PATIENCE = 120.0


class EnvironmentFailed(RuntimeError):
    """An environment's process died, or does not respond."""


def start(
        environment: str, count: int, provenance: Mapping[str, Any] | None = None,
        draw_every: int = 1) -> VectorEnv:
    """
    Start environments, each of which is reset separately with its seed.

    A single one runs in this process, several run in separate processes, and so do those with
    pictures, because MuJoCo decides at its import how it draws; ``close`` ends them.

    :param environment: Name, see :func:`dfp_ros.sim.simulation.make_env.make_env`.
    :param count: Number of environments.
    :param provenance: Provenance of a policy, see there.
    :param draw_every: Steps from one picture to the next, see there.
    :raises RenderingError: If pictures are needed and cannot be drawn.
    :raises ValueError: If there is no such environment.
    :raises EnvironmentFailed: If a process ends, or takes longer than :data:`PATIENCE`.
    """
    visual = environment.startswith(VISUAL)
    if visual:
        choose_backend(_willing())
    if count == 1 and not visual:
        return SyncVectorEnv(
            [partial(_make, environment, provenance)], autoreset_mode=AutoresetMode.DISABLED)
    return Processes(environment, count, provenance, draw_every)


def single(environment: str, provenance: Mapping[str, Any] | None = None) -> gymnasium.Env:
    """
    Start a single environment, which draws pictures at each step if it has some.

    :param environment: Name, as of :func:`start`, which has the errors, too.
    :param provenance: Provenance of a policy.
    """
    if environment.startswith(VISUAL):
        return _OfOne(start(environment, 1, provenance))
    return make_env(environment, provenance)


class _OfOne(gymnasium.Env[Any, Any]):
    """The only one of parallel environments, as an environment."""

    def __init__(self, environments: VectorEnv) -> None:
        self._environments = environments
        self.observation_space = environments.single_observation_space
        self.action_space = environments.single_action_space

    def reset(
            self, *, seed: int | None = None,
            options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset it."""
        # Typed for a single seed, but documented and implemented for a list.
        reset: Any = self._environments.reset
        observations, infos = reset(seed=[seed], options={'reset_mask': np.ones(1, bool)})
        return observations[0], _first(infos)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step it."""
        observations, rewards, terminated, truncated, infos = self._environments.step(
            np.asarray(action)[None])
        return (
            observations[0], rewards[0], bool(terminated[0]), bool(truncated[0]), _first(infos))

    def close(self) -> None:
        """End its process."""
        self._environments.close()


def _first(infos: Mapping[str, Any]) -> dict[str, Any]:
    """Take what the first of parallel environments has to say."""
    return {
        name: _first(values) if isinstance(values, Mapping) else values[0]
        for name, values in infos.items() if not name.startswith('_')}


class Processes(AsyncVectorEnv):
    """
    Environments in separate processes, which end when this one ends or closes them.

    :param environment: Name.
    :param count: Number of environments.
    :param provenance: Provenance of a policy.
    :param draw_every: Steps from one picture to the next.
    """

    def __init__(
            self, environment: str, count: int, provenance: Mapping[str, Any] | None = None,
            draw_every: int = 1) -> None:
        self._environment = environment
        began, limit = time.monotonic(), threading.Timer(PATIENCE, self._kill)
        # Only this process handles a signal to the whole process group (Ctrl-C, a batch system's
        # SIGTERM): the others inherit the mask, and are ended by SIGKILL or by the closed pipe.
        # The resource tracker is started first, because its start resets the mask.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        limit.start()
        try:
            with self._judged(), _main_hidden():
                super().__init__(
                    [partial(_make, environment, provenance, draw_every)] * count, context='spawn',
                    autoreset_mode=AutoresetMode.DISABLED)
            # Runs before multiprocessing's own exit handler, which sends a blocked SIGTERM and
            # waits.
            weakref.finalize(self, _kill, self.processes)
        except BaseException as error:
            self._kill()
            if isinstance(error, EnvironmentFailed) and time.monotonic() >= began + PATIENCE:
                raise EnvironmentFailed(
                    f'{environment}: found environments that did not start within {PATIENCE:g} s; '
                    f'use fewer than {count}') from error
            raise
        finally:
            limit.cancel()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def reset(
            self, *, seed: int | list[int | None] | None = None,
            options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """
        Reset the environments, as Gymnasium does.

        :raises EnvironmentFailed: If a process does not answer.
        """
        with self._judged():
            self.reset_async(seed=seed, options=options)
            return self.reset_wait(PATIENCE)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """
        Step the environments, as Gymnasium does.

        :raises EnvironmentFailed: If a process does not answer.
        """
        with self._judged():
            self.step_async(actions)
            return self.step_wait(PATIENCE)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Kill the processes immediately: they have nothing to save."""
        self._kill()
        for process in self.processes:
            process.join()
        for pipe in self.parent_pipes:
            if pipe is not None:
                pipe.close()

    def _kill(self) -> None:
        _kill(getattr(self, 'processes', []))

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Turn a missing response into an error that says what happened to the process."""
        try:
            yield
        except multiprocessing.TimeoutError as error:
            late = [i for i, pipe in enumerate(self.parent_pipes, 1) if not pipe.poll()]
            raise EnvironmentFailed(
                f'{self._environment}: found no response of environment {_listed(late)} of '
                f'{self.num_envs} within {PATIENCE:g} s; if the machine is overloaded, use '
                'fewer environments') from error
        except (EOFError, ConnectionError) as error:
            ended = wait([process.sentinel for process in self.processes], timeout=5)
            codes: dict[int, int | None] = {}
            for i, process in enumerate(self.processes, 1):
                if process.sentinel in ended:
                    process.join(5)
                    codes[i] = process.exitcode
            raise EnvironmentFailed(
                f'{self._environment}: the process of environment {_listed(codes)} of '
                f'{self.num_envs} ended with status {_listed(codes.values())}; if memory ran '
                'out, use fewer environments') from error


def headless() -> None:
    """
    Prepare a process for environments without rendering, before it imports MuJoCo.

    An existing ``MUJOCO_GL`` is not changed.
    """
    os.environ.setdefault('MUJOCO_GL', 'disable')
    # OGBench creates its action space at each access, and Gymnasium warns each time.
    warnings.filterwarnings('ignore', message='.*precision lowered')


def _make(
        environment: str, provenance: Mapping[str, Any] | None,
        draw_every: int = 1) -> gymnasium.Env:
    if environment.startswith(VISUAL) and multiprocessing.parent_process():
        os.environ['MUJOCO_GL'] = os.environ['PYOPENGL_PLATFORM'] = choose_backend(_willing())
    headless()
    return make_env(environment, provenance, draw_every)


def _willing() -> dict[str, str]:
    """
    Return the variables of this process that choose a renderer.

    That MuJoCo does not draw in this process does not concern the others.
    """
    wanted = os.environ.get('MUJOCO_GL', '')
    return {} if wanted == 'disable' else {'MUJOCO_GL': wanted}


def _kill(processes: list[Any]) -> None:
    for process in processes:
        if process.pid is not None:
            process.kill()


def _listed(numbers: Iterable[int | None]) -> str:
    return ', '.join(str(number) for number in numbers)


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep new processes from importing the main module, which imports torch and is slow."""
    main = sys.modules['__main__']
    sys.modules['__main__'] = ModuleType('__main__')
    try:
        yield
    finally:
        sys.modules['__main__'] = main
