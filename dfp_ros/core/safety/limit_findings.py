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
"""Findings about the limits that were applied to a command."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.safety.reasons import Finding, finding, Reason
from dfp_ros.core.text.numbers import all_shown


def explain_limits(
        limits: Reason, action: FloatArray, command: NDArray[np.float64],
        sent: NDArray[np.float64] | None, start_fault: str = '') -> list[Finding]:
    """
    Describe the changes that the limiter made.

    :param limits: Reasons given by the limiter.
    :param action: The policy's action after blending, shape (act_dim,).
    :param command: The requested command in SI units, shape (act_dim,).
    :param sent: The command that is sent, shape (act_dim,); None for none.
    :param start_fault: Why commands could not start from the measured position.
    """
    findings = []
    if Reason.CLIPPED in limits:
        findings.append(finding(Reason.CLIPPED, (
            f'action {all_shown(action)} is outside [-1, 1]' if (np.abs(action) > 1).any()
            else f'command {all_shown(command)} is outside its bounds')))
    if Reason.LIMITED in limits and sent is not None:
        findings.append(finding(
            Reason.LIMITED, f'command {all_shown(command)} was limited to {all_shown(sent)}'))
    if Reason.UNMEASURED in limits:
        findings.append(finding(
            Reason.UNMEASURED,
            f'{start_fault or "there is no position feedback"}; commands start from the measured '
            'position'))
    if Reason.NOT_FINITE_ACTION in limits:
        findings.append(finding(Reason.NOT_FINITE_ACTION, f'command {all_shown(command)}'))
    return findings
