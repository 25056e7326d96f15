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
"""Drifting loss against reference vectors, and properties of the field."""


import numpy as np
import pytest

from testing import ROOT

torch = pytest.importorskip('torch')

from training.learning.agents.drift import drift_loss  # noqa: E402

GOLDEN = ROOT / 'test' / 'data' / 'drift_loss.npz'


@pytest.mark.parametrize('case', range(5))
def test_loss_and_gradient_equal_the_reference(case: int) -> None:
    with np.load(GOLDEN) as file:
        golden = {key.split('/')[1]: file[key] for key in file if key.startswith(f'case{case}/')}
    generated = torch.tensor(golden['generated'], requires_grad=True)
    loss, info = drift_loss(
        generated, torch.tensor(golden['positives']), golden['bandwidths'].tolist())
    loss.backward()
    assert loss.item() == pytest.approx(float(golden['loss']), rel=1e-4)
    assert info['scale'].item() == pytest.approx(float(golden['scale']), rel=1e-5)
    largest = np.abs(golden['grad']).max()
    assert np.abs(generated.grad.numpy() - golden['grad']).max() / largest < 1e-4
    # The gradient of an entry is -2 F / (c N), and the loss of a state the mean of its F^2.
    unit = golden['scale'] / generated.shape[-1] ** 0.5
    field = generated.grad.numpy() * unit * generated.numel() / -2
    np.testing.assert_allclose(
        np.square(field).mean(axis=(1, 2)), golden['loss_per_state'], rtol=1e-4)


def gradient(generated, positives, negatives=None, bandwidths=(0.1,)):
    generated = generated.clone().requires_grad_()
    loss, info = drift_loss(generated, positives, bandwidths, negatives)
    loss.backward()
    return generated.grad, info


def test_order_of_positives_does_not_matter() -> None:
    torch.manual_seed(0)
    generated, positives = torch.randn(4, 8, 6), torch.randn(4, 5, 6)
    first, _ = gradient(generated, positives)
    second, _ = gradient(generated, positives[:, torch.randperm(5)])
    torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)


def test_force_is_weaker_where_generated_and_positives_agree() -> None:
    torch.manual_seed(0)
    generated = torch.randn(64, 64, 2)
    _, same = gradient(generated, torch.randn(64, 64, 2), bandwidths=(0.2,))
    _, apart = gradient(generated, torch.randn(64, 64, 2) + 1.0, bandwidths=(0.2,))
    assert same['force'] < 0.3 * apart['force']


def test_extra_negatives_push_away() -> None:
    torch.manual_seed(0)
    generated, positives = 0.1 * torch.randn(1, 8, 2), torch.tensor([[[1.0, 0.0]]])
    above = torch.tensor([[[0.0, 0.3]]])
    without, _ = gradient(generated, positives)
    with_negative, _ = gradient(generated, positives, above)
    # The gradient is minus the direction of travel.
    assert with_negative[..., 1].mean() > without[..., 1].mean()


@pytest.mark.parametrize('positives', [(4, 1, 3), (3, 1, 2), (4, 2)])
def test_shapes_that_do_not_fit_are_named(positives: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='positives: found shape'):
        drift_loss(torch.zeros(4, 8, 2), torch.zeros(positives), (0.1,))


@pytest.mark.parametrize('bandwidths', [(), (0.0,), (0.1, -1.0), (float('nan'),)])
def test_bandwidths_are_positive(bandwidths: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match='bandwidths: found'):
        drift_loss(torch.zeros(4, 8, 2), torch.zeros(4, 1, 2), bandwidths)


def test_particles_fill_both_modes_in_their_shares() -> None:
    """Particles between two modes with 3 : 1 positives end at both, in about that proportion."""
    torch.manual_seed(0)
    particles = (0.3 * torch.randn(1, 64, 1)).requires_grad_()
    modes = torch.cat([torch.full((1, 48, 1), -0.5), torch.full((1, 16, 1), 0.5)], dim=1)
    optimiser = torch.optim.Adam([particles], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 300)
    for _ in range(300):
        loss, _ = drift_loss(particles, modes + 0.02 * torch.randn(1, 64, 1), (0.2,))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    left, right = (((particles - mode).abs() < 0.15).float().mean() for mode in (-0.5, 0.5))
    assert left + right > 0.9
    assert 0.6 < left < 0.85
