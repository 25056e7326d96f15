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
"""Figures of the performance page, from the results of the benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np

from bench.common.palette import BLUE, GREEN, GREY, ORANGE, PINK, SKY, YELLOW
from bench.page.latency import evaluations, policy_name
from bench.page.rows import find, Row
from bench.page.tables import busy
from bench.soak import figure as soak_figure
from training.common.files import atomic_path

_LOOPS = {
    'node': ('policy node', BLUE, '-'), 'timer': ('bare rclpy timer', ORANGE, '--'),
    'sleep': ('clock_nanosleep', GREY, ':')}
_LOADS = ('none', 'one core busy', 'both cores busy', 'memory', 'swaps', 'images')
_CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, GREY, 'black')
# The flow policies are many and similar; the page shows them as bars.
_UNDRAWN = ('flow-1', 'flow-5', 'flow-100')
_STYLES = tuple(zip(_CYCLE, ('-', '--', '-.', ':') * 2, strict=True))


@contextmanager
def _picture(path: Path, width: float, height: float, columns: int = 1) -> Iterator[Any]:
    """Yield axes, and save the figure afterwards."""
    figure, axes = plt.subplots(1, columns, figsize=(width, height), layout='constrained')
    for each in np.atleast_1d(axes):
        each.spines[['top', 'right']].set_visible(False)
        each.grid(linewidth=0.4, alpha=0.6)
        each.set_axisbelow(True)
    yield axes
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format='png')
    plt.close(figure)


def _tails(
        axes: Any, curves: Sequence[tuple[str, str, str, Row]], what: str,
        least: float = 1) -> None:
    """Draw tail distributions on logarithmic axes, from a given time in us."""
    fewest = 1.0
    for label, color, line, found in curves:
        fractions, values = np.array(found['tail']).T
        fewest = min(fewest, fractions[-1])
        axes.loglog(values.clip(least), fractions, line, color=color, linewidth=1.7, label=label)
    axes.set(xlabel=what, ylim=(fewest / 1.5, 1.3))
    for fraction, name in ((0.5, 'p50'), (0.01, 'p99'), (0.001, 'p99.9')):
        if fraction > fewest:
            axes.axhline(fraction, color='0.75', linewidth=0.8, zorder=0)
            axes.text(1.005, fraction, name, transform=axes.get_yaxis_transform(),
                      va='center', fontsize=8, color=GREY)
    axes.xaxis.set_major_formatter('{x:g}')
    axes.legend(fontsize=8.5, frameon=False, loc='upper left', bbox_to_anchor=(-0.03, -0.14),
                ncols=1 + (len(curves) > 3))


def draw_latency(rows: Sequence[Row], path: Path) -> None:
    """Draw the tails of inference: back to back, and at the control rate."""
    tight = [row for row in rows if row['part'] == 'candidates' and row['policy'] == 'paper'
             and row['runtime'] == 'onnxruntime']
    paced = [row for row in rows if row['part'] == 'paced' and row['runtime'] != 'products'
             and row['policy'] not in _UNDRAWN]
    panels = [
        (title, here) for title, here in (
            ("paper's size, back to back", tight),
            (f'at {paced[0]["rate"]:g} Hz' if paced else '', paced)) if here]
    with _picture(path, 9.5, 4.6, max(1, len(panels))) as axes:
        for each, (title, here) in zip(np.atleast_1d(axes), panels, strict=True):
            _tails(each, [(
                ('' if here is tight else f'{row["policy"]}, ')
                + f'{row["candidates"]} candidate' + 's' * (row['candidates'] > 1)
                + row['runtime'].replace('onnxruntime', '').replace('torch', ', torch'),
                color, line, row['inference'])
                for row, (color, line) in zip(here, _STYLES[:len(here)], strict=True)],
                'inference time, us', 10)
            each.set_title(title, fontsize=10.5, loc='left')
        np.atleast_1d(axes)[0].set_ylabel('fraction above')


def draw_runtimes(rows: Sequence[Row], path: Path) -> None:
    """Compare runtimes by the number of candidates."""
    here = [row for row in rows if row['part'] == 'runtimes']
    names = dict(zip(dict.fromkeys(row['runtime'] for row in here), _CYCLE, strict=False))
    counts = list(dict.fromkeys(row['candidates'] for row in here))
    with _picture(path, 9.5, 1.1 + 1.15 * len(counts)) as axes:
        _ranges(axes, [
            (f'{count} candidate' + 's' * (count > 1),
             [(names[row['runtime']], row, row['inference']) for row in here
              if row['candidates'] == count]) for count in counts])
        axes.set_xlabel('inference time, back to back, us: from p50 to p99.9 (dot)')
        _legend(axes, list(names.items()))


def draw_steps(rows: Sequence[Row], path: Path) -> None:
    """Compare the number of evaluations by inference time: bars of p50, lines to p99."""
    shown = evaluations(rows)
    first = find(shown, policy='paper') or shown[0]
    with _picture(path, 8.5, 0.9 + 0.42 * len(shown)) as axes:
        for place, row in enumerate(shown):
            found = row['inference']
            axes.barh(place, found['p50_us'], 0.62, color=BLUE if row is first else SKY)
            axes.plot([found['p50_us'], found['p99_us']], [place] * 2, color=GREY, linewidth=1.4)
            ratio = found['p50_us'] / first['inference']['p50_us']
            times = '' if row is first else f', {ratio:.1f} times'
            axes.annotate(
                f'{found["p50_us"]:,.0f} us{times}',
                (max(found['p50_us'], found['p99_us']), place), (6, 0),
                textcoords='offset points', va='center', fontsize=9)
        axes.set(yticks=range(len(shown)), ylim=(len(shown) - 0.5, -0.5),
                 xlabel='inference time with one candidate, us: p50 (bar) and p99 (line)',
                 xlim=(0, 1.3 * max(row['inference']['p99_us'] for row in shown)))
        axes.set_yticklabels([policy_name(row) for row in shown])
        axes.grid(visible=False, axis='y')
        axes.xaxis.set_major_formatter('{x:,g}')


def draw_loop(rows: Sequence[Row], path: Path) -> None:
    """Draw the tails of the period's error and of the wake-up, without load."""
    rates = [rate for rate in (200, 1000) if find(rows, kind='node', rate=rate, load='none')]
    with _picture(path, 9.5, 4.6, len(rates)) as axes:
        for each, rate in zip(np.atleast_1d(axes), rates, strict=True):
            _tails(each, [
                (f'{name}: {row["missed"]} of {row["ticks"]:,} missed', color, line,
                 row['period_error']) for kind, (name, color, line) in _LOOPS.items()
                if (row := _unloaded(rows, kind, rate))], 'error of the period, us')
            each.axvline(1e6 / rate, color=GREY, linewidth=0.8)
            each.text(1e6 / rate, 0.99, 'a period ', transform=each.get_xaxis_transform(),
                      fontsize=8, color=GREY, rotation=90, ha='right', va='top')
            each.set_title(f'{rate:,} Hz, no load', fontsize=10.5, loc='left')
        np.atleast_1d(axes)[0].set_ylabel('fraction above')


def _unloaded(rows: Sequence[Row], kind: str, rate: float) -> Row | None:
    return find(rows, kind=kind, rate=rate, load='none', fifo=False, trigger='timer')


def draw_period(rows: Sequence[Row], path: Path) -> None:
    """Draw the histogram of the period, without load."""
    rates = [rate for rate in (200, 1000) if find(rows, kind='node', rate=rate, load='none')]
    with _picture(path, 9.5, 3.4, len(rates)) as axes:
        for each, rate in zip(np.atleast_1d(axes), rates, strict=True):
            for kind, (name, color, line) in _LOOPS.items():
                row = _unloaded(rows, kind, rate)
                if row is not None:
                    edges, counts = (
                        np.array(row['period_histogram'][key]) for key in ('edges_us', 'counts'))
                    each.stairs(counts / counts.sum(), edges, color=color, linestyle=line,
                                linewidth=1.5, label=name)
            each.set(yscale='log', xlabel='period less its nominal value, us')
            each.set_title(f'{rate:,} Hz, no load; the outer bins hold the rest', fontsize=10.5,
                           loc='left')
            each.legend(fontsize=8.5, frameon=False)
        np.atleast_1d(axes)[0].set_ylabel('fraction of the ticks')


def _ranges(axes: Any, groups: Sequence[tuple[str, Sequence[tuple[str, Row, Row]]]]) -> None:
    """
    Draw distributions in groups, each a line from p50 to p99.9, which the dot marks.

    :param groups: Names, and for each of their distributions: colour, row, distribution.
    """
    for place, (_, members) in enumerate(groups):
        for number, (color, row, found) in enumerate(members):
            height = place + min(0.2, 0.8 / len(members)) * (number - (len(members) - 1) / 2)
            axes.plot([found['p50_us'], found['p99.9_us']], [height] * 2, color=color,
                      linewidth=1.6, alpha=0.55)
            axes.plot(found['p99.9_us'], height, 'o', color=color, markersize=5)
            if row.get('missed'):
                share = 100 * row['missed'] / (row['ticks'] + row['missed'])
                axes.annotate(f'{share:.2g} % missed', (found['p99.9_us'], height), (7, 0),
                              textcoords='offset points', va='center', fontsize=8, color=color)
    axes.set(xscale='log', yticks=range(len(groups)), ylim=(len(groups) - 0.5, -0.5))
    axes.set_yticklabels([name for name, _ in groups])
    axes.margins(x=0.14)
    axes.xaxis.set_major_formatter('{x:g}')


def _legend(axes: Any, entries: Sequence[tuple[str, str]]) -> None:
    """Draw the legend of the colours above everything."""
    handles = [plt.Line2D([], [], color=color, marker='o', label=name) for name, color in entries]
    axes.figure.legend(handles=handles, fontsize=8.5, frameon=False, ncols=min(4, len(entries)),
                       loc='outside upper center')


def draw_load(rows: Sequence[Row], path: Path) -> None:
    """Compare loads at 200 Hz: the period's error of the three loops."""
    groups = []
    for fifo in (False, True):
        for load in _LOADS:
            found = [
                (color, row, row['period_error']) for kind, (_, color, _) in _LOOPS.items()
                if (row := find(rows, kind=kind, rate=200, load=load, fifo=fifo,
                                trigger='timer'))]
            if found:
                name = 'no load' if load == 'none' else load
                groups.append((name + ', SCHED_FIFO' * fifo, found))
    with _picture(path, 9.5, 0.9 + 0.55 * len(groups)) as axes:
        _ranges(axes, groups)
        axes.set_xlabel('error of the period at 200 Hz, us: from p50 to p99.9 (dot)')
        axes.axvline(5000, color=GREY, linewidth=0.8)
        axes.text(5000, -0.45, ' a period', fontsize=8, color=GREY, va='top')
        _legend(axes, [(name, color) for name, color, _ in _LOOPS.values()])


def draw_wakeup(rows: Sequence[Row], path: Path) -> None:
    """Compare ways of waking up, with the smallest timer slack."""
    rates = list(dict.fromkeys(row['rate'] for row in rows))
    ways = dict(zip(dict.fromkeys(row['way'] for row in rows), _CYCLE, strict=False))
    with _picture(path, 9.5, 3.9, len(rates)) as axes:
        for each, rate in zip(np.atleast_1d(axes), rates, strict=True):
            here = [row for row in rows if row['rate'] == rate and row['slack'] == 1]
            _ranges(each, [
                (name.replace(', ', ',\n'), [(ways[row['way']], row, row['late']) for row in here
                                             if busy(row) == name])
                for name in dict.fromkeys(busy(row) for row in here)])
            each.set_title(f'{rate:,} Hz', fontsize=10.5, loc='left')
            each.set_xlabel('late, us: from p50 to p99.9 (dot)')
            if each is not np.atleast_1d(axes)[0]:
                each.set_yticklabels([])
        _legend(each, list(ways.items()))


@dataclass(frozen=True)
class Figure:
    """
    Figure of the page.

    :param section: Section of the page.
    :param source: Benchmark with its data.
    :param name: File name without ``performance-`` and ``.png``.
    :param words: Caption.
    :param draw: Draws rows to a file.
    """

    section: str
    source: str
    name: str
    words: str
    draw: Callable[[Sequence[Row], Path], None]

    @property
    def file(self) -> str:
        """Name of the file."""
        return f'performance-{self.name}.png'


FIGURES = (
    Figure('latency', 'latency', 'latency', 'Tails of inference', draw_latency),
    Figure('latency', 'latency', 'runtimes', 'Runtimes compared', draw_runtimes),
    Figure('steps', 'latency', 'steps', 'One step against steps of an ODE', draw_steps),
    Figure('loop', 'loop', 'loop', "Tails of the period's error", draw_loop),
    Figure('loop', 'loop', 'period', 'Histogram of the period', draw_period),
    Figure('loop', 'loop', 'load', 'Loads compared', draw_load),
    Figure('wakeup', 'wakeup', 'wakeup', 'Ways of waking up compared', draw_wakeup),
    Figure('soak', 'soak', 'soak', 'Memory and periods during the soak',
           lambda rows, path: soak_figure.draw(rows[0], path)))
