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
Draw a run's curves: success, forces, distance to the data, value.

The loss itself is left out: it is constant by construction (one bandwidth), and tells nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import Any

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np

from training.log import read_rows
from training.provenance import atomic_path

PANELS = (
    ('drift force, mean square', ('cloning_force', 'ascent_force'), True),
    ('distance of candidates to the data', ('distance_to_data', 'candidate_spread'), False),
    ('critics', ('value_of_data', 'value_of_pool', 'value_of_best'), False))
SMOOTHING = 10


def draw(runs: list[Path], out: Path) -> None:
    """
    Draw several runs over each other.

    :param runs: Their folders.
    :param out: PNG file to write.
    :raises FileNotFoundError: Where a folder holds no logs.
    """
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.5), layout='constrained')
    for number, run in enumerate(runs):
        colour = f'C{number}'
        found = read_rows(run / 'evaluations.csv')
        axes[0, 0].errorbar(
            [row['step'] for row in found], [row['success'] for row in found],
            yerr=[
                [row['success'] - row['low'] for row in found],
                [row['high'] - row['success'] for row in found]],
            marker='o', capsize=3, color=colour, label=run.name)
        rows = read_rows(run / 'updates.csv')
        for axis, (title, names, logarithmic) in zip(axes.flat[1:], PANELS, strict=True):
            _panel(axis, rows, names, colour, run.name)
            axis.set_title(title)
            if logarithmic:
                axis.set_yscale('log')
    axes[0, 0].set_title('success, with its 95 % interval')
    axes[0, 0].set_ylim(-0.03, 1.03)
    for axis in axes.flat:
        axis.set_xlabel('updates')
        axis.grid(alpha=0.3)
        axis.legend(fontsize='small')
    with atomic_path(out) as partial:
        figure.savefig(partial, dpi=110)
    plt.close(figure)


def _panel(
        axis: Any, rows: list[dict[str, float]], names: tuple[str, ...], colour: str,
        run: str) -> None:
    """Draw some columns, smoothed over a few rows."""
    styles = iter(('-', '--', ':'))
    for name in names:
        if name not in rows[0]:
            continue
        values = np.array([row[name] for row in rows])
        width = min(SMOOTHING, len(values))
        smooth = np.convolve(values, np.full(width, 1 / width), mode='valid')
        steps = [row['step'] for row in rows][width - 1:]
        axis.plot(
            steps, smooth, next(styles), color=colour,
            label=f'{run}: {name.replace("_", " ")}')


def main(arguments: list[str] | None = None) -> int:
    """Draw as the command line says."""
    made = argparse.ArgumentParser(
        prog='python -m training.report', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('runs', type=Path, nargs='+', help='folders of runs')
    made.add_argument('--out', type=Path, required=True, help='PNG file to write')
    asked = made.parse_args(arguments)
    try:
        draw(asked.runs, asked.out)
    except FileNotFoundError as error:
        print(f'{error.filename}: found no log there; name the folder of a run', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
