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
"""Limits of a robot's commands: intersection of policy file, description, URDF and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import math
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import UNBOUNDED, Vector
from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.command.limits import Limits
from dfp_ros.core.description.commands import CommandEntry, Stop
from dfp_ros.core.description.limit_check import (
    overlap_fault,
    range_fault,
    reach_of_joint,
    reach_of_unit,
    speed_fault,
    start_margin,
)
from dfp_ros.core.description.limits import URDF
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.urdf import JointLimits, require_joint
from dfp_ros.core.text.printable import quoted
from dfp_ros.core.units import ANGLE, LENGTH, read_unit
from dfp_ros.spec import PolicySpec

# Widest range, in turns, in which a reading without turns says where a joint is.
_WIDEST = 1.01
# A range and its origin.
_Range = tuple[str, Vector, Vector]


class LimitError(ValueError):
    """A limit is invalid, or an intersection of limits is empty; the message names the field."""


def make_limits(
        robot: RobotDescription, spec: PolicySpec, data_envelope: bool = False) -> Limits:
    """
    Intersect the limits of the policy file, the robot description, its URDF and the data.

    :param robot: The robot's description.
    :param spec: The policy's specification; they fit.
    :param data_envelope: Whether commands are kept within the range of the training data.
    :raises LimitError: If a limit fails :mod:`dfp_ros.core.description.limit_check`, if an
        intersection is empty, or if limits of a URDF are needed and there is none.
    :raises UrdfError: If a joint is not in the URDF, or has no limits there.
    """
    scale = ActionScale.of_policy(spec)
    ranges: list[_Range] = [('policy', scale.low, scale.high)]
    if data_envelope:
        data_low, data_high = (scale.command(np.array([
            value for member in spec.action for value in getattr(member, name)]))
            for name in ('data_low', 'data_high'))
        ranges.append(('data', data_low, data_high))
    low = np.max([lowest for _, lowest, _ in ranges], axis=0)
    high = np.min([highest for _, _, highest in ranges], axis=0)
    size = spec.action_size
    velocity, acceleration = np.full(size, UNBOUNDED), np.full(size, UNBOUNDED)
    position_low, position_high = np.full(size, -UNBOUNDED), np.full(size, UNBOUNDED)
    relative, margin = np.zeros(size, np.bool_), np.full(size, math.inf)
    stops, turn, zero = [Stop.KEEP] * size, np.full(size, math.inf), np.zeros(size)
    rotations: list[tuple[slice, str]] = []
    slices = spec.action_slices
    for topic in robot.commands:
        for entry in topic.entries:
            where, stop = slices[entry.action], topic.stop_of(entry)
            stops[where] = [stop] * entry.size
            relative[where] = entry.relative
            if entry.limits.acceleration is not None:
                acceleration[where] = entry.limits.acceleration
            fastest = _velocity(entry, robot.joints)
            source, lowest, highest = _position(entry, robot.joints)
            if stop.kind == 'velocity':
                # A standstill is allowed for any range.
                low[where] = np.minimum(np.maximum(low[where], -fastest), 0)
                high[where] = np.maximum(np.minimum(high[where], fastest), 0)
                _check_speeds(entry, stop, np.maximum(-low[where], high[where]))
            else:
                velocity[where] = fastest
                _check_speeds(entry, stop, fastest)
            if bool(entry.rotation) and stop is Stop.HOLD:
                rotations.append((where, entry.rotation))
            elif stop.kind == 'other' or (stop is Stop.HOLD and not entry.relative):
                low[where] = np.maximum(low[where], lowest)
                high[where] = np.minimum(high[where], highest)
                _check_ranges(
                    entry, stop, low[where], high[where],
                    [(name, lows[where], highs[where]) for name, lows, highs in ranges]
                    + [(source, lowest, highest)])
                lowest, highest = low[where], high[where]
            position_low[where], position_high[where] = lowest, highest
            if not entry.rotation and (entry.relative or (
                    stop.kind == 'velocity' and entry.limits.position is not None)):
                # Of others, the measured position counts at the start only, or not at all.
                turn[where] = _turn(entry, lowest, highest)
                if entry.measured is not None:
                    zero[where] = np.multiply(entry.measured.offset, entry.measured.scale)
            if stop.kind == 'position' and not entry.rotation:
                unit = read_unit(entry.unit)
                margin[where] = [
                    start_margin(unit, width) for width in (highest - lowest).tolist()]
    return Limits(
        low, high, tuple(stops), velocity, acceleration, position_low, position_high, margin,
        relative, tuple(rotations), turn, zero)


def _turn(entry: CommandEntry, lowest: Vector, highest: Vector) -> Vector:
    """Return the turns that a reading may leave out: none in a range of more than a turn."""
    turn = read_unit(entry.unit).turn
    is_endless = (lowest <= -UNBOUNDED) & (highest >= UNBOUNDED)
    return np.where(is_endless | (highest - lowest <= _WIDEST * turn), turn, math.inf)


def find_positions(robot: RobotDescription, spec: PolicySpec) -> NDArray[np.bool_]:
    """Return a mask of the numbers of an action that are positions, shape (act_dim,)."""
    found = np.zeros(spec.action_size, np.bool_)
    for topic in robot.commands:
        for entry in topic.entries:
            found[spec.action_slices[entry.action]] = topic.stop_of(entry).kind == 'position'
    return found


def find_relative(robot: RobotDescription, spec: PolicySpec) -> NDArray[np.bool_]:
    """Return a mask of the numbers of an action that are relative, shape (act_dim,)."""
    found = np.zeros(spec.action_size, np.bool_)
    for topic in robot.commands:
        for entry in topic.entries:
            found[spec.action_slices[entry.action]] = entry.relative
    return found


def require_joints(
        robot: RobotDescription, joints: Mapping[str, JointLimits]) -> RobotDescription:
    """
    Add the joints of the URDF that limits are taken from to a robot.

    :param robot: The robot's description.
    :param joints: All joints of the URDF, by name.
    :raises LimitError: If the limits of a required joint are invalid.
    :raises UrdfError: If such a joint is not in the URDF, or has no limits there.
    """
    needed: dict[str, JointLimits] = {}
    for topic in robot.commands:
        for entry in topic.entries:
            if entry.limits.needs_urdf:
                _velocity(entry, joints)
                _position(entry, joints)
                needed.update((name, joints[name]) for name in entry.urdf_joints)
    return replace(robot, joints=MappingProxyType(needed))


def describe_changes(
        robot: RobotDescription, joints: Mapping[str, JointLimits]) -> tuple[str, ...]:
    """
    Describe which limits of a robot would differ with another URDF.

    :param robot: The robot's description, with the joints of its URDF.
    :param joints: All joints of the other URDF, by name.
    :raises LimitError: As :func:`require_joints`, for the other URDF.
    :raises UrdfError: Likewise.
    """
    known, other = robot.joints or {}, require_joints(robot, joints).joints or {}
    found = {}
    for topic in robot.commands:
        for entry in topic.entries:
            for name in entry.urdf_joints if entry.limits.needs_urdf else ():
                then, now = known[name], other[name]
                if entry.limits.position == URDF and (then.low, then.high) != (now.low, now.high):
                    found[name, 'position'] = (
                        f'{then.low} to {then.high} then, {now.low} to {now.high} now')
                if entry.limits.velocity == URDF and then.velocity != now.velocity:
                    found[name, 'velocity'] = f'{then.velocity} then, {now.velocity} now'
    return tuple(f'joint {quoted(name)}: {key} {text}' for (name, key), text in found.items())


def _velocity(entry: CommandEntry, joints: Mapping[str, JointLimits] | None) -> Vector:
    """Return the largest velocity of a field."""
    given = entry.limits.velocity
    if given is None:
        return np.full(entry.size, UNBOUNDED)
    if not isinstance(given, str):
        return np.array(given)
    found = _joints(entry, joints, 'velocity')
    for name, joint in found:
        if fault := speed_fault(joint.velocity, reach_of_joint(joint.kind)):
            raise _urdf_error(entry, name, 'velocity', fault)
    return np.array([joint.velocity for _, joint in found])


def _position(
        entry: CommandEntry, joints: Mapping[str, JointLimits] | None) -> _Range:
    """Return the ranges of positions of a field, and their origins."""
    given = entry.limits.position
    if given is None:
        return '', np.full(entry.size, -UNBOUNDED), np.full(entry.size, UNBOUNDED)
    if not isinstance(given, str):
        return 'description', np.array(given[0]), np.array(given[1])
    found = _joints(entry, joints, 'position')
    for name, joint in found:
        # Older recordings lack the type.
        is_endless = joint.kind in ('continuous', '') and (
            joint.low, joint.high) == (-math.inf, math.inf)
        if not is_endless and (
                fault := range_fault(joint.low, joint.high, reach_of_joint(joint.kind))):
            raise _urdf_error(entry, name, 'position', fault)
    return (
        'URDF', np.array([joint.low for _, joint in found]),
        np.array([joint.high for _, joint in found]))


def _joints(
        entry: CommandEntry, joints: Mapping[str, JointLimits] | None, wanted: str,
) -> list[tuple[str, JointLimits]]:
    """Return the URDF joints of a field."""
    if joints is None:
        raise LimitError(
            f'{entry.limits.where}: found {URDF!r}, but there is no URDF; publish one on '
            'robot_description, or give numbers')
    measures = read_unit(entry.unit).measures
    found = []
    for name in entry.urdf_joints:
        joint = require_joint(joints, name, entry.limits.where, (wanted,))
        # Older recordings lack the type.
        if joint.kind and measures != (LENGTH if joint.kind == 'prismatic' else ANGLE):
            raise _urdf_error(entry, name, wanted, (
                f'found a joint of type {joint.kind!r}, whose limits are in '
                f'{"m" if joint.kind == "prismatic" else "rad"}, for an action in '
                f'{entry.unit!r}; correct the unit'))
        found.append((name, joint))
    return found


def _urdf_error(entry: CommandEntry, joint: str, key: str, fault: str) -> LimitError:
    """Make the error for an invalid limit of a joint of the URDF."""
    return LimitError(
        f'{entry.limits.where}: URDF: joint {joint!r}: {key}: {fault}; correct the URDF, or give '
        f'limits.{key} as numbers in the robot description')


def _check_speeds(entry: CommandEntry, stop: Stop, fastest: Vector) -> None:
    """
    Refuse implausible speeds, such as that of a wheel for a position, or a million for a wheel.

    A velocity that the policy never uses may have the limit 0; its range is the intersection of
    policy and limits.
    """
    reach = reach_of_unit(read_unit(entry.unit))
    for name, value in zip(_names(entry), fastest.tolist(), strict=True):
        if stop.kind == 'position' and (fault := speed_fault(value, reach)):
            raise LimitError(f'{entry.where}: {name}: limits.velocity: {fault}')
        if stop.kind == 'velocity' and value and (fault := speed_fault(value, reach)):
            raise LimitError(
                f'{entry.where}: {name}: policy, description, URDF and data leave a speed: '
                f'{fault}; give limits.velocity')


def _check_ranges(
        entry: CommandEntry, stop: Stop, low: Vector, high: Vector,
        ranges: list[_Range]) -> None:
    """Refuse an invalid range, and ranges that contradict each other."""
    reach = reach_of_unit(read_unit(entry.unit))
    for i, name in enumerate(_names(entry)):
        policy, *others = [
            (source, float(lows[i]), float(highs[i])) for source, lows, highs in ranges]
        moves = stop.kind == 'position' and policy[1] < policy[2]
        for source, lowest, highest in others if moves else []:
            if source == 'data' and (fault := range_fault(lowest, highest)):
                raise LimitError(
                    f'{entry.where}: {name}: training data: {fault}; set limits.data_envelope to '
                    'false')
        fault = overlap_fault(float(low[i]), float(high[i]), (policy, *(
            each for each in others if each[0])))
        if not fault and moves:
            fault = range_fault(float(low[i]), float(high[i]), reach)
        if fault:
            raise LimitError(
                f'{entry.where}: {name}: policy, description, URDF and data {fault}')


def _names(entry: CommandEntry) -> list[str]:
    """Name the numbers of a field for messages, with their joints if they are known."""
    joints = entry.urdf_joints
    return [
        f'{entry.action}[{i}]' + (f' (joint {joints[i]!r})' if len(joints) == entry.size else '')
        for i in range(entry.size)]
