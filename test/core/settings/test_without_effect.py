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
"""Settings that are set and have no effect are told."""

from __future__ import annotations

from typing import Any

import pytest

from dfp_ros.core.settings.node import describe, make_settings, Settings
from dfp_ros.core.settings.without_effect import without_effect


def settings(**changes: Any) -> Settings:
    """Make settings; two underscores stand for the dot of a group."""
    values: dict[str, Any] = {name: default for name, default, _ in describe()}
    values |= {'policy': 'x', 'robot': 'x'}
    given = {name.replace('__', '.'): value for name, value in changes.items()}
    assert set(given) <= set(values)
    return make_settings(values | given)


@pytest.mark.parametrize(('changes', 'candidates', 'name', 'why'), [
    ({'safety__late_inference': 'hold'}, 8, 'safety.late_inference: hold', 'inference_deadline'),
    ({'safety__spread': 'hold'}, 1, 'safety.spread: hold', 'one candidate'),
    ({'safety__spread_limit': 0.1}, 8, 'safety.spread_limit: 0.1', 'safety.spread is ignore'),
    ({'safety__envelope_far': 0.05}, 8, 'safety.envelope_far: 0.05', 'held from 0.1 on'),
    ({'safety__envelope': 'warn', 'safety__envelope_long': 3.0}, 8, 'safety.envelope_long: 3.0',
     'safety.envelope is warn; set it to guard'),
    ({'safety__envelope': 'ignore', 'safety__envelope_margin': 0.3}, 8,
     'safety.envelope_margin: 0.3', 'is ignore'),
    ({'fallback__after': 5.0}, 8, 'fallback.after: 5.0', 'set fallback.policy or'),
    ({'fallback__reasons': 'planning'}, 8, 'fallback.reasons: planning', 'without a fallback'),
    ({'fallback__policy': 'y', 'fallback__reasons': 'planning,disagreement'}, 8,
     'fallback.reasons: disagreement', 'safety.spread is ignore'),
    ({'fallback__policy': 'y', 'fallback__reasons': 'disagreement', 'safety__spread': 'ignore'}, 1,
     'fallback.reasons: disagreement', 'one candidate'),
    ({'fallback__posture': 'y', 'fallback__reasons': 'outside_envelope',
      'safety__envelope': 'ignore'}, 8, 'fallback.reasons: outside_envelope', 'is ignore'),
    ({'fallback__policy': 'y', 'fallback__reasons': 'late_inference'}, 8,
     'fallback.reasons: late_inference', 'inference_deadline'),
    ({'planning__replan_every': 3}, 8, 'planning.replan_every: 3', 'mode is open_loop'),
    ({'planning__mode': 'receding', 'planning__ensemble_decay': 1.0}, 8,
     'planning.ensemble_decay: 1.0', 'mode is receding'),
    ({'planning__join_over': 9}, 8, 'planning.join_over: 9', 'join_jump is 0'),
    ({'planning__lead': 0.5}, 8, 'planning.lead: 0.5', 'without planning.asynchronous'),
    ({'planning__noise': 'zero', 'noise_scale': 1.0}, 8, 'noise_scale: 1.0', 'noise is zero'),
    ({'trigger': 'samples', 'rate': 50.0}, 8, 'rate: 50.0', 'trigger is samples'),
    ({'preflight_hours': 1.0}, 8, 'preflight_hours: 1.0', 'without require_preflight')])
def test_a_setting_without_effect(
        changes: dict[str, Any], candidates: int, name: str, why: str) -> None:
    """It is named with its value, and with what would give it an effect."""
    [text] = without_effect(settings(**changes), candidates)
    assert text.startswith(f'parameter {name} has no effect ')
    assert why in text


@pytest.mark.parametrize(('changes', 'candidates'), [
    ({}, 1), ({}, 8), ({'fallback__policy': 'y'}, 1),
    ({'safety__late_inference': 'hold', 'safety__inference_deadline': 0.8}, 8),
    ({'safety__spread': 'hold', 'safety__spread_limit': 0.1}, 8),
    ({'fallback__policy': 'y', 'fallback__after': 5.0, 'safety__spread': 'warn',
      'fallback__reasons': 'disagreement,outside_envelope,planning'}, 8),
    ({'planning__mode': 'receding', 'planning__replan_every': 3}, 8),
    ({'planning__mode': 'ensemble', 'planning__ensemble_decay': 1.0}, 8),
    ({'planning__join_jump': 0.1, 'planning__join_over': 9}, 8),
    ({'planning__asynchronous': True, 'planning__lead': 0.5}, 8),
    ({'planning__noise': 'zero', 'noise_scale': 0.0}, 8),
    ({'safety__envelope_far': 0.5, 'safety__envelope_margin': 0.3}, 8),
    ({'trigger': 'samples'}, 8)])
def test_settings_with_an_effect(changes: dict[str, Any], candidates: int) -> None:
    """Nothing is told of them, nor of the defaults."""
    assert without_effect(settings(**changes), candidates) == ()
