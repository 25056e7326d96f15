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
"""Pictures of LeRobot's datasets: videos, and PNG files in the frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import io
import json
import os
from pathlib import Path
import re
import struct
import sys
import zlib

import numpy as np
from PIL import Image
import pytest

pa = pytest.importorskip('pyarrow')
pq = pytest.importorskip('pyarrow.parquet')

from dfp_ros.spec_images import ImageField  # noqa: E402
from testing.learning import lerobot_datasets as so100  # noqa: E402
from testing.learning.lerobot_datasets import change_json  # noqa: E402
from testing.learning.pictures import with_pictures  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.data.formats.lerobot import layout, video  # noqa: E402
from training.data.formats.lerobot.description import describe  # noqa: E402
from training.data.formats.lerobot.reader import load  # noqa: E402
from training.data.formats.lerobot.statistics import measure, measure_pictures  # noqa: E402
from training.data.formats.lerobot.writer import write  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.data.transitions.frames import channel_counts, Frames  # noqa: E402
from training.data.transitions.transitions import COLUMNS, DataError, Transitions  # noqa: E402
from training.write import main as write_command  # noqa: E402

CAMERAS = (ImageField('front', 16, 18, 'rgb'), ImageField('wrist/near', 13, 8, 'gray'))
KEYS = ('observation.images.front', 'observation.images.wrist_near')
RATE = 20


def smooth(lengths: list[int]) -> Transitions:
    """Make episodes with pictures that a video keeps nearly: ramps that move."""
    data = with_pictures(drawn(lengths), cameras=CAMERAS)
    images = []
    for frames in data.images:
        count, height, width, channels = frames.pixels.shape
        number, row, column, channel = np.ogrid[:count, :height, :width, :channels]
        pixels = 40 + 5 * number + 3 * row + 4 * column + 20 * channel
        images.append(replace(frames, pixels=pixels.astype(np.uint8)))
    return replace(data, images=tuple(images))


def require_same_numbers(found: Transitions, data: Transitions) -> None:
    """Compare everything but pixels."""
    for name in (*COLUMNS, 'frame'):
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name), name)
    assert [frames.field for frames in found.images] == list(CAMERAS)
    assert 'features_left_out' not in found.source


def test_png_files_are_read_to_the_last_bit(tmp_path: Path) -> None:
    data = with_pictures(drawn([5, 1, 7]), cameras=CAMERAS)
    write(tmp_path / 'set', data, 'Look', pictures='image')
    found = load(tmp_path / 'set')
    require_same_numbers(found, data)
    for ours, theirs in zip(found.images, data.images, strict=True):
        np.testing.assert_array_equal(ours.pixels, theirs.pixels)
        assert not ours.pixels.flags.writeable
    assert describe(tmp_path / 'set').observation_fields == data.observation_fields
    info = json.loads((tmp_path / 'set' / layout.INFO).read_text())
    assert info['video_path'] is None
    assert info['features'][KEYS[0]] == {
        'dtype': 'image', 'shape': [16, 18, 3], 'names': ['height', 'width', 'channels']}
    # LeRobot's own column: a struct of the file and its path.
    table = pq.read_table(tmp_path / 'set' / so100.DATA)
    file = table.column(KEYS[1])[5].as_py()
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(file['bytes']))), data.images[1].pixels[6, ..., 0])
    statistics = json.loads((tmp_path / 'set' / layout.STATISTICS).read_text())[KEYS[0]]
    steps = data.images[0].pixels[data.frame] / 255
    np.testing.assert_allclose(
        np.array(statistics['mean'])[:, 0, 0], steps.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(np.array(statistics['std'])[:, 0, 0], steps.std(axis=(0, 1, 2)))
    assert statistics['count'] == [13]


@pytest.mark.parametrize('kind', ['image', 'video'])
def test_colours_are_stored_as_others_see_them(tmp_path: Path, kind: str) -> None:
    """Red first; a camera whose blue is first still has it first here."""
    if kind == 'video':
        pytest.importorskip('av')
    data = with_pictures(drawn([3]), cameras=(ImageField('front', 16, 16, 'bgr'),))
    pixels = np.full_like(data.images[0].pixels, (200, 100, 20))
    data = replace(data, images=(replace(data.images[0], pixels=pixels),))
    write(tmp_path / 'set', data, 'Look', pictures=kind)
    (found,) = load(tmp_path / 'set').images
    assert found.field == data.images[0].field
    assert np.abs(found.pixels.astype(int) - pixels).max() < 5
    statistics = json.loads((tmp_path / 'set' / layout.STATISTICS).read_text())
    mean = np.array(statistics['observation.images.front']['mean'])[:, 0, 0]
    np.testing.assert_allclose(mean * 255, [20, 100, 200])


def test_statistics_of_channels() -> None:
    """Those of the numbers, for each channel."""
    pixels = np.random.default_rng(0).integers(3, 200, (7, 4, 5, 3), np.uint8)
    rows = np.array([0, 2, 3, 6])
    found = measure_pictures(channel_counts(Frames(ImageField('x', 4, 5, 'rgb'), pixels), rows), 4)
    flat = measure(pixels[rows].reshape(-1, 3) / 255)
    for name in ('min', 'max', 'mean', 'std'):
        np.testing.assert_allclose(np.array(found[name])[:, 0, 0], flat[name])
    for name in ('q01', 'q50', 'q99'):
        np.testing.assert_allclose(np.array(found[name])[:, 0, 0], flat[name], atol=5 / 255)


def test_videos_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Each frame, also the one after the last step, which LeRobot never asks for."""
    av = pytest.importorskip('av')
    data = smooth([5, 1, 7])
    write(tmp_path / 'set', data, 'Look')
    found = load(tmp_path / 'set')
    require_same_numbers(found, data)
    info = json.loads((tmp_path / 'set' / layout.INFO).read_text())
    assert info['video_path'] == layout.VIDEOS
    assert info['features'][KEYS[0]]['dtype'] == 'video'
    assert info['features'][KEYS[0]]['info']['video.fps'] == RATE
    episodes = pq.read_table(tmp_path / 'set' / so100.EPISODES).to_pydict()
    for key, ours, theirs in zip(KEYS, found.images, data.images, strict=True):
        assert episodes[f'videos/{key}/from_timestamp'] == [0, 6 / RATE, 8 / RATE]
        assert episodes[f'videos/{key}/to_timestamp'] == [5 / RATE, 7 / RATE, 15 / RATE]
        with av.open(str(tmp_path / 'set' / layout.VIDEOS.format(
                video_key=key, chunk_index=0, file_index=0))) as video:
            kind = 'rgb24' if ours.pixels.shape[3] == 3 else 'gray'
            direct = [frame.to_ndarray(format=kind) for frame in video.decode(video=0)]
        np.testing.assert_array_equal(ours.pixels, np.reshape(direct, ours.pixels.shape))
        wrong = np.abs(ours.pixels.astype(int) - theirs.pixels)
        assert wrong.mean() < 2, key  # a neighbouring frame differs by 5


def test_writing_takes_no_priority(
        tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """
    Not even as root, whose encoder of AV1 takes the highest there is by itself, nor is it heard.

    A robot's control loop on the same machine would wait for it.
    """
    pytest.importorskip('av')
    found = set()

    def look() -> None:
        found.update(
            (os.sched_getscheduler(int(thread)), os.sched_getparam(int(thread)).sched_priority)
            for thread in os.listdir('/proc/self/task'))

    before = (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)
    writer = video.VideoWriter(tmp_path / 'x.mp4', (64, 66, 3), 10)
    for _ in range(3):
        writer.add(np.zeros((64, 66, 3), np.uint8))
        look()
    writer.close()
    look()
    assert found == {before}
    assert capfd.readouterr() == ('', '')


def test_large_pictures_are_in_av1(tmp_path: Path) -> None:
    """As LeRobot writes them."""
    av = pytest.importorskip('av')
    data = with_pictures(drawn([3]), cameras=(ImageField('front', 64, 66, 'rgb'),))
    data = replace(data, images=(
        replace(data.images[0], pixels=np.full_like(data.images[0].pixels, 77)),))
    write(tmp_path / 'set', data, 'Look')
    with av.open(str(next((tmp_path / 'set/videos').rglob('*.mp4')))) as video:
        context = video.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ('libdav1d', 'yuv420p')
    found = load(tmp_path / 'set').images[0].pixels
    assert np.abs(found.astype(int) - 77).max() < 4


def test_a_second_video_begins_when_the_first_is_large(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And episodes of a task are found in any of them."""
    pytest.importorskip('av')
    data = smooth([5, 3, 7])
    monkeypatch.setattr(layout, 'VIDEO_MEGABYTES', 0)
    # Decoded into a file, as what does not fit into memory is; it has no name.
    monkeypatch.setattr('training.data.transitions.frames.free_memory', lambda: 0)
    write(tmp_path / 'set', data, 'Look')
    assert len(list((tmp_path / 'set/videos' / KEYS[0]).rglob('*.mp4'))) == 3
    found = load(tmp_path / 'set')
    require_same_numbers(found, data)
    assert {path.name for path in (tmp_path / 'set/meta').iterdir()} == {
        'dfp_ros.json', 'episodes', 'info.json', 'stats.json', 'tasks.parquet'}
    wrong = np.abs(found.images[0].pixels.astype(int) - data.images[0].pixels)
    assert wrong.mean() < 2


def of_somebody_else(folder: Path, kind: str) -> Path:
    """Make a dataset with pictures, without what only this package writes."""
    write(folder, smooth([4, 6, 3]), 'Look', pictures=kind)

    def without(content: dict) -> None:
        del content['images']
    change_json(folder / 'meta/dfp_ros.json', without)
    return folder


@pytest.mark.parametrize('kind', ['image', 'video'])
def test_pictures_of_somebody_else_are_named(tmp_path: Path, kind: str) -> None:
    """There is none after the last step of an episode, so that frame makes no step."""
    if kind == 'video':
        pytest.importorskip('av')
    folder = of_somebody_else(tmp_path / 'set', kind)
    left_out = load(folder)
    assert not left_out.images
    assert left_out.source['features_left_out'] == [
        f'{KEYS[0]} ({kind} 16 x 18 x 3)', f'{KEYS[1]} ({kind} 13 x 8 x 1)']
    keys = (layout.STATE, KEYS[0])
    found = load(folder, keys=keys)
    assert [frames.field for frames in found.images] == [CAMERAS[0]]
    assert len(found) == 13 - 3
    assert found.frame.tolist() == [0, 1, 2, 5, 6, 7, 8, 9, 12, 13]
    assert found.source['observation_keys'] == list(keys)
    expected = smooth([4, 6, 3]).images[0].pixels
    seen = np.append(found.frame, found.frame + 1)
    assert np.abs(found.images[0].pixels[seen].astype(int) - expected[seen]).mean() < 2
    # Pictures alone are beside the usual numbers.
    assert len(load(folder, keys=KEYS[:1])) == 10


def test_a_changed_dataset_has_no_pictures_after_its_episodes(tmp_path: Path) -> None:
    """The tools of LeRobot do not keep them; the pictures are still known."""
    write(tmp_path / 'set', smooth([4, 6, 3]), 'Look', pictures='image')

    def changed(content: dict) -> None:
        content['frames'] = 99
    change_json(tmp_path / 'set/meta/dfp_ros.json', changed)
    found = load(tmp_path / 'set')
    assert [frames.field for frames in found.images] == list(CAMERAS)
    assert len(found) == 13 - 3


def test_channels_may_come_first(tmp_path: Path) -> None:
    """In the list of features; files and videos have no order of them."""
    folder = of_somebody_else(tmp_path / 'set', 'image')

    def turned(content: dict) -> None:
        content['features'][KEYS[0]]['shape'] = [3, 16, 18]
    change_json(folder / layout.INFO, turned)
    assert load(folder, keys=KEYS[:1]).images[0].field == CAMERAS[0]


def test_distances_of_somebody_else_are_no_pictures(tmp_path: Path) -> None:
    """Their videos have 12 bits a pixel."""
    folder = of_somebody_else(tmp_path / 'set', 'image')

    def depth(content: dict) -> None:
        content['features'][KEYS[1]]['info'] = {'is_depth_map': True}
    change_json(folder / layout.INFO, depth)
    with pytest.raises(DataError, match='wrist_near: found image 13 x 8 x 1, expected a row'):
        load(folder, keys=KEYS)


@pytest.mark.parametrize(('feature', 'message'), [
    ({'shape': [8, 18, 3]}, 'found a picture of 16 x 18 in row 0, expected 8 x 18'),
    ({'shape': [16, 18, 4]}, 'found image 16 x 18 x 4, expected a height, a width, and 3 or 1'),
    ({'shape': [99999, 18, 3]}, 'height: found 99999')])
def test_pictures_of_another_size_are_refused(
        tmp_path: Path, feature: dict, message: str) -> None:
    """Before anything is decoded."""
    folder = of_somebody_else(tmp_path / 'set', 'image')

    def changed(content: dict) -> None:
        content['features'][KEYS[0]] |= feature
    change_json(folder / layout.INFO, changed)
    with pytest.raises(DataError, match=message):
        load(folder, keys=KEYS[:1])


def half_png(file: bytes) -> bytes:
    """Leave out half of the rows of a PNG, whose parts are whole."""
    header = file[16:29]
    data = b''.join(
        file[at + 4:at + 4 + int.from_bytes(file[at - 4:at], 'big')]
        for at in (each.start() for each in re.finditer(b'IDAT', file)))
    rows = zlib.decompress(data)
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(content)) + kind + content
        + struct.pack('>I', zlib.crc32(kind + content)) for kind, content in (
            (b'IHDR', header), (b'IDAT', zlib.compress(rows[:len(rows) // 2])), (b'IEND', b'')))


def half_jpeg(file: bytes) -> bytes:
    """End the data of a JPEG of the same size early."""
    picture = Image.open(io.BytesIO(file))
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (*picture.size[::-1], 3), np.uint8)
    Image.fromarray(noise).save(out, 'JPEG')
    return out.getvalue()[:-150] + b'\xff\xd9'


@pytest.mark.parametrize('damage', [lambda file: file[:60], half_png, half_jpeg])
def test_a_damaged_picture_is_refused(
        tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """With its row; Pillow would paint what is missing black or gray."""
    folder = of_somebody_else(tmp_path / 'set', 'image')
    table = pq.read_table(folder / so100.DATA)
    files = table.column(KEYS[0]).to_pylist()
    files[2]['bytes'] = damage(files[2]['bytes'])
    i = table.column_names.index(KEYS[0])
    pq.write_table(table.set_column(i, KEYS[0], pa.array(files)), folder / so100.DATA)
    with pytest.raises(DataError, match=f'{KEYS[0]}: found a picture in row 2 that cannot be d'):
        load(folder, keys=KEYS[:1])
    files[2] = None
    pq.write_table(table.set_column(i, KEYS[0], pa.array(files)), folder / so100.DATA)
    with pytest.raises(DataError, match='found no file in row 2'):
        load(folder, keys=KEYS[:1])


def test_a_damaged_video_is_refused(tmp_path: Path) -> None:
    """A frame that is missing, another size, no video at all."""
    pytest.importorskip('av')
    folder = of_somebody_else(tmp_path / 'set', 'video')
    path = folder / layout.VIDEOS.format(video_key=KEYS[0], chunk_index=0, file_index=0)
    table = pq.read_table(folder / so100.EPISODES)
    name = f'videos/{KEYS[0]}/from_timestamp'
    later = table.set_column(
        table.column_names.index(name), name, pa.array([0.0, 5 / RATE, 15 / RATE]))
    pq.write_table(later, folder / so100.EPISODES)
    with pytest.raises(DataError, match=r'found no frame at 0.8 s, expected 20 frames .*sode 2'):
        load(folder, keys=KEYS[:1])
    pq.write_table(table, folder / so100.EPISODES)

    def wider(content: dict) -> None:
        content['features'][KEYS[0]]['shape'] = [16, 20, 3]
    whole = (folder / layout.INFO).read_text()
    change_json(folder / layout.INFO, wider)
    with pytest.raises(DataError, match='found frames of 16 x 18, expected 16 x 20'):
        load(folder, keys=KEYS[:1])
    (folder / layout.INFO).write_text(whole)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match='found a video that cannot be decoded'):
        load(folder, keys=KEYS[:1])
    path.unlink()
    with pytest.raises(DataError, match='found no such video'):
        load(folder, keys=KEYS[:1])


@pytest.mark.parametrize('kind', ['image', 'video'])
def test_cameras_that_have_one_name_in_lerobot_are_refused(tmp_path: Path, kind: str) -> None:
    """The message names the folder that was asked for, not the one that is there meanwhile."""
    data = with_pictures(drawn([4]), cameras=tuple(
        ImageField(name, 8, 8, 'rgb') for name in ('front cam', 'front_cam')))
    with pytest.raises(DataError, match=f'^{tmp_path}/a: found cameras whose names are the same'):
        write(tmp_path / 'a', data, 'Look', kind)
    assert not list(tmp_path.iterdir())


def test_videos_need_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PNG files and numbers do not; nothing stays of a dataset that was not written."""
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(DataError, match='videos need PyAV, .* `pip install av`'):
        write(tmp_path / 'set', smooth([3]), 'Look')
    assert not (tmp_path / 'set').exists()
    write(tmp_path / 'set', smooth([3]), 'Look', pictures='image')
    assert len(load(tmp_path / 'set').images) == 2


def test_the_command_writes_and_reads(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """From own files and back, to the last bit."""
    data = with_pictures(drawn([4, 6]), cameras=CAMERAS)
    stored.save(tmp_path / 'data.npz', data)
    assert not write_command([
        str(tmp_path / 'data.npz'), '--format', 'lerobot', '--out', str(tmp_path / 'set'),
        '--pictures', 'image', '--environment', 'none'])
    assert not write_command([
        str(tmp_path / 'set'), '--format', 'own', '--out', str(tmp_path / 'back.npz'),
        '--environment', 'none'])
    found = stored.load(tmp_path / 'back.npz')
    np.testing.assert_array_equal(found.images[1].pixels, data.images[1].pixels)
    gap = replace(data, frame=data.frame + (np.arange(10) > 7), images=tuple(
        replace(each, pixels=np.concatenate([each.pixels, each.pixels[:1]]))
        for each in data.images))
    with pytest.raises(DataError, match='found a gap in the pictures of an episode, after step 7'):
        write(tmp_path / 'gap', gap, 'Look', pictures='image')
