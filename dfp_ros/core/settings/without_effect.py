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
"""Settings that are set and have no effect beside the others, for the log."""

from __future__ import annotations

from collections.abc import Iterator
import functools

from dfp_ros.core.settings.node import describe, Settings
from dfp_ros.core.text.numbers import shown

# Reasons of a fallback that other settings may rule out.
_DISAGREEMENT, _OUTSIDE, _LATE = 'disagreement', 'outside_envelope', 'late_inference'


def without_effect(settings: Settings, candidates: int) -> tuple[str, ...]:
    """
    Describe the settings that differ from their defaults and have no effect, with a remedy.

    :param settings: The node's settings.
    :param candidates: Number of candidate chunks of the policy.
    """
    return tuple(
        f'parameter {name}: {value} has no effect {why}'
        for name, value, why in (
            *_of_monitors(settings, candidates), *_of_fallback(settings, candidates),
            *_of_planning(settings), *_of_the_rest(settings)))


def _of_monitors(settings: Settings, candidates: int) -> Iterator[tuple[str, str, str]]:
    """Describe those of the runtime monitors."""
    safety = settings.safety
    if safety.late_inference == 'hold' and not safety.inference_deadline:
        yield 'safety.late_inference', 'hold', (
            'without a deadline; set safety.inference_deadline, such as 0.8')
    if safety.spread != 'ignore' and candidates == 1:
        yield 'safety.spread', safety.spread, (
            'with one candidate, which disagrees with no other; set candidates')
    if safety.spread == 'ignore' and _is_set(settings, 'safety.spread_limit'):
        yield 'safety.spread_limit', shown(safety.spread_limit), (
            'while safety.spread is ignore; set it to warn, slow or hold')
    if safety.envelope != 'guard':
        for name in ('envelope_far', 'envelope_long'):
            if _is_set(settings, f'safety.{name}'):
                yield f'safety.{name}', shown(getattr(safety, name)), (
                    f'while safety.envelope is {safety.envelope}; set it to guard')
    elif safety.envelope_far < safety.envelope_margin:
        yield 'safety.envelope_far', shown(safety.envelope_far), (
            'within safety.envelope_margin, so that the robot is held from '
            f'{shown(safety.envelope_margin)} on; lower the margin')
    if safety.envelope == 'ignore' and _is_set(settings, 'safety.envelope_margin'):
        yield 'safety.envelope_margin', shown(safety.envelope_margin), (
            'while safety.envelope is ignore; set it to warn, slow, hold or guard')


def _of_fallback(settings: Settings, candidates: int) -> Iterator[tuple[str, str, str]]:
    """Describe those of the fallback."""
    fallback, safety = settings.fallback, settings.safety
    if not (fallback.policy or fallback.posture):
        for name in ('reasons', 'after'):
            if _is_set(settings, f'fallback.{name}'):
                value = getattr(fallback, name)
                yield f'fallback.{name}', value if name == 'reasons' else shown(value), (
                    'without a fallback; set fallback.policy or fallback.posture')
        return
    if _DISAGREEMENT in fallback.names and (safety.spread == 'ignore' or candidates == 1):
        yield 'fallback.reasons', _DISAGREEMENT, (
            'with one candidate, which disagrees with no other; set candidates'
            if candidates == 1 else
            'while safety.spread is ignore; set it to warn, slow or hold')
    if _OUTSIDE in fallback.names and safety.envelope == 'ignore':
        yield 'fallback.reasons', _OUTSIDE, (
            'while safety.envelope is ignore; set it to warn, slow, hold or guard')
    if _LATE in fallback.names and not safety.inference_deadline and (
            _is_set(settings, 'fallback.reasons')):
        yield 'fallback.reasons', _LATE, (
            'without a deadline; set safety.inference_deadline, such as 0.8')


def _of_planning(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Describe those of chunks and noise."""
    planning = settings.planning
    for name, is_used, why in (
            ('replan_every', planning.mode != 'open_loop',
             'while planning.mode is open_loop; set it to receding or ensemble'),
            ('ensemble_decay', planning.mode == 'ensemble',
             f'while planning.mode is {planning.mode}; set it to ensemble'),
            ('join_over', planning.join_jump > 0, 'while planning.join_jump is 0, any jump'),
            ('lead', planning.asynchronous, 'without planning.asynchronous')):
        if not is_used and _is_set(settings, f'planning.{name}'):
            yield f'planning.{name}', shown(getattr(planning, name)), why
    if planning.noise == 'zero' and settings.noise_scale > 0:
        yield 'noise_scale', shown(settings.noise_scale), 'while planning.noise is zero'


def _of_the_rest(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Describe those of ticks and reports."""
    if settings.is_lockstep and settings.rate:
        yield 'rate', shown(settings.rate), (
            'while trigger is samples: ticks follow the robot, at the period of the policy')
    if not settings.require_preflight and _is_set(settings, 'preflight_hours'):
        yield 'preflight_hours', shown(settings.preflight_hours), 'without require_preflight'


def _is_set(settings: Settings, name: str) -> bool:
    """Return whether a setting differs from its default."""
    value: object = settings
    for part in name.split('.'):
        value = getattr(value, part)
    return value != _defaults()[name]


@functools.cache
def _defaults() -> dict[str, object]:
    """Return the defaults by name."""
    return {name: default for name, default, _ in describe()}
