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
"""Type aliases of arrays, and the number that represents an absent limit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
# Represents an absent bound; finite, so that no sum or product of it is NaN.
UNBOUNDED = 1e9


def bounded(value: float, low: float, high: float) -> float:
    """Clip a value; if the bounds contradict each other, to the upper one."""
    return min(max(value, low), high)


FloatArray = NDArray[np.float32]
PixelArray = NDArray[np.uint8]
#: Pictures of an observation in the policy's order, each of shape (height, width, n).
Pictures = tuple[PixelArray, ...]


Flags = NDArray[np.bool_]
