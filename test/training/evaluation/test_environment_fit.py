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
"""Environment of a run, and its fit to the data, checked before the first update."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.learning.robomimic_files import OLD_ARGS, written  # noqa: E402
from testing.learning.scenes import of_scene  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.config import ConfigError, TrainConfig  # noqa: E402
from training.data.formats.ogbench import reader as ogbench  # noqa: E402
from training.data.formats.ogbench.scenes import ACTION  # noqa: E402
from training.data.inspection.inspected import inspect  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.data.transitions.transitions import (  # noqa: E402
    action_fields,
)
from training.evaluation.environment_fit import choose_environment, misfits  # noqa: E402
from training.presets import PRESETS  # noqa: E402
from training.sweep import main as sweep  # noqa: E402
from training.train import main  # noqa: E402

SMALL = ['--hidden', '8', '--batch-size', '4', '--steps', '3', '--threads', '1']


def test_a_recording_needs_no_word_about_simulators(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / 'recorded.npz'
    stored.save(path, drawn([3, 4, 5]))
    assert main(['small-clone', '--run', str(tmp_path / 'run'), '--data', str(path), *SMALL]) == 0
    said = capsys.readouterr()
    assert 'has no simulator' in said.err
    assert '3 of 3 updates' in said.out
    config = TrainConfig.from_json((tmp_path / 'run' / 'config.json').read_text())
    assert config.environment == 'none'
    # The same command goes on with the same run.
    assert main([
        'small-clone', '--run', str(tmp_path / 'run'), '--data', str(path), *SMALL,
        '--resume']) == 0
    assert sweep([
        'small-clone', '--run-folder', str(tmp_path), '--set', f'data={path}', '--list']) == 0
    assert 'has no simulator' in capsys.readouterr().err


def test_a_named_environment_that_does_not_fit_is_refused_before_anything(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / 'recorded.npz'
    stored.save(path, drawn([3, 4, 5]))
    assert main([
        'small-clone', '--run', str(tmp_path / 'run'), '--data', str(path), *SMALL,
        '--environment=cube-single-singletask-task2-v0']) == 2
    assert 'the data state (3)' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


def test_an_online_phase_needs_a_simulator(tmp_path: Path) -> None:
    path = tmp_path / 'recorded.npz'
    stored.save(path, drawn([3, 4, 5]))
    with pytest.raises(ConfigError, match='expected 0: .*recorded.npz has no simulator'):
        choose_environment(replace(PRESETS['cpu-online'][1], data=str(path)))


def test_data_of_a_simulator_keep_the_environment(tmp_path: Path) -> None:
    """Another scene's data are refused with both names, not learned from without evaluations."""
    for scene in ('cube-single', 'cube-double'):
        path = tmp_path / f'{scene}.npz'
        stored.save(path, of_scene(scene))
        config = replace(PRESETS['small-clone'][1], data=str(path))
        assert choose_environment(config) == (config, '')
    # What reading says better than a guess: missing, damaged, a folder.
    for path in (tmp_path / 'none.npz', tmp_path):
        config = replace(config, data=str(path))
        assert choose_environment(config) == (config, '')


@pytest.mark.parametrize(('name', 'chosen'), [
    ('Lift', 'cube-single-singletask-task2-v0'), ('MyArm', 'none')])
def test_robomimic_files_of_ones_own_robot(tmp_path: Path, name: str, chosen: str) -> None:
    path = tmp_path / 'mine.hdf5'
    written(path, {0: 4, 1: 5}, {**OLD_ARGS, 'env_name': name})
    config, note = choose_environment(replace(PRESETS['small-clone'][1], data=str(path)))
    assert config.environment == chosen
    assert (name in note) == (chosen == 'none')


@pytest.mark.parametrize(('change', 'word'), [
    ({'period': 0.1}, 'has a period of 0.05 s, the data 0.1 s'),
    ({'action_fields': action_fields(
        [(name, size, unit, 2 * bound) for name, size, unit, bound in ACTION],
        np.zeros((1, 5), np.float32))}, 'an action of 1 is 1 m/s in cube-single'),
    ({'source': {}}, None)])
def test_periods_and_ranges_of_actions_are_compared(change: dict, word: str | None) -> None:
    found = list(misfits(
        'cube-single-singletask-task2-v0', replace(of_scene('cube-single'), **change)))
    assert (word in found[0]) if word else not found


def test_a_recording_can_be_trained_on_by_the_presets(tmp_path: Path) -> None:
    data = drawn([30, 40])
    data.masks[:], data.rewards[:] = 1, -1
    data.masks[-1] = data.rewards[-1] = 0
    data.next_observations[:-1] = data.observations[1:]
    path = tmp_path / 'recorded.npz'
    stored.save(path, data)
    answers = {one.preset: one for one in inspect(path).verdicts}
    for preset, (_, config) in PRESETS.items():
        assert answers[preset].answer == ('no' if config.online_steps else 'yes'), answers[preset]
    assert 'has no simulator' in answers['cpu-online'].reasons[0]


def test_ogbenchs_own_data_fit(demonstrations: Path) -> None:
    environment = 'cube-single-singletask-task2-v0'
    assert not list(misfits(environment, ogbench.load(demonstrations, environment)))
