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
"""Summary of durations: percentiles and the tail distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

# Points of the tail: logarithmically spaced in the exceeded fraction, ten per decade.
_PER_DECADE = 10


def distribution(seconds: ArrayLike) -> dict[str, Any]:
    """
    Summarise durations.

    :param seconds: Shape (samples,), in s; at least one.
    :return: ``count``; ``p50_us``, ``p99_us``, ``p99.9_us`` and ``max_us``, in microseconds; and
        ``tail``, pairs of a fraction and the microseconds that this fraction of the samples
        exceeds, from 1 down to one sample.
    """
    samples = np.sort(np.asarray(seconds, np.float64)) * 1e6
    if not len(samples):
        raise ValueError('found no samples; there is nothing to summarise')
    decades = np.log10(len(samples))
    fractions = 10 ** -np.linspace(0, decades, max(2, round(decades * _PER_DECADE) + 1))
    p50, p99, p999 = np.percentile(samples, (50, 99, 99.9))
    return {
        'count': len(samples), 'p50_us': float(p50), 'p99_us': float(p99),
        'p99.9_us': float(p999), 'max_us': float(samples[-1]),
        'tail': [[float(fraction), float(value)] for fraction, value in zip(
            fractions, np.percentile(samples, 100 * (1 - fractions)), strict=True)]}
