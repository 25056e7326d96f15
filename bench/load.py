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
Loading time and peak memory of a large data file.

    python -m bench.load

A file in OGBench's format with cube-triple's sizes is filled with random numbers, compressed like
the official ones, and loaded in a separate process. The peak ratio is the highest resident memory
during the load, less that before it, divided by the memory of the transitions; the goals are 10 s
and 1.5. Before the load, the environment that determines the rewards is created once, because
MuJoCo keeps its memory regardless of the file's size (*simulator*). The file has just been
written, so it is read from the page cache. *busy* is processor time in s.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
from pathlib import Path
import sys
import tempfile
import time

import numpy as np

from bench.common.arguments import count
from bench.common.machine import machine
from training.common.files import atomic_path
from training.data.formats.ogbench.scenes import SCENES
from training.data.transitions.transitions import COLUMNS
from training.evaluation import environments

SCENE = 'cube-triple'
ENVIRONMENT = f'{SCENE}-singletask-task2-v0'
EPISODE = 1000


def make(path: Path, transitions: int) -> None:
    """
    Write a file of random numbers.

    :param path: The file, ending in ``.npz``.
    :param transitions: How many, in episodes of :data:`EPISODE`, each with one more row.
    """
    generator = np.random.default_rng(0)
    rows = transitions // EPISODE * (EPISODE + 1)
    arrays = {
        key: generator.uniform(-1, 1, (rows, width)).astype(np.float32)
        for key, width in SCENES[SCENE].widths.items()}
    arrays['terminals'] = np.arange(1, rows + 1) % (EPISODE + 1) == 0
    with atomic_path(path) as partial:
        np.savez_compressed(partial, **arrays)


def measure(path: Path) -> dict[str, float]:
    """
    Load a file in a fresh process.

    :return: Seconds; megabytes of the transitions, of the peak and of the simulator.
    """
    environments.headless()
    bare = _status('VmRSS')
    from dfp_ros.sim.simulation.ogbench_env import make_env
    from training.data.formats.ogbench.reader import load
    make_env(ENVIRONMENT).close()
    gc.collect()
    Path('/proc/self/clear_refs').write_text('5')  # reset the peak
    before, started, busy = _status('VmRSS'), time.perf_counter(), time.process_time()
    data = load(path, ENVIRONMENT)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    taken = sum(getattr(data, name).nbytes for name in COLUMNS) / 1e6
    peak = _status('VmHWM') - before
    return {
        'transitions': len(data), 'seconds': seconds, 'busy_seconds': busy, 'megabytes': taken,
        'peak_megabytes': peak, 'peak_ratio': peak / taken, 'simulator_megabytes': before - bare}


def _status(key: str) -> float:
    """Return a value of this process's status, in MB."""
    line = next(
        line for line in Path('/proc/self/status').read_text().splitlines()
        if line.startswith(key))
    return int(line.split()[1]) * 1024 / 1e6


def main(arguments: list[str] | None = None) -> int:
    """Print a table, and the results as JSON on the last line."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--transitions', type=count, default=1_000_000)
    made.add_argument('--loads', type=count, default=3, help='loads, each in a separate process')
    made.add_argument('--file', type=Path, help='file to create, or to use if it exists')
    asked = made.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = asked.file or Path(folder) / f'{SCENE}-random-v0.npz'
        if not path.exists():
            make(path, asked.transitions)
        print('transitions  seconds   busy      MB  peak MB  peak ratio  simulator MB')
        found = []
        for _ in range(asked.loads):
            with multiprocessing.get_context('spawn').Pool(1) as pool:
                found.append(pool.apply(measure, (path,)))
            row = found[-1]
            print(f'{row["transitions"]:11,} {row["seconds"]:8.2f} {row["busy_seconds"]:6.2f} '
                  f'{row["megabytes"]:7.0f} {row["peak_megabytes"]:8.0f} '
                  f'{row["peak_ratio"]:11.2f} {row["simulator_megabytes"]:13.0f}', flush=True)
    described = machine()
    print(', '.join(f'{key} {value}' for key, value in described.items())
          + f', numpy {np.__version__}')
    print(json.dumps({'loads': found, 'machine': described}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
