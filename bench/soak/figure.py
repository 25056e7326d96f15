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
"""Figure of a soak test: memory, and the longest period, with the faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

from bench.common.palette import BLUE, GREY, ORANGE
from bench.soak.verdict import attribute
from training.common.files import atomic_path


def draw(row: dict[str, Any], path: Path) -> None:
    """
    Write the figure of a soak test.

    :param row: Result of ``bench/soak``.
    :param path: Of a PNG.
    """
    found, samples = row['verdict'], row['samples']
    minutes = [sample['time'] / 60 for sample in samples]
    figure, (memory, period) = plt.subplots(
        2, 1, figsize=(8.5, 5.2), sharex=True, layout='constrained')
    windows = [(fault['begin'], fault['end']) for fault in row['faults']]
    for axes in (memory, period):
        for begin, end in windows:
            axes.axvspan(begin / 60, end / 60, color='0.88', linewidth=0)
        axes.grid(axis='y', linewidth=0.4, alpha=0.6)
        axes.spines[['top', 'right']].set_visible(False)
    resident = [sample['resident_kb'] / 1024 for sample in samples]
    memory.plot(minutes, resident, color=BLUE, linewidth=1.6)
    memory.set_ylim(0, 1.25 * max(resident))
    memory.set_ylabel('resident memory, MB')
    memory.set_title(
        f'{row["minutes"]:g} min at {row["rate"]:g} Hz, a fault every {row["interval"]:g} s '
        f'(grey): {found["slope_kb_per_hour"]:+.0f} KB an hour '
        f'({found["slope_low"]:+.0f} to {found["slope_high"]:+.0f})', fontsize=10.5, loc='left')
    last = row['rests'][-1]
    memory.text(
        0.99, 0.06, f'{last["threads"]} threads ({found["threads_rise"]:+d}), '
        f'{last["descriptors"]} descriptors ({found["descriptors_rise"]:+d})', ha='right',
        transform=memory.transAxes, color=GREY, fontsize=9)
    known = [(minute, sample['longest_period_ms'])
             for minute, sample in zip(minutes, samples, strict=True)
             if sample['longest_period_ms'] is not None]
    period.semilogy(*zip(*known, strict=True), color=BLUE, linewidth=1.2)
    period.axhline(1e3 / row['rate'], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    top = 2 * max(longest for _, longest in known)
    period.set(ylim=(0.7e3 / row['rate'], top), xlabel='minutes',
               ylabel='longest period, ms', xlim=(0, minutes[-1]))
    period.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    period.yaxis.set_major_formatter('{x:g}')
    period.yaxis.set_minor_formatter(NullFormatter())
    for is_within, marker, color in ((True, 'o', GREY), (False, 'X', ORANGE)):
        times = [time / 60 for time, missed in row['missed']
                 if bool(attribute([(time, missed)], windows)[0]) is is_within]
        period.plot(times, [top / 1.35] * len(times), marker, color=color, markersize=5,
                    clip_on=False)
    within, outside = found['missed_within_faults'], found['missed_outside_faults']
    period.set_title(
        f'{row["ticks"]:,} ticks: {within} missed within a fault (dots), {outside} outside '
        '(crosses)', fontsize=10.5, loc='left')
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format='png')
    plt.close(figure)
