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
What a policy node misses when a process joins its robot, by how the node's messages travel.

    python bench/join.py --fifo --json bench/results/join.json

A process that has topics of the robot starts and ends again and again, as a driver, a recorder or
`ros2 topic echo` would, while a node at 100 Hz commands the robot. For the node as it is, and for
one that is told to use no shared memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
import os
from pathlib import Path
import sys
import tempfile
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'test'))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fault_cell import FaultCell
from fault_robots import POSITION_ARM
from fault_trial import longest_gap
from machine import finish
import numpy as np
from policies import write_policy
from process import is_real_time, REAL_TIME
from ros_processes import NodeProcess
from tqdm import tqdm

_TEST = Path(__file__).resolve().parent.parent / 'test'
_ROBOT = replace(POSITION_ARM, spec=replace(POSITION_ARM.spec, period=0.01))
# With LOCALHOST, rmw_fastrtps uses shared memory whatever it is told.
_RANGE = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}
KINDS: dict[str, Mapping[str, str]] = {
    'as it is': _RANGE, 'UDP': {**_RANGE, 'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'}}
# Ticks around a join in which the longest period is looked for.
_AFTER = 60


def join(cell: FaultCell) -> float:
    """
    Have a process come and go.

    :return: The longest time between two ticks, in ticks.
    """
    first = len(cell.decisions)
    path = os.pathsep.join([str(_TEST), *filter(None, [os.environ.get('PYTHONPATH')])])
    process = NodeProcess('scripted_robot', cell.domain, cell.robot.name, PYTHONPATH=path)
    try:
        cell.wait_for(lambda: all(
            len(cell.node.get_publishers_info_by_topic(f'/{topic}')) > 1
            for topic in cell.robot.topics), 'a process that joins')
        joined = len(cell.decisions)
        cell.wait_for(lambda: len(cell.decisions) > joined + _AFTER, 'more ticks')
        return longest_gap(cell.decisions[first:], cell.robot.tick)
    finally:
        process.leave()
        cell.forget()


def measure(kind: str, joins: int, fifo: bool) -> dict[str, Any]:
    """
    Have processes join one after the other.

    :param kind: One of :data:`KINDS`.
    :param joins: How many.
    :param fifo: Whether the node gets real-time priority.
    """
    parameters: dict[str, Any] = REAL_TIME if fifo else {}
    with tempfile.TemporaryDirectory() as name:
        policy = write_policy(Path(name) / 'policy.onnx', _ROBOT.spec)
        with FaultCell(_ROBOT, policy, environment=KINDS[kind], **parameters) as cell:
            cell.wait_for_motion()
            gaps = [join(cell) for _ in tqdm(range(joins), desc=kind, disable=None)]
            return {'kind': kind, 'joins': joins, 'fifo': is_real_time(cell.process.process.pid),
                    'rate': 1 / _ROBOT.tick, 'longest_ticks': gaps}


def main() -> None:
    """Print a line a kind."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--joins', type=int, default=20, help='processes, for each kind')
    made.add_argument('--fifo', action='store_true', help='real-time priority, where granted')
    made.add_argument('--json', type=Path, help='write the figures there')
    asked = made.parse_args()
    rows = []
    print(f'{"":10}{"joins":>6}{"with a gap of 0.1 s or more":>30}{"longest, ms":>13}')
    for kind in KINDS:
        row = measure(kind, asked.joins, asked.fifo)
        gaps = np.array(row['longest_ticks']) * 1e3 / row['rate']
        print(f'{kind:10}{asked.joins:6}{(gaps >= 100).sum():30}{gaps.max():13.0f}', flush=True)
        rows.append(row)
    finish(rows, asked.json)


if __name__ == '__main__':
    main()
