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
"""Distributed training: two processes with half the batch each equal one with the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from testing import ROOT

torch = pytest.importorskip('torch')

from torch import distributed as torch_distributed  # noqa: E402
from torch import multiprocessing  # noqa: E402

from testing.learning.batches import episodes  # noqa: E402
from testing.learning.runs import settings, unevaluated  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.learning import distributed  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.agents.batch import Batch  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.learning.trainer.checkpoint_file import read  # noqa: E402
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.learning.trainer.session import TrainingError  # noqa: E402
from training.train import main  # noqa: E402

UPDATES = 3
# The update within which one of two ranks receives a signal.
INTERRUPTED = 3
SMALL = TrainConfig(
    hidden=(16, 16), batch_size=16, horizon=3, pool=4, top=2, best_of=3, bandwidths=(0.05, 0.5))


def learn(config: TrainConfig, kind: torch.dtype) -> dict[str, Any]:
    """Make a few updates; return gradients, log and weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.set_default_dtype(kind)
    agent = Agent(config, 3, 2, Normaliser(torch.zeros(3), torch.ones(3)))
    # Short episodes: a third of the chunks cross an end, unevenly over the two halves.
    buffer = ReplayBuffer(episodes([4, 5, 3, 6] * 5), config.horizon, config.discount)
    generator = np.random.default_rng(0)
    gradients, logged = [], []
    for _ in range(UPDATES):
        batch = buffer.sample(config.batch_size, generator)
        batch = Batch(**{
            name: part.to(kind) if isinstance(part, torch.Tensor) else part
            for name, part in vars(batch).items()})
        logged.append({
            name: float(value) for name, value in {
                **agent.update(batch), **agent.look(batch)}.items()})
        gradients.append([p.grad.clone() for p in agent.trained])
    torch.set_default_dtype(torch.float32)
    return {
        'gradients': gradients, 'logged': logged, 'agent': agent.state_dict(),
        'random': torch.get_rng_state()}


@contextmanager
def one_of_two(rank: int, meeting: str) -> Iterator[None]:
    """Be one of two ranks; a lost message ends the test, not the patience of its reader."""
    torch_distributed.init_process_group(
        'gloo', init_method=f'file://{meeting}', rank=rank, world_size=2,
        timeout=timedelta(seconds=60))
    try:
        assert (distributed.count(), distributed.own()) == (2, rank)
        yield
    finally:
        torch_distributed.destroy_process_group()
        # One that is left takes the interpreter's lock as it ends, and the process is aborted.
        left = [task.read_text().strip() for task in Path('/proc/self/task').glob('*/comm')]
        assert 'pt_gloo_runloop' not in left, left


# Double precision besides: in single precision Adam makes much of the last bit of a gradient that
# is nearly zero, so that weights can be compared in double precision alone.
CASES = {
    **{policy: (replace(SMALL, policy=policy), torch.float32)
       for policy in ('dfp', 'flow', 'fql', 'meanflow', 'driftql')},
    'double': (SMALL, torch.float64)}


def share(rank: int, folder: str, config: TrainConfig) -> None:
    """Learn every case as one of two ranks; then train, and only the second receives a signal."""
    with one_of_two(rank, f'{folder}/meeting'):
        torch.save({name: learn(*case) for name, case in CASES.items()}, f'{folder}/found.{rank}')
        interrupt(rank)
        assert train(Path(folder, 'run'), config).step == INTERRUPTED


def interrupt(rank: int) -> None:
    """Send this process a signal in one of its next updates, if it is the second."""
    update, taken = Agent.update, []

    def interrupting(self: Agent, batch: Batch, **options: Any) -> Any:
        taken.append(1)
        if len(taken) == INTERRUPTED and rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, batch, **options)

    Agent.update = interrupting


@pytest.fixture(scope='module')
def ranks(drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of two ranks, which take longer to start than to learn."""
    folder = tmp_path_factory.mktemp('ranks')
    multiprocessing.spawn(share, (str(folder), unevaluated(drawn_data)), nprocs=2)
    return folder


@pytest.fixture(scope='module')
def shared(ranks: Path) -> list[dict[str, Any]]:
    """Every case as two ranks found it."""
    return [torch.load(ranks / f'found.{rank}', weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize('case', CASES)
def test_two_halves_equal_a_whole(case: str, shared: list[dict[str, Any]]) -> None:
    whole, halves = learn(*CASES[case]), [found[case] for found in shared]
    # Both ranks are bit for bit one: the sums are, and so are the random numbers.
    for name, value in halves[0]['agent'].items():
        assert torch.equal(value, halves[1]['agent'][name])
    assert halves[0]['logged'] == halves[1]['logged']
    assert torch.equal(halves[0]['random'], whole['random'])
    for one, other in zip(whole['gradients'], halves[0]['gradients'], strict=True):
        largest = max(gradient.abs().max() for gradient in one)
        for first, second in zip(one, other, strict=True):
            assert (first - second).abs().max() <= 1e-5 * largest
    for one, other in zip(whole['logged'], halves[0]['logged'], strict=True):
        assert other == pytest.approx(one, rel=1e-4, abs=1e-5)


def test_weights_equal_those_of_one_process(shared: list[dict[str, Any]]) -> None:
    whole, halves = learn(*CASES['double']), [found['double'] for found in shared]
    for name, value in whole['agent'].items():
        torch.testing.assert_close(halves[0]['agent'][name], value, rtol=1e-9, atol=1e-9)
    for one, other in zip(whole['gradients'], halves[0]['gradients'], strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)


def test_a_signal_to_one_rank_stops_all_at_the_same_update(ranks: Path) -> None:
    """Each rank has found itself at that update, too."""
    assert read(ranks / 'run' / 'checkpoint.pt')['progress']['step'] == INTERRUPTED


@pytest.mark.slow
@pytest.mark.parametrize('kind', [
    signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_to_torchrun_checkpoints_and_ends(
        kind: signal.Signals, drawn_data: Path, tmp_path: Path) -> None:
    """It hands SIGTERM and SIGINT on alike, and a process alike stops at either."""
    run = tmp_path / 'run'
    with subprocess.Popen(
            [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node',
             '2', '-m', '--', 'training.train', 'cpu', '--run', str(run), '--data',
             str(drawn_data), '--environment', 'none', '--hidden', '16', '16', '--batch-size', '8',
             '--threads', '1', '--steps', '1000000', '--log-every', '1', '--checkpoint-every',
             '5'],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        while not (run / 'checkpoint.pt').exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(kind)
        process.communicate(timeout=60)
    last = (run / 'updates.csv').read_text().splitlines()[-1].split(',')[0]
    # Each update is logged: the checkpoint is of the last, not of the last five.
    assert read(run / 'checkpoint.pt')['progress']['step'] == int(last)


def test_alone_it_is_the_plain_thing() -> None:
    values, weights = torch.rand(5, 3), torch.tensor([1.0, 0, 1, 0, 0])
    assert (distributed.count(), distributed.own()) == (1, 0)
    assert torch.equal(distributed.batch_mean(values), values.mean())
    torch.testing.assert_close(distributed.batch_mean(values, weights), values[[0, 2]].mean())
    assert distributed.batch_mean(values, torch.zeros(5)) == 0
    assert torch.equal(distributed.rows(values), values)


def test_torchrun_trains_as_one_process_does(
        demonstrations: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Both phases: only the first rank writes, and one process resumes a run of two."""
    arguments = [
        'small-offline', '--data', str(demonstrations), '--steps', '3', '--online-steps', '14',
        '--online-start', '10', '--hidden', '16', '16', '--batch-size', '8', '--episodes', '1',
        '--threads', '1', '--log-every', '1', '--learning-rate', '1e-4', '--schedule', 'constant']
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
         '-m', '--', 'training.train', *arguments, '--run', str(tmp_path / 'two')], cwd=ROOT,
        capture_output=True, text=True, timeout=240, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('7 of 7 updates') == 1
    assert main([*arguments, '--run', str(tmp_path / 'one')]) == 0
    assert capfd.readouterr().out.count('7 of 7 updates') == 1
    two, one = (read(tmp_path / name / 'checkpoint.pt') for name in ('two', 'one'))
    for name, value in one['agent'].items():
        torch.testing.assert_close(two['agent'][name], value, rtol=0, atol=1e-5)
    # What was done and what it earned. Not what was seen: a contact makes 2e-4 of an action's
    # last bit within a step.
    for name in ('actions', 'rewards', 'masks', 'terminals'):
        torch.testing.assert_close(
            two['replay'][name], one['replay'][name], rtol=0, atol=1e-5)
    assert two['batch_random'] == one['batch_random']
    assert main([*arguments, '--run', str(tmp_path / 'two'), '--resume']) == 0


def test_a_batch_that_cannot_be_shared_is_refused(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, 'count', lambda: 3)
    with pytest.raises(TrainingError, match='batch_size: found 16, expected a multiple of the 3'):
        train(tmp_path, settings(demonstrations))
