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
"""Subscriptions to the sources of a robot description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
import inspect
import struct
import time
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import (
    RECEIVE,
    require_own_cameras,
    Source,
    STATIC_RECEPTION,
)
from dfp_ros.core.description.takeover import require_a_person
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.interleaving import Interleaving
from dfp_ros.core.observation.publication_order import PublicationOrder
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.pictures.picture_reader import PictureReader
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.picture_receiver import Arrival, CAMERA_FACTS, PictureReceiver
from dfp_ros.node.messages.picture_messages import PictureMessages
from dfp_ros.node.messages.source_reader import SourceReader
from dfp_ros.node.realtime.switch_interval import ShortSwitchInterval
from dfp_ros.node.ros.endpoints import publisher_names
from dfp_ros.node.ros.node_clock import NodeClock
from dfp_ros.node.ros.qos import source_qos
from dfp_ros.node.ros.qos_events import NO_SUBSCRIPTION_EVENTS
from dfp_ros.node.ros.qos_monitor import QosMonitor

_WITH_INFORMATION = inspect.signature(lambda message, information: None)
# Seconds between two checks for publishers of joints in several messages.
_LOOK_AGAIN = 1.0
# Bytes of a serialised picture before its data, of which frame and encoding have any length.
_LONGEST_HEADER = 4096


class SourceSubscriptions:
    """
    Subscriptions to a robot's sources.

    :param node: The node.
    :param loop: Has the robot's description.
    :param receive: Gets each sample with its source's name.
    :param watch: Hears of publishers from which nothing comes.
    :param episode: Returns the number of the episode; a picture that arrived in an earlier one is
        dropped. None for a single one.
    """

    def __init__(
            self, node: Node, loop: ControlLoop, receive: Callable[[str, Sample], None],
            watch: QosMonitor | None = None, episode: Callable[[], int] | None = None) -> None:
        """Create them."""
        _require_other_topics(node, loop.robot)
        # All are checked before the first thread of a camera is started.
        readers = {
            name: SourceReader(
                source, loop.robot, not loop.is_lockstep or name not in loop.robot.sources)
            for name, source in loop.robot.every_source.items()}
        self._node = node
        self._time = NodeClock(node)
        #: Receivers of cameras by source; pictures are decoded aside, and delivered when ready.
        self.cameras: dict[str, PictureReceiver] = {}
        self._deliver_to = receive
        self._episode = episode or int
        self._is_delivering = False
        # A decoding thread must not hold the GIL when a tick is due.
        self._switch_interval: ShortSwitchInterval | None = None
        #: Sources that have a single publisher, and the detection of several.
        self.interleavings = [
            (source, Interleaving()) for source in loop.robot.every_source.values()
            if not source.child]
        turns = {source.name: interleaving for source, interleaving in self.interleavings}
        orders = {
            source.name: PublicationOrder() for source in loop.robot.sources.values()
            if source.is_latched}

        def counted(name: str, sample: Sample) -> None:
            # Messages with other joints may have another publisher; those without are ignored.
            joints = sample.joints
            kind = joints and joints.slots
            if name in turns and (joints is None or max(joints.slots) >= 0):
                turns[name].add(kind)
            if name in orders and (earlier := orders[name].find_earlier(kind)):
                self._say_replaced(name, earlier)
                return
            receive(name, sample)

        def is_counted(name: str) -> bool:
            # Pictures are counted when they arrive: not all of them are decoded.
            turns[name].add(None)
            earlier = orders[name].find_earlier(None) if name in orders else 0.0
            if earlier:
                self._say_replaced(name, earlier)
            return not earlier

        self._receive = counted
        watch = watch or QosMonitor(node)
        self._subscriptions: list[Subscription] = []
        for source in loop.robot.every_source.values():
            # A robot waits for its own samples only.
            lockstep = loop.is_lockstep and source.name in loop.robot.sources
            reader = readers[source.name]
            is_kept = lockstep or source.qos.durability != 'volatile'
            receiver = (
                self._receiver(source.name, source.topic, reader.read, is_kept)
                if reader.pictures is None else self._picture_receiver(
                    source.name, PictureMessages(reader.message_type, source.type),
                    reader.pictures, is_kept, is_counted,
                    # A latched one is replaced by whichever was published later.
                    0.0 if lockstep or source.is_latched or source.time == RECEIVE
                    else source.max_age * 1e9))
            watch.watch_source(source.topic, source.type)
            self._subscriptions.append(node.create_subscription(
                reader.message_type, source.topic,
                _numbered(receiver, turns.get(source.name), orders.get(source.name)),
                source_qos(source.qos, lockstep),
                event_callbacks=NO_SUBSCRIPTION_EVENTS,
                raw=reader.pictures is not None))
            if source.static_topic:
                watch.watch_source(source.static_topic, source.type)
                self._subscriptions.append(node.create_subscription(
                    reader.message_type, source.static_topic,
                    self._receiver(source.name, source.static_topic, reader.read_static, True),
                    source_qos(STATIC_RECEPTION),
                    event_callbacks=NO_SUBSCRIPTION_EVENTS))

    def _receiver(
            self, name: str, topic: str, read: Callable[[object, int], Sample | None],
            is_kept: bool) -> Callable[[object], None]:
        """
        Make the callback of one topic of a source.

        :param is_kept: Whether messages from before the start of simulated time are used. Their
            age, and the lead of their stamps, would be the time of the simulation.
        """
        full_name = self._node.resolve_topic_name(topic)
        publishers: tuple[str, ...] = ()
        looked = -_LOOK_AGAIN

        def receive(message: object) -> None:
            nonlocal publishers, looked
            now = self._time.now()
            sample = read(message, now)
            if sample is None or not (now or is_kept):
                return
            if sample.joints is not None:
                # If a message has only some of the joints, its publishers are reported.
                if time.monotonic() - looked >= _LOOK_AGAIN:
                    publishers = tuple(publisher_names(self._node, full_name))
                    looked = time.monotonic()
                sample = replace(sample, joints=replace(sample.joints, publishers=publishers))
            self._receive(name, sample)
        return receive

    def _picture_receiver(
            self, name: str, messages: PictureMessages, reader: PictureReader, is_kept: bool,
            is_counted: Callable[[str], bool], max_age: float) -> Callable[[Any], None]:
        """
        Make the callback of a camera, which leaves everything but the clock to another thread.

        :param is_kept: As for :meth:`_receiver`.
        :param is_counted: Counts a message; whether it is used.
        :param max_age: As for :class:`dfp_ros.node.loop.picture_receiver.PictureReceiver`.
        """
        if self._switch_interval is None:
            self._switch_interval = ShortSwitchInterval()
        camera = self.cameras[name] = PictureReceiver(
            name, partial(_read_picture, reader, messages), self._wake, max_age)

        def receive(content: bytes) -> None:
            now = self._time.now()
            if (now or is_kept) and is_counted(name):
                camera.offer(Arrival(content, now, self._episode(), _read_stamp(content)))
            # A node without an executor is not woken up.
            self._deliver()
        return receive

    def _wake(self) -> None:
        """Have pictures delivered on the thread of the ticks; called in another."""
        executor = self._node.executor
        if executor is not None and not self._is_delivering:
            self._is_delivering = True
            executor.create_task(self._deliver)

    def _deliver(self) -> None:
        """Deliver the pictures that are ready."""
        self._is_delivering = False
        for name, camera in self.cameras.items():
            taken = camera.take()
            if taken is None:
                continue
            sample, episode = taken
            if sample.lasts or episode == self._episode():
                self._deliver_to(name, sample)

    def facts(self) -> Mapping[str, str]:
        """Facts for diagnostics: of each camera."""
        return {
            f'source_{name}_{key}': value for name, camera in self.cameras.items()
            for key, value in zip(CAMERA_FACTS, (
                str(camera.arrived), str(camera.decoded), f'{camera.took * 1e3:.2f}'),
                strict=True)}

    def _say_replaced(self, name: str, earlier: float) -> None:
        """Log that a latched message was ignored, as it was replaced before it arrived."""
        self._node.get_logger().warning(
            f'source {name!r}: a message was ignored that was published {earlier:.3f} s before '
            'the one in use, by another publisher of its latched topic; end the publishers whose '
            'value is outdated (if this message is the newer one, the clocks of the two machines '
            'differ)', throttle_duration_sec=5.0)

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        cameras, self.cameras = self.cameras, {}
        for camera in cameras.values():
            camera.close()
        if self._switch_interval is not None:
            self._switch_interval.close()


def _require_other_topics(node: Node, robot: RobotDescription) -> None:
    """
    Require that, after remapping, no source has the topic of something else.

    :raises DescriptionError: If a source's topic is a command topic, has messages of another type
        or is another camera's, or if a person's is the robot's own.
    """
    def full_name(source: Source) -> str:
        return node.resolve_topic_name(source.topic)

    commands = {node.resolve_topic_name(topic.topic): topic for topic in robot.commands}
    found: dict[str, Source] = {}
    for source in robot.every_source.values():
        name = full_name(source)
        if name in commands:
            raise DescriptionError(
                f'{source.where}: its topic {source.topic} is, as remapped, {name}, which the '
                f'command {commands[name].name!r} goes to; a source has to be measured by the '
                'robot')
        other = found.setdefault(name, source)
        if other.type != source.type:
            raise DescriptionError(
                f'{source.where}: its topic {source.topic} is, as remapped, {name}, with '
                f'messages of {source.type}, but the source {other.name!r} expects {other.type} '
                'there; a topic has one type')
    require_own_cameras(robot.every_source.values(), node.resolve_topic_name)
    takeover = robot.takeover
    if takeover is not None:
        require_a_person(
            takeover.dead_man, takeover.entries, takeover.sources, robot.sources, robot.commands,
            full_name)


def _read_picture(
        reader: PictureReader, messages: PictureMessages, content: bytes, received: int,
) -> Sample:
    """Read a serialised message; one that is far too large is not taken apart."""
    if len(content) > reader.largest + _LONGEST_HEADER:
        return reader.refuse(len(content), _read_stamp(content) or 0, received)
    return reader.read(messages.read(content), received)


def _read_stamp(content: bytes) -> int | None:
    """Read the header stamp of a serialised message in ns; None if it is too short for one."""
    # After four bytes that say how it is serialised, a header begins with its stamp.
    if len(content) < 12:
        return None
    seconds, nanoseconds = struct.unpack_from('<iI' if content[1] & 1 else '>iI', content, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _numbered(
        receive: Callable[[object], None], interleaving: Interleaving | None,
        order: PublicationOrder | None) -> Callable[..., None]:
    """Have a callback note the number and the time that the publisher gave a message."""
    if interleaving is None:
        return receive

    def receive_numbered(*arguments: Any) -> None:
        # The executor of events gives message and information as one argument, the others as two.
        found = arguments[0] if len(arguments) == 1 else arguments
        message, info = found if isinstance(found, tuple) else (found, {})
        interleaving.number = info.get('publication_sequence_number')
        if order is not None:
            # A clock that is ahead must not outdate all that is published after it.
            order.now = time.time_ns()
            order.published = min(info.get('source_timestamp') or 0, order.now)
        receive(message)

    # From which rclpy tells that the information is wanted.
    receive_numbered.__signature__ = _WITH_INFORMATION  # type: ignore[attr-defined]
    return receive_numbered
