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
"""Picture receiver: the newest wins, nothing grows, and nobody waits for a decoder."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.observation.sample import Sample
from dfp_ros.node.loop.picture_receiver import Arrival, PictureReceiver


class Decoder:
    """A decoder that takes as long as a test says."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.begins, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.ready = threading.Semaphore(0)
        self.receiver = PictureReceiver('it', self._read, self.ready.release, max_age=100)

    def _read(self, content: bytes, received: int) -> Sample:
        self.begun.append(content)
        self.begins.release()
        assert self.may_end.acquire(timeout=20)
        if content == b'bad':
            raise MemoryError
        return Sample(received, received, {'content': content})

    def offer(self, content: bytes, episode: int = 0, stamp: int | None = None) -> None:
        """Offer a message."""
        self.receiver.offer(Arrival(content, 5, episode, stamp))

    def decode(self) -> None:
        """Let one message be decoded."""
        self.may_end.release()
        assert self.ready.acquire(timeout=20)

    def close(self) -> None:
        """End the thread."""
        for _ in range(5):
            self.may_end.release()
        self.receiver.close()


def test_the_newest_wins() -> None:
    """Of many messages that arrive meanwhile, only the last one is decoded."""
    decoder = Decoder()
    decoder.offer(b'0')
    assert decoder.begins.acquire(timeout=20)
    assert decoder.receiver.take() is None
    begin = time.monotonic()
    for i in range(1, 1000):
        decoder.offer(b'%d' % i, episode=i)
    # Less than the decoder's patience.
    assert time.monotonic() - begin < 10, 'nobody waits for the decoder'
    decoder.decode()
    taken = decoder.receiver.take()
    assert taken is not None
    assert (taken[0].values['content'], taken[1]) == (b'0', 0)
    assert decoder.receiver.take() is None
    decoder.decode()
    taken = decoder.receiver.take()
    assert taken is not None
    assert (taken[0].values['content'], taken[1]) == (b'999', 999)
    assert decoder.begun == [b'0', b'999']
    assert (decoder.receiver.arrived, decoder.receiver.decoded) == (1000, 2)
    assert decoder.receiver.longest >= decoder.receiver.took > 0
    decoder.close()


def test_a_picture_that_nobody_takes_is_replaced() -> None:
    """A node that is busy gets the newest one."""
    decoder = Decoder()
    for content in (b'1', b'2'):
        decoder.offer(content)
        decoder.decode()
    taken = decoder.receiver.take()
    assert taken is not None
    assert taken[0].values['content'] == b'2'
    decoder.close()


def test_a_picture_that_was_overtaken_is_dropped() -> None:
    """Whether the newer one waits, or is ready; each episode has its own order."""
    decoder = Decoder()
    decoder.offer(b'1', stamp=3)
    decoder.offer(b'2', stamp=2)
    decoder.decode()
    decoder.offer(b'3', stamp=2)
    taken = decoder.receiver.take()
    assert taken is not None
    assert taken[0].values['content'] == b'1'
    for content, stamp in ((b'4', 3), (b'5', -96)):
        decoder.offer(content, stamp=stamp)
        decoder.decode()
    decoder.offer(b'6', episode=1, stamp=2)
    decoder.decode()
    assert decoder.begun == [b'1', b'4', b'5', b'6']
    assert (decoder.receiver.arrived, decoder.receiver.decoded) == (6, 4)
    decoder.close()


def test_a_decoder_that_fails() -> None:
    """Its error is the problem of the picture, and the next one is decoded."""
    decoder = Decoder()
    decoder.offer(b'bad')
    decoder.decode()
    taken = decoder.receiver.take()
    assert taken is not None
    assert taken[0].problem.startswith('a picture cannot be read: MemoryError')
    decoder.offer(b'good')
    decoder.decode()
    taken = decoder.receiver.take()
    assert taken is not None
    assert not taken[0].problem
    decoder.close()


def test_closing_while_a_decoder_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread is left behind, and what it has is dropped."""
    monkeypatch.setattr('dfp_ros.node.loop.picture_receiver._LONGEST_CLOSE', 0.05)
    decoder = Decoder()
    decoder.offer(b'1')
    assert decoder.begins.acquire(timeout=20)
    decoder.receiver.close()
    decoder.may_end.release()
    decoder.receiver._thread.join(20)
    assert not decoder.receiver._thread.is_alive()
    assert decoder.receiver.take() is None
