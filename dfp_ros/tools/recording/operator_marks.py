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
"""Episode marks from an operator, through services and joystick buttons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS, TOPIC
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.printable import listed, quoted
from dfp_ros.node.ros.qos import SENSOR_QOS

SERVICES = {'~/start_episode': START, '~/end_success': SUCCESS, '~/end_failure': FAILURE}


def require_buttons(joystick: str, buttons: Mapping[str, int]) -> None:
    """
    Require that a joystick can mark what its buttons are for.

    :param joystick: Its topic; empty for none.
    :param buttons: Index of the button of each mark; -1 for none.
    :raises SettingsError: If it cannot.
    """
    used = {mark: index for mark, index in buttons.items() if index >= 0}
    names = ', '.join(f'button_{mark}' for mark in buttons)
    if joystick and not used:
        raise SettingsError(
            f'parameter joystick: found {quoted(joystick)} and no button, so it could mark '
            f'nothing; set one of {names} to the index of a button, or leave joystick empty')
    if used and not joystick:
        mark, index = next(iter(used.items()))
        raise SettingsError(
            f'parameter button_{mark}: found {index} without a joystick; set joystick to the '
            'topic of its sensor_msgs/Joy, or the button to -1')
    of: dict[int, str] = {}
    for mark, index in used.items():
        if index in of:
            raise SettingsError(
                f'parameter button_{mark}: found {index}, which is button_{of[index]}, too; one '
                'button cannot give two marks')
        of[index] = mark


def require_joystick(node: Node, joystick: str, topics: Iterable[tuple[str, Any]]) -> None:
    """
    Require that the topic of a joystick is not one of other messages.

    :param node: Resolves the topic.
    :param joystick: The topic; empty for none.
    :param topics: Full names of other topics, with their message types.
    :raises SettingsError: If it is.
    """
    for name, kind in topics:
        if joystick and name == node.resolve_topic_name(joystick) and kind is not Joy:
            raise SettingsError(
                f'parameter joystick: found {quoted(joystick)}, which is a topic of '
                f'{kind.__name__}, expected one of sensor_msgs/Joy')


class OperatorMarks:
    """
    Publisher of episode marks on an operator's request.

    :param node: Node that offers the services.
    :param joystick: Topic of sensor_msgs/Joy; empty for none.
    :param buttons: Index of the button of each mark; -1 for none.
    """

    def __init__(self, node: Node, joystick: str, buttons: Mapping[str, int]) -> None:
        """Create the services and subscribe to the joystick."""
        self._node = node
        self._publisher = node.create_publisher(String, TOPIC, 10)
        for name, mark in SERVICES.items():
            node.create_service(Trigger, name, self._answer(mark))
        self._presses = Presses(buttons)
        if joystick:
            node.create_subscription(Joy, joystick, self._on_joystick, SENSOR_QOS)

    def _answer(self, mark: str) -> Callable[[Any, Any], Any]:
        """Make the callback of one service."""
        def answer(request: Any, response: Any) -> Any:
            self._publish(mark)
            response.success = True
            response.message = f'marked: {mark}'
            return response
        return answer

    def _on_joystick(self, message: Any) -> None:
        if missing := self._presses.missing(len(message.buttons)):
            self._node.get_logger().warning(
                f'the joystick has {len(message.buttons)} buttons, counted from 0, and cannot '
                f'mark {listed(missing)}; correct {listed(f"button_{mark}" for mark in missing)}',
                once=True)
        for mark in self._presses.update(message.buttons):
            self._publish(mark)

    def _publish(self, mark: str) -> None:
        self._publisher.publish(String(data=mark))


class Presses:
    """
    Detector of button presses; a button held down counts once.

    :param buttons: Index of the button of each mark; -1 for none.
    """

    def __init__(self, buttons: Mapping[str, int]) -> None:
        """Start with every button down, so that a button held at the start is no press."""
        self._buttons = {mark: index for mark, index in buttons.items() if index >= 0}
        self._down = set(self._buttons)

    def missing(self, count: int) -> list[str]:
        """List the marks whose buttons a joystick with so many does not have."""
        return [mark for mark, index in self._buttons.items() if index >= count]

    def update(self, states: Sequence[int]) -> list[str]:
        """
        Update the button states.

        :param states: 1 if a button is down.
        :return: Marks whose buttons were pressed.
        """
        down = {
            mark for mark, index in self._buttons.items() if index < len(states) and states[index]}
        pressed = sorted(down - self._down)
        self._down = down
        return pressed
