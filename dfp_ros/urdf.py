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
"""The limits of joints, out of a robot's URDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any, NoReturn
from xml.etree import ElementTree

from dfp_ros.yaml_section import nearest


class UrdfError(ValueError):
    """A URDF cannot be read, or does not say what is asked of it."""


@dataclass(frozen=True)
class JointLimits:
    """
    What a joint can do, in rad or m.

    :param low: Lowest position; minus infinity for a joint that turns without end.
    :param high: Highest position; infinity for a joint that turns without end.
    :param velocity: Largest speed a second.
    """

    low: float
    high: float
    velocity: float


class _NoEntities(ElementTree.TreeBuilder):
    """Builds a tree of a file that defines no entities, which could grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        """Refuse what entities are defined in; a URDF has none."""
        raise UrdfError('URDF: found a DOCTYPE, which no URDF needs; remove it')


def read_joint_limits(text: str) -> dict[str, JointLimits]:
    """
    Read the limits of all joints that have some.

    Where a joint has a ``safety_controller``, its soft limits are taken, as far as they are
    narrower.

    :param text: The URDF, as ``robot_description`` publishes it.
    :return: Limits by joint name.
    :raises UrdfError: Where the text is no URDF, or a limit is no number.
    """
    try:
        root = ElementTree.fromstring(
            text, parser=ElementTree.XMLParser(target=_NoEntities()))
    except ElementTree.ParseError as error:
        raise UrdfError(f'URDF: found text that is not XML: {error}') from error
    if root.tag != 'robot':
        raise UrdfError(f'URDF: found <{root.tag}>, expected <robot>')
    found = {}
    for joint in root.findall('joint'):
        name, kind = joint.get('name', ''), joint.get('type', '')
        limit = joint.find('limit')
        if kind not in ('revolute', 'prismatic', 'continuous') or limit is None:
            continue
        low, high = -math.inf, math.inf
        if kind != 'continuous':
            # The format's own default for both is 0.
            low, high = _number(name, limit, 'lower', '0'), _number(name, limit, 'upper', '0')
            if low > high:
                raise UrdfError(f'URDF: joint {name!r}: found lower {low} above upper {high}')
            soft = joint.find('safety_controller')
            if soft is not None:
                low = max(low, _number(name, soft, 'soft_lower_limit', str(low)))
                high = min(high, _number(name, soft, 'soft_upper_limit', str(high)))
        found[name] = JointLimits(low, high, _number(name, limit, 'velocity', 'nothing'))
    return found


def require_joint(limits: Mapping[str, JointLimits], joint: str, where: str) -> JointLimits:
    """
    Find one joint.

    :param limits: Limits by joint name.
    :param joint: Its name.
    :param where: File, line and key, for the message of an error.
    :raises UrdfError: Where it is not there, or cannot be limited by what is.
    """
    if joint not in limits:
        raise UrdfError(
            f'{where}: the URDF has no limits for joint {joint!r}; '
            + (nearest(joint, limits) if limits else 'it has none at all'))
    return limits[joint]


def _number(joint: str, element: Any, attribute: str, default: str) -> float:
    """Read one attribute of a joint."""
    text = element.get(attribute, default)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UrdfError(
            f'URDF: joint {joint!r}: <{element.tag}> has {attribute}: {text}, expected a number')
    return number
