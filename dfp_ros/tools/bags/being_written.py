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
"""Processes that still write a file of a recording."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path

_PROCESSES = Path('/proc')


class BeingWrittenError(ValueError):
    """A file is still being written; the message names the process."""

    def __init__(self, process: int) -> None:
        """Name the process."""
        super().__init__(
            f'it is still being written, by process {process}; end the recording first')


def require_no_writer(path: Path) -> None:
    """
    Check that no other process has a file open for writing.

    On Linux only, and only among the processes whose files this user may see.

    :raises BeingWrittenError: If one has.
    """
    wanted = path.stat()
    for process in _others():
        folder = _PROCESSES / str(process)
        # A process may end, or close the file, at any moment; others belong to another user.
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(folder / 'fd'):
                with contextlib.suppress(OSError):
                    found = os.stat(folder / 'fd' / descriptor)
                    if os.path.samestat(found, wanted) and _is_for_writing(
                            folder / 'fdinfo' / descriptor):
                        raise BeingWrittenError(process)


def _others() -> Iterator[int]:
    """List the other processes."""
    with contextlib.suppress(OSError):
        for name in os.listdir(_PROCESSES):
            if name.isdecimal() and int(name) != os.getpid():
                yield int(name)


def _is_for_writing(info: Path) -> bool:
    """Return whether a descriptor may write; its flags are octal."""
    for line in info.read_text(encoding='ascii').splitlines():
        key, _, value = line.partition(':')
        if key == 'flags':
            return bool(int(value, 8) & os.O_ACCMODE)
    return False
