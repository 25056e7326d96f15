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
"""LeRobot datasets of somebody else: an SO-100 with a camera, as LeRobot records it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

JOINTS = ('shoulder_pan.pos', 'shoulder_lift.pos', 'elbow_flex.pos', 'wrist_flex.pos',
          'wrist_roll.pos', 'gripper.pos')
DATA, EPISODES = 'data/chunk-000/file-000.parquet', 'meta/episodes/chunk-000/file-000.parquet'
#: Limits that hold all commands of :func:`recorded`, in degrees.
LIMIT = 120.0


def recorded(
        folder: Path, lengths: list[int], further: Mapping[str, np.ndarray] | None = None,
        tasks: list[str] | None = None, kind: str = 'float32') -> Path:
    """
    Write a dataset.

    :param folder: A new folder.
    :param lengths: Length of each episode.
    :param further: Further features, one number or a row of them per frame.
    :param tasks: Task of each episode.
    :param kind: Type of state and action.
    """
    size = sum(lengths)
    generator = np.random.default_rng(0)
    state, action = (
        generator.uniform(-100, 100, (size, len(JOINTS))).astype(kind) for _ in range(2))
    tasks = tasks or ['Pick the part'] * len(lengths)
    known = sorted(set(tasks))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    episode = np.repeat(np.arange(len(lengths)), lengths)
    frame = np.arange(size) - starts[episode]
    columns = {
        'action': action, 'observation.state': state, **(further or {}),
        'timestamp': (frame / 30).astype(np.float32), 'frame_index': frame,
        'episode_index': episode, 'index': np.arange(size),
        'task_index': np.array([known.index(task) for task in tasks])[episode]}
    features: dict[str, Any] = {
        name: {'dtype': str(values.dtype), 'shape': list(values.shape[1:]) or [1], 'names': None}
        for name, values in columns.items()}
    for name in ('action', 'observation.state'):
        features[name]['names'] = list(JOINTS)
    features['observation.images.front'] = {
        'dtype': 'video', 'shape': [480, 640, 3], 'names': ['height', 'width', 'channels'],
        'info': {'video.fps': 30.0, 'video.codec': 'av1'}}
    _write(folder / DATA, columns)
    _write(folder / EPISODES, {
        'episode_index': np.arange(len(lengths)), 'length': np.array(lengths),
        'dataset_from_index': starts, 'dataset_to_index': ends,
        'data/chunk_index': np.zeros(len(lengths), int),
        'data/file_index': np.zeros(len(lengths), int)})
    pq.write_table(pa.table({
        'task_index': pa.array(range(len(known)), pa.int64()), '__index_level_0__': known}),
        folder / 'meta/tasks.parquet')
    write_json(folder / 'meta/info.json', {
        'codebase_version': 'v3.0', 'robot_type': 'so100_follower', 'fps': 30,
        'total_episodes': len(lengths), 'total_frames': size, 'total_tasks': len(known),
        'features': features})
    return folder


def described(folder: Path, limit: float = LIMIT) -> Path:
    """Fill in what LeRobot does not keep, as a person does."""
    write_json(folder / 'meta/dfp_ros.json', {
        'version': 1, 'actions': 'physical',
        'observation_fields': [{'name': name, 'size': 1, 'unit': 'deg'} for name in JOINTS],
        'action_fields': [
            {'name': name, 'size': 1, 'unit': 'deg', 'low': [-limit], 'high': [limit]}
            for name in JOINTS]})
    return folder


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content))


def change_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file; a change returns the new content, or None if it changed the old."""
    content = json.loads(path.read_text())
    changed = change(content)
    write_json(path, content if changed is None else changed)


def change_column(path: Path, name: str, change: Callable[[np.ndarray], Any]) -> None:
    """Change a column of a Parquet file."""
    table = pq.read_table(path)
    column = table.column(name)
    values = np.array(column.to_pylist())
    changed = change(values)
    new = changed if isinstance(changed, pa.Array) else array(np.asarray(changed))
    pq.write_table(table.set_column(table.column_names.index(name), name, new), path)


def array(values: np.ndarray) -> pa.Array:
    """Convert a column: rows become lists of any length."""
    return pa.array(values.tolist(), pa.list_(pa.from_numpy_dtype(values.dtype))) if (
        values.ndim > 1) else pa.array(values)


def _write(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({name: array(values) for name, values in columns.items()}), path)
