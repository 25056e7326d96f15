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
"""The fields of the observation, as a robot description makes them of its sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dfp_ros.yaml_section import Section

YAW = 'yaw_cosine_sine'
_QUATERNION = ('w', 'x', 'y', 'z')


@dataclass(frozen=True)
class ObservationEntry:
    """
    A field of the observation: ``(what the message has + offset) * scale``.

    :param name: The field's name, as in the policy's specification.
    :param unit: The field's unit after scaling, as in the policy's specification.
    :param source: Name of the source.
    :param path: Message field, dotted, for example ``pose.position``.
    :param components: Members of that message field in the order wanted, or empty.
    :param joints: Joint names in the order wanted, or empty.
    :param indices: Elements of that array in the order wanted, or empty.
    :param transform: Empty, or :data:`YAW` for (cos, sin) of a quaternion's yaw.
    :param offset: One a number, in the message's unit.
    :param scale: One a number.
    :param where: File, line and key, for messages.
    """

    name: str
    unit: str
    source: str
    path: str
    components: tuple[str, ...]
    joints: tuple[str, ...]
    indices: tuple[int, ...]
    transform: str
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    where: str

    @property
    def size(self) -> int:
        """How many numbers the field has."""
        return len(self.offset)

    @property
    def leaves(self) -> tuple[str, ...]:
        """Message fields that are read, down to numbers, arrays and lists of names."""
        if self.components:
            return tuple(f'{self.path}.{component}' for component in self.components)
        return ('name', self.path) if self.joints else (self.path,)

    @property
    def is_quaternion(self) -> bool:
        """Whether what is read is a rotation, which must have length 1."""
        return sorted(self.components) == sorted(_QUATERNION)


def read_observation(
        section: Section, sources: Iterable[str], name: str = '', unit: str = ''
) -> ObservationEntry:
    """
    Read one field of the observation.

    :param section: Its keys.
    :param sources: Names of the sources that there are.
    :param name: Its name, where the keys do not say it.
    :param unit: Its unit, where the keys do not say it.
    :raises DescriptionError: At the first thing that is wrong.
    """
    keys = section.mapping(
        (('source', 'path') if name else ('name', 'unit', 'source', 'path')),
        ('components', 'joints', 'indices', 'transform', 'offset', 'scale'))
    section.at_most_one(keys, ('components', 'joints', 'indices', 'transform'))
    components = keys['components'].texts() if 'components' in keys else ()
    joints = keys['joints'].texts() if 'joints' in keys else ()
    indices = keys['indices'].indices() if 'indices' in keys else ()
    transform = keys['transform'].choice([YAW]) if 'transform' in keys else ''
    if transform:
        components = _QUATERNION
        size = 2
    else:
        size = max(1, len(components), len(joints), len(indices))
    offset = keys['offset'].numbers(size) if 'offset' in keys else (0.0,) * size
    scale = keys['scale'].numbers(size) if 'scale' in keys else (1.0,) * size
    return ObservationEntry(
        name or keys['name'].text(), unit or keys['unit'].text(), keys['source'].choice(sources),
        keys['path'].text(), components, joints, indices, transform, offset, scale,
        section.where)
