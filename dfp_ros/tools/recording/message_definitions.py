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
"""Message definitions from the installed packages, to be stored in a recording."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ament_index_python import get_package_share_directory
from rosbags.interfaces import Nodetype
from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore


def find_definitions(types: Iterable[str]) -> Typestore:
    """
    Read the definitions of message types and of their nested types.

    :param types: Names of installed types, for example ``sensor_msgs/msg/JointState``.
    """
    found: dict[str, Any] = {}
    wanted = list(types)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.update(_parse(name))
            wanted += [inner for _, field in found[name][1] for inner in _inner(field)]
    store = get_typestore(Stores.EMPTY)
    store.register(found)
    return store


def _parse(name: str) -> Any:
    """Parse the definition file of one message type."""
    package, _, member = name.split('/')
    path = Path(get_package_share_directory(package), 'msg', f'{member}.msg')
    if path.is_file():
        return get_types_from_msg(path.read_text(encoding='utf-8'), name)
    return get_types_from_idl(path.with_suffix('.idl').read_text(encoding='utf-8'))


def _inner(field: Any) -> list[str]:
    """Return the nested message type of a field, if it has one."""
    kind, content = field
    if kind == Nodetype.NAME:
        return [content]
    return _inner(content[0]) if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE) else []
