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
"""Receiver of a camera's messages, which decodes them in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from dataclasses import dataclass, replace
import threading
import time

from dfp_ros.core.observation.sample import is_overtaken, Sample
from dfp_ros.core.text.errors import explain
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING

#: Facts of a camera for diagnostics.
CAMERA_FACTS = ('messages', 'decoded', 'decoding_ms')
# Timeout for a thread that is decoding when the receiver is closed, in s.
_LONGEST_CLOSE = 2.0


@dataclass(frozen=True)
class Arrival:
    """
    A message as it arrived.

    :param content: The serialised message.
    :param received: Arrival time in ns.
    :param episode: Number of the episode in which it arrived.
    :param stamp: Its header stamp in ns; None if it is not used.
    """

    content: bytes
    received: int
    episode: int
    stamp: int | None = None


class PictureReceiver:
    """
    Decodes the messages of one camera, the newest one each time.

    At most three pictures are in memory: a message that waits, one that is being decoded, and the
    picture that is ready. A newer one replaces what waits; one that others have overtaken on its
    way, within the maximum age, is dropped.

    :param name: Name of the camera.
    :param read: Converts a serialised message that arrived at a time in ns; called in the thread.
    :param ready: Called in the thread once :meth:`take` has something.
    :param max_age: Maximum age in ns; 0 if the last message to arrive is the newest.

    :ivar arrived: Number of messages.
    :ivar decoded: Number of pictures; the others were replaced by newer ones before.
    :ivar took: Duration of the last decoding in s.
    :ivar longest: The longest so far.
    """

    def __init__(
            self, name: str, read: Callable[[bytes, int], Sample],
            ready: Callable[[], None], max_age: float = 0.0) -> None:
        """Start the thread."""
        self._max_age = max_age
        self._newest: Arrival | None = None
        self.arrived = self.decoded = 0
        self.took = self.longest = 0.0
        self._read = read
        self._ready = ready
        self._waiting: Arrival | None = None
        self._result: tuple[Sample, int] | None = None
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=f'camera {name}', daemon=True)
        self._thread.start()

    def offer(self, arrival: Arrival) -> None:
        """Offer a message; one that still waits is dropped, or this one if it was overtaken."""
        self.arrived += 1
        newest = self._newest
        if newest is not None and newest.episode == arrival.episode and is_overtaken(
                arrival.stamp, arrival.received, newest.stamp, self._max_age):
            return
        # Without its content.
        self._newest = replace(arrival, content=b'')
        with self._changed:
            self._waiting = arrival
            self._changed.notify()

    def take(self) -> tuple[Sample, int] | None:
        """Take the newest sample, with the episode in which it arrived; None without a new one."""
        with self._changed:
            result, self._result = self._result, None
        return result

    def close(self) -> None:
        """End the thread; one that hangs in a decoder is left behind."""
        with self._changed:
            self._is_closing = True
            self._waiting = self._result = None
            self._changed.notify()
        self._thread.join(_LONGEST_CLOSE)

    def _run(self) -> None:
        """Decode until closed."""
        SCHEDULING.step_aside()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or self._waiting is not None)
                arrival, self._waiting = self._waiting, None
            if self._is_closing or arrival is None:
                return
            begin = time.monotonic()
            try:
                sample = self._read(arrival.content, arrival.received)
            except Exception as error:  # a picture that cannot be read must stop the robot
                sample = Sample(
                    None, arrival.received, {},
                    problem=f'a picture cannot be read: {explain(error)}')
            with self._changed:
                if self._is_closing:
                    return
                self._result = sample, arrival.episode
            self.took = time.monotonic() - begin
            self.longest = max(self.longest, self.took)
            self.decoded += 1
            # Otherwise it would be kept until the next message arrives.
            del arrival, sample
            # The executor may have ended.
            with contextlib.suppress(Exception):
                self._ready()
