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
"""Readiness checks of a run: faults are reported before the first update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import util
import os
from pathlib import Path
import resource
import shutil
from types import SimpleNamespace
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.learning.scenes import of_scene  # noqa: E402
from testing.learning.small_runs import small  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.common import disk  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.evaluation.environments import EnvironmentFailed  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.trainer import readiness, session  # noqa: E402
from training.learning.trainer.checkpoint_file import read  # noqa: E402
from training.learning.trainer.log import read_rows  # noqa: E402
from training.learning.trainer.run import prepare, swap, train  # noqa: E402
from training.learning.trainer.session import TrainingError  # noqa: E402
from training.train import main  # noqa: E402


def test_too_little_memory_for_an_update(tmp_path: Path, config: TrainConfig) -> None:
    """With what the system grants now, and a third of a gigabyte; earlier updates are kept."""
    config = replace(config, environment='none', steps=4, checkpoint_every=1)
    assert train(tmp_path / 'run', config, until=2).step == 2
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, before[1]))
    try:
        with pytest.raises(TrainingError, match=(
                r'device cpu: found too little memory \(.*allocate.*\) for --batch-size 65536, '
                r'--pool 2 and --hidden 1024, .*; none was saved$')):
            train(tmp_path / 'large', replace(config, batch_size=2**16, hidden=(1024,)))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    with pytest.raises(TrainingError, match='too little memory .* the last good checkpoint is'), (
            session.memory_errors(config, tmp_path / 'run' / 'checkpoint.pt')):
        np.zeros((2**24, 2**24))
    assert train(tmp_path / 'run', config, resume=True).step == 4


class Toy(gymnasium.Env):
    """Ends after two steps, with the sizes of OGBench's cube-single by default."""

    def __init__(
            self, observation: int = 28, action: int = 5, reach: float = 1.0,
            informed: bool = True, fails: bool = False) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (observation,))
        self.action_space = gymnasium.spaces.Box(-reach, reach, (action,))
        self.informed, self.fails, self.steps = informed, fails, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        self.steps = 0
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        if self.fails:
            raise ZeroDivisionError('no table')
        self.steps += 1
        info = {'success': False} if self.informed else {}
        observation = np.zeros(self.observation_space.shape, np.float32)
        return observation, -1.0, False, self.steps == 2, info


def toys(
        environment: str, count: int, provenance: Any = None, draw_every: int = 1,
        **kinds: Any) -> SyncVectorEnv:
    return SyncVectorEnv(
        [partial(Toy, **kinds)] * count, autoreset_mode=AutoresetMode.DISABLED)


@pytest.fixture(name='config')
def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Make settings of a short run with evaluations in a toy."""
    stored.save(tmp_path / 'data.npz', of_scene('cube-single'))
    monkeypatch.setattr(session, 'start', toys)
    return TrainConfig(
        data=str(tmp_path / 'data.npz'), hidden=(8,), batch_size=4, steps=6, threads=1, pool=2,
        top=1, log_every=2, evaluate_every=2, episodes=2, environments=2)


def count_updates(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    update, taken = Agent.update, []

    def counting(self: Agent, batch: Any, **options: Any) -> Any:
        taken.append(1)
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', counting)
    return taken


@pytest.mark.parametrize(('kinds', 'words'), [
    ({'observation': 27}, r'has observations of shape \(27,\), the data have \(28,\)'),
    ({'action': 6}, r'has actions of shape \(6,\), the data have \(5,\)'),
    ({'reach': 2.0}, 'has actions from -2 to 2, expected -1 to 1'),
    ({'informed': False}, 'returned no success flag, or a reward or observation'),
    ({'fails': True}, r'first step of an evaluation in .* failed \(ZeroDivisionError: no table\)'),
])
def test_an_evaluation_that_would_fail_is_known_before_the_first_update(
        config: TrainConfig, kinds: dict, words: str, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, 'start', partial(toys, **kinds))
    taken = count_updates(monkeypatch)
    with pytest.raises(readiness.NotReady, match=words):
        train(tmp_path / 'run', config)
    assert not taken


def no_onnx(monkeypatch: pytest.MonkeyPatch) -> str:
    find = util.find_spec
    monkeypatch.setattr(
        util, 'find_spec', lambda name, *more: None if name == 'onnx' else find(name, *more))
    return 'onnx: not installed'


def other_graph(monkeypatch: pytest.MonkeyPatch) -> str:
    from training.onnx_export import policy_graph as onnx_graph
    write = onnx_graph.policy_model

    def changed(agent: Agent, spec: Any) -> Any:
        with torch.no_grad():
            agent.actor.network.layers[-1].bias[0] += 0.1
        model = write(agent, spec)
        with torch.no_grad():
            agent.actor.network.layers[-1].bias[0] -= 0.1
        return model

    monkeypatch.setattr(onnx_graph, 'policy_model', changed)
    return 'export: the policy file of these settings would be refused .*action: PyTorch and'


def full_disk(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(
        shutil, 'disk_usage', lambda path: SimpleNamespace(total=1, used=1, free=10_000))
    return 'found 10.0 kB free there, expected .* for two checkpoints of'


@pytest.mark.parametrize('fault', [no_onnx, other_graph, full_disk])
def test_export_and_disk_are_tried_before_the_first_update(
        config: TrainConfig, fault: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    words = fault(monkeypatch)
    taken = count_updates(monkeypatch)
    with pytest.raises((readiness.NotReady, TrainingError), match=words):
        train(tmp_path / 'run', config)
    assert not taken
    assert not list((tmp_path / 'run').rglob('*.onnx'))


def test_a_run_folder_that_cannot_be_written(
        config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'file').touch()
    taken = count_updates(monkeypatch)
    asked = ['small-clone', '--data', config.data, '--hidden', '8', '--threads', '1']
    assert main([*asked, '--run', str(tmp_path / 'file' / 'run')]) == 2
    assert f'{tmp_path}/file/run/checkpoint.pt: cannot be written' in capsys.readouterr().err
    assert not taken


def test_episodes_shorter_than_a_chunk_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    stored.save(tmp_path / 'short.npz', drawn([3, 4] * 5))
    config = replace(
        config, data=str(tmp_path / 'short.npz'), environment='none', horizon=5)
    with pytest.raises(readiness.NotReady, match='no episode longer than 4 steps, expected'):
        train(tmp_path / 'run', config)


@pytest.mark.parametrize('absurd', [{'replay': 10**12}, {'online_steps': 10**12}])
def test_room_for_more_transitions_than_the_memory_has_is_refused(
        absurd: dict[str, int], tmp_path: Path) -> None:
    """All of it is written at the start, and the system would end some other process."""
    stored.save(tmp_path / 'data.npz', drawn([20, 20]))
    config = small(tmp_path / 'data.npz', online_start=0)
    with pytest.raises(readiness.NotReady, match=r'memory: found room for 1000000\d+ transitions'):
        prepare('run', replace(config, **absurd))
    for changes in ({'replay': 41, 'online_steps': 1}, {'replay': 40}):
        assert len(prepare('run', replace(config, **changes)).buffer) == 40


def test_a_run_that_has_begun_is_not_ended_by_what_others_take(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the next one of numbered files, after any number of updates; the longest counts."""
    for i, length in enumerate((20, 50, 30)):
        stored.save(tmp_path / f'many-{i:03d}.npz', drawn([length], seed=i))
    free = tmp_path / 'meminfo'
    monkeypatch.setattr('training.common.free_memory._MEMINFO', free)
    free.write_text('MemAvailable: 4 kB\n')
    config = small(tmp_path / 'many', online_start=0, online_steps=10, swap_every=1)
    state, found = prepare('run', config), []
    free.write_text('MemAvailable: 3 kB\n')
    with pytest.raises(readiness.NotReady, match='memory: found room for 60 transitions'):
        prepare('run', config)
    for step in range(3):
        state.progress.step = step
        swap(state)
        found.append(state.buffer.capacity)
    assert sorted(found) == [30, 40, 60]
    with pytest.raises(readiness.NotReady, match='replay: found 49, expected 0, or at least 50'):
        prepare('run', replace(config, replay=49))


def test_what_is_tried_changes_nothing_that_is_learned(
        config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path / 'tried', config)
    for name in ('require_export', 'require_evaluation', 'require_space'):
        monkeypatch.setattr(readiness, name, lambda *_: None)
    train(tmp_path / 'plain', config)
    tried, plain = (read(tmp_path / name / 'checkpoint.pt') for name in ('tried', 'plain'))
    assert tried['batch_random'] == plain['batch_random']
    assert torch.equal(tried['torch_random'], plain['torch_random'])
    assert all(torch.equal(tried['agent'][key], plain['agent'][key]) for key in plain['agent'])


def test_the_first_checkpoint_comes_with_the_first_update(
        config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run killed in its second update resumes from its first."""
    update, taken = Agent.update, []

    def dying(self: Agent, batch: Any, **options: Any) -> Any:
        taken.append(1)
        if len(taken) == 2:
            raise KeyError('killed')
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', dying)
    with pytest.raises(KeyError, match='killed'):
        train(tmp_path / 'run', config)
    assert read(tmp_path / 'run' / 'checkpoint.pt')['progress']['step'] == 1
    assert train(tmp_path / 'run', config, resume=True).step == 6


@pytest.mark.parametrize('fails', [1, 3])
def test_an_evaluation_that_fails_costs_no_update(
        config: TrainConfig, fails: int, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint is written before it; a resumed run evaluates again, once."""
    evaluate, asked = session.evaluate, []

    def failing(*arguments: Any) -> Any:
        asked.append(1)
        if len(asked) == fails:
            raise EnvironmentFailed('the process of environment 1 ended')
        return evaluate(*arguments)

    monkeypatch.setattr(session, 'evaluate', failing)
    with pytest.raises(TrainingError, match=r'environment 1 ended; the last good checkpoint is'):
        train(tmp_path / 'run', config)
    assert read(tmp_path / 'run' / 'checkpoint.pt')['progress']['step'] == 2 * fails
    assert train(tmp_path / 'run', config, resume=True).step == 6
    rows = read_rows(tmp_path / 'run' / 'evaluations.csv')
    assert [row['step'] for row in rows] == [2, 4, 6]
    train(tmp_path / 'run', config, resume=True)
    assert len(read_rows(tmp_path / 'run' / 'evaluations.csv')) == 3


def test_room_is_asked_for_by_the_networks_size(
        config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requested space is that of the run, plus a margin."""
    asked: list[int] = []
    monkeypatch.setattr(
        readiness, 'require_room', lambda folder, needed, what: asked.append(needed))
    config = replace(config, hidden=(64, 64))
    train(tmp_path / 'run', config)
    took = os.path.getsize(tmp_path / 'run' / 'checkpoint.pt')
    assert took < asked[0] < 4 * took
    assert disk.free_bytes(tmp_path / 'none' / 'yet')
