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
"""
Teleoperation by joystick: takes a robot over while a button of a sensor_msgs/Joy is held.

``ros2 run dfp_ros teleop_joy --ros-args -p robot:=ur5e_cube``, beside ``ros2 run joy joy_node``

A robot description can also read a Joy itself; this program is for one that names other topics.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
import re
import sys
import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import Joy

from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.errors import explain, nearest
from dfp_ros.core.text.printable import listed
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.node.parameters.names import require_name
from dfp_ros.node.process.end_requests import collected_signals
from dfp_ros.node.process.start import raise_interrupts
from dfp_ros.node.process.suspension import Suspension
from dfp_ros.node.ros.endpoints import publisher_names
from dfp_ros.node.ros.node_main import check_parameters
from dfp_ros.node.ros.start import join, read_words
from dfp_ros.resources import load_robot
from dfp_ros.tools.teleop.controls import find_controls, LastAsked
from dfp_ros.tools.teleop.person_topics import PersonTopics

PARAMETERS: tuple[tuple[str, Any, str, tuple[float, float] | None], ...] = (
    ('robot', '', 'Robot description (.yaml), or the bare name of one in config; its section '
     'takeover names the topics.', None),
    ('joystick', 'joy', 'Topic of sensor_msgs/Joy.', None),
    ('button', 4, 'Index of the button that has to be held.', (0, 100)),
    ('axes', 'a1 a0 a4 a3 b0-b1', 'What moves each number, in the order of the description: an '
     'axis (a1), an axis with the other sign (-a1), or two buttons (b0-b1).', None),
    ('dead_zone', 0.1, 'Deflection around the middle that counts as none.', (0.0, 0.9)),
    ('speed', 1.0, 'Share of full speed, which is the upper clip of each field.', (0.001, 1.0)),
    ('rate', 30.0, 'Messages a second.', (5.0, 200.0)),
    ('max_age', 0.5, 'Seconds without a message of the joystick after which the robot is given '
     'back; let joy_node repeat itself (autorepeat_rate).', (0.05, 10.0)),
    ('time', 'header', 'What tells how old a message of the joystick is: its stamp (header), so '
     'that what a network has delayed moves nothing, or its arrival (receive), for a joystick '
     'whose computer has another clock.', None))
_TIMES = ('header', 'receive')
# Time between two looks at who publishes, in s.
_LOOK = 1.0
_STICK = re.compile(r'(-?)a(\d+)|b(\d+)-b(\d+)')


def read_stick(word: str, message: Joy, dead_zone: float) -> float:
    """
    Read one deflection.

    :param word: As in the parameter ``axes``.
    :param message: The joystick's message.
    :param dead_zone: Deflection that counts as none.
    :return: In [-1, 1]; 0 if the joystick does not have it, or it is not finite.
    """
    found = _STICK.fullmatch(word)
    assert found is not None, 'it was checked'
    sign, axis, more, less = found.groups()
    if axis is None:
        # Some drivers give a pressure for a button.
        pressed = _element(message.buttons, int(more)) - _element(message.buttons, int(less))
        return max(-1.0, min(1.0, pressed))
    value = _element(message.axes, int(axis)) * (-1.0 if sign else 1.0)
    if not math.isfinite(value):
        return 0.0
    beyond = max(0.0, min(1.0, abs(value)) - dead_zone) / (1 - dead_zone)
    return beyond if value > 0 else -beyond


def _element(array: Any, index: int) -> float:
    """Return an element of an array; 0 if it is shorter."""
    return float(array[index]) if index < len(array) else 0.0


class Sticks:
    """
    The newest message of a joystick.

    :param node: Subscribes.
    :param values: The parameters.
    :raises SettingsError: If the parameter ``axes``, ``joystick`` or ``time`` is wrong.
    """

    def __init__(self, node: Node, values: dict[str, Any], count: int) -> None:
        """Subscribe."""
        require_name('joystick', values['joystick'], 'left/joy')
        if values['time'] not in _TIMES:
            raise SettingsError(
                f'parameter time: found {values["time"]!r}; {nearest(values["time"], _TIMES)}')
        self._node, self._clock = node, node.get_clock()
        self._words = values['axes'].split()
        for word in self._words:
            if not _STICK.fullmatch(word):
                raise SettingsError(
                    f'parameter axes: found {word!r}, expected a1, -a1 or b0-b1')
        if len(self._words) > count:
            raise SettingsError(
                f'parameter axes: found {len(self._words)}, expected at most {count}, the numbers '
                'that the description lets a person command')
        self._rest = [0.0] * (count - len(self._words))
        self._values = values
        self._newest: Joy | None = None
        self._time = 0.0
        #: What the joystick lacks, or cannot say; empty if nothing.
        self.fault = ''
        self._is_sound = True
        node.create_subscription(
            Joy, values['joystick'], self._receive, qos_profile_sensor_data)

    def rivals(self) -> str:
        """Say that several joysticks publish, if they do; empty if not."""
        topic = self._node.resolve_topic_name(self._values['joystick'])
        names = sorted(publisher_names(self._node, topic))
        return '' if len(names) < 2 else (
            f'{topic}: found {len(names)} publishers, {listed(names)}, expected one joystick: '
            'the newest message of any of them counts, so one gives the robot back while the '
            'other holds it; end all but one, or set joystick to another topic')

    def is_held(self, now: float) -> bool:
        """Tell whether the button is held, and the joystick is heard."""
        return self._newest is not None and now - self._time <= self._values['max_age'] and (
            self._is_sound and _element(self._newest.buttons, self._values['button']) > 0)

    def deflections(self) -> list[float]:
        """Return what is asked of each control, in [-1, 1]."""
        assert self._newest is not None, 'it is held'
        return [
            read_stick(word, self._newest, self._values['dead_zone']) for word in self._words
        ] + self._rest

    def _is_recent(self, message: Joy) -> bool:
        """Tell whether a message is as recent as its arrival; without a stamp, it is."""
        stamp = Time.from_msg(message.header.stamp).nanoseconds
        if self._values['time'] == 'receive' or not stamp:
            return True
        age = (self._clock.now().nanoseconds - stamp) * 1e-9
        return bool(abs(age) <= self._values['max_age'])

    def _receive(self, message: Joy) -> None:
        self._newest, self._time = message, time.monotonic()
        axes, buttons = len(message.axes), len(message.buttons)
        self.fault, self._is_sound = '', True
        if not self._is_recent(message):
            self.fault = (
                f'the stamp of a message is more than {self._values["max_age"]:g} s (max_age) '
                'from this clock, so a network delays it, or its computer has another clock: '
                'synchronise them, or set time:=receive; the robot is given back')
            self._is_sound = False
        if self._values['button'] >= buttons:
            self.fault = self.fault or (
                f'parameter button: found {self._values["button"]}, but the joystick has '
                f'{buttons} buttons, counted from 0')
        for word in self._words:
            found = _STICK.fullmatch(word)
            assert found is not None, 'it was checked'
            _, axis, *pair = found.groups()
            if max(map(int, pair)) >= buttons if axis is None else int(axis) >= axes:
                self.fault = self.fault or (
                    f'parameter axes: found {word}, but the joystick has {axes} axes and '
                    f'{buttons} buttons, counted from 0; it moves nothing')
            elif axis is not None and not math.isfinite(message.axes[int(axis)]):
                self.fault = f'{word}: found {message.axes[int(axis)]}; the robot is given back'
                self._is_sound = False


def main(args: list[str] | None = None) -> int:
    """
    Publish while the button is held, until asked to end.

    :return: Exit status: 1 if it could not start, else 0.
    """
    read_words(
        'teleop_joy', 'Take a robot over by joystick, and give it back by letting go.',
        [(name, default, sentence) for name, default, sentence, _ in PARAMETERS], args)
    raise_interrupts()
    try:
        # Signals are not for rclpy, which would end everything before the robot is let go.
        join(args)
        node = rclpy.create_node('teleop_joy')
        values = {
            name: declare_parameter(node, name, default, sentence, bounds)
            for name, default, sentence, bounds in PARAMETERS}
        for line in check_parameters(node, args):
            node.get_logger().warning(line)
        if not values['robot']:
            raise SettingsError(
                'parameter robot: found nothing; set it with --ros-args -p robot:=ur5e_cube')
        robot = load_robot(values['robot'])
        controls = find_controls(robot, values['speed'], values['rate'])
        sticks = Sticks(node, values, len(controls))
        topics = PersonTopics(node, robot, controls)
    except ValueError as error:
        say(f'teleop_joy: cannot start: {explain(error)}', to_errors=True)
        rclpy.try_shutdown()
        return 1
    for word, control in zip(values['axes'].split(), controls, strict=False):
        say(f'  {word:8} {control.name}: {control.full:.3g} {control.unit}')
    with collected_signals() as signals, Suspension() as suspension:
        try:
            run(
                node, topics, sticks, LastAsked(controls), 1 / values['rate'], signals,
                suspension)
        finally:
            topics.end()
            node.destroy_node()
            rclpy.try_shutdown()
    return 0


def run(
        node: Node, topics: PersonTopics, sticks: Sticks, last: LastAsked, period: float,
        signals: Sequence[int], suspension: Suspension) -> None:
    """Publish until a signal asks to end, and let go before one suspends the process."""
    was_held, told, rivals = False, '', ''
    due = looked = time.monotonic()
    while not signals:
        if suspension.is_asked:
            # It could not let go then.
            topics.end()
            last.forget()
            suspension.suspend()
        rclpy.spin_once(node, timeout_sec=max(0.0, due - time.monotonic()))
        now = time.monotonic()
        if now < due:
            continue
        due = now + period
        is_held = sticks.is_held(now)
        if is_held:
            topics.publish(last.update(sticks.deflections()))
        elif was_held:
            topics.let_go()
            last.forget()
        if is_held != was_held:
            say('you command' if is_held else 'given back')
        was_held = is_held
        if now - looked >= _LOOK:
            before, rivals, looked = rivals, sticks.rivals(), now
            if rivals not in ('', before):
                say(rivals)
        if sticks.fault not in ('', told):
            told = sticks.fault
            say(told)


if __name__ == '__main__':
    sys.exit(main())
