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
"""Differences between recorded decisions and those of another policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.control.decision import Decision
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.spec import PolicySpec


class PolicyDifference:
    """
    Accumulator of differences.

    :param spec: The specification of either policy; the fields of their actions are the same.
    """

    def __init__(self, spec: PolicySpec) -> None:
        """Start empty."""
        self._spec = spec
        self._states: Counter[tuple[str, str]] = Counter()
        self._differences: dict[str, list[NDArray[np.float64]]] = {'command': [], 'sent': []}

    def add(self, recorded: RecordedDecision, decision: Decision) -> None:
        """Compare a recorded decision with that of the other policy."""
        self._states[recorded.state.value, decision.state.value] += 1
        for kind, differences in self._differences.items():
            before: Mapping[str, NDArray[np.float64]] | None = getattr(recorded, kind)
            after: NDArray[np.float64] | None = getattr(decision, kind)
            if before is not None and after is not None:
                whole = np.concatenate([before[member.name] for member in self._spec.action])
                differences.append(after - whole)

    def lines(self) -> list[str]:
        """Format the table."""
        lines = [f'{"state recorded":16}{"state now":16}{"decisions":>10}']
        lines += [
            f'{before:16}{after:16}{count:>10}'
            for (before, after), count in sorted(self._states.items())]
        lines += ['', f'{"difference of":34}{"unit":8}{"rms":>12}{"largest":>12}']
        for kind, differences in self._differences.items():
            if not differences:
                continue
            found = np.array(differences)
            for member in self._spec.action:
                part = found[:, self._spec.action_slices[member.name]]
                lines.append(
                    f'{kind + "/" + member.name:34}{member.unit:8}'
                    f'{np.sqrt((part ** 2).mean()):>12.4g}{np.abs(part).max():>12.4g}')
        return lines
