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
Cost of policy swaps for the control loop: missed ticks, late ticks, memory.

    python -m bench.swap models/cube_single.onnx --rate 200 --swaps 50

A policy node in a process, a robot at rest that publishes, and three kinds of runs of equal
length that alternate: *none* without a swap, *swaps* between the policy and a renamed copy of it,
and *refused* ones: a truncated file, one of another size and a missing one, in turn. A tick is
missed if a deadline passed without one. The runs without swaps show the effect of other load on
the machine; if that is large, ``--fifo`` reduces it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

import onnx

from bench.common.arguments import amount, count, output, source
from bench.common.machine import finish
from bench.common.process import is_real_time, REAL_TIME, resident_kb
from dfp_ros.spec import METADATA_KEY, PolicySpec
from testing.processes.policy_cell import Cell


def write_variants(policy: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Write two interchangeable policies, and three files that are refused."""
    model = onnx.load(policy)
    spec = PolicySpec.from_json(
        next(prop.value for prop in model.metadata_props if prop.key == METADATA_KEY))
    good = []
    for name in ('one', 'two'):
        text = json.loads(spec.to_json())
        text['name'] = name
        onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(text)})
        good.append(folder / f'{name}.onnx')
        onnx.save(model, good[-1])
    text['observation'] = text['observation'][:-1]
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(text)})
    onnx.save(model, folder / 'other.onnx')
    (folder / 'cut.onnx').write_bytes(policy.read_bytes()[:-100])
    return good, [folder / 'other.onnx', folder / 'cut.onnx', folder / 'none.onnx']


def run(cell: Cell, kind: str, swaps: int, interval: float, good: list[Path],
        bad: list[Path]) -> dict[str, Any]:
    """Swap at an interval, and return the loop's report."""
    _, before = cell.report()
    taken = 0
    answers = []
    for i in range(swaps):
        due = time.monotonic() + interval
        if kind != 'none':
            path = (good[i % 2] if kind == 'swaps' else bad[i % 3])
            begin = time.monotonic()
            accepted, _ = cell.set('policy', str(path))
            answers.append(time.monotonic() - begin)
            assert accepted == (kind == 'swaps')
            taken += accepted
        while time.monotonic() < due:
            cell.peer.wait_for(lambda due=due: time.monotonic() >= due)
    _, after = cell.report()
    wanted = {'none': after['policy'], 'swaps': good[(swaps - 1) % 2].stem}
    assert after['policy'] == wanted.get(kind, before['policy']), after['last_refusal']
    return {
        'kind': kind, 'swaps': swaps if kind != 'none' else 0,
        'ticks': int(after['run_ticks']) - int(before['run_ticks']),
        'missed': int(after['run_missed_ticks']) - int(before['run_missed_ticks']),
        'late_p99_ms': float(after['period_p99_ms']), 'max_ms': float(after['period_max_ms']),
        'answer_ms': 1e3 * sum(answers) / max(1, len(answers)),
        'resident_mb': resident_kb(cell.process.process.pid) / 1024}


def main() -> int:
    """Print a table, and write the results to JSON if requested."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('policy', type=source)
    made.add_argument('--rate', type=amount, default=200.0, help='Hz')
    made.add_argument('--swaps', type=count, default=50, help='swaps per run')
    made.add_argument('--interval', type=amount, default=0.2, help='seconds between swaps')
    made.add_argument('--rounds', type=count, default=3)
    made.add_argument(
        '--fifo', action='store_true',
        help="real-time priority for the node, against the machine's other load, if granted")
    made.add_argument('--quick', action='store_true', help='quick run of some seconds')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    asked = made.parse_args()
    if asked.quick:
        asked.swaps, asked.interval, asked.rounds = 10, 0.1, 1
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        good, bad = write_variants(asked.policy, Path(folder))
        # A robot at rest is far outside the training data of the shipped policies.
        settings = {'safety.envelope': 'ignore', **(REAL_TIME if asked.fifo else {})}
        with Cell(good[1], rate=asked.rate, **settings) as cell:
            cell.wait_for_motion()
            fifo = is_real_time(cell.process.process.pid)
            if asked.fifo and not fifo:
                print('real-time priority was refused; see the log of the node', file=sys.stderr)
            for _ in range(asked.rounds):
                for kind in ('none', 'swaps', 'refused'):
                    rows.append({
                        **run(cell, kind, asked.swaps, asked.interval, good, bad), 'fifo': fifo})
                    print(', '.join(
                        f'{key} {value:.2f}' if isinstance(value, float) else f'{key} {value}'
                        for key, value in rows[-1].items()), flush=True)
    finish(rows, asked.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
