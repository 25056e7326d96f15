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
"""Joint limits of a URDF, as far as plausible, for a scaffolded description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from dfp_ros.core.description.urdf import JointLimits, read_joint_limits, UrdfError

_UNITS = {'revolute': 'rad', 'continuous': 'rad', 'prismatic': 'm'}


@dataclass(frozen=True)
class Joint:
    """
    Joint of a URDF; missing and implausible values are None.

    :param unit: ``rad`` or ``m``; empty for a joint that the URDF lacks.
    :param low: Lowest position.
    :param high: Highest position.
    :param velocity: Largest speed.
    """

    unit: str = ''
    low: float | None = None
    high: float | None = None
    velocity: float | None = None


def read_joints(urdf: str) -> tuple[dict[str, Joint], str]:
    """
    Read the joints of a URDF.

    :param urdf: Its text; empty for none.
    :return: Joints by name, and the fault of the text; empty if it has none.
    """
    if not urdf:
        return {}, ''
    try:
        limits = read_joint_limits(urdf)
    except UrdfError as error:
        return {}, str(error)
    return {name: _joint(found) for name, found in limits.items()}, ''


def _joint(limits: JointLimits) -> Joint:
    """Keep the plausible values of a joint."""
    low, high, velocity = limits.low, limits.high, limits.velocity
    has_range = not limits.position_fault and math.isfinite(low) and math.isfinite(high) and (
        low < high)
    has_velocity = not limits.velocity_fault and math.isfinite(velocity) and velocity > 0
    return Joint(
        _UNITS.get(limits.kind, ''), low if has_range else None, high if has_range else None,
        velocity if has_velocity else None)


def by_unit(
        names: Sequence[str], joints: dict[str, Joint]) -> list[tuple[str, tuple[int, ...]]]:
    """
    Group joints by unit.

    :param names: The joints.
    :param joints: Known joints.
    :return: Units in order of appearance, each with the indices of its joints in ``names``; one
        empty unit for all of them if one of them is unknown.
    """
    units = [joints.get(name, Joint()).unit for name in names]
    if not all(units):
        return [('', tuple(range(len(names))))]
    return [
        (unit, tuple(i for i, each in enumerate(units) if each == unit))
        for unit in dict.fromkeys(units)]
