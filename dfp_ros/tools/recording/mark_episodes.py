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
Node ``mark_episodes``: episode marks from the keyboard.

``ros2 run dfp_ros mark_episodes``: s starts an episode, y ends it as a success, n as a failure,
q quits. If the input is not a terminal, the first letter of each line is the key.
"""

from __future__ import annotations

if __name__ == '__main__':
    # First, because the following imports take half a second.
    from dfp_ros.node.process.start import begin
    begin()

from collections.abc import Iterator
import sys
import time

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS, TOPIC
from dfp_ros.core.text.say import say
from dfp_ros.node.process.start import raise_interrupts
from dfp_ros.node.ros.node_main import check_parameters
from dfp_ros.node.ros.start import join, read_words
from dfp_ros.tools.recording.operator_keys import OperatorKeys

KEYS = {'s': START, 'y': SUCCESS, 'n': FAILURE}
QUIT = 'q'
# Time in s after which keys are looked for again.
_LOOK = 0.02


def keys() -> Iterator[str]:
    """Yield keys from a terminal, or the first letter of each line of any other input."""
    with OperatorKeys() as terminal:
        while rclpy.ok():
            yield from terminal.all_pressed()
            if terminal.is_at_end:
                return
            time.sleep(_LOOK)


def main(args: list[str] | None = None) -> int:
    """
    Publish a mark for each key until q, Ctrl-C, or the input's end.

    :return: Exit status: 1 if the command line is invalid, else 0.
    """
    read_words(
        'mark_episodes', 'Mark episodes by key.', (), args,
        'keys: s starts an episode, y ends it as a success, n as a failure, q quits. If the input '
        'is not a\nterminal, the first letter of each line is the key. The marks are published on '
        f'{TOPIC}.')
    raise_interrupts()
    try:
        join(args, SignalHandlerOptions.ALL)
        node = rclpy.create_node('mark_episodes')
        for line in check_parameters(node, args):
            node.get_logger().warning(line)
    except ValueError as error:
        say(f'mark_episodes: cannot start: {error}', to_errors=True)
        rclpy.try_shutdown()
        return 1
    publisher = node.create_publisher(String, TOPIC, 10)
    say('s: start   y: success   n: failure   q: quit')
    try:
        for key in keys():
            if key == QUIT:
                break
            if key in KEYS:
                publisher.publish(String(data=KEYS[key]))
                listeners = publisher.get_subscription_count()
                say(KEYS[key] + ('' if listeners else ' (no subscriber)'))
        publisher.wait_for_all_acked(Duration(seconds=2))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # rclpy's own, if a signal has shut it down.
        if rclpy.ok():
            raise
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
