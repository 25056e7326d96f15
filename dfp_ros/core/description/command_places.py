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
"""Places of a command's numbers in its message: each is given once, and none is left out."""

from __future__ import annotations

from collections.abc import Iterable

Place = int | str


def place_fault(path: str, places: Iterable[Place], taken: Iterable[Place]) -> str:
    """
    Explain which place of a message a field gives although another one gives it already.

    :param path: The message field, for example ``data``.
    :param places: What the field gives of it: indices or joints; an empty text for all of it.
    :param taken: What other fields give of it, or earlier ones of the same list.
    :return: The fault; empty if there is none.
    """
    taken = set(taken)
    for place in places:
        if place in taken:
            return f'{_named(path, place)} is given a second time; give each number once'
        taken.add(place)
    return ''


def gap_fault(path: str, places: Iterable[Place]) -> str:
    """
    Explain which element of an array no field gives.

    :param path: The message field.
    :param places: Everything that fields give of it.
    :return: The fault; empty if there is none.
    """
    indices = {place for place in places if isinstance(place, int)}
    missing = sorted(set(range(max(indices, default=-1))) - indices)
    if not missing:
        return ''
    return f'{_named(path, missing[0])} is given by no field, and must not be guessed'


def _named(path: str, place: Place) -> str:
    """Name a place as a message has it."""
    if isinstance(place, int):
        return f'{path}[{place}]'
    return f'{path}.{place}' if place else path
