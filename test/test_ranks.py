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
"""Two processes with half the batch each do what one does with the whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from test_buffer import episodes  # noqa: E402
from test_train import settings  # noqa: E402
from torch import distributed, multiprocessing  # noqa: E402

from training import ranks  # noqa: E402
from training.agent import Agent  # noqa: E402
from training.buffer import ReplayBuffer  # noqa: E402
from training.checkpoint import read  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.networks import Normaliser  # noqa: E402
from training.session import TrainingError  # noqa: E402
from training.train import train  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]

UPDATES = 3
SMALL = TrainConfig(
    hidden=(16, 16), batch_size=16, horizon=3, pool=4, top=2, best_of=3, bandwidths=(0.05, 0.5))


def learn(config: TrainConfig) -> dict[str, Any]:
    """Take a few updates; keep the first gradients, what was logged, and the weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    agent = Agent(config, 3, 2, Normaliser(torch.zeros(3), torch.ones(3)))
    # Short episodes: a third of the chunks cross an end, unevenly over the two halves.
    buffer = ReplayBuffer(episodes([4, 5, 3, 6] * 5), config.horizon, config.discount)
    generator = np.random.default_rng(0)
    gradients, logged = [], []
    for _ in range(UPDATES):
        batch = buffer.sample(config.batch_size, generator)
        logged.append({
            name: float(value) for name, value in {
                **agent.update(batch), **agent.look(batch)}.items()})
        gradients.append([p.grad.clone() for p in agent.trained])
    return {
        'gradients': gradients, 'logged': logged, 'agent': agent.state_dict(),
        'random': torch.get_rng_state()}


def work(rank: int, meeting: str, config: TrainConfig, out: str) -> None:
    """Be one of two ranks."""
    distributed.init_process_group(
        'gloo', init_method=f'file://{meeting}', rank=rank, world_size=2,
        timeout=timedelta(seconds=60))
    try:
        assert (ranks.count(), ranks.own()) == (2, rank)
        torch.save(learn(config), f'{out}.{rank}')
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize('policy', ['dfp', 'fql', 'meanflow'])
def test_two_halves_equal_a_whole(policy: str, tmp_path: Path) -> None:
    config = replace(SMALL, policy=policy)
    whole = learn(config)
    out = str(tmp_path / 'found')
    multiprocessing.spawn(work, (str(tmp_path / 'meeting'), config, out), nprocs=2)
    halves = [torch.load(f'{out}.{rank}', weights_only=True) for rank in (0, 1)]
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


def test_alone_it_is_the_plain_thing() -> None:
    values, weights = torch.rand(5, 3), torch.tensor([1.0, 0, 1, 0, 0])
    assert (ranks.count(), ranks.own()) == (1, 0)
    assert torch.equal(ranks.batch_mean(values), values.mean())
    torch.testing.assert_close(ranks.batch_mean(values, weights), values[[0, 2]].mean())
    assert ranks.batch_mean(values, torch.zeros(5)) == 0
    assert torch.equal(ranks.rows(values), values)


def test_torchrun_trains_as_one_process_does(demonstrations: Path, tmp_path: Path) -> None:
    """Both phases; the first rank alone writes, and one process goes on where two stopped."""
    arguments = [
        'small-offline', '--data', str(demonstrations), '--steps', '3', '--online-steps', '14',
        '--online-start', '10', '--hidden', '16', '16', '--batch-size', '8', '--episodes', '1',
        '--threads', '1', '--log-every', '1', '--learning-rate', '1e-4', '--schedule', 'constant']
    module = ['-m', 'training.train', *arguments]
    shared = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node',
              '2', '-m', '--', *module[1:], '--run', str(tmp_path / 'two')]
    alone = [sys.executable, *module, '--run', str(tmp_path / 'one')]
    for command in (shared, alone):
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=240,
            env={**os.environ, 'OMP_NUM_THREADS': '1'})
        assert done.returncode == 0, done.stderr
        assert done.stdout.count('7 of 7 updates') == 1
    two, one = (read(tmp_path / name / 'checkpoint.pt') for name in ('two', 'one'))
    for name, value in one['agent'].items():
        torch.testing.assert_close(two['agent'][name], value, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(two['replay'], one['replay'], rtol=1e-4, atol=1e-4)
    assert two['batch_random'] == one['batch_random']
    again = subprocess.run(
        [*alone[:-1], str(tmp_path / 'two'), '--resume'], cwd=ROOT, capture_output=True,
        text=True, timeout=120)
    assert again.returncode == 0, again.stderr


def test_a_batch_that_cannot_be_shared_is_refused(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, 'count', lambda: 3)
    with pytest.raises(TrainingError, match='batch_size: found 16, expected a multiple of the 3'):
        train(tmp_path, settings(demonstrations))
