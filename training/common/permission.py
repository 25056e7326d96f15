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
"""Files that another user has, and this one may not read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import errno
import os
from pathlib import Path


@contextmanager
def permitted(path: Path, kind: Callable[[str], Exception]) -> Iterator[None]:
    """
    Have a permission that is missing told as such: readers take errors of a file for damage.

    :param path: What is read, for the error.
    :param kind: Makes the error of its message.
    """
    try:
        yield
    except PermissionError as error:
        raise kind(
            f'{error.filename or path}: this user may not read it '
            f'({os.strerror(error.errno or errno.EACCES)}); have its owner make it readable, as '
            'with `chmod -R a+rX`, or run this as its owner') from error
