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
"""Survey of a robot's topics by listening, without publishing anything."""

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
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.node.messages.introspection import find_message_type
from dfp_ros.node.ros.qos import CALL_QOS
from dfp_ros.node.ros.urdf_topic import TOPIC as URDF_TOPIC
from dfp_ros.tools.describe.survey import PublishedTopic, Survey, TakenTopic
from dfp_ros.tools.describe.topic_kinds import classify, COMMAND, SOURCE

# Largest number of topics to subscribe to.
MOST_TOPICS = 200
# Largest message that is kept; of a camera, the largest that a description may have.
_MOST_BYTES, _MOST_PICTURE_BYTES = 1 << 20, 1 << 27
# Largest number of JointStates decoded on a topic, to find the joints of every publisher and the
# rate of each.
_MOST_READ, _MOST_JOINTS = 20_000, 200
_DISCOVERY_PERIOD = 0.25  # s
# Timeout of one node's answers, and of those of all nodes together.
_ANSWER, _ANSWERS = 2.0, 20.0  # s
# Parameters of ros2_control's controllers that state their joints and interface.
_PARAMETERS = ('joints', 'interface_name', 'command_interfaces')
_UNKNOWN = '_NODE_NAME_UNKNOWN_'


class RobotListener:
    """
    Subscriber to every topic that a description could use.

    :param node: Node for the subscriptions; its namespace is the robot's. Topics outside it are
        those of other robots, and left out.
    """

    def __init__(self, node: Node) -> None:
        """Subscribe to the URDF; :meth:`listen` finds the other topics."""
        self._node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._heard: dict[str, _Heard] = {}
        self._urdf = ''
        # Nodes that did not answer, which are not asked again.
        self._mute: set[str] = set()
        node.create_subscription(String, URDF_TOPIC, self._take_urdf, QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def listen(self, seconds: float) -> Survey:
        """
        Survey the topics.

        :param seconds: Duration.
        :return: The survey.
        :raises ExternalShutdownException: If a signal ends it.
        """
        begin = time.monotonic()
        next_discovery = begin
        while (now := time.monotonic()) < begin + seconds and rclpy.ok(context=self._node.context):
            if now >= next_discovery:
                self._discover()
                next_discovery = now + _DISCOVERY_PERIOD
            self._executor.spin_once(min(_DISCOVERY_PERIOD, begin + seconds - now))
        if not rclpy.ok(context=self._node.context):
            raise ExternalShutdownException
        return self._sum_up(seconds)

    def close(self) -> None:
        """Destroy the subscriptions."""
        self._executor.shutdown()

    def _discover(self) -> None:
        """Subscribe to topics that appeared since the last call."""
        for topic, kinds in self._node.get_topic_names_and_types():
            if topic in self._heard or len(self._heard) >= MOST_TOPICS or self._is_outside(topic):
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
            # Latched messages must be requested; any others arrive anyway.
            is_latched = all(
                end.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
                for end in publishers)
            self._node.create_subscription(message_type, topic, heard.receive, QoSProfile(
                depth=10, reliability=ReliabilityPolicy.RELIABLE if is_latched
                else ReliabilityPolicy.BEST_EFFORT,
                durability=DurabilityPolicy.TRANSIENT_LOCAL if is_latched
                else DurabilityPolicy.VOLATILE), raw=True)

    def _ends(self, topic: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """List publishers and subscribers of a topic, without this node."""
        own = self._node.get_fully_qualified_name()
        found = []
        for infos in (
                self._node.get_publishers_info_by_topic(topic),
                self._node.get_subscriptions_info_by_topic(topic)):
            names = (f'{info.node_namespace.rstrip("/")}/{info.node_name}' for info in infos)
            found.append(tuple(sorted({name for name in names if name != own})))
        return found[0], found[1]

    def _sum_up(self, seconds: float) -> Survey:
        """Summarise the received messages."""
        last_question = time.monotonic() + _ANSWERS
        published, taken, left_out, outside = [], [], {}, []
        for topic, kinds in sorted(self._node.get_topic_names_and_types()):
            publishers, subscribers = self._ends(topic)
            name = self._relative(topic)
            if len(kinds) != 1:
                left_out[name] = f'it has several types: {", ".join(sorted(kinds))}'
                continue
            what, why = classify(topic, kinds[0], publishers, subscribers)
            if self._is_outside(topic):
                if what:
                    outside.append(topic)
            elif what == SOURCE:
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
            tuple(published), tuple(self._ask(each, last_question) for each in taken), left_out,
            self._urdf, seconds, self._node.get_namespace(), tuple(outside))

    def _published(
            self, topic: str, kind: str, publishers: tuple[str, ...]) -> PublishedTopic:
        """Summarise a topic that was subscribed to."""
        heard = self._heard[topic]
        offered = [
            end.qos_profile for end in self._node.get_publishers_info_by_topic(topic)]
        return PublishedTopic(
            self._relative(topic), kind, publishers,
            all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered),
            bool(offered) and all(
                qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered),
            heard.count, heard.rate, heard.message())

    def _ask(self, taken: TakenTopic, last_question: float) -> TakenTopic:
        """Ask the controller that subscribes to a topic which joints it takes, if time is left."""
        for name in taken.subscribers[:4]:
            if _UNKNOWN in name or name in self._mute or time.monotonic() > last_question:
                continue
            client = self._node.create_client(
                GetParameters, f'{name}/get_parameters', qos_profile=CALL_QOS)
            try:
                values = self._call(client)
            finally:
                self._node.destroy_client(client)
            if values is None:
                self._mute.add(name)
            elif values['joints']:
                interfaces = values['command_interfaces'] or values['interface_name']
                return replace(
                    taken, joints=tuple(values['joints']),
                    interface=interfaces[0] if len(interfaces) == 1 else '')
        return taken

    def _call(self, client: Any) -> dict[str, tuple[str, ...]] | None:
        """Get the parameters of one node that it has; None if it does not answer."""
        deadline = time.monotonic() + _ANSWER
        while not client.service_is_ready():
            if time.monotonic() > deadline:
                return None
            self._executor.spin_once(0.05)
        # An undeclared parameter can make a whole answer empty, so each is requested separately.
        found: dict[str, tuple[str, ...]] = dict.fromkeys(_PARAMETERS, ())
        for name in _PARAMETERS:
            future = client.call_async(GetParameters.Request(names=[name]))
            while not future.done() and time.monotonic() < deadline:
                self._executor.spin_once(0.05)
            if not future.done():
                client.remove_pending_request(future)
                return found if found['joints'] else None
            answer = future.result()
            value = answer.values[0] if answer is not None and answer.values else None
            found[name] = () if value is None else _texts(value)
        return found

    def _take_urdf(self, message: String) -> None:
        """Store the URDF."""
        self._urdf = message.data

    def _relative(self, topic: str) -> str:
        """Return a topic's name as a description writes it."""
        return topic if self._is_outside(topic) else topic[len(self._prefix):]

    def _is_outside(self, topic: str) -> bool:
        """Tell whether a topic is outside the robot's namespace."""
        return not topic.startswith(self._prefix)

    @property
    def _prefix(self) -> str:
        """Begin of the names of the robot's topics."""
        return self._node.get_namespace().rstrip('/') + '/'


class _Heard:
    """
    Messages received on one topic.

    :param message_type: Message class.
    """

    def __init__(self, message_type: Any) -> None:
        """Start empty."""
        self._message_type = message_type
        self._newest = b''
        self._most = (
            _MOST_PICTURE_BYTES if message_type in (Image, CompressedImage) else _MOST_BYTES)
        self._first = self._last = 0.0
        self._joints: dict[str, float] = {}
        # Number of messages with a joint, time of the first and of the last of them.
        self._arrivals: dict[str, tuple[int, float, float]] = {}
        self.count = 0

    def receive(self, message: bytes) -> None:
        """Count a message, and store it serialised."""
        now = time.monotonic()
        self._first = self._first or now
        self._last = now
        self._newest = bytes(message) if len(message) <= self._most else b''
        self.count += 1
        if self._message_type is JointState and self.count <= _MOST_READ:
            self._note_joints(self._read(), now)

    @property
    def rate(self) -> float | None:
        """
        Messages per second; None for fewer than two.

        Of a JointState, the rate of the slowest joint: publishers that share a topic differ.
        """
        rates = [
            _rate(*each) for each in self._arrivals.values() or [
                (self.count, self._first, self._last)]]
        known = [rate for rate in rates if rate is not None]
        return min(known) if len(known) == len(rates) else None

    def message(self) -> Any:
        """
        Deserialise the newest message; None if there is none, or it is malformed.

        A JointState has the joints of all messages received: an arm and its gripper may publish
        their joints separately on one topic.
        """
        message = self._read()
        if message is not None and self._joints:
            message.name, message.position = list(self._joints), list(self._joints.values())
        return message

    def _note_joints(self, message: Any, now: float) -> None:
        """Collect the joints of a message that has a position for each."""
        if message is None or len(message.name) != len(message.position):
            return
        for name, position in zip(message.name, message.position, strict=True):
            if name in self._joints or len(self._joints) < _MOST_JOINTS:
                self._joints[name] = position
                count, first, _ = self._arrivals.get(name, (0, now, now))
                self._arrivals[name] = count + 1, first, now

    def _read(self) -> Any:
        """Deserialise the newest message."""
        if not self._newest:
            return None
        try:
            return deserialize_message(self._newest, self._message_type)
        except Exception:  # any fault of deserialisation: the message is malformed
            return None


def _rate(count: int, first: float, last: float) -> float | None:
    """Return messages per second; None for fewer than two."""
    return (count - 1) / (last - first) if count > 1 and last > first else None


def _texts(value: Any) -> tuple[str, ...]:
    """Return a parameter that is a string or a list of strings."""
    if value.type == ParameterType.PARAMETER_STRING_ARRAY:
        return tuple(value.string_array_value)
    return (value.string_value,) if value.type == ParameterType.PARAMETER_STRING and (
        value.string_value) else ()
