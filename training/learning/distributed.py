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
Distributed data-parallel training: several processes share a batch.

Every rank draws the random numbers of the whole batch and keeps its own rows, means are taken over
all ranks, and gradients are summed. So two ranks with half a batch each compute the same as one
rank with the whole batch, and all ranks have the same random state. Without torch.distributed, the
functions here act on a single process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
import os

import torch
from torch import distributed

# Its functions bind the process group that exists at import as a default, and torch.optim imports
# it late: the group would never be released, and its threads would sometimes abort the process at
# exit.
import torch.distributed.nn  # noqa: F401

# Timeout of a rank that waits for the others: one of them may be evaluating.
PATIENCE = timedelta(hours=1)


@contextmanager
def group(device: str) -> Iterator[None]:
    """
    Join the process group that torchrun started; do nothing in a single process.

    :param device: ``cpu``, or ``cuda`` for one GPU per process (not verified on a GPU).
    """
    if int(os.environ.get('WORLD_SIZE', '1')) == 1 or distributed.is_initialized():
        yield
        return
    if device == 'cuda':
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    distributed.init_process_group('nccl' if device == 'cuda' else 'gloo', timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def anywhere(flag: bool, device: str) -> bool:
    """
    Tell whether a flag is set on any rank; all ranks get the same answer.

    So a signal that reaches the ranks at different times stops them at the same update. It takes a
    separate all-reduce: 0.3 ms between two processes on one machine over gloo, compared with
    120 ms (preset ``cpu``) to 440 ms (``cube-single``) for an update. On a GPU it
    synchronises with the device.
    """
    if count() == 1:
        return flag
    found = torch.tensor([float(flag)], device=device)
    distributed.all_reduce(found)
    return bool(found.item())


def count() -> int:
    """Count the processes that share the batch (world size)."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def own() -> int:
    """Rank of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def rows(whole: torch.Tensor) -> torch.Tensor:
    """
    Select this rank's rows of a tensor that all ranks hold.

    :param whole: Shape (B, ...); B is a multiple of the number of ranks.
    :return: Shape (B / ranks, ...).
    """
    return whole if count() == 1 else whole.chunk(count())[own()]


def whole(own_rows: torch.Tensor) -> torch.Tensor:
    """
    Collect the rows of all ranks, without gradient: the reverse of :func:`rows`.

    :param own_rows: Shape (B / ranks, ...), as many on every rank.
    :return: Shape (B, ...).
    """
    if count() == 1:
        return own_rows
    parts = [torch.empty_like(own_rows) for _ in range(count())]
    distributed.all_gather(parts, own_rows.detach().contiguous())
    return torch.cat(parts)


def noise(batch: int, candidates: int, size: int, device: torch.device) -> torch.Tensor:
    """
    Draw standard normal noise for this rank's rows.

    :param batch: Number of this rank's rows.
    :return: Shape (batch, candidates, size).
    """
    return rows(torch.randn(batch * count(), candidates, size, device=device))


def uniform(batch: int, size: int, device: torch.device) -> torch.Tensor:
    """
    Draw uniform random numbers from [0, 1) for this rank's rows.

    :param batch: Number of this rank's rows.
    :return: Shape (batch, size).
    """
    return rows(torch.rand(batch * count(), size, device=device))


def batch_mean(values: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """
    Weighted mean over the batch of all ranks.

    Its gradient is this rank's part only, so gradients must be summed over ranks.

    :param values: Shape (B, ...), this rank's.
    :param weights: Shape (B,), weight of each row; equal weights if None.
    :return: A scalar; 0 if all weights are 0.
    """
    if count() == 1 and weights is None:
        return values.mean()
    each = values.flatten(1).mean(dim=1) if values.ndim > 1 else values
    if weights is None:
        weights = torch.ones_like(each)
    total, share = (each * weights).sum(), weights.sum()
    if count() > 1:
        sums = torch.stack([total.detach(), share])
        own_total = sums[0].clone()
        distributed.all_reduce(sums)
        # The other ranks' part of the sum has no gradient here.
        total, share = total + (sums[0] - own_total), sums[1]
    return total / share.clamp_min(1e-12)


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Sum gradients over all ranks, in one all-reduce."""
    if count() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    parts = flat.split([gradient.numel() for gradient in gradients])
    torch._foreach_copy_(
        gradients, [part.view_as(into) for part, into in zip(parts, gradients, strict=True)])
