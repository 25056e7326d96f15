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
Data set statistics: mean, standard deviation and range of each observation dimension.

They normalise the observations for the networks, and are stored in the specification of every
policy, with the dimensions that are constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

# A dimension counts as constant, and is not scaled, if its deviation is below this, or within the
# rounding error of float32.
CONSTANT = 1e-4
ROUNDING = 4 * float(np.finfo(np.float32).eps)
# Rows per block of the conversion to float64.
BLOCK = 16_384


@dataclass(frozen=True)
class Statistics:
    """
    Statistics of each dimension, for normalisation.

    :param count: Number of rows.
    :param mean: Shape (obs_dim,), float64.
    :param deviation: Shape (obs_dim,), float64, population standard deviation.
    :param low: Shape (obs_dim,), minimum.
    :param high: Shape (obs_dim,), maximum.
    """

    count: int
    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """Find the dimensions that are constant, shape (obs_dim,), bool."""
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        return self.deviation < np.maximum(CONSTANT, ROUNDING * size)

    @property
    def scale(self) -> np.ndarray:
        """Deviations to divide by, shape (obs_dim,); 1 for constant dimensions."""
        return np.where(self.constant, 1.0, self.deviation)

    def joined(self, other: Statistics) -> Statistics:
        """
        Combine the statistics of two data sets.

        With the parallel algorithm of Chan, Golub and LeVeque (1983, equation 2.1), which has no
        cancellation error if the mean is large.
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
        """Serialise for a policy specification."""
        return {
            'mean': self.mean.tolist(), 'deviation': self.deviation.tolist(),
            'constant': np.flatnonzero(self.constant).tolist()}


def measure(values: np.ndarray) -> Statistics:
    """
    Compute statistics in float64, block by block, without a second copy of the data.

    :param values: Shape (size, obs_dim), at least one row.
    """
    blocks = (
        values[start:start + BLOCK].astype(np.float64) for start in range(0, len(values), BLOCK))
    return reduce(Statistics.joined, (
        Statistics(
            len(block), block.mean(axis=0), block.std(axis=0), block.min(axis=0),
            block.max(axis=0)) for block in blocks))
