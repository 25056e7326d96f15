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
"""Training runs: from data to checkpoint, stopped and resumed, and errors of invalid ones."""

import csv
import errno
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest

from testing import ROOT

torch = pytest.importorskip('torch')

from testing.learning.runs import settings, unevaluated  # noqa: E402
from training.common.disk import write_error  # noqa: E402
from training.common.folder_lock import locked  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.learning.trainer import checkpoint_file  # noqa: E402
from training.learning.trainer.checkpoint import load_agent  # noqa: E402
from training.learning.trainer.checkpoint_file import CheckpointError, read  # noqa: E402
from training.learning.trainer.run import LOCK, train  # noqa: E402
from training.learning.trainer.session import disk_errors, TrainingError  # noqa: E402
from training.train import main  # noqa: E402


def weights(run: Path) -> dict:
    return read(run / 'checkpoint.pt')['agent']


@pytest.mark.parametrize('chunks', [
    {}, {'horizon': 5, 'best_of': 4, 'average_rate': 0.1}])
def test_resumed_run_equals_an_uninterrupted_one(
        drawn_data: Path, tmp_path: Path, chunks: dict) -> None:
    config = unevaluated(drawn_data, **chunks)
    train(tmp_path / 'whole', config)
    # The first half is cut by the signal that Ctrl-C sends, raised from within an update.
    from training.learning.agents.agent import Agent
    update = Agent.update
    taken = []

    def interrupting(self, batch, **options):
        taken.append(1)
        if len(taken) == 10:
            os.kill(os.getpid(), signal.SIGINT)
        return update(self, batch, **options)

    Agent.update = interrupting
    try:
        assert train(tmp_path / 'halves', config).step == 10
    finally:
        Agent.update = update
    assert train(tmp_path / 'halves', config, resume=True).step == 20
    whole, halves = (read(tmp_path / name / 'checkpoint.pt') for name in ('whole', 'halves'))
    assert whole['agent'].keys() == halves['agent'].keys()
    assert all(torch.equal(whole['agent'][key], halves['agent'][key]) for key in whole['agent'])
    for moments, again in zip(
            whole['optimiser']['state'].values(), halves['optimiser']['state'].values(),
            strict=True):
        assert all(torch.equal(moments[key], again[key]) for key in moments)
    assert torch.equal(whole['torch_random'], halves['torch_random'])
    assert whole['batch_random'] == halves['batch_random']


def test_run_leaves_logs_and_one_record_an_episode(demonstrations: Path, tmp_path: Path) -> None:
    run = tmp_path / 'run'
    config = settings(demonstrations, episodes=2)
    train(run, config)
    with (run / 'updates.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row['step']) for row in rows] == [5, 10, 15, 20]
    assert {'cloning_force', 'ascent_force', 'critic_loss', 'distance_to_data'} <= rows[0].keys()
    episodes = json.loads((run / 'evaluations' / '20.json').read_text())['per_episode']
    assert [episode['seed'] for episode in episodes] == [10_000, 10_001]
    assert TrainConfig.from_json((run / 'config.json').read_text()) == config
    assert list(run.glob('events.out.tfevents.*'))
    assert not list(run.rglob('*.partial*'))


def test_same_seed_same_weights(drawn_data: Path, tmp_path: Path) -> None:
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        train(tmp_path / name, unevaluated(drawn_data, steps=5, seed=seed))
    a, b, c = (weights(tmp_path / name) for name in 'abc')
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a['actor.network.layers.0.weight'], c['actor.network.layers.0.weight'])


def test_existing_run_is_not_overwritten(drawn_data: Path, tmp_path: Path) -> None:
    train(tmp_path / 'run', unevaluated(drawn_data, steps=1))
    with pytest.raises(TrainingError, match='found a run there; continue it with --resume'):
        train(tmp_path / 'run', unevaluated(drawn_data, steps=1))


@pytest.mark.parametrize('resume', [False, True])
def test_a_run_that_another_training_writes_is_left_to_it(
        drawn_data: Path, tmp_path: Path, resume: bool) -> None:
    """Two wrote one log, and each replaced the checkpoint of the other."""
    run, config = tmp_path / 'run', unevaluated(drawn_data, steps=2)
    run.mkdir()
    if resume:
        train(run, config, until=1)
    before = {path: path.read_bytes() for path in run.iterdir()}
    with locked(run / LOCK):
        with pytest.raises(TrainingError, match='another training writes to this folder; wait'):
            train(run, config, resume=resume)
    assert {path: path.read_bytes() for path in run.iterdir()} == {
        **before, run / LOCK: b''}
    assert train(run, config, resume=resume).step == 2


def test_a_lock_that_cannot_be_made_is_named(drawn_data: Path, tmp_path: Path) -> None:
    (tmp_path / LOCK).symlink_to(tmp_path / 'other')
    with pytest.raises(TrainingError, match=rf'{tmp_path}/{LOCK}: cannot be written'):
        train(tmp_path, unevaluated(drawn_data, steps=1))
    assert not (tmp_path / 'other').exists()


def test_a_run_that_is_a_file(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused before the data are read, and the remedy is not that of a full disk."""
    (tmp_path / 'file').touch()
    for run in (tmp_path / 'file', tmp_path / 'file' / 'run'):
        assert main(['cpu', '--run', str(run), '--data', 'none.npz']) == 2
        assert capsys.readouterr().err == (
            f'{run / "checkpoint.pt"}: cannot be written ({tmp_path / "file"} is a file, not a '
            'folder; name another path)\n')


@pytest.mark.parametrize('until', [0, -1])
def test_a_run_of_no_updates_is_none(tmp_path: Path, until: int) -> None:
    """It would be reported as done."""
    with pytest.raises(TrainingError, match=f'--until: found {until}, expected 1 or more'):
        train(tmp_path / 'run', settings(tmp_path / 'none.npz'), until=until)


def test_the_remedy_is_that_of_the_error(tmp_path: Path) -> None:
    """Without a checkpoint there is nothing to resume from, and no path is named twice."""
    saved = tmp_path / 'checkpoint.pt'
    full = write_error(saved, OSError(errno.ENOSPC, 'full'), 1000, 0)
    wrong = write_error(saved, OSError(errno.EACCES, 'no'), 1000, 0)
    for error in (full, wrong):
        with pytest.raises(TrainingError) as caught, disk_errors(saved):
            raise error
        assert str(caught.value) == str(error)
    with pytest.raises(TrainingError, match='free some space and start again, none was saved'), (
            disk_errors(saved)):
        raise OSError(errno.ENOSPC, 'full')
    saved.touch()
    for error, rest in ((full, '; then use --resume, the last good'), (wrong, '; then use')):
        with pytest.raises(TrainingError) as caught, disk_errors(saved):
            raise error
        assert str(caught.value).startswith(f'{error}{rest}')
    with pytest.raises(TrainingError, match='free some space and use --resume, the last good'), (
            disk_errors(saved)):
        raise OSError(errno.ENOSPC, 'full')
    # A learner has no --resume.
    for error in (full, OSError(errno.ENOSPC, 'full')):
        with pytest.raises(TrainingError, match='start again, the last good') as caught, (
                disk_errors(saved, resume='start again')):
            raise error
        assert '--resume' not in str(caught.value)
    # Nothing can be freed on a disk that is mounted for reading.
    assert 'free some' not in str(write_error(saved, OSError(errno.EROFS, 'no'), 1000, 0))


def test_checkpoint_of_another_configuration(drawn_data: Path, tmp_path: Path) -> None:
    train(tmp_path / 'run', unevaluated(drawn_data, steps=1))
    with pytest.raises(CheckpointError, match=r'bandwidths \(0.05,\), now asked for \(0.2,\)'):
        train(tmp_path / 'run', unevaluated(drawn_data, steps=1, bandwidths=(0.2,)), resume=True)


@pytest.mark.parametrize('share', [0.0, 0.5, 0.99])
def test_truncated_checkpoint(drawn_data: Path, tmp_path: Path, share: float) -> None:
    train(tmp_path, unevaluated(drawn_data, steps=1))
    path = tmp_path / 'checkpoint.pt'
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r'checkpoint\.pt: found a file that is damaged'):
        read(path)


def test_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / 'checkpoint.pt'
    path.write_bytes(b'not a checkpoint')
    with pytest.raises(CheckpointError, match=r'checkpoint\.pt: found a file that is damaged'):
        read(path)


def test_resume_without_a_checkpoint(demonstrations: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='found no checkpoint'):
        train(tmp_path / 'none', settings(demonstrations), resume=True)


def test_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
        drawn_data: Path, tmp_path: Path) -> None:
    run = tmp_path / 'run'
    train(run, unevaluated(drawn_data, steps=5, checkpoint_every=5))
    content = read(run / 'checkpoint.pt')
    content['agent']['critic.weights.0'][:] = float('nan')
    content['config'] = content['config'].replace('"steps": 5', '"steps": 10')
    checkpoint_file.write(run / 'checkpoint.pt', content)
    before = (run / 'checkpoint.pt').read_bytes()
    with pytest.raises(TrainingError, match='critic_loss: found nan at update 10; training stops'):
        train(run, unevaluated(drawn_data, steps=10), resume=True)
    assert (run / 'checkpoint.pt').read_bytes() == before


def test_missing_gpu_is_said(demonstrations: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip('a GPU is here')
    with pytest.raises(TrainingError, match='torch sees no GPU; use --device cpu'):
        train(tmp_path / 'run', settings(demonstrations, device='cuda'))


@pytest.mark.parametrize(('arguments', 'words'), [
    (['small-clone', '--run', 'x', '--horizn', '5'], 'horizn'),
    (['small-clone', '--run', 'x', '--horizon', 'five'], 'five'),
    (['small-clone', '--run', 'x', '--top', '99'], 'top: found 99, expected at most'),
])
def test_command_line_refuses_what_it_does_not_know(
        arguments: list, words: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert words in captured.out + captured.err


def test_file_run_directly_trains_a_hundred_updates(demonstrations: Path, tmp_path: Path) -> None:
    run = tmp_path / 'smoke'
    done = subprocess.run(
        [sys.executable, 'training/train.py', 'small-offline', '--run', str(run),
         '--data', str(demonstrations), '--steps', '100', '--hidden', '64', '64',
         '--batch-size', '32', '--episodes', '1', '--threads', '1'],
        cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert '100 of 100 updates' in done.stdout
    _, config, spec, progress = load_agent(run / 'checkpoint.pt')
    assert (progress.step, config.hidden) == (100, (64, 64))
    assert spec.provenance['data']['episodes'] == 4
    normalisation = spec.provenance['normalisation']
    assert normalisation['applied']
    assert len(normalisation['mean']) == len(normalisation['deviation']) == 28


def test_timing_of_success_reaches_the_environments(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.learning.trainer import session
    from training.learning.trainer.explorer import Explorer
    evaluate, step, seen = session.evaluate, Explorer.step, []

    def evaluating(environments, *others):
        seen.append(environments.envs[0].unwrapped._success_timing)
        return evaluate(environments, *others)

    def exploring(self):
        seen.append(self._env.unwrapped._success_timing)
        return step(self)

    monkeypatch.setattr(session, 'evaluate', evaluating)
    monkeypatch.setattr(Explorer, 'step', exploring)
    train(tmp_path / 'run', settings(
        demonstrations, steps=2, online_steps=3, online_start=1, success_timing='post'))
    # An evaluation, the online phase's steps, another evaluation.
    assert seen == ['post'] * 5
    spec = load_agent(tmp_path / 'run' / 'checkpoint.pt')[2]
    assert spec.provenance['config']['success_timing'] == 'post'
