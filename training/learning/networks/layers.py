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
Fused layers: linear, GELU and layer norm, in as few passes over memory as possible.

On a CPU, one elementwise pass over the output of a 512-column matrix product takes a hundredth of
the product's time, but GELU and layer norm take a dozen passes. oneDNN fuses the bias into the
product, and the GELU too if no gradient is needed; torch.compile fuses the remaining passes into
one. All functions take float32 or bfloat16 rows, and return rows of the same type.
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
# Below this number of rows oneDNN is slower, because it repacks the weights for each product.
MANY = 128
ONEDNN = torch.backends.mkldnn.is_available()


class CompileError(ValueError):
    """torch.compile does not work on this machine."""


def many(rows: torch.Tensor) -> bool:
    """
    Tell whether there are many rows, and no forward-mode derivative (jvp) to propagate.

    :param rows: Shape (..., width).
    """
    return rows.numel() >= MANY * rows.shape[-1] and (
        torch.compiler.is_compiling() or forward_ad.unpack_dual(rows).tangent is None)


def fuses(rows: torch.Tensor) -> bool:
    """
    Tell whether oneDNN computes the matrix products.

    :param rows: Shape (..., inputs).
    """
    return (
        ONEDNN and rows.device.type == 'cpu' and many(rows)
        and rows.dtype in (torch.float32, torch.bfloat16))


def linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """
    Compute a linear layer: matrix product plus bias.

    :param rows: Shape (..., inputs).
    :param weight: Shape (outputs, inputs).
    :param bias: Shape (outputs,).
    """
    if fuses(rows):
        return _product(rows, weight, bias, False)
    return functional.linear(rows, weight, bias)


def activated(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Compute the GELU of :func:`linear`; the arguments are the same."""
    if fuses(rows) and not torch.is_grad_enabled():
        return _product(rows, weight, bias, True)
    return gelu(linear(rows, weight, bias))


@torch.library.custom_op('dfp_ros::product', mutates_args=(), device_types='cpu')
def _product(
        rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None,
        activate: bool) -> torch.Tensor:
    """Compute a product with oneDNN, with bias and GELU fused into it."""
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
    """:func:`gelu` that saves its derivative, so that its backward pass is one multiplication."""

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

    PyTorch's own computes a tanh, which takes the CPU twice as long as this function.

    :param rows: Any shape; overwritten if no gradient is needed.
    """
    if torch.compiler.is_compiling():
        return rows * (rows * (GELU_LINEAR + GELU_CUBIC * rows * rows)).sigmoid()
    if torch.is_grad_enabled():
        return _Gelu.apply(rows)
    return rows.mul_(_inner(rows).sigmoid_())


def _inner(rows: torch.Tensor) -> torch.Tensor:
    """Twice the argument of the tanh; :func:`gelu` applies the sigmoid to it."""
    linear = rows.new_full((), GELU_LINEAR)
    return torch.addcmul(linear, rows, rows, value=GELU_CUBIC).mul_(rows)


def normalise(rows: torch.Tensor) -> torch.Tensor:
    """
    Layer norm of each row, without scale and shift.

    Without a gradient, in float32, this takes half the time of PyTorch's own.

    :param rows: Shape (..., width); overwritten if no gradient is needed.
    """
    if torch.compiler.is_compiling():
        centred = rows - rows.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return centred * (variance + LAYER_NORM_EPSILON).rsqrt()
    if torch.is_grad_enabled() or rows.dtype != torch.float32:
        return functional.layer_norm(rows, rows.shape[-1:], eps=LAYER_NORM_EPSILON)
    rows -= rows.mean(dim=-1, keepdim=True)
    norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    rows *= norm.square_().div_(rows.shape[-1]).add_(LAYER_NORM_EPSILON).rsqrt_()
    return rows


def compiled(
        function: Callable[..., torch.Tensor],
        device: torch.device) -> Callable[..., torch.Tensor]:
    """
    Compile a function of tensors with torch.compile, once for each input shape.

    :param device: Device of the tensors.
    :raises CompileError: If compilation fails; a small function is compiled immediately to find
        out.
    """
    # An update has a dozen shapes; beyond the limit, torch would silently fall back to eager mode.
    torch._dynamo.config.recompile_limit = 64
    # A new constant each time, so that the compiler's cache has no earlier result.
    novel = time.time()
    try:
        torch.compile(lambda rows: rows.sin() + novel)(torch.ones(MANY, device=device))
    except Exception as error:
        found = str(error).strip().splitlines()[0]
        raise CompileError(
            f'compile: found no working compiler for the device {device} ({found}); install a '
            'C++ compiler, g++, or set the variable CXX to one, or omit --compile'
            ) from error
    # On a GPU an update has a thousand small kernels, and starting them takes most of its time;
    # CUDA graphs start them all at once.
    return torch.compile(
        function, dynamic=False, mode='reduce-overhead' if device.type == 'cuda' else None)


def use_tensor_cores(device: str) -> None:
    """Let a GPU use TF32 for products in float32; nothing on a CPU."""
    if device == 'cuda':
        torch.set_float32_matmul_precision('high')
