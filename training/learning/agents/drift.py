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
The drifting field and its loss, as in the paper's released code.

Koo et al., "Drifting Field Policy", arXiv 2605.07727; Deng et al., "Generative Modeling via
Drifting", arXiv 2602.04770. Generated chunks are attracted by the positives and repelled by each
other; the loss moves each chunk one step along that field.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from training.learning.distributed import batch_mean

SELF_DISTANCE = 100.0
SQUARED_DISTANCE_FLOOR = 1e-8
SCALE_FLOOR = 1e-3
AFFINITY_FLOOR = 1e-6
FORCE_FLOOR = 1e-8


def drift_loss(
        generated: torch.Tensor, positives: torch.Tensor, bandwidths: Sequence[float],
        negatives: torch.Tensor | None = None, weights: torch.Tensor | None = None,
        separate: bool = False) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """
    Loss whose gradient moves each generated chunk along the drifting field.

    Scale and force norm are means over the whole batch, so the loss couples its states. With one
    bandwidth its value is 1 by construction; monitor the raw force instead.

    :param generated: Shape (B, G, S), chunks sampled from the policy, with gradient.
    :param positives: Shape (B, P, S), chunks that attract.
    :param bandwidths: Kernel widths, in units of the mean distance.
    :param negatives: Shape (B, M, S), chunks that repel, in addition to the generated ones.
    :param weights: Shape (B,), weight of each state; 0 excludes it from every mean.
    :param separate: Whether attraction and repulsion have a softmax each, over their own targets,
        as in the paper's equations, instead of the release's joint and two-sided weights.
    :return: The loss, a scalar, and an info dictionary: ``force``, shape (bandwidths,), mean
        squared force before its normalisation; ``scale``, the mean distance; ``step``, shape
        (B, G), length of each chunk's step in action units; ``pulling``, shape (bandwidths,), the
        effective number of positives that pull a chunk.
    :raises ValueError: If shapes do not match, or a bandwidth is not positive.
    """
    _check(generated, positives, bandwidths, negatives)
    with torch.no_grad():
        repelling = generated if negatives is None else torch.cat([generated, negatives], dim=1)
        targets = torch.cat([repelling, positives], dim=1)
        distance = _distances(generated, targets)
        scale = batch_mean(distance, weights)
        coordinate_scale = (scale / generated.shape[-1] ** 0.5).clamp_min(SCALE_FLOOR)
        distance = distance / scale.clamp_min(SCALE_FLOOR)
        count = generated.shape[1]
        distance[:, :, :count] += SELF_DISTANCE * torch.eye(
            count, device=distance.device, dtype=distance.dtype)

        scaled = targets / coordinate_scale
        field = torch.zeros_like(generated)
        forces, pulling = [], []
        for bandwidth in bandwidths:
            logits = distance / -bandwidth
            force = (_separate_force if separate else _force)(
                logits, scaled, repelling.shape[1])
            pulling.append(batch_mean(_pulling(logits[:, :, repelling.shape[1]:]), weights))
            squared = batch_mean(force.square(), weights)
            forces.append(squared)
            field += force * squared.clamp_min(FORCE_FLOOR).rsqrt()
        goal = generated / coordinate_scale + field
        step = (field * coordinate_scale).norm(dim=2)
    loss = batch_mean((generated / coordinate_scale - goal).square(), weights)
    return loss, {
        'force': torch.stack(forces), 'scale': scale, 'step': step,
        'pulling': torch.stack(pulling)}


def mean_shift(
        generated: torch.Tensor, positives: torch.Tensor, bandwidth: float) -> torch.Tensor:
    """
    Difference of two Gaussian mean shifts: towards the positives, away from the other chunks.

    :param generated: Shape (B, G, S).
    :param positives: Shape (B, P, S).
    :param bandwidth: Standard deviation of the kernel, as a root mean square over the S numbers
        of a chunk, in action units.
    :return: Shape (B, G, S), a step in action units.
    """
    count = generated.shape[1]
    targets = torch.cat([generated, positives], dim=1)
    logits = _distances(generated, targets).square() / (
        -2 * bandwidth ** 2 * generated.shape[2])
    logits[:, :, :count] -= SELF_DISTANCE * torch.eye(
        count, device=logits.device, dtype=logits.dtype)
    return _separate_force(logits, targets, count)


def _distances(generated: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Euclidean distances, shape (B, G, T), floored as in the release."""
    squared = torch.cdist(
        generated, targets, compute_mode='donot_use_mm_for_euclid_dist').square()
    return squared.clamp_min(SQUARED_DISTANCE_FLOOR).sqrt()


def _force(logits: torch.Tensor, targets: torch.Tensor, repelling: int) -> torch.Tensor:
    """
    Drifting field of one bandwidth, before its normalisation.

    :param logits: Shape (B, G, T), minus distance over bandwidth.
    :param targets: Shape (B, T, S), in scaled coordinates, the repelling ones first.
    :param repelling: Number of targets that repel.
    :return: Shape (B, G, S).
    """
    affinity = (logits.softmax(dim=2) * logits.softmax(dim=1)).clamp_min(AFFINITY_FLOOR).sqrt()
    repulsion, attraction = affinity[:, :, :repelling], affinity[:, :, repelling:]
    # sum_j A+_ij R_i (y_j - x_i) - sum_k A-_ik P_i (y_k - x_i), with R_i and P_i the row sums of
    # repulsion and attraction: the two terms in x_i cancel.
    pull = attraction @ targets[:, repelling:] * repulsion.sum(dim=2, keepdim=True)
    push = repulsion @ targets[:, :repelling] * attraction.sum(dim=2, keepdim=True)
    return pull - push


def _separate_force(
        logits: torch.Tensor, targets: torch.Tensor, repelling: int) -> torch.Tensor:
    """Drifting field of one bandwidth with a softmax each; arguments as in :func:`_force`."""
    attraction = logits[:, :, repelling:].softmax(dim=2) @ targets[:, repelling:]
    repulsion = logits[:, :, :repelling].softmax(dim=2) @ targets[:, :repelling]
    return attraction - repulsion


def _pulling(logits: torch.Tensor) -> torch.Tensor:
    """
    Effective number of positives: (sum of weights)^2 over the sum of their squares.

    :param logits: Shape (B, G, P), minus distance over bandwidth.
    :return: Shape (B, G), between 1 and P.
    """
    return logits.softmax(dim=2).square().sum(dim=2).reciprocal()


def _check(
        generated: torch.Tensor, positives: torch.Tensor, bandwidths: Sequence[float],
        negatives: torch.Tensor | None) -> None:
    for name, tensor in (('positives', positives), ('negatives', negatives)):
        if tensor is None:
            continue
        if tensor.ndim != 3 or (tensor.shape[0], tensor.shape[2]) != (
                generated.shape[0], generated.shape[-1]):
            raise ValueError(
                f'{name}: found shape {tuple(tensor.shape)}, expected (batch, count, chunk) with '
                f'batch and chunk of generated, {tuple(generated.shape)}')
    if not bandwidths or any(not bandwidth > 0 for bandwidth in bandwidths):
        raise ValueError(f'bandwidths: found {list(bandwidths)}, expected positive numbers')
