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
"""What a URDF says of joints, as far as it can be believed, for a description to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import NoReturn
from xml.etree import ElementTree

MOST_CHARACTERS = 4_000_000
_UNITS = {'revolute': 'rad', 'continuous': 'rad', 'prismatic': 'm'}


@dataclass(frozen=True)
class Joint:
    """
    A joint; what is not said, or cannot be meant, is None.

    :param unit: ``rad`` or ``m``; empty for a joint that nobody described.
    :param low: Lowest position.
    :param high: Highest position.
    :param velocity: Largest speed.
    """

    unit: str = ''
    low: float | None = None
    high: float | None = None
    velocity: float | None = None


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds a tree of a file that defines no entities, which could grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        """Refuse it."""
        raise ValueError('found a DOCTYPE, which no URDF needs')


def read_joints(urdf: str) -> tuple[dict[str, Joint], str]:
    """
    Read the joints of a URDF.

    :param urdf: Its text; empty for none.
    :return: Joints by name, and what is wrong with the text, empty where nothing is.
    """
    if not urdf:
        return {}, ''
    if len(urdf) > MOST_CHARACTERS:
        return {}, f'has {len(urdf)} characters, expected at most {MOST_CHARACTERS}'
    try:
        root = ElementTree.fromstring(
            urdf.strip(), parser=ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError) as error:
        return {}, f'is no XML that can be read: {error}'
    joints = {}
    for element in root.findall('joint'):
        unit, limit = _UNITS.get(element.get('type', '')), element.find('limit')
        if unit is None:
            continue
        low = high = velocity = None
        if limit is not None:
            velocity = _number(limit.get('velocity'))
            if element.get('type') != 'continuous':
                low, high = _number(limit.get('lower')), _number(limit.get('upper'))
        if low is None or high is None or low >= high:
            low = high = None
        joints[element.get('name', '')] = Joint(
            unit, low, high, velocity if velocity is not None and velocity > 0 else None)
    return joints, ''


def by_unit(
        names: Sequence[str], joints: dict[str, Joint]) -> list[tuple[str, tuple[int, ...]]]:
    """
    Put joints of one unit together.

    :param names: The joints.
    :param joints: What is known of joints.
    :return: Units in order of appearance, each with the places of its joints in ``names``; one
        empty unit for all of them where one of them is not known.
    """
    units = [joints.get(name, Joint()).unit for name in names]
    if not all(units):
        return [('', tuple(range(len(names))))]
    return [
        (unit, tuple(i for i, each in enumerate(units) if each == unit))
        for unit in dict.fromkeys(units)]


def _number(text: str | None) -> float | None:
    """Read a finite number."""
    try:
        number = float(text or '')
    except ValueError:
        return None
    return number if math.isfinite(number) else None
