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
Period, latency and missed ticks of the policy node, compared with the machine's lower bounds.

    python -m bench.loop --json bench/results/loop.json
    python -m bench.loop --quick

The node runs in its own process, as with ``ros2 run dfp_ros policy_node``, with an untrained
policy of the paper's size (or ``--policy``) that is asked at every tick; a robot in another
process publishes a JointState at the same rate and takes the commands. In the same run:

* *timer*: a node whose timer publishes the same message and does nothing else, in the same
  executor and scheduling class, half of its time before the node's and half after;
* *listener*: the same, which also takes the observations without using them;
* *sleep*: a loop on ``clock_nanosleep`` with absolute deadlines, like cyclictest, all the time.

*period* is the error of the time between two commands, *wakeup* the time from a tick's deadline to
its start. *observation* is the time from the stamp of the newest observation to the command, which
includes the wait for the next deadline, up to a period. *deadline* is the time from the deadline
to the command, and *reception* from the stamp to the command's arrival at the robot. Missed ticks
are defined as in :class:`dfp_ros.node.loop.statistics.LoopStatistics`. The goals at the end are
printed, not enforced; the exit status is 1 if a measurement failed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import itertools
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

import onnx
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from bench.common.arguments import amount, count, output, source
from bench.common.machine import finish
from bench.loop.condition import Condition, full, quick
from bench.loop.goals import describe, judge
from bench.loop.policy import write_robot, write_variant
from bench.loop.rows import Stretch, summarise
from bench.loop.scene import Cell, grants_fifo, Scene
from dfp_ros.core.policy.policy_file import read_spec
from dfp_ros.spec import PolicySpec
from testing.processes.ros_processes import Peer

_SHOWN = (('period', 'period_error'), ('wakeup', 'wakeup'), ('inference', 'inference'),
          ('deadline', 'deadline_to_command'), ('observation', 'observation_to_command'),
          ('reception', 'observation_to_reception'))
_SWAPS = 1.0  # s between two
_DISTURBED = 0.05  # use of other processes, in cores, that is reported


def swap(policies: Sequence[Path]) -> Callable[[int, float], None]:
    """Return a function that swaps policies every second for some time."""
    def until(domain: int, end: float) -> None:
        with Peer(domain) as peer:
            for path in itertools.cycle(policies):
                due = time.monotonic() + _SWAPS
                value = ParameterValue(
                    type=ParameterType.PARAMETER_STRING, string_value=str(path))
                result = peer.call(
                    SetParameters, 'dfp_policy/set_parameters', SetParameters.Request(
                        parameters=[Parameter(name='policy', value=value)])).results[0]
                if not result.successful:
                    print(f'a swap was refused: {result.reason}', flush=True)
                if due >= end:
                    return
                time.sleep(max(0.0, due - time.monotonic()))
    return until


def measure(
        cell: Cell, condition: Condition, model: onnx.ModelProto,
        spec: PolicySpec) -> list[dict[str, Any]]:
    """Measure the node and its lower bounds under one condition; return the rows."""
    policies = [
        write_variant(model, spec, cell.folder / f'{name}.onnx', condition.rate)
        for name in ('a', 'b')]
    timers: list[Stretch] = []
    listeners: list[Stretch] = []
    witness: list[Stretch] = []

    def take(measured: Stretch, into: list[Stretch]) -> None:
        into.append(measured)
        witness.append(scene.witness())

    half = condition.floor_seconds / 2
    with Scene(cell, condition) as scene:
        if half:
            take(scene.measure_timer(half), timers)
        nodes: list[Stretch] = []
        take(scene.measure_node(
            policies[0], condition.seconds,
            swap(policies[::-1]) if condition.load == 'swaps' else None), nodes)
        if half:
            take(scene.measure_timer(half), timers)
        if condition.listens:
            take(scene.measure_timer(half / 2, listens=True), listeners)
        arrivals = scene.arrivals()
    rows = []
    for kind, found in (
            ('node', nodes), ('timer', timers), ('listener', listeners), ('sleep', witness)):
        if found:
            timed = kind != 'node' or condition.trigger == 'timer'
            rows.append({'kind': kind, **condition.facts(), **summarise(
                found, condition.period, None if kind == 'sleep' else arrivals, timed)})
            print(line(rows[-1]), flush=True)
    busy = [max(row[key] for row in rows) for key in ('others_cores', 'stolen_cores')]
    if max(busy) > _DISTURBED:
        print(f'beside: {busy[0]:.2f} cores by other processes, {busy[1]:.2f} by the host')
    return rows


def write_paper_policy(folder: Path) -> Path:
    """Write the policy that is measured if none is given; it needs the trainer."""
    from bench.inference.paper_policy import write_policy
    return write_policy(folder).path


def parameter(text: str) -> tuple[str, str]:
    """
    Parse a ROS parameter of the command line.

    :raises argparse.ArgumentTypeError: If it is malformed.
    """
    name, sign, value = text.partition(':=')
    if not sign or not name:
        raise argparse.ArgumentTypeError(f'found {text!r}, expected NAME:=VALUE')
    return name, value


def line(row: dict[str, Any]) -> str:
    """Format a row of the table."""
    figures = [
        '/'.join(f'{row[key][point]:.0f}' for point in ('p50_us', 'p99_us', 'p99.9_us'))
        if key in row else '' for _, key in _SHOWN]
    return (f'{row["kind"]:8} {row["ticks"]:6} {row["missed"]:6} {row["cpu_us_per_tick"]:5.0f}  '
            + ' '.join(f'{figure:16}' for figure in figures)).rstrip()


def main(arguments: list[str] | None = None) -> int:
    """Print a table and the goals, and write the results to JSON if requested."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument(
        '--policy', type=source, help='policy to measure (default: an untrained one)')
    made.add_argument('--candidates', type=count, default=1, help='candidates per chunk')
    made.add_argument(
        '--parameter', nargs='+', default=[], metavar='NAME:=VALUE', type=parameter,
        help='additional node parameter, for example realtime.rehearsal:=1000')
    made.add_argument('--seconds', type=amount, help='of each measurement (default: 60, quick: 2)')
    made.add_argument('--quick', action='store_true', help='quick run of under a minute')
    made.add_argument('--only', nargs='+', default=[], metavar='TEXT', help=(
        'only conditions whose names contain one of these texts, for example "200 Hz, none"'))
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    asked = made.parse_args(arguments)
    plan = quick(asked.seconds or 2) if asked.quick else full(asked.seconds or 60)
    plan = [each for each in plan
            if not asked.only or any(text in str(each) for text in asked.only)]
    skipped = [str(each) for each in plan if each.fifo and not grants_fifo()]
    memory = Path('/dev/shm')
    rows: list[dict[str, Any]] = []
    failed = []
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = asked.policy or write_paper_policy(Path(folder))
        model, spec = onnx.load(path), read_spec(path)
        robot, message = write_robot(spec, Path(folder))
        cell = Cell(
            Path(folder), robot, message, spec.action_size,
            {'candidates': asked.candidates, **dict(asked.parameter)})
        print('         ' + f'{"ticks":>6} {"missed":>6}   cpu  '
              + ' '.join(f'{name:16}' for name, _ in _SHOWN)
              + '  (us: p50/p99/p99.9; cpu of a tick)')
        for condition in plan:
            print(condition)
            if str(condition) in skipped:
                print('skipped: this system does not grant SCHED_FIFO; see `ulimit -r`')
                continue
            try:
                rows += measure(cell, condition, model, spec)
            except (RuntimeError, TimeoutError) as error:
                # The other conditions are measured nevertheless.
                print(f'failed: {error}', file=sys.stderr, flush=True)
                failed.append(str(condition))
    goals = judge(rows)
    for goal in goals:
        print(describe(goal))
    described = {
        'policy': asked.policy.name if asked.policy else 'paper', 'candidates': asked.candidates,
        **({'parameters': dict(asked.parameter)} if asked.parameter else {})}
    finish(
        [{**described, **row} for row in rows], asked.json, goals=goals, skipped=skipped,
        failed=failed)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
