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
"""Subscriptions to cameras over real topics: who decodes, what is delivered, and what is not."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('PIL')

from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.pictures.picture_reader import PictureReader
from dfp_ros.node.loop.source_subscriptions import SourceSubscriptions
from dfp_ros.node.ros.domain import free_domain
from testing.fixtures.cameras import camera_robot, raw, scene
from testing.fixtures.robot_samples import shipped_robot
from testing.processes.camera_cell import ros_message
from testing.processes.ros_processes import Peer


class Camera:
    """A publisher of pictures, and a subscriber in the same process."""

    def __init__(self, robot: Any = None, durability: str = 'volatile') -> None:
        self.peer = Peer(free_domain())
        self.seen: list[tuple[str, Sample]] = []
        self.threads: set[int] = set()
        self.episode = 0
        self.publisher = self.peer.node.create_publisher(Image, 'wrist/image_raw', QoSProfile(
            depth=1, durability=DurabilityPolicy[durability.upper()]))
        loop: Any = SimpleNamespace(robot=robot or camera_robot(), is_lockstep=False)
        self.subscriptions = SourceSubscriptions(
            self.peer.node, loop, self._receive, episode=lambda: self.episode)
        self.peer.wait_for(self.publisher.get_subscription_count)

    def _receive(self, name: str, sample: Sample) -> None:
        self.threads.add(threading.get_ident())
        self.seen.append((name, sample))

    def publish(self, seed: int = 0, **changes: Any) -> Any:
        """Publish a picture; return its message."""
        message = ros_message(
            raw(scene(seed), 'rgb8', **changes), self.peer.node.get_clock().now().to_msg())
        self.publisher.publish(message)
        return message

    def arrive(self, content: bytes) -> None:
        """Have a serialised message arrive, as from the middleware."""
        subscription = next(
            each for each in self.subscriptions._subscriptions
            if each.topic_name.endswith('wrist/image_raw'))
        subscription.callback(content, {})

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self.subscriptions.close()
        self.peer.__exit__()


def test_pictures_are_decoded_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are delivered in that of the ticks, with stamp and arrival of their message."""
    decoding: set[int] = set()
    read = PictureReader.read

    def noted(self: PictureReader, message: Any, received: int) -> Sample:
        decoding.add(threading.get_ident())
        return read(self, message, received)

    monkeypatch.setattr(PictureReader, 'read', noted)
    with Camera() as camera:
        before = time.time_ns()
        message = camera.publish(1)
        camera.peer.wait_for(lambda: camera.seen)
        [(name, sample)] = camera.seen
        assert name == 'wrist_camera'
        assert sample.stamp == message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        assert before <= sample.received <= time.time_ns()
        assert sample.values['wrist'].pixels.shape == (12, 12, 3)
        assert camera.threads == {threading.get_ident()}
        assert len(decoding) == 1
        assert not decoding & camera.threads
        facts = camera.subscriptions.facts()
        assert facts['source_wrist_camera_messages'] == '1'
        assert facts['source_wrist_camera_decoded'] == '1'
        assert facts['source_depth_camera_decoded'] == '0'
        # One that it has overtaken is dropped.
        message.header.stamp.sec -= message.header.stamp.nanosec < 10**8
        message.header.stamp.nanosec = (message.header.stamp.nanosec - 10**8) % 10**9
        camera.arrive(serialize_message(message))
        receiver = camera.subscriptions.cameras['wrist_camera']
        assert receiver.arrived == 2
        assert receiver._newest is not None
        assert receiver._newest.stamp == sample.stamp


def test_pictures_of_an_earlier_episode_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first picture after a reset is not of the time before it."""
    may_decode = threading.Event()
    read = PictureReader.read

    def late(self: PictureReader, message: Any, received: int) -> Sample:
        assert may_decode.wait(20)
        return read(self, message, received)

    monkeypatch.setattr(PictureReader, 'read', late)
    with Camera() as camera:
        camera.publish(1)
        cell = camera.subscriptions.cameras['wrist_camera']
        camera.peer.wait_for(lambda: cell.arrived)
        camera.episode += 1
        may_decode.set()
        camera.peer.wait_for(lambda: cell.decoded)
        camera.publish(2)
        camera.peer.wait_for(lambda: camera.seen)
        expected = camera.seen[0][1].values['wrist'].number
        assert cell.decoded == 2
        camera.publish(2)
        camera.peer.wait_for(lambda: len(camera.seen) == 2)
        assert camera.seen[1][1].values['wrist'].number == expected


def test_a_message_that_is_far_too_large_is_not_taken_apart(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its stamp is read, in either byte order."""
    monkeypatch.setattr(
        PictureReader, 'read', lambda *_: pytest.fail('it was taken apart'))
    with Camera() as camera:
        message = Image()
        message.header.stamp.sec, message.header.stamp.nanosec = 12, 345
        message.data = bytes(3 << 20)
        content = serialize_message(message)
        assert content[1] & 1, 'this machine is little-endian'
        swapped = content[:1] + b'\0' + content[2:4] + content[4:8][::-1] + content[8:12][::-1]
        for arrived in (content, swapped + content[12:]):
            camera.seen.clear()
            camera.arrive(arrived)
            camera.peer.wait_for(lambda: camera.seen)
            [(_, sample)] = camera.seen
            assert sample.stamp == 12_000_000_345
            assert sample.problem.startswith(f'a message has {len(content)} bytes, expected at mo')


def test_a_message_that_is_none() -> None:
    """Bytes that cannot be taken apart are a problem of the source, not the end of its thread."""
    with Camera() as camera:
        camera.arrive(b'\0\1\0\0garbage')
        camera.peer.wait_for(lambda: camera.seen)
        assert camera.seen[0][1].problem.startswith('a picture cannot be read: ')
        camera.publish(1)
        camera.peer.wait_for(lambda: len(camera.seen) == 2)
        assert not camera.seen[1][1].problem


def test_a_picture_that_shows_the_goal(tmp_path: Path) -> None:
    """It is published once, before the node starts, and valid until it is replaced."""
    robot = camera_robot(tmp_path, {
        'height: 48}\n    max_age: 0.5': 'height: 48}\n    qos: {durability: transient_local}'})
    with Camera(robot, 'transient_local') as camera:
        camera.publish(1)
        camera.peer.wait_for(lambda: camera.seen)
        camera.episode += 1
        assert camera.seen[0][1].lasts
        camera.arrive(serialize_message(ros_message(
            raw(scene(2), 'rgb8'), camera.peer.node.get_clock().now().to_msg())))
        camera.episode += 1
        camera.peer.wait_for(lambda: len(camera.seen) == 2)


def test_closing_ends_the_threads() -> None:
    """Both cameras have one, which a cleaned-up node has no more."""
    before = threading.active_count()
    with Camera() as camera:
        assert threading.active_count() == before + 2
        camera.publish(1)
    assert threading.active_count() == before


def test_a_robot_without_cameras_has_nothing_of_them() -> None:
    """Neither threads, nor another interval of Python, nor their libraries in memory."""
    before, interval = threading.active_count(), sys.getswitchinterval()
    loop: Any = SimpleNamespace(robot=shipped_robot(), is_lockstep=False)
    with Peer(free_domain()) as peer:
        subscriptions = SourceSubscriptions(peer.node, loop, lambda name, sample: None)
        assert (threading.active_count(), sys.getswitchinterval()) == (before, interval)
        assert subscriptions.cameras == {}
        assert subscriptions.facts() == {}
        subscriptions.close()
    loaded = subprocess.run(
        [sys.executable, '-c', 'import sys, dfp_ros.policy_node; '
         'print(sys.modules.keys() & {"PIL", "rosbags"})'],
        capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == 'set()'
