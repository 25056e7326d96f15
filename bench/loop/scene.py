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
"""Processes of one measurement: robot, reference loop, load, and each measured process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import contextlib
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import time

from bench.common.process import REAL_TIME
from bench.loop.condition import APART, Condition, LOADS
from bench.loop.policy import parameters
from bench.loop.processor import Meter, Use
from bench.loop.record import read, room
from bench.loop.rows import Stretch, stretch, Times
from dfp_ros.node.ros.domain import free_domain
from testing.processes.ros_processes import NodeProcess

#: Ticks and seconds after the start that are excluded.
_FIRST_TICKS, SETTLE = 5, 0.5
_START_TIMEOUT = 60.0
_FIRST = os.sched_param(REAL_TIME['realtime.priority'])


@dataclass(frozen=True)
class Cell:
    """
    Configuration shared by all measurements.

    :param folder: Folder in memory for the records.
    :param robot: The robot description.
    :param message: The robot's message, as JSON.
    :param command: Size of a command.
    :param parameters: Node parameters besides those of the condition.
    """

    folder: Path
    robot: Path
    message: Path
    command: int
    parameters: Mapping[str, object]


@contextlib.contextmanager
def all_but_the_last_processor() -> Iterator[None]:
    """Keep this process, and all that it starts meanwhile, off the last processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Scene:
    """
    Robot that publishes, loop that sleeps, and load, in a separate ROS domain.

    The robot's rate is slightly higher than the measured one, so that the time from an observation
    to the next tick takes all values. If observations trigger the ticks, it is the same.

    :param cell: Shared configuration.
    :param condition: The condition.
    """

    def __init__(self, cell: Cell, condition: Condition) -> None:
        """Name the records; :meth:`__enter__` starts the processes."""
        self._cell, self._condition = cell, condition
        self._domain = free_domain()
        self._stack = contextlib.ExitStack()
        self._rows = room(condition.rate, condition.seconds + condition.floor_seconds)
        self._count = 0
        self._processes: list[NodeProcess] = []
        self._window: tuple[float, float, Use] | None = None

    def __enter__(self) -> Scene:
        """Start the robot, the reference loop and the load."""
        condition, cell = self._condition, self._cell
        sweep = 1e9 * max(1.0, condition.seconds / 6)
        period = condition.period if condition.trigger == 'samples' else (
            condition.period / (1 + condition.period / sweep))
        with contextlib.ExitStack() as stack:
            loads: list[NodeProcess] = []
            if condition.load in APART:
                # First: it takes the last processor, and all that starts later keeps off it.
                loads = self._start_loads(stack)
                stack.enter_context(all_but_the_last_processor())
            robot = stack.enter_context(self._start(
                'robot', self._path('robot'), cell.message, '--capacity', self._rows,
                '--command', cell.command, '--period', round(period)))
            self._witness = stack.enter_context(self._start(
                'sleeping_loop', self._path('sleep'), '--capacity', self._rows,
                '--rate', condition.rate))
            wait_for(self._path('robot').exists, robot)
            wait_for(lambda: len(read(self._path('sleep'))) > _FIRST_TICKS, self._witness)
            if condition.fifo:
                for process in (robot, self._witness):
                    make_real_time(process)
            self._processes = [robot, *(loads or self._start_loads(stack))]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self._stack.close()

    def measure_timer(self, seconds: float, listens: bool = False) -> Stretch:
        """Measure the bare timer."""
        return self._measure(
            'timer', seconds, ['--rate', self._condition.rate, *['--listen'] * listens])

    def measure_node(
            self, policy: Path, seconds: float,
            meanwhile: Callable[[int, float], object] | None = None,
            robot: Path | None = None, source: str = '') -> Stretch:
        """
        Measure the policy node.

        :param policy: The policy file.
        :param seconds: Duration.
        :param meanwhile: Called with the ROS domain and the time.monotonic() at which it must
            return; None to wait.
        :param robot: Another robot description than that of all measurements.
        :param source: Source whose stamps are recorded; empty for the newest of each tick.
        """
        arguments: list[object] = ['--images'] * (self._condition.load == 'images')
        arguments += ['--source', source] * bool(source)
        arguments += parameters(**{
            'policy': policy, 'robot': robot or self._cell.robot,
            'trigger': self._condition.trigger, 'planning.mode': 'receding',
            'realtime.early': self._condition.early,
            'realtime.rehearsal': self._condition.rehearsal, **self._cell.parameters,
            **({**REAL_TIME, 'realtime.required': 'true'} if self._condition.fifo else {})})
        return self._measure('node', seconds, arguments, meanwhile)

    @contextlib.contextmanager
    def beside(self, module: str, *arguments: object) -> Iterator[None]:
        """Run another module of this folder within the context; it is none of the others."""
        with self._start(module, *arguments) as process:
            self._processes.append(process)
            try:
                yield
            finally:
                self._processes.remove(process)

    def witness(self) -> Stretch:
        """Return the sleeping loop's measurement during the last measured interval."""
        assert self._window is not None, 'something was measured'
        begin, end, use = self._window
        return stretch(
            read(self._path('sleep')), begin, end, use.own[1], use.others, use.stolen)

    def arrivals(self) -> Times:
        """Return the arrivals at the robot."""
        return read(self._path('robot'))

    def _measure(
            self, module: str, seconds: float, arguments: Iterable[object],
            meanwhile: Callable[[int, float], object] | None = None) -> Stretch:
        """Run a process, and measure it after its start-up."""
        self._count += 1
        path = self._path(f'measured_{self._count}')
        with self._start(
                module, path, '--capacity', self._rows, '--command', self._cell.command,
                *arguments) as process:
            wait_for(lambda: len(read(path)) > _FIRST_TICKS, process)
            if self._condition.fifo and module != 'node':
                # The node requests it itself.
                make_real_time(process)
            time.sleep(SETTLE)
            watched = [process, self._witness, *self._processes]
            meter = Meter([*(each.process.pid for each in watched), os.getpid()])
            begin, until = time.monotonic_ns(), time.monotonic() + seconds
            if meanwhile is not None:
                meanwhile(self._domain, until)
            time.sleep(max(0.0, until - time.monotonic()))
            end, use = time.monotonic_ns(), meter.read()
            self._window = begin, end, use
            status = process.stop(signal.SIGTERM)
            if status:
                raise RuntimeError(f'{module} ended with status {status}:\n{process.output}')
            found = stretch(read(path), begin, end, use.own[0], use.others, use.stolen)
            if len(found.ticks) < 2:
                raise RuntimeError(
                    f'{module}: found {len(found.ticks)} ticks in {seconds:g} s, expected '
                    f'{seconds * self._condition.rate:.0f}; its output:\n{process.output}')
        path.unlink()
        return found

    def _path(self, name: str) -> Path:
        """Return the file of a record."""
        return self._cell.folder / f'{self._domain}_{name}.npy'

    def _start_loads(self, stack: contextlib.ExitStack) -> list[NodeProcess]:
        """Start the load."""
        return [stack.enter_context(self._start('load', name))
                for name in LOADS[self._condition.load]]

    def _start(self, module: str, *arguments: object) -> NodeProcess:
        """Start a module of this folder as a process."""
        return NodeProcess(f'bench.loop.{module}', self._domain, *map(str, arguments))


def wait_for(condition: Callable[[], object], process: NodeProcess) -> None:
    """
    Wait for the start-up of a process.

    :raises RuntimeError: If it ends, or times out; with its output.
    """
    deadline = time.monotonic() + _START_TIMEOUT
    while not condition():
        if process.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f'{process.process.args} did not start:\n{process.output}')
        time.sleep(0.02)


def make_real_time(process: NodeProcess) -> None:
    """
    Give all threads of a process the priority that the node requests; later ones inherit it.

    :raises PermissionError: If the system denies it.
    """
    for thread in Path(f'/proc/{process.process.pid}/task').iterdir():
        os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, _FIRST)


def grants_fifo() -> bool:
    """Tell whether the system grants this user real-time priority."""
    with contextlib.suppress(PermissionError):
        policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, _FIRST)
        os.sched_setscheduler(0, policy, parameter)
        return True
    return False
