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
"""LeRobot's own library reads what is written here, and what it writes is read here."""

from __future__ import annotations

from dataclasses import replace
import json
import os
from pathlib import Path
import re
import subprocess
from typing import Any

import numpy as np
import pytest

pytest.importorskip('pyarrow')

from dfp_ros.spec_images import ImageField
from testing import ROOT
from testing.learning import lerobot_datasets as so100
from testing.learning.lerobot_library import RATE, TASKS
from testing.learning.pictures import with_pictures
from testing.learning.transitions import drawn
from training.data.formats.lerobot.reader import load
from training.data.formats.lerobot.writer import write

PYTHON = ROOT / '.venv-lerobot' / 'bin' / 'python'
PAGE = (ROOT / 'docs' / 'lerobot.md').read_text()
LONGEST = 300.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason='`make test-lerobot` installs LeRobot')]


def lerobot(folder: Path, *words: str) -> str:
    """Run LeRobot's Python in a folder; return what it said."""
    environment = {
        name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run(
        [str(PYTHON), *words], cwd=folder, text=True, timeout=LONGEST, check=False,
        capture_output=True, env={
            **environment, 'HF_HOME': str(folder / 'hub'), 'HF_HUB_OFFLINE': '1'})
    assert done.returncode == 0, done.stderr
    return done.stdout


def library(verb: str, dataset: Path, arrays: Path) -> None:
    """Let the library read or write a dataset."""
    lerobot(arrays.parent, str(ROOT / 'testing' / 'learning' / 'lerobot_library.py'), verb,
            str(dataset), str(arrays))


@pytest.mark.parametrize('width', [4, 1])
def test_lerobot_reads_what_was_written(tmp_path: Path, width: int) -> None:
    data = drawn([30, 1, 45], width, 3)
    data = replace(data, interventions=(data.rewards > 0).astype(np.float32))
    write(tmp_path / 'a', data, 'Touch the part')
    library('read', tmp_path / 'a', tmp_path / 'read.npz')
    with np.load(tmp_path / 'read.npz') as file:
        found: dict[str, Any] = dict(file)
    for name, values in (
            ('observation.state', data.observations), ('action', data.actions),
            ('next.observation.state', data.next_observations), ('next.reward', data.rewards),
            ('next.done', data.terminals == 1), ('next.success', data.masks == 0),
            ('intervention', data.interventions == 1), ('index', np.arange(76)),
            ('frame_index', [*range(30), 0, *range(45)]),
            ('episode_index', [0] * 30 + [1] + [2] * 45)):
        there = found[f'frame/{name}']
        np.testing.assert_array_equal(there.reshape(np.shape(values)), values, name)
    np.testing.assert_allclose(
        found['frame/timestamp'].ravel()[31:], np.arange(45) / 20, rtol=1e-6)
    assert found['lengths'].tolist() == [30, 1, 45]
    # The action after the last one of an episode is padded.
    np.testing.assert_array_equal(found['chunks'][:29, 1], data.actions[1:30])
    assert np.flatnonzero(found['padded'][:, 1]).tolist() == [29, 30, 75]
    for key, values in (
            ('mean', data.actions.mean(axis=0)), ('std', data.actions.std(axis=0)),
            ('min', data.actions.min(axis=0)), ('max', data.actions.max(axis=0))):
        np.testing.assert_allclose(found[f'statistics/action/{key}'], values, rtol=1e-5)
    assert json.loads(str(found['known'])) == {
        'fps': 20, 'robot': 'none', 'tasks': ['Touch the part'],
        'names': [f'state[{i}]' for i in range(4)] if width == 4 else ['state']}


def describe(folder: Path) -> None:
    """Add what LeRobot does not keep."""
    so100.write_json(folder / 'meta' / 'dfp_ros.json', {
        'version': 1, 'actions': 'physical',
        'observation_fields': [{'name': 'joints', 'size': 2, 'unit': 'deg'}],
        'action_fields': [
            {'name': 'joints', 'size': 2, 'unit': 'deg', 'low': [-90, -90], 'high': [90, 90]}]})


def test_what_lerobot_writes_is_read(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    episode = np.repeat(np.arange(4), 12)
    reward = (np.arange(48) % 12 == 11).astype(np.float32)[:, None]
    reward[47] = 0
    frames = {
        'observation.state': generator.uniform(-90, 90, (48, 2)).astype(np.float32),
        'action': generator.uniform(-90, 90, (48, 2)).astype(np.float32),
        'next.reward': reward, 'next.success': reward == 1,
        'next.done': (np.arange(48) % 12 == 11)[:, None]}
    np.savez(tmp_path / 'frames.npz', **frames, episode=episode)
    library('write', tmp_path / 'a', tmp_path / 'frames.npz')
    describe(tmp_path / 'a')
    data = load(tmp_path / 'a')
    # The last frame of the last episode has no successor.
    np.testing.assert_array_equal(data.observations, frames['observation.state'][:47])
    np.testing.assert_allclose(data.actions, frames['action'][:47] / 90, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(data.rewards, reward[:47, 0])
    np.testing.assert_array_equal(data.masks, 1 - reward[:47, 0])
    assert np.flatnonzero(data.terminals).tolist() == [11, 23, 35, 46]
    assert data.period == 1 / RATE
    assert data.source['tasks'] == TASKS
    assert len(load(tmp_path / 'a', TASKS[0])) == 24


def ramps(count: int, height: int, width: int) -> np.ndarray:
    """Draw coloured pictures that a video keeps nearly; one differs by 3 from the next."""
    number, row, column, channel = np.ogrid[:count, :height, :width, :3]
    return (20 + 3 * number + (row + column) // 2 + 25 * channel).astype(np.uint8)


def require_close(found: np.ndarray, there: np.ndarray, kind: str) -> None:
    """Require the same pictures; in a video, nearly, and nearer than a neighbouring frame."""
    wrong = np.abs(found - there).mean(axis=(1, 2, 3))
    assert (wrong < (1e-3 if kind == 'image' else 2)).all(), wrong


@pytest.mark.parametrize('kind', ['image', 'video'])
@pytest.mark.parametrize('side', [64, 30])
def test_lerobot_sees_the_pictures(tmp_path: Path, kind: str, side: int) -> None:
    """Each at its step, red first; AV1 from a side of 64 on, H.264 below."""
    data = with_pictures(drawn([5, 1, 7]), cameras=(ImageField('front', side, side, 'rgb'),))
    count = len(data.images[0].pixels)
    data = replace(data, images=(
        replace(data.images[0], pixels=ramps(count, side, side)),))
    write(tmp_path / 'a', data, 'Look', pictures=kind)
    library('read', tmp_path / 'a', tmp_path / 'read.npz')
    with np.load(tmp_path / 'read.npz') as file:
        found = file['frame/observation.images.front'] * 255
    there = np.moveaxis(data.images[0].pixels[data.frame], -1, 1)
    assert found.shape == there.shape == (13, 3, side, side)
    require_close(found, there, kind)


@pytest.mark.parametrize('kind', ['image', 'video'])
def test_pictures_that_lerobot_writes_are_read(tmp_path: Path, kind: str) -> None:
    generator = np.random.default_rng(0)
    pixels = ramps(24, 64, 96)
    np.savez(
        tmp_path / 'frames.npz', episode=np.repeat(np.arange(2), 12),
        **{'observation.state': generator.uniform(-1, 1, (24, 2)).astype(np.float32),
           'action': generator.uniform(-1, 1, (24, 2)).astype(np.float32),
           'observation.images.top': pixels})
    library('write' if kind == 'image' else 'write-videos', tmp_path / 'a',
            tmp_path / 'frames.npz')
    describe(tmp_path / 'a')
    data = load(tmp_path / 'a', keys=['observation.state', 'observation.images.top'])
    (found,) = data.images
    assert (found.field.name, found.pixels.shape[1:]) == ('top', (64, 96, 3))
    # The last frame of each episode has no successor.
    steps = [*range(11), *range(12, 23)]
    assert len(data) == len(steps)
    require_close(found.pixels[data.frame].astype(float), pixels[steps], kind)


def test_the_page_shows_how_lerobot_reads_it(tmp_path: Path) -> None:
    write(tmp_path / 'lerobot' / 'demo', drawn([8, 9], 4, 2), 'Move the cube')
    [code] = re.findall(r'^```python\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)
    if (PYTHON.parent.parent / 'only-datasets').exists():
        # Published by others under another name.
        code = code.replace('from lerobot.', 'from ledataset.')
    (tmp_path / 'page.py').write_text(code)
    said = lerobot(tmp_path, 'page.py')
    assert said.startswith('2 17 20\n')
    assert 'Move the cube' in said
