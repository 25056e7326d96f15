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
"""Field selector: the numbers of one source that a description asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dfp_ros.core.description.field_path import parse_path
from dfp_ros.core.description.yaml_section import Section

#: Keys that select numbers of a message field; at most one of them is allowed.
PICKS = ('components', 'joints', 'indices')
KEYS = (*PICKS, 'names')
QUATERNION = ('w', 'x', 'y', 'z')

# Names searched for the nearest one.
_FEW = 20


@dataclass(frozen=True)
class FieldSelector:
    """
    Selection of numbers of one source.

    :param source: Name of the source.
    :param path: Message field, dotted, for example ``pose.position`` or ``poses[2].position``.
    :param components: Members of that message field in the required order, or empty.
    :param joints: Joint names in the required order, or empty.
    :param indices: Elements of that array in the required order, or empty.
    :param where: File, line and key, for messages.
    :param names: Message field with the names of the joints.
    """

    source: str
    path: str
    components: tuple[str, ...]
    joints: tuple[str, ...]
    indices: tuple[int, ...]
    where: str
    names: str = 'name'

    @property
    def size(self) -> int:
        """Count of the numbers."""
        return max(1, len(self.components), len(self.joints), len(self.indices))

    @property
    def leaves(self) -> tuple[str, ...]:
        """Message fields that are read: numbers, arrays and lists of names."""
        if self.components:
            return tuple(f'{self.path}.{component}' for component in self.components)
        return (self.names, self.path) if self.joints else (self.path,)

    @property
    def is_quaternion(self) -> bool:
        """Whether the numbers are a quaternion, which must have length 1."""
        return sorted(self.components) == sorted(QUATERNION)


def read_reading(
        keys: Mapping[str, Section], section: Section, sources: Iterable[str]) -> FieldSelector:
    """
    Read a field selector.

    :param keys: Keys ``source`` and ``path``, and those of :data:`KEYS` that are there.
    :param section: Section that the keys belong to.
    :param sources: Names of all sources.
    :raises DescriptionError: At the first error.
    """
    section.at_most_one(keys, PICKS)
    if 'names' in keys and 'joints' not in keys:
        raise keys['names'].error('found names without joints; say which joints are meant')
    return FieldSelector(
        keys['source'].choice(sources), read_path(keys['path']),
        keys['components'].texts() if 'components' in keys else (),
        keys['joints'].texts() if 'joints' in keys else (),
        keys['indices'].indices() if 'indices' in keys else (), section.where,
        read_path(keys['names']) if 'names' in keys else 'name')


def read_path(section: Section) -> str:
    """
    Read the path of a message field.

    :raises DescriptionError: If it is not a path.
    """
    path = section.text()
    try:
        parse_path(path)
    except ValueError as error:
        raise section.error(str(error)) from error
    return path
