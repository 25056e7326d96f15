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

A plain pass over the result of a product of 512 columns takes the CPU a hundredth of the product's
time, but GELU and layer norm are made of a dozen. oneDNN adds the bias within the product, and
GELU where no gradient is wanted; torch.compile makes one pass of what is left.
"""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.flop_counter import register_flop_formula

LAYER_NORM_EPSILON = 1e-6
GELU_LINEAR = 2 * math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715 * GELU_LINEAR
# Fewer rows are quicker without oneDNN, which lays the weights out anew for each product.
MANY = 128
ONEDNN = torch.backends.mkldnn.is_available()


class CompileError(ValueError):
    """Nothing can be compiled here."""


def many(rows: torch.Tensor) -> bool:
    """
    Tell whether there is much to do, and no derivative to take along forward, as jvp does.

    :param rows: Shape (..., width).
    """
    return rows.numel() >= MANY * rows.shape[-1] and (
        torch.compiler.is_compiling() or forward_ad.unpack_dual(rows).tangent is None)


def fuses(rows: torch.Tensor) -> bool:
    """
    Tell whether oneDNN takes the products.

    :param rows: Shape (..., inputs).
    """
    return (
        ONEDNN and rows.device.type == 'cpu' and rows.dtype == torch.float32 and many(rows))


def linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """
    Take a product and add the bias.

    :param rows: Shape (..., inputs).
    :param weight: Shape (outputs, inputs).
    :param bias: Shape (outputs,).
    """
    if fuses(rows):
        return _product(rows, weight, bias, False)
    return functional.linear(rows, weight, bias)


def activated(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Take the GELU of :func:`linear`, whose arguments these are."""
    if fuses(rows) and not torch.is_grad_enabled():
        return _product(rows, weight, bias, True)
    return gelu(linear(rows, weight, bias))


@torch.library.custom_op('dfp_ros::product', mutates_args=(), device_types='cpu')
def _product(
        rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None,
        activate: bool) -> torch.Tensor:
    """Take a product with oneDNN: the bias, and GELU, cost no pass of their own."""
    after = ('gelu', 'tanh') if activate else ('none', '')
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, after[0], [], after[1])


@_product.register_fake
def _(rows: torch.Tensor, weight: torch.Tensor, *_: object) -> torch.Tensor:
    return rows.new_empty(*rows.shape[:-1], weight.shape[0])


@register_flop_formula(torch.ops.dfp_ros.product)
def _(rows: list[int], weight: list[int], *_: object, **__: object) -> int:
    return 2 * math.prod(rows) * weight[0]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _gradients(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """Gradients of a product without GELU."""
    rows, weight = context.saved_tensors
    of_rows, of_weight, of_bias, _ = context.needs_input_grad
    flat = gradient.flatten(0, -2)
    return (
        _product(gradient, weight.t(), None, False) if of_rows else None,
        flat.t() @ rows.flatten(0, -2) if of_weight else None,
        flat.sum(dim=0) if of_bias else None, None)


_product.register_autograd(_gradients, setup_context=_keep)


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
    if torch.compiler.is_compiling():
        return rows * (rows * (GELU_LINEAR + GELU_CUBIC * rows * rows)).sigmoid()
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
    if torch.compiler.is_compiling():
        centred = rows - rows.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return centred * (variance + LAYER_NORM_EPSILON).rsqrt()
    if torch.is_grad_enabled():
        return functional.layer_norm(rows, rows.shape[-1:], eps=LAYER_NORM_EPSILON)
    rows -= rows.mean(dim=-1, keepdim=True)
    norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    rows *= norm.square_().div_(rows.shape[-1]).add_(LAYER_NORM_EPSILON).rsqrt_()
    return rows


def compiled(
        function: Callable[..., torch.Tensor],
        device: torch.device) -> Callable[..., torch.Tensor]:
    """
    Have a function of tensors compiled, anew for each shape that it meets.

    :param device: Where the tensors will be.
    :raises CompileError: If nothing compiles; something small is tried at once.
    """
    # An update meets a dozen shapes; beyond the limit they would be evaluated without a word.
    torch._dynamo.config.recompile_limit = 64
    # A constant of its own, which no earlier session has left in the compiler's cache.
    novel = time.time()
    try:
        torch.compile(lambda rows: rows.sin() + novel)(torch.ones(MANY, device=device))
    except Exception as error:
        found = str(error).strip().splitlines()[0]
        raise CompileError(
            f'compile: found nothing that compiles for the device {device} ({found}); install a '
            'C++ compiler, g++, or name one in the variable CXX, or do without --compile'
            ) from error
    return torch.compile(function, dynamic=False)
