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
"""The limits of a robot's commands, from all who have a say."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dfp_ros.braking import UNBOUNDED, Vector
from dfp_ros.command_description import CommandEntry, Stop
from dfp_ros.limit_description import URDF
from dfp_ros.limits import ActionScale, Limits
from dfp_ros.robot_description import RobotDescription
from dfp_ros.spec import PolicySpec
from dfp_ros.urdf import JointLimits, require_joint


class LimitError(ValueError):
    """Limits leave nothing that could be commanded; the message names the field."""


def make_limits(
        robot: RobotDescription, spec: PolicySpec, data_envelope: bool = False) -> Limits:
    """
    Intersect what the policy file, the robot's description, its URDF and the data allow.

    :param robot: The robot's description.
    :param spec: The policy's specification; they fit.
    :param data_envelope: Whether commands stay within those of the training data.
    :raises LimitError: Where nothing is left of a range, or limits of a URDF are wanted and there
        is none.
    :raises UrdfError: Where a joint is not in the URDF.
    """
    scale = ActionScale(spec)
    low, high = scale.low.copy(), scale.high.copy()
    if data_envelope:
        low, high = (scale.command(np.array([
            value for member in spec.action for value in getattr(member, name)]))
            for name in ('data_low', 'data_high'))
        low, high = np.maximum(low, scale.low), np.minimum(high, scale.high)
    size = spec.action_size
    velocity, acceleration = np.full(size, UNBOUNDED), np.full(size, UNBOUNDED)
    place_low, place_high = np.full(size, -UNBOUNDED), np.full(size, UNBOUNDED)
    relative = np.zeros(size, np.bool_)
    stops = [Stop.KEEP] * size
    rotations: list[tuple[slice, str]] = []
    places = spec.action_slices
    for topic in robot.commands:
        for entry in topic.entries:
            where = places[entry.action]
            stops[where] = [topic.stop] * entry.size
            relative[where] = entry.relative
            if entry.limits.acceleration is not None:
                acceleration[where] = entry.limits.acceleration
            fastest = _velocity(entry, robot.joints)
            lowest, highest = _position(entry, robot.joints)
            if topic.stop.kind == 'velocity':
                # Whatever the range, the robot may stand still.
                low[where] = np.minimum(np.maximum(low[where], -fastest), 0)
                high[where] = np.maximum(np.minimum(high[where], fastest), 0)
            else:
                velocity[where] = fastest
            is_turn = bool(entry.rotation) and topic.stop is Stop.HOLD
            if is_turn:
                rotations.append((where, entry.rotation))
            elif topic.stop.kind == 'other' or (topic.stop is Stop.HOLD and not entry.relative):
                low[where] = np.maximum(low[where], lowest)
                high[where] = np.minimum(high[where], highest)
                lowest, highest = low[where], high[where]
            place_low[where], place_high[where] = lowest, highest
            _require_range(entry, low[where], high[where])
    return Limits(
        low, high, tuple(stops), velocity, acceleration, place_low, place_high, relative,
        tuple(rotations))


def find_positions(robot: RobotDescription, spec: PolicySpec) -> NDArray[np.bool_]:
    """Find which numbers of an action are positions, shape (act_dim,)."""
    found = np.zeros(spec.action_size, np.bool_)
    for topic in robot.commands:
        for entry in topic.entries:
            found[spec.action_slices[entry.action]] = topic.stop.kind == 'position'
    return found


def _velocity(entry: CommandEntry, joints: Mapping[str, JointLimits] | None) -> Vector:
    """Find the largest velocity of a field."""
    given = entry.limits.velocity
    if given is None:
        return np.full(entry.size, UNBOUNDED)
    if isinstance(given, str):
        return np.array([joint.velocity for joint in _joints(entry, joints)])
    return np.array(given)


def _position(
        entry: CommandEntry, joints: Mapping[str, JointLimits] | None) -> tuple[Vector, Vector]:
    """Find the lowest and the highest position of a field."""
    given = entry.limits.position
    if given is None:
        return np.full(entry.size, -UNBOUNDED), np.full(entry.size, UNBOUNDED)
    if isinstance(given, str):
        found = _joints(entry, joints)
        return np.array([joint.low for joint in found]), np.array([joint.high for joint in found])
    return np.array(given[0]), np.array(given[1])


def _joints(
        entry: CommandEntry, joints: Mapping[str, JointLimits] | None) -> list[JointLimits]:
    """Find the joints of a field in the URDF."""
    if joints is None:
        raise LimitError(
            f'{entry.limits.where}: found {URDF!r}, but there is no URDF; publish one on '
            'robot_description, or give numbers')
    return [require_joint(joints, name, entry.limits.where) for name in entry.urdf_joints]


def _require_range(entry: CommandEntry, low: Vector, high: Vector) -> None:
    """Refuse a range in which nothing is left."""
    if (low > high).any():
        i = int(np.flatnonzero(low > high)[0])
        raise LimitError(
            f'{entry.where}: {entry.action}[{i}]: policy, description, URDF and data together '
            f'leave {low[i]:g} to {high[i]:g}, expected low below high')
