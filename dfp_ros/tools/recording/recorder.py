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
Node ``dfp_recorder``: bag recorder of a robot's observations and commands.

``ros2 run dfp_ros recorder --ros-args -p robot:=ur5e_cube -p out:=bags/monday``
"""

from __future__ import annotations

if __name__ == '__main__':
    # First, because the following imports take half a second.
    from dfp_ros.node.process.start import begin
    begin()

from collections.abc import Callable
import math
import os
import signal
import sys
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_msgs.msg import String

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS, TOPIC
from dfp_ros.core.description.picture_format import PICTURE_TYPES
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import listed, printable, quoted, TEXT
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.node.parameters.names import require_name
from dfp_ros.node.parameters.parameters import LIFETIME
from dfp_ros.node.ros.endpoints import namesakes, own_name, publisher_names, publishers_of
from dfp_ros.node.ros.node_main import run_node
from dfp_ros.node.ros.qos_events import NO_SUBSCRIPTION_EVENTS
from dfp_ros.node.ros.start import read_words
from dfp_ros.resources import load_robot
from dfp_ros.tools.recording.bag_writer import BagWriter, STORAGES
from dfp_ros.tools.recording.message_definitions import find_definitions
from dfp_ros.tools.recording.operator_marks import (
    OperatorMarks,
    require_buttons,
    require_joystick,
)
from dfp_ros.tools.recording.reception import Reception
from dfp_ros.tools.recording.recorded_topics import recorded_topics

# Large enough for the middleware to drop nothing that waits to be written.
DEPTH = 1000
# The same of pictures, of which that many would fill the memory.
_PICTURES = 30
# Time from the start in s after which a topic without a message is reported.
_PATIENCE = 5.0

#: Name, default, description, range.
PARAMETERS: tuple[tuple[str, Any, str, tuple[float, float] | None], ...] = (
    ('robot', '', 'Robot description (.yaml), or the bare name of one in config: its sources and '
     'its command topics are recorded.', None),
    ('out', '', 'Folder of the bag; it must not exist.', None),
    ('storage', 'mcap', 'Storage format of the bag: mcap or sqlite3.', None),
    ('policy_node', 'dfp_policy', 'Name of the policy node whose decisions are recorded; it '
     'publishes them with publish_decisions:=true.', None),
    ('episodes', 0, 'Episodes after which to stop; 0 records until Ctrl-C.', (0, 1_000_000)),
    ('joystick', '', 'Topic of sensor_msgs/Joy whose buttons mark episodes; empty for none.',
     None),
    ('button_start', -1, 'Index of the button that starts an episode; -1 for none.', (-1, 100)),
    ('button_success', -1, 'Index of the button that ends one as a success.', (-1, 100)),
    ('button_failure', -1, 'Index of the button that ends one as a failure.', (-1, 100)),
    ('queue', 20_000, 'Capacity of the write queue, in messages; further ones are dropped.',
     (1, 10_000_000)),
    ('keep_free', 200, 'Megabytes to leave free on the disk; with less, the recording ends.',
     (0, 1_000_000_000)))


class RecorderNode(Node):
    """Recorder node; see the descriptions of its parameters."""

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters; :meth:`autostart` creates the bag."""
        super().__init__('dfp_recorder', **kwargs)
        self._settings = {
            name: declare_parameter(self, name, default, sentence, bounds)
            for name, default, sentence, bounds in PARAMETERS}
        self._bag: BagWriter | None = None
        self._reception: Reception | None = None
        self._subscriptions_made: list[Any] = []
        self._topics: list[tuple[str, Any]] = []
        self._types: list[str] = []
        self._best_effort: set[int] = set()
        self._latched: set[int] = set()
        # Topics that had no message yet, and those of them that were reported.
        self._silent: set[int] = set()
        self._told: set[int] = set()
        self._began = time.monotonic()
        self._reported = 0
        self._marked = {START: 0, SUCCESS: 0, FAILURE: 0}
        self._has_begun = False
        self._ended = 0
        self.failed = False
        #: Why the recorder ends by itself; empty while it does not.
        self.end_reason = ''

    def autostart(self) -> bool:
        """
        Create the bag and subscribe.

        :return: False if that failed; the reason has been logged.
        """
        try:
            self._open()
        except Exception as error:  # any fault is reported to the operator
            self.get_logger().fatal(f'cannot record: {printable(error, TEXT)}')
            self.failed = True
            if self._bag is not None:
                self._bag.discard()
                self._bag = None
            return False
        self.get_logger().info(
            f'recording {len(self._topics)} topics to '
            f'{printable(self._settings["out"], TEXT)}')
        return True

    def stop(self) -> None:
        """Do nothing: the recorder moves no robot."""

    def close(self) -> None:
        """Finish the bag, log a summary, and destroy the node."""
        for subscription in self._subscriptions_made:
            # Messages that arrived before the signal count, though no callback took them.
            while (taken := subscription.handle.take_message(subscription.msg_type, True)):
                subscription.callback(taken[0])
            self.destroy_subscription(subscription)
        if self._reception is not None:
            self._reception.end()
        if self._bag is not None:
            self._bag.close()
            self._report_faults()
            marks = ', '.join(f'{count} {mark}' for mark, count in self._marked.items())
            silent = listed(self._topics[index][0] for index in sorted(self._silent))
            self.get_logger().info(
                f'{printable(self._bag.path, TEXT)}: {self._bag.written} messages, '
                f'{self._bag.dropped} dropped'
                + (f', {self._bag.lost} lost because they could not be written'
                   if self._bag.lost else '') + f'; marks: {marks}'
                + (f'; no message on {silent}' if silent else ''))
        self.destroy_node()

    def _open(self) -> None:
        """Find the topics, create the bag, and subscribe."""
        settings = self._settings
        for name in ('robot', 'out'):
            if not settings[name]:
                raise ValueError(
                    f'parameter {name}: found nothing; set it with {name}:=..., after '
                    '--ros-args -p for `ros2 run`')
        for name, example in (('policy_node', 'left/dfp_policy'), ('joystick', 'left/joy')):
            require_name(name, settings[name], example)
        buttons = {mark: settings[f'button_{mark}'] for mark in self._marked}
        require_buttons(settings['joystick'], buttons)
        if settings['storage'] not in STORAGES:
            raise ValueError(
                f'parameter storage: found {settings["storage"]!r}; '
                f'{nearest(settings["storage"], STORAGES)}')
        robot = load_robot(settings['robot'])
        topics = recorded_topics(robot, settings['policy_node'], self.resolve_topic_name)
        self._topics = [(topic.name, topic.message_type) for topic in topics]
        self._types = [topic.type for topic in topics]
        self._latched = {i for i, topic in enumerate(topics) if topic.is_latched}
        require_joystick(self, settings['joystick'], self._topics)
        # Before the bag: whatever fails leaves no folder that would be in the way of the next.
        OperatorMarks(self, settings['joystick'], buttons)
        self._bag = BagWriter(
            user_path(settings['out']), settings['storage'],
            [(topic.name, topic.type) for topic in topics], find_definitions(self._types),
            settings['queue'], settings['keep_free'] << 20, self._latched)
        self._reception = Reception(self._bag)
        # Marks come when the operator gives them, and commands of a person when there is one.
        self._silent = {i for i, topic in enumerate(topics) if topic.is_expected}
        self._began = time.monotonic()
        for index in range(len(self._topics)):
            self._subscriptions_made.append(self._subscribe(index))
        self._call_after(0.5, self._monitor)

    def _call_after(self, seconds: float, work: Callable[[], None]) -> None:
        """Call again and again, in time of the wall: simulated time may stand still."""
        self.create_timer(seconds, work, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _subscribe(self, index: int) -> Any:
        """Subscribe to a topic: reliable if its publisher is, transient local if requested."""
        name, kind = self._topics[index]
        reliability = (
            ReliabilityPolicy.BEST_EFFORT if index in self._best_effort
            else ReliabilityPolicy.RELIABLE)
        durability = (
            DurabilityPolicy.TRANSIENT_LOCAL if index in self._latched
            else DurabilityPolicy.VOLATILE)
        return self.create_subscription(
            kind, name, self._receiver(index),
            QoSProfile(
                depth=_PICTURES if self._types[index] in PICTURE_TYPES else DEPTH,
                reliability=reliability, durability=durability), raw=True,
            # What events of incompatible publishers would tell, the recorder says itself.
            event_callbacks=NO_SUBSCRIPTION_EVENTS)

    def _receiver(self, index: int) -> Callable[[bytes], None]:
        """Make the callback of one topic; only marks are decoded."""
        reception = self._reception
        assert reception is not None
        is_mark = index == len(self._topics) - 1

        def receive(message: bytes) -> None:
            if self.failed:
                return
            now = self.get_clock().now().nanoseconds
            if back := reception.take(index, now, bytes(message)):
                self._fail(
                    f'the clock was set back by {back:.3f} s, and a bag in which time jumps back '
                    'cannot be read in order; start another recording')
                return
            self._silent.discard(index)
            if is_mark:
                self._count(deserialize_message(message, String).data)
        return receive

    def _count(self, mark: str) -> None:
        """Count a mark; after the last episode, wait briefly for messages in flight."""
        if mark not in self._marked:
            self.get_logger().warning(
                f'found the mark {quoted(mark)}, which is ignored; '
                f'{nearest(mark, self._marked)}', throttle_duration_sec=1.0)
            return
        if (mark == START) is self._has_begun:
            self._tell_contradiction(mark)
        self._marked[mark] += 1
        # A repeated end ends nothing.
        ended = mark != START and self._has_begun
        self._has_begun = mark == START
        self._ended += ended
        self.get_logger().info(f'mark: {mark}; episodes ended: {self._ended}')
        if ended and self._ended == self._settings['episodes']:
            self.end_reason = f'{self._ended} of {self._ended} episodes ended'
            self._call_after(1.0, self._end)

    def _tell_contradiction(self, mark: str) -> None:
        """Say that a mark discards an episode, or ends none; warn if several nodes send marks."""
        others = sorted(
            name for name in publisher_names(self, self.resolve_topic_name(TOPIC))
            if name != own_name(self))
        text = (
            'the mark start comes within an episode, which has no end and is dropped'
            if mark == START else
            f'the mark {mark} comes without an episode that has started, and is ignored')
        # A recording that begins within an episode has its end first.
        if len(others) > 1 and any(self._marked.values()):
            self.get_logger().warning(
                f'{text}; {listed(others)} publish marks: if more than one of them sends marks, '
                'episodes are cut and judged wrongly: end all but one', throttle_duration_sec=1.0)
        else:
            self.get_logger().info(text, throttle_duration_sec=1.0)

    def _monitor(self) -> None:
        """Twice a second: match best-effort publishers, and report faults."""
        for index, (name, _) in enumerate(self._topics):
            if index not in self._best_effort and any(
                    publisher.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
                    for publisher in self.get_publishers_info_by_topic(name)):
                self._best_effort.add(index)
                self.destroy_subscription(self._subscriptions_made[index])
                self._subscriptions_made[index] = self._subscribe(index)
                self.get_logger().info(f'{name} is published best effort, so messages may be lost')
        if time.monotonic() > self._began + _PATIENCE:
            self._report_silence()
        self._report_faults()

    def _report_silence(self) -> None:
        """Log once each topic that has no message yet, and its publishers."""
        for index in sorted(self._silent - self._told):
            self._told.add(index)
            name, _ = self._topics[index]
            ends = publishers_of(
                self, name, self._types[index], self._subscriptions_made[index].qos_profile)
            found = '; '.join(f'{end.node}: {end.problem}' for end in ends if end.problem) or (
                f'{listed(end.node for end in ends)} publishes it' if ends else
                namesakes(self, name, self._types[index])
                or 'nothing publishes it' + self._hint(name))
            text = f'{name}: no message yet; {found}'
            if name in self._of_policy() and not self.count_publishers(self._of_policy()[1]):
                # No policy node runs, as while a person is recorded.
                self.get_logger().info(f'{text}; a recording of a person needs none')
            else:
                self.get_logger().warning(text)

    def _of_policy(self) -> tuple[str, str]:
        """Resolve the topics of the policy node: of its decisions, and of its policy."""
        node, resolve = self._settings['policy_node'], self.resolve_topic_name
        return resolve(f'{node}/decision'), resolve(f'{node}/policy')

    def _hint(self, topic: str) -> str:
        """Name the condition under which a topic is published."""
        decision, policy = self._of_policy()
        return {
            decision: '; the policy node does with publish_decisions:=true',
            policy: '; the policy node does'}.get(topic, '')

    def _report_faults(self) -> None:
        """Log newly dropped messages, and the fault that ended the bag."""
        assert self._bag is not None
        if self._bag.dropped > self._reported:
            self.get_logger().warning(
                f'{self._bag.dropped - self._reported} messages were dropped: the disk is too '
                'slow, or the queue too short')
            self._reported = self._bag.dropped
        if self._bag.failure:
            self._fail(self._bag.failure)

    def _fail(self, reason: str) -> None:
        """Shut down with an error."""
        if not self.failed:
            self.failed = True
            self.end_reason = 'it cannot go on'
            self.get_logger().fatal(printable(reason, TEXT))
            self._end()

    def _end(self) -> None:
        """Shut down as after Ctrl-C."""
        os.kill(os.getpid(), signal.SIGINT)


def main(args: list[str] | None = None) -> int:
    """
    Record until asked to end; then finish the bag, however long that takes.

    :return: Exit status: 1 after a fault, else 0.
    """
    parameters = [(name, default, sentence) for name, default, sentence, _ in PARAMETERS]
    read_words(
        'recorder', 'Record the observations and commands of a robot into a bag.',
        [*parameters, LIFETIME], args)
    made: list[RecorderNode] = []

    def make() -> RecorderNode:
        made.append(RecorderNode())
        return made[0]

    return run_node('dfp_recorder', make, args, math.inf) or int(any(node.failed for node in made))


if __name__ == '__main__':
    sys.exit(main())
