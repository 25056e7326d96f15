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
Missed ticks of a policy node when a process joins its ROS domain, by transport of the node.

    python -m bench.join --fifo --json bench/results/join.json --docs docs/realtime.md

A process with topics of the robot starts and ends repeatedly, as a driver, a recorder or
`ros2 topic echo` would, while a node at 100 Hz commands the robot. The node runs with the shipped
settings and with Fast DDS's own transports (shared memory and UDP), with the discovery ranges
LOCALHOST and SUBNET. All other processes use Fast DDS's own transports.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
import os
from pathlib import Path
import tempfile
from typing import Any

import numpy as np
from tqdm import tqdm

from bench.common.arguments import count, output
from bench.common.machine import finish
from bench.common.process import is_real_time, REAL_TIME
from testing.faults.cell import FaultCell
from testing.faults.robots import POSITION_ARM
from testing.faults.trial import longest_gap
from testing.policies.small_policy import write_policy
from testing.processes.ros_processes import NodeProcess

_ROBOT = replace(POSITION_ARM, spec=replace(POSITION_ARM.spec, period=0.01))
BEGIN, END = '<!-- join begins -->', '<!-- join ends -->'
# Environment that leaves Fast DDS with its defaults.
_SHARED_MEMORY = {'FASTDDS_BUILTIN_TRANSPORTS': 'DEFAULT'}
KINDS: dict[str, tuple[str, Mapping[str, str]]] = {
    'LOCALHOST, as shipped': ('LOCALHOST', {}),
    'SUBNET, as shipped': ('SUBNET', {}),
    'LOCALHOST, shared memory': ('LOCALHOST', _SHARED_MEMORY),
    'SUBNET, shared memory': ('SUBNET', _SHARED_MEMORY)}
# Window of ticks around a join for the longest period.
_AFTER = 60


def join(cell: FaultCell, discovery: str) -> float:
    """
    Start and end a joining process.

    :param discovery: Discovery range of the process.
    :return: The longest time between two ticks, in ticks.
    """
    first = len(cell.decisions)
    process = NodeProcess(
        'testing.faults.scripted_robot', cell.domain, cell.robot.name, **untouched(discovery))
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


def untouched(discovery: str) -> dict[str, str | None]:
    """Return the environment variables of a process with Fast DDS's own transports."""
    return {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': discovery, 'FASTRTPS_DEFAULT_PROFILES_FILE': None,
        'FASTDDS_DEFAULT_PROFILES_FILE': None, **_SHARED_MEMORY}


def measure(kind: str, joins: int, fifo: bool) -> dict[str, Any]:
    """
    Measure several joins, one after the other.

    :param kind: One of :data:`KINDS`.
    :param joins: Number of joins.
    :param fifo: Whether the node requests real-time priority.
    """
    parameters: dict[str, Any] = REAL_TIME if fifo else {}
    discovery, settings = KINDS[kind]
    # This process is the robot.
    os.environ.update({'ROS_AUTOMATIC_DISCOVERY_RANGE': discovery, **_SHARED_MEMORY})
    node = {'ROS_AUTOMATIC_DISCOVERY_RANGE': discovery, **settings}
    if not settings:
        node['FASTDDS_BUILTIN_TRANSPORTS'] = ''
    with tempfile.TemporaryDirectory() as name:
        policy = write_policy(Path(name) / 'policy.onnx', _ROBOT.spec)
        with FaultCell(
                _ROBOT, policy, environment=node, diagnostics__interval=1.0,
                **parameters) as cell:
            cell.wait_for_motion()
            gaps = [join(cell, discovery) for _ in tqdm(range(joins), desc=kind, disable=None)]
            return {'kind': kind, 'joins': joins, 'fifo': is_real_time(cell.process.process.pid),
                    'rate': 1 / _ROBOT.tick, 'longest_ticks': gaps}


def with_table(page: str, rows: list[dict[str, Any]]) -> str:
    """Insert the table between the markers of a page."""
    lines = ['| discovery range, transports of the node | joins | with a gap of 50 ms or more '
             '| longest, ms |', '| --- | ---: | ---: | ---: |']
    for row in rows:
        gaps = np.array(row['longest_ticks']) * 1e3 / row['rate']
        lines.append(
            f'| {row["kind"]} | {row["joins"]} | {(gaps >= 50).sum()} | {gaps.max():.0f} |')
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise SystemExit(f'found no text between `{BEGIN}` and `{END}` for the table')
    return '\n'.join([f'{before}{BEGIN}', '', *lines, '', f'{END}{after}'])


def main() -> None:
    """Print a line per kind."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--joins', type=count, default=20, help='joins of each kind')
    made.add_argument('--fifo', action='store_true', help='real-time priority, if granted')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    made.add_argument('--docs', type=output, help='Markdown file to write the table to')
    asked = made.parse_args()
    rows = []
    print(f'{"":26}{"joins":>6}{"with a gap of 50 ms or more":>29}{"longest, ms":>13}')
    for kind in KINDS:
        row = measure(kind, asked.joins, asked.fifo)
        gaps = np.array(row['longest_ticks']) * 1e3 / row['rate']
        print(f'{kind:26}{asked.joins:6}{(gaps >= 50).sum():29}{gaps.max():13.0f}', flush=True)
        rows.append(row)
    finish(rows, asked.json)
    if asked.docs:
        asked.docs.write_text(with_table(asked.docs.read_text(), rows))


if __name__ == '__main__':
    main()
