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
"""What the node says of itself once a second on ``/diagnostics`` (REP-107)."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.time import Time

from dfp_ros.control_loop import ControlLoop
from dfp_ros.controller import Decision, State
from dfp_ros.loop_statistics import LoopStatistics
from dfp_ros.observation import Sample


def diagnose(
        name: str, loop: ControlLoop, samples: Mapping[str, Sample], decision: Decision | None,
        statistics: LoopStatistics, facts: Mapping[str, str], now: Time) -> DiagnosticArray:
    """
    Write the diagnostics message.

    :param name: The node's name.
    :param loop: The control loop.
    :param samples: Newest samples by source.
    :param decision: The last decision, None while the node is not active.
    :param statistics: The loop's statistics; those since the last report are used up.
    :param facts: More that is worth a line, by name; ``unheard`` is worth a warning.
    :param now: Time of the message.
    """
    figures = statistics.report()
    level, message, state, reason = DiagnosticStatus.OK, 'not active', 'inactive', 'none'
    if decision is not None:
        state, reason = decision.state.value, decision.reason.words
        message = decision.text or state
        if decision.state is State.HOLD:
            level = DiagnosticStatus.ERROR
        elif decision.reason:
            level = DiagnosticStatus.WARN
        elif figures['missed_ticks']:
            level = DiagnosticStatus.WARN
            message = f'{state}, {figures["missed_ticks"]} ticks missed since the last report'
        if facts.get('unheard'):
            level = max(level, DiagnosticStatus.WARN)
            message += f'; nobody listens to {facts["unheard"]}'
    values: dict[str, Any] = {'state': state, 'reason': reason}
    for key, value in figures.items():
        values[key] = value if isinstance(value, int) else f'{value:.4f}'
    for source in loop.robot.sources:
        age = (
            (now.nanoseconds - samples[source].time) * 1e-6 if source in samples else math.nan)
        values[f'source_{source}_age_ms'] = f'{age:.1f}'
    values |= {
        'rate_hz': f'{1e9 / loop.tick:g}', 'policy': loop.policy.spec.name,
        'policy_file': loop.policy.path, 'policy_sha256': loop.policy.sha256, **facts}
    status = DiagnosticStatus(
        level=level, name=f'{name}: control loop', message=message, hardware_id=loop.robot.name,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])
    array = DiagnosticArray(status=[status])
    array.header.stamp = now.to_msg()
    return array
