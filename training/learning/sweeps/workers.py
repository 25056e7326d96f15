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
"""Worker processes of a sweep, on this machine or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
import fcntl
from importlib import import_module
import json
import multiprocessing
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess
import os
from pathlib import Path
import signal
import sys
import threading
import traceback
from typing import Any, Protocol

from dfp_ros.core.text.say import say
from training.common.error_line import error_line
from training.common.files import write_json
from training.common.provenance import ROOT
from training.learning.sweeps.plan import DATA_HASH, FINISHED, PlannedRun
from training.learning.trainer.checkpoint import specification
from training.learning.trainer.run import train
from training.learning.trainer.session import TrainingError

OUTPUT = 'output.txt'
STOPPED = 130
# Number of times that Ray restarts a run whose process or machine is lost.
RETRIES = 2
# Seconds between checks for a stop request.
LOOK = 1.0
# Size of Ray's object store; tasks exchange almost no data here.
STORE_BYTES = 100_000_000

NO_RAY = (
    'sweep: found no Ray in this environment; install it with `make sweep-env`, or use --local '
    'to run the sweep in processes on this machine')


class Workers(Protocol):
    """Pool of worker processes that execute runs."""

    def start(self, run: PlannedRun) -> None:
        """Start or resume a run."""

    def wait(self, seconds: float) -> list[tuple[PlannedRun, int]]:
        """Wait for runs to end, at most so long; return them with exit codes, 0 if finished."""

    def stop(self) -> None:
        """Ask all runs to write a checkpoint and end."""


def carry_out(
        runs: Sequence[PlannedRun], workers: Workers, parallel: int,
        stopped: Callable[[], bool]) -> Iterator[tuple[PlannedRun, int]]:
    """
    Execute runs in the given order.

    :param runs: The runs.
    :param workers: Pool of workers.
    :param parallel: Maximum number of concurrent runs.
    :param stopped: Whether a stop is requested: no further run starts, and running ones are asked
        to end.
    :return: Each started run as it ends, with its exit code, 0 if finished.
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
    Execute one run in this process, from its checkpoint if there is one.

    :param planned: The run.
    :param folder: The sweep's.
    :return: 0 if it is finished, 130 if a signal ended it, else 1; the reason is in its
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
                'config': json.loads(config.to_json()), 'progress': asdict(progress),
                DATA_HASH: _data_hash(run)})
    except (ValueError, TrainingError) as error:
        say(error_line(error), to_errors=True)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _data_hash(run: Path) -> str:
    """Hash of the data of a run, and of its corrections if it has some."""
    known = specification(run / 'checkpoint.pt').provenance
    return ' '.join(
        str(known[name]['sha256']) for name in ('data', 'corrections') if name in known)


def reason(run: Path) -> str:
    """Reason why a run failed: the last line of its output."""
    path = run / OUTPUT
    lines = path.read_text(errors='replace').split('\n') if path.exists() else []
    return next((line for line in reversed(lines) if line.strip()), 'no output')


class LocalProcesses:
    """
    Worker processes on this machine.

    A crash in one does not affect the others; all write a checkpoint and end with this program.

    :param folder: The sweep's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._working: dict[Any, tuple[SpawnProcess, PlannedRun]] = {}

    def start(self, run: PlannedRun) -> None:
        """Begin a run; see :class:`Workers`."""
        process = multiprocessing.get_context('spawn').Process(
            target=_process, args=(run, self._folder))
        # Once it runs, it needs no start, which would take Ctrl-C off the mask again.
        resource_tracker.ensure_running()
        # The process inherits the mask: Ctrl-C, which reaches all of them, would end its imports
        # with a traceback. This program asks it to end by SIGTERM.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
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
    Ray tasks, each in a separate process.

    On a cluster of several machines, the sweep's folder, the data and this checkout must have the
    same path on all of them.

    :param ray: The module ``ray``.
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
            say(error_line(error), to_errors=True)
            return 1


@contextmanager
def ray_tasks(folder: Path, processors: int, address: str | None) -> Iterator[RayTasks]:
    """
    Start a Ray cluster, or connect to one.

    :param folder: The sweep's.
    :param processors: Number of CPUs of a cluster that is started here.
    :param address: Address of a running cluster; None starts one that ends with this program.
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
    """Run the main function of a process of :class:`LocalProcesses`."""
    # Ctrl-C has been blocked until here; from here on it is ignored, except during the run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    sys.exit(work(run, folder))


def _end_with(parent: int) -> None:
    """End this process, with a checkpoint, if its parent is killed."""
    connection.wait([parent])
    os.kill(os.getpid(), signal.SIGTERM)


def _task(run: PlannedRun, folder: Path, place: Path) -> int:
    """Run the main function of a task of :class:`RayTasks`; ``place`` is the working directory."""
    os.chdir(place)
    return work(run, folder)


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Lock a run against other processes: one of a killed sweep may still be ending."""
    with (run / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
