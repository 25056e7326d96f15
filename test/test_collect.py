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
"""Collected data: OGBench's format, and the same file whatever the number of workers."""

from pathlib import Path

import numpy as np
from ogbench.utils import load_dataset
import pytest

from training.collect import collect_episode, main, make_recipe_env, Recipe, write


def test_workers_do_not_change_the_file(demonstrations: Path, tmp_path: Path) -> None:
    made = tmp_path / demonstrations.name
    write(Recipe('cube-single', 'demo', 2, 0), made, 4, 0, workers=2)
    assert made.read_bytes() == demonstrations.read_bytes()


def test_demonstrations_are_read_by_ogbench_and_solved(demonstrations: Path) -> None:
    data = load_dataset(str(demonstrations), add_info=True)
    assert data['observations'].shape[1:] == (28,)
    assert data['actions'].shape[1:] == (5,)
    assert np.abs(data['actions']).max() <= 1
    ends = np.flatnonzero(data['terminals'])
    assert len(ends) == 4
    # Task 2 puts the cube at (0.5, 0, 0.02); an episode ends with the step that follows.
    cube = data['qpos'][ends, 14:17]
    assert (np.linalg.norm(cube - [0.5, 0.0, 0.02], axis=1) <= 0.04).all()


def test_next_observations_follow_within_an_episode(demonstrations: Path) -> None:
    data = load_dataset(str(demonstrations))
    inside = np.flatnonzero(data['terminals'] == 0)
    inside = inside[inside + 1 < len(data['actions'])]
    np.testing.assert_array_equal(
        data['next_observations'][inside], data['observations'][inside + 1])


@pytest.mark.parametrize('kind', ['play', 'noisy'])
def test_play_and_noisy_episodes_have_the_official_shape(kind: str) -> None:
    recipe = Recipe('cube-single', kind, 2, 0)
    env = make_recipe_env(recipe)
    episode = collect_episode(env, recipe, 3)
    shapes = {key: (value.shape, value.dtype.name) for key, value in episode.items()}
    assert shapes == {
        'observations': ((1001, 28), 'float32'), 'actions': ((1001, 5), 'float32'),
        'terminals': ((1001,), 'bool'), 'qpos': ((1001, 21), 'float32'),
        'qvel': ((1001, 20), 'float32')}
    assert np.flatnonzero(episode['terminals']).tolist() == [1000]
    if kind == 'play':
        return  # The other kind draws more, from the same generator: that one shows repetition.
    again = collect_episode(env, recipe, 3)
    for key, value in episode.items():
        np.testing.assert_array_equal(value, again[key])


@pytest.mark.parametrize('arguments', [
    ['--episodes', '0'], ['--seed', '-1'], ['--scene', 'cube-double', '--kind', 'demo']])
def test_arguments_that_cannot_be_are_refused(
        arguments: list, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert arguments[0] in capsys.readouterr().err
