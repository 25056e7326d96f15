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
"""Plots of a data file: histograms of episodes and actions, ranges of observations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from training.common.files import atomic_path
from training.data.inspection.cameras import draw_sheet
from training.data.inspection.facts import Dimension, Facts
from training.data.transitions.transitions import Transitions
from training.pages.style import palette, STYLE, words

BINS = 40
PNG_COLUMNS = 4
Draw = Callable[[Any], None]
Panels = dict[str, list[tuple[str, Draw]]]


def panels(data: Transitions, facts: Facts, rewarded: bool) -> Panels:
    """
    Panels to draw for a file.

    :param data: Transitions of the file.
    :param facts: Their statistics.
    :param rewarded: Whether its rewards are known.
    :return: By section, the title and the drawing function of each panel.
    """
    episodes = [('Length of an episode', _histogram(facts.lengths, 'steps', 'episodes'))]
    if rewarded:
        episodes += [
            ('Return of an episode', _histogram(facts.returns, 'return', 'episodes')),
            ('Time of solved steps in their episode',
             _histogram(facts.solved_at, 'step of the episode', 'steps'))]
    chosen: Panels = {'Episodes': episodes, 'Actions': [], 'Observations': []}
    start = 0
    for action in data.action_fields:
        run = slice(start, start := start + action.size)
        chosen['Actions'].append((words(action.name), _distributions(data.actions[:, run])))
    start = 0
    for field in data.observation_fields:
        run = slice(start, start := start + field.size)
        chosen['Observations'].append(
            (words(field.name), _ranges(facts.observation[run], field.unit)))
    if data.images:
        chosen['Pictures'] = [
            (str(frames.field), draw_sheet(frames, data)) for frames in data.images]
    return chosen


def png(chosen: Panels, out: Path) -> None:
    """
    Draw panels into one PNG image.

    :param chosen: Panels from :func:`panels`.
    :param out: PNG file to write.
    """
    drawn = [panel for section in chosen.values() for panel in section]
    rows = math.ceil(len(drawn) / PNG_COLUMNS)
    with matplotlib.rc_context(STYLE):
        canvas, axes = plt.subplots(
            rows, PNG_COLUMNS, figsize=(3.6 * PNG_COLUMNS, 2.4 * rows), layout='constrained',
            squeeze=False)
        for axis in axes.flat[len(drawn):]:
            axis.set_axis_off()
        for axis, (title, draw) in zip(axes.flat, drawn, strict=False):
            draw(axis)
            # Field names are not formulas.
            axis.set_title(title, fontsize=10, parse_math=False)
        with atomic_path(out) as partial:
            canvas.savefig(partial, dpi=100)
        plt.close(canvas)


def _histogram(values: np.ndarray, across: str, up: str) -> Draw:
    def draw(axes: Any) -> None:
        if len(values):
            # Padding, as a single value would be drawn as wide as the axis.
            low, high = float(values.min()), float(values.max())
            room = max((high - low) / 20, abs(high) / 50, 0.5)
            axes.hist(
                values, bins=BINS, range=(low - room, high + room), color=palette(1)[0], alpha=0.8)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
    return draw


def _distributions(values: np.ndarray) -> Draw:
    def draw(axes: Any) -> None:
        edges = np.linspace(-1.05, 1.05, BINS + 1)
        for i, colour in enumerate(palette(values.shape[1])):
            shares = np.histogram(values[:, i], edges)[0] / len(values)
            axes.stairs(shares, edges, color=colour, label=str(i), linewidth=1.4)
        axes.set_yscale('symlog', linthresh=0.01)
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.01, 0.1, 1], ['0', '1 %', '10 %', '100 %'])
        axes.set_yticks([], minor=True)
        axes.set_xlabel('action')
        axes.set_ylabel('share of steps')
        if values.shape[1] > 1:
            axes.legend(ncols=values.shape[1])
    return draw


def _ranges(dimensions: Sequence[Dimension], unit: str) -> Draw:
    def draw(axes: Any) -> None:
        colour = palette(1)[0]
        for i, one in enumerate(dimensions):
            axes.vlines(i, one.low, one.high, color=colour, linewidth=1, alpha=0.7)
            axes.vlines(
                i, one.mean - one.deviation, one.mean + one.deviation, color=colour, linewidth=6,
                alpha=0.35)
            axes.plot(
                i, one.mean, 'o', color=colour, markersize=4,
                fillstyle='none' if one.constant else 'full')
        axes.set_xlim(-0.6, len(dimensions) - 0.4)
        axes.set_xticks(range(len(dimensions)))
        axes.set_ylabel(unit if unit != '1' else '')
    return draw
