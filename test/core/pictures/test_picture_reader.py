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
"""Picture reader: samples of cameras, and what it needs."""

from __future__ import annotations

from dataclasses import replace
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip('PIL')

from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.sample_reader import FRAME
from dfp_ros.core.pictures.picture_reader import PictureReader
from testing.fixtures.cameras import camera_robot, compressed, encode, raw, scene

ROBOT = camera_robot()
WRIST = ROBOT.sources['wrist_camera']
S = 10**9


def reader(source: Any = WRIST, stamped: bool = True) -> PictureReader:
    """Make a reader of the camera at the wrist."""
    return PictureReader(source, ROBOT.images_of('wrist_camera'), stamped)


def test_a_sample_has_the_times_of_its_message() -> None:
    """Its stamp, unless only arrivals count, and its frame, if that is checked."""
    message = raw(scene(1), 'rgb8', 5 * S + 7)
    sample = reader().read(message, 6 * S)
    assert (sample.stamp, sample.received, sample.problem) == (5 * S + 7, 6 * S, '')
    assert list(sample.values) == ['wrist']
    assert reader(stamped=False).read(message, 6 * S).stamp is None
    framed = reader(replace(WRIST, frame_id='camera')).read(message, 6 * S)
    assert framed.values[FRAME] == 'camera'
    assert reader().head(message, 6 * S) == replace(sample, values={})


def test_a_bad_picture_keeps_its_times() -> None:
    """They are needed for its age, and to find it in a recording."""
    sample = reader().read(raw(scene(1), 'bgr8', 5 * S), 6 * S)
    assert (sample.stamp, sample.received, dict(sample.values)) == (5 * S, 6 * S, {})
    assert "the encoding 'bgr8'" in sample.problem
    refused = reader().refuse(10**9, 5 * S, 6 * S)
    assert (refused.stamp, refused.received) == (5 * S, 6 * S)
    assert refused.problem.startswith('a message has 1000000000 bytes, expected at most ')


def test_equal_pictures_are_equal_from_any_message() -> None:
    """Padded, compressed without loss, or in another order of colours."""
    pixels = scene(3)
    expected = reader().read(raw(pixels, 'rgb8'), S).values['wrist']
    assert WRIST.picture is not None
    for encoding, message in (
            ('png', compressed(pixels, 'png')),
            ('bgr8', raw(np.ascontiguousarray(pixels[..., ::-1]), 'bgr8')),
            ('rgba8', raw(np.dstack([pixels, pixels[..., 0]]), 'rgba8'))):
        other = reader(replace(WRIST, picture=replace(WRIST.picture, encoding=encoding)))
        found = other.read(message, S).values['wrist']
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        assert found.number == expected.number
    assert reader().read(raw(scene(4), 'rgb8'), S).values['wrist'].number != expected.number


def test_a_frozen_picture_with_a_counter_is_the_same() -> None:
    """In a comment of its file, or in the padding of its rows."""
    assert WRIST.picture is not None
    [image] = ROBOT.images_of('wrist_camera')
    pixels = scene(3)
    height, width, _ = pixels.shape
    data = encode(pixels, 'jpeg')
    padded = [
        np.pad(pixels.reshape(height, -1), ((0, 0), (0, 8)), constant_values=i) for i in (1, 2)]
    for encoding, messages in (
            ('jpeg', [compressed(
                pixels, 'jpeg', data=data[:2] + b'\xff\xfe\0\4%02d' % i + data[2:])
                for i in (1, 2)]),
            ('rgb8', [raw(pixels, 'rgb8', step=width * 3 + 8, data=each.tobytes())
                      for each in padded])):
        watched = PictureReader(
            replace(WRIST, picture=replace(WRIST.picture, encoding=encoding)),
            [replace(image, changes_within=1.0)], stamped=True)
        first, second = (watched.read(message, S).values['wrist'] for message in messages)
        assert first.original == second.original != 0
        other = raw(scene(4), 'rgb8') if encoding == 'rgb8' else compressed(scene(4), 'jpeg')
        assert watched.read(other, S).values['wrist'].original != first.original


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A robot with cameras is refused at once, with the remedy, not at each picture."""
    monkeypatch.setitem(sys.modules, 'PIL', None)
    with pytest.raises(DescriptionError, match=r'sources.wrist_camera: found a camera, .*python3'):
        reader()
