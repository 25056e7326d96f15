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
"""
The layers of the networks, in as few passes over memory as PyTorch allows.

A product of 512 columns takes the CPU as long as a hundred plain passes over its result take, but
GELU and norm are twenty: what stands between two products counts. oneDNN, where no gradient is
wanted, applies bias and GELU within the product; torch.compile makes one pass of the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable
from torch.nn import functional

LAYER_NORM_EPSILON = 1e-6
GELU_LINEAR = 2 * math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715 * GELU_LINEAR
# Fewer rows are quicker without oneDNN, which lays the weights out anew for each product.
MANY = 128
# Rows and columns on which compiled passes are tried, so that each session compiles the same.
TRIED = (1024, 512)


class CompileError(ValueError):
    """Nothing can be compiled here."""


class _Gelu(torch.autograd.Function):
    """:func:`gelu` that keeps its slope, so that its gradient is one product."""

    @staticmethod
    def forward(context: Any, rows: torch.Tensor) -> torch.Tensor:
        # d/dx x s(u) = s + s (1 - s) x u', and x u' = 3 u - 2 linear x.
        inner = _inner(rows)
        gate = inner.sigmoid()
        inner.sub_(rows, alpha=2 / 3 * GELU_LINEAR).mul_(gate)
        inner.addcmul_(inner, gate, value=-1)
        activated = rows * gate
        context.save_for_backward(gate.add_(inner, alpha=3))
        return activated

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        slope, = context.saved_tensors
        return gradient * slope


def gelu(rows: torch.Tensor) -> torch.Tensor:
    """
    Apply the tanh-approximated GELU: x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), which is equal.

    PyTorch's own takes a tanh, which costs the CPU twice as much as all of this.

    :param rows: Any shape; overwritten where no gradient is wanted.
    """
    if torch.is_grad_enabled():
        return _Gelu.apply(rows)
    return rows.mul_(_inner(rows).sigmoid_())


def _inner(rows: torch.Tensor) -> torch.Tensor:
    """Twice the argument of the tanh, of which :func:`gelu` takes the sigmoid."""
    linear = rows.new_full((), GELU_LINEAR)
    return torch.addcmul(linear, rows, rows, value=GELU_CUBIC).mul_(rows)


def normalise(rows: torch.Tensor) -> torch.Tensor:
    """
    Normalise each row as a layer norm without scale and shift does.

    Without a gradient this takes half the time of PyTorch's own.

    :param rows: Shape (..., width); overwritten where no gradient is wanted.
    """
    if torch.is_grad_enabled():
        return functional.layer_norm(rows, rows.shape[-1:], eps=LAYER_NORM_EPSILON)
    rows -= rows.mean(dim=-1, keepdim=True)
    norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    rows *= norm.square_().div_(rows.shape[-1]).add_(LAYER_NORM_EPSILON).rsqrt_()
    return rows


@dataclass(frozen=True)
class Passes:
    """
    What stands between two products; the arguments may be overwritten.

    :param gelu: GELU.
    :param normalise: Layer norm without scale and shift.
    :param gelu_normalise: The one, then the other.
    """

    gelu: Callable[[torch.Tensor], torch.Tensor]
    normalise: Callable[[torch.Tensor], torch.Tensor]
    gelu_normalise: Callable[[torch.Tensor], torch.Tensor]

    @classmethod
    def compiled(cls, device: torch.device) -> Passes:
        """
        Compile each into one pass over memory, and its gradient into another.

        All sizes are left open: one compilation serves every batch.

        :raises CompileError: Where there is no compiler that works.
        """
        def plain_gelu(rows: torch.Tensor) -> torch.Tensor:
            return rows * (rows * (GELU_LINEAR + GELU_CUBIC * rows * rows)).sigmoid()

        def plain_normalise(rows: torch.Tensor) -> torch.Tensor:
            centred = rows - rows.mean(dim=-1, keepdim=True)
            variance = centred.square().mean(dim=-1, keepdim=True)
            return centred * (variance + LAYER_NORM_EPSILON).rsqrt()

        plain = plain_gelu, plain_normalise, lambda rows: plain_normalise(plain_gelu(rows))
        eager = PLAIN.gelu, PLAIN.normalise, PLAIN.gelu_normalise
        made = cls(*(_compiled(*pair, device) for pair in zip(plain, eager, strict=True)))
        return made


def _compiled(
        function: Callable[[torch.Tensor], torch.Tensor],
        eager: Callable[[torch.Tensor], torch.Tensor],
        device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """Compile a function of rows; few rows, and forward derivatives, are left to ``eager``."""
    quick = torch.compile(function, dynamic=True)
    rows = torch.randn(TRIED, device=device)
    try:
        with torch.no_grad():
            quick(rows)
        quick(rows.requires_grad_()).sum().backward()
    except Exception as error:
        raise CompileError(
            f'compile: found nothing that compiles for {device} '
            f'({str(error).strip().splitlines()[0]}); install a C++ compiler, g++, or name one '
            'in the variable CXX, or do without --compile') from error

    def either(rows: torch.Tensor) -> torch.Tensor:
        return quick(rows) if many(rows) else eager(rows)
    return either


PLAIN = Passes(gelu, normalise, lambda rows: normalise(gelu(rows)))


def many(rows: torch.Tensor) -> bool:
    """Tell whether there is much to do, and no derivative forward to take along."""
    return (
        rows.numel() >= MANY * rows.shape[-1] and forward_ad.unpack_dual(rows).tangent is None)


def fuses(rows: torch.Tensor) -> bool:
    """
    Tell whether oneDNN takes the products, which knows no derivatives.

    :param rows: Shape (..., inputs).
    """
    return (
        torch.backends.mkldnn.is_available() and not torch.is_grad_enabled()
        and rows.device.type == 'cpu' and rows.dtype == torch.float32 and many(rows))


def linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """
    Take a product and add the bias.

    :param rows: Shape (..., inputs).
    :param weight: Shape (outputs, inputs).
    :param bias: Shape (outputs,).
    """
    if fuses(rows):
        return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, 'none', [], '')
    return functional.linear(rows, weight, bias)


def activated(
        rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor,
        passes: Passes) -> torch.Tensor:
    """Take the GELU of :func:`linear`, whose arguments these are."""
    if fuses(rows):
        return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, 'gelu', [], 'tanh')
    return passes.gelu(functional.linear(rows, weight, bias))
