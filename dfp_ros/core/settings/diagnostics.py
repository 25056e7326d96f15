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
"""From where on diagnostics warn, and from where on they call it an error."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting


@dataclass(frozen=True)
class DiagnosticsSettings:
    """Thresholds of ``/diagnostics``; a figure has to be above them."""

    period_warn: float = setting(
        0.5, 'Warn where the p99 of the error of the period is above this share of a tick.',
        bounds=(0.0, 1000.0))
    period_error: float = setting(
        1.0, 'An error where the p99 of the error of the period is above this share of a tick.',
        bounds=(0.0, 1000.0))
    missed_warn: float = setting(
        0.0, 'Warn where more than this share of the ticks was missed since the last report.',
        bounds=(0.0, 1.0))
    missed_error: float = setting(
        0.1, 'An error where more than this share of the ticks was missed since the last report.',
        bounds=(0.0, 1.0))
    inference_warn: float = setting(
        0.8, 'Warn where the p99 of inference is above this share of a tick.',
        bounds=(0.0, 1000.0))
    inference_error: float = setting(
        1.0, 'An error where the p99 of inference is above this share of a tick.',
        bounds=(0.0, 1000.0))
    age_warn: float = setting(
        0.8, 'Warn where a source is older than this share of its max_age.', bounds=(0.0, 1000.0))
    age_error: float = setting(
        1.0, 'An error where a source is older than this share of its max_age.',
        bounds=(0.0, 1000.0))
