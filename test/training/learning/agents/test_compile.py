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
"""Compiled updates: equal to eager ones, resumable, and the need for a compiler."""

from __future__ import annotations

from dataclasses import replace
import functools
import os
from pathlib import Path
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from testing import ROOT
from testing.learning.batches import episodes

torch = pytest.importorskip('torch')

from training.config import TrainConfig  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.agents.batch import Batch  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.learning.trainer.checkpoint import load_agent  # noqa: E402
from training.learning.trainer.checkpoint_file import read  # noqa: E402
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402

SMALL = TrainConfig(
    hidden=(32, 24), batch_size=128, horizon=2, best_of=3, pool=4, top=2, instantaneous=0.5,
    flow_steps=3, normalise_value=True)
# Of equal shapes, so that there are fewer loops for the C++ compiler.
UNIFORM = replace(SMALL, hidden=(32, 32), pool=3)
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get('CXX', 'g++')) is None, reason='no C++ compiler is here')


# All policies have the same networks, which torch.compile traces for their own shapes; the C++
# compiler takes half a minute for what was traced, and gets that of one policy.
@pytest.mark.parametrize(('policy', 'backend'), [
    pytest.param('dfp', 'inductor', marks=[needs_compiler, pytest.mark.slow]),
    *((policy, 'aot_eager') for policy in ('flow', 'fql', 'meanflow', 'driftql'))])
def test_losses_and_gradients_equal_the_plain_ones(
        policy: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(torch, 'compile', functools.partial(torch.compile, backend=backend))
    config = replace(SMALL if backend == 'aot_eager' else UNIFORM, policy=policy)
    data = ReplayBuffer(episodes([40] * 4), 2, 0.99)
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        agent = Agent(config, 3, 2, Normaliser(torch.zeros(3), torch.ones(3)))
        names = list(agent.state_dict())
        if compiled:
            agent.compile_networks()
        assert list(agent.state_dict()) == names
        batch = data.sample(128, np.random.default_rng(0)).normalised(agent.normaliser)
        torch.manual_seed(1)
        losses = agent.critic_loss(batch)[0], agent.actor_loss(batch)[0]
        sum(losses).backward()
        found.append([*losses, *(each.grad for each in agent.trained)])
    for plain, quick in zip(*found, strict=True):
        torch.testing.assert_close(quick, plain, rtol=1e-3, atol=1e-6)
    passes = torch._dynamo.utils.counters['stats']['unique_graphs']
    assert passes > 3


def test_resumed_run_equals_an_uninterrupted_one(
        drawn_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The second half runs in a process of its own, which traces and compiles anew.

    It goes on from what a kill of the run in its fifth update would have left.
    """
    monkeypatch.setattr(torch, 'compile', functools.partial(torch.compile, backend='aot_eager'))
    config = replace(
        SMALL, data=str(drawn_data), environment='none', compile=True, steps=6, log_every=2,
        checkpoint_every=3, threads=1)
    update, taken = Agent.update, []

    def copying(self: Agent, batch: Batch, **options: Any) -> Any:
        taken.append(1)
        if len(taken) == 5:
            shutil.copytree(tmp_path / 'whole', tmp_path / 'halves')
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', copying)
    train(tmp_path / 'whole', config)
    assert read(tmp_path / 'halves' / 'checkpoint.pt')['progress']['step'] == 3
    script = (
        'import functools, sys, torch; from pathlib import Path\n'
        'torch.compile = functools.partial(torch.compile, backend="aot_eager")\n'
        'from training.config import TrainConfig\n'
        'from training.train import train\n'
        'train(Path(sys.argv[1]), TrainConfig.from_json(sys.argv[2]), resume=True)\n')
    subprocess.run(
        [sys.executable, '-c', script, str(tmp_path / 'halves'), config.to_json()], cwd=ROOT,
        timeout=600, check=True)
    whole, halves = (read(tmp_path / name / 'checkpoint.pt') for name in ('whole', 'halves'))
    assert halves['progress']['step'] == 6
    assert all(torch.equal(whole['agent'][key], halves['agent'][key]) for key in whole['agent'])
    # A reader of the checkpoint, the export among them, needs no compiler.
    agent, *_ = load_agent(tmp_path / 'whole' / 'checkpoint.pt')
    assert agent.critic.compiled is None


def test_no_compiler_is_said(drawn_data: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, '-m', 'training.train', 'small-clone', '--compile', '--run',
         str(tmp_path / 'run'), '--data', str(drawn_data), '--environment', 'none', '--hidden',
         '16'], cwd=ROOT,
        env={**os.environ, 'CXX': '/no/such/compiler',
             'TORCHINDUCTOR_CACHE_DIR': str(tmp_path / 'cache')},
        capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert 'found no working compiler for the device cpu' in done.stderr
    assert 'install a C++ compiler, g++, or set the variable CXX to one' in done.stderr
    assert 'Traceback' not in done.stderr
