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
Trial read of a Parquet footer in a child process, because a damaged one can end the process.

pyarrow does not catch all C++ exceptions that reading a column's description can raise. So a
forked child process reads all of them first, as for HDF5.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
import os
from pathlib import Path
import select
import signal

import pyarrow.parquet as pq

from training.data.transitions.transitions import DataError

# Longest time in s; a footer takes milliseconds.
PATIENCE = 60.0


def require_sound(path: Path) -> None:
    """
    Check that reading the footer of a file ends, and does not end the process.

    :raises DataError: If it does.
    """
    about = path.stat()
    _require(path, about.st_ino, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4096)
def _require(path: Path, *state: int) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _be_the_copy(path)
    os.close(writing)
    try:
        # The pipe is closed when the child ends.
        ended = bool(select.select([reading], [], [], PATIENCE)[0])
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if not ended or os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        raise DataError(
            f'{path}: found a damaged file, whose footer cannot be read; copy the dataset again')


def _be_the_copy(path: Path) -> None:
    """Run the child process: read the footer, and exit immediately after."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with pq.ParquetFile(path, pre_buffer=False) as file:
            about = file.metadata
            for i in range(about.num_row_groups):
                group = about.row_group(i)
                for j in range(group.num_columns):
                    group.column(j).num_values  # noqa: B018
    except BaseException:  # noqa: B902
        # The reader reports it.
        pass
    finally:
        os._exit(0)
