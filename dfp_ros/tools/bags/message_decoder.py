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
"""Deserialisation of recorded messages, of which single ones may be unreadable."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
import struct
from typing import Any

from dfp_ros.core.text.printable import printable

# Most texts of a message that are repaired, each of which takes another attempt.
_MOST_TEXTS = 20
# The first bytes of a message in CDR, big and little endian.
_CDR = (b'\0\0', b'\0\1')


class MessageDecoder:
    """
    Deserialises the messages of a recording, and counts those that are none of their type.

    A driver may publish text that is not UTF-8, which rclpy reads with replacements, and anything
    may publish bytes that are no message, which no node gets. A recorder records both.

    :param path: The recording, for notes.
    :param store: Type store of rosbags, with the types of the recording.
    """

    def __init__(self, path: Path, store: Any) -> None:
        """Start with nothing."""
        self._path = path
        self._store = store
        self._read: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._repaired: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}

    def decode(self, topic: str, kind: str, content: bytes) -> Any:
        """
        Deserialise a message.

        :param topic: Its topic.
        :param kind: Its type.
        :param content: Its bytes.
        :return: The message; None if it is none.
        """
        try:
            message = self._deserialize(topic, kind, content)
        except Exception as error:  # foreign bytes make rosbags raise any kind of error
            self._unread[topic] += 1
            self._reasons.setdefault(topic, printable(error, 300))
            return None
        self._read[topic] += 1
        return message

    def fault(self) -> str:
        """Tell why no message of a topic could be read; empty if some of each could."""
        for topic, reason in self._reasons.items():
            if not self._read[topic]:
                return reason
        return ''

    def notes(self) -> list[str]:
        """Describe what was left out, and what was repaired."""
        return [
            f'{self._path}: {printable(topic)}: {count} of {count + self._read[topic]} messages '
            f'left out, which could not be read ({self._reasons[topic]})'
            for topic, count in self._unread.items()
        ] + [
            f'{self._path}: {printable(topic)}: {count} messages have text that is not UTF-8, '
            'which is read with "?" in place of its bytes'
            for topic, count in self._repaired.items()]

    def _deserialize(self, topic: str, kind: str, content: bytes) -> Any:
        """
        Deserialise a message, with its texts repaired if they are not UTF-8.

        Bytes after it are ignored, as ROS does: those of rclpy's ``serialize_message``, with which
        Python programs write bags, have some beside empty arrays.
        """
        if bytes(content[:2]) not in _CDR:
            raise ValueError('it begins with no mark of CDR')
        definition = self._store.get_msgdef(kind)
        read = definition.deserialize_cdr_le if content[1] else definition.deserialize_cdr_be
        for repaired in range(_MOST_TEXTS + 1):
            try:
                message, _ = read(content[4:], 0, definition.cls, self._store)
            except UnicodeDecodeError as error:
                if repaired == _MOST_TEXTS:
                    raise
                content = _repair(content, error.object)
                continue
            if repaired:
                self._repaired[topic] += 1
            return message
        raise AssertionError('the last attempt returns or raises')


def _repair(content: bytes, text: bytes) -> bytes:
    """
    Replace what is not ASCII in a text of a message, whose length stays.

    :param content: The message.
    :param text: The text, which is not UTF-8.
    """
    length = struct.pack('<I' if content[1] & 1 else '>I', len(text) + 1)
    fixed = bytes(byte if byte < 0x80 else 0x3f for byte in text)
    return content.replace(length + text, length + fixed)
