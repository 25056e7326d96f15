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
"""Path as a user writes it on a command line."""

from __future__ import annotations

import argparse
import errno
import os
from pathlib import Path

from dfp_ros.core.text.printable import printable

# Errors of a path that no file can have; others are explained by whoever opens it.
_IMPOSSIBLE = (errno.ENAMETOOLONG, errno.EINVAL)


class PathError(argparse.ArgumentTypeError, ValueError):
    """No file can have such a path."""


def user_path(text: str | Path) -> Path:
    """
    Expand ``~`` and ``~user`` at the start of a path, which a shell leaves in ``--out=~/x``.

    :param text: The path; the name of an unknown user stays as it is, as in a shell.
    :raises PathError: If no file can have that path, such as one that is too long.
    """
    path = Path(text)
    try:
        path = path.expanduser()
    except RuntimeError:
        pass
    try:
        os.lstat(path)
    except (OSError, ValueError) as error:
        if not isinstance(error, OSError) or error.errno in _IMPOSSIBLE:
            found = error.strerror if isinstance(error, OSError) else error
            raise PathError(
                f'{printable(str(path))}: no file can have that path: {found}') from error
    return path
