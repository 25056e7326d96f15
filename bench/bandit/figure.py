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
"""Figure of the bandit: actions, drift and value over training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import torch

from bench.bandit.problem import BEST, CENTRES, KnownValue, PEAK, REACH
from training.common.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.bandit.problem import Course

EDGE = 1.12
SHOWN = 700
BLUE, RED, GREY = '#1b4f91', '#c0392b', '#555555'
BELOW = {
    'DFP, cloning': 'one pass',
    'DFP, cloning + top-K': 'one pass, goes on\nfrom the cloned policy',
    'Flow': 'ten Euler steps, cloning',
    'MeanFlow': 'one pass, cloning',
    'FQL': "one pass, climbs the\nvalue's gradient"}


def _landscape(axes: Axes) -> None:
    line = torch.linspace(-EDGE, EDGE, 120)
    across, up = torch.meshgrid(line, line, indexing='xy')
    places = torch.stack([across, up], dim=2).view(1, -1, 2)
    values = KnownValue()(places, places).view(120, 120)
    axes.contourf(across, up, values, levels=15, cmap='YlOrBr', vmin=0, vmax=2.4, zorder=0)
    for mode, centre in enumerate(CENTRES):
        best = mode in BEST
        axes.add_patch(plt.Circle(
            centre.tolist(), REACH, fill=False, linewidth=1.5 if best else 0.8,
            edgecolor='black', linestyle='-' if best else (0, (3, 2)), zorder=3))
    axes.plot(*PEAK.tolist(), marker='+', markersize=7, color='black', zorder=1)
    axes.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), xticks=[], yticks=[], aspect='equal')


def _frame(axes: Axes, course: Course, update: int) -> None:
    _landscape(axes)
    axes.scatter(*course.places[update][:SHOWN].T, s=3.5, color=BLUE, alpha=0.6, linewidths=0,
                 zorder=2)
    if update in course.drift:
        starts, drift = course.drift[update]
        axes.quiver(*starts.T, *drift.T, angles='xy', scale_units='xy', scale=0.5, color=RED,
                    width=0.009, headwidth=3.6, zorder=4)


def _curves(axes: Axes, course: Course, value_of_data: float) -> None:
    updates = list(course.curve)
    for name, label, colour, dashes in (
            ('outside', 'share outside', RED, '-'), ('value', 'mean value', BLUE, '-'),
            ('total_variation', 'total variation', 'black', (0, (2, 2)))):
        axes.plot(updates, [row[name] for row in course.curve.values()], color=colour,
                  linewidth=1.4, linestyle=dashes, label=label)
    axes.axhline(value_of_data, color=BLUE, linewidth=0.7, linestyle=(0, (1, 2)))
    axes.set(xlim=(0, course.updates), ylim=(0, 1.55), yticks=[0, 0.5, 1, 1.5],
             xticks=[0, course.updates])
    axes.tick_params(labelsize=7, length=2)
    axes.yaxis.tick_right()
    axes.grid(axis='y', linewidth=0.4, alpha=0.6)
    axes.set_box_aspect(1)
    axes.spines[['top', 'left']].set_visible(False)


def draw(courses: list[Course], value_of_data: float, path: Path) -> None:
    """Write a figure with a row per policy, a column per time, and the curves."""
    figure, grid = plt.subplots(
        len(courses), 5, figsize=(10, 2.02 * len(courses) + 0.6), squeeze=False,
        layout='constrained')
    for row, course in zip(grid, courses, strict=True):
        for axes, update in zip(row, sorted(course.places), strict=False):
            _frame(axes, course, update)
            axes.set_title(f'{update} updates', fontsize=8, pad=3)
        row[0].set_ylabel(f'{course.name}\n', fontsize=9.5, fontweight='bold', labelpad=14)
        row[0].text(-0.12, 0.5, BELOW[course.name], fontsize=7.5, color=GREY, rotation=90,
                    transform=row[0].transAxes, ha='center', va='center')
        _curves(row[4], course, value_of_data)
    grid[0, 4].legend(fontsize=7, loc='upper right', frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format=path.suffix.lstrip('.') or 'png')
    plt.close(figure)
