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
Mean and deviation of observations: measured once, kept in the policy file.

The networks see observations shifted and scaled by them; what they were, and which dimensions do
not move, stands in the specification of every policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

# Below this deviation a dimension counts as constant and is left at its scale; so it does where
# it moves by no more than float32 rounds numbers of its size.
CONSTANT = 1e-4
ROUNDING = 4 * float(np.finfo(np.float32).eps)
# Rows that are turned to float64 at a time.
BLOCK = 16_384


@dataclass(frozen=True)
class Statistics:
    """
    What a normaliser needs to know of each dimension.

    :param count: How many rows.
    :param mean: Shape (obs_dim,), float64.
    :param deviation: Shape (obs_dim,), float64, of the population.
    :param low: Shape (obs_dim,), the smallest value.
    :param high: Shape (obs_dim,), the largest one.
    """

    count: int
    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """Tell which dimensions do not move, shape (obs_dim,), bool."""
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        return self.deviation < np.maximum(CONSTANT, ROUNDING * size)

    @property
    def scale(self) -> np.ndarray:
        """Deviations to divide by, shape (obs_dim,); 1 where a dimension is constant."""
        return np.where(self.constant, 1.0, self.deviation)

    def joined(self, other: Statistics) -> Statistics:
        """
        Take them of both.

        By Chan, Golub and LeVeque's formula (1983, equation 2.1), which does not cancel where the
        mean is large.
        """
        count = self.count + other.count
        share, apart = other.count / count, other.mean - self.mean
        variance = (
            (1 - share) * self.deviation ** 2 + share * other.deviation ** 2
            + share * (1 - share) * apart ** 2)
        return Statistics(
            count, self.mean + share * apart, np.sqrt(variance), np.minimum(self.low, other.low),
            np.maximum(self.high, other.high))

    def to_json(self) -> dict[str, Any]:
        """Write them down for a specification."""
        return {
            'mean': self.mean.tolist(), 'deviation': self.deviation.tolist(),
            'constant': np.flatnonzero(self.constant).tolist()}


def measure(values: np.ndarray) -> Statistics:
    """
    Measure in float64, a block of rows at a time, so that no second copy of the data is made.

    :param values: Shape (size, obs_dim), at least one row.
    """
    blocks = (
        values[start:start + BLOCK].astype(np.float64) for start in range(0, len(values), BLOCK))
    return reduce(Statistics.joined, (
        Statistics(
            len(block), block.mean(axis=0), block.std(axis=0), block.min(axis=0),
            block.max(axis=0)) for block in blocks))
