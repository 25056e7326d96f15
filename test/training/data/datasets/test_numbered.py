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
"""Numbered files: one in memory at a time, described as a whole, swapped by the step count."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
import tracemalloc

import numpy as np
import pytest

from training.config import NO_ENVIRONMENT, TrainConfig
from training.data.datasets import numbered
from training.data.datasets.numbered import Data, files
from training.data.transitions.source import DataSource
from training.data.transitions.stored import save
from training.data.transitions.transitions import (
    action_fields,
    COLUMNS,
    DataError,
    observation_fields,
    Transitions,
)

torch = pytest.importorskip('torch')

from training.learning.trainer.checkpoint_file import CheckpointError, read, write  # noqa: E402
from training.learning.trainer.run import prepare, swap, train  # noqa: E402
from training.presets import PRESETS  # noqa: E402
from training.robot.run_state import notes_on_data, open_run  # noqa: E402
from training.robot.settings import LearnerSettings  # noqa: E402


def made(number: int, size: int = 40, width: int = 3) -> Transitions:
    """Make steps that say which file they are from: the first number of each observation."""
    generator = np.random.default_rng(number)
    observations = generator.normal(number, 1 + number, (size, width)).astype(np.float32)
    observations[:, 0] = number
    actions = generator.uniform(-1, 1, (size, 2)).astype(np.float32)
    terminals = np.zeros(size, np.float32)
    terminals[9::10] = 1
    return Transitions(
        observations, actions, observations + 1, -np.ones(size, np.float32),
        np.ones(size, np.float32), terminals,
        observation_fields([('number', 1, '1'), ('rest', width - 1, 'm')], observations),
        action_fields([('go', 2, 'm/s', 1.0)], actions), 0.05,
        {'file': 'x', 'sha256': 'x', 'steps': size, 'episodes': size // 10})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make three numbered files of different lengths, and validation files."""
    for number, size in enumerate((40, 60, 50)):
        save(tmp_path / f'reach-v0-{number:03d}.npz', made(number, size))
        save(tmp_path / f'reach-v0-{number:03d}-val.npz', made(9))
    return tmp_path


def settings(path: Path, **changes: object) -> TrainConfig:
    base = TrainConfig(
        data=str(path), environment=NO_ENVIRONMENT, hidden=(16, 16), batch_size=8, steps=20,
        log_every=5, checkpoint_every=100, threads=1, pool=4, top=2, normalise=True, swap_every=4)
    return replace(base, **changes)


def test_names_that_stand_for_numbered_files(folder: Path) -> None:
    expected = [f'reach-v0-{number:03d}.npz' for number in range(3)]
    for path in (folder, folder / 'reach-v0.npz'):
        assert [file.name for file in files(path)] == expected
    assert files(folder / 'reach-v0-001.npz') == [folder / 'reach-v0-001.npz']
    empty = folder / 'empty'
    empty.mkdir()
    with pytest.raises(DataError, match='found a folder without numbered files, expected name-'):
        files(empty)


@pytest.mark.parametrize('name', ['bag_0.mcap', 'bag_0.db3', 'metadata.yaml'])
def test_a_folder_that_is_a_recording(name: str, tmp_path: Path) -> None:
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / name).touch()
    with pytest.raises(DataError, match=f'found a recording, expected a data file; convert it '
                       f'with `python -m training.convert {tmp_path / "bag"} --robot '):
        files(tmp_path / 'bag')


def test_every_file_has_its_turn_and_the_seed_decides_the_order(folder: Path) -> None:
    data = Data(settings(folder, steps=400))
    turns = [[data.index(step) for step in range(start, start + 12, 4)]
             for start in range(0, 240, 12)]
    assert all(sorted(turn) == [0, 1, 2] for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1
    assert [data.index(step) for step in range(4)] == [turns[0][0]] * 4
    assert data.index(0) == turns[0][0]  # for any requests in between
    other = Data(settings(folder, steps=400, seed=1))
    assert any(other.index(step) != data.index(step) for step in range(0, 240, 4))
    # An online phase keeps the last one: what it adds to the buffer stays there.
    assert {data.index(step) for step in (399, 400, 5000)} == {data.index(399)}


def test_description_is_of_all_files(folder: Path) -> None:
    # One without rewards is not for those who want them.
    Data(settings(folder), rewarded=False)
    assert not [*folder.glob('*.json')]
    data = Data(settings(folder))
    whole = np.concatenate([made(n, size).observations for n, size in enumerate((40, 60, 50))])
    np.testing.assert_allclose(data.statistics.mean, whole.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(data.statistics.deviation, whole.std(axis=0, dtype=np.float64))
    for step in (0, 4):
        read = data.load(step)
        assert (read.observations[:, 0] == data.index(step)).all()
        low = np.concatenate([field.low for field in read.observation_fields])
        high = np.concatenate([field.high for field in read.observation_fields])
        np.testing.assert_array_equal(low, whole.min(axis=0))
        np.testing.assert_array_equal(high, whole.max(axis=0))
        assert read.action_fields[0].low == (-1.0, -1.0)
        assert read.source['steps'] == 150
        assert read.source['episodes'] == 15
        assert read.source['files'] == 3


@pytest.mark.parametrize('is_cached', [False, True])
def test_files_without_a_chunk_are_left_out(folder: Path, is_cached: bool) -> None:
    """The run ended when such a file had its turn, and with it when it was resumed."""
    for number, lengths in ((3, [4]), (4, [10]), (5, [9, 9]), (6, [3, 10])):
        save(folder / f'reach-v0-{number:03d}.npz', cut(made(number), lengths))
    if is_cached:
        assert not Data(settings(folder)).notes
    data = Data(settings(folder, horizon=10))
    assert {data.index(step) for step in range(0, 400, 4)} == {0, 1, 2, 6}
    note, = data.notes
    assert note == (
        f'{folder}: 3 of 7 files are too short for a chunk of 10 steps, and not learned from: '
        'reach-v0-003.npz, reach-v0-004.npz, reach-v0-005.npz')
    assert train(folder / 'run', settings(folder, horizon=10, swap_every=1)).step == 20
    with pytest.raises(DataError, match='found no file of more than 11 steps with an episode of '
                       '11, the length of a chunk; the longest episode has 10; use a shorter'):
        Data(settings(folder, horizon=11))


def cut(whole: Transitions, lengths: list[int]) -> Transitions:
    """Take steps from the beginning, as episodes of these lengths."""
    size = sum(lengths)
    terminals = np.zeros(size, np.float32)
    terminals[np.cumsum(lengths) - 1] = 1
    return replace(whole, **{
        name: getattr(whole, name)[:size] for name in COLUMNS} | {'terminals': terminals})


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reads = []
    original = numbered.load_file

    def counting(source: DataSource) -> Transitions:
        reads.append(source.path.name)
        return original(source)

    monkeypatch.setattr(numbered, 'load_file', counting)
    return reads


def same(one: Data, other: Data) -> bool:
    first, second = one.load(0), other.load(0)
    return asdict(one.statistics).keys() == asdict(other.statistics).keys() and all(
        np.array_equal(value, getattr(other.statistics, name))
        for name, value in vars(one.statistics).items()) and (
        first.observation_fields, first.action_fields, first.source) == (
        second.observation_fields, second.action_fields, second.source)


def test_files_are_summarised_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = count_reads(monkeypatch)
    first = Data(settings(folder))
    assert len(reads) == 3
    second = Data(settings(folder, seed=1, batch_size=4))
    assert len(reads) == 3
    assert same(first, Data(settings(folder)))
    assert second.load(0).source['files'] == 3
    # Other ways to read give other rewards: what is kept is not for them.
    reads.clear()
    Data(settings(folder, success_timing='post'))
    assert len(reads) == 3


@pytest.mark.parametrize('spoil', ['change', 'remove', 'cut', 'empty', 'version', 'folder'])
def test_summary_of_other_files_or_damaged_is_not_used(
        folder: Path, spoil: str, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    Data(settings(folder))
    (summary,) = folder.glob('*.summary-*.json')
    if spoil == 'change':
        save(folder / 'reach-v0-001.npz', made(7, 60))
    elif spoil == 'remove':
        (folder / 'reach-v0-002.npz').unlink()
    elif spoil == 'version':
        monkeypatch.setattr('training.data.datasets.summary.VERSION', 1)
    elif spoil == 'folder':
        summary.unlink()
        summary.mkdir()
    else:
        summary.write_text(summary.read_text()[:-40] if spoil == 'cut' else '{}')
    reads = count_reads(monkeypatch)
    data = Data(settings(folder))
    assert len(reads) == len(data.files)
    told = capsys.readouterr().err
    assert str(summary) in told
    assert 'reading' in told
    if spoil == 'folder':
        assert 'cannot be written' in told
        assert not list(folder.glob('.*'))
        return
    summary.unlink()
    assert same(data, Data(settings(folder)))


def fast(transitions: Transitions, **changes: object) -> Transitions:
    """Change the field of the action."""
    return replace(
        transitions, action_fields=(replace(transitions.action_fields[0], **changes),))


@pytest.mark.parametrize(('other', 'message'), [
    (made(2, width=4), r'observation field 1: found rest \(3, m\), expected rest \(2, m\), that '
     r'of reach-v0-000\.npz; make all of them for the same robot'),
    (replace(made(2), period=0.04), 'found a period of 0.04 s, expected 0.05 s'),
    (fast(made(2), low=(-2.0,) * 2, high=(2.0,) * 2),
     r'action field 0: found go \(2, m/s, -2 to 2\), expected go \(2, m/s, -1 to 1\)'),
    (fast(made(2), unit='mm/s'), r'action field 0: found go \(2, mm/s, '),
    (replace(made(2), observation_fields=tuple(
        replace(field, unit='rad') for field in made(2).observation_fields)),
     r'observation field 0: found number \(1, rad\)')])
def test_a_file_that_means_something_else_is_named(
        folder: Path, other: Transitions, message: str) -> None:
    """An action of 1 is one speed in all files, and a step has one length."""
    save(folder / 'reach-v0-002.npz', other)
    with pytest.raises(DataError, match=rf'-002\.npz: {message}'):
        Data(settings(folder))


def test_periods_that_are_written_with_some_digits_are_the_same(folder: Path) -> None:
    """A file of 0.0333333 s was refused beside one of 1/30 s, of which it said the same number."""
    for number, period in enumerate((1 / 30, 0.0333333, 0.033333333)):
        save(folder / f'reach-v0-{number:03d}.npz', replace(made(number), period=period))
    assert Data(settings(folder)).load(0).period == pytest.approx(1 / 30)
    save(folder / 'reach-v0-001.npz', replace(made(1), period=1 / 30.01))
    with pytest.raises(DataError, match='found a period of 0.0333222 s, expected 0.0333333 s'):
        Data(settings(folder))


def test_limits_that_are_written_with_some_digits_are_the_same(folder: Path) -> None:
    """As periods are; the message had the same number twice."""
    for number, limit in enumerate((1 / 3, 0.333333, 0.33333333)):
        save(folder / f'reach-v0-{number:03d}.npz', fast(
            made(number), low=(-limit,) * 2, high=(limit,) * 2))
    assert Data(settings(folder)).load(0).action_fields[0].high == pytest.approx((1 / 3,) * 2)
    save(folder / 'reach-v0-002.npz', fast(
        made(2), low=(-1 / 3,) * 2, high=(1 / 3, 0.3334)))
    with pytest.raises(DataError, match=r'found go \(2, m/s, -0.333333 to \[0.333333, 0.3334\]\)'):
        Data(settings(folder))


def test_one_file_in_memory_while_the_next_is_read(folder: Path, tmp_path: Path) -> None:
    prepare('x', settings(folder))  # imports what is imported late
    tmp_path = tmp_path / 'large'
    for number in range(3):
        save(tmp_path / f'reach-v0-{number:03d}.npz', made(number, 40_000, 20))
    one = made(0, 40_000, 20)
    size = sum(getattr(one, name).nbytes for name in COLUMNS)
    del one
    tracemalloc.start()
    try:
        state = prepare('x', settings(tmp_path, swap_every=1))
        seen = [state.file]
        for state.progress.step in (1, 2, 3):
            swap(state)
            seen.append(state.file)
            assert len(state.buffer) == 40_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sorted(seen[:3]) == [0, 1, 2]
    assert size < peak < 2 * size, f'{peak / size:.2f} times a file'


def watched(monkeypatch: pytest.MonkeyPatch) -> list:
    """Record which file each update's batch comes from."""
    from training.learning.agents.agent import Agent
    update, seen = Agent.update, []

    def watching(self, batch, **options):
        numbers = batch.observation[:, 0].unique().tolist()
        assert len(numbers) == 1
        seen.append(int(numbers[0]))
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', watching)
    return seen


def test_resumed_run_goes_on_with_the_same_file(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watched(monkeypatch)
    config = settings(folder)
    data = Data(config)
    train(tmp_path / 'whole', config)
    assert seen == [data.index(step) for step in range(20)]
    whole = read(tmp_path / 'whole' / 'checkpoint.pt')

    seen.clear()
    interrupt_after(10, monkeypatch)
    assert train(tmp_path / 'halves', config).step == 10
    monkeypatch.undo()
    seen = watched(monkeypatch)
    assert train(tmp_path / 'halves', config, resume=True).step == 20
    assert seen == [data.index(step) for step in range(10, 20)]
    halves = read(tmp_path / 'halves' / 'checkpoint.pt')
    assert all(torch.equal(whole['agent'][key], halves['agent'][key]) for key in whole['agent'])
    assert whole['batch_random'] == halves['batch_random']


def interrupt_after(updates: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.learning.trainer import run as module
    taken = []
    original: Callable = module.swap

    def counting(state):
        taken.append(1)
        return original(state)

    monkeypatch.setattr(module, 'swap', counting)
    monkeypatch.setattr(
        module.distributed, 'anywhere', lambda asked, device: asked or len(taken) >= updates)


def test_learning_on_a_robot_goes_on_with_the_file_of_the_last_update(
        folder: Path, tmp_path: Path) -> None:
    """As an online phase does; of the others it has no transitions, which is said."""
    config = settings(folder)
    train(tmp_path / 'run', config)
    last = Data(config).index(19)
    assert last != Data(config).index(0)
    state, _ = open_run(tmp_path / 'run', tmp_path / 'robot', LearnerSettings(steps=2000))
    assert state.file == last
    seen = state.buffer.gather(torch.arange(40)).observation[:, 0]
    assert set(seen.tolist()) == {last}
    note, = notes_on_data(state)
    assert f'of 3 numbered files, batches are from reach-v0-00{last}.npz alone' in note
    # After an online phase, too, whose updates all had that file.
    content = read(saved := tmp_path / 'run' / 'checkpoint.pt')
    content['progress']['step'] = 28
    write(saved, content)
    assert open_run(tmp_path / 'run', tmp_path / 'robot', LearnerSettings())[0].file == last


def test_other_files_are_not_resumed_on(folder: Path, tmp_path: Path) -> None:
    train(tmp_path / 'run', settings(folder, steps=2))
    save(folder / 'reach-v0-001.npz', replace(made(1, 60), rewards=np.zeros(60, np.float32)))
    with pytest.raises(CheckpointError, match='was trained on data with hash'):
        train(tmp_path / 'run', settings(folder, steps=2), resume=True)


def test_buffer_has_room_for_the_online_phase_after_a_swap(folder: Path) -> None:
    config = settings(
        folder, environment='cube-single-singletask-task2-v0', online_steps=6, online_start=2)
    state = prepare('x', config)
    for state.progress.step in (4, 8, 12):
        swap(state)
    size = len(state.buffer)
    row = dict.fromkeys(COLUMNS, 0.0)
    for _ in range(6):
        state.buffer.add(**row)
    assert len(state.buffer) == size + 6


@pytest.mark.parametrize(('option', 'words'), [
    ({'filter_key': 'train'}, '--filter-key train, which is for Robomimic files and LeRobot'),
    ({'observation_keys': ('a', 'b')}, '--observation-keys a b, which is for Robomimic files')])
def test_parts_of_a_file_that_has_none_are_not_chosen(
        folder: Path, option: dict[str, object], words: str) -> None:
    """All of it would be learned from, whatever was asked for; with a kept summary, too."""
    with pytest.raises(DataError, match=f'reach-v0-000.npz: found {words}'):
        Data(settings(folder, **option))
    Data(settings(folder))
    with pytest.raises(DataError, match=f'reach-v0-001.npz: found {words}'):
        Data(settings(folder / 'reach-v0-001.npz', **option))
    # An earlier run has read all of it, and its settings cannot be changed any more.
    Data(settings(folder, **option), is_new=False)


def test_keys_of_a_preset_are_for_its_own_data(folder: Path) -> None:
    Data(settings(folder, observation_keys=PRESETS['lift-joint-cpu'][1].observation_keys))


def test_parts_that_a_converted_file_is_made_of_may_be_named(tmp_path: Path) -> None:
    """As the preset of the original file does."""
    data = made(1)
    save(tmp_path / 'x.npz', replace(data, source={
        **data.source, 'observation_keys': ['a', 'b']}))
    Data(settings(tmp_path / 'x.npz', observation_keys=('a', 'b')))
