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
"""Figures of a report: a panel a quantity, a colour a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import io
import math
from pathlib import Path
import re
from typing import Any

import matplotlib

matplotlib.use('Agg')

from matplotlib import colormaps, colors, ticker
import matplotlib.pyplot as plt

from training.provenance import atomic_path
from training.report_curves import Curve, evaluated, logged
from training.report_runs import Group

STYLES = '-', '--', ':', '-.'
PNG_COLUMNS = 3
# Text stays text, and black takes the page's colour, so that the figure is at home on light and
# on dark.
STYLE: Any = {
    'svg.fonttype': 'none', 'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False,
    'axes.grid': True, 'grid.alpha': 0.15, 'grid.color': 'black', 'axes.linewidth': 0.6,
    'lines.linewidth': 1.6, 'legend.frameon': False, 'legend.fontsize': 8}


@dataclass(frozen=True)
class Panel:
    """
    A quantity of all groups over each other.

    :param section: Heading that it stands under.
    :param title: What it shows.
    :param columns: Columns of the log, a line style each.
    :param evaluations: Whether they are columns of ``evaluations.csv``.
    :param logarithmic: Whether the ordinate is.
    :param share: Whether it is a share, from 0 to 1.
    :param x: ``step``, or ``environment_steps`` for the online phase alone.
    """

    section: str
    title: str
    columns: tuple[str, ...]
    evaluations: bool = False
    logarithmic: bool = False
    share: bool = False
    x: str = 'step'

    def curve(self, group: Group, column: str) -> Curve | None:
        """Take a group's curve; None where it has no such column."""
        return evaluated(group, column, self.x) if self.evaluations else logged(group, column)

    def shown(self, groups: Sequence[Group]) -> list[str]:
        """Name the groups that have any of its columns."""
        return [group.name for group in groups
                if any(self.curve(group, column) for column in self.columns)]


FIXED = (
    Panel('Success', 'Success', ('success',), evaluations=True, share=True),
    Panel('Success', 'Success in the online phase', ('success',), evaluations=True, share=True,
          x='environment_steps'),
    Panel('Success', 'Discounted return', ('discounted_return',), evaluations=True),
    Panel('Success', 'Steps an episode', ('mean_steps',), evaluations=True),
    Panel('Drift', 'Cloning force, mean square', ('cloning_force',), logarithmic=True),
    Panel('Drift', 'Ascent force, mean square', ('ascent_force',), logarithmic=True),
    Panel('Drift', 'Mean distance, the unit of the bandwidths', ('scale',)),
    Panel('Critic', 'Critic loss', ('critic_loss',), logarithmic=True),
    Panel('Critic', 'Value of candidates, and of data', ('value_of_candidates', 'value_of_data')),
    Panel('Critic', 'Value of candidates less that of data', ('value_above_data',)),
    Panel('Critic', "Value of the anchor's best and of its pool",
          ('value_of_best', 'value_of_pool')),
    Panel('Candidates and time', 'Distance of candidates to the data', ('distance_to_data',)),
    Panel('Candidates and time', "Spread of a state's candidates", ('candidate_spread',)),
    Panel('Candidates and time', 'Time an update, in ms', ('update_ms',)),
)


def panels(groups: Sequence[Group]) -> list[Panel]:
    """List the panels that there is something to draw in, with one for each policy's losses."""
    fixed = {column for panel in FIXED for column in panel.columns}
    losses = sorted({
        column for group in groups for run in group.runs for row in run.updates for column in row
        if column.endswith('_loss') and column not in fixed})
    place = next(i for i, panel in enumerate(FIXED) if panel.section == 'Critic')
    wanted = (
        *FIXED[:place],
        *(Panel('Losses of the other policies', words(column), (column,), logarithmic=True)
          for column in losses),
        *FIXED[place:])
    return [panel for panel in wanted if panel.shown(groups)]


def words(column: str) -> str:
    """Name a column for people."""
    return column.replace('_', ' ').capitalize()


def palette(groups: Sequence[Group]) -> list[str]:
    """Choose a colour for each group, as hexadecimal digits."""
    if len(groups) <= 10:
        return [colors.to_hex(colormaps['tab10'](i)) for i in range(len(groups))]
    return [colors.to_hex(colormaps['turbo'](0.05 + 0.9 * i / (len(groups) - 1)))
            for i in range(len(groups))]


def svg(panel: Panel, groups: Sequence[Group]) -> str:
    """Draw a panel as an ``svg`` element, to stand inside a page."""
    with matplotlib.rc_context({**STYLE, 'svg.hashsalt': panel.title}):
        figure, axes = plt.subplots(figsize=(4, 2.5), layout='constrained')
        draw(axes, panel, groups)
        text = io.StringIO()
        figure.savefig(text, format='svg', transparent=True, metadata={
            'Date': None, 'Creator': None, 'Format': None, 'Type': None})
        plt.close(figure)
    drawn = text.getvalue()
    drawn = drawn[drawn.index('<svg'):]
    # The names that matplotlib gives to its parts are the same in each figure of a page.
    drawn = re.sub(r' id="[\w.]+_\d{1,4}"', '', drawn)
    return drawn.replace('#000000', 'currentColor')


def png(groups: Sequence[Group], out: Path) -> None:
    """Draw all panels into one picture."""
    shown = panels(groups)
    rows = math.ceil(len(shown) / PNG_COLUMNS)
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, PNG_COLUMNS, figsize=(4.2 * PNG_COLUMNS, 2.6 * rows + 0.4),
            layout='constrained', squeeze=False)
        for axis in axes.flat[len(shown):]:
            axis.set_axis_off()
        for axis, panel in zip(axes.flat, shown, strict=False):
            draw(axis, panel, groups)
            axis.set_title(panel.title, fontsize=10)
        legend = figure.legend(
            [plt.Line2D([], [], color=colour) for colour in palette(groups)],
            ['.'] * len(groups), loc='outside upper center', ncols=PNG_COLUMNS)
        for text, group in zip(legend.get_texts(), groups, strict=True):
            # A folder's name is no formula.
            text.set_parse_math(False)
            text.set_text(group.name)
        with atomic_path(out) as partial:
            figure.savefig(partial, dpi=110)
        plt.close(figure)


def draw(axes: Any, panel: Panel, groups: Sequence[Group]) -> None:
    """Draw a panel: thin lines are seeds, thick ones their mean."""
    for group, colour in zip(groups, palette(groups), strict=True):
        for column, style in zip(panel.columns, STYLES, strict=False):
            curve = panel.curve(group, column)
            if curve is not None:
                _line(axes, curve, colour, style, panel)
    for switch in {
            run.config.steps for group in groups for run in group.runs if run.config.online_steps}:
        if panel.x == 'step':
            axes.axvline(switch, color='black', linewidth=0.8, linestyle=(0, (1, 2)))
            axes.annotate(
                'online', (switch, 1), (3, -2), xycoords=('data', 'axes fraction'),
                textcoords='offset points', va='top', fontsize=8)
    if len(panel.columns) > 1:
        for column, style in zip(panel.columns, STYLES, strict=False):
            axes.plot([], [], color='black', linestyle=style, label=words(column))
        axes.legend()
    axes.set_xlabel('environment steps' if panel.x != 'step' else 'updates')
    axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=''))
    if panel.logarithmic:
        _logarithmic(axes)
    if panel.share:
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1))


def _line(axes: Any, curve: Curve, colour: str, style: str, panel: Panel) -> None:
    several = len(curve.seeds) > 1
    marker = 'o' if panel.evaluations else None
    axes.plot(
        curve.x, curve.mean, color=colour, linestyle=style, marker=marker, markersize=3.5)
    if several or panel.share:
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
    if several:
        for seed in curve.seeds:
            axes.plot(
                curve.x, seed, color=colour, linestyle=style, linewidth=0.6, alpha=0.55)


def _logarithmic(axes: Any) -> None:
    """Scale the ordinate; within a decade, powers of ten would mark next to nothing."""
    axes.set_yscale('log')
    low, high = axes.get_ylim()
    if high < 10 * low:
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.yaxis.set_major_formatter('{x:g}')
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())
