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
Trial read of an ``.hdf5`` in a child process, which can be killed if the HDF5 library hangs.

A damaged file can hang or crash the HDF5 library, in C code that no Python signal handler
interrupts. So a forked child process first reads the same data as the reader of demonstrations,
and reports its progress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
import os
from pathlib import Path
import select
import signal
from typing import Any

import h5py

from training.data.transitions.transitions import DataError

# Timeout without progress, s. A block takes milliseconds.
PATIENCE = 20.0
# Bytes per block.
BLOCK = 16_000_000
# Upper limit of a plausible compression ratio of HDF5's filters, plus a constant in bytes.
RATIO, SLACK = 2_000, 64_000_000
# Exit status of the child if another program has the file open for writing.
LOCKED = 75
READ = ('actions', 'rewards', 'masks')
PARTS = ('obs', 'next_obs')


def require_readable(path: Path) -> None:
    """
    Check that a file can be read without hanging or crashing.

    :raises DataError: If it cannot.
    """
    about = path.stat()
    _require(path, about.st_ino, about.st_size, about.st_mtime_ns)


def too_large(found: h5py.Dataset) -> bool:
    """Tell whether a data set claims more data than its stored bytes can hold."""
    return bool(found.nbytes > RATIO * found.id.get_storage_size() + SLACK)


@lru_cache(maxsize=64)
def _require(path: Path, *state: int) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _be_the_copy(path, writing)
    os.close(writing)
    try:
        while select.select([reading], [], [], PATIENCE)[0]:
            if not os.read(reading, 4096):
                break
        else:
            raise DataError(
                f'{path}: found a damaged file that cannot be read to its end (nothing came for '
                f'{PATIENCE:g} s); collect or copy it again')
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == LOCKED:
        raise DataError(
            f'{path}: found a file that another program has open for writing; wait until it is '
            'closed, and run the same command again')
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        raise DataError(
            f'{path}: found a damaged file that crashes the HDF5 library (signal '
            f'{os.WTERMSIG(status)}); collect or copy it again')


def _be_the_copy(path: Path, writing: int) -> None:
    """Run the child process: read the file, report progress, and exit immediately after."""
    code = 0
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT):
            signal.signal(number, signal.SIG_DFL)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 2)
        _read(path, lambda: os.write(writing, b'.'))
    except OSError as error:
        # Most releases of h5py raise the specific subclass of OSError.
        if isinstance(error, BlockingIOError) or 'unable to lock file' in str(error):
            code = LOCKED
    finally:
        os._exit(code)


def _read(path: Path, tell: Callable[[], object]) -> None:
    """Read the same data as the reader of demonstrations, which will report the errors itself."""
    with h5py.File(path, 'r') as file:
        for mask in _members(file, 'mask'):
            _data(file, f'mask/{mask}', tell)
        for demonstration in _members(file, 'data'):
            tell()
            place = f'data/{demonstration}'
            for name in READ:
                _data(file, f'{place}/{name}', tell)
            for part in PARTS:
                for name in _members(file, f'{place}/{part}'):
                    _data(file, f'{place}/{part}/{name}', tell)


def _members(file: h5py.File, key: str) -> Iterator[str]:
    """Iterate over the members of a group, and read its attributes."""
    with suppress(Exception):
        group = _member(file, key)
        for name in ('env_args', 'num_samples'):
            with suppress(Exception):
                group.attrs.get(name)
        yield from list(group)


def _member(file: h5py.File, key: str) -> Any:
    """Open a member by its path, along hard links only."""
    member: Any = file
    for name in key.split('/'):
        if not isinstance(member.get(name, getlink=True), h5py.HardLink):
            raise KeyError(name)
        member = member[name]
    return member


def _data(file: h5py.File, key: str, tell: Callable[[], object]) -> None:
    with suppress(Exception):
        found = _member(file, key)
        if found.external or found.is_virtual or found.ndim > 2 or too_large(found):
            return
        tell()
        rows = max(1, BLOCK * len(found) // max(1, found.nbytes))
        for start in range(0, len(found), rows):
            found[start:start + rows]
            tell()
