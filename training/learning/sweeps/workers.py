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
"""Runs of a sweep in processes of their own, on this machine or on Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
import fcntl
from importlib import import_module
import json
import multiprocessing
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
import os
from pathlib import Path
import signal
import sys
import threading
import traceback
from typing import Any, Protocol

from training.files import write_json
from training.learning.sweeps.plan import FINISHED, PlannedRun
from training.learning.trainer.run import train
from training.learning.trainer.session import TrainingError
from training.provenance import ROOT

OUTPUT = 'output.txt'
STOPPED = 130
# Ray starts a run again where its process or its machine is lost.
RETRIES = 2
# Seconds between looks at whether the sweep is to stop.
LOOK = 1.0
# Ray's store for what tasks hand to each other, which here is next to nothing.
STORE_BYTES = 100_000_000

NO_RAY = (
    'sweep: found no Ray in this environment; install it with `make sweep-env`, or run the same '
    'plan in plain processes of this machine with --local')


class Workers(Protocol):
    """Where runs are carried out."""

    def start(self, run: PlannedRun) -> None:
        """Begin a run, or go on with it."""

    def wait(self, seconds: float) -> list[tuple[PlannedRun, int]]:
        """Wait for runs to end, at most so long; return them, with 0 where they are finished."""

    def stop(self) -> None:
        """Ask all runs to checkpoint and end."""


def carry_out(
        runs: Sequence[PlannedRun], workers: Workers, parallel: int,
        stopped: Callable[[], bool]) -> Iterator[tuple[PlannedRun, int]]:
    """
    Carry runs out, as they are listed.

    :param runs: What to do.
    :param workers: Where.
    :param parallel: At most so many at a time.
    :param stopped: Says whether no more are to be begun, and those that run to end.
    :return: Each run that was begun, as it ends, and 0 where it is finished.
    """
    waiting, working = list(runs), 0
    while working or waiting:
        if stopped():
            waiting.clear()
            workers.stop()
        while waiting and working < parallel:
            workers.start(waiting.pop(0))
            working += 1
        for ended in workers.wait(LOOK) if working else ():
            working -= 1
            yield ended


def work(planned: PlannedRun, folder: Path) -> int:
    """
    Carry out one run in this process, from its checkpoint where there is one.

    :param planned: The run.
    :param folder: The sweep's.
    :return: 0 where it is finished, 130 where a signal ended it, else 1; the reason is in its
        ``output.txt``.
    """
    run, config = folder / planned.name, planned.config
    run.mkdir(parents=True, exist_ok=True)
    with (run / OUTPUT).open('ab') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        with _alone(run):
            progress = train(run, config, resume=(run / 'checkpoint.pt').exists())
            if progress.step < config.updates:
                return STOPPED
            write_json(run / FINISHED, {
                'config': json.loads(config.to_json()), 'progress': asdict(progress)})
    except (ValueError, TrainingError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def reason(run: Path) -> str:
    """Say why a run failed: the last line that it wrote."""
    path = run / OUTPUT
    lines = path.read_text(errors='replace').split('\n') if path.exists() else []
    return next((line for line in reversed(lines) if line.strip()), 'it wrote nothing')


class LocalProcesses:
    """
    Plain processes of this machine.

    One that crashes takes no other with it; all end, with a checkpoint, when this program does.

    :param folder: The sweep's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._working: dict[Any, tuple[SpawnProcess, PlannedRun]] = {}

    def start(self, run: PlannedRun) -> None:
        """Begin a run; see :class:`Workers`."""
        process = multiprocessing.get_context('spawn').Process(
            target=_process, args=(run, self._folder))
        process.start()
        self._working[process.sentinel] = process, run

    def wait(self, seconds: float) -> list[tuple[PlannedRun, int]]:
        """Wait for runs to end; see :class:`Workers`."""
        ended = []
        for sentinel in connection.wait(list(self._working), seconds):
            process, run = self._working.pop(sentinel)
            process.join()
            ended.append((run, process.exitcode or 0))
        return ended

    def stop(self) -> None:
        """Ask all runs to end; see :class:`Workers`."""
        for process, _ in self._working.values():
            process.terminate()


class RayTasks:
    """
    Tasks of Ray, each in a process of its own.

    On a cluster of several machines the sweep's folder, the data and this checkout have to be at
    the same place on all of them.

    :param ray: The module.
    :param folder: The sweep's.
    """

    def __init__(self, ray: Any, folder: Path) -> None:
        self._ray, self._folder = ray, folder
        self._working: dict[Any, PlannedRun] = {}
        self._cancelled = False

    def start(self, run: PlannedRun) -> None:
        """Begin a run; see :class:`Workers`."""
        task = self._ray.remote(
            max_calls=1, max_retries=RETRIES, num_cpus=max(1, run.config.threads),
            num_gpus=int(run.config.device == 'cuda'))(_task)
        self._working[task.remote(run, self._folder.resolve(), Path.cwd())] = run

    def wait(self, seconds: float) -> list[tuple[PlannedRun, int]]:
        """Wait for runs to end; see :class:`Workers`."""
        ready, _ = self._ray.wait(list(self._working), timeout=seconds)
        return [(self._working.pop(reference), self._code(reference)) for reference in ready]

    def stop(self) -> None:
        """Ask all runs to end; see :class:`Workers`."""
        if not self._cancelled:
            for reference in self._working:
                self._ray.cancel(reference)
        self._cancelled = True

    def _code(self, reference: Any) -> int:
        try:
            return int(self._ray.get(reference))
        except self._ray.exceptions.TaskCancelledError:
            return STOPPED
        except self._ray.exceptions.RayError as error:
            print(error, file=sys.stderr)
            return 1


@contextmanager
def ray_tasks(folder: Path, processors: int, address: str | None) -> Iterator[RayTasks]:
    """
    Start Ray, or join it.

    :param folder: The sweep's.
    :param processors: How many a Ray that is started here has to give.
    :param address: Of a cluster that runs already; None starts one that ends with this program.
    :raises TrainingError: If Ray is not installed.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    try:
        ray: Any = import_module('ray')
    except ImportError as error:
        raise TrainingError(NO_RAY) from error
    environment = {'env_vars': {'PYTHONPATH': str(ROOT), 'MUJOCO_GL': 'disable'}}
    own: dict[str, Any] = {} if address else {
        'num_cpus': processors, 'include_dashboard': False, 'object_store_memory': STORE_BYTES}
    ray.init(
        address=address or 'local', runtime_env=environment, log_to_driver=False,
        logging_level='warning', **own)
    try:
        yield RayTasks(ray, folder)
    finally:
        ray.shutdown()


def _process(run: PlannedRun, folder: Path) -> None:
    """Be a process of :class:`LocalProcesses`."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    sys.exit(work(run, folder))


def _end_with(parent: int) -> None:
    """Have this process checkpoint and end where its parent was killed."""
    connection.wait([parent])
    os.kill(os.getpid(), signal.SIGTERM)


def _task(run: PlannedRun, folder: Path, place: Path) -> int:
    """Be a task of :class:`RayTasks`, in the folder that paths are relative to."""
    os.chdir(place)
    return work(run, folder)


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Wait until no other process works on a run: a killed sweep's may still be ending."""
    with (run / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
