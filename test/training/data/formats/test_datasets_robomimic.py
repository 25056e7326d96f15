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
"""Robomimic's HDF5 files: content, and errors of invalid ones."""

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

import h5py
from hypothesis import given, settings, strategies
import numpy as np
import pytest

from testing import ROOT
from testing.learning.robomimic_files import OLD_ARGS, WIDTHS, written
from testing.learning.robosuite_samples import OLD_CONTROLLER
from training.data.datasets.load import load as load_any
from training.data.formats.robomimic.reader import load
from training.data.transitions import hdf5_probe
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError
from training.presets import PRESETS

TASK = 'lift-mh-low_dim'


def test_what_was_collected_is_read(lift_demonstrations: Path) -> None:
    data = load(lift_demonstrations, TASK)
    with h5py.File(lift_demonstrations) as file:
        lengths = [len(file[f'data/demo_{i}/actions']) for i in range(3)]
        np.testing.assert_array_equal(
            data.actions[:lengths[0]], file['data/demo_0/actions'][()].astype(np.float32))
        np.testing.assert_array_equal(
            data.observations[lengths[0], :3],
            file['data/demo_1/obs/robot0_eef_pos'][0].astype(np.float32))
        env_args = json.loads(file['data'].attrs['env_args'])
    np.testing.assert_array_equal(np.flatnonzero(data.terminals), np.cumsum(lengths) - 1)
    # Solved from the step of success on, and some steps more.
    np.testing.assert_array_equal(data.rewards, -data.masks)
    assert int((data.masks == 0).sum()) >= 15
    assert data.source['env_args'] == env_args
    assert data.period == 0.05
    inside = np.flatnonzero(data.terminals == 0)
    np.testing.assert_array_equal(data.next_observations[inside], data.observations[inside + 1])


def test_a_run_finds_the_reader(lift_demonstrations: Path) -> None:
    config = PRESETS['lift-cpu'][1]
    assert len(load_any(DataSource(
        lift_demonstrations, config.environment, filter_key='better',
        observation_keys=('object',)))) > 0


def test_demonstrations_go_by_number_and_end_where_they_end(tmp_path: Path) -> None:
    data = load(written(tmp_path / 'a.hdf5', {10: 4, 2: 3, 0: 5}), TASK)
    ends = np.flatnonzero(data.terminals)
    assert ends.tolist() == [4, 7, 11]
    assert data.observations[ends, 0].round().tolist() == [0, 2, 10]
    assert np.flatnonzero(data.masks == 0).tolist() == [3, 4, 6, 7, 10, 11]
    np.testing.assert_array_equal(data.rewards, -data.masks)


def test_parts_of_the_observation_and_their_order_can_be_chosen(tmp_path: Path) -> None:
    data = load(
        written(tmp_path / 'a.hdf5', {0: 3}), TASK, keys=('object', 'robot0_gripper_qpos'))
    assert [(field.name, field.size, field.unit) for field in data.observation_fields] == [
        ('cube_pos', 3, 'm'), ('cube_quat', 4, '1'), ('gripper_to_cube_pos', 3, 'm'),
        ('robot0_gripper_qpos', 2, 'm')]
    assert data.source['observation_keys'] == ['object', 'robot0_gripper_qpos']


def test_a_filter_key_chooses_demonstrations(tmp_path: Path) -> None:
    path = written(tmp_path / 'a.hdf5', {0: 3, 1: 4, 2: 5})
    with h5py.File(path, 'a') as file:
        file['mask/train'] = np.array(['demo_2', 'demo_0'], dtype='S')
        file['mask/valid'] = np.array(['demo_1'], dtype='S')
        file['mask/lost'] = np.array(['demo_7'], dtype='S')
        file['mask/twice'] = np.array(['demo_1', 'demo_0', 'demo_1'], dtype='S')
    data = load(path, TASK, 'train')
    assert np.flatnonzero(data.terminals).tolist() == [2, 7]
    with pytest.raises(
            DataError, match=r"a\.hdf5: filter_key: found 'test', expected one of lost, train"):
        load(path, TASK, 'test')
    with pytest.raises(DataError, match=r"a\.hdf5: found the demonstration 'demo_7'"):
        load(path, TASK, 'lost')
    with pytest.raises(DataError, match='found the demonstration demo_1 2 times in mask/twice'):
        load(path, TASK, 'twice')


def test_robomimics_own_reader_finds_the_same(lift_demonstrations: Path) -> None:
    from robomimic.utils import obs_utils
    from robomimic.utils.dataset import SequenceDataset
    obs_utils.initialize_obs_utils_with_obs_specs({'obs': {'low_dim': list(WIDTHS), 'rgb': []}})
    theirs = SequenceDataset(
        str(lift_demonstrations), obs_keys=tuple(WIDTHS),
        dataset_keys=('actions', 'rewards', 'dones'), filter_by_attribute='train')
    ours = load(lift_demonstrations, TASK, 'train')
    assert len(theirs) == len(ours)
    for i in (0, len(ours) // 2, len(ours) - 1):
        row = theirs[i]
        for name, values in (('obs', ours.observations), ('next_obs', ours.next_observations)):
            np.testing.assert_allclose(
                np.concatenate([row[name][key][0] for key in WIDTHS]), values[i], rtol=1e-6)
        np.testing.assert_allclose(row['actions'][0], ours.actions[i], rtol=1e-6)
        assert row['rewards'][0] - 1 == ours.rewards[i]


@settings(max_examples=20)
@given(
    lengths=strategies.dictionaries(
        strategies.integers(0, 99), strategies.integers(1, 12), min_size=1, max_size=6),
    kind=strategies.sampled_from(['f4', 'f8']), widths=strategies.dictionaries(
        strategies.sampled_from(['object', 'robot0_joint_pos', 'robot0_eef_quat']),
        strategies.integers(1, 9), min_size=1), act_dim=strategies.integers(1, 9))
def test_any_layout_is_read_in_order(
        tmp_path_factory: pytest.TempPathFactory, lengths: dict, kind: str, widths: dict,
        act_dim: int) -> None:
    path = tmp_path_factory.mktemp('layout') / 'a.hdf5'
    data = load(written(path, lengths, OLD_ARGS, kind, widths, act_dim), TASK, keys=tuple(widths))
    rows = [number + i / 100 for number in sorted(lengths) for i in range(lengths[number])]
    offsets = np.concatenate([1000 * np.arange(width) for width in widths.values()])
    expected = (np.array(rows)[:, None] + offsets).astype(kind).astype(np.float32)
    np.testing.assert_array_equal(data.observations, expected)
    assert data.actions.shape == (len(rows), act_dim)
    ends = np.cumsum([lengths[number] for number in sorted(lengths)]) - 1
    assert np.flatnonzero(data.terminals).tolist() == ends.tolist()


def test_actions_have_the_controllers_ranges(tmp_path: Path) -> None:
    data = load(written(tmp_path / 'a.hdf5', {0: 3}), TASK)
    assert [(field.name, field.size, field.unit, field.high[0])
            for field in data.action_fields] == [
        ('effector_linear_velocity', 3, 'm/s', 1.0),
        ('effector_angular_velocity', 3, 'rad/s', 10.0), ('gripper_direction', 1, '1', 1.0)]
    absolute = {**OLD_CONTROLLER, 'control_delta': False}
    env_args = {**OLD_ARGS, 'env_kwargs': {
        **OLD_ARGS['env_kwargs'], 'controller_configs': absolute}}
    data = load(written(tmp_path / 'b.hdf5', {0: 3}, env_args), TASK)
    assert [(field.name, field.size) for field in data.action_fields] == [('action', 7)]
    # A step of a position alone, and of seven joints.
    for kind, reach in (('OSC_POSITION', [0.05] * 3), ('JOINT_POSITION', [0.05] * 7)):
        other = {**OLD_CONTROLLER, 'type': kind, 'output_max': reach, 'output_min': reach}
        env_args['env_kwargs']['controller_configs'] = other
        data = load(written(tmp_path / f'{kind}.hdf5', {0: 3}, env_args, act_dim=4), TASK)
        assert [(field.name, field.size) for field in data.action_fields] == [('action', 4)]


def test_objects_of_robosuite_1_4_come_in_its_order(tmp_path: Path) -> None:
    widths = {**WIDTHS, 'object': 14}
    for version, first in (('1.4.1', 'Can_pos'), ('1.5.0', 'Can_to_robot0_eef_pos')):
        path = written(
            tmp_path / f'{version}.hdf5', {0: 3}, widths=widths,
            env_args={**OLD_ARGS, 'env_name': 'PickPlaceCan', 'env_version': version})
        assert load(path, 'can-ph-low_dim').observation_fields[3].name == first


@pytest.mark.parametrize('share', [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(
        lift_demonstrations: Path, tmp_path: Path, share: float) -> None:
    content = lift_demonstrations.read_bytes()
    path = tmp_path / 'cut.hdf5'
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(DataError, match=r'cut\.hdf5: found a file that is damaged or not HDF5'):
        load(path, TASK)


def _replace(key: str, values: np.ndarray) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[key]
        file[key] = values
    return change


def _nan(file: h5py.File) -> None:
    file['data/demo_1/obs/object'][2, 1] = np.nan


def _delete(key: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[key]
    return change


def _link(key: str, link: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[key]
        file[key] = link
    return change


def _external(file: h5py.File) -> None:
    del file['data/demo_0/actions']
    file.create_dataset('data/demo_0/actions', (4, 7), 'f8', external='elsewhere.raw')


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 7), 'f8')
    layout[:] = h5py.VirtualSource('elsewhere.hdf5', 'actions', (4, 7))
    del file['data/demo_0/actions']
    file.create_virtual_dataset('data/demo_0/actions', layout)


def _object(file: h5py.File) -> None:
    del file['data/demo_0/rewards']
    file.create_dataset('data/demo_0/rewards', data=['a'] * 4, dtype=h5py.string_dtype())


def _env_args(text: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file['data'].attrs['env_args'] = text
    return change


def _attribute(key: str, name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[key].attrs[name] = value
    return change


def _scalar(file: h5py.File) -> None:
    del file['data/demo_1/actions']
    file['data/demo_1/actions'] = 0.5


def _vast(file: h5py.File) -> None:
    del file['data/demo_1/actions']
    # No chunk of it is written, so that the file stays small.
    file.create_dataset('data/demo_1/actions', (2**45, 7), 'f4', chunks=(4, 7))
    file['data/demo_1'].attrs['num_samples'] = 2**45


def _bytes(file: h5py.File) -> None:
    file['data'][b'demo_\xff'] = 1


def _none(file: h5py.File) -> None:
    for name in ('demo_0', 'demo_1'):
        del file['data'][name]


@pytest.mark.parametrize(('change', 'message'), [
    (_nan, r'data/demo_1/obs/object: found a number that is not finite, in row 2'),
    (_replace('data/demo_1/actions', np.full((4, 7), 1.5)), 'actions: found 1.5 in row 4'),
    (_delete('data/demo_1/rewards'), "the key 'data/demo_1/rewards' is missing; found actions"),
    (_delete('data/demo_0/next_obs/object'), "'data/demo_0/next_obs/object' is missing"),
    (_delete('data'), "the key 'data' is missing; found nothing"),
    (_replace('data/demo_1/obs/object', np.zeros((4, 9))),
     r'demo_1/obs/object: found shape \(4, 9\), expected \(4, 10\)'),
    (_replace('data/demo_1/rewards', np.zeros(3)), r'found shape \(3,\), expected \(4,\)'),
    (_replace('data/demo_0/obs/object', np.zeros((4, 84, 84, 3))),
     'found float64 .* expected pictures, uint8'),
    (_replace('data/demo_0/actions', np.zeros((0, 7))), 'demo_0: found 0 actions, expected 4'),
    (_replace('data/demo_0/actions', np.zeros((3, 7))), 'demo_0: found 3 actions, expected 4'),
    (_none, 'data: found no demonstration'),
    (_link('data/demo_0', h5py.ExternalLink('elsewhere.hdf5', '/data/demo_0')),
     'demo_0/actions: found a soft or external link, which is not followed'),
    (_link('data/demo_0/obs', h5py.SoftLink('/data/demo_1/obs')), 'found a soft or external link'),
    (_external, 'found data stored in another file, which is not read'),
    (_virtual, 'found data stored in another file, which is not read'),
    (_object, 'data/demo_0/rewards: found object of shape .* expected rows of numbers'),
    (_env_args('{'), "env_args: found '{', expected JSON text with env_name and env_kwargs"),
    (_env_args('[]'), 'expected JSON text with env_name'),
    *((_env_args(json.dumps({**OLD_ARGS, 'env_kwargs': {
        **OLD_ARGS['env_kwargs'], key: value}})), r'env_args: found .*; copy them from another')
      for key, value in (
          ('control_freq', 0), ('control_freq', None), ('robots', []), ('robots', [1]),
          ('robots', None), ('controller_configs', 'x'), ('controller_configs', ['x']),
          ('controller_configs', {'type': 'BASIC', 'body_parts': []}))),
    (_attribute('data/demo_1', 'num_samples', np.array([4, 4])), 'found 4 actions, expected .4 4'),
    (_scalar, r'data/demo_1/actions: found float64 of shape \(\), expected rows of numbers'),
    (_vast, 'for which the file has 0 bytes: .*; leave the demonstration out with a filter_key'),
    (_bytes, r'found a file that is damaged or not HDF5'),
    (_replace('data/demo_1/obs/object', np.full((4, 10), 1e39)), 'not finite, in row 0'),
    (_env_args(json.dumps({'env_name': 'PickPlaceCan', 'env_kwargs': {}})),
     "found data of 'PickPlaceCan', .* environment 'lift-mh-low_dim'; name 'can-mh-low_dim'"),
])
def test_what_is_wrong_with_a_file_is_said(
        tmp_path: Path, change: Callable[[h5py.File], None], message: str) -> None:
    path = written(tmp_path / 'bad.hdf5', {0: 4, 1: 4})
    load(path, TASK)
    with h5py.File(path, 'a') as file:
        change(file)
    with pytest.raises(DataError, match=rf'bad\.hdf5: .*{message}'):
        load(path, TASK)


def test_a_file_that_hangs_the_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte of an attribute's heap is another; HDF5 2.0 goes round in it for ever."""
    monkeypatch.setattr(hdf5_probe, 'PATIENCE', 0.5)
    with pytest.raises(DataError, match=r'hangs\.hdf5: found a damaged file that cannot be read'):
        load(ROOT / 'test' / 'data' / 'hangs.hdf5', TASK)


def test_a_file_that_crashes_the_library_is_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / 'bad.hdf5', {0: 4})
    monkeypatch.setattr(
        hdf5_probe, '_read', lambda *_: os.kill(os.getpid(), signal.SIGSEGV))
    with pytest.raises(DataError, match=r'bad\.hdf5: .* crashes the HDF5 library \(signal 11\)'):
        load(path, TASK)


def test_a_file_that_is_being_written_is_not_called_damaged(tmp_path: Path) -> None:
    path = written(tmp_path / 'busy.hdf5', {0: 4})
    writer = subprocess.Popen(
        [sys.executable, '-c', 'import sys, h5py; file = h5py.File(sys.argv[1], "a"); '
         'print("open", flush=True); sys.stdin.read()', str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert writer.stdout
        assert writer.stdout.readline() == b'open\n'
        with pytest.raises(DataError, match=r'busy\.hdf5: .* has open for writing; wait until'):
            load(path, TASK)
    finally:
        writer.communicate()
    assert len(load(path, TASK)) == 4


def test_a_data_set_that_was_never_written(tmp_path: Path) -> None:
    """HDF5 reads it as zeros."""
    path = written(tmp_path / 'bad.hdf5', {0: 4})
    with h5py.File(path, 'a') as file:
        del file['data/demo_0/rewards']
        file.create_dataset('data/demo_0/rewards', (4,), 'f4')
    with pytest.raises(DataError, match='rewards: found float32 .*, for which the file has 0 byt'):
        load(path, TASK)


def test_data_without_what_followed(tmp_path: Path) -> None:
    path = written(tmp_path / 'bad.hdf5', {0: 4, 1: 4})
    with h5py.File(path, 'a') as file:
        del file['data/demo_0/next_obs'], file['data/demo_1/next_obs']
    with pytest.raises(DataError, match=r'has no next_obs.*without --exclude-next-obs'):
        load(path, TASK)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'none\.hdf5: found no such file; make one with'):
        load(tmp_path / 'none.hdf5', TASK)


EYES = ('agentview_image', 'robot0_eef_pos', 'wrist_image')


def seeing(path: Path, lengths: dict[int, int], **changes: np.ndarray) -> Path:
    """Write demonstrations with pictures; each has the number of its demonstration and step."""
    written(path, lengths)
    with h5py.File(path, 'a') as file:
        for number, length in lengths.items():
            group = file[f'data/demo_{number}']
            for key, shape in (('agentview_image', (6, 8, 3)), ('wrist_image', (4, 4, 1))):
                pixels = np.zeros((length + 1, *shape), np.uint8)
                pixels[:, 0, 0, 0], pixels[:, 1, 1, 0] = number, np.arange(length + 1)
                for part, rows in (('obs', pixels[:-1]), ('next_obs', pixels[1:])):
                    group.create_dataset(
                        f'{part}/{key}', data=changes.get(f'{part}_{number}', rows),
                        compression='gzip')
    return path


@pytest.mark.parametrize('in_file', [False, True])
def test_pictures_are_read(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool) -> None:
    """In the order of the keys, one more than steps of an episode, beside the numbers."""
    if in_file:
        monkeypatch.setattr('training.data.transitions.frames.free_memory', lambda: 0)
    data = load(seeing(tmp_path / 'a.hdf5', {10: 4, 2: 3, 0: 5}), TASK, keys=EYES)
    assert [field.name for field in data.observation_fields] == ['robot0_eef_pos']
    assert [str(camera.field) for camera in data.images] == [
        'agentview_image (6 x 8 rgb)', 'wrist_image (4 x 4 gray)']
    for camera in data.images:
        assert camera.pixels.flags.writeable is False
        here, after = camera.pixels[data.frame], camera.pixels[data.frame + 1]
        assert here[:, 0, 0, 0].tolist() == [0] * 5 + [2] * 3 + [10] * 4
        assert here[:, 1, 1, 0].tolist() == [*range(5), *range(3), *range(4)]
        np.testing.assert_array_equal(after[:, 0, 0, 0], here[:, 0, 0, 0])
        np.testing.assert_array_equal(after[:, 1, 1, 0], here[:, 1, 1, 0] + 1)
    assert data.source['observation_keys'] == list(EYES)
    assert len(list(tmp_path.iterdir())) == 1


def test_pictures_that_do_not_fit(tmp_path: Path) -> None:
    path = seeing(tmp_path / 'a.hdf5', {0: 3, 1: 3}, next_obs_1=np.ones((3, 6, 9, 3), np.uint8))
    with pytest.raises(DataError, match=(
            r'demo_1/next_obs/agentview_image: found uint8 of shape \(3, 6, 9, 3\), expected')):
        load(path, TASK, keys=EYES)
    path = seeing(tmp_path / 'b.hdf5', {0: 3}, obs_0=np.ones((3, 6, 9, 3), np.float32))
    with pytest.raises(DataError, match='demo_0/obs/agentview_image: found float32 .*pictures'):
        load(path, TASK, keys=EYES)
    with pytest.raises(DataError, match='expected at least one key of numbers beside the pictu'):
        load(seeing(tmp_path / 'c.hdf5', {0: 3}), TASK, keys=EYES[::2])
