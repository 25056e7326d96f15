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
Teleoperation by keyboard: takes a robot over while keys are held.

``ros2 run dfp_ros teleop_keyboard --ros-args -p robot:=ur5e_cube``
"""

from __future__ import annotations

from collections.abc import Sequence
import sys
import time
from typing import Any

import rclpy
from rclpy.node import Node

from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.node.process.end_requests import collected_signals
from dfp_ros.node.process.start import raise_interrupts
from dfp_ros.node.process.suspension import Suspension
from dfp_ros.node.ros.node_main import check_parameters
from dfp_ros.node.ros.start import join, read_words
from dfp_ros.resources import load_robot
from dfp_ros.tools.recording.operator_keys import OperatorKeys
from dfp_ros.tools.teleop.controls import find_controls
from dfp_ros.tools.teleop.held_keys import HeldKeys, PAIRS, QUIT
from dfp_ros.tools.teleop.person_topics import PersonTopics

#: Name, default, description, range.
PARAMETERS: tuple[tuple[str, Any, str, tuple[float, float] | None], ...] = (
    ('robot', '', 'Robot description (.yaml), or the bare name of one in config; its section '
     'takeover names the topics.', None),
    ('speed', 1.0, 'Share of full speed, which is the upper clip of each field.', (0.001, 1.0)),
    ('rate', 30.0, 'Messages a second.', (5.0, 200.0)),
    ('release_after', 1.0, 'Seconds without a key after which the robot is given back.',
     (0.2, 60.0)))


def main(args: list[str] | None = None) -> int:
    """
    Publish while keys are held, until q, Ctrl-C, or the input's end.

    :return: Exit status: 1 if it could not start, else 0.
    """
    read_words(
        'teleop_keyboard', 'Take a robot over by keyboard, and give it back by letting go.',
        [(name, default, sentence) for name, default, sentence, _ in PARAMETERS], args,
        'If the input is not a terminal, the first letter of each line is a key.')
    raise_interrupts()
    try:
        # Signals are not for rclpy, which would end everything before the robot is let go.
        join(args)
        node = rclpy.create_node('teleop_keyboard')
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
        if len(controls) > len(PAIRS):
            raise DescriptionError(
                f'robot {robot.name!r}: found {len(controls)} numbers for a person, expected at '
                f'most {len(PAIRS)} by keyboard')
        topics = PersonTopics(node, robot, controls)
    except ValueError as error:
        say(f'teleop_keyboard: cannot start: {explain(error)}', to_errors=True)
        rclpy.try_shutdown()
        return 1
    keys = HeldKeys(controls, values['release_after'])
    say(keys.help())
    with collected_signals() as signals, Suspension() as suspension:
        try:
            with OperatorKeys() as terminal:
                run(node, topics, keys, terminal, 1 / values['rate'], signals, suspension)
        finally:
            topics.end()
            node.destroy_node()
            rclpy.try_shutdown()
    return 0


def run(
        node: Node, topics: PersonTopics, keys: HeldKeys, terminal: OperatorKeys,
        period: float, signals: Sequence[int], suspension: Suspension) -> None:
    """
    Publish until the person quits, or the process is asked to end.

    Before the process is suspended, the robot is let go.

    :param node: Node that publishes.
    :param topics: The person's topics.
    :param keys: What the keys ask for.
    :param terminal: Where they come from.
    :param period: Time between two messages in s.
    :param signals: Signals that ask to end, as they come.
    :param suspension: Requests to suspend the process.
    """
    was_held = False
    while not signals:
        if suspension.is_asked:
            # It could not let go then.
            topics.end()
            keys.release()
            suspension.suspend()
        begin = time.monotonic()
        for key in terminal.all_pressed():
            if key.lower() == QUIT:
                return
            keys.press(key, begin)
        is_held = keys.is_held(begin)
        if is_held:
            topics.publish(keys.deflections(begin))
        elif was_held:
            topics.let_go()
        if is_held != was_held:
            nobody = '' if topics.listeners else ' (nobody listens: does the policy node run?)'
            say('you command' + nobody if is_held else 'given back')
        was_held = is_held
        if terminal.is_at_end and not is_held:
            return
        rclpy.spin_once(node, timeout_sec=max(0.0, begin + period - time.monotonic()))


if __name__ == '__main__':
    sys.exit(main())
