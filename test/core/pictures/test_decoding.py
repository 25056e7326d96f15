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
"""Decoding of cameras' messages: every encoding, step and byte order, and every bad picture."""

from __future__ import annotations

from io import BytesIO
import struct
import tracemalloc
from typing import Any
import zlib

import numpy as np
from numpy.typing import NDArray
import pytest

pytest.importorskip('PIL')

from hypothesis import example, given, strategies
from PIL import Image

from dfp_ros.core.description.picture_format import PictureFormat
from dfp_ros.core.pictures.decoding import decode, PictureError
from testing.fixtures.cameras import compressed, depths, encode, raw, scene

COLOURS = scene(1, (48, 64, 3))
WITH_ALPHA = np.dstack([COLOURS, np.full((48, 64), 7, np.uint8)])
GRAY = scene(2, (48, 64))
DEPTHS = depths(3, (48, 64))
METRES = (DEPTHS / 1000).astype(np.float32)


def padded(pixels: NDArray[Any], padding: int, **changes: Any) -> dict[str, Any]:
    """Return step and data of a picture whose rows have bytes after their pixels."""
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    wide = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return {'step': wide.shape[1], 'data': wide.tobytes(), **changes}


@pytest.mark.parametrize(('encoding', 'pixels', 'expected'), [
    ('rgb8', COLOURS, COLOURS), ('bgr8', COLOURS[..., ::-1].copy(), COLOURS),
    ('rgba8', WITH_ALPHA, COLOURS), ('mono8', GRAY, GRAY), ('16UC1', DEPTHS, DEPTHS),
    ('32FC1', METRES, METRES)])
@pytest.mark.parametrize('padding', [0, 1, 16])
@pytest.mark.parametrize('order', ['<', '>'])
def test_raw_pictures(
        encoding: str, pixels: NDArray[Any], expected: NDArray[Any], padding: int,
        order: str) -> None:
    """The same picture, however its rows are padded and its numbers are ordered."""
    sent = pixels.astype(pixels.dtype.newbyteorder(order))
    message = raw(sent, encoding, **padded(sent, padding), is_bigendian=int(order == '>'))
    found = decode(message, PictureFormat(encoding, 64, 48))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(('kind', 'pixels', 'expected'), [
    ('png', COLOURS, COLOURS), ('png', WITH_ALPHA, COLOURS), ('png', GRAY, GRAY),
    ('png', np.dstack([GRAY, GRAY // 2]), GRAY), ('png', DEPTHS, DEPTHS)])
def test_compressed_pictures_without_loss(
        kind: str, pixels: NDArray[Any], expected: NDArray[Any]) -> None:
    """They are as they were before."""
    np.testing.assert_array_equal(
        decode(compressed(pixels, kind), PictureFormat(kind, 64, 48)), expected)


@pytest.mark.parametrize('pixels', [COLOURS, GRAY])
def test_jpeg(pixels: NDArray[Any]) -> None:
    """A smooth picture is nearly as it was before; red is the first number."""
    smooth = np.asarray(Image.fromarray(pixels).resize((6, 8)).resize((64, 48)))
    found = decode(compressed(smooth, 'jpeg'), PictureFormat('jpeg', 64, 48))
    assert found.shape == smooth.shape
    assert np.abs(found.astype(int) - smooth).mean() < 4


def bomb(kind: str, side: int) -> bytes:
    """Make a small file that says it is a huge picture."""
    if kind == 'jpeg':
        data = encode(COLOURS, 'jpeg')
        # The frame header: length, precision, height and width.
        at = data.index(b'\xff\xc0') + 5
        return data[:at] + struct.pack('>HH', side, side) + data[at + 4:]

    return b'\x89PNG\r\n\x1a\n' + chunk(
        b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)) + chunk(
        b'IDAT', zlib.compress(bytes(1 << 20), 9)) + chunk(b'IEND', b'')


def hidden_bomb() -> bytes:
    """Make a picture of the right size with a text that decompresses to 64 MB."""
    return with_chunk(b'zTXt', b'note\0\0' + zlib.compress(bytes(64 << 20), 9))


def chunk(name: bytes, content: bytes) -> bytes:
    """Make a chunk of a PNG."""
    return struct.pack('>I', len(content)) + name + content + struct.pack(
        '>I', zlib.crc32(name + content))


def with_chunk(name: bytes, content: bytes, count: int = 1) -> bytes:
    """Make a picture with a further chunk after its header, once or several times."""
    data = encode(COLOURS, 'png')
    return data[:33] + chunk(name, content) * count + data[33:]


def png_of(rows: bytes) -> bytes:
    """Make a picture of colours with these rows, each after its filter."""
    return encode(COLOURS, 'png')[:33] + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def progressive() -> bytes:
    """Make a progressive picture."""
    out = BytesIO()
    Image.fromarray(COLOURS).save(out, 'JPEG', progressive=True)
    return out.getvalue()


def many_scans() -> bytes:
    """Make a progressive picture whose last scan comes again and again."""
    data = progressive()
    scan = data[data.rindex(b'\xff\xc4'):-2]
    return data[:-2] + scan * 200 + b'\xff\xd9'


def palette() -> bytes:
    """Make a picture with a palette."""
    out = BytesIO()
    Image.fromarray(COLOURS).convert('P').save(out, 'PNG')
    return out.getvalue()


@pytest.mark.parametrize(('encoding', 'message', 'expected'), [
    ('rgb8', raw(COLOURS, 'bgr8'), "has the encoding 'bgr8', the robot description says 'rgb8'"),
    ('rgb8', raw(COLOURS, ''), "has the encoding ''"),
    ('rgb8', raw(COLOURS, 'x\x1b' * 9000), r"has the encoding 'x\\x1bx"),
    ('rgb8', raw(COLOURS[:0], 'rgb8'), 'is 64 x 0 pixels, the robot description says 64 x 48'),
    ('rgb8', raw(COLOURS, 'rgb8', width=0), 'is 0 x 48 pixels'),
    ('rgb8', raw(scene(1, (24, 32, 3)), 'rgb8'), 'is 32 x 24 pixels'),
    ('rgb8', raw(COLOURS, 'rgb8', step=191), 'a step of 191 bytes, expected at least 192'),
    ('rgb8', raw(COLOURS, 'rgb8', data=COLOURS.tobytes()[:-1]),
     r'has 9215 bytes of data, expected 9216: 48 rows of 192 bytes \(step\)'),
    ('rgb8', raw(COLOURS, 'rgb8', data=b''), 'has 0 bytes of data'),
    ('rgb8', raw(COLOURS, 'rgb8', step=2**32 - 1), 'has 9216 bytes of data, expected 2061584'),
    ('rgb8', raw(COLOURS, 'rgb8', height=10_000, width=10_000, step=30_000), '10000 x 10000 pix'),
    ('rgb8', raw(COLOURS, 'rgb8', data=bytes(2 << 20)), 'has 2097152 bytes, expected at most 10'),
    ('jpeg', compressed(COLOURS, 'png'), "bytes that are not jpeg; its format is 'png'"),
    ('png', compressed(COLOURS, 'jpeg'), "bytes that are not png; its format is 'jpeg'"),
    ('png', compressed(DEPTHS, 'png', format='16UC1; compressedDepth png',
                       data=bytes(12) + encode(DEPTHS, 'png')), 'not png; .*compressedDepth png'),
    ('jpeg', compressed(COLOURS, 'jpeg', data=b''), 'a message has 0 bytes that are not jpeg'),
    ('jpeg', compressed(COLOURS, 'jpeg', data=encode(COLOURS, 'jpeg')[:-400]),
     'cannot be decoded: .*truncated'),
    ('png', compressed(COLOURS, 'png', data=encode(COLOURS, 'png')[:-900]), 'cannot be decoded'),
    ('png', compressed(COLOURS, 'png', data=encode(COLOURS, 'png').replace(b'IDAT', b'IDAX')),
     'cannot be decoded: its data have 0 bytes of rows, expected 9264'),
    ('png', compressed(COLOURS, 'png', data=png_of(bytes(9000))),
     'its data have 9000 bytes of rows, expected 9264'),
    ('png', compressed(COLOURS, 'png', data=png_of(bytes(64 << 20))),
     'more than the 9264 bytes of its rows'),
    ('png', compressed(COLOURS, 'png', data=with_chunk(b'acTL', struct.pack('>II', 2, 0))),
     'is an animation, expected one picture'),
    ('png', compressed(COLOURS, 'png', data=with_chunk(b'tEXt', b'', 30_000)),
     'has more than 20000 parts'),
    ('jpeg', compressed(COLOURS, 'jpeg', data=encode(COLOURS, 'jpeg')[:-300] + b'\xff\xd9'),
     'its data end early'),
    ('jpeg', compressed(GRAY, 'jpeg', data=encode(GRAY, 'jpeg')[:-99] + b'\xff\xd9'),
     'its data end early'),
    ('jpeg', compressed(COLOURS, 'jpeg', data=progressive()[:-60] + b'\xff\xd9'),
     'its data end early'),
    ('jpeg', compressed(COLOURS, 'jpeg', data=many_scans()), 'has more than 100 scans'),
    ('jpeg', compressed(COLOURS, 'jpeg', data=b'\xff\xd8' + b'\xff\xfe\0\2' * 60_000),
     'has more than 10000 segments'),
    ('jpeg', compressed(COLOURS, 'jpeg', data=bomb('jpeg', 9000)), 'is 9000 x 9000 pixels'),
    ('png', compressed(COLOURS, 'png', data=bomb('png', 9000)), 'is 9000 x 9000 pixels'),
    ('png', compressed(COLOURS, 'png', data=bomb('png', 60_000)), 'decompression bomb|60000 x 6'),
    ('png', compressed(COLOURS, 'png', data=palette()), "has the pixels 'P' of Pillow"),
    ('jpeg', compressed(scene(1, (24, 32, 3)), 'jpeg'), 'is 32 x 24 pixels'),
    ('jpeg', compressed(COLOURS, 'jpeg', data=bytes(2 << 20)), 'has 2097152 bytes, expected at')])
def test_bad_pictures_are_named(encoding: str, message: Any, expected: str) -> None:
    """Whatever a message has, its fault is named, and it takes no more memory than it should."""
    tracemalloc.start()
    try:
        with pytest.raises(PictureError, match=expected):
            decode(message, PictureFormat(encoding, 64, 48))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_what_is_beside_a_picture_is_left_alone() -> None:
    """A text that would fill the memory is not looked at, and the picture is as it is."""
    message = compressed(COLOURS, 'png', data=hidden_bomb())
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(decode(message, PictureFormat('png', 64, 48)), COLOURS)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('options', [
    {}, {'progressive': True}, {'subsampling': 0}, {'restart_marker_blocks': 1}])
@pytest.mark.parametrize('size', [(64, 48), (61, 47), (1, 1)])
@pytest.mark.parametrize('mode', ['RGB', 'L'])
def test_a_gray_corner_is_a_picture(options: Any, size: tuple[int, int], mode: str) -> None:
    """The gray that a decoder paints without data may as well be in the picture."""
    pixels = scene(5, (size[1], size[0]))
    pixels[-24:, -24:] = 128
    picture, out = Image.fromarray(pixels).convert(mode), BytesIO()
    picture.save(out, 'JPEG', **options)
    found = decode(
        compressed(pixels, 'jpeg', data=out.getvalue()), PictureFormat('jpeg', *size))
    assert (found[-1, -1] == 128).all()
    np.testing.assert_array_equal(found, np.asarray(Image.open(out)))


def interlaced(pixels: NDArray[np.uint8]) -> bytes:
    """Make an interlaced picture, which Pillow does not write."""
    height, width = pixels.shape[:2]
    rows = b''.join(
        b'\0' + row.tobytes()
        for left, top, right, down in (
            (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
            (0, 1, 1, 2))
        for row in pixels[top::down, left::right] if len(row))
    return b'\x89PNG\r\n\x1a\n' + chunk(
        b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 1)) + chunk(
        b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


@pytest.mark.parametrize('size', [(64, 48), (5, 3), (1, 1), (4, 1), (1, 9), (800, 600)])
def test_interlaced_pictures(size: tuple[int, int]) -> None:
    """Their rows are counted in seven passes."""
    pixels = scene(3, (size[1], size[0], 3))
    found = decode(
        compressed(pixels, 'png', data=interlaced(pixels)), PictureFormat('png', *size))
    np.testing.assert_array_equal(found, pixels)


def test_a_picture_of_100_megapixels_is_not_even_copied() -> None:
    """Its size is compared before anything is allocated."""
    data = np.zeros(300_000_000, np.uint8)
    message = raw(np.zeros((1, 1, 3), np.uint8), 'rgb8', height=10_000, width=10_000, step=30_000,
                  data=data)
    tracemalloc.start()
    try:
        with pytest.raises(PictureError, match='has 300000000 bytes, expected at most 108'):
            decode(message, PictureFormat('rgb8', 64, 48))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@given(strategies.binary(max_size=3000))
@example(b'\xff\xd8\xff')
@example(b'\x89PNG\r\n\x1a\n')
def test_any_bytes_are_a_named_fault(data: bytes) -> None:
    """Decoders raise anything; only one kind of error leaves this module."""
    for kind in ('jpeg', 'png'):
        with pytest.raises(PictureError):
            decode(compressed(COLOURS, kind, data=data), PictureFormat(kind, 64, 48))


@given(
    strategies.sampled_from(['jpeg', 'png']), strategies.integers(0, 2**31),
    strategies.integers(1, 255))
def test_damaged_pictures(kind: str, place: int, damage: int) -> None:
    """A file with a changed byte is a picture of the right size and type, or a named fault."""
    data = bytearray(encode(COLOURS, kind))
    data[place % len(data)] ^= damage
    try:
        found = decode(compressed(COLOURS, kind, data=bytes(data)), PictureFormat(kind, 64, 48))
    except PictureError:
        return
    assert found.shape[:2] == (48, 64)
    assert found.dtype in (np.uint8, np.uint16)


@given(strategies.fixed_dictionaries({}, optional={
    'width': strategies.integers(0, 2**32 - 1), 'height': strategies.integers(0, 2**32 - 1),
    'step': strategies.integers(0, 2**32 - 1), 'encoding': strategies.text(max_size=20),
    'is_bigendian': strategies.integers(0, 255), 'data': strategies.binary(max_size=10_000)}))
def test_any_fields_are_a_picture_or_a_named_fault(fields: dict[str, Any]) -> None:
    """No field is trusted."""
    try:
        message = raw(COLOURS, 'rgb8')
        vars(message).update(fields)
        found = decode(message, PictureFormat('rgb8', 64, 48))
    except PictureError:
        return
    assert found.shape == (48, 64, 3)
