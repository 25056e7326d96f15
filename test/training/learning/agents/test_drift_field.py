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
"""Properties of the drifting field for any implementation."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip('torch')

from training.learning.agents import drift  # noqa: E402
from training.learning.agents.drift import drift_loss, mean_shift  # noqa: E402


def samples(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def field(
        generated: torch.Tensor, positives: torch.Tensor, bandwidth: float = 0.2,
        negatives: torch.Tensor | None = None) -> torch.Tensor:
    """Step of each generated chunk, up to one factor for all: minus the loss's gradient."""
    generated = generated.clone().requires_grad_()
    drift_loss(generated, positives, [bandwidth], negatives)[0].backward()
    return -generated.grad


def test_swapping_positives_and_negatives_turns_the_field_around() -> None:
    """
    Exactly so for the raw force with two given sets.

    In the loss the generated chunks are among what repels, each masked for itself, so that there
    the two sets cannot change places.
    """
    generated, positives, negatives = samples(0, 3, 6, 2), samples(1, 3, 5, 2), samples(2, 3, 9, 2)

    def force(repelling: torch.Tensor, attracting: torch.Tensor) -> torch.Tensor:
        targets = torch.cat([repelling, attracting], dim=1)
        return drift._force(
            -drift._distances(generated, targets) / 0.5, targets, repelling.shape[1])

    one, other = force(negatives, positives), force(positives, negatives)
    assert one.abs().max() > 0.01
    torch.testing.assert_close(one, -other)


def test_negatives_push_and_positives_pull() -> None:
    generated = torch.zeros(1, 1, 2, dtype=torch.float64)
    right, left = torch.tensor([[[1.0, 0]]]).double(), torch.tensor([[[-1.0, 0]]]).double()
    step = field(generated, right, negatives=left)[0, 0]
    assert step[0] > 0
    assert step[1] == 0


@pytest.mark.parametrize('bandwidth', [0.2, 1.0])
def test_at_equilibrium_only_the_sampling_error_is_left(bandwidth: float) -> None:
    """
    Relative to the force towards positives elsewhere, its square falls as one over the samples.

    A narrower kernel sees fewer of them: at 0.05 a fifth is left with 128.
    """
    shares, counts = [], (16, 64, 128)
    for count in counts:
        generated, same = samples(3, 64, count, 2), samples(4, 64, count, 2)
        at_rest = drift_loss(generated, same, [bandwidth])[1]['force'].item()
        apart = drift_loss(generated, same + 2.0, [bandwidth])[1]['force'].item()
        shares.append(at_rest / apart)
    assert shares[-1] < 0.06
    # 1 / sqrt(n) would spread these by 2.8, 1 / n^2 by 8.
    constant = [count * share for count, share in zip(counts, shares, strict=True)]
    assert max(constant) / min(constant) < 1.6


def test_order_does_not_matter() -> None:
    generated, positives = samples(5, 2, 7, 3), samples(6, 2, 4, 3)
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    plain = field(generated, positives)
    torch.testing.assert_close(field(generated, positives.flip(1)), plain)
    torch.testing.assert_close(field(generated[:, order], positives), plain[:, order])
    torch.testing.assert_close(field(generated.flip(0), positives.flip(0)), plain.flip(0))


def test_rotating_and_moving_the_actions_does_the_same_to_the_field() -> None:
    generated, positives, negatives = samples(7, 2, 6, 3), samples(8, 2, 5, 3), samples(9, 2, 4, 3)
    rotation = torch.linalg.qr(samples(10, 3, 3)).Q
    moved = [part @ rotation + torch.tensor([5.0, -2.0, 0.5]).double() for part in (
        generated, positives, negatives)]
    torch.testing.assert_close(
        field(moved[0], moved[1], negatives=moved[2]),
        field(generated, positives, negatives=negatives) @ rotation)


def test_scaling_the_actions_leaves_the_force_as_it_is() -> None:
    generated, positives = samples(11, 2, 6, 3), samples(12, 2, 5, 3)
    plain, scaled = (
        drift_loss(factor * generated, factor * positives, [0.1])[1]['force']
        for factor in (1.0, 7.0))
    # The floor of the squared distances is the one length that does not scale.
    torch.testing.assert_close(plain, scaled, rtol=1e-4, atol=0)


def score_difference(
        places: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor,
        width: float) -> torch.Tensor:
    """h^2 times the difference of the scores of two Gaussian kernel density estimates."""
    places = places.clone().requires_grad_()

    def log_density(points: torch.Tensor) -> torch.Tensor:
        return (-torch.cdist(places, points).square() / (2 * width ** 2)).logsumexp(dim=1).sum()

    (log_density(positives) - log_density(negatives)).backward()
    return width ** 2 * places.grad


def mean_shift_difference(
        places: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor,
        width: float) -> torch.Tensor:
    """
    Drifting field with the paper's one-sided Gaussian kernel.

    The form of :func:`training.learning.agents.drift._force`, divided by both row sums of the
    affinities.
    """
    attraction, repulsion = (
        (-torch.cdist(places, points).square() / (2 * width ** 2)).exp()
        for points in (positives, negatives))
    pull = attraction @ positives * repulsion.sum(dim=1, keepdim=True)
    push = repulsion @ negatives * attraction.sum(dim=1, keepdim=True)
    return (pull - push) / (
        attraction.sum(dim=1, keepdim=True) * repulsion.sum(dim=1, keepdim=True))


@pytest.mark.parametrize('width', [0.3, 1.0])
def test_the_one_sided_gaussian_field_is_the_score_difference(width: float) -> None:
    places, positives, negatives = samples(13, 20, 2), samples(14, 30, 2) + 1, samples(15, 40, 2)
    torch.testing.assert_close(
        mean_shift_difference(places, positives, negatives, width),
        score_difference(places, positives, negatives, width))


def test_the_release_s_field_points_where_the_score_difference_points() -> None:
    """Two-sided and Laplacian, it has another length; among many samples it has the direction."""
    generated, positives = samples(16, 1, 600, 2), samples(17, 1, 600, 2) * 0.7 + 1.0
    found = field(generated, positives, bandwidth=0.5)[0]
    expected = score_difference(generated[0], positives[0], generated[0], width=1.0)
    inner = (generated[0] - 0.5).norm(dim=1) < 1.5
    cosine = torch.cosine_similarity(found, expected, dim=1)[inner]
    assert cosine.median() > 0.95
    assert (cosine > math.cos(math.radians(45))).double().mean() > 0.9


def test_separate_weights_pull_with_one_positive_from_afar() -> None:
    """The release's joint weights vanish for a far positive, up to their floor."""
    torch.manual_seed(0)
    generated = torch.randn(16, 4, 3) * 0.01
    positives = torch.full((16, 1, 3), 50.0)
    joint, separate = (
        drift_loss(generated, positives, [0.05], separate=flag)[1]['force'] for flag in (
            False, True))
    assert float(separate) > 100 * float(joint)


def test_separate_weights_are_in_equilibrium_on_equal_sets() -> None:
    """Attraction and repulsion cancel, but for each chunk's exclusion of itself."""
    torch.manual_seed(0)
    chunks = torch.randn(64, 32, 2)
    others = torch.randn(64, 32, 2)
    far = others + 3
    near, away = (
        float(drift_loss(chunks, positives, [1.0], separate=True)[1]['force'])
        for positives in (others, far))
    assert near < 0.05 * away


def test_mean_shift_of_one_chunk_is_the_way_to_the_positive() -> None:
    """Two far chunks, one positive: each is pulled to it, and pushed by the other."""
    generated = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    positives = torch.tensor([[[0.0, 2.0]]])
    found = mean_shift(generated, positives, 0.5)
    torch.testing.assert_close(found[0, 0], torch.tensor([0.0, 2.0]) - torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(found[0, 1], torch.tensor([-1.0, 2.0]) - torch.tensor([-1.0, 0.0]))


def test_mean_shift_weighs_by_a_gaussian_of_the_mean_square() -> None:
    generated = torch.tensor([[[0.0, 0.0], [0.3, 0.1], [-0.2, 0.4]]])
    positives = torch.tensor([[[0.5, 0.5], [1.0, -1.0]]])
    found = mean_shift(generated, positives, 0.5)[0, 0]

    def mean(points: torch.Tensor) -> torch.Tensor:
        weights = torch.exp(-points.square().mean(dim=1) / (2 * 0.25))
        return (weights[:, None] * points).sum(dim=0) / weights.sum()

    torch.testing.assert_close(found, mean(positives[0]) - mean(generated[0, 1:]))


def test_the_effective_number_of_positives() -> None:
    generated = torch.randn(8, 4, 3)
    alone = torch.cat([torch.zeros(8, 1, 3), torch.full((8, 1, 3), 100.0)], dim=1)
    for positives, expected in ((torch.zeros(8, 2, 3), 2.0), (alone, 1.0)):
        pulling = drift_loss(generated, positives, [0.05])[1]['pulling']
        assert float(pulling) == pytest.approx(expected, abs=1e-3)
