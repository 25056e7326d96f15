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
"""Plan of a sweep: the Cartesian product of the values of its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import itertools
import json
from pathlib import Path
import re

import tyro

from training.common.json_file import read_object
from training.config import ConfigError, TrainConfig
from training.learning.trainer.continuation import differences, LENGTHS

# Written into a run's folder after its last update: settings and progress.
FINISHED = 'finished.json'
# Its key for the hash of the data and the corrections that the run was trained on.
DATA_HASH = 'data_sha256'
# Settings that name data: a run that resumes compares their content, a finished one is not read.
DATA = ('data', 'corrections')


@dataclass(frozen=True)
class Choice:
    """
    One value of a setting in a sweep.

    :param label: Name in tables and folder names.
    :param changes: Settings to change: by name, their command-line arguments.
    """

    label: str
    changes: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class PlannedRun:
    """
    A run of a sweep.

    :param labels: Value of each varied setting, without the seed.
    :param config: Its settings.
    """

    labels: Mapping[str, str]
    config: TrainConfig

    @property
    def group(self) -> str:
        """Name of the group of runs that differ only in their seed."""
        return ','.join(f'{name}={label}' for name, label in self.labels.items())

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        seed = f'seed={self.config.seed}'
        return re.sub(r'[^\w=.,+-]', '_', f'{self.group},{seed}' if self.group else seed)

    def finished(self, folder: Path) -> bool:
        """
        Whether the run is finished; one that is to be longer now is not.

        :param folder: Folder of the sweep.
        :raises ConfigError: If a run with other settings is finished there.
        """
        path = folder / self.name / FINISHED
        if not path.is_file():
            return False
        remedy = f'remove {path.parent}, and that run is trained again'
        given = read_object(path, ('config',), remedy)['config']
        try:
            before = TrainConfig.from_json(json.dumps(given))
        except (ValueError, TypeError) as error:
            raise ConfigError(f'{path}: {error}; {remedy}') from error
        found = differences(before, self.config)
        for name, (old, wanted) in found.items():
            if name not in LENGTHS or not 0 < old < wanted:
                raise ConfigError(
                    f'{path.parent}: was trained with {name} {old!r}, now asked for '
                    f'{wanted!r}; name another --run-folder, or remove that run')
        for name in DATA:
            old, wanted = (getattr(one, name) for one in (before, self.config))
            if _places(old) != _places(wanted):
                raise ConfigError(
                    f'{path.parent}: was trained with {name} {old!r}, now asked for {wanted!r}; '
                    'its result is not one of these data: name another --run-folder, or remove '
                    'that run')
        return not found

    def data_hash(self, folder: Path) -> str:
        """
        Return the hash of the data that a finished run was trained on; empty if it is unknown.

        :param folder: Folder of the sweep.
        """
        path = folder / self.name / FINISHED
        found = read_object(path, ('config',), '').get(DATA_HASH)
        return found if isinstance(found, str) else ''


def choices(config: TrainConfig, name: str, words: Sequence[str]) -> list[Choice]:
    """
    Parse the values of one setting.

    :param config: Settings that determine the type of this one.
    :param name: Name of the setting.
    :param words: One value each; commas separate the numbers of a setting with several numbers.
    """
    several = isinstance(getattr(config, name, None), tuple)
    return [Choice(word, {name: word.split(',') if several else [word]}) for word in words]


def environments(words: Sequence[str]) -> list[Choice]:
    """
    Parse environments, each with its data file if that is not the preset's.

    :param words: ``ENVIRONMENT`` or ``ENVIRONMENT=DATA``.
    """
    found = []
    for word in words:
        name, _, data = word.partition('=')
        found.append(Choice(name, {'environment': [name], **({'data': [data]} if data else {})}))
    return found


def changed(config: TrainConfig, changes: Mapping[str, Sequence[str]]) -> TrainConfig:
    """
    Replace settings, parsed as ``training.train`` parses its command line.

    An unknown setting or an invalid value ends the program with the reason, as there.
    """
    if not changes:
        return config
    arguments = [
        word for name, words in changes.items()
        for word in (f'--{name.replace("_", "-")}', *words)]
    return tyro.cli(
        tyro.conf.FlagConversionOff[TrainConfig], args=arguments, default=config,
        prog='python -m training.sweep')


def plan(
        base: TrainConfig, axes: Mapping[str, Sequence[Choice]],
        seeds: Sequence[int]) -> list[PlannedRun]:
    """
    List all runs: each seed for each combination of values.

    :param base: Settings that all runs share.
    :param axes: Values of each varied setting.
    :param seeds: One run each; all combinations run with the first seed first, so that an early
        stop leaves results for every group.
    :raises ConfigError: If two runs would be identical.
    """
    combined = []
    for combination in itertools.product(*axes.values()):
        changes = {
            name: words for choice in combination for name, words in choice.changes.items()}
        labels = {
            name: choice.label for name, choice in zip(axes, combination, strict=True)}
        combined.append((labels, changed(base, changes)))
    runs = [
        PlannedRun(labels, changed(config, {'seed': [str(seed)]}))
        for seed in seeds for labels, config in combined]
    seen: dict[str | TrainConfig, PlannedRun] = {}
    for run in runs:
        if run.name in seen:
            raise ConfigError(f'sweep: found {run.name} twice, expected different values')
        if run.config in seen:
            raise ConfigError(
                f'sweep: found the same settings for {seen[run.config].name} and {run.name}, '
                'expected different values')
        seen[run.name] = seen[run.config] = run
    return runs


def _places(names: str | Sequence[str]) -> list[Path]:
    """Resolve the names of data."""
    return [Path(name).resolve() for name in ([names] if isinstance(names, str) else names)]
