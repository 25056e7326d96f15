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
"""Writing a file whole or not at all: under a temporary name, then renamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import errno
import os
from pathlib import Path

from dfp_ros.core.files.replaceable import require_replaceable

# So much of a name is kept, that the temporary one is not too long for a file system.
_KEPT = 80


@contextmanager
def atomic_path(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """
    Give a temporary name beside a path, renamed to it only if the block ends well.

    :param path: The final name, in a folder that exists when the block ends.
    :param overwrite: Whether it replaces a file that is there.
    :raises OSError: If the path is a folder, a FIFO, a socket or a device, if it cannot be
        renamed to, or if a file is there that may not be overwritten; the existing file stays.
    """
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    require_replaceable(path)
    partial = partial_path(path)
    try:
        yield partial
        if overwrite:
            os.replace(partial, path)
        else:
            # A file that another process made meanwhile stays.
            os.link(partial, path)
    finally:
        # If its folder cannot be, it is not.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Return the temporary name that this process writes a file under; the suffix stays."""
    return path.with_name(
        f'.{path.stem[:_KEPT]}.{os.getpid()}.partial{path.suffix[:_KEPT]}')
