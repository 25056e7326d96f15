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
"""JSON files that this package has written, and that a person or a full disk may have changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dfp_ros.core.files.bounded_file import LARGEST_TEXT, read_regular
from dfp_ros.core.files.bounded_json import JsonError, read_json
from dfp_ros.core.text.printable import quoted


class JsonFileError(ValueError):
    """A file does not have what this package writes."""


def read_object(path: Path, keys: tuple[str, ...], remedy: str) -> dict[str, Any]:
    """
    Read a file of keys and values.

    :param path: The file.
    :param keys: Keys that it has to have.
    :param remedy: What a person is to do if it is damaged.
    :raises JsonFileError: If it is damaged, or no regular file.
    """
    try:
        found = read_json(read_regular(path, LARGEST_TEXT), LARGEST_TEXT, infinite=True)
    except (OSError, JsonError) as error:
        raise JsonFileError(f'{path}: cannot be read: {error}; {remedy}') from error
    if not isinstance(found, dict) or not all(key in found for key in keys):
        raise JsonFileError(
            f'{path}: found {quoted(found)}, expected keys and values'
            + (f' with {" and ".join(keys)}' if keys else '') + f'; {remedy}')
    return found
