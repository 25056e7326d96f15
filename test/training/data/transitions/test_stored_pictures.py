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
"""Pictures beside transitions: stored, mapped, and kept out of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import mmap
from pathlib import Path
import resource
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import pytest

from dfp_ros.spec_images import ImageField
from testing.learning.pictures import CAMERAS, with_pictures
from testing.learning.transitions import drawn
from training.data.datasets.load import load
from training.data.transitions import frames, npz, stored
from training.data.transitions.frames import Frames, make_room
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError, Transitions

DATA = with_pictures(drawn([3, 1, 4]))


def is_mapped(pixels: np.ndarray) -> bool:
    """Tell whether an array is in a file."""
    base: object = pixels
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def equals(found: Transitions, expected: Transitions) -> None:
    """Compare pictures."""
    assert found.frame is not None
    np.testing.assert_array_equal(found.frame, expected.frame)
    assert [each.field for each in found.images] == [each.field for each in expected.images]
    for mine, theirs in zip(found.images, expected.images, strict=True):
        assert mine.pixels.dtype == np.uint8
        assert not mine.pixels.flags.writeable
        np.testing.assert_array_equal(mine.pixels, theirs.pixels)


def test_what_is_stored_is_mapped(tmp_path: Path) -> None:
    """Pictures stay in the file; the same content is the same file."""
    path, again = tmp_path / 'a.npz', tmp_path / 'b.npz'
    stored.save(path, DATA)
    stored.save(again, DATA)
    assert path.read_bytes() == again.read_bytes()
    found = load(DataSource(path, 'none'))
    equals(found, DATA)
    assert all(is_mapped(each.pixels) for each in found.images)
    assert stored.describe(path).images == CAMERAS
    with np.load(path) as file:
        np.testing.assert_array_equal(file['image_front'], DATA.images[0].pixels)


def test_data_without_pictures_are_stored_as_before(tmp_path: Path) -> None:
    """Earlier releases read them."""
    path = tmp_path / 'a.npz'
    stored.save(path, drawn([3]))
    with zipfile.ZipFile(path) as file:
        assert 'frame.npy' not in file.namelist()
        assert 'images' not in str(np.load(path)['description'])
    assert load(DataSource(path, 'none')).images == ()


def test_what_another_tool_compressed_is_read(tmp_path: Path) -> None:
    """Into memory."""
    path = tmp_path / 'a.npz'
    stored.save(path, DATA)
    with np.load(path) as file:
        np.savez_compressed(tmp_path / 'b.npz', **file)
    found = load(DataSource(tmp_path / 'b.npz', 'none'))
    equals(found, DATA)
    assert not any(is_mapped(each.pixels) for each in found.images)


def test_what_does_not_fit_into_memory_is_in_a_file(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the data, or in the folder for temporary files; nobody sees it."""
    monkeypatch.setattr(frames, 'free_memory', lambda: 1000)
    assert not is_mapped(make_room((10, 25), tmp_path / 'x'))
    assert is_mapped(room := make_room((10, 26), tmp_path / 'x'))
    room[:] = 7
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    assert is_mapped(make_room((10, 26), tmp_path / 'missing' / 'x'))
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'none'))
    with pytest.raises(DataError, match=r'x: found pictures of 2\.6e-07 GB, which are .*missing'):
        make_room((10, 26), tmp_path / 'missing' / 'x')


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a frame is written, which would end the process."""
    monkeypatch.setattr(frames, 'free_memory', lambda: 0)
    with pytest.raises(DataError, match='no space for a temporary file'):
        make_room((2**50,), tmp_path / 'x')


@pytest.mark.parametrize('kind', [np.uint8, np.float32])
@pytest.mark.parametrize('shape', [(5, 3, 2), (7,)])
def test_a_mapped_array_is_the_same(
        tmp_path: Path, shape: tuple[int, ...], kind: type) -> None:
    """To the last bit, beside others; compressed ones and those by columns are not mapped."""
    path = tmp_path / 'a.npz'
    values = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    npz.write(path, {
        'other': np.ones(100), 'values': values, 'columns': np.asfortranarray(np.ones((3, 3))),
        'empty': values[:0]}, mapped=('values', 'columns', 'empty'))
    with npz.opened(path) as file:
        found = file.mapped('values')
        assert file.mapped('other') is file.mapped('columns') is file.mapped('empty') is None
    assert found is not None
    assert is_mapped(found)
    np.testing.assert_array_equal(found, values)
    path.unlink()
    np.testing.assert_array_equal(found, values)


def frame(*values: int) -> dict[str, np.ndarray]:
    """Change which picture belongs to which step."""
    return {'frame': np.array(values, np.int64)}


@pytest.mark.parametrize(('change', 'message'), [
    ({'frame': None}, 'frame: found none with 2 cameras'),
    ({'images': ()}, 'frame: found some with 0 cameras'),
    (frame(0, 1, 2, 4, 6, 7, 8), r'frame: found int64 of shape \(7,\), expected int64 of shape'),
    ({'frame': np.arange(8, dtype=np.int32)}, 'frame: found int32'),
    (frame(0, 1, 2, 4, 6, 7, 8, 10), 'frame: found 10 in row 7, expected 0 to 9, as there are 11'),
    (frame(-1, 1, 2, 4, 6, 7, 8, 9), 'frame: found -1 in row 0'),
    ({'images': (DATA.images[0], Frames(CAMERAS[1], DATA.images[1].pixels[1:]))},
     r'wrist: found uint8 of shape \(10, 4, 4, 1\), expected uint8 of shape \(11, 4, 4, 1\)'),
    ({'images': (Frames(CAMERAS[0], DATA.images[0].pixels.astype(np.float32)),)},
     'front: found float32'),
    ({'images': (Frames(CAMERAS[1], DATA.images[0].pixels),)}, 'wrist: found uint8 of shape')])
def test_pictures_that_do_not_fit(change: dict, message: str) -> None:
    """They are named, with what was expected."""
    with pytest.raises(DataError, match=f'x: {message}'):
        replace(DATA, **change).check('x')


def changed(path: Path, change: Callable[[dict], object]) -> Path:
    """Write the data to a file with other contents."""
    stored.save(path, DATA)
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    npz.write(path, arrays, mapped=arrays)
    return path


def describe(old: str, new: str) -> Callable[[dict], object]:
    """Change the description."""
    def change(arrays: dict) -> None:
        text = str(arrays['description'])
        assert old in text
        arrays['description'] = np.array(text.replace(old, new))
    return change


@pytest.mark.parametrize(('change', 'message'), [
    (lambda arrays: arrays.pop('image_wrist'), "the key 'image_wrist' is missing"),
    (lambda arrays: arrays.pop('frame'), "the key 'frame' is missing"),
    (lambda arrays: arrays.update(image_front=np.zeros((11, 6, 8, 3))),
     r'image_front: found float64 of shape \(11, 6, 8, 3\), expected uint8 of shape \(frames, 6'),
    (lambda arrays: arrays.update(image_front=np.zeros((11, 6, 8), np.uint8)),
     'image_front: found uint8'),
    (describe('"height": 6', '"height": 0'), 'images: image front: height: found 0'),
    (describe('"height": 6', '"height": "6"'), "images: found .*'front', '6', 8"),
    (describe('"height": 6, ', ''), 'found contents that training.convert does not write'),
    (describe('"wrist"', '"front"'), 'images: .*front'),
    (describe('"front"', '"noise"'), 'images: image noise: found the name of another input'),
    (describe('"rgb"', '"infrared"'), "images: image front: found the channels 'infrared'")])
def test_damaged_files(
        tmp_path: Path, change: Callable[[dict], object], message: str) -> None:
    """They are named, and nothing is mapped beyond their end."""
    path = changed(tmp_path / 'a.npz', change)
    with pytest.raises(DataError, match=f'a.npz: .*{message}'):
        load(DataSource(path, 'none'))


def test_a_file_that_was_cut(tmp_path: Path) -> None:
    """It has no directory, which is at its end."""
    path = tmp_path / 'a.npz'
    stored.save(path, DATA)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match='a.npz: found a file that is damaged'):
        stored.load(path)


SAMPLE = """
import resource, sys
from pathlib import Path
import numpy as np
from training.data.datasets.load import load
from training.data.transitions import frames
from training.data.transitions.source import DataSource
from training.learning.trainer.replay_buffer import ReplayBuffer
data = load(DataSource(Path(sys.argv[1]), 'none'))
buffer = ReplayBuffer(data, 5, 0.99)
generator = np.random.default_rng(0)
for _ in range(100):
    batch = buffer.sample(256, generator)
    assert batch.pictures[0].shape == (256, 64, 64, 3)
print(len(data), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.long
@pytest.mark.parametrize('compressed', [False, True])
def test_a_hundred_thousand_frames_fit_into_4_gb(tmp_path: Path, compressed: bool) -> None:
    """With all that PyTorch needs, from a mapped file and from a compressed one."""
    camera = ImageField('camera', 64, 64, 'rgb')
    data = drawn([1000] * 100)
    some = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pixels = np.empty((100_100, 64, 64, 3), np.uint8)
    pixels[:] = some
    data = replace(
        with_pictures(data, cameras=(ImageField('camera', 1, 1, 'gray'),)),
        images=(Frames(camera, pixels),))
    path = tmp_path / 'a.npz'
    stored.save(path, data)
    del pixels, data
    if compressed:
        with np.load(path) as file:
            npz.write(tmp_path / 'b.npz', file)
        path.unlink()
        path = tmp_path / 'b.npz'
    found = subprocess.run(
        [sys.executable, '-c', SAMPLE, str(path)], capture_output=True, text=True, check=True,
        timeout=300, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_DATA, (4 * 10**9, 4 * 10**9)))
    size, peak = map(int, found.stdout.split())
    assert size == 100_000
    assert peak < 4e9
