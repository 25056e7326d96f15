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
"""Data collection in robosuite."""

import json
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import h5py
import numpy as np
import pytest

from testing import ROOT
from training.collect import main
from training.data.collection.engine import Budget, collect
from training.data.collection.robosuite import LINGER, Recipe


def test_workers_do_not_change_the_file(lift_demonstrations: Path, tmp_path: Path) -> None:
    made = tmp_path / lift_demonstrations.name
    assert collect(Recipe('lift', 0), made, Budget(3), 0, workers=2) == 3
    assert made.read_bytes() == lift_demonstrations.read_bytes()


def test_a_stopped_collection_goes_on(tmp_path: Path) -> None:
    made = tmp_path / 'robomimic' / 'lift' / 'mh' / 'low_dim_v15.hdf5'
    kept = made.with_name(f'{made.stem}.partial')
    arguments = ['--scene', 'lift', '--episodes', '3', '--workers', '1', '--out', str(tmp_path)]
    with subprocess.Popen(
            [sys.executable, '-m', 'training.collect', *arguments], cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (kept / '00000000.npz').exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert 'finished episodes are kept' in said
    assert not made.exists()
    # A mark in what was kept, which would be gone had it been made again.
    with np.load(kept / '00000000.npz') as file:
        np.savez(kept / '00000000.npz', **{**file, 'operator': np.array('kept')})
    assert main(arguments) == 0
    with h5py.File(made) as file:
        assert list(file['mask/kept']) == [b'demo_0']
        assert len(file['data']) == 3
    # The card beside it, and no second file for validation: there is a mask for that.
    assert sorted(file.name for file in made.parent.iterdir()) == [
        'low_dim_v15.hdf5', 'low_dim_v15.json']


def test_the_format_is_robomimics(lift_demonstrations: Path) -> None:
    with h5py.File(lift_demonstrations) as file:
        names = list(file['data'])
        assert names == ['demo_0', 'demo_1', 'demo_2']
        env_args = json.loads(file['data'].attrs['env_args'])
        assert (env_args['env_name'], env_args['type']) == ('Lift', 1)
        lengths = []
        for name in names:
            group = file[f'data/{name}']
            steps = int(group.attrs['num_samples'])
            lengths.append(steps)
            assert group.attrs['model_file'].startswith('<mujoco')
            assert sorted(group) == ['actions', 'dones', 'next_obs', 'obs', 'rewards', 'states']
            assert {'robot0_eef_pos', 'robot0_eef_quat', 'robot0_gripper_qpos', 'object'} <= set(
                group['obs'])
            assert set(group['obs']) == set(group['next_obs'])
            np.testing.assert_array_equal(
                group['obs/object'][1:], group['next_obs/object'][:-1])
            # 0 before success, and 1 from then on, for some steps.
            rewards = group['rewards'][()]
            assert len(rewards) == steps
            assert rewards.sum() >= LINGER
            np.testing.assert_array_equal(rewards, group['dones'][()])
            assert np.abs(group['actions']).max() <= 1
        assert file['data'].attrs['total'] == sum(lengths)
        masks = {name: [key.decode() for key in file['mask'][name]] for name in file['mask']}
    assert masks['better'] == ['demo_0', 'demo_1']
    assert masks['okay'] == ['demo_2']
    assert sorted(masks['train'] + masks.get('valid', [])) == names
    # The hasty are done before the hesitant.
    assert lengths[2] > max(lengths[:2])


def test_states_start_the_episode_again(lift_demonstrations: Path) -> None:
    """Robosuite, set to the first state in the demonstration's own model, sees its first step."""
    env = Recipe('lift', 0).make_env()
    env.reset(seed=99)
    with h5py.File(lift_demonstrations) as file:
        group = file['data/demo_1']
        env.suite.reset_from_xml_string(env.suite.edit_model_xml(group.attrs['model_file']))
        env.suite.sim.reset()
        env.suite.sim.set_state_from_flattened(group['states'][0])
        env.suite.sim.forward()
        np.testing.assert_allclose(
            env.measure()['object'], group['obs/object'][0], rtol=0, atol=1e-9)


class Unlucky:
    """An environment that tells success as it is given for the first steps, and then as it is."""

    def __init__(self, env: Any, told: list[bool], limit: int) -> None:
        self.env, self.told, self.limit, self.resets = env, told, limit, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, seed: int) -> Any:
        self.resets += 1
        return self.env.reset(seed=seed)

    def step(self, action: np.ndarray) -> tuple:
        observation, reward, success, truncated, info = self.env.step(action)
        self.limit -= 1
        if self.told:
            success = self.told.pop(0)
        return observation, reward, success, truncated or not self.limit, info


@pytest.mark.parametrize('told', [[False] * 8, [True] + [False] * (LINGER - 1)])
def test_failed_attempts_are_thrown_away(told: list) -> None:
    """One that runs out of time, and one whose success does not last."""
    recipe = Recipe('lift', 0)
    env = Unlucky(recipe.make_env(), told, len(told))
    demonstration = recipe.collect(env, 0)
    assert env.resets == 2
    assert demonstration['dones'][-1] == demonstration['rewards'][-1] == 1
    assert len(demonstration['actions']) > 3 * len(told)


def test_failed_attempts_are_kept_if_asked_for(tmp_path: Path) -> None:
    """One that runs out of time ends with the last step; the file lists it."""
    recipe = Recipe('lift', 0, failures=True)
    env = Unlucky(recipe.make_env(), [False] * 8, 8)
    failed = recipe.collect(env, 0)
    assert env.resets == 1
    assert len(failed['actions']) == len(failed['next_obs/object']) == 8
    assert failed['dones'].tolist() == [0] * 7 + [1]
    assert not failed['rewards'].any()
    solved = Recipe('lift', 0).collect(Recipe('lift', 0).make_env(), 0)
    file = tmp_path / 'a.hdf5'
    recipe.write(file, [failed, solved])
    with h5py.File(file) as content:
        assert list(content['mask/failed']) == [b'demo_0']
        assert 'failed' not in content['data/demo_0']
    assert recipe.name != Recipe('lift', 0).name
    assert 'failures' not in Recipe('lift', 0).settings()


def test_validation_is_a_tenth_of_the_demonstrations(tmp_path: Path) -> None:
    episode = {'actions': np.zeros((2, 7)), 'model_file': np.array('<mujoco/>'),
               'operator': np.array('better_1'), 'skill': np.array('better')}
    path = tmp_path / 'a.hdf5'
    assert Recipe('lift', 0).write(path, [episode] * 20) == 40
    with h5py.File(path) as file:
        train, valid = set(file['mask/train']), set(file['mask/valid'])
        assert train | valid == {name.encode() for name in file['data']}
    assert len(valid) == 2
    assert not train & valid


@pytest.mark.slow
def test_the_can_is_put_into_its_bin() -> None:
    recipe = Recipe('can', 0)
    demonstration = recipe.collect(recipe.make_env(), 0)
    assert demonstration['rewards'][-1] == 1
    assert demonstration['obs/object'].shape[1] == 14


@pytest.mark.parametrize('arguments', [
    ['--kind', 'play'], ['--val-episodes', '3'], ['--episodes', '0']])
def test_arguments_that_cannot_be_are_refused(
        arguments: list, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([*arguments, '--scene', 'lift', '--out', str(tmp_path)])
    assert arguments[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('scene', 'needless'), [('cube-single', 'robosuite'), ('lift', 'ogbench')])
def test_one_simulator_does_without_the_other(scene: str, needless: str) -> None:
    """Recipe and environment can be made without the other simulator."""
    program = (
        f'import sys; sys.modules[{needless!r}] = None; from training.collect import parser, '
        f"RECIPES; RECIPES[{scene!r}](parser().parse_args(['--scene', {scene!r}])).make_env()")
    subprocess.run([sys.executable, '-c', program], cwd=ROOT, check=True, timeout=120)
