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
"""Command topics of a robot description, and the mapping of actions to their message fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
import enum
import math
from types import MappingProxyType

from dfp_ros.core.description.command_kind import (
    fixed_fault,
    KindEvidence,
    KINDS,
    measured_fault,
    stop_fault,
    VELOCITY,
)
from dfp_ros.core.description.command_places import gap_fault, Place, place_fault
from dfp_ros.core.description.limit_check import amount_fault
from dfp_ros.core.description.limits import FieldLimits, read_field_limits, URDF, urdf_range_fault
from dfp_ros.core.description.message_units import unit_fault
from dfp_ros.core.description.observation import (
    ObservationEntry,
    ORDERS,
    read_observation,
    rotation_fault,
)
from dfp_ros.core.description.sources import Source
from dfp_ros.core.description.topic_name import read_topic
from dfp_ros.core.description.yaml_section import Section
from dfp_ros.core.rotations import COMMAND_ENCODINGS
from dfp_ros.core.text.numbers import all_shown, shown
from dfp_ros.core.units import ANGLE, LENGTH, read_unit

POINT, CHUNK = 'point', 'chunk'
# Largest difference of the offsets of a command and of its measurement, in the message's unit.
_LARGEST_SHIFT = 1e-3
# Largest time from start of a trajectory's first point, in s.
MOST_AHEAD = 60.0
_COMPONENTS = ('x', 'y', 'z')
TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory'
#: Actions that a command can be the goal of, and the message in it that has the command.
ACTIONS = MappingProxyType({
    'control_msgs/action/FollowJointTrajectory': TRAJECTORY,
    'control_msgs/action/GripperCommand': 'control_msgs/msg/GripperCommand'})
#: Messages whose arrays are in the order of a list of joint names.
JOINT_NAMES = MappingProxyType({
    TRAJECTORY: 'joint_names', 'sensor_msgs/msg/JointState': 'name'})


class Stop(enum.Enum):
    """How an output is stopped; its kind follows from it."""

    #: A velocity: zero at once.
    ZERO = 'zero'
    #: A velocity: down to zero as fast as the acceleration allows.
    RAMP = 'ramp'
    #: A position: come to rest as fast as the acceleration allows, and stay there.
    HOLD = 'hold'
    #: Anything else, such as a gripper: repeat the last command.
    KEEP = 'keep'

    @property
    def kind(self) -> str:
        """Kind of the outputs that are stopped like this."""
        return {Stop.HOLD: 'position', Stop.KEEP: 'other'}.get(self, 'velocity')


@dataclass(frozen=True)
class CommandEntry:
    """
    Mapping of a field of the action to a command message, as ``value * scale + offset``.

    :param action: The action field's name, as in the policy's specification.
    :param unit: Its unit, as in the policy's specification.
    :param path: Message field, dotted, for example ``twist.linear``.
    :param components: Members of that message field, one for each number of the action, or empty.
    :param indices: Elements of that array, one for each number of the action, or empty.
    :param where: File, line and key, for messages.
    :param limit: Command for an action of 1, one for each number; empty if the policy file has it.
        Recordings without a policy need it.
    :param joints: Joints that its numbers are for, or empty.
    :param rotation: Encoding of a rotation, a name of
        :data:`dfp_ros.core.rotations.COMMAND_ENCODINGS`, or empty.
    :param scale: From the action's unit to the message's, one a number, or empty for 1.
    :param offset: In the message's unit, one a number, or empty for 0.
    :param limits: Its limits.
    :param measured: Measured position in these numbers; None if it is not given.
    :param relative: Whether the action is relative to the measured position.
    :param stop: Its stop; None for that of its topic.
    """

    action: str
    unit: str
    path: str
    components: tuple[str, ...]
    indices: tuple[int, ...]
    where: str
    limit: tuple[float, ...] = ()
    joints: tuple[str, ...] = ()
    rotation: str = ''
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    limits: FieldLimits = FieldLimits()
    measured: ObservationEntry | None = None
    relative: bool = False
    stop: Stop | None = None

    @property
    def size(self) -> int:
        """How many numbers of the action it takes."""
        if self.rotation:
            return COMMAND_ENCODINGS[self.rotation].size
        return max(1, len(self.components), len(self.indices), len(self.joints))

    @property
    def places(self) -> Mapping[str, tuple[Place, ...]]:
        """Message fields that it gives, with indices or joints of each; ``''`` for all of it."""
        members = 'xyzw' if self.rotation else self.components
        return {f'{self.path}.{name}': ('',) for name in members} or {
            self.path: self.indices or self.joints or ('',)}

    @property
    def urdf_joints(self) -> tuple[str, ...]:
        """Joints that its numbers are for, if the description names them."""
        reading = None if self.measured is None else self.measured.reading
        return self.joints or (() if reading is None else reading.joints)


@dataclass(frozen=True)
class CommandTopic:
    """
    A command topic.

    :param name: Its name in the description.
    :param topic: Topic name, relative unless it starts with a slash.
    :param type: Message type, for example ``geometry_msgs/msg/TwistStamped``.
    :param frame_id: Frame of the command (REP-103), empty for a message without one.
    :param stop: How its outputs are stopped.
    :param entries: Action fields and the message fields that they go to.
    :param where: File, line and key, for messages.
    :param fixed: Constant message fields, by path.
    :param trajectory: Of a trajectory: :data:`POINT`, the next command only, or :data:`CHUNK`,
        with the planned commands after it.
    :param time_from_start: Time from start of a trajectory's first point, in s; None for one
        control period of the policy.
    :param is_stamped: Whether the header gets the time; else it stays zero, which means now.
    :param action: Action whose goals have the messages, a key of :data:`ACTIONS`; empty for a
        topic.
    :param goal_change: Smallest change of a number for which an action gets a new goal.
    :param has_velocities: Whether the points of a trajectory have velocities beside positions.
    """

    name: str
    topic: str
    type: str
    frame_id: str
    stop: Stop
    entries: tuple[CommandEntry, ...]
    where: str
    fixed: Mapping[str, str | bool | int | float] = field(default_factory=dict)
    trajectory: str = POINT
    time_from_start: float | None = None
    is_stamped: bool = True
    action: str = ''
    goal_change: float = 0.0
    has_velocities: bool = True

    def stop_of(self, entry: CommandEntry) -> Stop:
        """How one of its fields is stopped."""
        return entry.stop or self.stop


def read_command(
        name: str, section: Section, sources: Mapping[str, Source]) -> CommandTopic:
    """
    Read one command topic.

    :param name: Its name in the description.
    :param section: Its keys.
    :param sources: All sources by name.
    :raises DescriptionError: At the first error.
    """
    keys = section.mapping(('topic', 'type', 'stop', 'fields'), (
        'kind', 'frame_id', 'fixed', 'trajectory', 'velocities', 'time_from_start', 'stamp',
        'goal_change'))
    stop, kind = _read_stop(keys)
    topic, message = read_topic(keys['topic']), keys['type'].text()
    action = ''
    if '/action/' in message:
        action = keys['type'].choice(ACTIONS)
        message = ACTIONS[action]
    if 'goal_change' in keys and not action:
        raise keys['goal_change'].error(
            f'found this key with type {message}; it is for {" and ".join(ACTIONS)}')
    for key in ('trajectory', 'velocities', 'time_from_start'):
        if key in keys and message != TRAJECTORY:
            raise keys[key].error(f'found this key with type {message}; it is for {TRAJECTORY}')
    trajectory = keys['trajectory'].choice((POINT, CHUNK)) if 'trajectory' in keys else POINT
    if 'velocities' in keys and trajectory != CHUNK:
        raise keys['velocities'].error(
            f'found this key with trajectory: {POINT}, of which the only point has no '
            f'velocities; it is for trajectory: {CHUNK}')
    if 'goal_change' in keys and trajectory == CHUNK:
        raise keys['goal_change'].error(
            f'found this key with trajectory: {CHUNK}, of which each plan is a goal of its own; '
            f'it is for trajectory: {POINT}')
    entries = []
    # Fields that are stopped by zeros.
    zeroed: set[str] = set()
    taken: dict[str, set[Place]] = {}
    for item in keys['fields'].items():
        own, own_kind = _read_stop(item.entries(), stop, kind)
        entries.append(entry := _read_entry(item, own, sources))
        for path, added in entry.places.items():
            others = taken.setdefault(path, set())
            if fault := place_fault(path, added, others):
                raise item.error(fault)
            others.update(added)
        if 'frame_id' in keys and entry.measured is not None:
            _require_same_frame(
                item.entries()['measured'], entry, keys['frame_id'].text().lstrip('/'), sources)
        evidence = _kind_evidence(entry, topic, message, own_kind)
        if fault := stop_fault(evidence, own.value, own.kind):
            raise item.error(fault)
        _require_standstill(item, entry, own)
        if not entry.scale and not entry.rotation and (fault := unit_fault(
                entry.unit, message, entry.path, True)):
            raise item.error(fault)
        if own.kind == VELOCITY:
            zeroed.update(evidence.paths)
    for path, places in taken.items():
        if fault := gap_fault(path, places):
            raise section.error(fault)
    fixed = {
        path: value.scalar() for path, value in keys['fixed'].entries().items()
    } if 'fixed' in keys else {}
    for path, value in fixed.items():
        if not value or not isinstance(value, int | float):
            continue
        number = KindEvidence('', message, (path,), '', '')
        if what := fixed_fault(number, _is_beside(path, zeroed)):
            raise keys['fixed'].error(
                f'found {value} for {path!r}, {what} that no stop would end; only 0 can be fixed '
                'there')
    return CommandTopic(
        name, topic, message,
        keys['frame_id'].text() if 'frame_id' in keys else '', stop, tuple(entries),
        section.where,
        MappingProxyType(fixed), trajectory,
        keys['time_from_start'].positive(MOST_AHEAD) if 'time_from_start' in keys else None,
        'stamp' not in keys or keys['stamp'].choice(('now', 'zero')) == 'now', action,
        keys['goal_change'].positive() if 'goal_change' in keys else 0.0,
        'velocities' not in keys or keys['velocities'].truth())


def _read_stop(
        keys: Mapping[str, Section], stop: Stop | None = None, kind: str = '',
) -> tuple[Stop, str]:
    """
    Read how a topic or a field is stopped, and its declared kind.

    :param keys: The topic's keys, or the field's.
    :param stop: The topic's stop, for a field without its own.
    :param kind: The topic's kind, likewise.
    """
    if stop is None or 'stop' in keys:
        stop, kind = Stop(keys['stop'].choice([member.value for member in Stop])), ''
    if 'kind' in keys:
        kind = keys['kind'].choice(KINDS)
        fitting = [member.value for member in Stop if member.kind == kind]
        if stop.value not in fitting:
            raise keys['stop' if 'stop' in keys else 'kind'].error(
                f'found {stop.value!r}, which does not stop an output of kind {kind!r}; expected '
                + ' or '.join(fitting))
    return stop, kind


def _kind_evidence(entry: CommandEntry, topic: str, message: str, kind: str) -> KindEvidence:
    """Collect the evidence for a field's kind."""
    paths = tuple(f'{entry.path}.{name}' for name in entry.components) or (entry.path,)
    keys = (
        ('measured', entry.measured), ('limits.position', entry.limits.position),
        ('rotation', entry.rotation or None))
    return KindEvidence(
        entry.unit, message, paths, topic, entry.action,
        tuple(key for key, value in keys if value is not None), kind)


def _is_beside(path: str, others: Iterable[str]) -> bool:
    """Tell whether a path leads to a component of the vector that one of the others is of."""
    vector, _, component = path.rpartition('.')
    return component in _COMPONENTS and any(
        other.rpartition('.')[0] == vector and other.rpartition('.')[2] in _COMPONENTS
        for other in others)


def _require_standstill(section: Section, entry: CommandEntry, stop: Stop) -> None:
    """Require that a zero action is a zero in the message, if zeros stop it."""
    if stop.kind == VELOCITY and any(entry.offset):
        raise section.error(
            f'found offset {all_shown(entry.offset)} with stop: {stop.value}: the robot would not '
            'be stopped by a zero, but sent the offset; leave it out')


def _read_entry(section: Section, stop: Stop, sources: Mapping[str, Source]) -> CommandEntry:
    """Read the mapping of one field of the action."""
    keys = section.mapping(('action', 'unit', 'path'), (
        'components', 'indices', 'joints', 'rotation', 'scale', 'offset', 'limit', 'limits',
        'measured', 'relative', 'stop', 'kind'))
    section.at_most_one(keys, ('components', 'indices', 'joints', 'rotation'))
    for key in ('scale', 'offset'):
        if 'rotation' in keys and key in keys:
            raise keys[key].error('found this key with rotation, which has no unit')
    action, unit = keys['action'].text(), keys['unit'].text()
    components = keys['components'].texts() if 'components' in keys else ()
    indices = keys['indices'].indices() if 'indices' in keys else ()
    joints = keys['joints'].texts() if 'joints' in keys else ()
    rotation = keys['rotation'].choice(COMMAND_ENCODINGS) if 'rotation' in keys else ''
    size = COMMAND_ENCODINGS[rotation].size if rotation else max(
        1, len(components), len(indices), len(joints))
    limit: tuple[float, ...] = ()
    if 'limit' in keys:
        limit = keys['limit'].numbers(size)
        for number in limit:
            if fault := amount_fault(number):
                raise keys['limit'].error(fault)
    scale = keys['scale'].factors(size) if 'scale' in keys else ()
    measured = (
        read_observation(keys['measured'], sources, action, unit) if 'measured' in keys else None)
    if measured is not None and measured.size != size:
        raise keys['measured'].error(f'found {measured.size} numbers, the action has {size}')
    if measured is not None:
        assert measured.reading is not None, 'feedback is no constant'
        _require_same_places(keys['measured'], joints, measured.joints)
        encoding = rotation or next(
            (name for name, order in ORDERS.items() if order == components), '')
        if encoding and (fault := rotation_fault(encoding, measured)):
            raise keys['measured'].error(
                f'{fault}: the first command would be another rotation than the robot has')
    entry = CommandEntry(
        action, unit, keys['path'].text(), components, indices, section.where, limit, joints,
        rotation, scale, keys['offset'].numbers(size) if 'offset' in keys else (),
        read_field_limits(keys['limits'], size, unit) if 'limits' in keys else FieldLimits(),
        measured, 'relative' in keys and keys['relative'].truth(),
        stop if 'stop' in keys else None)
    _check_limits(section, entry, stop)
    if measured is not None:
        _require_position(keys['measured'], entry, stop)
        _require_same_positions(keys['measured'], entry, measured)
    return entry


def _require_position(section: Section, entry: CommandEntry, stop: Stop) -> None:
    """
    Require that positions start from one, and that velocities brake by one.

    Limits of velocity have it checked for jumps.
    """
    keys = section.entries()
    is_read = stop is Stop.HOLD or (
        entry.limits.position is not None or entry.limits.velocity is not None)
    if 'scale' in keys or not is_read:
        return
    members = [f'.{item.text()}' for item in (
        keys['components'].items() if 'components' in keys else ())]
    for path in (f'{keys["path"].text()}{member}' for member in members or ('',)):
        if fault := measured_fault(path):
            raise section.error(
                f'{fault}: the robot would be taken to be where it is not; name the message field '
                'with its position or, if that is one, give the scale between the two')


def _require_same_positions(
        section: Section, entry: CommandEntry, measured: ObservationEntry) -> None:
    """
    Require that the command for a measured position of a joint is that position.

    Otherwise the first command is a jump, and a velocity brakes before the wrong bound. Another
    unit of the command is possible, but neither another direction nor another zero.
    """
    if measured.low:
        raise section.error(
            'found clip, which hides where the robot is: commands would start elsewhere; leave it '
            'out')
    if not entry.joints or entry.joints != measured.joints or measured.minus is not None:
        return
    scale, offset = entry.scale or (1.0,) * entry.size, entry.offset or (0.0,) * entry.size
    for i, joint in enumerate(entry.joints):
        ratio = scale[i] * measured.scale[i]
        if ratio < 0:
            raise section.error(
                f'found scale {shown(measured.scale[i])} for joint {joint!r}, expected the sign '
                f'of the scale of the command, {shown(scale[i])}: the joint would be sent to the '
                'mirrored position')
        shift = measured.offset[i] * ratio + offset[i]
        if math.isclose(ratio, 1, rel_tol=1e-3) and abs(shift) > _LARGEST_SHIFT:
            raise section.error(
                f'found offset {shown(measured.offset[i])} for joint {joint!r}, expected '
                f'{shown(0.0 - offset[i])}, minus the offset of the command: the first command '
                f'would be {shown(shift)} away from the measured position')


def _require_same_places(
        section: Section, joints: tuple[str, ...], measured: tuple[str, ...]) -> None:
    """Require that a joint has the same index in the command and in its measurement."""
    for place, joint in enumerate(measured):
        if joint in joints and joints.index(joint) != place:
            raise section.error(
                f'found the joint {joint!r} in place {place + 1}, expected it in place '
                f'{joints.index(joint) + 1}, as joints of the command have it: each would start '
                "from another joint's position; give both lists in one order")


def _require_same_frame(
        section: Section, entry: CommandEntry, frame: str, sources: Mapping[str, Source]) -> None:
    """Require that a place or a rotation is measured in the frame of its command, if known."""
    measured = entry.measured
    if measured is None or measured.reading is None or measured.frame is not None or not (
            entry.components or entry.rotation):
        return
    source = sources[measured.reading.source]
    found = source.frame
    if found and found != frame:
        raise section.error(
            f'found the source {source.name!r} in the frame {found!r} for a command in the frame '
            f'{frame!r}: the first command would be elsewhere; measure it in that frame, or give '
            'relative_to')
    for place, name in enumerate(measured.components if found else ()):
        if name in entry.components and entry.components.index(name) != place:
            raise section.error(
                f'found {name!r} in place {place + 1}, expected it in place '
                f'{entry.components.index(name) + 1}, as components of the command have it')


def _check_limits(section: Section, entry: CommandEntry, stop: Stop) -> None:
    """Require that a field can be stopped as declared, and that its limits can be enforced."""
    limits = entry.limits
    needed: list[tuple[str, bool, str]] = []
    if stop.kind == 'position':
        needed = [
            ('measured', entry.measured is not None, 'positions start from the measured position'),
            ('limits.velocity', limits.velocity is not None, 'positions would jump')]
    elif stop.kind == 'velocity' and limits.position is not None:
        why = 'a velocity is kept within positions by braking in time'
        needed = [
            ('measured', entry.measured is not None, why),
            ('limits.acceleration', limits.acceleration is not None, why)]
    if stop is Stop.RAMP:
        needed.append((
            'limits.acceleration', limits.acceleration is not None,
            'stop: ramp slows down by it'))
    for key, is_there, why in needed:
        if not is_there:
            raise section.error(f'the key {key!r} is missing: {why}')
    for key in ('velocity', 'acceleration'):
        if stop is Stop.KEEP and getattr(limits, key) is not None:
            raise section.error(
                f'found limits.{key} with stop: keep, which limits no speed; a position has stop: '
                'hold with measured, a velocity zero or ramp')
    if entry.relative and stop.kind != 'position':
        raise section.error(
            f'found relative: true with stop: {stop.value}; it is for positions, which stop: hold '
            'stops')
    if entry.rotation and (entry.relative or limits.position is not None):
        raise section.error(
            'found a rotation with relative or limits.position, which it cannot have number by '
            'number; command an absolute rotation, or angular velocities')
    if limits.needs_urdf and not entry.urdf_joints:
        raise section.error(
            'found limits from the URDF, but no joint names; give joints, here or in measured')
    if limits.position == URDF:
        # The joints of the URDF may be those that are read, those that are commanded, or both.
        for key, number in (('measured.', entry.measured), ('', entry)):
            if number and (fault := urdf_range_fault(
                    key, number.scale, number.offset,
                    number.joints if number.joints == entry.urdf_joints else (),
                    isinstance(number, ObservationEntry) and number.minus is not None)):
                raise section.error(fault)
    unit = read_unit(entry.unit)
    if limits.needs_urdf and not (unit.measures in (ANGLE, LENGTH) and unit.size == 1):
        raise section.error(
            'found limits from the URDF, which are in rad and m, for an action in '
            f'{entry.unit!r}; give them as numbers in that unit')
