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
"""Online phase: stored transitions, and the bootstrap at a time limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import os
from pathlib import Path
import resource
import signal
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.learning.runs import settings, unevaluated  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.trainer import run as run_module  # noqa: E402
from training.learning.trainer.checkpoint_file import read  # noqa: E402
from training.learning.trainer.explorer import Explorer  # noqa: E402
from training.learning.trainer.log import read_rows  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.learning.trainer.session import TrainingError  # noqa: E402
from training.train import main  # noqa: E402

ONLINE = {
    'steps': 6, 'online_steps': 30, 'online_start': 12, 'horizon': 5, 'best_of': 2,
    'log_every': 1, 'checkpoint_every': 1000}


class Corridor(gymnasium.Env):
    """Walk from a seeded place; solved beyond 1, out of time after six steps."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.place, self.steps = float(self.np_random.uniform(-0.5, 0.5)), 0
        return np.array([self.place]), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.place += 0.5 * float(action[0])
        self.steps += 1
        solved = self.place > 1
        return np.array([self.place]), -2.0, solved, self.steps == 6, {'success': solved}


def forward(observation: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Move forward if the first noise is positive: some episodes are solved, some are not."""
    return np.full((2, 1), 1.0 if noise[0, 0] > -0.3 else -1.0, np.float32)


def explorer(sparse: bool = False) -> Explorer:
    return Explorer(Corridor(), forward, 3, 2, 1.0, seed=5, sparse=sparse)


@pytest.mark.parametrize('sparse', [False, True])
def test_steps_tell_solved_from_out_of_time(sparse: bool) -> None:
    subject = explorer(sparse)
    rows = [subject.step() for _ in range(60)]
    ends = [row for row in rows if row['terminals']]
    assert {row['masks'] for row in ends} == {0.0, 1.0}
    assert subject.solved == [row['masks'] == 0 for row in ends]
    for row, following in zip(rows, rows[1:], strict=False):
        solved = row['next_observations'][0] > 1
        assert row['masks'] == float(not solved)
        assert row['rewards'] == (-float(not solved) if sparse else -2.0)
        if not row['terminals']:
            np.testing.assert_array_equal(row['next_observations'], following['observations'])


def test_the_queue_ends_with_the_episode() -> None:
    """A chunk of two that is cut by the end of an episode is not played in the next."""
    asked = []

    def counting(observation: np.ndarray, noise: np.ndarray) -> np.ndarray:
        asked.append(observation.copy())
        return np.full((4, 1), -0.1, np.float32)

    subject = Explorer(Corridor(), counting, 1, 1, 1.0, seed=0, sparse=False)
    firsts = [row['observations'] for row in (subject.step() for _ in range(18))][::6]
    assert len(asked) == 6  # two chunks of four in each episode of six steps
    for first in firsts:
        assert any(np.array_equal(first, seen) for seen in asked)


def test_an_explorer_scales_its_noise() -> None:
    seen = []

    def watching(observation: np.ndarray, noise: np.ndarray) -> np.ndarray:
        seen.append(noise.copy())
        return np.zeros((1, 1), np.float32)

    for scale in (1.0, 0.5):
        Explorer(Corridor(), watching, 2, 3, scale, seed=0, sparse=False).step()
    assert seen[0].any()
    np.testing.assert_array_equal(seen[1], 0.5 * seen[0])


@pytest.mark.parametrize('steps', [0, 3, 6, 11, 25])
def test_an_explorer_goes_on_where_it_was(steps: int) -> None:
    first, again = explorer(), explorer()
    for _ in range(steps):
        first.step()
    again.restore(first.state())
    for _ in range(20):
        one, other = first.step(), again.step()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert first.solved == again.solved


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TrainConfig], Path]:
    """Train with each of the settings once, without an interruption; return the run's folder."""
    made: dict[str, Path] = {}

    def get(config: TrainConfig) -> Path:
        key = config.to_json()
        if key not in made:
            run = tmp_path_factory.mktemp('whole') / 'run'
            assert train(run, config).step == config.updates
            made[key] = run
        return made[key]

    return get


@pytest.mark.parametrize(('policy', 'updates', 'cut'), [
    ('dfp', 24, 4), ('dfp', 24, 15), ('meanflow', 24, 4), ('meanflow', 24, 15),
    *(pytest.param(policy, 200, cut, marks=pytest.mark.long)
      for policy in ('dfp', 'flow', 'fql', 'meanflow', 'driftql') for cut in (50, 100, 150))])
def test_resume_is_exact_in_both_phases(
        demonstrations: Path, trained: Callable[[TrainConfig], Path], tmp_path: Path,
        policy: str, updates: int, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is cut equals one that is not: in the offline phase, at the switch, online."""
    phases = {} if updates == 24 else {'steps': 100, 'online_steps': 112}
    config = settings(demonstrations, **ONLINE | phases, policy=policy)
    assert config.updates == updates
    runs = trained(config), tmp_path / 'halves'
    interrupt(monkeypatch, cut)
    assert train(tmp_path / 'halves', config).step == cut
    monkeypatch.undo()
    resumed = train(tmp_path / 'halves', config, resume=True)
    assert resumed.environment_steps == config.online_steps
    whole, halves = (read(run / 'checkpoint.pt') for run in runs)
    assert_equal(
        {name: whole[name] for name in whole if name not in ('progress', 'spec')},
        {name: halves[name] for name in whole if name not in ('progress', 'spec')})
    assert int(whole['replay']['added']) == config.online_steps
    columns = [read_rows(run / 'updates.csv') for run in runs]
    assert [row['critic_loss'] for row in columns[0]] == [row['critic_loss'] for row in columns[1]]


class Killed(BaseException):
    """What stands for SIGKILL: nothing is written after it."""


def test_a_killed_run_goes_on_with_the_policy_that_acted_in_its_episode(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a later episode, of which the checkpoint knows nothing, acted in the rest of it."""
    single, update = run_module.single, Agent.update
    monkeypatch.setattr(run_module, 'single', lambda *words: TimeLimit(single(*words), 8))
    # Of episodes of eight steps, the checkpoint after 20 updates is in the fourth.
    config = settings(demonstrations, **ONLINE | {
        'online_steps': 40, 'checkpoint_every': 10}, acts='exported')
    train(tmp_path / 'whole', config)
    taken = []

    def killing(self: Agent, batch: Any, **options: Any) -> Any:
        taken.append(1)
        if len(taken) == 29:
            raise Killed
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', killing)
    with pytest.raises(Killed):
        train(tmp_path / 'run', config)
    monkeypatch.setattr(Agent, 'update', update)
    saved = read(tmp_path / 'run' / 'checkpoint.pt')
    assert saved['progress']['step'] == 20
    assert int(saved['explorer']['episode']) == 3
    assert int(saved['explorer']['draws']) == 1
    train(tmp_path / 'run', config, resume=True)
    whole, resumed = (read(tmp_path / name / 'checkpoint.pt') for name in ('whole', 'run'))
    for part in ('agent', 'optimiser', 'replay', 'explorer', 'torch_random', 'batch_random'):
        assert_equal(whole[part], resumed[part])
    assert len(list((tmp_path / 'run').glob('acting*.onnx'))) <= 3


def test_a_longer_online_phase_equals_one_that_was_long_from_the_start(
        demonstrations: Path, tmp_path: Path) -> None:
    config = settings(demonstrations, **ONLINE | {'online_steps': 20, 'online_start': 14})
    longer = replace(config, online_steps=26)
    train(tmp_path / 'long', longer)
    train(tmp_path / 'run', config)
    train(tmp_path / 'run', longer, resume=True)
    long, run = (read(tmp_path / name / 'checkpoint.pt') for name in ('long', 'run'))
    for part in ('agent', 'optimiser', 'replay', 'explorer', 'torch_random', 'batch_random'):
        assert_equal(long[part], run[part])


def interrupt(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    """Have SIGTERM end a run with its update number ``cut``."""
    update, taken = Agent.update, []

    def interrupting(self: Agent, batch: Any, **options: Any) -> Any:
        taken.append(1)
        if len(taken) == cut:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', interrupting)


def assert_equal(one: Any, other: Any) -> None:
    """Compare nested dictionaries and lists, tensors bit for bit."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        for first, second in zip(one, other, strict=True):
            assert_equal(first, second)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_the_switch_starts_improvement_and_keeps_the_data(
        demonstrations: Path, tmp_path: Path) -> None:
    config = settings(demonstrations, **ONLINE, anchor_rate=1e-9)
    train(tmp_path / 'offline', replace(config, online_steps=0, value_weight=0.0))
    train(tmp_path / 'both', config)
    rows = read_rows(tmp_path / 'both' / 'updates.csv')
    assert ['ascent_force' in row for row in rows] == [False] * 6 + [True] * 18
    assert [row['environment_steps'] for row in rows] == [0] * 6 + list(range(13, 31))
    # The offline phase clones only, and the anchor is the policy as it was at the switch.
    cloned = read(tmp_path / 'offline' / 'checkpoint.pt')['agent']
    both = read(tmp_path / 'both' / 'checkpoint.pt')['agent']
    for name, value in cloned.items():
        if name.startswith('actor.network.'):
            torch.testing.assert_close(
                both[name.replace('network', 'anchor')], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize('cut', [4, 7])
def test_an_offline_run_may_clone_first(
        drawn_data: Path, trained: Callable[[TrainConfig], Path], tmp_path: Path, cut: int,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """The anchor is then the cloned policy; a run interrupted before or after resumes exactly."""
    config = unevaluated(
        drawn_data, steps=10, improve_after=6, log_every=1, anchor_rate=1e-9)
    clone = trained(replace(config, steps=6, improve_after=0, value_weight=0.0))
    run = trained(config)
    rows = read_rows(run / 'updates.csv')
    assert ['ascent_force' in row for row in rows] == [False] * 6 + [True] * 4
    cloned = read(clone / 'checkpoint.pt')['agent']
    whole = read(run / 'checkpoint.pt')['agent']
    for name, value in cloned.items():
        if name.startswith('actor.network.'):
            torch.testing.assert_close(
                whole[name.replace('network', 'anchor')], value, rtol=0, atol=1e-6)

    interrupt(monkeypatch, cut)
    assert train(tmp_path / 'halves', config).step == cut
    monkeypatch.undo()
    train(tmp_path / 'halves', config, resume=True)
    assert_equal(whole, read(tmp_path / 'halves' / 'checkpoint.pt')['agent'])


def test_a_full_disk_is_said_and_the_checkpoint_kept(
        drawn_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own limit on a file's size stands for a disk that is full."""
    run, saved = tmp_path / 'run', tmp_path / 'run' / 'checkpoint.pt'
    update, kept = Agent.update, []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def filling(self: Agent, batch: Any, **options: Any) -> Any:
        if saved.exists() and not kept:
            kept.append(saved.read_bytes())
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', filling)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(TrainingError, match=r'checkpoint.pt: cannot be written \(.*free some '
                           r'space .* then use --resume, the last good checkpoint is'):
            train(run, unevaluated(drawn_data, steps=20, checkpoint_every=10))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert saved.read_bytes() == kept[0]
    assert [path.name for path in run.glob('*partial*')] == []
    monkeypatch.undo()
    assert train(run, unevaluated(drawn_data, steps=20), resume=True).step == 20


def test_an_online_phase_without_updates_is_refused() -> None:
    with pytest.raises(ValueError, match='online_steps: found 4, expected 0, or more than'):
        settings(Path('data'), online_steps=4, online_start=4)


def test_sigterm_ends_a_run_with_a_checkpoint(
        drawn_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    update = Agent.update

    def terminating(self: Agent, batch: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', terminating)
    asked = ['small-clone', '--run', str(tmp_path), '--data', str(drawn_data)]
    assert main([*asked, '--environment', 'none', '--hidden', '16', '--threads', '1']) == 130
    assert '1 of 6000 updates; stopped, continue with --resume' in capsys.readouterr().out
    assert read(tmp_path / 'checkpoint.pt')['progress']['step'] == 1
