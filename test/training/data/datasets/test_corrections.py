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
"""A run that learns from data and from corrections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.learning.small_runs import small  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from training.config import ConfigError, TrainConfig  # noqa: E402
from training.data.datasets.corrections import load_corrections  # noqa: E402
from training.data.transitions.stored import save  # noqa: E402
from training.data.transitions.transitions import DataError, Transitions  # noqa: E402
from training.learning.trainer.checkpoint import load_agent  # noqa: E402
from training.learning.trainer.checkpoint_file import CheckpointError, read  # noqa: E402
from training.learning.trainer.readiness import NotReady  # noqa: E402
from training.learning.trainer.run import prepare, train  # noqa: E402
from training.robot.run_state import open_run  # noqa: E402
from training.robot.settings import LearnerSettings  # noqa: E402

LENGTHS = [30, 20], [3, 4]


def person(number: int, value: float = 5.0, **changes: Any) -> Transitions:
    """Make corrections that say so by their first observation."""
    made = drawn(LENGTHS[1], seed=number)
    observations = made.observations.copy()
    observations[:, 0] = value + number
    fields = tuple(replace(field, high=(value + number, *field.high[1:]))
                   for field in made.observation_fields)
    return replace(made, observations=observations, observation_fields=fields, **changes)


@pytest.fixture(name='data')
def a_data_file(tmp_path: Path) -> Path:
    """Write data, and a folder with two files of corrections."""
    for number in (3, 12):
        (tmp_path / 'demonstrations').mkdir(exist_ok=True)
        save(tmp_path / 'demonstrations' / f'demonstration-{number:06d}.npz', person(number))
    save(tmp_path / 'data.npz', drawn(LENGTHS[0]))
    return tmp_path / 'data.npz'


def corrected(data: Path, *names: str, **changes: Any) -> TrainConfig:
    """Make settings with corrections; by default those of the folder."""
    return small(data, corrections=tuple(
        str(data.parent / name) for name in names or ('demonstrations',)), **changes)


def test_half_of_each_batch_is_of_corrections(data: Path) -> None:
    """However few they are."""
    state = prepare('run', corrected(data, horizon=3))
    assert len(state.buffer) == sum(LENGTHS[0]) + 2 * sum(LENGTHS[1])
    batch = state.buffer.sample(64, np.random.default_rng(0))
    of_person = batch.observation[:, 0] > 5
    assert int(of_person.sum()) == 32
    assert {float(value) for value in batch.observation[of_person, 0]} == {8.0, 17.0}


def test_a_file_counts_once(data: Path) -> None:
    """In a folder and by its name, or as the data."""
    for names, twice in ((
            ('demonstrations', 'demonstrations/demonstration-000012.npz'),
            'demonstration-000012.npz'), (('demonstrations', 'data.npz'), 'data.npz')):
        with pytest.raises(DataError, match=f'{twice}: found the same steps as .*{twice}, which'):
            prepare('run', corrected(data, *names))


def test_ranges_and_normaliser_are_of_both(data: Path) -> None:
    """A policy is not outside of its data where a person showed it what to do."""
    state = prepare('run', corrected(data, normalise=True))
    before = prepare('run', small(data, normalise=True))
    assert state.spec.observation[0].high[0] == 17.0
    assert before.spec.observation[0].high[0] < 1.0
    assert state.agent.normaliser.mean[0] > before.agent.normaliser.mean[0] + 1
    said = state.spec.provenance['corrections']
    assert (said['files'], said['steps'], said['episodes']) == (2, 14, 4)
    assert 'corrections' not in before.spec.provenance


def test_several_rounds(data: Path) -> None:
    """Files and folders of several rounds are learned from together."""
    save(data.parent / 'second.npz', person(20))
    found = load_corrections(corrected(data, 'demonstrations', 'second.npz'), drawn(LENGTHS[0]))
    assert found is not None
    assert list(dict.fromkeys(found.observations[:, 0].tolist())) == [8.0, 17.0, 25.0]
    assert found.source['files'] == 3


def test_a_clone_is_trained_on(data: Path, tmp_path: Path) -> None:
    """From the networks of a clone; stopped and resumed it is the same, with the same files."""
    train(tmp_path / 'clone', small(data))
    config = corrected(data)
    train(tmp_path / 'whole', config, init_from=tmp_path / 'clone')
    train(tmp_path / 'halves', config, init_from=tmp_path / 'clone', until=2)
    train(tmp_path / 'halves', config, resume=True)
    whole, halves = (read(tmp_path / name / 'checkpoint.pt') for name in ('whole', 'halves'))
    assert all(torch.equal(whole['agent'][key], halves['agent'][key]) for key in whole['agent'])
    _, _, spec, _ = load_agent(tmp_path / 'halves' / 'checkpoint.pt')
    assert spec.provenance['corrections']['steps'] == 14
    assert spec.provenance['initialised_from']['name'] == 'clone'


def test_the_next_round_begins_with_a_corrected_run(data: Path, tmp_path: Path) -> None:
    """
    A learner on the robot has its networks, and its data without the corrections.

    Its policies are not outside of their data where a person showed them what to do.
    """
    train(tmp_path / 'run', corrected(data, normalise=True))
    state, _ = open_run(
        tmp_path / 'run', tmp_path / 'out', LearnerSettings(steps=100, start=10))
    assert state.spec.observation[0].high[0] == 17.0
    saved = read(tmp_path / 'run' / 'checkpoint.pt')['agent']
    names = [name for name in saved if name.startswith(('actor.network.', 'normaliser.'))]
    assert len(names) > 4
    assert all(torch.equal(state.agent.state_dict()[name], saved[name]) for name in names)
    assert len(state.buffer) == sum(LENGTHS[0])


def test_a_run_is_resumed_with_the_same_corrections(data: Path, tmp_path: Path) -> None:
    """A learner may have added some since; moved ones are the same."""
    train(tmp_path / 'run', corrected(data), until=2)
    moved = data.parent / 'demonstrations'
    moved.rename(data.parent / 'moved')
    train(tmp_path / 'run', corrected(data, 'moved'), resume=True, until=3)
    save(data.parent / 'moved' / 'demonstration-000013.npz', person(13))
    with pytest.raises(CheckpointError, match=(
            r'was trained with 14 steps \(\w{12}\) of corrections, now asked for 21 steps')):
        train(tmp_path / 'run', corrected(data, 'moved'), resume=True)
    with pytest.raises(CheckpointError, match='now asked for 0 steps; resume with the same'):
        train(tmp_path / 'run', small(data), resume=True)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'period': 0.1}, r'found a period of 0\.1 s, expected 0\.05 s'),
    ({'actions': 'mm/s'}, r'action field 0: found velocity \(2, mm/s, .* expected velocity \(2, '),
    ({'limit': 0.7}, r'found velocity \(2, m/s, -0\.7 to 0\.7\), expected .* -0\.5 to 0\.5\), '),
    ({'name': 'pose'}, r'field 0: found pose \(3, m\), expected state \(3, m\), that of the d')])
def test_corrections_of_another_robot(
        data: Path, changes: dict[str, Any], message: str) -> None:
    """They are refused by what differs, with the file: a unit, a limit, a name, the period."""
    made = person(4)
    if 'period' in changes:
        made = replace(made, period=changes['period'])
    if 'actions' in changes:
        made = replace(made, action_fields=(
            replace(made.action_fields[0], unit=changes['actions']),))
    if 'limit' in changes:
        high = (changes['limit'],) * 2
        made = replace(made, action_fields=(replace(
            made.action_fields[0], low=tuple(-each for each in high), high=high),))
    if 'name' in changes:
        made = replace(made, observation_fields=(
            replace(made.observation_fields[0], name=changes['name']),))
    save(data.parent / 'other.npz', made)
    with pytest.raises(DataError, match=f'other.npz: .*{message}'):
        prepare('run', corrected(data, 'demonstrations', 'other.npz'))


def test_what_is_refused(data: Path) -> None:
    """An online phase, chunks longer than any correction, and files that are missing."""
    with pytest.raises(ConfigError, match='online_steps: found 6000, expected 0 with corrections'):
        corrected(data, online_steps=6000)
    with pytest.raises(NotReady, match='corrections: found no episode longer than 4 steps'):
        prepare('run', corrected(data, horizon=5))
    with pytest.raises(DataError, match='nowhere'):
        prepare('run', corrected(data, 'nowhere'))
    settings = corrected(data)
    assert TrainConfig.from_json(settings.to_json()) == settings
