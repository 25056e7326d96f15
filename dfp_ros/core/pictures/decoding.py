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
Decoding of the messages of cameras, after a check of everything that they say of themselves.

What a message says is compared with the robot description before memory is allocated for it, so
that neither a huge picture nor a small file that decompresses to one takes any.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.description.picture_format import JPEG, PictureFormat, PNG, RAW
from dfp_ros.core.pictures.jpeg_file import DamagedJpeg, MISSING, read_jpeg
from dfp_ros.core.pictures.png_file import read_png, SIGNATURE
from dfp_ros.core.text.printable import printable, quoted

# Numbers of a pixel, and type of each, by encoding.
_PIXELS = {
    'rgb8': (3, 'u1'), 'bgr8': (3, 'u1'), 'rgba8': (4, 'u1'), 'mono8': (1, 'u1'),
    '16UC1': (1, 'u2'), '32FC1': (1, 'f4')}
# Modes of Pillow: colours, one gray value, and one number of 16 bits.
_COLOURS, _GRAY, _DEPTH = ('RGB', 'RGBA'), ('L', 'LA'), ('I;16', 'I')
_MODES = {PNG: (*_COLOURS, *_GRAY, *_DEPTH)}
_BEGINNINGS = {JPEG: b'\xff\xd8\xff', PNG: SIGNATURE}
# Length of an error of a decoder in a message.
_LONGEST_ERROR = 200


class PictureError(ValueError):
    """A message has no picture as the robot description says; the text says what it has."""


def decode(message: Any, expected: PictureFormat) -> NDArray[Any]:
    """
    Decode the picture of a message.

    :param message: A sensor_msgs/Image or CompressedImage, or any object with its fields.
    :param expected: The format in the robot description.
    :return: Colours: shape (height, width, 3), uint8, red first. Gray: shape (height, width),
        uint8. Depth: shape (height, width), uint16 in mm or float32 in m. It may be a view of the
        message's data.
    :raises PictureError: If it is another picture, or none.
    """
    if len(message.data) > expected.largest:
        raise PictureError(describe_too_large(len(message.data), expected))
    return (_decode_compressed if expected.is_compressed else _decode_raw)(message, expected)


def require_whole(content: bytes, width: int, height: int) -> None:
    """
    Require that a PNG or a JPEG has all of its pixels, as Pillow paints those that are missing.

    :param content: The file.
    :param width: Width that it has to have, in pixels.
    :param height: Height that it has to have.
    :raises ValueError: If it is damaged, or of another size.
    """
    name = PNG if content.startswith(SIGNATURE) else JPEG
    expected = PictureFormat(name, width, height)
    if name == JPEG:
        _decode_jpeg(content, expected)
        return
    file = read_png(content)
    _require_size(file.width, file.height, expected)
    file.unpacked()


def describe_too_large(size: int, expected: PictureFormat) -> str:
    """Describe a message that is too large to be read."""
    return (
        f'a message has {size} bytes, expected at most {expected.largest} for '
        f'{expected.width} x {expected.height} pixels of {expected.encoding}')


def _decode_raw(message: Any, expected: PictureFormat) -> NDArray[Any]:
    """Decode a sensor_msgs/Image."""
    encoding, width, height = expected.encoding, expected.width, expected.height
    if message.encoding != encoding:
        raise PictureError(
            f'a picture has the encoding {quoted(message.encoding)}, the robot description says '
            f'{encoding!r}')
    _require_size(message.width, message.height, expected)
    step, size, row = message.step, len(message.data), width * RAW[encoding]
    if step < row:
        raise PictureError(
            f'a picture has a step of {step} bytes, expected at least {row} for {width} pixels of '
            f'{encoding}')
    if size != step * height:
        raise PictureError(
            f'a picture has {size} bytes of data, expected {step * height}: {height} rows of '
            f'{step} bytes (step)')
    count, kind = _PIXELS[encoding]
    pixel = np.dtype(kind).newbyteorder('>' if message.is_bigendian else '<')
    pixels: NDArray[Any] = np.ndarray(
        (height, width, count), pixel, np.frombuffer(message.data, np.uint8),
        strides=(step, count * pixel.itemsize, pixel.itemsize))
    if count == 1:
        return pixels[..., 0]
    return pixels[..., 2::-1] if encoding == 'bgr8' else pixels[..., :3]


def _decode_compressed(message: Any, expected: PictureFormat) -> NDArray[Any]:
    """Decode a sensor_msgs/CompressedImage."""
    name, content = expected.encoding, bytes(message.data)
    if not content.startswith(_BEGINNINGS[name]):
        raise PictureError(
            f'a message has {len(content)} bytes that are not {name}; its format is '
            f'{quoted(message.format)}')
    try:
        pixels = (_decode_png if name == PNG else _decode_jpeg)(content, expected)
    except PictureError:
        raise
    except Exception as error:  # decoders raise anything at damaged data
        raise PictureError(
            f'a {name} picture of {len(content)} bytes cannot be decoded: '
            f'{printable(error, _LONGEST_ERROR)}') from error
    if pixels.ndim == 3:
        return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    return pixels.astype(np.uint16) if pixels.dtype.itemsize > 2 else pixels


def _decode_png(content: bytes, expected: PictureFormat) -> NDArray[Any]:
    """Decode a PNG."""
    file = read_png(content)
    _require_size(file.width, file.height, expected)
    return _load(file.unpacked(), expected)


def _decode_jpeg(content: bytes, expected: PictureFormat) -> NDArray[Any]:
    """Decode a JPEG."""
    file = read_jpeg(content)
    pixels = _load(content, expected)
    # The data of the last pixel are the last. A whole picture may end in this gray, too.
    is_suspect = file.is_progressive or (pixels[-1, -1] == MISSING).all()
    if is_suspect and (_load(file.probe(), expected) != pixels).any():
        raise DamagedJpeg('its data end early')
    return pixels


def _load(content: bytes, expected: PictureFormat) -> NDArray[Any]:
    """Have Pillow decode a picture."""
    # Only robots with cameras need it.
    from PIL import Image
    name = expected.encoding
    with Image.open(BytesIO(content), formats=(name.upper(),)) as opened:
        # So far only its header was read.
        _require_size(*opened.size, expected)
        if opened.mode not in _MODES.get(name, (*_COLOURS, *_GRAY)):
            raise PictureError(
                f'a {name} picture has the pixels {opened.mode!r} of Pillow, expected '
                f'{", ".join(_MODES.get(name, ("RGB", "L")))}')
        opened.load()
        pixels: NDArray[Any] = np.asarray(opened)
    return pixels


def _require_size(width: int, height: int, expected: PictureFormat) -> None:
    """Require the size of the robot description."""
    if (width, height) != (expected.width, expected.height):
        raise PictureError(
            f'a picture is {width} x {height} pixels, the robot description says '
            f'{expected.width} x {expected.height}')
