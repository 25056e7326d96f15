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
Comparison of policies at equal updates, on several tasks and seeds, with its table.

    python -m bench.comparison --tasks cube-single-task2 --seeds 0 1 2
    python -m bench.comparison --table
    python -m bench.comparison --cost

A cell is a run of one method on one task with one training seed, of 100,000 updates of the preset
``cpu-100k``; it is evaluated at 10,000, 25,000, 50,000 and 100,000 updates, with one candidate and
with best of N; ``--until 25000`` leaves it open there, to have early figures of many. Runs are
continued where they were stopped, several processes share the cells, and the figures are kept in
``bench/results/comparison``. The table says which cells are open. Its processor times are of runs
with whatever load was beside them; ``--cost`` times the methods side by side instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys

import torch

from bench.common.arguments import count, whole
from bench.common.machine import machine
from bench.learning.cells import claimed, MARKS, measure
from bench.learning.comparison_table import load, markdown
from bench.learning.cost import cost_table, costs
from bench.learning.methods import METHODS, TASKS
from dfp_ros.core.files.user_path import user_path
from training.common.error_line import error_line
from training.common.files import write_json
from training.common.provenance import commit, ROOT, versions
from training.learning.trainer.session import TrainingError

# Timed updates and inferences of a method.
UPDATES, CALLS = 128, 4_000
RESULTS = ROOT / 'bench' / 'results' / 'comparison'


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m bench.comparison', description=(__doc__ or '').strip().splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--tasks', nargs='+', choices=TASKS, default=list(TASKS), help='tasks')
    add('--methods', nargs='+', choices=METHODS, default=list(METHODS), help='policies')
    add('--seeds', nargs='+', type=whole, default=[0, 1, 2], help='training seeds')
    add('--episodes', type=count, default=50, help='episodes of the last evaluations')
    add('--until', type=count, choices=MARKS, default=MARKS[-1],
        help='updates to measure to; the same cells can be continued later')
    add('--runs', type=user_path, default=Path('runs/comparison'), help='folder of the runs')
    add('--results', type=user_path, default=RESULTS, help='folder of the figures')
    add('--table', action='store_true', help='print the table of the figures, and train nothing')
    add('--cost', action='store_true', help='time updates and actions of all methods, 3 minutes')
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the open cells that no other process has, and print the table."""
    asked = parse(arguments)
    asked.results.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if asked.cost:
        found = costs(UPDATES, CALLS)
        write_json(asked.results / 'cost.json', {
            'methods': found, 'machine': machine(), 'versions': versions(), 'commit': commit()})
        print(cost_table(found))
        return 0
    cells = [
        (task, method, seed) for task in asked.tasks for seed in asked.seeds
        for method in asked.methods]
    try:
        for cell in () if asked.table else cells:
            name = '.'.join(map(str, cell))
            with claimed(asked.runs / name) as ours:
                if ours:
                    found = measure(
                        cell, asked.runs / name, asked.results / f'{name}.json', asked.episodes,
                        asked.until)
                    last = found['marks'].get(str(asked.until), {}).get('candidates', {})
                    print(name, {key: value['success'] for key, value in last.items()})
    except (ValueError, TrainingError) as error:
        print(error_line(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command continues', file=sys.stderr)
        return 130
    for task in asked.tasks:
        print(f'\n### {task}\n')
        print(markdown(load(asked.results, task), asked.seeds))
    return 0


if __name__ == '__main__':
    sys.exit(main())
