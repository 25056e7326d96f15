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
Statistics as LeRobot keeps them, of each episode and of a whole dataset.

LeRobot estimates quantiles from histograms; these are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

QUANTILES = {'q01': 0.01, 'q10': 0.1, 'q50': 0.5, 'q90': 0.9, 'q99': 0.99}
#: Names of the statistics, in LeRobot's order.
NAMES = ('min', 'max', 'mean', 'std', 'count', *QUANTILES)

# Numbers that are converted to float64 at a time.
_NUMBERS = 200_000


def measure(values: np.ndarray) -> dict[str, list[Any]]:
    """
    Compute the statistics of a feature, in float64.

    :param values: Shape (frames,) or (frames, numbers), at least one frame.
    :return: Lists, one entry per number except for ``count``; least and most are booleans and
        whole numbers if the values are.
    """
    table = values.reshape(len(values), -1)
    found: dict[str, list[Any]] = {name: [] for name in NAMES}
    # Of many frames, one number after the other, to take little memory.
    width = max(1, _NUMBERS // len(table))
    for start in range(0, table.shape[1], width):
        part = table[:, start:start + width]
        exact = part.astype(np.float64)
        quantiles = np.quantile(exact, list(QUANTILES.values()), axis=0)
        for name, row in (
                ('min', part.min(axis=0)), ('max', part.max(axis=0)), ('mean', exact.mean(axis=0)),
                ('std', exact.std(axis=0)), *zip(QUANTILES, quantiles, strict=True)):
            found[name] += row.tolist()
    return {**found, 'count': [len(values)]}


def measure_pictures(counts: np.ndarray, frames: int) -> dict[str, list[Any]]:
    """
    Compute the statistics of pictures, as LeRobot does: of each channel, from 0 to 1.

    :param counts: How often each channel has each value, shape (n, 256).
    :param frames: Number of pictures.
    :return: For each channel a list of a list of a number, except for ``count``.
    """
    values = np.arange(256) / 255
    size = counts.sum(axis=1)
    mean = counts @ values / size
    rows = {
        'min': values[(counts > 0).argmax(axis=1)],
        'max': values[255 - (counts[:, ::-1] > 0).argmax(axis=1)], 'mean': mean,
        'std': np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1) / size)}
    for name, share in QUANTILES.items():
        rows[name] = values[(counts.cumsum(axis=1) >= share * size[:, None]).argmax(axis=1)]
    return {
        **{name: [[[float(value)]] for value in row] for name, row in rows.items()},
        'count': [frames]}
