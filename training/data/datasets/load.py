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
Find a data file and the reader of its format.

Readers are imported on demand: they depend on OGBench, robosuite and pyarrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dfp_ros.core.text.printable import printable, TEXT
from training.data.formats.lerobot.layout import is_dataset
from training.data.transitions.errors import permitted
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError, Transitions
from training.presets import PRESETS

_KEYS_OF_PRESETS = {config.observation_keys for _, config in PRESETS.values()}


def load(source: DataSource) -> Transitions:
    """
    Load a data file, whatever its format, also from where OGBench keeps its own.

    :param source: The file, and how it is read.
    :raises DataError: Where the file is missing, damaged, of no known format, or not what the
        environment needs.
    """
    return load_file(replace(source, path=locate(source.path)))


def locate(path: Path) -> Path:
    """
    Find a data file, also where OGBench keeps its own.

    :raises DataError: If it is not found; the message says how to make it.
    """
    with permitted(path):
        return _locate(path)


def require_readable(path: Path) -> None:
    """
    Require that a path, if there is one, is a regular file or a folder.

    :raises DataError: If it is not; a FIFO would be waited for, a device read without end.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(
            f'{path}: found a FIFO, a device or a socket, expected a regular file; reading it '
            'could take for ever')


def _locate(path: Path) -> Path:
    require_readable(path)
    # For a missing .hdf5, the Robomimic reader raises the error.
    if path.exists() or path.suffix == '.hdf5':
        return path
    if path.suffix in ('.npz', ''):
        from training.data.datasets import official
        return official.find(path)
    raise DataError(
        f'{path}: found no such file; make one with `python -m training.collect` or '
        '`python -m training.convert`, or copy one there')


def load_file(source: DataSource) -> Transitions:
    """Load a file, or the folder of a dataset, from its very path; see :func:`load`."""
    with permitted(source.path):
        return _load_file(source)


def _load_file(source: DataSource) -> Transitions:
    path = source.path
    if path.suffix == '.npz':
        from training.data.formats.ogbench import reader as ogbench
        from training.data.transitions import stored
        if stored.is_stored(path):
            return stored.load(path)
        return ogbench.load(path, source.environment, source.success_timing, source.rewarded)
    if path.suffix == '.hdf5':
        from training.data.formats.robomimic import reader as robomimic
        return robomimic.load(
            path, source.environment, source.filter_key, source.observation_keys)
    if is_dataset(path):
        from training.data.formats.lerobot import reader as lerobot
        return lerobot.load(path, source.filter_key, source.observation_keys)
    raise DataError(
        f'{path}: found {path.suffix or "no ending"}, expected .npz, .hdf5 or the folder of a '
        f'LeRobot dataset; {_remedy(path)}')


def require_used(source: DataSource, read: Mapping[str, Any]) -> None:
    """
    Require that what is chosen from a file can be chosen: an ``.npz`` has no parts to choose.

    The keys of a preset are for its own data, and nobody's choice for others.

    :param source: The file, and what is chosen.
    :param read: Provenance of what was read; a converted file has the parts that it is made of.
    :raises DataError: If it is read as a whole, whatever was asked for.
    """
    if source.path.suffix != '.npz':
        return
    for name in ('filter_key', 'observation_keys'):
        found = getattr(source, name)
        if not found or found in _KEYS_OF_PRESETS:
            continue
        if found != read.get(name) and list(found) != read.get(name):
            raise DataError(
                f'{source.path}: found --{name.replace("_", "-")} {_words(found)}, which is for '
                'Robomimic files and LeRobot datasets; all of this file is read, so leave the '
                'option out')


def _words(value: str | tuple[str, ...]) -> str:
    """Format the value of an option."""
    return printable(value if isinstance(value, str) else ' '.join(value), TEXT)


def _remedy(path: Path) -> str:
    """Say what reads a file that is no data file."""
    if path.suffix == '.onnx':
        return f'`ros2 run dfp_ros describe {path}` prints what a policy file contains'
    if path.suffix in ('.pt', '.pth'):
        return f'`python -m training.report {path.parent}` shows the run of a checkpoint'
    return 'convert recordings with `python -m training.convert`'
