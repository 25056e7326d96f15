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
"""Checkpoints that were changed, truncated, mixed up or made by an earlier release."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
import random
import shutil
import time
from typing import Any
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.learning.small_runs import small, STEPS  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.export import main as export  # noqa: E402
from training.learning.trainer import checkpoint_file  # noqa: E402
from training.learning.trainer.checkpoint import load_agent  # noqa: E402
from training.learning.trainer.checkpoint_file import CheckpointError, read  # noqa: E402
from training.learning.trainer.continuation import changed_lengths, ContinuationError  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.train import main  # noqa: E402


@pytest.fixture(scope='module', name='data')
def drawn_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write steps of a robot without a simulator."""
    path = tmp_path_factory.mktemp('data') / 'recorded.npz'
    stored.save(path, drawn([5, 6, 7]))
    return path


@pytest.fixture(scope='module', name='run')
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp('runs') / 'whole'
    train(run, small(data))
    return run


@pytest.fixture(name='copied')
def copy_of(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / 'copied'))


def resume(run: Path, data: Path, **changes: Any) -> None:
    train(run, small(data, **changes), resume=True)


def rewritten(run: Path, change: Callable[[dict], Any], sealed: bool = True) -> None:
    """Change a checkpoint's contents, and write it with a hash that is right, or without one."""
    path = run / 'checkpoint.pt'
    content = read(path)
    change(content)
    if sealed:
        del content['format']
        checkpoint_file.write(path, content)
    else:
        torch.save(content, path)


def test_a_changed_byte_is_found_wherever_it_is(copied: Path, data: Path) -> None:
    path = copied / 'checkpoint.pt'
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        weights = max(archive.infolist(), key=lambda member: member.file_size)
    right = checkpoint_file.digest(read(path))
    places = [weights.header_offset + 200, *random.Random(0).sample(range(len(content)), 60)]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        # The archive has bytes that mean nothing.
        found = None
        with suppress(CheckpointError):
            found = read(path)
        assert found is None or checkpoint_file.digest(found) == right
        assert found is None or place != places[0]


def test_a_changed_weight_in_an_archive_that_is_whole(copied: Path, data: Path) -> None:
    """Rewriting the archive corrects its checksums, but the hash still differs."""
    path = copied / 'checkpoint.pt'
    content = torch.load(path, weights_only=True)
    content['agent']['critic.weights.0'][0, 0, 0] += 1e-3
    torch.save(content, path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match='contents that do not match their hash'):
        resume(copied, data)
    assert path.read_bytes() == before


def damaged(text: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text)


@pytest.mark.parametrize('damage', [
    damaged(b''), damaged(b'not a checkpoint'), damaged(b'PK\x03\x04' + bytes(100)),
    damaged(bytes(1000)),
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(path.read_bytes()[:len(path.read_bytes()) // 2]),
    lambda path: torch.save([1, 2], path),
    lambda path: torch.save({'format': 7}, path),
    lambda path: torch.save(torch.zeros(3), path),
    lambda path: torch.save({'format': 2, 'agent': torch.zeros(1).expand(1 << 60)}, path),
    lambda path: np.savez(path.with_suffix('.npz'), a=np.zeros(3))
    or path.with_suffix('.npz').rename(path),
    lambda path: path.unlink(), lambda path: (path.unlink(), path.mkdir()),
])
def test_another_file_in_its_place(
        copied: Path, data: Path, damage: Callable, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    """Every reader reports the file and the remedy, and exits with 2."""
    damage(copied / 'checkpoint.pt')
    with pytest.raises(CheckpointError, match=r'checkpoint\.pt: .*(start|folder|train again)'):
        read(copied / 'checkpoint.pt', tell=True)
    assert export([str(copied), '--out', str(tmp_path / 'a.onnx')]) == 2
    assert 'checkpoint.pt: ' in capsys.readouterr().err
    assert not (tmp_path / 'a.onnx').exists()


@pytest.mark.parametrize('kind', [str, int, list, dict, bytes, type(None), object, torch.Tensor])
@pytest.mark.parametrize('part', [*checkpoint_file.PARTS, 'explorer'])
def test_parts_that_are_missing_or_of_another_type(
        copied: Path, data: Path, part: str, kind: type) -> None:
    if kind is checkpoint_file.PARTS.get(part):
        return

    def change(content: dict) -> None:
        content[part] = {} if kind is object else kind() if kind is not torch.Tensor else (
            torch.zeros(3))
        if kind is object:
            del content[part]
        if kind is bytes:
            content[part] = {b'a': 1}

    if part == 'explorer' and kind in (object, dict, bytes):
        return
    rewritten(copied, change, sealed=kind is not bytes)
    with pytest.raises(CheckpointError, match=r'checkpoint\.pt: .*start another run'):
        resume(copied, data)


def moments(content: dict) -> dict:
    return dict(content['optimiser']['state'][0])


@pytest.mark.parametrize(('change', 'words'), [
    (lambda c: c['agent'].pop('critic.weights.0'), 'critic.weights.0: found nothing'),
    (lambda c: c['agent'].update(more=torch.zeros(1)), 'more: found float32'),
    (lambda c: c['agent'].update({'critic.weights.0': torch.zeros(2)}),
     r'weights.0: .*\(2,\), expected'),
    (lambda c: c['agent'].update({'critic.weights.0': c['agent']['critic.weights.0'].double()}),
     'critic.weights.0: found float64'),
    (lambda c: c['agent'].update({'critic.weights.0': 'text'}), 'critic.weights.0: found str'),
    (lambda c: c['optimiser'].update(state=[]), 'optimiser: found other settings'),
    (lambda c: c['optimiser']['param_groups'].append({}), 'optimiser: found other settings'),
    (lambda c: c['optimiser']['param_groups'][0].update(betas=(2.0, 2.0)), 'optimiser: found oth'),
    (lambda c: c['optimiser']['state'].pop(0), 'optimiser: found moments of'),
    (lambda c: c['optimiser']['state'].update({0: moments(c) | {'exp_avg': torch.zeros(1)}}),
     'optimiser: found moments of parameter 0'),
    (lambda c: c.update(torch_random=torch.zeros(3)), 'random generators that cannot be restored'),
    (lambda c: c.update(batch_random='[' * 10_000), 'random generators that cannot be restored'),
    (lambda c: c.update(batch_random='{}'), 'random generators that cannot be restored'),
    (lambda c: c['progress'].update(step=-1), 'progress: found'),
    (lambda c: c['progress'].update(step=1.5), 'progress: found'),
    (lambda c: c['progress'].update(wall_seconds=float('nan')), 'progress: found'),
    (lambda c: c['progress'].update(other=1), 'progress: found'),
    (lambda c: c.update(config='{"stepz": 3}'), "settings that cannot be read .*'stepz'"),
    (lambda c: c.update(config='[' * 10_000), 'settings that cannot be read'),
    (lambda c: c.update(config='3'), 'settings that cannot be read'),
    (lambda c: c.update(spec='{}'), 'settings that cannot be read'),
    (lambda c: c.update(replay={}), 'replay: found only one of replay and explorer'),
    (lambda c: c.update(replay={}, explorer={}), 'replay: found other keys'),
])
def test_contents_that_do_not_fit(
        copied: Path, data: Path, change: Callable, words: str) -> None:
    rewritten(copied, change)
    with pytest.raises(CheckpointError, match=rf'(?s)checkpoint\.pt: .*{words}'):
        resume(copied, data)


def test_a_checkpoint_of_another_policy_or_preset(
        copied: Path, data: Path, tmp_path: Path) -> None:
    train(tmp_path / 'flow', small(data, policy='flow'))
    with pytest.raises(CheckpointError, match="was trained with policy 'dfp', now asked for"):
        resume(copied, data, policy='flow')
    # Its networks under these settings.
    other = read(tmp_path / 'flow' / 'checkpoint.pt')['agent']
    rewritten(copied, lambda content: content.update(agent=other))
    with pytest.raises(CheckpointError, match='it belongs to another policy or preset'):
        load_agent(copied / 'checkpoint.pt')
    stored.save(tmp_path / 'other.npz', drawn([5, 6, 7], seed=1))
    with pytest.raises(CheckpointError, match='was trained on data with hash'):
        resume(tmp_path / 'flow', tmp_path / 'other.npz', policy='flow')


def test_a_checkpoint_of_an_earlier_release_is_read_with_a_note(
        copied: Path, data: Path, capsys: pytest.CaptureFixture) -> None:
    rewritten(copied, lambda content: None, sealed=False)
    assert 'sha256' not in torch.load(copied / 'checkpoint.pt', weights_only=True)
    resume(copied, data, steps=STEPS + 2)
    assert 'checkpoint.pt: has no hash of its contents' in capsys.readouterr().err
    # Written anew, it has one.
    resume(copied, data, steps=STEPS + 2)
    assert 'has no hash' not in capsys.readouterr().err


def test_nothing_in_a_checkpoint_is_executed(copied: Path, tmp_path: Path) -> None:
    class Attack:
        """Creates a file when it is unpickled."""

        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / 'touched',)

    torch.save({'format': 2, 'config': Attack()}, copied / 'checkpoint.pt')
    with pytest.raises(CheckpointError, match='damaged or not a checkpoint'):
        read(copied / 'checkpoint.pt')
    assert not (tmp_path / 'touched').exists()


def repeated(count: int) -> list:
    """Nest lists that contain the one below twice."""
    value: list = []
    for _ in range(count):
        value = [value, value]
    return value


@pytest.mark.parametrize('has_hash', [True, False])
@pytest.mark.parametrize(('change', 'message'), [
    ({'progress': {'step': repeated(40)}}, 'more than 1000000 values'),
    ({'agent': {'x': repeated(40)}}, 'more than 1000000 values'),
    ({'agent': {'x': repeated(60)}}, 'nesting deeper than 50'),
    ({'agent': {'x': [torch.zeros(10)] * 17}}, 'a tensor more than 16 times'),
    ({'format': repeated(60)}, 'format list, this release reads format 2'),
    ({'format': '2\n[ERROR]'}, r'format 2\\n\[ERROR\], this release reads format 2'),
], ids=['wide progress', 'wide', 'deep', 'tensor', 'format', 'lines'])
def test_contents_that_repeat_without_end(
        copied: Path, change: dict[str, Any], message: str, has_hash: bool) -> None:
    """Refused after a bounded number of values, with file and remedy; without a hash, too."""
    path = copied / 'checkpoint.pt'
    sealed = {checkpoint_file.HASH: '0' * 64} if has_hash else {}
    torch.save({**read(path), **sealed, **change}, path)
    begin = time.monotonic()
    with pytest.raises(CheckpointError, match=rf'checkpoint\.pt: found .*{message}.*; (res|tra)'):
        read(path)
    assert time.monotonic() - begin < 10


def test_an_archive_that_is_larger_than_its_file(copied: Path) -> None:
    """Compressed members, or a structure without end, are refused before they are read."""
    path = copied / 'checkpoint.pt'
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(CheckpointError, match=r'is compressed, which torch\.save does not'):
        read(path)
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content + bytes(65 << 20) if name.endswith('.pkl') else content)
    with pytest.raises(CheckpointError, match='has 65 MiB, expected at most 64'):
        read(path)


def test_the_hash_tells_apart_what_differs() -> None:
    values = [
        {}, [], '', 'a', 0, 0.0, False, None, {'a': 1}, {'a': 1.0}, {'a': '1'}, {'b': 1}, [1],
        [[1]], [1, 1], ['a', 'b'], ['ab'], torch.zeros(2), torch.zeros(1, 2),
        torch.zeros(2).double(), torch.zeros(0), torch.tensor(0.0), torch.tensor(False),
        {'a': {}, 'b': 1},
        {'a': {'b': 1}}, float('nan'), float('inf')]
    assert len({checkpoint_file.digest(value) for value in values}) == len(values)
    assert checkpoint_file.digest(OrderedDict(a=1)) == checkpoint_file.digest({'a': 1})


def test_a_longer_run_equals_one_that_was_long_from_the_start(
        copied: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train(tmp_path / 'long', small(data, steps=9))
    resume(copied, data, steps=9)
    said = capsys.readouterr().err
    assert 'resumes at update 4, for 9 updates instead of 4' in said
    assert 'the learning rate stays 0.0003' in said
    long, longer = (
        read(folder / 'checkpoint.pt') for folder in (tmp_path / 'long', copied))
    for part in ('agent', 'optimiser', 'torch_random', 'batch_random'):
        assert checkpoint_file.digest(long[part]) == checkpoint_file.digest(longer[part])
    _, config, spec, progress = load_agent(copied / 'checkpoint.pt')
    assert (config.steps, progress.step) == (9, 9)
    assert spec.provenance['continued'] == [{'at': 4, 'steps': [4, 9]}]
    # Once more, and the past is not forgotten.
    resume(copied, data, steps=10)
    spec = load_agent(copied / 'checkpoint.pt')[2]
    assert [one['at'] for one in spec.provenance['continued']] == [4, 9]


def test_a_run_of_an_earlier_release_with_an_option_that_chose_nothing_goes_on(
        copied: Path, data: Path) -> None:
    """New runs are refused --filter-key for such data; this one can no longer be without."""
    def change(content: dict[str, Any]) -> None:
        content['config'] = replace(
            TrainConfig.from_json(content['config']), filter_key='train').to_json()

    rewritten(copied, change)
    resume(copied, data, steps=5, filter_key='train')
    assert load_agent(copied / 'checkpoint.pt')[3].step == 5
    assert export([str(copied), '--out', str(copied / 'x.onnx')]) == 0


def test_a_longer_run_says_what_becomes_of_a_falling_rate(
        data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config = small(data, schedule='cosine', learning_rate=1e-3)
    train(tmp_path / 'run', config)
    train(tmp_path / 'run', replace(config, steps=8), resume=True)
    said = capsys.readouterr().err
    assert 'learning rate of the next update is 0.0005 instead of 0' in said
    assert 'the result differs from that of 8 updates from the start' in said


def test_lengths_that_cannot_be(copied: Path, data: Path) -> None:
    with pytest.raises(CheckpointError, match='has taken 4 of steps 4, now asked for 3; ask for '):
        resume(copied, data, steps=3)
    offline = TrainConfig(steps=10, online_start=2)
    online = replace(offline, online_steps=20)
    for before, now, steps, words in (
            (offline, online, 0, 'was trained with online_steps 0, now asked for 20'),
            (online, offline, 0, 'was trained with online_steps 20, now asked for 0'),
            (online, replace(online, steps=11), 3, 'its online phase has begun'),
            (online, replace(online, online_steps=3), 4, 'has taken 4 of online_steps 20')):
        with pytest.raises(ContinuationError, match=words):
            changed_lengths(before, now, 10, steps)
    longer = changed_lengths(online, replace(online, online_steps=30), 10, 4)
    assert longer == {'online_steps': [20, 30]}


def test_a_run_begins_with_anothers_networks(
        run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Data and normaliser are those of the other run, as the specification states."""
    stored.save(tmp_path / 'more.npz', drawn([9, 9], seed=3))
    normalised = small(data, normalise=True)
    train(tmp_path / 'first', normalised)
    config = replace(normalised, data=str(tmp_path / 'more.npz'), value_weight=0.2, steps=1)
    source = load_agent(tmp_path / 'first' / 'checkpoint.pt')
    # A rate that moves nothing shows where the networks began.
    train(tmp_path / 'second', replace(config, learning_rate=1e-30),
          init_from=tmp_path / 'first')
    assert "networks and the normaliser are those of 'first' after 4 updates" in (
        capsys.readouterr().err)
    agent, _, spec, progress = load_agent(tmp_path / 'second' / 'checkpoint.pt')
    assert progress.step == 1
    theirs, ours = source[0].state_dict(), agent.state_dict()
    for name in theirs:
        if 'anchor' not in name and not name.startswith('target_critic'):
            torch.testing.assert_close(theirs[name], ours[name], rtol=0, atol=1e-6)
    origin = spec.provenance['initialised_from']
    assert (origin['name'], origin['steps']) == ('first', 4)
    assert origin['data_sha256'] == source[2].provenance['data']['sha256']
    assert spec.provenance['normalisation'] == source[2].provenance['normalisation']
    assert spec.provenance['data']['file'] == 'more.npz'
    # It goes on as any run does, and still knows.
    train(tmp_path / 'second', replace(config, learning_rate=1e-30, steps=2), resume=True)
    spec = load_agent(tmp_path / 'second' / 'checkpoint.pt')[2]
    assert spec.provenance['initialised_from'] == origin
    for changes, words in (
            ({'hidden': (4, 4)}, r'trained with hidden \(8, 8\), now asked for \(4, 4\)'),
            ({'normalise': False}, 'trained with normalise True')):
        with pytest.raises(CheckpointError, match=words):
            train(tmp_path / 'third', replace(config, **changes), init_from=tmp_path / 'first')
    more = drawn([9, 9], seed=3)
    stored.save(tmp_path / 'fast.npz', replace(more, period=0.04, action_fields=tuple(
        replace(field, high=(2.0,) * field.size) for field in more.action_fields)))
    train(tmp_path / 'fast', replace(config, data=str(tmp_path / 'fast.npz')),
          init_from=tmp_path / 'first')
    said = capsys.readouterr().err
    assert 'that of those networks, so an action of the networks begins as another comm' in said
    assert f'learned steps of 0.05 s, and those of {tmp_path / "fast.npz"} take 0.04 s' in said
    stored.save(tmp_path / 'wide.npz', drawn([9, 9], observation=4))
    with pytest.raises(CheckpointError, match=r'observation field 0: found state \(3, m\), the d'):
        train(tmp_path / 'third', replace(config, data=str(tmp_path / 'wide.npz')),
              init_from=tmp_path / 'first' / 'checkpoint.pt')
    assert not (tmp_path / 'third').exists()


@pytest.mark.parametrize(('before', 'after'), [(0.0, 0.5), (0.5, 0.0), (0.5, 0.25)])
def test_a_run_begins_with_the_policy_that_acted_in_another(
        data: Path, tmp_path: Path, before: float, after: float) -> None:
    """An average begins as the newest weights, and the newest as an average that goes on."""
    train(tmp_path / 'first', small(data, average_rate=before))
    train(tmp_path / 'second', small(
        data, average_rate=after, steps=1, learning_rate=1e-30), init_from=tmp_path / 'first')
    source, agent = (
        load_agent(tmp_path / name / 'checkpoint.pt')[0] for name in ('first', 'second'))
    assert (agent.average is not None) == (after > 0)
    compared = {
        name: value for name, value in agent.acting.state_dict().items() if 'anchor' not in name}
    # Both are kept if both runs have an average; it is drawn towards the newest in an update.
    expected = source.acting.state_dict()
    if before and after:
        newest = source.actor.state_dict()
        expected = {name: value.lerp(newest[name], after) if value.is_floating_point() else value
                    for name, value in expected.items()}
    for name, value in compared.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)


def test_the_commands_that_go_on(
        copied: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = [
        'small-clone', '--data', str(data), '--hidden', '8', '8', '--threads', '1',
        '--batch-size', '4']
    assert main([*asked, '--run', str(tmp_path / 'a'), '--steps', '2']) == 0
    assert main([*asked, '--run', str(tmp_path / 'a'), '--steps', '3', '--resume']) == 0
    assert '3 of 3 updates' in capsys.readouterr().out
    begun = [*asked, '--run', str(tmp_path / 'b'), '--steps', '2', '--init-from']
    assert main([*begun, str(tmp_path / 'a')]) == 0
    assert main([*begun, str(tmp_path / 'a'), '--resume']) == 2
    assert '--init-from: found' in capsys.readouterr().err
    assert main([*asked, '--run', str(tmp_path / 'c'), '--init-from', str(tmp_path)]) == 2
    assert 'checkpoint.pt: found no checkpoint' in capsys.readouterr().err
