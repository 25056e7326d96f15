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

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS, TOPIC
from dfp_ros.node.ros.qos import SENSOR_QOS

SERVICES = {'~/start_episode': START, '~/end_success': SUCCESS, '~/end_failure': FAILURE}


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
