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
Convert a data file to another format: OGBench, Robomimic or this package's own.

    python -m training.write recorded.npz --format robomimic --out recorded.hdf5
    python -m training.write data/lift/low_dim_v15.hdf5 --format ogbench --out lift.npz

All formats of ``training.train`` can be converted. ``--format own``, this package's own format, is
lossless.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

import numpy as np

from dfp_ros.core.files.user_path import user_path
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.files import require_output
from training.data.datasets.file_kind import environment_of, is_ogbench
from training.data.datasets.load import load
from training.data.formats.ogbench import writer as write_ogbench
from training.data.formats.robomimic import writer as write_robomimic
from training.data.transitions import stored
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError
from training.evaluation import environments

FORMATS = {'ogbench': '.npz', 'robomimic': '.hdf5', 'own': '.npz'}


def write(path: Path, out: Path, form: str, environment: str | None = None) -> int:
    """
    Convert a data file.

    :param path: The file to read.
    :param out: The file to write.
    :param form: One of :data:`FORMATS`.
    :param environment: Environment of the rewards; None to derive it from the file or its name.
    :return: Number of steps written.
    :raises DataError: If the file cannot be read, or the format cannot represent it.
    """
    if out.suffix != FORMATS[form]:
        raise DataError(f'{out}: found {out.suffix!r}, expected {FORMATS[form]} for {form}')
    if out.exists():
        raise DataError(f'{out}: found a file there; name another one with --out')
    require_output(out)
    known = environment_of(path) if environment is None else environment
    if not known:
        raise DataError(
            f'{path}: found a name that says no environment; name one with --environment')
    data = load(DataSource(path, known))
    if form == 'ogbench':
        write_ogbench.write(out, data, _state(path) if is_ogbench(path) else None)
    elif form == 'robomimic':
        write_robomimic.write(out, data)
    else:
        stored.save(out, data)
    return len(data)


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
    asked = made.parse_args(arguments)
    environments.headless()
    try:
        steps = write(asked.file, asked.out, asked.format, asked.environment)
    except ValueError as error:
        print(error_line(error), file=sys.stderr)
        return 2
    except OSError as error:
        print(error_line(error if isinstance(error, WriteError) else (
            f'{asked.out}: cannot be written ({error}); name another --out')), file=sys.stderr)
        return 2
    print(f'{asked.out}: {steps} steps')
    return 0


if __name__ == '__main__':
    sys.exit(main())
