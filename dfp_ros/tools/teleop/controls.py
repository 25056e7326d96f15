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
"""Controls of a person: the numbers that a description lets a person command, and their range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from dfp_ros.core.description.commands import CommandEntry
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.takeover import DISPLACEMENT, INCREMENT, PersonEntry, TARGET
from dfp_ros.core.description.yaml_section import DescriptionError

# Share of an output's own limit that a person is given, if the description says nothing.
_SHARE = 0.2


@dataclass(frozen=True)
class Control:
    """
    One number that a person commands.

    :param name: Name for people, for example ``effector_linear_velocity[2]``.
    :param entry: Its description.
    :param index: Its index in the entry's numbers.
    :param full: Its value at full deflection, in the entry's unit.
    :param unit: That unit.
    :param stays: Whether it stays as it was last asked for, as a gripper does.
    """

    name: str
    entry: PersonEntry
    index: int
    full: float
    unit: str
    stays: bool

    @property
    def rest(self) -> float:
        """Deflection before the person asked for any; NaN leaves an output as it is."""
        return math.nan if self.stays else 0.0

    def number(self, deflection: float) -> float:
        """
        Compute the number for the message.

        :param deflection: In [-1, 1].
        """
        reading, asked = self.entry.reading, deflection * self.full
        scale = reading.scale[self.index]
        if self.entry.dead_zone and asked:
            zone = self.entry.dead_zone[self.index]
            asked = asked * (1 - zone) + math.copysign(zone * abs(scale), asked)
        return asked / scale - reading.offset[self.index]


class LastAsked:
    """
    Deflections in which what stays is as it was last asked for.

    :param controls: What the person commands.
    """

    def __init__(self, controls: Sequence[Control]) -> None:
        """Start before anything was asked for."""
        self._controls = tuple(controls)
        self.forget()

    def forget(self) -> None:
        """Forget what was asked for, as the robot is given back, and the policy may change it."""
        self._last = [control.rest for control in self._controls]

    def update(self, deflections: Sequence[float]) -> list[float]:
        """
        Take in the deflections of a stick, which is at rest or not.

        :return: The deflections, with those of before for what stays and is at rest.
        """
        self._last = [
            last if control.stays and not deflection else deflection
            for control, last, deflection in zip(
                self._controls, self._last, deflections, strict=True)]
        return self._last


def find_controls(
        robot: RobotDescription, speed: float = 1.0, rate: float = 30.0) -> tuple[Control, ...]:
    """
    List the numbers that a person commands, in the order of the description.

    :param robot: The robot's description.
    :param speed: Share of full speed.
    :param rate: Messages a second, each of which adds an increment.
    :raises DescriptionError: If nobody can take over, or a number needs another device.
    """
    takeover = robot.takeover
    if takeover is None:
        raise DescriptionError(
            f'robot {robot.name!r}: its description has no section takeover, expected one that '
            "names a person's topics; config/ur5e_cube.yaml has an example")
    outputs = {
        entry.action: (topic, entry) for topic in robot.commands for entry in topic.entries}
    found = []
    for entry in takeover.entries:
        topic, output = outputs[entry.action]
        stays = entry.meaning == TARGET
        if entry.meaning == DISPLACEMENT or (
                stays and topic.stop_of(output).kind != 'other') or entry.reading.transform or (
                entry.reading.frame is not None):
            raise DescriptionError(
                f'{entry.reading.where}: {entry.action}: found meaning {entry.meaning!r}'
                + (', transform or relative_to' if entry.meaning != TARGET else '')
                + ', which keys and sticks cannot give; expected velocity or increment')
        for i, number in enumerate(entry.numbers):
            full = _full(entry, output, topic.stop_of(output).kind, i, number, rate)
            name = f'{entry.action}[{number}]' if output.size > 1 else entry.action
            unit = output.unit
            if entry.meaning == 'velocity' and topic.stop_of(output).kind != 'velocity':
                unit = f'{unit}/s'
            found.append(Control(name, entry, i, full if stays else full * speed, unit, stays))
    return tuple(found)


def _full(
        entry: PersonEntry, output: CommandEntry, kind: str, index: int, number: int,
        rate: float) -> float:
    """Find the number at full deflection."""
    if entry.reading.high:
        return entry.reading.high[index]
    if entry.meaning == TARGET:
        return 1.0
    # An increment is what is moved between two messages.
    share = _SHARE / rate if entry.meaning == INCREMENT else _SHARE
    # That of a position is a position, and no speed.
    if output.limit and kind != 'position':
        return share * output.limit[number]
    if isinstance(output.limits.velocity, Sequence) and not isinstance(
            output.limits.velocity, str):
        return share * output.limits.velocity[number]
    raise DescriptionError(
        f"{entry.reading.where}: {entry.action}: the key 'clip' is missing, the largest number "
        'that a person can ask for; add it, for example clip: [-0.2, 0.2]')
