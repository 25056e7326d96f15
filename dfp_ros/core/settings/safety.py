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
"""Node parameters: responses of the runtime monitors, and the watchdog."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting

_ANSWERS = ('ignore', 'warn', 'slow', 'hold')
_MILD = ('ignore', 'warn', 'hold')
#: Response that warns first, and holds the robot once the observation is far or long outside.
GUARD = 'guard'


@dataclass(frozen=True)
class SafetySettings:
    """Limits and responses of the runtime monitors; definite faults always stop the robot."""

    envelope: str = setting(
        GUARD, 'Response while the observation is outside the range of the training data: '
        'ignore, warn, slow, hold, or guard, which warns, and holds the robot while the '
        'observation is further outside than safety.envelope_far or outside for longer than '
        'safety.envelope_long.', choices=(*_ANSWERS, GUARD))
    envelope_margin: float = setting(
        0.1, 'Distance outside that range that is tolerated, as a fraction of the range.',
        bounds=(0.0, 100.0))
    envelope_far: float = setting(
        2.0, 'With safety.envelope: guard, distance outside that range at which the robot is '
        'held, as a fraction of the range.', bounds=(0.0, 1e6))
    envelope_long: float = setting(
        10.0, 'With safety.envelope: guard, seconds outside that range, beyond the margin, after '
        'which the robot is held.', bounds=(0.0, 1e6))
    spread: str = setting(
        'ignore', 'Response while the candidate chunks disagree: ignore, warn, slow or hold. With '
        'one candidate there is no disagreement.', choices=_ANSWERS)
    spread_limit: float = setting(
        0.5, 'Standard deviation of the candidates above which they disagree, in action units.',
        bounds=(0.0, 2.0))
    late_inference: str = setting(
        'warn', 'Response while inference exceeds its deadline: warn, or hold, which does not '
        'wait for the answer.',
        choices=('warn', 'hold'))
    inference_deadline: float = setting(
        0.0, 'Deadline of inference, as a fraction of the time between two ticks; 0 for none.',
        bounds=(0.0, 100.0))
    overdue: float = setting(
        5.0, 'Control periods, of at most 50 ms each, without a decision after which the watchdog '
        'stops the robot; never less than 0.1 s, nor less than the allowed inference time of a '
        'slow tick.', bounds=(2.0, 50.0))
    slow_speed: float = setting(
        0.3, 'Fraction of the speed limits that is allowed while a response is slow.',
        bounds=(0.01, 1.0))
    second_node: str = setting(
        'refuse', 'Response if another active policy node has the same command topic: refuse '
        'activation, and deactivate if both are active and the other was first; warn; or ignore.',
        choices=('refuse', 'warn', 'ignore'))
    other_publisher: str = setting(
        'warn', 'Response while another node has a publisher on a command topic, whether or not '
        'it sends anything: ignore, warn or hold.', choices=_MILD)
    several_publishers: str = setting(
        'warn', 'Response while several publishers send the same values of a source in turn: '
        'ignore, warn or hold.', choices=_MILD)
    goal_failed: str = setting(
        'hold', 'Response while an action that commands are goals of refuses, aborts or does not '
        'answer: ignore, warn or hold.', choices=_MILD)
    jump: str = setting(
        'warn', 'Response to a value that changes faster than max_rate of the robot description, '
        'or than the joint can move: ignore, warn or hold.', choices=_MILD)
    stuck: str = setting(
        'warn', 'Response while a value or a picture does not change for longer than '
        'changes_within of the robot description: ignore, warn or hold.', choices=_MILD)
    clock_skew: float = setting(
        0.1, 'Seconds by which the stamps of a source may be ahead of their arrival before the '
        'node warns; 0 for never.', bounds=(0.0, 3600.0))
