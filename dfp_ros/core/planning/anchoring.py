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
"""Anchoring: relative actions of a chunk, relative to the position that it was planned from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray, Vector


class Anchoring:
    """
    Conversion of relative actions from one anchor to another.

    :param relative: Mask of the numbers that are relative, shape (act_dim,), bool.
    :param half_range: Command of an action of 1, less that of 0, shape (act_dim,), SI units.

    :ivar relative: As given.
    """

    def __init__(self, relative: NDArray[np.bool_], half_range: Vector) -> None:
        """Compute the scale once."""
        self.relative = relative
        self._has_width = relative & (half_range > 0)
        self._half_range = half_range

    def shift(self, old: Vector, new: Vector) -> FloatArray:
        """
        Return what to add to actions that are relative to one anchor, for another.

        :param old: Anchor so far, shape (act_dim,), SI units; NaN where it is unknown.
        :param new: The other anchor, likewise.
        :return: Shape (act_dim,), float32, in action units; 0 for numbers that are not relative.
        """
        shift = np.zeros(len(old))
        np.divide(old - new, self._half_range, out=shift, where=self._has_width)
        return shift.astype(np.float32)
