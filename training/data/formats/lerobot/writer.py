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
Writer of LeRobot's datasets, version 3.

Files, columns, row groups (one per episode), sizes of files and statistics are LeRobot's. Beside
its features there is ``next.observation.state``, the observation after a step, which LeRobot's
policies ignore; with it, nothing of the transitions is lost. What LeRobot does not keep is in
``meta/dfp_ros.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfp_ros.core.text.printable import quoted
from training.common.files import atomic_folder
from training.data.formats.lerobot import description, layout
from training.data.formats.lerobot.picture_writer import Files, PictureWriter, Videos
from training.data.formats.lerobot.statistics import measure, NAMES
from training.data.transitions.frames import require_whole
from training.data.transitions.transitions import DataError, SAME_PERIOD, Transitions

# Episodes per row group of the list of episodes.
_BUFFER = 100
# LeRobot's names of types, and Arrow's.
_KINDS = {
    'float32': pa.float32(), 'float64': pa.float64(), 'int64': pa.int64(), 'bool': pa.bool_()}
# Statistics that are of the type of the values; others are float64.
_TYPED = ('min', 'max')


def write(
        folder: Path, data: Transitions, task: str,
        pictures: Literal['video', 'image'] = 'video') -> None:
    """
    Write a dataset, whole or not at all.

    :param folder: A new folder.
    :param data: Transitions to write.
    :param task: What the robot does, in words; LeRobot has such a text for each episode.
    :param pictures: How pictures are written: as videos, which are small and not exact, or as PNG
        files in the frames, which are.
    :raises DataError: If the control rate is no whole number of frames per second, or the task is
        no line of text; or if pictures cannot be written.
    """
    if not task.strip() or not task.isprintable():
        raise DataError(
            f'{folder}: task: found {quoted(task)}, expected what the robot does, in a line of '
            'printable words; name it with --task')
    rate = round(1 / data.period)
    if rate < 1 or abs(rate * data.period - 1) > SAME_PERIOD:
        raise DataError(
            f'{folder}: period: found {data.period:g} s, which is {1 / data.period:g} frames per '
            "second, expected a whole number, as LeRobot's fps is; convert the recordings with "
            'another --rate, or write another format')
    require_whole(folder, data.frame, data.terminals, 'LeRobot')
    made: type[PictureWriter] = Videos if pictures == layout.VIDEO else Files
    with atomic_folder(folder) as partial:
        try:
            _write_all(partial, data, task, rate, made)
        except DataError as error:
            # Nobody knows the folder that is there meanwhile.
            raise DataError(str(error).replace(str(partial), str(folder))) from error


def _write_all(
        folder: Path, data: Transitions, task: str, rate: int, made: type[PictureWriter]) -> None:
    """Write all files of a dataset."""
    columns = _columns(data, rate)
    with made(folder, data, rate) as cameras:
        _write_data(folder, data, columns, task, cameras)
    statistics = {name: measure(values) for name, values in columns.items()}
    statistics |= cameras.statistics()
    _write_json(folder / layout.STATISTICS, statistics)
    _write_tasks(folder / layout.TASKS, [task])
    description.write(folder / description.FILE, data)
    _write_json(folder / layout.INFO, _info(data, rate, columns, cameras))


def _columns(data: Transitions, rate: int) -> dict[str, np.ndarray]:
    """Return the values of each feature, one row per step, in LeRobot's types."""
    size = len(data)
    last = data.terminals == 1
    starts = np.append(0, np.flatnonzero(last)[:-1] + 1)
    episode = np.cumsum(last) - last
    frame = np.arange(size) - starts[episode]
    columns = {
        layout.STATE: data.observations, layout.ACTION: data.actions,
        layout.REWARD: data.rewards, layout.DONE: last, layout.SUCCESS: data.masks == 0}
    if data.interventions is not None:
        columns[layout.INTERVENTION] = data.interventions == 1
    return {
        **columns, layout.SUCCESSOR: data.next_observations,
        layout.TIMESTAMP: (frame / rate).astype(np.float32), layout.FRAME: frame,
        layout.EPISODE: episode, layout.INDEX: np.arange(size),
        layout.TASK: np.zeros(size, np.int64)}


def _write_data(
        folder: Path, data: Transitions, columns: Mapping[str, np.ndarray], task: str,
        cameras: PictureWriter) -> None:
    """Write the frames, and the list of episodes."""
    schema = pa.schema([
        *((name, _arrow_type(_width(values), str(values.dtype)))
          for name, values in columns.items()), *cameras.columns])
    ends = np.flatnonzero(data.terminals) + 1
    rows: list[dict[str, Any]] = []
    with (_Files(folder / layout.DATA_FOLDER, schema) as frames,
          _Files(folder / layout.EPISODES_FOLDER, _episode_schema(
              columns, cameras)) as episodes):
        start = 0
        for number, end in enumerate(ends.tolist()):
            parts = {name: values[start:end] for name, values in columns.items()}
            chunk, file = frames.place(end - start)
            seen, filmed = cameras.write(start, end)
            numbers = [
                _array(values, kind) for values, kind in zip(
                    parts.values(), schema.types, strict=False)]
            frames.write(pa.table([*numbers, *seen], schema=schema))
            rows.append({
                'episode_index': number, 'tasks': [task], 'length': end - start,
                'data/chunk_index': chunk, 'data/file_index': file, 'dataset_from_index': start,
                'dataset_to_index': end, **{
                    f'stats/{name}/{key}': values for name, part in parts.items()
                    for key, values in measure(part).items()}, **filmed})
            if len(rows) == _BUFFER or end == ends[-1]:
                chunk, file = episodes.place(len(rows))
                here = {
                    'meta/episodes/chunk_index': chunk, 'meta/episodes/file_index': file}
                episodes.write(pa.Table.from_pylist(
                    [{**row, **here} for row in rows], schema=episodes.schema))
                rows.clear()
            start = end


class _Files:
    """
    Numbered files of a folder, of which a new one begins when the last is large enough.

    :param folder: The folder.
    :param schema: Columns of all files.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self._folder, self._number, self._rows = folder, 0, 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def place(self, rows: int) -> tuple[int, int]:
        """
        Choose the file for some more rows, as LeRobot does.

        :return: Number of its chunk, and its number there.
        """
        if self._rows:
            size = self._path().stat().st_size
            if size + size / self._rows * rows >= layout.DATA_MEGABYTES * 2**20:
                self._close()
                self._number, self._rows = self._number + 1, 0
        return divmod(self._number, layout.CHUNK_FILES)

    def write(self, table: pa.Table) -> None:
        """Append a row group to the chosen file."""
        if self._writer is None:
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                path, self.schema, compression='snappy', write_page_checksum=True)
        # Otherwise a row group would end after a million rows.
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._rows += len(table)

    def _path(self) -> Path:
        chunk, file = divmod(self._number, layout.CHUNK_FILES)
        return self._folder / layout.FILE.format(chunk_index=chunk, file_index=file)

    def _close(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()


def _width(values: np.ndarray) -> int:
    return values.shape[1] if values.ndim == 2 else 1


def _arrow_type(width: int, kind: str) -> pa.DataType:
    """Return the type of a column: LeRobot writes a row of one number as a number."""
    return _KINDS[kind] if width == 1 else pa.list_(_KINDS[kind], width)


def _array(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    return flat


def _episode_schema(
        columns: Mapping[str, np.ndarray], cameras: PictureWriter) -> pa.Schema:
    whole = pa.int64()
    return pa.schema([
        ('episode_index', whole), ('tasks', pa.list_(pa.string())), ('length', whole),
        ('data/chunk_index', whole), ('data/file_index', whole), ('dataset_from_index', whole),
        ('dataset_to_index', whole), *_statistics_columns(columns),
        *cameras.episode_columns,
        ('meta/episodes/chunk_index', whole), ('meta/episodes/file_index', whole)])


def _statistics_columns(
        columns: Mapping[str, np.ndarray]) -> Iterator[tuple[str, pa.DataType]]:
    for name, values in columns.items():
        kind = _KINDS[str(values.dtype)]
        for key in NAMES:
            # JSON and LeRobot have no float32.
            one = pa.int64() if key == 'count' else kind if key in _TYPED and (
                not pa.types.is_floating(kind)) else pa.float64()
            yield f'stats/{name}/{key}', pa.list_(one)


def _info(
        data: Transitions, rate: int, columns: Mapping[str, np.ndarray],
        cameras: PictureWriter) -> dict[str, Any]:
    """Return the contents of ``meta/info.json``."""
    observed, commanded = (
        [f'{field.name}[{i}]' if field.size > 1 else field.name
         for field in fields for i in range(field.size)]
        for fields in (data.observation_fields, data.action_fields))
    names = {layout.STATE: observed, layout.SUCCESSOR: observed, layout.ACTION: commanded}
    robot, episodes = data.source.get('robot'), int(data.terminals.sum())
    return {
        'codebase_version': layout.VERSION,
        'robot_type': robot if isinstance(robot, str) else None,
        'total_episodes': episodes, 'total_frames': len(data), 'total_tasks': 1,
        'chunks_size': layout.CHUNK_FILES, 'data_files_size_in_mb': layout.DATA_MEGABYTES,
        'video_files_size_in_mb': layout.VIDEO_MEGABYTES, 'fps': rate,
        'splits': {'train': f'0:{episodes}'},
        'data_path': f'{layout.DATA_FOLDER}/{layout.FILE}',
        'video_path': layout.VIDEOS if isinstance(cameras, Videos) and data.images else None,
        'features': {
            name: {
                'dtype': str(values.dtype), 'shape': [_width(values)], 'names': names.get(name)}
            for name, values in columns.items()} | cameras.features()}


def _write_tasks(path: Path, tasks: list[str]) -> None:
    """Write the tasks as pandas does, with the text as the index, which LeRobot relies on."""
    whole = {'pandas_type': 'int64', 'numpy_type': 'int64', 'metadata': None}
    text = {'pandas_type': 'unicode', 'numpy_type': 'object', 'metadata': None}
    about = {
        'index_columns': ['task'], 'column_indexes': [{
            'name': None, 'field_name': None, **text, 'metadata': {'encoding': 'UTF-8'}}],
        'columns': [
            {'name': layout.TASK, 'field_name': layout.TASK, **whole},
            {'name': 'task', 'field_name': 'task', **text}],
        'creator': {'library': 'pyarrow', 'version': pa.__version__}, 'pandas_version': '2.0.0'}
    table = pa.table({
        layout.TASK: pa.array(range(len(tasks)), pa.int64()), 'task': pa.array(tasks)})
    pq.write_table(
        table.replace_schema_metadata({'pandas': json.dumps(about)}), path,
        write_page_checksum=True)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=4, ensure_ascii=False) + '\n', encoding='utf-8')
