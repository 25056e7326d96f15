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
Training data of a run: one file, or numbered files (shards), one of which is in memory.

OGBench's data sets of 100 million steps are 100 such files. The file in memory is determined by
the number of updates alone, so a resumed run continues with the same one. The policy specification
and the normaliser describe all files: one pass reads them all before the first update, and its
results are cached beside them for the next run.

The transitions of at most two files are in memory: a file is freed before the next is read, and a
reader needs at most one and a half times the size of its result.
"""

from __future__ import annotations

from dataclasses import replace
import hashlib
from pathlib import Path
import re
from typing import Any

import numpy as np
from tqdm import tqdm

from dfp_ros.core.text.printable import listed
from dfp_ros.spec_images import ImageField
from training.config import TrainConfig
from training.data.datasets.alike import joined, require_alike
from training.data.datasets.load import load_file, locate, require_readable, require_used
from training.data.datasets.summary import keep, kept, state, Summary
from training.data.formats.lerobot.layout import is_dataset
from training.data.transitions.errors import permitted
from training.data.transitions.frames import require_same
from training.data.transitions.source import DataSource
from training.data.transitions.statistics import measure
from training.data.transitions.transitions import DataError, Transitions

NUMBER = re.compile(r'.+-\d{3,}')


class Data:
    """
    The training data of a run, one file at a time.

    :param config: ``data`` names a file, a folder of numbered files, or their common name without
        number.
    :param rewarded: Whether rewards are wanted; see :class:`DataSource`.
    :param is_new: Whether parts that cannot be chosen are refused; an earlier run, which read the
        whole file all the same, goes on and is exported.
    :raises DataError: If there is no file, or one cannot be read or has other fields; or if none
        of several has an episode as long as a chunk.

    :ivar longest: Number of transitions of the longest file that is learned from.
    :ivar notes: What the user is to know of the files, a line each.
    """

    def __init__(
            self, config: TrainConfig, rewarded: bool = True, is_new: bool = True) -> None:
        self._is_new = is_new
        self._config, self._source = config, DataSource.of_run(config, rewarded)
        self.files = files(self._source.path)
        self.notes: list[str] = []
        # Indices of the files that are learned from.
        self._usable = list(range(len(self.files)))
        self._orders: dict[int, np.ndarray] = {}
        self._whole: Transitions | None = None
        # Pictures of the first file that was read, which the others have to have, too.
        self._images: tuple[ImageField, ...] | None = None
        several = len(self.files) > 1
        summary = kept(self.files, self._source) if several else None
        if summary:
            self.statistics, self._description = summary.statistics, summary.description
            self._require_used()
            self._leave_out(summary.lengths)
            return
        before = state(self.files) if several else []
        first = self._read(0)
        self._period = first.period
        self.statistics, self._description = measure(first.observations), _description(first)
        self._require_used()
        if several:
            lengths = [_lengths(first)]
            del first
            self._summarise(lengths)
            if rewarded:
                keep(self.files, self._source, Summary(
                    self.statistics, self._description, lengths), before)
            self._leave_out(lengths)
        else:
            self._whole, self.longest = first, len(first)

    def index(self, step: int) -> int:
        """Index of the file for the update after ``step`` updates."""
        if len(self.files) == 1:
            return 0
        # An online phase keeps the file that the offline phase ended with.
        step = max(0, min(step, self._config.steps - 1))
        turn, place = divmod(step // self._config.swap_every, len(self._usable))
        if turn not in self._orders:
            generator = np.random.default_rng((self._config.seed, turn))
            self._orders = {turn: generator.permutation(len(self._usable))}
        return self._usable[self._orders[turn][place]]

    def load(self, step: int) -> Transitions:
        """Load the file for the update after ``step`` updates, as described by all files."""
        read, self._whole = self._whole or self._read(self.index(step)), None
        if self._images is None:
            self._images = tuple(frames.field for frames in read.images)
        require_same(self.files[self.index(step)], read.images, self._images)
        return replace(read, **self._description)

    def _require_used(self) -> None:
        if self._is_new:
            require_used(
                replace(self._source, path=self.files[0]), self._description['source'])

    def _read(self, index: int) -> Transitions:
        return load_file(replace(self._source, path=self.files[index]))

    def _leave_out(self, lengths: list[tuple[int, int]]) -> None:
        """
        Leave out files without a chunk, such as those of the episodes of a robot may be.

        :param lengths: Number of steps of each file, and of its longest episode.
        """
        horizon = self._config.horizon
        self._usable = [
            i for i, (size, longest) in enumerate(lengths) if longest >= horizon < size]
        if not self._usable:
            raise DataError(
                f'{self.files[0].parent}: found no file of more than {horizon} steps with an '
                f'episode of {horizon}, the length of a chunk; the longest episode has '
                f'{max(longest for _, longest in lengths)}; use a shorter --horizon')
        self.longest = max(lengths[i][0] for i in self._usable)
        if left := len(lengths) - len(self._usable):
            names = [file.name for i, file in enumerate(self.files) if i not in self._usable]
            self.notes.append(
                f'{self.files[0].parent}: {left} of {len(lengths)} files are too short for a '
                f'chunk of {horizon} steps, and not learned from: {listed(names)}')

    def _summarise(self, lengths: list[tuple[int, int]]) -> None:
        """
        Read all files, one at a time, for their common statistics and description.

        :param lengths: Those of each further file are added.
        """
        found = self._description
        hashes = hashlib.sha256(found['source']['sha256'].encode())
        for i in tqdm(range(1, len(self.files)), desc='data', unit='file', disable=None):
            read = self._read(i)
            require_alike(
                self.files[i], read, self._period,
                (found['observation_fields'], found['action_fields']), self.files[0].name,
                'make all of them for the same robot, with the same rate and limits')
            here = _description(read)
            for key in ('observation_fields', 'action_fields'):
                found[key] = joined(found[key], here[key])
            self.statistics = self.statistics.joined(measure(read.observations))
            lengths.append(_lengths(read))
            hashes.update(here['source']['sha256'].encode())
            found['source'] = {
                key: value + here['source'].get(key, 0) if isinstance(value, int) else value
                for key, value in found['source'].items()}
            del read
        found['source'] |= {
            'file': f'{self.files[0].name} to {self.files[-1].name}', 'files': len(self.files),
            'sha256': hashes.hexdigest()}


def files(path: Path) -> list[Path]:
    """
    List the files of a run's ``data``, without validation files.

    The folder of a LeRobot dataset counts as a file.

    :raises DataError: If there is none.
    """
    with permitted(path):
        found = _files(path)
        for file in found:
            require_readable(file)
        return found


def _files(path: Path) -> list[Path]:
    numbered = [
        file for file in sorted(path.parent.glob(f'{path.stem}-*{path.suffix}'))
        if NUMBER.fullmatch(file.stem) and file.stem.rpartition('-')[0] == path.stem]
    if numbered and not path.exists():
        return numbered
    place = locate(path)
    if not place.is_dir() or is_dataset(place):
        return [place]
    within = [file for file in sorted(place.glob('*.npz')) if NUMBER.fullmatch(file.stem)]
    if not within and any(
            file.suffix in ('.mcap', '.db3') or file.name == 'metadata.yaml'
            for file in place.iterdir()):
        raise DataError(
            f'{place}: found a recording, expected a data file; convert it with `python -m '
            f'training.convert {place} --robot ROBOT.yaml --rate HZ --out FILE.npz`')
    if not within and (place / 'meta').is_dir():
        raise DataError(
            f'{place}: found a folder `meta` without info.json, expected that of a LeRobot '
            'dataset; copy the dataset again')
    if not within and (place / 'checkpoint.pt').exists():
        raise DataError(
            f'{place}: found the folder of a run, expected a data file; `python -m '
            f'training.report {place}` shows a run')
    if not within:
        files = sorted(
            file.name for file in place.iterdir() if file.suffix in ('.npz', '.hdf5'))
        remedy = f'; name one of its files: {listed(files)}' if files else ''
        raise DataError(
            f'{place}: found a folder without numbered files, expected name-000.npz and so on'
            f'{remedy}')
    return within


def _lengths(transitions: Transitions) -> tuple[int, int]:
    """Count the steps of a file, and of its longest episode."""
    ends = np.flatnonzero(transitions.terminals) + 1
    return len(transitions), int(np.diff(ends, prepend=0).max())


def _description(transitions: Transitions) -> dict[str, Any]:
    return {
        'observation_fields': transitions.observation_fields,
        'action_fields': transitions.action_fields, 'source': dict(transitions.source)}
