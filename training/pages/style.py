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
"""Plots for HTML pages: style, learning curves, SVG and PNG output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
import io
import math
from pathlib import Path
import re
from typing import Any

import matplotlib
from matplotlib import colormaps, colors, ticker
import matplotlib.pyplot as plt
import numpy as np

from training.common.files import atomic_path


@dataclass(frozen=True)
class Curve:
    """
    Learning curve of a group of runs; NaN if unknown.

    :param x: Shape (points,), updates or environment steps, ascending.
    :param mean: Shape (points,), mean over the seeds with a value there.
    :param low: Shape (points,), lower end of the band.
    :param high: Shape (points,), upper end of the band.
    :param seeds: Shape (seeds, points), values of each run.
    :param switch: Update at which the online phase begins; None if there is none, or no other
        phase.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: np.ndarray
    switch: int | None


STYLES = '-', '--', ':', '-.'
PNG_COLUMNS = 3
# Text stays text, and black becomes the page's text colour, to fit light and dark pages.
STYLE: Any = {
    'svg.fonttype': 'none', 'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False,
    'axes.grid': True, 'grid.alpha': 0.15, 'grid.color': 'black', 'axes.linewidth': 0.6,
    'lines.linewidth': 1.6, 'legend.frameon': False, 'legend.fontsize': 8}


@dataclass(frozen=True)
class Panel:
    """
    A plot of one quantity for all groups.

    :param section: Section of the page.
    :param title: Title of the plot.
    :param columns: Columns of the log, one line style each.
    :param evaluations: Whether they are columns of ``evaluations.csv``.
    :param logarithmic: Whether the vertical axis is logarithmic.
    :param share: Whether it is a share, from 0 to 1.
    :param x: ``step``, or ``environment_steps`` for the online phase only.
    """

    section: str
    title: str
    columns: tuple[str, ...]
    evaluations: bool = False
    logarithmic: bool = False
    share: bool = False
    x: str = 'step'


@dataclass(frozen=True)
class Figure:
    """
    A panel with its data.

    :param panel: The panel.
    :param curves: For each group, its curves by column; empty if its runs have not logged them.
    """

    panel: Panel
    curves: tuple[dict[str, Curve], ...]


FIXED = (
    Panel('Success', 'Success', ('success',), evaluations=True, share=True),
    Panel('Success', 'Success in the online phase', ('success',), evaluations=True, share=True,
          x='environment_steps'),
    Panel('Success', 'Discounted return', ('discounted_return',), evaluations=True),
    Panel('Success', 'Steps per episode', ('mean_steps',), evaluations=True),
    Panel('Drift', 'Cloning force, mean square', ('cloning_force',), logarithmic=True),
    Panel('Drift', 'Ascent force, mean square', ('ascent_force',), logarithmic=True),
    Panel('Drift', 'Mean distance (unit of the bandwidths)', ('scale',)),
    Panel('Drift', 'Step of a chunk, median and 99th percentile, action units',
          ('step_p50', 'step_p99')),
    Panel('Drift', 'Effective number of positives that pull', ('pulling',)),
    Panel('Critic', 'Critic loss', ('critic_loss',), logarithmic=True),
    Panel('Critic', 'Value of candidates and of data', ('value_of_candidates', 'value_of_data')),
    Panel('Critic', 'Value of candidates minus that of data', ('value_above_data',)),
    Panel('Critic', "Value of the anchor's top K and of its pool",
          ('value_of_best', 'value_of_pool')),
    Panel('Critic', "Value of the anchor's best candidate minus that of the data's chunk",
          ('value_gap',)),
    Panel('Critic', "Share of states where the anchor's best is valued above the data's chunk",
          ('prefers_pool',), share=True),
    Panel('Critic', 'Standard deviation over the critics', ('ensemble_spread',)),
    Panel('Candidates and time', 'Distance of candidates to the data', ('distance_to_data',)),
    Panel('Candidates and time', "Spread of a state's candidates", ('candidate_spread',)),
    Panel('Candidates and time', 'Time per update, ms', ('update_ms',)),
)


def words(column: str) -> str:
    """Readable name of a column."""
    return column.replace('_', ' ').capitalize()


def palette(count: int) -> list[str]:
    """Choose distinguishable colours, as hexadecimal strings."""
    if count <= 10:
        return [colors.to_hex(colormaps['tab10'](i)) for i in range(count)]
    return [colors.to_hex(colormaps['turbo'](0.05 + 0.9 * i / (count - 1))) for i in range(count)]


def svg(figure: Figure) -> str:
    """Draw a figure as an inline ``svg`` element."""
    return drawing(figure.panel.title, partial(draw, figure=figure))


def drawing(title: str, draw_into: Callable[[Any], None]) -> str:
    """
    Draw an inline ``svg`` element.

    :param title: Title; used as a salt, so that equal drawings give equal text.
    :param draw_into: Draws into the axes that it is given.
    """
    with matplotlib.rc_context({**STYLE, 'svg.hashsalt': title}):
        canvas, axes = plt.subplots(figsize=(4, 2.5), layout='constrained')
        draw_into(axes)
        text = io.StringIO()
        canvas.savefig(text, format='svg', transparent=True, metadata={
            'Date': None, 'Creator': None, 'Format': None, 'Type': None})
        plt.close(canvas)
    drawn = text.getvalue()
    drawn = drawn[drawn.index('<svg'):]
    # Matplotlib's element ids are not unique among the figures of a page.
    drawn = re.sub(r' id="[\w.]+_\d{1,4}"', '', drawn)
    return drawn.replace('#000000', 'currentColor')


def png(shown: Sequence[Figure], names: Sequence[str], out: Path) -> None:
    """
    Draw figures into one PNG image.

    :param shown: The figures.
    :param names: Names of the groups.
    :param out: PNG file to write.
    """
    rows = math.ceil(len(shown) / PNG_COLUMNS)
    with matplotlib.rc_context(STYLE):
        canvas, axes = plt.subplots(
            rows, PNG_COLUMNS, figsize=(4.2 * PNG_COLUMNS, 2.6 * rows + 0.4),
            layout='constrained', squeeze=False)
        for axis in axes.flat[len(shown):]:
            axis.set_axis_off()
        for axis, figure in zip(axes.flat, shown, strict=False):
            draw(axis, figure)
            axis.set_title(figure.panel.title, fontsize=10)
        legend = canvas.legend(
            [plt.Line2D([], [], color=colour) for colour in palette(len(names))],
            ['.'] * len(names), loc='outside upper center', ncols=PNG_COLUMNS)
        for text, name in zip(legend.get_texts(), names, strict=True):
            # Folder names are not formulas.
            text.set_parse_math(False)
            text.set_text(name)
        with atomic_path(out) as partial:
            canvas.savefig(partial, dpi=110)
        plt.close(canvas)


def draw(axes: Any, figure: Figure) -> None:
    """Draw a figure: thick lines are means over seeds, thin lines the seeds."""
    panel = figure.panel
    # Fainter for many groups, whose bands overlap.
    shade = min(0.15, 0.5 / len(figure.curves))
    for curves, colour in zip(figure.curves, palette(len(figure.curves)), strict=True):
        for column, style in zip(panel.columns, STYLES, strict=False):
            if column in curves:
                _line(axes, curves[column], panel, color=colour, linestyle=style, shade=shade)
    for switch in {curve.switch for curves in figure.curves for curve in curves.values()} - {None}:
        axes.axvline(switch, color='black', linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            'online', (switch, 1), (3, -2), xycoords=('data', 'axes fraction'),
            textcoords='offset points', va='top', fontsize=8)
    if len(panel.columns) > 1:
        for column, style in zip(panel.columns, STYLES, strict=False):
            axes.plot([], [], color='black', linestyle=style, label=words(column))
        axes.legend()
    axes.set_xlabel('updates' if panel.x == 'step' else 'environment steps')
    axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=''))
    if panel.logarithmic:
        _logarithmic(axes)
    if panel.share:
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1))


def _line(axes: Any, curve: Curve, panel: Panel, shade: float, **style: str) -> None:
    marked = panel.evaluations or _has_lone_point(curve.mean)
    axes.plot(curve.x, curve.mean, marker='o' if marked else None, markersize=3.5, **style)
    several = len(curve.seeds) > 1
    if several or panel.share:
        axes.fill_between(
            curve.x, curve.low, curve.high, color=style['color'], alpha=shade, linewidth=0)
    if several:
        for seed in curve.seeds:
            axes.plot(
                curve.x, seed, linewidth=0.6, alpha=0.55, markersize=2,
                marker='o' if _has_lone_point(seed) else None, **style)


def _has_lone_point(values: np.ndarray) -> bool:
    """Tell whether a point has no known neighbour, so that a line would not show it."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    return bool((known[1:-1] & ~known[:-2] & ~known[2:]).any())


def _logarithmic(axes: Any) -> None:
    """Set a logarithmic vertical axis; within two decades, powers of ten are too few ticks."""
    axes.set_yscale('log')
    low, high = axes.get_ylim()
    if high < 10 * low:
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5))
    elif high < 100 * low:
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter('{x:g}')
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())
