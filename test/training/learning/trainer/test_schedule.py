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
"""Schedules of learning rate, lambda and anchor policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip('torch')

from testing.learning.runs import unevaluated  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.trainer.checkpoint import load_agent  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.learning.trainer.schedule import (  # noqa: E402
    learning_rate,
    renews_anchor,
    trains_actor,
    value_weight,
)


def test_cosine_falls_from_the_rate_to_zero() -> None:
    config = TrainConfig(schedule='cosine', learning_rate=1e-3, steps=100)
    assert learning_rate(config, 0) == 1e-3
    assert learning_rate(config, 50) == pytest.approx(5e-4)
    assert 0 < learning_rate(config, 99) < 1e-6
    assert learning_rate(TrainConfig(steps=100), 99) == 3e-4


@pytest.mark.parametrize('changes', [
    {'improve_after': 100}, {'steps': 100, 'online_steps': 10_000}])
def test_lambda_rises_from_the_start_of_the_ascent(changes: dict) -> None:
    config = TrainConfig(value_weight=3.0, value_ramp=10, **changes)
    found = [value_weight(config, step) for step in (0, 99, 100, 104, 109, 500)]
    assert found == pytest.approx([0, 0, 0.3, 1.5, 3.0, 3.0])
    assert value_weight(replace(config, value_ramp=0), 0) == 3.0


def test_when_the_anchor_is_renewed() -> None:
    config = TrainConfig(improve_after=100, anchor_every=50)
    assert [step for step in range(301) if renews_anchor(config, step)] == [150, 200, 250, 300]
    assert not any(
        renews_anchor(replace(config, anchor_every=0), step) for step in range(301))


def distance(run: Path) -> float:
    """Largest difference between the weights of actor and anchor policy."""
    actor = load_agent(run / 'checkpoint.pt')[0].actor
    return max(float((one - other).abs().max()) for one, other in zip(
        actor.network.parameters(), actor.anchor.parameters(), strict=True))


def test_a_frozen_anchor_is_the_actor_at_the_start_of_the_ascent(
        drawn_data: Path, tmp_path: Path) -> None:
    config = unevaluated(
        drawn_data, improve_after=10, steps=10, anchor='frozen', schedule='constant')
    train(tmp_path / 'clone', config)
    train(tmp_path / 'ascent', config)
    train(tmp_path / 'ascent', replace(config, steps=20), resume=True)
    clone, ascent = (load_agent(tmp_path / name / 'checkpoint.pt')[0].actor
                     for name in ('clone', 'ascent'))
    for one, other in zip(clone.network.parameters(), ascent.anchor.parameters(), strict=True):
        assert torch.equal(one, other)
    assert distance(tmp_path / 'ascent') > 0


def test_a_renewed_anchor_is_the_actor_again(drawn_data: Path, tmp_path: Path) -> None:
    config = unevaluated(
        drawn_data, improve_after=10, steps=16, anchor='frozen', anchor_every=5,
        learning_rate=1e-6)
    train(tmp_path / 'renewed', config)
    train(tmp_path / 'old', replace(config, anchor_every=0))
    # One update since the renewal, six since the copy.
    assert 0 < distance(tmp_path / 'renewed') < 0.5 * distance(tmp_path / 'old')


def test_updates_of_the_critics_alone(drawn_data: Path, tmp_path: Path) -> None:
    """Two updates in three leave the actor as it is, and train the critics."""
    config = unevaluated(drawn_data, actor_every=3, schedule='constant')
    assert [trains_actor(config, step) for step in range(5)] == [True, False, False, True, False]
    agents = []
    for steps in (1, 3, 4):
        train(tmp_path / 'run', replace(config, steps=steps), resume=steps > 1)
        agents.append(load_agent(tmp_path / 'run' / 'checkpoint.pt')[0])

    def moved(one: Agent, other: Agent, network: str) -> bool:
        old, new = (getattr(each, network).state_dict() for each in (one, other))
        return any(not torch.equal(old[name], new[name]) for name in new)

    first, third, fourth = agents
    assert not moved(first.actor, third.actor, 'network')
    assert moved(third.actor, fourth.actor, 'network')
    assert moved(first, third, 'critic')
