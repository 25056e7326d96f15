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
"""Explanation of a missing file, with the nearest name that is there."""

from __future__ import annotations

from itertools import islice
import os
from pathlib import Path

from dfp_ros.core.text.errors import near_names
from dfp_ros.core.text.printable import quoted, TEXT

# Largest number of entries of a folder that are looked at.
_MANY = 1000


def explain_missing(path: Path, suffixes: tuple[str, ...]) -> str:
    """
    Explain that a file is missing: where it was looked for, and which is there instead.

    :param path: The file.
    :param suffixes: Suffixes of the files that are suggested, for example ``.yaml``.
    """
    folder = path.absolute().parent
    if path.is_symlink():
        return (
            f'it is a symbolic link to {quoted(os.readlink(path), TEXT)}, and there is no such '
            'file; restore that file, or name another')
    if not folder.is_dir():
        return f'there is no such file (there is no folder {folder})'
    near = near_file(path, suffixes)
    hint = f'; did you mean {quoted(os.fspath(near), TEXT)}?' if near is not None else ''
    return f'there is no such file (looked in {folder}){hint}'


def near_file(path: Path, suffixes: tuple[str, ...]) -> Path | None:
    """
    Find the file beside a missing one whose name is most like its name.

    :param path: The missing file.
    :param suffixes: Suffixes of the files to look at; the missing one may lack them.
    """
    try:
        with os.scandir(path.parent) as entries:
            names = [
                entry.name for entry in islice(entries, _MANY)
                if entry.name.endswith(suffixes) and entry.name != path.name]
    except OSError:
        return None
    with_suffix = [f'{path.name}{suffix}' for suffix in suffixes]
    found = [name for name in with_suffix if name in names] or near_names(
        path.name, sorted(names), likeness=0.75)
    return path.with_name(found[0]) if found else None
