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
Corrections: what persons did when they took a robot over, for a run beside its data.

They are few, so all files are in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from training.config import TrainConfig
from training.data.datasets.alike import joined, require_alike
from training.data.datasets.load import load_file
from training.data.datasets.numbered import files
from training.data.transitions.frames import Frames, make_room, require_same, sealed
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import COLUMNS, DataError, Transitions


def load_corrections(config: TrainConfig, data: Transitions) -> Transitions | None:
    """
    Load all corrections of a run.

    :param config: ``corrections`` names files, or folders of numbered files.
    :param data: The data of the run, whose fields they must have.
    :return: The corrections, with ranges of the fields that include the data's; None if there are
        none.
    :raises DataError: If a file is missing, cannot be read, has other fields, or is given twice.
    """
    source = DataSource.of_run(config)
    paths = [file for each in config.corrections for file in files(Path(each))]
    if not paths:
        return None
    read = [load_file(replace(source, path=path)) for path in paths]
    observation, action = data.observation_fields, data.action_fields
    known = {data.source.get('sha256'): config.data}
    for path, one in zip(paths, read, strict=True):
        if one.source['sha256'] in known:
            raise DataError(
                f'{path}: found the same steps as {known[one.source["sha256"]]}, which would '
                'count twice; give each file once, and corrections beside the data')
        known[one.source['sha256']] = str(path)
        require_same(path, one.images, [frames.field for frames in data.images])
        require_alike(
            path, one, data.period, (data.observation_fields, data.action_fields), 'the data',
            'name corrections of the same robot')
        observation = joined(observation, one.observation_fields)
        action = joined(action, one.action_fields)
    columns = {
        name: np.concatenate([getattr(one, name) for one in read]) for name in COLUMNS}
    pictures = {} if data.frame is None else _joined_frames(paths[0], read)
    hashes = hashlib.sha256(''.join(one.source['sha256'] for one in read).encode())
    return Transitions(
        **columns, **pictures, observation_fields=observation, action_fields=action,
        period=data.period, source={
            'files': len(read), 'steps': len(columns['actions']),
            'episodes': int(columns['terminals'].sum()), 'sha256': hashes.hexdigest()})


def _joined_frames(path: Path, read: Sequence[Transitions]) -> dict[str, Any]:
    """Put the pictures of all corrections one after the other; a copy, if there are several."""
    if len(read) == 1:
        return {'images': read[0].images, 'frame': read[0].frame}
    counts = [len(one.images[0]) for one in read]
    begins = np.cumsum(counts) - counts
    images = []
    for i, frames in enumerate(read[0].images):
        room = make_room((sum(counts), *frames.field.shape), path)
        for begin, count, one in zip(begins, counts, read, strict=True):
            room[begin:begin + count] = one.images[i].pixels
        images.append(Frames(frames.field, sealed(room)))
    frame = [
        one.frame + begin for begin, one in zip(begins, read, strict=True)
        if one.frame is not None]
    return {'images': tuple(images), 'frame': np.concatenate(frame)}
