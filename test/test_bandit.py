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
"""What the policies make of a bandit with five modes, a known value, and a trap beyond them."""

from __future__ import annotations

from pathlib import Path
import sys

import pytest

torch = pytest.importorskip('torch')

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'bench'))

import bandit  # noqa: E402

UPDATES = 400


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope='module')
def cloned() -> bandit.Actor:
    actor = bandit.make('dfp', 0)
    bandit.learn(actor, UPDATES)
    return actor


def blob() -> torch.Tensor:
    """Actions with the data's mean and covariance, and a single mode."""
    torch.manual_seed(0)
    data = bandit.draw_data(20_000)
    factor = torch.linalg.cholesky(data.T.cov())
    return data.mean(dim=0) + torch.randn(20_000, 2) @ factor.T


def kept(actor: bandit.Actor) -> tuple[float, float]:
    """Total variation of all shares, and the least share of a mode relative to the data's."""
    actions = bandit.look(actor)
    relative = bandit.shares(actions)[:-1] / bandit.EXPECTED[:-1]
    return bandit.figures(actions)['total_variation'], relative.min().item()


def test_the_figures_know_the_data_from_a_blob() -> None:
    torch.manual_seed(0)
    assert bandit.figures(bandit.draw_data(20_000))['total_variation'] < 0.02
    assert bandit.figures(blob())['total_variation'] > 0.6


def test_cloning_keeps_all_modes(cloned: bandit.Actor) -> None:
    print(kept(cloned))


@pytest.mark.parametrize('policy', ['flow', 'meanflow'])
def test_flow_and_meanflow_keep_all_modes(policy: str) -> None:
    actor = bandit.make(policy, 0)
    bandit.learn(actor, UPDATES)
    print(kept(actor))


def test_top_k_climbs_within_the_support(cloned: bandit.Actor) -> None:
    improved = bandit.make('dfp', 0, value_weight=0.5)
    improved.load_state_dict(cloned.state_dict())
    improved.improve()
    bandit.learn(improved, UPDATES // 2)
    print(bandit.figures(bandit.look(cloned)), bandit.figures(bandit.look(improved)))


def test_the_gradient_of_the_value_leaves_the_support() -> None:
    student = bandit.make('fql', 0)
    bandit.learn(student, UPDATES // 4)
    print(bandit.figures(bandit.look(student)))


@pytest.mark.parametrize(('beside', 'expected'), [((), False), ((0.5,), True)])
def test_a_narrow_kernel_and_a_low_rate_do_not_spread(beside: tuple, expected: bool) -> None:
    print(bandit.spreads(bandit.Trial('', beside=beside), 0.05, 100, 0))
