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
"""Topics of a person: publishes what a person asks for, as the description reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from dfp_ros.core.description.field_path import parse_path
from dfp_ros.core.description.field_selector import FieldSelector
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import Source
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.node.messages.introspection import find_message_type
from dfp_ros.tools.teleop.controls import Control

# Reliable, which any subscription accepts; only the newest command counts.
_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Time for the last message before the process ends.
_LAST = Duration(seconds=0.5)


class PersonTopics:
    """
    Publishes a person's commands, and with them the dead-man.

    While nothing is published, the dead-man is let go once the last message is too old, if the
    description makes it the freshness of a source; a button is let go at once by :meth:`let_go`.

    :param node: Node that publishes.
    :param robot: The robot's description.
    :param controls: What the person commands.
    :raises DescriptionError: If a number of the description cannot be published.
    """

    def __init__(
            self, node: Node, robot: RobotDescription, controls: Sequence[Control]) -> None:
        """Create the publishers."""
        takeover = robot.takeover
        assert takeover is not None, 'a person can take over'
        self._node = node
        self._dead_man = takeover.dead_man
        self._controls = tuple(controls)
        self._is_holding = False
        self._sources = {
            source.name: _Messages(source, robot.readings(source.name))
            for source in takeover.sources.values()}
        self._publishers = {
            name: node.create_publisher(made.message_type, takeover.sources[name].topic, _QOS)
            for name, made in self._sources.items()}
        # Also what leaves an output as it is.
        for deflections in ([0.0] * len(self._controls), [each.rest for each in self._controls]):
            self.publish(deflections, is_held=False, sends=False)

    @property
    def has_button(self) -> bool:
        """Whether the dead-man is a number of a message."""
        return self._dead_man.reading is not None

    @property
    def listeners(self) -> int:
        """Count the subscriptions to the topic of the dead-man."""
        return int(self._publishers[self._dead_man.source].get_subscription_count())

    def publish(
            self, deflections: Sequence[float], is_held: bool = True, sends: bool = True) -> None:
        """
        Publish what the person asks for.

        :param deflections: Of each control, in [-1, 1].
        :param is_held: Whether the dead-man is held, if it is a button.
        :param sends: Whether to send; else it is only tried.
        """
        stamp = self._node.get_clock().now().to_msg()
        messages = {name: made.make(stamp) for name, made in self._sources.items()}
        for control, deflection in zip(self._controls, deflections, strict=True):
            reading, minus = control.entry.reading.reading, control.entry.reading.minus
            assert reading is not None, 'a person is no constant'
            number = control.number(deflection)
            if minus is not None and number < 0:
                # A pair of buttons.
                reading, number = minus, -number
            try:
                _write(messages[reading.source], reading, control.index, number)
            except WholeNumberError as error:
                raise DescriptionError(
                    f'{control.entry.reading.where}: {control.entry.action}: found a target that '
                    f'is read from {reading.path}, a whole number, which cannot leave the output '
                    'as it is until it is asked for: it would be sent to 0 at the first key; read '
                    'it from a number with a fraction, such as one of axes, or command it by '
                    'increment') from error
        if self._dead_man.reading is not None:
            _write(messages[self._dead_man.source], self._dead_man.reading, 0, (
                self._switch(is_held)))
        self._is_holding = is_held and sends
        # The dead-man last: the takeover begins with it, and needs the others.
        for name in sorted(messages, key=self._dead_man.source.__eq__) if sends else ():
            self._publishers[name].publish(messages[name])

    def _switch(self, is_held: bool) -> float:
        """Return the number of the dead-man, which may be a whole one."""
        limit = self._dead_man.limit
        if self._dead_man.is_below:
            return math.ceil(limit) - float(is_held)
        return math.floor(limit) + float(is_held)

    def let_go(self) -> None:
        """
        Ask for no more motion, and let go of the dead-man.

        Of one that is let go by silence, the last message counts for up to the source's
        ``max_age``, and its motion would go on for as long.
        """
        if self.has_button or self._is_holding:
            self.publish([control.rest for control in self._controls], is_held=False)

    def end(self) -> None:
        """Let go, and wait for a moment until everybody has it."""
        self.let_go()
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(_LAST)


class _Messages:
    """
    Makes the messages of a source.

    :param source: The source.
    :param readings: What is read from it.
    """

    def __init__(self, source: Source, readings: Sequence[FieldSelector]) -> None:
        self.message_type = find_message_type(source.type, source.where)
        self._source = source
        self._joints: Mapping[str, list[str]] = {
            reading.names: list(dict.fromkeys(
                joint for each in readings if each.names == reading.names
                for joint in each.joints)) for reading in readings if reading.joints}

    def make(self, stamp: Any) -> Any:
        """Make a message of zeros."""
        message = self.message_type()
        header = getattr(message, 'header', None)
        if header is not None:
            header.stamp = stamp
            header.frame_id = self._source.frame_id
        for path, names in self._joints.items():
            setattr(message, path, names)
        return message


def _write(message: Any, reading: FieldSelector, index: int, number: float) -> None:
    """Write one number of a selector into a message."""
    steps = list(parse_path(reading.path))
    if reading.components:
        steps.append(reading.components[index])
    elif reading.joints:
        steps.append(list(getattr(message, reading.names)).index(reading.joints[index]))
    elif reading.indices:
        steps.append(reading.indices[index])
    holder = message
    for step, following in zip(steps, steps[1:], strict=False):
        if isinstance(step, int):
            raise DescriptionError(
                f'{reading.where}: found {reading.path}, an element of a list of messages, which '
                'keys and sticks cannot fill in')
        if isinstance(following, int):
            _write_element(holder, str(step), following, number)
            return
        holder = getattr(holder, step)
    name = str(steps[-1])
    kind = type(getattr(holder, name))
    setattr(holder, name, _expressed(number, kind))


class WholeNumberError(ValueError):
    """NaN, which leaves an output as it is, has no whole number."""


def _expressed(number: float, kind: type) -> int | float:
    """
    Express a number in the type of a message's field.

    :raises WholeNumberError: If it has none.
    """
    if kind is float:
        return float(number)
    if math.isnan(number):
        raise WholeNumberError
    return number > 0.5 if kind is bool else round(number)


def _write_element(holder: Any, name: str, index: int, number: float) -> None:
    """Write one element of an array, which grows as needed."""
    found = list(getattr(holder, name))
    kind = holder.get_fields_and_field_types()[name]
    whole = 'int' in kind
    found += [0 if whole else 0.0] * (index + 1 - len(found))
    try:
        found[index] = _expressed(number, int if whole else float)
        setattr(holder, name, found)
    except (AssertionError, TypeError, IndexError) as error:
        raise DescriptionError(
            f'{name}[{index}] is {kind}, which keys and sticks cannot fill in') from error
