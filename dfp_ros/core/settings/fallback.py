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
"""Node parameters: the policy that takes over if the running one cannot go on."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting, SettingsError
from dfp_ros.core.text.errors import nearest

#: Reasons of the policy, which another policy may not have.
FALLBACK_REASONS = (
    'inference_failed', 'planning', 'not_finite_action', 'late_inference', 'disagreement',
    'outside_envelope')


@dataclass(frozen=True)
class FallbackSettings:
    """
    Policy that takes over if the running one cannot go on.

    :raises SettingsError: If a reason is not one of the policy.
    """

    policy: str = setting(
        '', 'Policy file that takes over once one of fallback.reasons has lasted for '
        'fallback.after. Empty for none. Can be set while the node is unconfigured.',
        is_unconfigured_only=True)
    reasons: str = setting(
        'late_inference,inference_failed', 'Reasons at which the fallback takes over, separated '
        'by commas: inference_failed, planning, not_finite_action, late_inference, disagreement, '
        'outside_envelope.')
    after: float = setting(
        1.0, 'Seconds for which one of the reasons has to last, without a tick in between, before '
        'the fallback takes over.', bounds=(0.0, 3600.0))

    def __post_init__(self) -> None:
        """Check the names of the reasons."""
        for word in self.names:
            if word not in FALLBACK_REASONS:
                raise SettingsError(
                    f'parameter fallback.reasons: found {word!r}; '
                    f'{nearest(word, FALLBACK_REASONS)}')
        if not self.names:
            raise SettingsError(
                'parameter fallback.reasons: found nothing, expected '
                f'{", ".join(FALLBACK_REASONS)}')

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the reasons."""
        return tuple(word.strip() for word in self.reasons.split(',') if word.strip())
