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
"""Inspection report of a data file, for the terminal and as an HTML page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dfp_ros.core.text.printable import listed
from training.common.error_line import error_line
from training.config import ConfigError, NO_ENVIRONMENT
from training.data.datasets.file_kind import environment_of, has_own_rewards, is_ogbench
from training.data.datasets.load import load, require_used
from training.data.inspection.facts import Dimension, Facts, gather, summary
from training.data.inspection.figures import panels
from training.data.inspection.verdict import Compatibility, judge
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError, Transitions
from training.evaluation.environment_fit import choose_environment, misfits
from training.pages.style import drawing
from training.pages.templates import template
from training.presets import PRESETS

TEMPLATE = 'inspect.html.jinja'
ANSWERS = {'yes': 'can train', 'but': 'can train, but', 'no': 'cannot train'}
COLUMNS = ('low', 'mean', 'high', 'deviation')


@dataclass(frozen=True)
class Inspected:
    """
    Results of inspecting a data file.

    :param path: Path of the file.
    :param environment: Environment of its rewards; empty if unknown.
    :param data: Its transitions.
    :param facts: Their statistics.
    :param verdicts: Compatibility with each preset.
    """

    path: Path
    environment: str
    data: Transitions
    facts: Facts
    verdicts: tuple[Compatibility, ...]

    @property
    def rewarded(self) -> bool:
        """Tell whether its rewards are known."""
        return bool(self.environment) and _has_rewards(self.data)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Summary of the contents, a label and a text per row."""
        if not _has_rewards(self.data):
            known = [('rewards', 'none in the data: for cloning only')]
        elif self.environment == NO_ENVIRONMENT:
            known = [('environment', 'none needed, the file contains rewards')]
        elif self.rewarded:
            known = [('environment', self.environment)]
        else:
            known = [('rewards', 'cannot be computed: no environment is known; name one with '
                                 '--environment')]
        dropped = [
            ('dropped before', ', '.join(f'{why}: {count}' for why, count in counts.items()))
            for counts in [self.data.source.get('dropped')] if counts]
        left_out = [
            ('left out', listed(names)) for names in [self.data.source.get('features_left_out')]
            if names]
        return [*known, *summary(self.facts, self.rewarded), *dropped, *left_out]

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Provenance of the data."""
        return [(key, str(value)) for key, value in self.data.source.items()]


def inspect(
        path: Path, environment: str | None = None,
        presets: tuple[str, ...] = tuple(PRESETS), keys: tuple[str, ...] = ()) -> Inspected:
    """
    Inspect a data file.

    :param path: Of any format that :func:`training.data.datasets.load.load` reads.
    :param environment: Environment of its rewards; None to derive it from the file or its name.
    :param presets: Names of the presets to check.
    :param keys: Parts of the observation of a Robomimic file or a LeRobot dataset; its usual ones
        if empty.
    :raises DataError: If it cannot be read.
    """
    known = environment_of(path) if environment is None else environment
    data = load(DataSource(path, known, observation_keys=keys)) if known else _unrewarded(path)
    require_used(DataSource(path, known, observation_keys=keys), data.source)
    facts = gather(data)
    read = {known: (data, facts)}
    verdicts = []
    for preset in presets:
        config = replace(PRESETS[preset][1], data=str(path))
        if keys:
            config = replace(config, observation_keys=keys)
        if environment is not None:
            try:
                config = replace(config, environment=environment)
            except ConfigError as error:
                verdicts.append(Compatibility(preset, 'no', (str(error),)))
                continue
        else:
            try:
                config, _ = choose_environment(config)
            except ConfigError as error:
                verdicts.append(Compatibility(preset, 'no', (str(error),)))
                continue
        # A reader may refuse an environment, or compute other rewards for another task of its
        # scene.
        if config.environment not in read and not has_own_rewards(path) and not (
                is_ogbench(path) and any(misfits(config.environment, data))):
            try:
                other = load(DataSource(path, config.environment, observation_keys=keys))
            except DataError as error:
                reason = str(error).removeprefix(f'{path}: ')
                verdicts.append(Compatibility(preset, 'no', (reason,)))
                continue
            read[config.environment] = other, gather(other)
        its = config.environment if config.environment in read else known
        verdicts.append(
            judge(preset, config, *read[its], bool(its) and _has_rewards(read[its][0])))
    return Inspected(path, known, data, facts, tuple(verdicts))


def _has_rewards(data: Transitions) -> bool:
    """Tell whether the data have rewards, as those of somebody else may not."""
    return not data.source.get('unrewarded')


def _unrewarded(path: Path) -> Transitions:
    """Read an OGBench file of an unknown scene."""
    from training.data.formats.ogbench import reader as ogbench
    return ogbench.load_unrewarded(path)


def numbers(dimension: Dimension) -> list[str]:
    """Format a dimension as table cells: name, unit, :data:`COLUMNS`, remark."""
    return [
        dimension.name, dimension.unit,
        *(f'{getattr(dimension, column):.4g}' for column in COLUMNS), dimension.remark]


def terminal(found: Inspected) -> str:
    """Format the results for the terminal."""
    lines = [error_line(found.path), *_aligned([['', *row] for row in found.rows]), '']
    cells = [['', 'dimension', 'unit', *COLUMNS, '']]
    cells += [
        ['', *numbers(one)] for one in (*found.facts.observation, *found.facts.action)]
    lines += [*_aligned(cells, right=range(3, 7)), '']
    for verdict in found.verdicts:
        reasons = f': {"; ".join(verdict.reasons)}' if verdict.reasons else ''
        lines.append(f'  {verdict.preset:22}  {ANSWERS[verdict.answer]}{reasons}')
    return '\n'.join(lines)


def _aligned(cells: list[list[str]], right: Any = ()) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        '  '.join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in cells]


def page(all_found: list[Inspected]) -> str:
    """Render the HTML page."""
    files = [
        {
            'name': found.path.name, 'rows': found.rows, 'origin': found.origin,
            'verdicts': found.verdicts,
            'dimensions': [
                numbers(one) for one in (*found.facts.observation, *found.facts.action)],
            'sections': {
                section: [{'title': title, 'svg': drawing(title, draw)} for title, draw in drawn]
                for section, drawn in panels(found.data, found.facts, found.rewarded).items()}}
        for found in all_found]
    return template(Path(__file__).parent, TEMPLATE).render(
        files=files, columns=COLUMNS, answers=ANSWERS)
