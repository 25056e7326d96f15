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
"""Bandit benchmark: policies on five modes, a known value, and a maximum outside the data."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')


from bench import bandit_sweep  # noqa: E402
from bench.bandit import problem as bandit  # noqa: E402

# Of the total variation; a blob with the data's mean and covariance is at 0.67.
DRIFTING, FLOW, MEANFLOW = 0.4, 0.4, 0.55


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope='module')
def cloned() -> bandit.Actor:
    actor = bandit.make('dfp', 0)
    bandit.learn(actor, 400)
    return actor


def blob() -> torch.Tensor:
    """Actions with the data's mean and covariance, and a single mode."""
    torch.manual_seed(0)
    data = bandit.draw_data(20_000)
    factor = torch.linalg.cholesky(data.T.cov())
    return data.mean(dim=0) + torch.randn(20_000, 2) @ factor.T


def test_the_figures_know_the_data_from_a_blob() -> None:
    torch.manual_seed(0)
    assert bandit.figures(bandit.draw_data(20_000))['total_variation'] < 0.02
    assert bandit.figures(blob())['total_variation'] > 0.6


def keeps_all_modes(actor: bandit.Actor, bound: float) -> None:
    actions = bandit.sample(actor)
    assert bandit.figures(actions)['total_variation'] < bound
    found, expected = (each[:-1] for each in (bandit.shares(actions), bandit.EXPECTED))
    # None is dropped, the rarest included.
    assert (found / expected).min() > 0.15, found


def test_cloning_keeps_all_modes(cloned: bandit.Actor) -> None:
    keeps_all_modes(cloned, DRIFTING)


@pytest.mark.parametrize(('policy', 'updates', 'bound'), [
    ('flow', 500, FLOW), ('meanflow', 700, MEANFLOW)])
def test_flow_and_meanflow_keep_all_modes(policy: str, updates: int, bound: float) -> None:
    actor = bandit.make(policy, 0)
    bandit.learn(actor, updates)
    keeps_all_modes(actor, bound)


def test_top_k_climbs_within_the_support(cloned: bandit.Actor) -> None:
    """The highest value is beyond the modes, but top-K only selects what the anchor proposes."""
    improved = bandit.make('dfp', 0, value_weight=0.5)
    improved.load_state_dict(cloned.state_dict())
    improved.improve()
    improved.renew_anchor(improved)
    bandit.learn(improved, 200)
    before, after = (bandit.figures(bandit.sample(each)) for each in (cloned, improved))
    assert after['value'] > before['value'] + 0.07
    assert after['at_best'] > before['at_best'] + 0.1
    assert after['outside'] < before['outside'] + 0.05
    near_peak = (bandit.sample(improved) - bandit.PEAK).norm(dim=1) < bandit.REACH
    assert near_peak.float().mean() < 0.01


def test_the_gradient_of_the_value_leaves_the_support() -> None:
    student = bandit.make('fql', 0)
    bandit.learn(student, 100)
    found = bandit.figures(bandit.sample(student))
    assert found['value'] > 1
    assert found['outside'] > 0.9


@pytest.mark.parametrize(('beside', 'expected'), [((), False), ((0.5,), True)])
def test_a_narrow_kernel_at_a_low_rate_spreads_with_a_wide_one_beside_it(
        beside: tuple[float, ...], expected: bool) -> None:
    """See docs/bandit.md: far from all data a narrow kernel's affinities are all at the floor."""
    assert bandit_sweep.spreads(
        bandit_sweep.Trial('', beside=beside), 0.05, 100, 0) == expected
