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
"""bench/tick times the parts of real ticks, and none of them twice."""

from pathlib import Path
import subprocess
import sys
import time

import pytest

pytest.importorskip('rclpy')

import rclpy

from bench.tick.__main__ import show
from bench.tick.cell import Cell
from bench.tick.stopwatch import PARTS, Stopwatch
from dfp_ros.core.control.decision import State
from dfp_ros.node.ros.domain import free_domain


def test_the_parts_of_a_tick_are_no_more_than_the_tick() -> None:
    """A position arm: every part is there, and together they take no longer than all of it."""
    rclpy.init(domain_id=free_domain())
    watch = Stopwatch()
    with watch.on():
        cell = Cell('lift_joint', 200.0, decisions=True)
        seen: set[str] = set()
        for _ in range(60):
            watch.taken.clear()
            begin = time.perf_counter_ns()
            cell.tick()
            taken = time.perf_counter_ns() - begin
            assert 0 < sum(watch.taken.values()) <= taken
            seen |= set(watch.taken)
            cell.follow()
        assert cell.ticker.log.last.state is State.RUNNING
        cell.close()
    rclpy.shutdown()
    assert seen == {name for name, _, _ in PARTS}


def test_a_part_of_few_ticks_may_be_in_one_of_the_rhythms(
        capsys: pytest.CaptureFixture[str]) -> None:
    part = {'p50_us': 10.0, 'p99_us': 20.0}
    show([{'policy': 'a', 'robot': 'b', 'rhythm': 'paced', 'all': part, 'inference': part},
          {'policy': 'a', 'robot': 'b', 'rhythm': 'tight', 'all': part, 'rest': part}])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:] if line]
    assert rows == [
        ['all', '10.0', '20.0', '10.0', '20.0'], ['inference', '10.0', '20.0', '-', '-'],
        ['rest', '-', '-', '10.0', '20.0']]


def test_the_command_starts_its_subscriber(tmp_path: Path) -> None:
    """The subscriber's process cannot import a function of a package's ``__main__``."""
    done = subprocess.run(
        [sys.executable, '-m', 'bench.tick', 'cube_single', '--seconds', '1', '--json',
         str(tmp_path / 'tick.json')],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 'Traceback' not in done.stderr
    assert 'cube_single' in (tmp_path / 'tick.json').read_text()
