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
"""Paths through nested messages, such as ``poses[2].position.x``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
import re
from typing import Any

from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import printable

_STEP = re.compile(r'([A-Za-z]\w*)((?:\[\d+\])*)')


def parse_path(path: str) -> tuple[str | int, ...]:
    """
    Split a path.

    :param path: For example ``poses[2].position``.
    :return: Names of fields and indices of arrays, for example ``('poses', 2, 'position')``.
    :raises ValueError: If it is not a path.
    """
    steps: list[str | int] = []
    for part in path.split('.'):
        found = _STEP.fullmatch(part)
        if not found:
            raise ValueError(
                f'found {path!r}, expected names with dots between them, and indices in brackets: '
                'poses[2].position')
        steps.append(found[1])
        steps += [int(index) for index in re.findall(r'\d+', found[2])]
    return tuple(steps)


def path_getter(path: str) -> Callable[[Any], Any]:
    """
    Make a function that follows a path through a message.

    :param path: As for :func:`parse_path`.
    :return: Takes a message and returns the value of the field; None if an array is too short.
    """
    if '[' not in path:
        return attrgetter(path)
    steps = parse_path(path)

    def get(message: Any) -> Any:
        for step in steps:
            if isinstance(step, str):
                message = getattr(message, step)
            elif step < len(message):
                message = message[step]
            else:
                return None
        return message
    return get


def path_fault(message: Any, paths: Iterable[str]) -> str:
    """
    Explain which path a message read from a recording does not have.

    :param message: The message, with its fields as attributes.
    :param paths: As for :func:`parse_path`.
    :return: The first fault; empty if there is none.
    """
    for path in paths:
        part = message
        for step in parse_path(path):
            if isinstance(step, int):
                if step >= len(part):
                    break
                part = part[step]
            elif hasattr(part, step):
                part = getattr(part, step)
            else:
                kind = getattr(part, '__msgtype__', type(part).__name__)
                known = [name for name in getattr(part, '__dataclass_fields__', ())
                         if not name.startswith('_')]
                return (
                    f'found the path {path!r}, but {printable(kind)} has no field {step!r}' + (
                        f'; {nearest(step, known)}' if known else ''))
    return ''
