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
Fault injection benchmark: detection and stopping times of the policy node for every fault.

    python -m bench.faults

Each fault is injected into a real node that moves a scripted robot over DDS, in a separate ROS
domain; the list is that of test/whole_node/test_faults.py. Two tables are printed, and written to
docs/faults.md with ``--docs docs/faults.md``. The exit status is 1 if a stop reached the robot
later than two control periods after its limit.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
from pathlib import Path
import sys
import tempfile

from bench import ROOT
from bench.common.arguments import output
from bench.common.machine import machine
from testing.faults.groups import GROUPS
from testing.faults.robots import ROBOTS
from testing.faults.trial import Outcome

TICK = 1e3 * ROBOTS[0].tick  # ms
ALLOWED = 2  # ticks from the limit to the stop
BEGIN, END = '<!-- the tables begin -->', '<!-- the tables end -->'
_LONGEST = 150


def ticks_late(outcome: Outcome) -> float:
    """Return how many ticks after its limit a robot received its stop."""
    assert outcome.stopped is not None
    assert outcome.limit is not None
    return max(0.0, outcome.stopped - outcome.limit) / TICK


def tables(outcomes: list[Outcome]) -> str:
    """Format the tables in Markdown."""
    lines = [
        '| fault | robot | limit | decided | stopped | after the limit | reason | message |',
        '| --- | --- | ---: | ---: | ---: | ---: | --- | --- |']
    for each in outcomes:
        if each.limit is not None:
            lines.append(
                f'| {each.fault} | {each.robot} | {each.limit:.0f} ms | {each.detected:.0f} ms | '
                f'{each.stopped:.0f} ms | {ticks_late(each):.1f} periods | `{each.reason}` | '
                f'{each.said} |')
    lines += ['', '| event | robot | known | longest gap | message |',
              '| --- | --- | ---: | ---: | --- |']
    for each in outcomes:
        if each.limit is None:
            gap = '-' if each.longest_gap is None else f'{each.longest_gap:.1f} periods'
            lines.append(
                f'| {each.fault} | {each.robot} | {each.detected:.0f} ms | {gap} | {each.said} |')
    return '\n'.join(lines)


def shorten(said: str, folder: str) -> str:
    """Remove paths of this machine, and truncate long text."""
    said = said.replace(f'{folder}/', '').replace(f'{ROOT}/', '').replace('|', '/')
    return said if len(said) <= _LONGEST else f'{said[:_LONGEST].rsplit(" ", 1)[0]} ...'


def main() -> int:
    """Print the tables, and write them if requested."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--groups', nargs='+', choices=GROUPS, default=list(GROUPS))
    made.add_argument('--docs', type=output, help='Markdown file to write the tables to')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    asked = made.parse_args()
    outcomes = []
    for robot in ROBOTS:
        for name in asked.groups:
            with tempfile.TemporaryDirectory() as folder:
                for each in GROUPS[name](robot, Path(folder)):
                    print(f'{robot.name}: {each.fault}', file=sys.stderr, flush=True)
                    outcomes.append(Outcome(
                        **{**asdict(each), 'said': shorten(each.said, folder)}))
    order = list(dict.fromkeys(each.fault for each in outcomes))
    outcomes.sort(key=lambda each: order.index(each.fault))
    described = machine()
    text = tables(outcomes) + '\n\n' + ', '.join(
        f'{key} {value}' for key, value in described.items() if key != 'system')
    print(text)
    if asked.docs:
        before, _, rest = asked.docs.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        asked.docs.write_text(f'{before}{BEGIN}\n\n{text}\n\n{END}{after}')
    if asked.json:
        asked.json.write_text(json.dumps(
            {'machine': described, 'outcomes': [asdict(each) for each in outcomes]},
            indent=2) + '\n')
    late = [each for each in outcomes
            if each.limit is not None and ticks_late(each) > ALLOWED]
    for each in late:
        print(f'late: {each.fault} ({each.robot}), {ticks_late(each):.1f} periods',
              file=sys.stderr)
    return 1 if late else 0


if __name__ == '__main__':
    sys.exit(main())
