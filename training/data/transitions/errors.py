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
"""Error of data that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import os
from pathlib import Path

from dfp_ros.core.text.printable import printable, TEXT
from training.common import permission


class DataError(ValueError):
    """Data are missing, damaged, or do not fit the environment."""


@contextmanager
def permitted(path: Path) -> Iterator[None]:
    """
    Require that there may be data, and that this user may read them.

    See :func:`training.common.permission.permitted`.

    :param path: What is read, for the error.
    :raises DataError: If it may not, also within the block, or no file can have that name.
    """
    try:
        with permission.permitted(path, DataError):
            yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise DataError(
            f'{printable(path, TEXT)}: found a name that no file can have '
            f'({os.strerror(errno.ENAMETOOLONG)}); name a data file, or a folder of them'
        ) from error
