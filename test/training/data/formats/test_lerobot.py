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
"""LeRobot datasets: written and read back, of somebody else, damaged, and large."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from dataclasses import replace
import errno
import json
import os
from pathlib import Path
import re
import shutil
import tempfile
import tracemalloc
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

pa = pytest.importorskip('pyarrow')
pq = pytest.importorskip('pyarrow.parquet')

from testing.learning import lerobot_datasets as so100  # noqa: E402
from testing.learning.lerobot_datasets import change_column, change_json, JOINTS  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.common.disk import WriteError  # noqa: E402
from training.data.datasets.load import load  # noqa: E402
from training.data.datasets.numbered import files  # noqa: E402
from training.data.formats.lerobot import (  # noqa: E402
    footer_probe,
    layout,
    page_probe,
    parquet,
    writer,
)
from training.data.formats.lerobot.parquet import opened  # noqa: E402
from training.data.formats.lerobot.reader import load as read  # noqa: E402
from training.data.formats.lerobot.writer import write  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.data.transitions.source import DataSource  # noqa: E402
from training.data.transitions.transitions import (  # noqa: E402
    action_fields,
    COLUMNS,
    DataError,
    observation_fields,
    Transitions,
)
from training.inspect_data import main as inspect_data  # noqa: E402
from training.write import main as write_command  # noqa: E402

INFO, OWN = layout.INFO, 'meta/dfp_ros.json'


@st.composite
def transitions(draw: st.DrawFn) -> Transitions:
    """Episodes of any layout, with any float32 numbers that the layout admits, and with gaps."""
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=13))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    data = drawn(lengths, sum(sizes), draw(st.integers(1, 4)), draw(st.integers(0, 999)))
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    data.observations[0, 0] = draw(number)
    data.next_observations[-1, -1] = draw(number)
    data.rewards[0] = draw(number)
    data.actions[0, 0] = draw(st.floats(-1, 1, width=32))
    person = draw(st.booleans())
    return replace(
        data, observation_fields=observation_fields(
            [(f'part_{i}', size, 'm') for i, size in enumerate(sizes)], data.observations),
        action_fields=action_fields(
            [('velocity', data.actions.shape[1], 'm/s', 0.5)], data.actions),
        period=draw(st.sampled_from([0.05, 1 / 30, 0.001, 1.0])),
        interventions=(data.rewards > 0).astype(np.float32) if person else None)


def require_equal(found: Transitions, data: Transitions) -> None:
    """Require that all is equal, to the last bit."""
    for name in (*COLUMNS, 'interventions'):
        before, after = getattr(data, name), getattr(found, name)
        if before is None:
            assert after is None
        else:
            assert after.dtype == np.float32
            np.testing.assert_array_equal(after.view(np.uint32), before.view(np.uint32), name)
    assert found.observation_fields == data.observation_fields
    assert found.action_fields == data.action_fields
    assert found.period == data.period
    assert {**found.source, **data.source} == dict(found.source)


# Each example is read in processes of its own.
@settings(max_examples=15)
@given(transitions())
def test_what_was_written_is_read_to_the_last_bit(data: Transitions) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'dataset'
        write(path, data, 'Move')
        require_equal(load(DataSource(path, 'none')), data)


def test_the_files_are_those_of_lerobot(tmp_path: Path) -> None:
    data = drawn([3, 2], 4, 2)
    write(tmp_path / 'a', data, 'Touch the part')
    assert sorted(
        path.relative_to(tmp_path / 'a').as_posix() for path in (tmp_path / 'a').rglob('*')
        if path.is_file()) == [
            'data/chunk-000/file-000.parquet', OWN,
            'meta/episodes/chunk-000/file-000.parquet', INFO, 'meta/stats.json',
            'meta/tasks.parquet']
    info = json.loads((tmp_path / 'a' / INFO).read_text())
    assert info['codebase_version'] == 'v3.0'
    assert info['fps'] == 20
    assert isinstance(info['fps'], int)
    assert (info['total_frames'], info['total_episodes'], info['splits']) == (
        5, 2, {'train': '0:2'})
    assert {name: (one['dtype'], one['shape']) for name, one in info['features'].items()} == {
        'observation.state': ('float32', [4]), 'action': ('float32', [2]),
        'next.reward': ('float32', [1]), 'next.done': ('bool', [1]),
        'next.success': ('bool', [1]), 'next.observation.state': ('float32', [4]),
        'timestamp': ('float32', [1]), 'frame_index': ('int64', [1]),
        'episode_index': ('int64', [1]), 'index': ('int64', [1]), 'task_index': ('int64', [1])}
    assert info['features']['observation.state']['names'] == [f'state[{i}]' for i in range(4)]
    frames = pq.read_table(tmp_path / 'a' / so100.DATA)
    assert frames.column_names == list(info['features'])
    assert frames['timestamp'].to_pylist() == np.float32([0, 0.05, 0.1, 0, 0.05]).tolist()
    assert frames['next.done'].to_pylist() == [False, False, True, False, True]
    assert pq.ParquetFile(tmp_path / 'a' / so100.DATA).num_row_groups == 2
    tasks = pq.read_table(tmp_path / 'a' / 'meta/tasks.parquet')
    assert tasks.to_pylist() == [{'task_index': 0, 'task': 'Touch the part'}]


def test_statistics_are_those_of_the_frames(tmp_path: Path) -> None:
    data = drawn([300, 200], 3, 2)
    write(tmp_path / 'a', data, 'Move')
    whole = json.loads((tmp_path / 'a/meta/stats.json').read_text())
    episodes = pq.read_table(tmp_path / 'a' / so100.EPISODES).to_pylist()
    assert [(row['length'], row['dataset_from_index'], row['dataset_to_index'], row['tasks'])
            for row in episodes] == [(300, 0, 300, ['Move']), (200, 300, 500, ['Move'])]
    for rows, found in (
            (slice(None), whole['action']),
            (slice(0, 300), _statistics(episodes[0], 'action')),
            (slice(300, 500), _statistics(episodes[1], 'action'))):
        values = data.actions[rows].astype(np.float64)
        assert found['count'] == [len(values)]
        for name, expected in (
                ('min', values.min(axis=0)), ('max', values.max(axis=0)),
                ('mean', values.mean(axis=0)), ('std', values.std(axis=0)),
                ('q10', np.quantile(values, 0.1, axis=0)),
                ('q99', np.quantile(values, 0.99, axis=0))):
            np.testing.assert_allclose(found[name], expected, rtol=1e-12)
    assert whole['next.done']['max'] == [True]
    assert whole['index']['max'] == [499]


def _statistics(row: dict[str, Any], name: str) -> dict[str, Any]:
    start = f'stats/{name}/'
    return {key.removeprefix(start): row[key] for key in row if key.startswith(start)}


def test_many_files_and_chunks_are_written_and_read(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, 'DATA_MEGABYTES', 1e-3)
    monkeypatch.setattr(layout, 'CHUNK_FILES', 3)
    data = drawn([40] * 10)
    write(tmp_path / 'a', data, 'Move')
    names = [path.relative_to(tmp_path / 'a/data').as_posix()
             for path in layout.files(tmp_path / 'a', 'data')]
    assert names == [f'chunk-00{i // 3}/file-00{i % 3}.parquet' for i in range(10)]
    places = pq.read_table(tmp_path / 'a' / so100.EPISODES)
    assert places['data/chunk_index'].to_pylist() == [i // 3 for i in range(10)]
    assert places['data/file_index'].to_pylist() == [i % 3 for i in range(10)]
    require_equal(read(tmp_path / 'a'), data)


def test_nothing_stays_of_a_dataset_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'33\.3333 frames per second, expected a whole number'):
        write(tmp_path / 'a', replace(drawn([2]), period=0.03), 'Move')
    for task in ('', ' ', '\ud800', 'two\nlines'):
        with pytest.raises(DataError, match='task: found .* expected what the robot does'):
            write(tmp_path / 'a', drawn([2]), task)
    (tmp_path / 'there').mkdir()
    with pytest.raises(WriteError, match='there: cannot be written .*name another path'):
        write(tmp_path / 'there', drawn([2]), 'Move')
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with patch.object(writer, '_write_tasks', side_effect=full), pytest.raises(
            WriteError, match=r'b: cannot be written \(No space left .* free some space'):
        write(tmp_path / 'b', drawn([2]), 'Move')
    assert [path.name for path in tmp_path.rglob('*')] == ['there']


def test_a_dataset_of_somebody_else_needs_units_and_limits(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = so100.recorded(tmp_path / 'pick', [4, 5])
    with pytest.raises(DataError) as missing:
        read(folder)
    for words in (*JOINTS, 'unit', 'limits', '--format lerobot-fields', str(folder / OWN)):
        assert words in str(missing.value)
    assert write_command([str(folder), '--format', 'lerobot-fields', '--out',
                          str(folder / OWN)]) == 0
    assert '24 values to fill in' in capsys.readouterr().out
    with pytest.raises(DataError, match='FILL_IN.*observation shoulder_pan.pos: unit, .*'
                                        'action shoulder_pan.pos: low'):
        read(folder)

    def fill(content: Any) -> None:
        for field in content['observation_fields'] + content['action_fields']:
            field['unit'] = 'deg'
        for field in content['action_fields']:
            assert -100 <= field['data_low'][0] < field['data_high'][0] <= 100
            # As a person writes them, as whole numbers.
            field['low'], field['high'] = [-int(so100.LIMIT)], [int(so100.LIMIT)]

    change_json(folder / OWN, fill)
    require_so100(read(folder), folder)


def test_a_period_has_some_digits(tmp_path: Path) -> None:
    """One of 0.0333333 s was refused as none of 0.0333333 s."""
    folder = so100.described(so100.recorded(tmp_path / 'pick', [4, 5]))
    of_own(lambda own: {**own, 'period': 0.0333333})(folder)
    assert read(folder).period == 0.0333333
    written = replace(drawn([3]), period=0.0166667)
    write(tmp_path / 'written', written, 'Move')
    assert read(tmp_path / 'written').period == 0.0166667


def require_so100(data: Transitions, folder: Path) -> None:
    """Require the transitions of a recording of episodes of 4 and 5 frames, without rewards."""
    frames = pq.read_table(folder / so100.DATA)
    state, action = (np.array(frames[name].to_pylist()) for name in (
        'observation.state', 'action'))
    before = [0, 1, 2, 4, 5, 6, 7]
    np.testing.assert_array_equal(data.observations, state[before].astype(np.float32))
    np.testing.assert_array_equal(
        data.next_observations, state[[i + 1 for i in before]].astype(np.float32))
    np.testing.assert_allclose(data.actions, action[before] / so100.LIMIT, rtol=1e-6)
    assert data.terminals.tolist() == [0, 0, 1, 0, 0, 0, 1]
    assert not data.rewards.any()
    assert data.masks.all()
    assert [field.name for field in data.action_fields] == list(JOINTS)
    assert data.action_fields[0].high == (so100.LIMIT,)
    assert data.observation_fields[0].low == (float(data.observations[:, 0].min()),)
    assert data.period == 1 / 30
    assert data.source['features_left_out'] == ['observation.images.front (video 480 x 640 x 3)']
    assert data.source['dropped'] == {'last frame of an episode, without a successor': 2}
    assert data.source['tasks'] == ['Pick the part']
    assert data.source['unrewarded'] is True


@pytest.mark.parametrize('kind', ['float64', 'float16', 'int32'])
def test_numbers_of_other_types_are_read_as_float32(tmp_path: Path, kind: str) -> None:
    folder = so100.described(so100.recorded(tmp_path / 'pick', [4, 5], kind=kind))
    require_so100(read(folder), folder)


def test_success_at_the_last_frame_makes_a_step(tmp_path: Path) -> None:
    reward = np.float32([0, 0, 0, 1, 0, 0, 0])
    folder = so100.described(so100.recorded(tmp_path / 'pick', [4, 3], {
        'next.reward': reward, 'next.success': reward == 1,
        'next.done': np.array([0, 0, 0, 1, 0, 0, 1], bool)}))
    data = read(folder)
    # The first episode ends with a success; the last frame of the second has no successor.
    assert data.rewards.tolist() == [0, 0, 0, 1, 0, 0]
    assert data.masks.tolist() == [1, 1, 1, 0, 1, 1]
    assert data.terminals.tolist() == [0, 0, 0, 1, 0, 1]
    np.testing.assert_array_equal(data.next_observations[:3], data.observations[1:4])
    np.testing.assert_array_equal(data.next_observations[3], data.observations[3])
    assert 'unrewarded' not in data.source


def test_without_success_the_end_of_an_episode_is_next_done(tmp_path: Path) -> None:
    folder = so100.described(so100.recorded(
        tmp_path / 'pick', [2, 2], {'next.done': np.array([0, 1, 0, 0], bool)}))
    assert read(folder).masks.tolist() == [1, 0, 1]


def test_episodes_of_a_task_are_chosen_by_its_text(tmp_path: Path) -> None:
    folder = so100.described(so100.recorded(
        tmp_path / 'pick', [3, 4, 5], tasks=['Pick', 'Place', 'Pick']))
    assert read(folder).source['tasks'] == ['Pick', 'Place']
    data = read(folder, 'Place')
    whole = read(folder)
    np.testing.assert_array_equal(data.observations, whole.observations[2:5])
    np.testing.assert_array_equal(data.next_observations, whole.next_observations[2:5])
    with pytest.raises(DataError, match="filter_key: found 'Pull', expected .* one of Pick, Pla"):
        read(folder, 'Pull')


def test_other_parts_of_the_observation_are_chosen_by_name(tmp_path: Path) -> None:
    force = np.arange(12, dtype=np.float32).reshape(6, 2)
    folder = so100.described(so100.recorded(
        tmp_path / 'pick', [3, 3], {'observation.force': force}))
    assert 'observation.force (float32 2)' in read(folder).source['features_left_out']
    keys = ('observation.state', 'observation.force')
    with pytest.raises(DataError, match=r'fields of 1, .* numbers, expected 8 as in observation'):
        read(folder, keys=keys)
    with pytest.raises(DataError, match='observation.torque: found nothing of that name.*force'):
        read(folder, keys=('observation.torque',))
    change_json(folder / OWN, lambda content: content['observation_fields'].append(
        {'name': 'force', 'size': 2, 'unit': 'N'}))
    data = read(folder, keys=keys)
    np.testing.assert_array_equal(data.observations[:, 6:], force[[0, 1, 3, 4]])


def test_commands_outside_their_limits_are_refused_by_name(tmp_path: Path) -> None:
    folder = so100.described(so100.recorded(tmp_path / 'pick', [30]), limit=50)
    with pytest.raises(DataError, match=r'shoulder_pan\.pos: found -8.* expected commands within '
                                        r'its limits -50 to 50; widen .*also: shoulder_lift'):
        read(folder)


def test_a_changed_dataset_has_the_ranges_of_its_frames(tmp_path: Path) -> None:
    """The tools of LeRobot leave episodes out; the description is copied by a person."""
    data = drawn([5, 5])
    write(tmp_path / 'a', data, 'Move')
    write(tmp_path / 'b', drawn([5]), 'Move')
    shutil.copy(tmp_path / 'a' / OWN, tmp_path / 'b' / OWN)
    found = read(tmp_path / 'b')
    assert found.observation_fields[0].high == tuple(found.observations.max(axis=0).tolist())
    assert found.action_fields[0].data_low == tuple(found.actions.min(axis=0).tolist())
    assert found.action_fields[0].high == data.action_fields[0].high
    # Other numbers, as many as before.
    change_column(tmp_path / 'a' / so100.DATA, 'observation.state', setting((3, 0), 7.0))
    assert read(tmp_path / 'a').observation_fields[0].high[0] == 7.0


def test_statistics_of_somebody_else_are_not_used(tmp_path: Path) -> None:
    folder = so100.described(so100.recorded(tmp_path / 'pick', [4, 5]))
    (folder / 'meta/stats.json').write_text('{"action": {"mean": [NaN, "x"]}}')
    table = pq.read_table(folder / so100.EPISODES)
    pq.write_table(table.append_column(
        'stats/action/mean', pa.array([[float('nan')]] * 2)), folder / so100.EPISODES)
    require_so100(read(folder), folder)


def test_episodes_in_another_order_are_read_as_they_lie(tmp_path: Path) -> None:
    folder = so100.described(so100.recorded(tmp_path / 'pick', [4, 5]))
    change_column(folder / so100.DATA, 'episode_index', lambda values: 1 - values)
    change_column(folder / so100.EPISODES, 'episode_index', lambda values: 1 - values)
    require_so100(read(folder), folder)


def cut(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Change a byte in the middle of the data."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xff
    path.write_bytes(content)


def of_data(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path], None]:
    """Change a column of the data."""
    return lambda folder: change_column(folder / so100.DATA, name, change)


def of_info(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Change the description of the dataset."""
    return lambda folder: change_json(folder / INFO, change)


def of_own(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Change units and limits."""
    return lambda folder: change_json(folder / OWN, change)


def setting(row: Any, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Set some values of a column."""
    def change(values: np.ndarray) -> np.ndarray:
        values[row] = value
        return values
    return change


@pytest.mark.parametrize(('damage', 'message'), [
    (lambda folder: cut(folder / so100.DATA), 'file-000.parquet: found a file that is damaged'),
    (lambda folder: cut(folder / so100.EPISODES), 'file-000.parquet: found a file that is damag'),
    (lambda folder: cut(folder / INFO), 'info.json: found text that is not JSON'),
    (lambda folder: (folder / so100.DATA).write_bytes(b''), 'found a file that is damaged'),
    (lambda folder: (folder / so100.DATA).write_text('version https://git-lfs.github.com/spec'),
     'found a pointer of Git LFS, expected the file itself; fetch it with `git lfs pull`'),
    (lambda folder: (folder / so100.DATA).unlink(), 'data: found no file, expected chunk-000/f'),
    (lambda folder: (folder / so100.EPISODES).unlink(), 'episodes: found no file, expected chu'),
    (of_info(lambda info: {**info, 'codebase_version': 'v2.1'}),
     "codebase_version: found 'v2.1', expected 'v3.0'; convert it with LeRobot: `python -m lerob"),
    (of_info(lambda info: {**info, 'fps': 0}), "fps: found '0', expected 1 to 1000 frames per"),
    (of_info(lambda info: {**info, 'fps': 30.5e30}), 'fps: found .* expected 1 to 1000 frames'),
    (of_info(lambda info: {**info, 'total_frames': 10}),
     'data: found 9 frames, expected 10 as in meta/info.json'),
    (of_info(lambda info: {**info, 'total_episodes': 3}),
     'found 2 episodes, and 2 in the data, expected 3 as in meta/info.json'),
    (of_info(lambda info: {**info, 'features': []}), 'features: found .* expected at most 1000'),
    (of_info(lambda info: info['features']['action'].update(shape=[7])),
     'action_fields: found fields of 1, 1, 1, 1, 1, 1 numbers, expected 7 as in action'),
    (of_info(lambda info: info['features']['action'].update(shape=[2**40])),
     'features: action: found .* expected dtype and shape'),
    (of_info(lambda info: info['features']['action'].update(dtype='string')),
     'features: action: found string 6, expected a row of at most 1000 numbers'),
    (of_info(lambda info: info['features'].pop('action') and None),
     'features: action: found nothing of that name, expected a row'),
    (of_data('action', lambda values: values[:, :5]),
     'action: found 45 numbers in 9 rows, expected 6 in each'),
    (of_data('action', lambda values: pa.array(
        [*values[:-2].tolist(), [0.0] * 7, [0.0] * 5])),
     'action: found 7 numbers in row 7, expected 6'),
    (of_data('action', lambda values: pa.array([*values[:-1].tolist(), [None] * 6])),
     'action: found a missing value in rows 0 to 8'),
    (of_data('action', lambda values: pa.array([['a'] * 6] * 9)),
     'action: found string, expected numbers'),
    (of_data('action', setting((5, 2), np.nan)),
     'action: found a number that is not finite, or too large for float32, at frame 5'),
    (of_data('observation.state', lambda values: setting((8, 0), 1e300)(values.astype(float))),
     'observation.state: found a number that is not finite, or too large for float32, at frame 8'),
    (of_data('episode_index', lambda values: np.array([0, 0, 1, 1, 0, 1, 1, 1, 1])),
     'episode_index: found episode 0 at frame 0 and again at frame 4, expected all its frames'),
    (of_data('frame_index', setting(6, 3)),
     'frame_index: found 3 at frame 6 of the dataset, expected 2 within episode 1: frames are mi'),
    (of_data('frame_index', lambda values: values[::-1].copy()), 'frames are missing or in anoth'),
    (lambda folder: change_column(folder / so100.EPISODES, 'length', setting(1, 6)),
     'found episode 1 of 6 frames, expected episode 1 of 5, as in the data'),
    (lambda folder: change_column(folder / so100.EPISODES, 'episode_index', setting(1, 2**40)),
     'found episode 1099511627776 of 5 frames, expected episode 1 of 5, as in the data'),
    (lambda folder: change_column(
        folder / 'meta/tasks.parquet', 'task_index', lambda values: np.array([np.inf])),
     'tasks.parquet: task_index: found inf in row 0, expected a whole number'),
    (of_data('frame_index', lambda values: values + 0.5),
     'frame_index: found 0.5 in row 0, expected a whole number'),
    (of_own(lambda own: {**own, 'version': 2}), "version: found '2', expected 1"),
    (of_own(lambda own: {**own, 'actions': 'degrees'}),
     "actions: found 'degrees', expected 'normalised' or 'physical'"),
    (of_own(lambda own: {**own, 'period': 0.05}), 'period: found 0.05 s, expected 0.0333333 s'),
    (of_own(lambda own: own['action_fields'].pop() and None),
     'found fields of 1, 1, 1, 1, 1 numbers, expected 6 as in action'),
    (of_own(lambda own: own['action_fields'][0].update(size=10**30)), 'expected 6 as in action'),
    (of_own(lambda own: own['action_fields'].append({'name': 'more', 'size': 10**9})),
     'numbers, expected 6 as in action'),
    (of_own(lambda own: own['action_fields'][0].update(low=[120.0])),
     'shoulder_pan.pos: found the limits 120 and 120, expected a lower and an upper one'),
    (of_own(lambda own: own['action_fields'][0].update(low=['FILL_IN'])),
     'found FILL_IN, .*action shoulder_pan.pos: low'),
    (of_own(lambda own: own['action_fields'][0].pop('low') and None), 'contents that training.wr'),
    (of_own(lambda own: own['action_fields'][0].update(name='elbow_flex.pos')), 'unique names'),
    (of_own(lambda own: []), 'contents that training.write does not write'),
])
def test_a_damaged_dataset_is_refused(
        tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    folder = so100.described(so100.recorded(tmp_path / 'pick', [4, 5]))
    damage(folder)
    with pytest.raises(DataError, match=message) as found:
        read(folder)
    assert str(folder) in str(found.value)


def test_a_byte_that_changed_is_refused_or_changes_a_number(tmp_path: Path) -> None:
    """Without checksums, as LeRobot writes, what is read is another number, not a crash."""
    folder = so100.described(so100.recorded(tmp_path / 'pick', [40, 50]))
    flip(folder / so100.DATA)
    with contextlib.suppress(DataError):
        assert len(read(folder)) == 88


def test_a_bit_that_changed_in_a_dataset_of_this_package_is_refused(tmp_path: Path) -> None:
    """Its pages have checksums: no bit that was flipped changes what is read."""
    write(tmp_path / 'a', drawn([40, 50]), 'Move')
    path = tmp_path / 'a' / so100.DATA
    content, data, refused = path.read_bytes(), read(tmp_path / 'a'), 0
    for place in range(50, len(content) * 3 // 4, 599):
        path.write_bytes(
            content[:place] + bytes([content[place] ^ 4]) + content[place + 1:])
        try:
            found = read(tmp_path / 'a')
        except DataError:
            refused += 1
        else:
            for name in COLUMNS:
                np.testing.assert_array_equal(getattr(found, name), getattr(data, name))
    assert refused > 3


def test_a_page_that_would_take_much_memory_is_refused(tmp_path: Path) -> None:
    """What its header says is checked before Arrow allocates it."""
    page = pa.compress(bytes(1 << 20), codec='zstd', asbytes=True)
    # Fields 1 to 3 of a page, as whole numbers: type, size and compressed size; then the counts.
    head = bytes.fromhex('1500 15feffffff0f 15') + bytes([len(page) * 2 & 0x7f | 0x80, (
        len(page) * 2 >> 7)]) + bytes.fromhex('2c 1502 1500 1506 1506 00 00')
    (tmp_path / 'a.parquet').write_bytes(b'PAR1' + head + page)
    chunk = SimpleNamespace(
        data_page_offset=4, dictionary_page_offset=None, path_in_schema='action',
        total_compressed_size=len(head) + len(page))
    about = SimpleNamespace(
        num_row_groups=1, row_group=lambda i: SimpleNamespace(column=lambda j: chunk))
    with pytest.raises(DataError, match='action: found a page of 2147 MB, expected at most 128'):
        page_probe.require_small_pages(tmp_path / 'a.parquet', about, 0)


def test_a_sparse_file_is_not_hashed_first(tmp_path: Path) -> None:
    """A terabyte of nothing is refused by its footer."""
    folder = so100.described(so100.recorded(tmp_path / 'pick', [4, 5]))
    with (folder / so100.DATA).open('wb') as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match='damaged or not Parquet'):
        read(folder)


def test_pages_of_every_kind_can_be_probed(tmp_path: Path) -> None:
    """Headers with statistics, checksums and dictionaries, of both versions."""
    path = tmp_path / 'a.parquet'
    numbers = pa.table({'action': np.arange(100_000) % 97})
    for options in ({}, {'data_page_version': '2.0'}, {'use_dictionary': False},
                    {'write_page_checksum': True, 'data_page_size': 1000}):
        pq.write_table(numbers, path, row_group_size=30_000, **options)
        with pq.ParquetFile(path) as file, path.open('rb') as content:
            for i in range(4):
                chunk = file.metadata.row_group(i).column(0)
                start = min(filter(None, (
                    chunk.data_page_offset, chunk.dictionary_page_offset)))
                sizes = list(page_probe._sizes(
                    content, start, start + chunk.total_compressed_size))
                # With the headers, as the footer counts.
                assert 0.9 < sum(sizes) / chunk.total_uncompressed_size <= 1


def test_a_footer_that_would_end_the_process_is_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A C++ exception that pyarrow does not catch aborts; here only the child process."""
    path = so100.recorded(tmp_path / 'pick', [4]) / so100.DATA
    monkeypatch.setattr(footer_probe.pq, 'ParquetFile', lambda *_, **__: os.abort())
    with pytest.raises(DataError, match='file-000.parquet: found a damaged file, whose footer'):
        footer_probe.require_sound(path)


def test_a_small_file_of_many_rows_takes_no_memory(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, 'RATIO', 500)
    zeros = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(1 << 20, np.int8)), pa.array([0.0], pa.float64()))
    path = tmp_path / 'a.parquet'
    with pq.ParquetWriter(path, pa.schema([('action', zeros.type)])) as file:
        for _ in range(20):
            file.write_table(pa.table({'action': zeros}))
    assert path.stat().st_size < 90_000
    with pytest.raises(DataError, match='found 20971520 rows of 1 numbers in .* exhaust the mem'):
        with opened(path):
            pass


def test_reading_and_writing_take_little_more_than_the_transitions(tmp_path: Path) -> None:
    data = drawn([1000] * 100, 28, 5)
    taken = sum(getattr(data, name).nbytes for name in COLUMNS)
    pool = pa.default_memory_pool()
    for done in (lambda: write(tmp_path / 'a', data, 'Move'), lambda: read(tmp_path / 'a')):
        tracemalloc.start()
        before = pool.bytes_allocated()
        try:
            found = done()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        room = taken if isinstance(found, Transitions) else 0
        assert peak - room < 0.5 * taken
        assert pool.bytes_allocated() - before < 0.1 * taken
    assert pool.max_memory() < taken


def test_the_folder_is_a_data_file_for_all_commands(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    stored.save(tmp_path / 'own.npz', drawn([12, 9], 4, 2))
    folder, back = tmp_path / 'lerobot' / 'moves', tmp_path / 'back.npz'
    assert write_command([str(tmp_path / 'own.npz'), '--format', 'lerobot', '--out', str(folder),
                          '--task', 'Move there']) == 0
    assert files(folder) == [folder]
    assert write_command([str(folder), '--format', 'own', '--out', str(back)]) == 0
    require_equal(stored.load(back), replace(stored.load(tmp_path / 'own.npz'), source={}))
    capsys.readouterr()
    assert inspect_data([str(folder), '--preset', 'small-clone']) == 0
    said = capsys.readouterr().out
    assert '21 in 2 episodes' in said
    assert re.search(r'small-clone +can train', said)


def test_inspection_says_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = so100.described(so100.recorded(tmp_path / 'pick', [14, 15]))
    assert inspect_data([str(folder), '--preset', 'small-clone', '--preset', 'cube-single']) == 0
    said = capsys.readouterr().out
    assert 'none in the data: for cloning only' in said
    assert 'observation.images.front (video 480 x 640 x 3)' in said
    assert 'last frame of an episode, without a successor: 2' in said
    assert re.search(r'cube-single +cannot train', said)


def test_a_policy_is_trained_on_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip('torch')
    from training.train import main as train
    folder = so100.described(so100.recorded(tmp_path / 'pick', [14, 15]))
    assert train([
        'small-clone', '--data', str(folder), '--run', str(tmp_path / 'run'), '--steps', '2',
        '--hidden', '8', '--batch-size', '4', '--log-every', '1', '--threads', '1']) == 0
    said = capsys.readouterr().err
    assert 'pick: has no simulator' in said
    assert 'pick: not learned from: observation.images.front (video 480 x 640 x 3)' in said
