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
"""Sweeps: plan, skipped and resumed runs, and the final table."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import csv
from dataclasses import replace
import fcntl
import hashlib
import json
import multiprocessing
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest

from testing import ROOT

torch = pytest.importorskip('torch')

from training.config import ConfigError, TrainConfig  # noqa: E402
from training.evaluation.intervals import interval  # noqa: E402
from training.learning.sweeps.plan import PlannedRun  # noqa: E402
from training.learning.sweeps.table import mixed_data, table, write  # noqa: E402
from training.learning.sweeps.workers import carry_out, LocalProcesses  # noqa: E402
from training.learning.trainer.checkpoint_file import read  # noqa: E402
from training.presets import PRESETS  # noqa: E402
from training.sweep import main, parser, planned  # noqa: E402

TASK_2, TASK_3 = (f'cube-single-singletask-task{number}-v0' for number in (2, 3))
# Settings of a run that is over in a moment.
TINY = ['--set', 'steps=4', 'hidden=16,16', 'batch_size=8', 'episodes=1', 'log_every=2',
        'checkpoint_every=2', 'threads=1']


def runs_of(*words: str) -> list[PlannedRun]:
    return planned(parser().parse_args(['cpu', '--run-folder', 'unused', *words]))


def test_plan_is_every_combination_with_every_seed() -> None:
    runs = runs_of(
        '--seeds', '3', '5', '--policies', 'dfp', 'fql', '--environments', TASK_2,
        f'{TASK_3}=other.npz', '--vary', 'bandwidths', '0.05', '0.05,0.2', '--set', 'steps=7',
        'pool=40', 'top=30', 'sparse=True')
    assert len(runs) == len({run.name for run in runs}) == 16
    assert [run.config.seed for run in runs] == [3] * 8 + [5] * 8
    assert len({run.group for run in runs}) == 8
    last = runs[-1]
    assert last.name == f'policy=fql,environment={TASK_3},bandwidths=0.05,0.2,seed=5'
    assert last.config == replace(
        PRESETS['cpu'][1], steps=7, pool=40, top=30, sparse=True, seed=5, policy='fql',
        environment=TASK_3, data='other.npz', bandwidths=(0.05, 0.2),
        threads=max(1, os.cpu_count() or 1))
    assert runs[0].config.data == PRESETS['cpu'][1].data


def test_threads_are_shared_by_the_runs_at_a_time() -> None:
    many = str((os.cpu_count() or 1) * 2)
    assert runs_of('--seeds', '0', '--parallel', many)[0].config.threads == 1
    assert runs_of('--seeds', '0', '--set', 'threads=3')[0].config.threads == 3


@pytest.mark.parametrize(('words', 'message'), [
    (['--seeds', '1', '1'], 'found seed=1 twice'),
    (['--set', 'steps'], "--set: found 'steps', expected NAME=VALUE"),
    (['--vary', 'steps'], '--vary steps: found no values'),
    (['--vary', 'seed', '1'], '--vary seed: this setting varies already'),
    (['--policies', 'dfp', '--vary', 'policy', 'fql'], '--vary policy: this setting varies'),
    (['--set', 'steps=5', 'steps=7'], '--set: found steps twice'),
    (['--vary', 'discount', '0.9', '0.90'], 'the same settings for discount=0.9,seed=0 and disc'),
])
def test_plan_that_makes_no_sense(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        runs_of(*words)


@pytest.mark.parametrize(('words', 'said'), [
    (['--set', 'horizn=3'], '--horizon'), (['--vary', 'top', '99'], 'found 99, expected at most'),
    (['--policies', 'sac'], 'sac'), (['--parallel', '0'], 'found 0, expected 1 to 1024'),
    (['--parallel', '1000000'], 'found 1000000, expected 1 to 1024')])
def test_settings_are_refused_as_training_refuses_them(
        words: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['cpu', '--run-folder', 'unused', '--list', *words])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert said in captured.out + captured.err


def test_a_file_is_no_folder_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'file').touch()
    assert main(['cpu', '--run-folder', str(tmp_path / 'file'), '--list']) == 2
    assert 'found a file, expected a folder' in capsys.readouterr().err


def record(run: PlannedRun, folder: Path, success: float, minutes: float) -> None:
    """Write the files of a finished run, with an earlier evaluation besides the last."""
    where = folder / run.name
    where.mkdir()
    (where / 'finished.json').write_text(json.dumps({'config': json.loads(run.config.to_json())}))
    (where / 'evaluations.csv').write_text(
        'step,wall_seconds,success,episodes\n'
        f'1,1.0,1.0,50\n2,{minutes * 60},{success},50\n')


def test_finished_runs_are_known_by_their_settings(tmp_path: Path) -> None:
    run, = runs_of('--seeds', '0')
    assert not run.finished(tmp_path)
    record(run, tmp_path, 0.5, 1)
    assert run.finished(tmp_path)
    # How often a run is evaluated changes nothing that is learned; the horizon does.
    assert replace(run, config=replace(run.config, evaluate_every=7)).finished(tmp_path)
    with pytest.raises(ConfigError, match='was trained with horizon 5, now asked for 4'):
        replace(run, config=replace(run.config, horizon=4)).finished(tmp_path)
    # Its result is none of other data; the same data may be named in another way.
    same = replace(run.config, data=str(Path.cwd() / run.config.data))
    assert replace(run, config=same).finished(tmp_path)
    for other in ({'data': 'tuesday.npz'}, {'corrections': ('more.npz',)}):
        with pytest.raises(ConfigError, match='not one of these data: name another --run-folder'):
            replace(run, config=replace(run.config, **other)).finished(tmp_path)


def test_data_that_changed_between_two_runs_are_said(tmp_path: Path) -> None:
    runs = runs_of('--seeds', '0', '1', '2')
    for run, known in zip(runs, ('a', 'a', ''), strict=True):
        record(run, tmp_path, 0.5, 1)
        path = tmp_path / run.name / 'finished.json'
        path.write_text(json.dumps({**json.loads(path.read_text()), 'data_sha256': known}))
    assert not mixed_data(runs, tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), 'data_sha256': 'b'}))
    line, = mixed_data(runs, tmp_path)
    assert 'changed between the runs: a for seed=0, seed=1, b for seed=2; remove the' in line


@pytest.mark.parametrize(
    'content', ['', '[' * 100_000, '[]', '{}', '{"config": 7}', 'NaN'],
    ids=['empty', 'nested', 'list', 'keyless', 'number', 'nan'])
def test_a_damaged_record_of_a_finished_run_is_said(
        content: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """It is not taken for one of a run that is still to do, and names the file."""
    words = ['--run-folder', str(tmp_path), '--list', 'small-clone']
    assert main(words) == 0
    name = capsys.readouterr().out.split(':')[0]
    (tmp_path / name).mkdir()
    (tmp_path / name / 'finished.json').write_text(content)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / name / 'finished.json') in said
    assert f'remove {tmp_path / name}, and that run is trained again' in said


def test_table_by_hand(tmp_path: Path) -> None:
    runs = runs_of('--seeds', '0', '1', '2', '--policies', 'dfp', 'fql', 'flow')
    for run, success in zip(runs, (0.2, 0.5, 0, 0.4, 0, 0, 0.6), strict=False):
        if run.config.policy != 'flow':
            record(run, tmp_path, success, 2 + 2 * run.config.seed)
    dfp, fql, flow = table(runs, tmp_path)
    # Mean 0.4; Student: 4.3027 * 0.2 / sqrt(3) = 0.4968 to either side, cut at 0.
    assert dfp.figures() == pytest.approx({
        'runs': '3 of 3', 'success': 0.4, 'low': 0.0, 'high': 0.8968, 'episodes': 150,
        'minutes': 4.0}, abs=1e-4)
    assert (fql.seeds, fql.success, fql.planned) == ((0, 1), (0.5, 0.0), 3)
    assert flow.figures()['runs'] == '0 of 3'
    write([dfp, fql, flow], tmp_path)
    lines = (tmp_path / 'table.md').read_text().splitlines()
    assert lines[2] == '| dfp | 3 of 3 | 40.0% | 0.0% to 89.7% | 20% 40% 60% | 4.0 |'
    assert lines[4] == '| flow | 0 of 3 |  |  |  |  |'
    with (tmp_path / 'table.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['policy'] for row in rows] == ['dfp', 'fql', 'flow']
    assert float(rows[0]['success']) == pytest.approx(0.4)
    assert (rows[1]['success'], rows[2]['success']) == ('0.25', '')
    first = json.loads((tmp_path / 'table.json').read_text())[0]
    assert first['settings'] == {'policy': 'dfp'}
    assert first['seeds'] == {'0': 0.2, '1': 0.4, '2': 0.6}


def test_runs_that_are_not_evaluated_are_in_the_table(tmp_path: Path) -> None:
    """Data of a robot without a simulator have no evaluations, and their runs are finished."""
    runs = runs_of('--seeds', '0', '1')
    for run in runs:
        record(run, tmp_path, 0.5, 1)
        (tmp_path / run.name / 'evaluations.csv').unlink()
        (tmp_path / run.name / 'updates.csv').write_text(
            f'step,wall_seconds,loss\n1,1.0,1.0\n2,{60 + 60 * run.config.seed},0.5\n')
    row, = table(runs, tmp_path)
    found = row.figures()
    assert (found['runs'], found['success'], found['minutes']) == ('2 of 2', None, 1.5)
    write([row], tmp_path)
    assert (tmp_path / 'table.md').read_text().splitlines()[2] == '| 2 of 2 |  |  |  | 1.5 |'
    assert json.loads((tmp_path / 'table.json').read_text())[0]['seeds'] == {}


def test_interval_covers_seeds_and_episodes() -> None:
    # Wilson's: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.96.
    assert interval([0.5], 20) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert interval([0.0, 0.0, 0.0], 150) == pytest.approx((0.0, 0.02497), abs=1e-5)
    # Two seeds, 0.4 and 0.6: 12.706 * 0.1 is all there is.
    assert interval([0.4, 0.6], 100) == (0.0, 1.0)
    # Seeds closer together than their episodes allow for.
    assert interval([0.5, 0.5, 0.5], 60) == pytest.approx((0.3774, 0.6226), abs=1e-4)


class Recorded:
    """Workers whose runs end one a wait, the oldest first, and at once when asked to stop."""

    def __init__(self) -> None:
        self.working: list[PlannedRun] = []
        self.most = self.begun = 0
        self.stopping = False

    def start(self, run: PlannedRun) -> None:
        self.working.append(run)
        self.begun += 1
        self.most = max(self.most, len(self.working))

    def wait(self, seconds: float) -> list[tuple[PlannedRun, int]]:
        return [(self.working.pop(0), 130 if self.stopping else 0)]

    def stop(self) -> None:
        self.stopping = True


def test_no_more_runs_at_a_time_than_asked_for() -> None:
    runs, workers = runs_of('--seeds', *'01234'), Recorded()
    assert list(carry_out(runs, workers, 2, lambda: False)) == [(run, 0) for run in runs]
    assert workers.most == 2
    assert list(carry_out([], workers, 2, lambda: False)) == []


def test_a_signal_ends_what_runs_and_begins_nothing_more() -> None:
    runs, workers = runs_of('--seeds', *'01234'), Recorded()
    ended = []
    for run, code in carry_out(runs, workers, 2, lambda: bool(ended)):
        ended.append((run.config.seed, code))
    assert ended == [(0, 0), (1, 130)]
    assert workers.begun == 2


def test_without_ray_it_says_what_to_do(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    assert main(['cpu', '--run-folder', str(tmp_path), '--seeds', '0']) == 2
    assert 'install it with `make sweep-env`, or use --local' in capsys.readouterr().err


def test_a_failed_run_takes_no_other_with_it_and_is_gone_on_with(
        demonstrations: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder, missing = tmp_path / 'sweep', tmp_path / 'missing.npz'
    command = [
        'cpu', '--run-folder', str(folder), '--local', '--parallel', '2', '--seeds', '0',
        '--environments', f'{TASK_2}={demonstrations}', f'{TASK_3}={missing}', *TINY]
    assert main(command) == 1
    said = capsys.readouterr()
    assert f'{missing}: found no such file' in said.err
    assert f'| {TASK_2} | 1 of 1 |' in said.out
    good, bad = folder / f'environment={TASK_2},seed=0', folder / f'environment={TASK_3},seed=0'
    before = (good / 'checkpoint.pt').stat().st_mtime_ns
    assert json.loads((good / 'finished.json').read_text())['data_sha256'] == hashlib.sha256(
        demonstrations.read_bytes()).hexdigest()
    # The other goes on from a checkpoint: that of an interrupted run, three updates of four.
    shutil.copy(demonstrations, missing)
    interrupted(bad, json.loads((good / 'config.json').read_text()), missing)
    first = (bad / 'updates.csv').read_text().splitlines()[:2]
    assert main(command) == 0
    assert '2 runs, 1 of them finished already' in capsys.readouterr().out
    assert (good / 'checkpoint.pt').stat().st_mtime_ns == before
    assert (bad / 'updates.csv').read_text().splitlines()[:2] == first
    assert read(bad / 'checkpoint.pt')['progress']['step'] == 4


def interrupted(run: Path, settings: dict, data: Path) -> None:
    """Train until the signal that a killed sweep sends, here from within the third update."""
    from training.learning.agents.agent import Agent
    from training.learning.trainer.run import train
    update, taken = Agent.update, []

    def interrupting(self, batch, **options):
        taken.append(1)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, batch, **options)

    config = TrainConfig.from_json(json.dumps(settings))
    Agent.update = interrupting
    try:
        assert train(run, replace(config, environment=TASK_3, data=str(data))).step == 3
    finally:
        Agent.update = update


@contextlib.contextmanager
def start(
        folder: Path, data: Path, *words: str, **settings: str) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
            [sys.executable, '-m', 'training.sweep', 'cpu', '--run-folder', str(folder), *words,
             *TINY, f'data={data}', *(f'{name}={value}' for name, value in settings.items())],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            # A test that fails must not wait for a million steps, nor leave them behind.
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'code'), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_runs_checkpoint_when_the_sweep_ends(
        drawn_data: Path, tmp_path: Path, kind: signal.Signals, code: int) -> None:
    words = ['--local', '--seeds', '0', '--vary', 'steps', '1000000']
    run = tmp_path / 'steps=1000000,seed=0'
    with start(tmp_path, drawn_data, *words, environment='none') as process:
        until = time.monotonic() + 120
        # The checkpoint comes with the first update, a row of the log with the second.
        log = run / 'updates.csv'
        while not (run / 'checkpoint.pt').exists() or not log.exists() or (
                log.read_text().count('\n') < 2):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(kind)
        assert process.wait(60) == code
    with (run / '.lock').open() as lock:
        # Given up by the run's process, which outlives a killed sweep for a moment.
        fcntl.flock(lock, fcntl.LOCK_EX)
    last = (run / 'updates.csv').read_text().splitlines()[-1].split(',')[0]
    # A log row every second update: the checkpoint is of the moment of the signal.
    assert read(run / 'checkpoint.pt')['progress']['step'] - int(last) in (0, 1)


@pytest.mark.slow
def test_on_ray(demonstrations: Path, tmp_path: Path) -> None:
    pytest.importorskip('ray')
    with start(tmp_path, demonstrations, '--seeds', '0', '1', '--parallel', '2') as process:
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert '| 2 of 2 |' in said
    weights = [
        read(tmp_path / f'seed={seed}' / 'checkpoint.pt')['agent'] for seed in (0, 1)]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_ctrl_c_while_a_process_starts_leaves_no_traceback(
        tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The terminal sends it to all processes; the sweep then asks each to end."""
    workers = LocalProcesses(tmp_path)
    workers.start(runs_of()[0])
    process = multiprocessing.active_children()[0]
    assert process.pid is not None
    # During its imports, which take seconds.
    os.kill(process.pid, signal.SIGINT)
    assert workers.wait(1.0) == []
    workers.stop()
    ended = []
    while not ended:
        ended = workers.wait(1.0)
    assert [code for _, code in ended] == [-signal.SIGTERM]
    assert 'KeyboardInterrupt' not in capfd.readouterr().err
    # Ctrl-C still reaches this program.
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
