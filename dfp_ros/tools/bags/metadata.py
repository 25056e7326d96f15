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
"""Parser of a rosbag2 folder's ``metadata.yaml``, limited to the keys needed for reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

import yaml

from dfp_ros.core.files.bounded_yaml import compose_yaml, convert_node
from dfp_ros.core.text.printable import printable, quoted

NAME = 'metadata.yaml'
# Largest size that is read, in bytes, and most values; a thousand topics take some 600,000 bytes
# and 30,000 values.
_LARGEST, _MOST_VALUES = 1 << 20, 50_000
_NEWEST = 9


class MetadataError(ValueError):
    """The file is missing or invalid; the message describes the fault."""


@dataclass(frozen=True)
class BagMetadata:
    """
    Files of a bag and their compression.

    :param names: File names, in order.
    :param compression: ``file``, ``message``, or empty for none.
    :param messages: Number of messages; None if unknown.
    """

    names: tuple[str, ...] = ()
    compression: str = ''
    messages: int | None = None


def read_metadata(folder: Path) -> BagMetadata:
    """
    Read ``metadata.yaml`` of a folder.

    :raises MetadataError: If it is missing or invalid.
    """
    path = folder / NAME
    if not path.is_file():
        raise MetadataError(f'{NAME} is missing')
    if path.stat().st_size > _LARGEST:
        raise MetadataError(f'{NAME} has more than {_LARGEST} bytes')
    try:
        top = compose_yaml(path.read_text(encoding='utf-8'), _LARGEST, _MOST_VALUES)
        found = _members(_members(top).get('rosbag2_bagfile_information'))
        version, names, mode, compression, messages = (
            convert_node(found[key]) if key in found else None
            for key in ('version', 'relative_file_paths', 'compression_mode',
                        'compression_format', 'message_count'))
    except ValueError as error:
        raise MetadataError(f'{NAME} cannot be read: {printable(error, 200)}') from error
    if not isinstance(version, int) or version > _NEWEST:
        raise MetadataError(
            f'{NAME} is of version {printable(version)}, expected {_NEWEST} or earlier')
    if not isinstance(names, list) or not names or not all(
            isinstance(name, str) and PurePath(name).name for name in names):
        raise MetadataError(f'{NAME} names no files')
    mode = '' if str(mode).lower() == 'none' else str(mode).lower()
    if mode not in ('', 'file', 'message') or (mode and compression != 'zstd'):
        raise MetadataError(
            f'{NAME} has the compression {quoted(mode)} by {quoted(compression)}, expected file '
            'or message by zstd')
    return BagMetadata(
        tuple(dict.fromkeys(PurePath(name).name for name in names)), mode,
        messages if isinstance(messages, int) else None)


def _members(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """Return the members of a mapping; merges (``<<``) are not followed."""
    if not isinstance(node, yaml.MappingNode):
        raise ValueError('found no mapping that is called rosbag2_bagfile_information')
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
