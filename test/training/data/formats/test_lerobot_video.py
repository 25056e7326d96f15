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
"""Videos whose bytes were changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data.formats.lerobot.video import decoded, VideoWriter
from training.data.transitions.transitions import DataError

pytest.importorskip('av')

SHAPE, RATE, COUNT = (48, 64, 3), 20, 12


@pytest.fixture(name='video')
def video_of_noise(tmp_path: Path) -> Path:
    """Write a video."""
    path = tmp_path / 'file-000.mp4'
    writer = VideoWriter(path, SHAPE, RATE)
    random = np.random.default_rng(0)
    blocks = random.integers(0, 255, (6, 8, 3)).repeat(8, 0).repeat(8, 1)
    for i in range(COUNT):
        noise = random.integers(-5, 5, SHAPE)
        writer.add(np.clip(np.roll(blocks, i, 1) + noise, 0, 255).astype(np.uint8))
    writer.close()
    return path


def units(content: bytes) -> list[tuple[int, int]]:
    """List begin and size of each unit of an H.264 stream (ISO/IEC 14496-15)."""
    at = content.index(b'mdat')
    end = at - 4 + int.from_bytes(content[at - 4:at], 'big')
    at += 4
    found = []
    while at < end:
        size = int.from_bytes(content[at:at + 4], 'big')
        found.append((at + 4, size))
        at += 4 + size
    return found


def test_a_damaged_frame_is_refused(video: Path) -> None:
    """The decoder conceals it with what is around it, so that nobody would notice."""
    assert len(list(decoded(video, SHAPE, RATE))) == COUNT
    content = bytearray(video.read_bytes())
    # Some bytes in the middle of each frame but the first; a frame or other decodes all the same.
    for begin, size in [each for each in units(bytes(content)) if each[1] > 100][1:]:
        for i in range(begin + size // 2, begin + size // 2 + 40):
            content[i] ^= 0x5a
    video.write_bytes(content)
    with pytest.raises(DataError, match=r'found a damaged frame at [0-9.]+ s, expected a whole'):
        list(decoded(video, SHAPE, RATE))
