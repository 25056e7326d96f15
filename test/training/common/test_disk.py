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
"""Full disk: every command names the file, the space needed and the remedy, and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import errno
from pathlib import Path
import pickle
import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.fixtures.full_disk import full  # noqa: E402
from testing.learning.numbers_env import Numbers  # noqa: E402
from testing.learning.small_runs import small  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from testing.policies.small_policy import cube_spec, write_policy  # noqa: E402
from training import collect, evaluate, export, write  # noqa: E402
from training import inspect_data as inspect  # noqa: E402
from training.common.disk import WriteError  # noqa: E402
from training.common.files import atomic_path  # noqa: E402
from training.data.collection.engine import Budget  # noqa: E402
from training.data.collection.engine import collect as collect_file  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.evaluation.episodes import Episode  # noqa: E402
from training.learning.trainer import checkpoint_file  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402

WORDS = 'cannot be written (File too large; '


@pytest.fixture(scope='module', name='folder')
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the inputs of the commands: data, a run, a policy."""
    folder = tmp_path_factory.mktemp('disk')
    stored.save(folder / 'data.npz', drawn([30, 40, 50]))
    train(folder / 'run', small(folder / 'data.npz', steps=1))
    write_policy(folder / 'policy.onnx', cube_spec())
    return folder


def evaluated(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    episode = Episode(0, True, 1, 0.0, 0.0, np.zeros((1, 5), np.float32))
    monkeypatch.setattr(
        evaluate, 'evaluate_file', lambda *_: evaluate.Evaluation((episode,), 0.99))
    return evaluate.main([str(folder / 'policy.onnx'), '--episodes', '1', '--json', str(out)])


def inspected(kind: str) -> Callable:
    return lambda folder, out, _: inspect.main(
        [str(folder / 'data.npz'), '--preset', 'cpu', f'--{kind}', str(out)])


COMMANDS: dict[str, tuple[str, Callable]] = {
    'export': ('a.onnx', lambda folder, out, _: export.main(
        [str(folder / 'run'), '--out', str(out)])),
    'store': ('a.onnx', lambda folder, out, _: export.main(
        [str(folder / 'policy.onnx'), '--out', str(out), '--precision', 'int8'])),
    'evaluate': ('a.json', evaluated),
    'html': ('a.html', inspected('html')), 'png': ('a.png', inspected('png')),
    'write': ('a.npz', lambda folder, out, _: write.main(
        [str(folder / 'data.npz'), '--format', 'own', '--out', str(out)])),
    'robomimic': ('a.hdf5', lambda folder, out, _: write.main(
        [str(folder / 'data.npz'), '--format', 'robomimic', '--out', str(out)])),
}


@pytest.mark.parametrize('command', COMMANDS)
def test_a_full_disk_is_said_and_what_was_there_stays(
        command: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    name, run = COMMANDS[command]
    out = tmp_path / 'there' / name
    out.parent.mkdir()
    if command not in ('write', 'robomimic'):  # which overwrite nothing
        out.write_bytes(b'before')
    before = {file: file.read_bytes() for file in out.parent.iterdir()}
    with full():
        try:
            assert run(folder, out, monkeypatch) == 2
        except SystemExit as ended:
            assert ended.code == 2  # noqa: PT017
    said = capsys.readouterr().err
    assert said.startswith(f'{out}: {WORDS}'), said
    assert 'needed' in said
    assert 'free there' in said
    assert 'free some space there or name another path' in said
    assert ('the existing file is unchanged' in said) == bool(before)
    assert {file: file.read_bytes() for file in out.parent.iterdir()} == before


def test_room_that_is_known_to_be_missing_is_not_tried(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(
        shutil, 'disk_usage', lambda path: SimpleNamespace(total=1, used=1, free=1_000))
    assert export.main([str(folder / 'run'), '--out', str(tmp_path / 'a.onnx')]) == 2
    assert 'a.onnx: found 1.0 kB free there, expected' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_has_no_room_leaves_the_one_before(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / 'checkpoint.pt'
    shutil.copy(folder / 'run' / 'checkpoint.pt', path)
    content = checkpoint_file.read(path)
    before = path.read_bytes()
    for size in (0, 4_096, len(before) - 1):
        with full(size), pytest.raises(WriteError, match=r'checkpoint\.pt: cannot be written'):
            checkpoint_file.write(path, content)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


def test_a_collection_keeps_its_episodes(tmp_path: Path) -> None:
    """The worker finds the disk full, and the error crosses to this process whole."""
    recipe, path = Numbers(str(tmp_path / 'numbers.partial')), tmp_path / 'numbers.npy'
    with full(), pytest.raises(WriteError, match=r'recipe\.json: cannot be written'):
        collect_file(recipe, path, Budget(2), 0, 1)
    with full(130), pytest.raises(WriteError, match='cannot be written'):
        collect_file(recipe, path, Budget(2), 0, 1)
    shutil.rmtree(tmp_path / 'numbers.partial')
    assert collect_file(recipe, path, Budget(2), 0, 1) == 2


def test_the_command_that_collects_says_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def failing(*_: Any) -> int:
        raise WriteError(errno.ENOSPC, 'x.npz: cannot be written', 'x.npz')

    monkeypatch.setattr(collect, 'collect', failing)
    with pytest.raises(SystemExit) as ended:
        collect.main(['--out', str(tmp_path)])
    assert ended.value.code == 2
    assert 'x.npz: cannot be written. Finished episodes are kept' in capsys.readouterr().err


def test_an_error_of_the_disk_crosses_between_processes() -> None:
    error = WriteError(errno.ENOSPC, 'x: cannot be written', 'x')
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.errno, again.filename) == (str(error), errno.ENOSPC, 'x')


def test_other_errors_are_not_taken_for_the_disks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='other'), atomic_path(tmp_path / 'a'):
        (tmp_path / 'other').read_text()
    assert not list(tmp_path.iterdir())
    (tmp_path / 'file').touch()
    with pytest.raises(WriteError, match=r'file/a: cannot be written \(.*/file is a file'), (
            atomic_path(tmp_path / 'file' / 'a')):
        pass


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    (tmp_path / 'a').mkdir()
    with pytest.raises(WriteError, match=r'a: cannot be written \(it is a folder; name'), (
            atomic_path(tmp_path / 'a')):
        pytest.fail('nothing is worked out for a file that cannot be')
    assert [path.name for path in tmp_path.iterdir()] == ['a']


def test_a_run_on_a_full_disk_says_what_is_free(folder: Path, tmp_path: Path) -> None:
    from training.learning.trainer.session import TrainingError
    config = replace(small(folder / 'data.npz'), steps=3)
    with full(2_000), pytest.raises(TrainingError, match=r'run: cannot be written .*free there'):
        train(tmp_path / 'run', config)
    assert not list((tmp_path / 'run').rglob('*partial*'))
