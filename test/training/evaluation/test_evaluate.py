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
"""Evaluation: reproducible results, errors instead of hanging, videos."""

from collections.abc import Callable, Iterator
from contextlib import closing
import csv
from dataclasses import replace
import json
import multiprocessing
import os
from pathlib import Path
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import gymnasium
from gymnasium.vector import VectorEnv
import numpy as np
from PIL import Image
import pytest

from dfp_ros.core.files.digest import sha256
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy, PolicyError
from dfp_ros.core.text.printable import printable
from dfp_ros.resources import find_shared
from dfp_ros.sim.simulation.ogbench_env import make_env
from dfp_ros.sim.simulation.render_backend import choose_backend, RenderingError
from testing import ROOT
from testing.policies.small_policy import cube_spec, write_policy
from training.evaluate import evaluate_file, main
from training.evaluation import environments
from training.evaluation.environments import EnvironmentFailed, start
from training.evaluation.episodes import Act, Episode
from training.evaluation.evaluation import discount_of, evaluate, Evaluation
from training.evaluation.video import Film

TASK = 'cube-single-singletask-task2-v0'
SHIPPED = find_shared('cube_single', 'models', '.onnx')


@pytest.fixture(scope='module')
def side_by_side() -> Iterator[Callable[[int], VectorEnv]]:
    """Environments by their number; each is started once."""
    started: dict[int, VectorEnv] = {}

    def get(count: int) -> VectorEnv:
        if count not in started:
            started[count] = start(TASK, count)
        return started[count]

    yield get
    for each in started.values():
        each.close()


@pytest.fixture
def pair() -> Iterator[environments.Processes]:
    """Two environments of the test's own, to be harmed."""
    with closing(environments.Processes(TASK, 2)) as started:
        yield started


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose a rendering backend."""
    monkeypatch.delenv('MUJOCO_GL', raising=False)
    try:
        choose_backend()
    except RenderingError:
        # Mesa's EGL draws in software, with no device to be found.
        monkeypatch.setenv('MUJOCO_GL', 'egl')


def acting(path: Path) -> tuple[Act, OnnxPolicy]:
    policy = OnnxPolicy(path)
    return lambda *inputs: policy.act(*inputs).actions, policy


def plain_episode(env: gymnasium.Env, policy: OnnxPolicy, seed: int) -> Episode:
    """Run an episode alone, in the simplest way."""
    spec = policy.spec
    noise = NoiseStream(seed, spec.candidates, spec.noise_size, spec.noise_scale)
    observation, _ = env.reset(seed=seed)
    actions: list[np.ndarray] = []
    rewards: list[float] = []
    while True:
        for action in policy.act(observation.astype(np.float32), noise.next()).actions:
            actions.append(action)
            observation, reward, terminated, truncated, info = env.step(action)
            rewards.append(float(reward))
            if terminated or truncated:
                discounted = sum(0.9 ** step * reward for step, reward in enumerate(rewards))
                return Episode(
                    seed, info['success'], len(actions), sum(rewards), discounted,
                    np.array(actions))


@pytest.fixture(scope='module', params=['shipped', 'chunks'])
def expected(
        request: pytest.FixtureRequest,
        tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Episode]]:
    """
    Seven episodes one after the other in one environment, or four of chunks, best of four.

    Those of the shipped policy are solved, after different numbers of steps.
    """
    path, count = SHIPPED, 7
    if request.param == 'chunks':
        path, count = tmp_path_factory.mktemp('policies') / 'chunks.onnx', 4
        write_policy(path, cube_spec(horizon=5, candidates=4, noise_scale=0.7))
    env, policy = make_env(TASK), OnnxPolicy(path)
    return path, [plain_episode(env, policy, seed) for seed in range(30, 30 + count)]


@pytest.mark.parametrize('count', [1, 3])
def test_same_bits_whatever_the_number_of_environments(
        expected: tuple[Path, list[Episode]], count: int,
        side_by_side: Callable[[int], VectorEnv]) -> None:
    path, episodes = expected
    act, policy = acting(path)
    found = evaluate(
        side_by_side(count), act, policy.spec, len(episodes), seed=30, discount=0.9)
    for one, other in zip(found.episodes, episodes, strict=True):
        assert replace(one, actions=None, discounted_return=0) == replace(
            other, actions=None, discounted_return=0)
        np.testing.assert_array_equal(one.actions, other.actions)
        assert one.discounted_return == pytest.approx(other.discounted_return, rel=1e-12)
    assert found.discounted_return == pytest.approx(
        np.mean([episode.discounted_return for episode in episodes]), rel=1e-12)


def test_fewer_episodes_than_environments(
        side_by_side: Callable[[int], VectorEnv]) -> None:
    """Idle environments do not affect the others, and the next evaluation starts anew."""
    act, policy = acting(SHIPPED)
    one, of_three, again = (
        evaluate(side_by_side(count), act, policy.spec, 1, seed=3).episodes[0]
        for count in (1, 3, 3))
    np.testing.assert_array_equal(one.actions, of_three.actions)
    np.testing.assert_array_equal(one.actions, again.actions)


def test_interval_is_wilsons() -> None:
    """Eight of ten: 0.490 to 0.943, as in tables of Wilson's interval."""
    episodes = tuple(
        Episode(seed, seed < 8, 1, 0.0, 0.0, np.zeros((1, 5))) for seed in range(10))
    found = Evaluation(episodes, 0.99)
    assert found.success == 0.8
    assert found.interval == pytest.approx((0.490, 0.943), abs=5e-4)


def test_discount_is_the_trainings() -> None:
    assert discount_of(cube_spec(provenance={'config': {'discount': 0.95}})) == 0.95
    assert discount_of(cube_spec(provenance={})) == 0.99
    assert discount_of(cube_spec(provenance={'config': 'lost'})) == 0.99


def test_environment_that_died(pair: environments.Processes) -> None:
    act, policy = acting(SHIPPED)

    def killing(observation: np.ndarray, noise: np.ndarray) -> np.ndarray:
        pair.processes[1].kill()
        return act(observation, noise)

    with pytest.raises(EnvironmentFailed, match=f'{TASK}: the process of environment 2 of 2 ended '
                       'with status -9; if memory ran out'):
        evaluate(pair, killing, policy.spec, 2, seed=0)
    pair.close()
    assert not any(process.is_alive() for process in pair.processes)


@pytest.mark.parametrize('where', ['reset', 'step'])
def test_environment_that_hangs(
        pair: environments.Processes, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, and ended although it would not end by itself."""
    act, policy = acting(SHIPPED)

    def hang() -> None:
        monkeypatch.setattr(environments, 'PATIENCE', 1.0)
        os.kill(pair.processes[0].pid, signal.SIGSTOP)

    def hanging(observation: np.ndarray, noise: np.ndarray) -> np.ndarray:
        hang()
        return act(observation, noise)

    if where == 'reset':
        hang()
    with pytest.raises(EnvironmentFailed, match='no response of environment 1 of 2 within 1 s'):
        evaluate(pair, hanging, policy.spec, 2, seed=0)
    pair.close()
    assert not any(process.is_alive() for process in pair.processes)


def hang_elsewhere(environment: str, *_: object) -> gymnasium.Env:
    """Make an environment, but not in a process of its own."""
    while multiprocessing.parent_process() is not None:
        time.sleep(60)
    return gymnasium.make(environment)


def test_environment_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, '_make', hang_elsewhere)
    monkeypatch.setattr(environments, 'PATIENCE', 5.0)
    others = set(multiprocessing.active_children())
    with pytest.raises(EnvironmentFailed, match='did not start within 5 s; use fewer than 2'):
        start('CartPole-v1', 2)
    left = set(multiprocessing.active_children()) - others
    for process in left:
        process.join(10)
    assert not any(process.is_alive() for process in left)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_are_the_parents_to_answer(
        side_by_side: Callable[[int], VectorEnv], number: signal.Signals) -> None:
    """A Ctrl-C that asks for a checkpoint reaches the whole group, and breaks no evaluation."""
    three = side_by_side(3)
    assert isinstance(three, environments.Processes)
    act, policy = acting(SHIPPED)
    for process in three.processes:
        os.kill(process.pid, number)
    assert len(evaluate(three, act, policy.spec, 3, seed=0).episodes) == 3


PROGRAM = f"""
from training.evaluation.environments import start
from training.evaluate import evaluate
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
import torch
policy, shown = OnnxPolicy({str(SHIPPED)!r}), []
environments = start({TASK!r}, 2)
def act(*inputs):
    if not shown:
        shown.append(print(*(process.pid for process in environments.processes), flush=True))
    return policy.act(*inputs).actions
evaluate(environments, act, policy.spec, 1_000_000, 0)
"""


@pytest.mark.parametrize(
    ('send', 'number'),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGKILL)])
def test_no_process_is_left(
        tmp_path: Path, send: Callable[[int, int], None], number: signal.Signals) -> None:
    """
    No process remains, however the program ends in the middle of an episode.

    It runs as a file that imports torch, which the environments' processes must not inherit.
    """
    script = tmp_path / 'program.py'
    script.write_text(PROGRAM)
    with subprocess.Popen(
            [sys.executable, str(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, 'PYTHONPATH': str(ROOT)}) as program:
        assert program.stdout
        try:
            assert select.select([program.stdout], [], [], 120)[0], 'no episode was run'
            workers = [int(word) for word in program.stdout.readline().split()]
            assert len(workers) == 2
            for worker in workers:
                assert 'libtorch' not in Path(f'/proc/{worker}/maps').read_text()
            handles = [os.pidfd_open(worker) for worker in workers]
            send(program.pid, number)
            program.wait(30)
            for handle in handles:
                # A process's handle is readable once it has ended.
                assert select.select([handle], [], [], 30)[0], 'an environment still runs'
                os.close(handle)
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)


@pytest.mark.parametrize('scale', ['nan', '-1', '11'])
def test_a_noise_scale_that_no_policy_has(
        scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Actions of NaN solve nothing, which is no success rate of the policy."""
    with pytest.raises(SystemExit):
        main([str(SHIPPED), '--episodes', '1', '--noise-scale', scale])
    assert f'--noise-scale: found {scale}, expected 0 to 10' in capsys.readouterr().err


def test_a_result_has_the_hash_of_the_file_that_was_evaluated(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it is exported anew meanwhile, which an evaluation of an hour makes likely."""
    path, out = tmp_path / 'policy.onnx', tmp_path / 'result.json'
    shutil.copyfile(SHIPPED, path)
    episode = Episode(0, True, 1, 0.0, 0.0, np.zeros((1, 5), np.float32))

    def evaluated(*_: object) -> Evaluation:
        write_policy(path, cube_spec())
        return Evaluation((episode,), 0.99)
    monkeypatch.setattr('training.evaluate.evaluate_file', evaluated)
    assert main([str(path), '--episodes', '1', '--json', str(out)]) == 0
    assert json.loads(out.read_text())['sha256'] == sha256(SHIPPED)


def test_an_interrupt_ends_a_load_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """While ONNX Runtime loads the policy, SIGINT is not left to Python; afterwards it is."""
    met = []

    def load(path: Path) -> OnnxPolicy:
        met.append(signal.getsignal(signal.SIGINT))
        raise PolicyError(str(path))

    monkeypatch.setattr('training.evaluate.OnnxPolicy', load)
    with pytest.raises(PolicyError):
        evaluate_file(SHIPPED, 1, 0)
    assert met == [signal.SIG_DFL]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture(scope='module')
def solved(side_by_side: Callable[[int], VectorEnv]) -> tuple[Episode, ...]:
    act, policy = acting(SHIPPED)
    return evaluate(side_by_side(1), act, policy.spec, 2, seed=0).episodes


def test_video_shows_the_episodes(
        solved: tuple[Episode, ...], renderer: None, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second state from first to last, each episode's last one for a while."""
    monkeypatch.setattr('training.evaluation.video.SIZE', (64, 48))
    path = tmp_path / 'new' / 'x.gif'
    try:
        film = Film(path, TASK)
    except RenderingError as error:
        pytest.skip(f'no off-screen rendering here: {error}')
    # Long enough for the arm to have moved.
    second = solved[1].actions[:40]
    try:
        film.write([
            replace(solved[0], actions=solved[0].actions[:7]), replace(solved[1], actions=second)])
    finally:
        film.close()
    with Image.open(path) as image:
        durations, pictures = [], []
        for number in range(image.n_frames):
            image.seek(number)
            durations.append(image.info['duration'])
            pictures.append(np.asarray(image.convert('RGB'), np.float32))
    assert image.size == (64, 48)
    assert durations[4] >= 1000
    assert durations[-1] >= 1000
    # Seven steps: the states 0, 2, 4, 6, and the end. Pictures that equal the one before are one.
    assert sum(durations[:5]) == 1400
    assert sum(durations[5:]) == 100 * len(second[::2]) + 1000
    # The second episode begins elsewhere than the first ended.
    assert np.abs(pictures[5] - pictures[4]).max() > 50
    assert list(path.parent.iterdir()) == [path]


def test_replayed_episode_is_the_one_that_was_run(solved: tuple[Episode, ...]) -> None:
    from dfp_ros.sim.simulation.ogbench_simulation import Simulation
    simulation = Simulation(TASK)
    for episode in solved:
        simulation.reset(episode.seed)
        *before, last = [simulation.step(action) for action in episode.actions]
        assert not any(before)
        assert last is not None
        assert (last.success, last.total_reward) == (episode.success, episode.total_reward)


@pytest.mark.parametrize(('path', 'setting', 'said'), [
    ('x.mp4', 'egl', "found .*x.mp4', expected a name that ends in .gif"),
    ('x.gif', 'disable', 'MUJOCO_GL=disable disables rendering'),
    ('x.gif', 'no-such-backend', 'the render process ended with status 1'),
])
def test_video_that_cannot_be_made_is_refused_before_the_first_episode(
        path: str, setting: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv('MUJOCO_GL', setting)
    out = tmp_path / 'found.json'
    with pytest.raises(SystemExit) as ended:
        main([str(SHIPPED), '--episodes', '1', '--environments', '1', '--json', str(out),
              '--video', str(tmp_path / path)])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    assert re.search(said, captured.err)
    assert list(tmp_path.iterdir()) == []


def test_command_tells_every_episode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'found.json'
    assert main([
        str(SHIPPED), '--episodes', '3', '--seed', '7', '--environments', '2', '--discount', '0.5',
        '--json', str(out)]) == 0
    found = json.loads(out.read_text())
    records = found['per_episode']
    assert [record['seed'] for record in records] == [7, 8, 9]
    for record in records:
        assert record['success']
        # A reward of -1 a step, until the task is solved.
        assert record['total_reward'] == -record['steps'] + 1
        assert record['discounted_return'] == pytest.approx(
            -2 * (1 - 0.5 ** (record['steps'] - 1)), rel=1e-12)
    assert found['discount'] == 0.5
    assert f'return of {found["discounted_return"]:.2f}' in capsys.readouterr().out


@pytest.mark.parametrize('words', [
    '--environments 0', '--video-episodes 0', '--discount 0', '--discount nan', '--seed -1',
    '--environments 100000', '--episodes 100000000000', '--candidates 1000000',
    f'--seed {10**300}'])
def test_command_names_what_is_out_of_range(
        words: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, value = words.split()
    with pytest.raises(SystemExit) as ended:
        main([str(SHIPPED), name, value])
    assert ended.value.code == 2
    assert f'{name}: found {printable(value)}, expected' in capsys.readouterr().err


def test_policy_of_a_robot_without_simulator_says_where_to_evaluate_it(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the robot, with the command that does it."""
    write_policy(tmp_path / 'own.onnx', cube_spec(environment='none'))
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / 'own.onnx'), '--episodes', '1'])
    assert ended.value.code == 2
    assert 'ros2 run dfp_ros evaluate_on_robot' in capsys.readouterr().err


def test_training_evaluates_the_same_in_several_environments(
        demonstrations: Path, tmp_path: Path) -> None:
    """Two evaluations of a run, in the same environments; the setting may change at resume."""
    pytest.importorskip('torch')
    from testing.learning.runs import settings
    from training.learning.trainer.run import train
    config = settings(
        demonstrations, steps=4, evaluate_every=2, episodes=2, horizon=5, best_of=4)
    others = set(multiprocessing.active_children())
    train(tmp_path / 'one', config)
    train(tmp_path / 'two', replace(config, environments=2))
    for name in ('evaluations/2.json', 'evaluations/4.json'):
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes()
    found = json.loads((tmp_path / 'two' / 'evaluations' / '4.json').read_text())
    assert found['discount'] == config.discount
    with (tmp_path / 'two' / 'evaluations.csv').open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last['discounted_return']) == found['discounted_return']
    assert set(multiprocessing.active_children()) == others
    assert train(tmp_path / 'two', config, resume=True).step == 4


def test_training_whose_environment_dies_names_the_checkpoint(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('torch')
    from testing.learning.runs import settings
    from training.learning.agents.agent import Agent
    from training.learning.trainer.run import train
    from training.learning.trainer.session import TrainingError
    update = Agent.update
    others = set(multiprocessing.active_children())

    def killing(self: Agent, batch: object, **options: object) -> object:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', killing)
    config = settings(demonstrations, steps=3, checkpoint_every=1, episodes=2, environments=2)
    with pytest.raises(TrainingError, match=r'ended with status .*-9; .* checkpoint is '):
        train(tmp_path / 'run', config)
    assert set(multiprocessing.active_children()) == others
