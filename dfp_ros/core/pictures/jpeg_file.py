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
Structure of JPEG files, looked at before they are decoded.

A JPEG has no checksum. If its data end early, as those of a camera that loses packets do, libjpeg
paints the rest gray, which Pillow does not tell; see :meth:`JpegFile.probe`. Each scan of a
progressive picture is decoded over the whole of it, so that a small file can take minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
import re

#: Number of each channel of a pixel that libjpeg paints if there are no data for it.
MISSING = 128
# Most scans of a picture, and most segments: encoders write up to about 15, and about 30.
_MOST_SCANS, _MOST_SEGMENTS = 100, 10_000
_SCAN, _END = 0xda, 0xd9
_PROGRESSIVE = (0xc2, 0xc6, 0xca, 0xce)
# Markers of a scan that is not over: a byte of its data, restarts, and fill bytes.
_NEXT = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]')
# Data that decode to something, but not to what is missing.
_MORE = b'\x55' * 4096


class DamagedJpeg(ValueError):
    """A file is no JPEG that should be decoded; the text says why."""


@dataclass(frozen=True)
class JpegFile:
    """
    A JPEG file.

    :param content: Its bytes.
    :param end: Place of the marker that ends its picture.
    :param is_progressive: Whether its scans refine each other, so that a missing end of one shows
        nowhere in particular.
    """

    content: bytes
    end: int
    is_progressive: bool

    def probe(self) -> bytes:
        """
        Return the file with further data at the end of its last scan.

        It decodes to the same picture, unless the data of the picture end early.
        """
        return self.content[:self.end] + _MORE + self.content[self.end:]


def read_jpeg(content: bytes) -> JpegFile:
    """
    Find the end of the picture of a file.

    :param content: The file, which begins with the start of a picture.
    :raises DamagedJpeg: If there is none, or the file has too many parts.
    """
    at, scans, segments, is_progressive = 2, 0, 0, False
    while True:
        segments += 1
        if segments > _MOST_SEGMENTS or scans > _MOST_SCANS:
            raise DamagedJpeg(
                f'it has more than {_MOST_SCANS} scans' if scans > _MOST_SCANS else
                f'it has more than {_MOST_SEGMENTS} segments')
        marker = _NEXT.search(content, at)
        if marker is None:
            raise DamagedJpeg('it is truncated')
        at, kind = marker.end(), content[marker.end() - 1]
        if kind == _END:
            return JpegFile(content, marker.start(), is_progressive)
        scans += kind == _SCAN
        is_progressive |= kind in _PROGRESSIVE
        # Its length; a marker that has none, or a wrong one, is the decoder's to refuse.
        at += max(2, int.from_bytes(content[at:at + 2], 'big'))
