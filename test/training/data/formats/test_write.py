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
"""Data in other libraries' formats, read back by those libraries."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import re
import tempfile

import h5py
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from ogbench.utils import load_dataset
import pytest

from dfp_ros.spec_images import ImageField
from testing.learning.pictures import CAMERAS, with_pictures
from testing.learning.transitions import drawn
from training.data.datasets.load import load
from training.data.formats.ogbench import reader as ogbench
from training.data.formats.ogbench import writer as write_ogbench
from training.data.formats.robomimic import writer as write_robomimic
from training.data.transitions import stored
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import (
    action_fields,
    COLUMNS,
    DataError,
    observation_fields,
    Transitions,
)
from training.write import main

SequenceDataset = pytest.importorskip('robomimic.utils.dataset').SequenceDataset
TASK = 'cube-single-singletask-task2-v0'


@st.composite
def transitions(draw: st.DrawFn) -> Transitions:
    """Episodes of any layout, of any float32 numbers that the layout admits."""
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=13))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    data = drawn(lengths, sum(sizes), draw(st.integers(1, 4)), draw(st.integers(0, 999)))
    inner = np.flatnonzero(data.terminals[:-1] == 0)
    data.next_observations[inner] = data.observations[inner + 1]
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    data.observations[0, 0] = draw(number)
    data.next_observations[-1, -1] = draw(number)
    data.actions[0, 0] = draw(st.floats(-1, 1, width=32))
    data.rewards[0] = draw(st.sampled_from([-3, -1, -0.25, 0]))
    return replace(
        data, observation_fields=observation_fields(
            [(f'part_{i}', size, 'm') for i, size in enumerate(sizes)], data.observations),
        action_fields=action_fields(
            [('velocity', data.actions.shape[1], 'm/s', 0.5)], data.actions))


@settings(max_examples=30)
@given(transitions())
def test_ogbench_reads_what_was_written(data: Transitions) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'written.npz'
        write_ogbench.write(path, data)
        found = load_dataset(str(path))
        with np.load(path) as file:
            kept = file['terminals'] == 0
            further = {name: file[name][kept] for name in ('rewards', 'masks')}
    for name in ('observations', 'actions', 'next_observations', 'terminals'):
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], getattr(data, name))
    for name, values in further.items():
        np.testing.assert_array_equal(values, getattr(data, name))


@settings(max_examples=20)
@given(transitions())
def test_robomimic_reads_what_was_written(data: Transitions) -> None:
    names = [field.name for field in data.observation_fields]
    ends = np.flatnonzero(data.terminals) + 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'written.hdf5'
        write_robomimic.write(path, data)
        found = SequenceDataset(
            str(path), names, ('actions', 'rewards', 'dones', 'masks'), hdf5_use_swmr=False)
        rows = [found[i] for i in range(len(found))]
        with h5py.File(path) as file:
            train, valid = (
                set(file[f'mask/{name}'].asstr()[()]) for name in ('train', 'valid'))
            assert file['data'].attrs['total'] == len(data)
            lengths = [file[f'data/demo_{i}'].attrs['num_samples'] for i in range(len(ends))]
    assert lengths == np.diff(ends, prepend=0).tolist()
    assert train | valid == {f'demo_{i}' for i in range(len(ends))}
    assert not train & valid
    assert train
    assert (len(ends) == 1) or valid
    # In order: robomimic sorts the demonstrations by number, demo_10 after demo_9.
    for part, name in (('obs', 'observations'), ('next_obs', 'next_observations')):
        there = [np.concatenate([row[part][key][0] for key in names]) for row in rows]
        np.testing.assert_array_equal(np.array(there), getattr(data, name))
    for name in ('actions', 'masks'):
        there = np.array([row[name][0] for row in rows])
        assert there.dtype == np.float32
        np.testing.assert_array_equal(there, getattr(data, name))
    rewards = np.array([row['rewards'][0] for row in rows])
    np.testing.assert_array_equal(rewards - 1, data.rewards)
    dones = np.array([row['dones'][0] for row in rows])
    np.testing.assert_array_equal(dones == 1, (data.masks == 0) | (data.terminals == 1))


@settings(max_examples=20)
@given(transitions())
def test_what_was_written_for_robomimic_is_read_here_too(data: Transitions) -> None:
    names = tuple(field.name for field in data.observation_fields)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'written.hdf5'
        write_robomimic.write(path, data)
        found = load(DataSource(path, 'none', observation_keys=names))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name))
    assert found.period == data.period


def test_ogbenchs_format_has_no_room_for_a_gap(tmp_path: Path) -> None:
    data = drawn([2, 3])
    inner = np.flatnonzero(data.terminals[:-1] == 0)
    data.next_observations[inner] = data.observations[inner + 1]
    data.next_observations[3, 1] += 1
    with pytest.raises(DataError, match='after row 3 than in row 4 .* end the episode there, or'):
        write_ogbench.write(tmp_path / 'gap.npz', data)
    assert not list(tmp_path.iterdir())


def test_state_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='qpos: found 3 rows, expected 4, one more per episode'):
        write_ogbench.write(tmp_path / 'a.npz', drawn([1, 1]), {'qpos': np.zeros((3, 2))})


def test_ogbenchs_own_data_keep_their_rewards(demonstrations: Path, tmp_path: Path) -> None:
    out = tmp_path / 'cube-single-again-task2-v0.npz'
    assert main([str(demonstrations), '--format', 'ogbench', '--out', str(out)]) == 0
    before, after = ogbench.load(demonstrations, TASK), ogbench.load(out, TASK)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_commands_convert_from_format_to_format(demonstrations: Path, tmp_path: Path) -> None:
    own, hdf5 = tmp_path / 'own.npz', tmp_path / 'sub' / 'robomimic.hdf5'
    assert main([str(demonstrations), '--format', 'own', '--out', str(own)]) == 0
    assert main([str(own), '--format', 'robomimic', '--out', str(hdf5)]) == 0
    data = load(DataSource(own, 'none'))
    with h5py.File(hdf5) as file:
        assert len(file['data']) == 4
        np.testing.assert_array_equal(
            file['data/demo_0/obs/cube_0_position'][0], data.observations[0, 19:22])
        solved = file['data/demo_0/rewards'][()]
        assert solved.tolist() == [0] * (len(solved) - 1) + [1]
        env_args = json.loads(file['data'].attrs['env_args'])
    assert env_args['env_kwargs']['control_freq'] == 20


@pytest.mark.parametrize(('name', 'form', 'message'), [
    ('there.npz', 'own', 'there.npz: found a file there'),
    ('new.npz', 'robomimic', "new.npz: found '.npz', expected .hdf5 for robomimic"),
    ('new.npz', 'ogbench', 'none.npz: found no such file')])
def test_what_cannot_be_written_is_said(
        name: str, form: str, message: str, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    stored.save(tmp_path / 'there.npz', drawn([2]))
    before = (tmp_path / 'there.npz').read_bytes()
    source = str(tmp_path / 'none.npz')
    assert main([source, '--format', form, '--out', str(tmp_path / name)]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / 'there.npz').read_bytes() == before


def test_pictures_are_read_by_robomimic_and_here(tmp_path: Path) -> None:
    """Each camera is a part of the observation before and after a step; red comes first."""
    cameras = (
        ImageField('front/left', 6, 8, 'bgr'), ImageField('wrist_image', 4, 4, 'gray'))
    data = with_pictures(drawn([4, 70, 3]), cameras=cameras)
    path = tmp_path / 'seen.hdf5'
    write_robomimic.write(path, data)
    found = SequenceDataset(
        hdf5_path=str(path), obs_keys=('state', 'front_left', 'wrist_image'),
        dataset_keys=('actions',), load_next_obs=True, hdf5_cache_mode=None)
    for row in (0, 3, 40, 76):
        step = found[row]
        frame = data.frame[row]
        np.testing.assert_array_equal(
            step['obs']['front_left'][0], data.images[0].pixels[frame][..., ::-1])
        np.testing.assert_array_equal(
            step['next_obs']['wrist_image'][0], data.images[1].pixels[frame + 1])
    here = load(DataSource(
        path, 'none', observation_keys=('state', 'front_left', 'wrist_image')))
    np.testing.assert_array_equal(here.frame, data.frame)
    assert [str(frames.field) for frames in here.images] == [
        'front_left (6 x 8 rgb)', 'wrist_image (4 x 4 gray)']
    np.testing.assert_array_equal(here.images[0].pixels, data.images[0].pixels[..., ::-1])
    np.testing.assert_array_equal(here.images[1].pixels, data.images[1].pixels)
    same = with_pictures(drawn([4]), cameras=(ImageField('state', 4, 4, 'gray'),))
    with pytest.raises(DataError, match="found several parts .* named 'state'"):
        write_robomimic.write(tmp_path / 'same.hdf5', same)


@pytest.mark.parametrize(('names', 'message'), [
    (('arm', 'arm/joint'), "named 'arm' and 'arm/joint', of which HDF5 takes the first for a gr"),
    (('a/b/c', 'a'), "named 'a' and 'a/b/c', of which HDF5"), (('.', 'x'), "named '.', expected"),
    (('x', '/'), "named '/', expected words with single slashes between them; rename it")])
def test_names_that_hdf5_cannot_store_are_refused(
        names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """HDF5 itself says nothing of them."""
    data = named(names)
    with pytest.raises(DataError, match=re.escape(message)):
        write_robomimic.write(tmp_path / 'a.hdf5', data)
    assert not list(tmp_path.iterdir())


def test_names_with_slashes_are_groups(tmp_path: Path) -> None:
    names = 'arm/joint', 'arm/hand', 'arm joint', '..', 'Größe'
    write_robomimic.write(tmp_path / 'a.hdf5', named(names))
    read = load(DataSource(tmp_path / 'a.hdf5', 'none', observation_keys=names))
    np.testing.assert_array_equal(read.observations, named(names).observations)


def named(names: tuple[str, ...]) -> Transitions:
    """Make data with fields of one number."""
    data = drawn([4, 5], observation=len(names))
    return replace(data, observation_fields=observation_fields(
        [(name, 1, 'm') for name in names], data.observations))


def test_pictures_are_read_by_ogbench(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """One row more than steps; numbers beside them have no place there, which is said."""
    data = with_pictures(drawn([4, 70]), cameras=(ImageField('camera', 8, 8, 'rgb'),))
    data.next_observations[data.terminals == 0] = data.observations[1:][data.terminals[:-1] == 0]
    data = replace(data, frame=data.frame.copy())
    stored.save(tmp_path / 'data.npz', data)
    out = tmp_path / 'visual-cube-single-play-v0.npz'
    assert not main([
        str(tmp_path / 'data.npz'), '--format', 'ogbench', '--out', str(out),
        '--environment', 'none'])
    assert '74 steps; left out: state' in capsys.readouterr().out
    found = load_dataset(
        str(out), ob_dtype=np.uint8, action_dtype=np.float32, compact_dataset=False)
    np.testing.assert_array_equal(found['observations'], data.images[0].pixels[data.frame])
    np.testing.assert_array_equal(
        found['next_observations'], data.images[0].pixels[data.frame + 1])
    # Frames that lie in another order are put into that of the rows.
    turned = replace(data, frame=data.frame + 2, images=tuple(
        replace(each, field=ImageField('camera', 8, 8, 'bgr'), pixels=np.concatenate(
            [each.pixels[:2], each.pixels])[..., ::-1]) for each in data.images))
    write_ogbench.write(tmp_path / 'turned.npz', turned)
    with np.load(out) as first, np.load(tmp_path / 'turned.npz') as second:
        np.testing.assert_array_equal(first['observations'], second['observations'])
    two = with_pictures(data, cameras=(*CAMERAS,))
    with pytest.raises(DataError, match='found the pictures front .*, wrist .*, expected one cam'):
        write_ogbench.write(tmp_path / 'two.npz', two)
