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
"""Layers and their derivatives, compared with PyTorch's own."""

from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip('torch')
from torch.nn import functional  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from training.learning.networks import layers  # noqa: E402
from training.learning.networks.modules import ConditionedMLP  # noqa: E402

# Enough rows for oneDNN.
ROWS = 2 * layers.MANY


def test_gelu_equals_pytorch_s() -> None:
    values = torch.randn(1000, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layers.gelu, values[:20])
    expected = functional.gelu(values, approximate='tanh')
    torch.testing.assert_close(layers.gelu(values), expected)
    with torch.no_grad():
        torch.testing.assert_close(layers.gelu(values.clone()), expected)
    # Where the gate is 0 or 1.
    far = torch.tensor([-1e3, -20.0, 20.0, 1e3], requires_grad=True)
    layers.gelu(far).sum().backward()
    torch.testing.assert_close(layers.gelu(far), torch.tensor([0.0, 0.0, 20.0, 1e3]))
    torch.testing.assert_close(far.grad, torch.tensor([0.0, 0.0, 1.0, 1.0]))


@pytest.mark.parametrize('offset', [0.0, 100.0])
def test_normalise_equals_a_layer_norm(offset: float) -> None:
    """Also if the rows' mean is far larger than their deviation."""
    rows = torch.randn(50, 64) + offset
    expected = functional.layer_norm(rows, (64,), eps=layers.LAYER_NORM_EPSILON)
    torch.testing.assert_close(layers.normalise(rows), expected)
    with torch.no_grad():
        torch.testing.assert_close(layers.normalise(rows.clone()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('shape', [(ROWS, 24), (ROWS // 8, 8, 24)])
def test_product_and_its_gradients(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    given = [torch.randn(shape), torch.randn(16, 24), torch.randn(16)]
    found, expected = ([each.clone().requires_grad_() for each in given] for _ in range(2))
    assert layers.fuses(found[0]) == layers.ONEDNN
    upstream = torch.randn(*shape[:-1], 16)
    for function, inputs in ((layers.linear, found), (functional.linear, expected)):
        (function(*inputs) * upstream).sum().backward()
    for each, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(each.grad, wanted.grad, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(layers.linear(*given), functional.linear(*given))
        torch.testing.assert_close(
            layers.activated(*given),
            functional.gelu(functional.linear(*given), approximate='tanh'), rtol=1e-5, atol=1e-5)


def test_products_are_counted() -> None:
    """The benchmark's bound stands on it."""
    rows, weight = torch.randn(ROWS, 24, requires_grad=True), torch.randn(16, 24)
    with FlopCounterMode(display=False) as counter:
        layers.linear(rows, weight.requires_grad_(), torch.zeros(16)).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * ROWS * 24 * 16


def test_derivative_forward_equals_differences() -> None:
    """Of MeanFlow, with no gradient enabled; oneDNN and compiled passes would lose it."""
    torch.manual_seed(0)
    network = ConditionedMLP(3, 4, 4, (16, 16))
    network.compiled = lambda *_: pytest.fail('a compiled pass was taken')
    state, place, along = torch.randn(ROWS, 3), torch.randn(ROWS, 1, 4), torch.randn(ROWS, 1, 4)
    with torch.no_grad():
        change = torch.func.jvp(lambda x: network(state, x), (place,), (along,))[1]
        network.double()
        step = 1e-4 * along.double()
        after, before = (
            network.evaluate(state.double(), place.double() + sign * step) for sign in (1, -1))
    torch.testing.assert_close(change.double(), (after - before) / 2e-4, rtol=1e-4, atol=1e-4)


def test_freed_memory_is_kept() -> None:
    """Buffers of 8 MB that are freed and allocated again reuse their pages."""
    script = (
        'import resource, torch\n'
        'from training.common import memory\n'
        'memory.keep()\n'
        'def turn():\n'
        '    taken = [torch.zeros(2_000_000) for _ in range(6)]\n'
        'turn(), turn()\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n'
        'for _ in range(10): turn()\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n')
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, timeout=120, check=True)
    # 10 turns of 6 buffers have 117,000 pages of 4 kB.
    assert int(done.stdout) < 10_000
