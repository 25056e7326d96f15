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
"""Atomic writing of files and folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
import csv
import errno
import io
import json
import os
from pathlib import Path
import shutil
import stat
from typing import Any

from dfp_ros.core.files import atomic
from dfp_ros.core.files.bounded_file import read_regular
from dfp_ros.core.files.replaceable import require_replaceable, require_writable
from training.common.disk import judged, require_room, write_error, WriteError

# Largest table in bytes.
_LARGEST_TABLE = 256 << 20
# Bytes that are searched at once for the end of a row.
_PIECE = 64 << 10


class TableError(ValueError):
    """A table cannot be read; the message says why, and what to do."""


@contextmanager
def atomic_path(path: Path, needed: int | None = None) -> Iterator[Path]:
    """
    Yield a temporary path beside ``path``, renamed to it only if the block succeeds.

    :param path: The final path; its folder is created if missing.
    :param needed: Size of the complete file in bytes, if known.
    :raises WriteError: If the file cannot be written, or is a FIFO, a socket or a device; an
        existing file is kept.
    """
    if not path.name:
        raise WriteError(
            errno.EISDIR, f'{path}: cannot be written (is a folder); name a file in it', str(path))
    try:
        require_replaceable(path)
    except NotADirectoryError as error:
        raise write_error(path, error, None, 0) from error
    except OSError as error:
        raise WriteError(
            error.errno, f'{path}: cannot be written ({error.strerror}); name another path',
            str(path)) from error
    if path.is_dir():
        # Otherwise only the rename would fail, after all the work.
        raise write_error(path, IsADirectoryError(errno.EISDIR, ''), None, 0)
    partial = atomic.partial_path(path)
    # The inner judge measures what came before it is removed, the outer one is for the rename.
    with (judged(path, partial, needed), atomic.atomic_path(path),
          judged(path, partial, needed)):
        path.parent.mkdir(parents=True, exist_ok=True)
        if needed is not None:
            require_room(path, needed, 'the file')
        yield partial


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """
    Yield a temporary folder beside ``path``, renamed to it only if the block succeeds.

    :param path: The final path, where nothing is yet; the folder above is created if missing.
    :raises WriteError: If something is there, or a file in it cannot be written.
    """
    if path.exists() or path.is_symlink():
        raise WriteError(
            errno.EEXIST, f'{path}: cannot be written (something is there); name another path',
            str(path))
    partial = atomic.partial_path(path)
    with judged(path, partial):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        try:
            # As above: what came is measured before it is removed.
            with judged(path, partial):
                yield partial
            os.rename(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def require_output(path: Path | None, suffix: str = '') -> None:
    """
    Check before the work that its result can be written; nothing is created.

    :param path: The file; None if none was requested.
    :param suffix: Suffix that its name must have, for example ``.png``; empty for any.
    :raises WriteError: If it cannot be written, with path and remedy.
    """
    if path is None:
        return
    try:
        require_writable(path)
    except OSError as error:
        raise WriteError(
            error.errno, f'{path}: cannot be written ({error.strerror})', str(path)) from error
    if suffix and path.suffix.lower() != suffix:
        raise WriteError(
            errno.EINVAL, f'{path}: found {path.suffix or "no ending"}, expected a name that ends '
            f'in {suffix}', str(path))


def read_table(path: Path) -> list[dict[str, str]]:
    """
    Read the rows of a CSV file, without an incomplete last one of a killed process.

    :raises TableError: If it is no regular file of bounded size, or no table.
    """
    try:
        text = read_regular(path, _LARGEST_TABLE).decode()
        lines = [line for line in text.splitlines(keepends=True) if line.endswith('\n')]
        return list(csv.DictReader(lines))
    except OSError as error:
        raise TableError(
            f'{path}: cannot be read ({error.strerror}); restore it, or move it away') from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            f'{path}: found contents that are no table ({error}); restore it, or move it away'
        ) from error


def append_row(path: Path, columns: Sequence[str], row: Mapping[str, Any]) -> None:
    """
    Append a row to a CSV file, all of it or nothing; a new file gets a header.

    An incomplete last row, as a killed process leaves it, is removed before: the new one would
    continue it, and the table could not be read any more.

    :param path: The file; its folder is created if missing.
    :param columns: All columns, in order.
    :param row: Values by column; missing ones are left empty.
    :raises WriteError: If it cannot be written, or is no regular file; what was there is kept.
    """
    text = io.StringIO(newline='')
    writer = csv.DictWriter(text, columns)
    end = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A FIFO that was put there fails, and does not block.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        with os.fdopen(file, 'wb', buffering=0) as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), str(path))
            end = _end_of_rows(path)
            if not end:
                writer.writeheader()
            writer.writerow(row)
            content = memoryview(text.getvalue().encode())
            try:
                os.ftruncate(file, end)
                opened.seek(end)
                while content:
                    content = content[opened.write(content) or 0:]
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file, end)
                raise
    except OSError as error:
        raise write_error(path, error, end + len(text.getvalue()), 0) from error


def _end_of_rows(path: Path) -> int:
    """Find the offset after the last complete line of a regular file, in bytes."""
    with path.open('rb') as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - _PIECE)
            file.seek(begin)
            found = file.read(end - begin).rfind(b'\n')
            if found >= 0:
                return begin + found + 1
            end = begin
    return 0


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + '\n')
