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
"""Node parameters of diagnostics: how often, and thresholds of warnings and errors."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting


@dataclass(frozen=True)
class DiagnosticsSettings:
    """Interval and thresholds of ``/diagnostics``; a value has to be above a threshold."""

    interval: float = setting(
        1.0, 'Time between two reports, in s.', bounds=(0.1, 1.0))
    period_warn: float = setting(
        0.5, 'Warning if the p99 of the period error is above this fraction of a tick.',
        bounds=(0.0, 1000.0))
    period_error: float = setting(
        1.0, 'Error if the p99 of the period error is above this fraction of a tick.',
        bounds=(0.0, 1000.0))
    missed_warn: float = setting(
        0.0, 'Warning if more than this fraction of ticks was missed since the last report.',
        bounds=(0.0, 1.0))
    missed_error: float = setting(
        0.1, 'Error if more than this fraction of ticks was missed since the last report.',
        bounds=(0.0, 1.0))
    inference_warn: float = setting(
        0.8, 'Warning if the p99 of the inference time is above this fraction of a tick.',
        bounds=(0.0, 1000.0))
    inference_error: float = setting(
        1.0, 'Error if the p99 of the inference time is above this fraction of a tick.',
        bounds=(0.0, 1000.0))
    age_warn: float = setting(
        0.8, 'Warning if a source is older than this fraction of its max_age.',
        bounds=(0.0, 1000.0))
    age_error: float = setting(
        1.0, 'Error if a source is older than this fraction of its max_age.',
        bounds=(0.0, 1000.0))
