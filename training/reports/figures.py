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
"""Figures of a report: one panel per quantity, one colour per group."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib

matplotlib.use('Agg')


from training.pages.style import Curve, Figure, FIXED, Panel, words
from training.reports.curves import evaluated, logged
from training.reports.runs import Group


def figures(groups: Sequence[Group]) -> list[Figure]:
    """Collect the panels that have data, with one for each loss of the other policies."""
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
    found = (Figure(panel, tuple(_curves(panel, group) for group in groups)) for panel in wanted)
    return [figure for figure in found if any(figure.curves)]


def _curves(panel: Panel, group: Group) -> dict[str, Curve]:
    taken = {
        column: evaluated(group, column, panel.x) if panel.evaluations else logged(group, column)
        for column in panel.columns}
    return {column: curve for column, curve in taken.items() if curve is not None}
