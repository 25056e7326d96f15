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
"""HTML page of a report: tables and figures in one self-contained file without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from training.learning.trainer.diagnosis import diagnose
from training.pages.style import Figure, palette, svg
from training.pages.templates import template
from training.reports.curves import last_evaluations, success_interval
from training.reports.runs import compare, Group, Run

TEMPLATE = 'report.html.jinja'
NOTES = {
    'Success': "The band is the 95 % confidence interval: the union of Student's interval over "
               "the seeds and Wilson's over their episodes.",
    'Drift': 'The raw force. The loss of the drifting field is constant by construction, and is '
             'not plotted.',
    'Critic': 'Values as estimated by the critics.',
    'Candidates and time': 'Chunks sampled from the policy at states of the data, in action '
                           'units. The time per update is the mean since the previous row, '
                           'without evaluations, checkpoints and environment steps.',
}


def render(title: str, groups: Sequence[Group], figures: Sequence[Figure]) -> str:
    """
    Render the page.

    :param title: Its heading.
    :param groups: Groups to compare.
    :param figures: Figures of these groups.
    :return: HTML; all text from the runs is escaped.
    """
    sections: dict[str, list[dict[str, Any]]] = {}
    for figure in figures:
        sections.setdefault(figure.panel.section, []).append({
            'title': figure.panel.title, 'svg': svg(figure),
            'shown': [group.name for group, curves in zip(groups, figure.curves, strict=True)
                      if curves]})
    differing, shared = compare(groups)
    rows = [{'name': group.name, 'colour': colour, **summary(group)}
            for group, colour in zip(groups, palette(len(groups)), strict=True)]
    return template(Path(__file__).parent, TEMPLATE).render(
        title=title, notes=NOTES, sections=sections, differing=differing, shared=shared,
        groups=rows, online=any(row['environment_steps'] != [0] for row in rows),
        returns=any(row['return'] is not None for row in rows),
        warnings=[(run.name, text) for group in groups for run in group.runs
                  for text in diagnose(run.config, run.updates).values()],
        runs=[_origin(run) for group in groups for run in group.runs])


def summary(group: Group) -> dict[str, Any]:
    """Values of a group's row in the table; None if its runs have not logged them."""
    last = last_evaluations(group)
    success = [row['success'] for row in last if 'success' in row]
    returns = [row['discounted_return'] for row in last if 'discounted_return' in row]
    counters = [run.last for run in group.runs if run.last]
    times = [row['update_ms'] for run in group.runs for row in run.updates if 'update_ms' in row]
    return {
        'policy': group.runs[0].config.policy,
        'seeds': group.seeds,
        'updates': sorted({int(run.last.get('step', 0)) for run in group.runs}),
        'planned': group.runs[0].config.updates,
        'environment_steps': sorted({int(run.last.get('environment_steps', 0))
                                     for run in group.runs}),
        'success': 100 * fmean(success) if success else None,
        'interval': [100 * end for end in success_interval(last)] if success else None,
        'each': [100 * share for share in success],
        'return': fmean(returns) if returns else None,
        'wall_minutes': _minutes(counters, 'wall_seconds'),
        'cpu_minutes': _minutes(counters, 'cpu_seconds'),
        'update_ms': median(times) if times else None}


def _minutes(rows: Sequence[dict[str, float]], column: str) -> float | None:
    """Average a counter in seconds over runs; returns minutes."""
    found = [row[column] / 60 for row in rows if column in row]
    return fmean(found) if found else None


def _origin(run: Run) -> dict[str, Any]:
    """Provenance of a run: data, commit, versions."""
    data = run.provenance.get('data', {})
    return {
        'name': run.name, 'data': run.config.data, 'sha256': data.get('sha256'),
        'commit': run.provenance.get('commit'),
        'versions': run.provenance.get('versions', {})}
