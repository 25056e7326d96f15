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
Convert a data file to another format: OGBench, Robomimic, LeRobot or this package's own.

    python -m training.write recorded.npz --format robomimic --out recorded.hdf5
    python -m training.write data/lift/low_dim_v15.hdf5 --format ogbench --out lift.npz
    python -m training.write recorded.npz --format lerobot --out lerobot/recorded --task 'Touch it'

All formats of ``training.train`` can be converted. ``--format own``, this package's own format, is
lossless. ``--format lerobot-fields`` drafts the units and limits of a LeRobot dataset of somebody
else, which it does not have.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
import sys
from typing import Literal

import numpy as np

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.printable import listed
from dfp_ros.core.text.say import say
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.files import atomic_path, require_output
from training.data.datasets.file_kind import environment_of, is_ogbench
from training.data.datasets.load import load, require_used
from training.data.formats.lerobot.layout import is_dataset
from training.data.formats.ogbench import writer as write_ogbench
from training.data.formats.robomimic import writer as write_robomimic
from training.data.transitions import stored
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError
from training.evaluation import environments

# Ending of what is written; a LeRobot dataset is a folder.
FORMATS = {
    'ogbench': '.npz', 'robomimic': '.hdf5', 'lerobot': '', 'lerobot-fields': '.json',
    'own': '.npz'}


@dataclass(frozen=True)
class Options:
    """
    Options of a conversion.

    :param environment: Environment of the rewards; None to derive it from the file or its name.
    :param observation_keys: Parts of the observation of a Robomimic file or a LeRobot dataset; its
        usual ones if empty.
    :param filter_key: Which of its demonstrations, or the task of its episodes; all if empty.
    :param task: What the robot does, in words, for LeRobot; empty for the name of the file.
    :param pictures: How pictures are written for LeRobot: as videos, or exactly, as PNG files.
    """

    environment: str | None = None
    observation_keys: tuple[str, ...] = ()
    filter_key: str = ''
    task: str = ''
    pictures: Literal['video', 'image'] = 'video'


def write(path: Path, out: Path, form: str, options: Options) -> str:
    """
    Convert a data file.

    :param path: The file to read, or the folder of a LeRobot dataset.
    :param out: The file to write, or the folder.
    :param form: One of :data:`FORMATS`.
    :return: What was written, in words.
    :raises DataError: If the file cannot be read, or the format cannot represent it.
    """
    if out.suffix != FORMATS[form]:
        expected = FORMATS[form] or 'the name of a folder, without ending,'
        raise DataError(f'{out}: found {out.suffix!r}, expected {expected} for {form}')
    if out.exists():
        raise DataError(f'{out}: found a file there; name another one with --out')
    require_output(out)
    if form == 'lerobot-fields':
        return _write_fields(path, out, options.observation_keys)
    known = environment_of(path) if options.environment is None else options.environment
    if not known:
        raise DataError(
            f'{path}: found a name that says no environment; name one with --environment')
    source = DataSource(
        path, known, filter_key=options.filter_key, observation_keys=options.observation_keys)
    data = load(source)
    require_used(source, data.source)
    left_out = list(data.source.get('features_left_out', []))
    if form == 'ogbench':
        state = _state(path) if is_ogbench(path) else {}
        write_ogbench.write(out, data, state)
        if data.images and not {'qpos', 'qvel'} <= state.keys():
            left_out += [field.name for field in data.observation_fields]
    elif form == 'robomimic':
        write_robomimic.write(out, data)
    elif form == 'lerobot':
        from training.data.formats.lerobot import writer as write_lerobot
        write_lerobot.write(out, data, options.task or path.stem, options.pictures)
    else:
        stored.save(out, data)
    return f'{len(data)} steps' + (f'; left out: {listed(left_out)}' if left_out else '')


def _write_fields(path: Path, out: Path, keys: tuple[str, ...]) -> str:
    """Draft the units and limits of a LeRobot dataset."""
    from training.data.formats.lerobot import description, reader
    if not is_dataset(path):
        raise DataError(
            f'{path}: found no folder of a LeRobot dataset, with meta/info.json, expected one')
    drafted = description.draft_of(path, keys, *reader.command_range(path))
    with atomic_path(out) as partial:
        partial.write_text(drafted)
    return f'{drafted.count(description.MARK)} values to fill in, marked {description.MARK}'


def _state(path: Path) -> dict[str, np.ndarray]:
    """Copy the simulator state from a file that has been validated."""
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in write_ogbench.STATE if key in file}


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    made = argparse.ArgumentParser(
        prog='python -m training.write', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('file', type=user_path, metavar='FILE')
    made.add_argument('--format', required=True, choices=FORMATS)
    made.add_argument('--out', required=True, type=user_path, metavar='FILE')
    made.add_argument(
        '--environment', help="environment of the rewards (default: by the file's name)")
    made.add_argument(
        '--observation-keys', nargs='+', default=(), metavar='KEY',
        help='parts of the observation of a Robomimic file or a LeRobot dataset (default: the '
        'usual ones)')
    made.add_argument(
        '--filter-key', default='', metavar='KEY',
        help='demonstrations of a Robomimic file, or the task of a LeRobot dataset (default: all)')
    made.add_argument(
        '--task', default='',
        help="what the robot does, in words, for LeRobot (default: the file's name)")
    made.add_argument(
        '--pictures', choices=('video', 'image'), default='video',
        help='pictures for LeRobot: videos, which are small, or PNG files, which are exact')
    asked = made.parse_args(arguments)
    environments.headless()
    try:
        written = write(asked.file, asked.out, asked.format, Options(
            asked.environment, tuple(asked.observation_keys), asked.filter_key, asked.task,
            asked.pictures))
    except ValueError as error:
        say(error_line(error), to_errors=True)
        return 2
    except OSError as error:
        say(error_line(error if isinstance(error, WriteError) else (
            f'{asked.out}: cannot be written ({error}); name another --out')), to_errors=True)
        return 2
    say(f'{asked.out}: {written}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
