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
"""Recordings with single messages that no reader can take as they are."""

from __future__ import annotations

from pathlib import Path
import struct
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from dfp_ros.tools.bags.reader import BagReader, RecordingError
from testing.fixtures.bags import header, JOINTS, make, MS, START, STORE

_TOPIC = '/joint_states'


def joints(frame: str, joint: str, position: float) -> Any:
    """Make a joint state of two joints."""
    top, none = header(START), np.zeros(0)
    top.frame_id = frame
    return make(
        'JointState', header=top, name=['shoulder', joint], position=np.array([0.1, position]),
        velocity=none, effort=none)


def write(path: Path, *odd: bytes, whole: int = 20) -> Path:
    """Write joint states, and odd ones among them."""
    messages = [
        bytes(STORE.serialize_cdr(joints('base', 'elbow', i), JOINTS)) for i in range(whole)]
    middle = len(messages) // 2
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(_TOPIC, JOINTS, typestore=STORE)
        for i, content in enumerate([*messages[:middle], *odd, *messages[middle:]]):
            writer.write(connection, START + i * MS, content)
    return path


def foreign(frame: bytes = b'base', joint: bytes = b'elbow', little: bool = True) -> bytes:
    """Serialise a joint state with texts of any bytes."""
    content = STORE.serialize_cdr(
        joints('F' * len(frame), 'J' * len(joint), 0.2), JOINTS, little_endian=little)
    return bytes(content).replace(b'F' * len(frame), frame).replace(b'J' * len(joint), joint)


def read(path: Path) -> tuple[list[Any], list[str]]:
    """Read the joint states, and the notes."""
    with BagReader(path) as bag:
        messages = [message for _, _, message in bag.messages({_TOPIC: JOINTS})]
        return messages, bag.notes


@pytest.mark.parametrize('little', [True, False])
def test_text_that_is_not_utf_8(tmp_path: Path, little: bool) -> None:
    """It costs no other message, and its own keeps its numbers, as in a node."""
    messages, notes = read(write(
        tmp_path / 'bag', foreign(b'ca\xff\xfe', little=little),
        foreign(b'\xff', b'\x80lbow', little=little)))
    assert len(messages) == 22
    assert [message.header.frame_id for message in messages[10:12]] == ['ca??', '?']
    assert messages[11].name == ['shoulder', '?lbow']
    assert messages[11].position.tolist() == [0.1, 0.2]
    assert not any('UTF-8' in note for note in read(write(tmp_path / 'plain'))[1])
    assert any('/joint_states: 2 messages have text that is not UTF-8' in note for note in notes)


@pytest.mark.parametrize('odd', [
    b'', b'\0\1\0\0', foreign()[:-9], b'\0\1\0\0' + b'\xff' * 40, b'\0\x0a\0\0' + bytes(80)])
def test_bytes_that_are_no_message(tmp_path: Path, odd: bytes) -> None:
    """They are left out with a note, as no node gets them."""
    messages, notes = read(write(tmp_path / 'bag', odd, odd))
    assert [message.position[1] for message in messages] == list(range(20))
    assert any('/joint_states: 2 of 22 messages left out, which could' in note for note in notes)


def test_bytes_after_a_message(tmp_path: Path) -> None:
    """As those of a bag have that a Python program has written; they may be anything."""
    messages, notes = read(write(tmp_path / 'bag', foreign() + bytes(64), foreign() + b'x' * 9))
    assert [list(message.position) for message in messages[10:12]] == [[0.1, 0.2]] * 2
    assert not any('left out' in note for note in notes)


def test_what_rclpy_serialises(tmp_path: Path) -> None:
    """Its messages with empty arrays are longer than their content."""
    pytest.importorskip('rclpy')
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import JointState
    content = bytes(serialize_message(JointState(name=['elbow'], position=[0.5])))
    assert len(content) > 64
    messages, _ = read(write(tmp_path / 'bag', content, whole=0))
    assert [(message.name, list(message.position)) for message in messages] == [(['elbow'], [0.5])]


def test_a_topic_without_a_message(tmp_path: Path) -> None:
    """If none can be read, the recording is damaged."""
    with pytest.raises(RecordingError, match='found damaged messages: .*; copy it again'):
        read(write(tmp_path / 'bag', b'\0\1\0\0' + struct.pack('<I', 7), whole=0))
