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
"""
Cache of the statistics and description of numbered files, so that a run need not read them all.

It is valid for the files' names, sizes and modification times, and for the options of reading.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from dfp_ros.core.files.bounded_json import read_json
from dfp_ros.core.text.say import say
from dfp_ros.spec import ActionField, ObservationField
from training.common.error_line import error_line
from training.common.files import write_json
from training.data.transitions.source import DataSource
from training.data.transitions.statistics import Statistics
from training.data.transitions.stored import read_fields

# Of 1, the files were not compared: units, limits of actions and periods could differ. Of 2, the
# lengths of their episodes were not known.
VERSION = 3


@dataclass(frozen=True)
class Summary:
    """
    Common statistics and description of all files.

    :param statistics: Statistics of the observations.
    :param description: ``observation_fields``, ``action_fields`` and ``source`` of transitions.
    :param lengths: Number of steps of each file, and of its longest episode.
    """

    statistics: Statistics
    description: dict[str, Any]
    lengths: list[tuple[int, int]]


def kept(files: list[Path], source: DataSource) -> Summary | None:
    """Read the summary that was kept; None, and a word of it, where it is of no use any more."""
    path = _path(files, source)
    try:
        content = read_json(path.read_text())
        if content['of'] != state(files):
            say(f'{error_line(path)}: is outdated; reading the data files', to_errors=True)
            return None
        count, *columns = content['statistics']
        lengths = [(int(size), int(longest)) for size, longest in content['lengths']]
        if len(lengths) != len(files):
            raise ValueError(f'found the lengths of {len(lengths)} files')
        return Summary(
            Statistics(int(count), *(np.array(column, np.float64) for column in columns)), {
                'observation_fields': read_fields(
                    path, ObservationField, content['observation_fields']),
                'action_fields': read_fields(path, ActionField, content['action_fields']),
                'source': dict(content['source'])}, lengths)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(error_line(
            f'{path}: cannot be read ({error!r}); reading the data files'), to_errors=True)
        return None


def keep(files: list[Path], source: DataSource, summary: Summary, of: list[Any]) -> None:
    """
    Cache a summary, if the files' folder is writable.

    :param of: Result of :func:`state` before the files were read.
    """
    path, statistics = _path(files, source), summary.statistics
    columns = statistics.mean, statistics.deviation, statistics.low, statistics.high
    fields = {
        name: [asdict(field) for field in summary.description[name]]
        for name in ('observation_fields', 'action_fields')}
    try:
        write_json(path, {
            'of': of, 'statistics': [statistics.count, *(c.tolist() for c in columns)],
            **fields, 'source': summary.description['source'], 'lengths': summary.lengths})
    except OSError as error:
        say(error_line(
            f'{path}: cannot be written ({error}); the next start reads all files again'),
            to_errors=True)


def _path(files: list[Path], source: DataSource) -> Path:
    """Name the file: another one for another way of reading, such as for another task."""
    reading = [
        source.environment, source.success_timing, source.filter_key,
        list(source.observation_keys)]
    digest = hashlib.sha256(json.dumps(reading).encode()).hexdigest()[:12]
    return files[0].with_name(f'{files[0].stem.rpartition("-")[0]}.summary-{digest}.json')


def state(files: list[Path]) -> list[Any]:
    """Fingerprint of the files: names, sizes and modification times."""
    found = [(file.name, file.stat()) for file in files]
    return [VERSION, *([name, about.st_size, about.st_mtime_ns] for name, about in found)]
