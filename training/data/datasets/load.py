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
Find the reader for a run's data.

Readers are imported when they are needed: one wants OGBench, another robosuite.
"""

from __future__ import annotations

from pathlib import Path

from training.config import TrainConfig
from training.data.transitions.transitions import DataError, Transitions


def load(config: TrainConfig) -> Transitions:
    """
    Load a run's data, whatever its format.

    :param config: ``data`` names the file, ``environment`` what it is for.
    :raises DataError: If the file is missing, damaged, of no known format, or not what the
        environment needs.
    """
    return load_file(locate(Path(config.data)), config)


def locate(path: Path) -> Path:
    """
    Find a run's data, also where OGBench keeps its own.

    :raises DataError: If it is nowhere; the message says how to make it.
    """
    # The reader of Robomimic's files says how one is made.
    if path.exists() or path.suffix == '.hdf5':
        return path
    if path.suffix in ('.npz', ''):
        from training.data.datasets import official
        return official.find(path)
    raise DataError(
        f'{path}: found no such file; make one with `python -m training.collect` or '
        '`python -m training.convert`, or copy one there')


def load_file(path: Path, config: TrainConfig) -> Transitions:
    """Load one file of a run's data; see :func:`load`."""
    if path.suffix == '.npz':
        from training.data.formats.ogbench import reader as ogbench
        from training.data.transitions import stored
        if stored.is_stored(path):
            return stored.load(path)
        return ogbench.load(path, config.environment, config.success_timing)
    if path.suffix == '.hdf5':
        from training.data.formats.robomimic import reader as robomimic
        return robomimic.load(
            path, config.environment, config.filter_key, config.observation_keys)
    raise DataError(
        f'{path}: found {path.suffix or "no ending"}, expected .npz or .hdf5; convert recordings '
        'with `python -m training.convert`')
