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
"""Settings of what stops the robot, slows it down, or is worth a warning."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting

_ANSWERS = ('ignore', 'warn', 'slow', 'hold')
_MILD = ('ignore', 'warn', 'hold')
#: To warn at first, and to hold the robot once the doubt is grave.
GUARD = 'guard'


@dataclass(frozen=True)
class SafetySettings:
    """What the controller does about doubts; what is plainly wrong always stops the robot."""

    envelope: str = setting(
        GUARD, 'What to do while the observation is outside the range of the training data: '
        'ignore, warn, slow, hold, or guard, which warns, and holds the robot while the '
        'observation is further outside than safety.envelope_far or outside for longer than '
        'safety.envelope_long.', choices=(*_ANSWERS, GUARD))
    envelope_margin: float = setting(
        0.1, 'How far outside that range an observation may be, as a fraction of the range.',
        bounds=(0.0, 100.0))
    envelope_far: float = setting(
        2.0, 'With safety.envelope: guard, how far outside that range is too far to go on, as a '
        'fraction of the range.', bounds=(0.0, 1e6))
    envelope_long: float = setting(
        10.0, 'With safety.envelope: guard, seconds outside that range, beyond the margin, that '
        'are too long to go on.', bounds=(0.0, 1e6))
    spread: str = setting(
        'ignore', 'What to do while the candidates that the policy drew disagree: ignore, warn, '
        'slow or hold. With one candidate there is no disagreement.', choices=_ANSWERS)
    spread_limit: float = setting(
        0.5, 'Standard deviation of the candidates above which they disagree, in action units.',
        bounds=(0.0, 2.0))
    late_inference: str = setting(
        'warn', 'What to do while inference is later than its deadline: warn, or hold, which '
        'does not wait for the answer.',
        choices=('warn', 'hold'))
    inference_deadline: float = setting(
        0.0, 'Fraction of the time between two ticks that inference may take; 0 is no deadline.',
        bounds=(0.0, 100.0))
    overdue: float = setting(
        5.0, 'Control periods, of at most 50 ms each, without a decision after which a watchdog '
        'stops the robot; never less than 0.1 s, and as long as inference may take of a slow '
        'tick.', bounds=(2.0, 50.0))
    slow_speed: float = setting(
        0.3, 'Share of the speed that is allowed while the answer to a doubt is slow.',
        bounds=(0.01, 1.0))
    second_node: str = setting(
        'refuse', 'What to do where another policy node that is active has the same command '
        'topic: refuse to be activated, and deactivate where both are and the other one was '
        'first; warn; or ignore.', choices=('refuse', 'warn', 'ignore'))
    other_publisher: str = setting(
        'warn', 'What to do while somebody else publishes on a command topic, whether or not it '
        'sends anything: ignore, warn or hold.', choices=_MILD)
    several_publishers: str = setting(
        'warn', 'What to do while several publishers send the same values of a source in turn: '
        'ignore, warn or hold.', choices=_MILD)
    jump: str = setting(
        'warn', 'What to do where a value goes on by more than max_rate of the robot description '
        'allows, or by more than the joint can: ignore, warn or hold.', choices=_MILD)
    stuck: str = setting(
        'warn', 'What to do while a value stays the same for longer than changes_within of the '
        'robot description: ignore, warn or hold.', choices=_MILD)
    clock_skew: float = setting(
        0.1, 'Seconds by which the stamps of a source may be ahead of their arrival before that '
        'is worth a warning; 0 is never.', bounds=(0.0, 3600.0))
