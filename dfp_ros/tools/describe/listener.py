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
"""Looks at a robot's topics for some seconds, and commands nothing."""

from __future__ import annotations

from dataclasses import replace
import time
from typing import Any

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.node.messages.introspection import find_message_type
from dfp_ros.node.ros.urdf_topic import TOPIC as URDF_TOPIC
from dfp_ros.tools.describe.survey import PublishedTopic, Survey, TakenTopic
from dfp_ros.tools.describe.topic_kinds import classify, COMMAND, SOURCE

# Topics that are listened to at most; a robot with more has its own reasons.
MOST_TOPICS = 200
_MOST_BYTES = 1 << 20
# JointStates of a topic that are looked into, for the joints of every node that publishes there.
_MOST_READ, _MOST_JOINTS = 500, 200
_LOOK_AGAIN = 0.25  # s
_ANSWER = 2.0  # s
# How ros2_control's controllers say what they take.
_PARAMETERS = ('joints', 'interface_name', 'command_interfaces')
_UNKNOWN = '_NODE_NAME_UNKNOWN_'


class RobotListener:
    """
    Listens to everything that a description could read.

    :param node: Listens; its namespace is the robot's.
    """

    def __init__(self, node: Node) -> None:
        """Listen to the URDF; the rest is found in :meth:`listen`."""
        self._node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._heard: dict[str, _Heard] = {}
        self._urdf = ''
        node.create_subscription(String, URDF_TOPIC, self._take_urdf, QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def listen(self, seconds: float) -> Survey:
        """
        Listen.

        :param seconds: How long.
        :return: What was found.
        :raises ExternalShutdownException: If a signal ends it.
        """
        begin = time.monotonic()
        look = begin
        while (now := time.monotonic()) < begin + seconds and rclpy.ok(context=self._node.context):
            if now >= look:
                self._look_around()
                look = now + _LOOK_AGAIN
            self._executor.spin_once(min(_LOOK_AGAIN, begin + seconds - now))
        if not rclpy.ok(context=self._node.context):
            raise ExternalShutdownException
        return self._sum_up(seconds)

    def close(self) -> None:
        """Let the node go."""
        self._executor.shutdown()

    def _look_around(self) -> None:
        """Subscribe to what has come since the last time."""
        for topic, kinds in self._node.get_topic_names_and_types():
            if topic in self._heard or len(self._heard) >= MOST_TOPICS:
                continue
            publishers = self._node.get_publishers_info_by_topic(topic)
            if len(kinds) != 1 or not publishers or classify(
                    topic, kinds[0], *self._ends(topic))[0] != SOURCE:
                continue
            try:
                message_type = find_message_type(kinds[0], topic)
            except DescriptionError:
                continue
            heard = self._heard[topic] = _Heard(message_type)
            # What is kept for who comes later is asked for; anything else comes anyhow.
            is_latched = all(
                end.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
                for end in publishers)
            self._node.create_subscription(message_type, topic, heard.receive, QoSProfile(
                depth=10, reliability=ReliabilityPolicy.RELIABLE if is_latched
                else ReliabilityPolicy.BEST_EFFORT,
                durability=DurabilityPolicy.TRANSIENT_LOCAL if is_latched
                else DurabilityPolicy.VOLATILE), raw=True)

    def _ends(self, topic: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """List who publishes a topic, and who listens to it, without this node."""
        own = self._node.get_fully_qualified_name()
        found = []
        for infos in (
                self._node.get_publishers_info_by_topic(topic),
                self._node.get_subscriptions_info_by_topic(topic)):
            names = (f'{info.node_namespace.rstrip("/")}/{info.node_name}' for info in infos)
            found.append(tuple(sorted({name for name in names if name != own})))
        return found[0], found[1]

    def _sum_up(self, seconds: float) -> Survey:
        """Put together what was heard and seen."""
        published, taken, left_out = [], [], {}
        for topic, kinds in sorted(self._node.get_topic_names_and_types()):
            publishers, subscribers = self._ends(topic)
            name = self._relative(topic)
            if len(kinds) != 1:
                left_out[name] = f'it has several types: {", ".join(sorted(kinds))}'
                continue
            what, why = classify(topic, kinds[0], publishers, subscribers)
            if what == SOURCE:
                if topic not in self._heard:
                    left_out[name] = (
                        f'its type {kinds[0]} is not installed here, or there are too many topics')
                    continue
                published.append(self._published(topic, kinds[0], publishers))
            elif what == COMMAND:
                taken.append(TakenTopic(name, kinds[0], subscribers, publishers))
            elif why:
                left_out[name] = why
        return Survey(
            tuple(published), tuple(map(self._ask, taken)), left_out, self._urdf, seconds)

    def _published(
            self, topic: str, kind: str, publishers: tuple[str, ...]) -> PublishedTopic:
        """Say what is known of a topic that was listened to."""
        heard = self._heard[topic]
        offered = [
            end.qos_profile for end in self._node.get_publishers_info_by_topic(topic)]
        return PublishedTopic(
            self._relative(topic), kind, publishers,
            all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered),
            bool(offered) and all(
                qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered),
            heard.count, heard.rate, heard.message())

    def _ask(self, taken: TakenTopic) -> TakenTopic:
        """Ask the controller that listens to a topic which joints it takes."""
        for name in taken.subscribers[:4]:
            if _UNKNOWN in name:
                continue
            client = self._node.create_client(GetParameters, f'{name}/get_parameters')
            try:
                values = self._call(client)
            finally:
                self._node.destroy_client(client)
            if values and values['joints']:
                interfaces = values['command_interfaces'] or values['interface_name']
                return replace(
                    taken, joints=tuple(values['joints']),
                    interface=interfaces[0] if len(interfaces) == 1 else '')
        return taken

    def _call(self, client: Any) -> dict[str, tuple[str, ...]] | None:
        """Get the parameters of one node, as far as it has them; None where it does not answer."""
        deadline = time.monotonic() + _ANSWER
        while not client.service_is_ready():
            if time.monotonic() > deadline:
                return None
            self._executor.spin_once(0.05)
        # One that is not declared can make all of an answer empty, so each is asked for alone.
        found: dict[str, tuple[str, ...]] = {}
        for name in _PARAMETERS:
            future = client.call_async(GetParameters.Request(names=[name]))
            while not future.done() and time.monotonic() < deadline:
                self._executor.spin_once(0.05)
            if not future.done():
                client.remove_pending_request(future)
                return found if 'joints' in found else None
            answer = future.result()
            value = answer.values[0] if answer is not None and answer.values else None
            found[name] = () if value is None else _texts(value)
        return found

    def _take_urdf(self, message: String) -> None:
        """Keep the URDF."""
        self._urdf = message.data

    def _relative(self, topic: str) -> str:
        """Write a topic's name as a description has it."""
        prefix = self._node.get_namespace().rstrip('/') + '/'
        return topic[len(prefix):] if topic.startswith(prefix) else topic


class _Heard:
    """
    What came on one topic.

    :param message_type: Class of its messages.
    """

    def __init__(self, message_type: Any) -> None:
        """Begin with nothing."""
        self._message_type = message_type
        self._newest = b''
        self._first = self._last = 0.0
        self._joints: dict[str, float] = {}
        self.count = 0

    def receive(self, message: bytes) -> None:
        """Count a message, and keep it as it is."""
        now = time.monotonic()
        self._first = self._first or now
        self._last = now
        self._newest = bytes(message) if len(message) <= _MOST_BYTES else b''
        self.count += 1
        if self._message_type is JointState and self.count <= _MOST_READ:
            self._note_joints(self._read())

    @property
    def rate(self) -> float | None:
        """Messages a second; None for fewer than two."""
        took = self._last - self._first
        return (self.count - 1) / took if self.count > 1 and took > 0 else None

    def message(self) -> Any:
        """
        Read the newest message; None where none came, or it cannot be read.

        A JointState has the joints of all that came: an arm and its gripper may publish on one
        topic, each its own.
        """
        message = self._read()
        if message is not None and self._joints:
            message.name, message.position = list(self._joints), list(self._joints.values())
        return message

    def _note_joints(self, message: Any) -> None:
        """Note the joints of a message that has a position for each."""
        if message is None or len(message.name) != len(message.position):
            return
        for name, position in zip(message.name, message.position, strict=True):
            if name in self._joints or len(self._joints) < _MOST_JOINTS:
                self._joints[name] = position

    def _read(self) -> Any:
        """Read the newest message as it is."""
        if not self._newest:
            return None
        try:
            return deserialize_message(self._newest, self._message_type)
        except Exception:  # somebody else wrote it; that it is no such message is all there is
            return None


def _texts(value: Any) -> tuple[str, ...]:
    """Read a parameter that is text, or a list of texts."""
    if value.type == ParameterType.PARAMETER_STRING_ARRAY:
        return tuple(value.string_array_value)
    return (value.string_value,) if value.type == ParameterType.PARAMETER_STRING and (
        value.string_value) else ()
