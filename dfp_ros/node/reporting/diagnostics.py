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
"""
Diagnostics of the node, once a second on ``/diagnostics`` (REP-107), with a status for each part.

It does not use diagnostic_updater, which declares its parameter at each construction, so that a
second configuration fails, and whose frequency task counts ticks instead of missed deadlines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.time import Time

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.description.sources import Source
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.text.printable import listed, printable, TEXT
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.picture_receiver import CAMERA_FACTS
from dfp_ros.node.reporting.severity import Level, StatusBuilder

# Part of the names of the statistics of inference, which are in the status of the policy.
_INFERENCE = 'inference'
# Prefixes of the facts in the status of the control loop, and of a source; the others are the
# policy's.
_OF_LOOP, _OF_SOURCE = ('realtime_', 'clock_', 'other_', 'urdf_'), 'source_'
_STATES = {State.HOLD: Level.ERROR, State.STOPPED: Level.WARN, State.WAITING: Level.WARN}


@dataclass(frozen=True)
class Situation:
    """
    Input of a diagnostics report.

    :param loop: The control loop.
    :param samples: Newest samples by source.
    :param decision: The last decision, None while the node is not active.
    :param statistics: The loop's statistics since the last report and since the beginning.
    :param facts: Further values by name; ``unheard``, ``realtime_refused``, ``clock_problem``,
        ``other_nodes`` and ``urdf_changed`` cause warnings.
    :param now: The time in ns.
    """

    loop: ControlLoop
    samples: Mapping[str, Sample]
    decision: Decision | None
    statistics: Mapping[str, float]
    facts: Mapping[str, str]
    now: int


def diagnose(name: str, situation: Situation) -> DiagnosticArray:
    """
    Make the diagnostics message.

    :param name: The node's name.
    :param situation: Input of the report.
    """
    statuses = {
        'control loop': _control_loop(situation), 'policy': _policy(situation),
        'safety': _safety(situation),
        **{f'source {source.name}': _source(situation, source)
           for source in situation.loop.robot.sources.values()},
        **({} if situation.loop.robot.takeover is None else {'takeover': _takeover(situation)})}
    array = DiagnosticArray(status=[
        DiagnosticStatus(
            level=bytes([status.level]), name=printable(f'{name}: {concern}', TEXT),
            message=printable(status.message, TEXT),
            hardware_id=printable(situation.loop.robot.name),
            values=[
                KeyValue(key=printable(key, TEXT), value=printable(value, TEXT))
                for key, value in values.items()])
        for concern, (status, values) in statuses.items()])
    array.header.stamp = Time(nanoseconds=situation.now).to_msg()
    return array


def _control_loop(situation: Situation) -> tuple[StatusBuilder, dict[str, Any]]:
    """Report the state of the controller, and its timing."""
    loop, decision, statistics = situation.loop, situation.decision, situation.statistics
    limits, tick = loop.settings.diagnostics, loop.tick * 1e-6
    state = 'not active' if decision is None else decision.state.value
    status = StatusBuilder(state)
    if decision is not None:
        level = _STATES.get(decision.state, Level.WARN if decision.reason else Level.OK)
        status.add(level, decision.text or state)
        if not loop.is_lockstep:
            error = statistics['period_error_p99_ms']
            status.compare(
                error / tick, limits.period_warn, limits.period_error,
                f'periods are off by up to {error:.1f} ms (p99) of {tick:g} ms')
        missed = statistics['missed_ticks']
        status.compare(
            missed / max(1, missed + statistics['ticks']), limits.missed_warn, limits.missed_error,
            f'{state}, {missed:.0f} ticks missed since the last report')
        if situation.facts.get('unheard'):
            status.add(Level.WARN, f'no subscriber on {situation.facts["unheard"]}')
        for problem in ('realtime_refused', 'clock_problem', 'other_nodes'):
            if situation.facts.get(problem):
                status.add(Level.WARN, situation.facts[problem])
    # This is best known before the robot moves.
    if situation.facts.get('urdf_changed'):
        status.add(Level.WARN, situation.facts['urdf_changed'])
    return status, {
        'state': 'inactive' if decision is None else state,
        'reason': 'none' if decision is None else decision.reason.words,
        'rate_hz': f'{1e9 / loop.tick:g}',
        **{key: text for key, text in situation.facts.items() if key.startswith(_OF_LOOP)},
        **_format({key: value for key, value in statistics.items() if _INFERENCE not in key})}


def _policy(situation: Situation) -> tuple[StatusBuilder, dict[str, Any]]:
    """Report the policy, and its inference time."""
    loop, statistics = situation.loop, situation.statistics
    limits = loop.settings.diagnostics
    status = StatusBuilder(loop.policy.spec.name)
    took, longest = statistics['inference_p99_ms'], loop.longest_inference * 1e3
    status.compare(
        took / longest, limits.inference_warn, limits.inference_error,
        f'inference takes {took:.1f} ms (p99), ' + (
            f'the ticks are {longest:g} ms apart' if loop.inference is None else
            f'a chunk can wait {longest:g} ms for the next'))
    return status, {
        'policy': loop.policy.spec.name, 'policy_file': loop.policy.path,
        'policy_sha256': loop.policy.sha256,
        **{key: text for key, text in situation.facts.items()
           if not key.startswith((*_OF_LOOP, _OF_SOURCE))},
        **_format({key: value for key, value in statistics.items() if _INFERENCE in key})}


def _safety(situation: Situation) -> tuple[StatusBuilder, dict[str, Any]]:
    """Report the response to faults, and the count of each reason."""
    controller, decision = situation.loop.controller, situation.decision
    response = Response.PASS if decision is None else decision.response
    status = StatusBuilder('commands are sent as they are')
    if decision is not None and response is not Response.PASS:
        is_error = response >= Response.HOLD and decision.state is State.HOLD
        status.add(Level.ERROR if is_error else Level.WARN, (
            f'{response.name.lower()}: {decision.text}'))
    counts = {
        f'steps_{str(reason.name).lower()}': controller.counts[reason]
        for reason in Reason if reason.value}
    return status, {
        'response': response.name.lower(), 'stopped_by_operator': controller.operator.is_stopped,
        **counts,
        **{f'steps_outside_{name}': count for name, count in controller.outside.items()}}


def _source(situation: Situation, source: Source) -> tuple[StatusBuilder, dict[str, Any]]:
    """Report the freshness of a source."""
    sample, limits = situation.samples.get(source.name), situation.loop.settings.diagnostics
    is_active = situation.decision is not None
    age = math.nan if sample is None else (situation.now - sample.time) * 1e-9
    status = StatusBuilder('fresh' if is_active else 'not active')
    if is_active and sample is None:
        status.add(Level.WARN, f'no message on {source.topic} yet')
    elif is_active and sample is not None and sample.missing:
        status.add(Level.WARN, f'{listed(sample.missing)} was never received on {source.topic}')
    elif sample is not None and sample.lasts and source.max_age == math.inf:
        status = StatusBuilder(
            'latched, valid until it is replaced' if is_active else 'not active')
    # If the robot waits for each command, its time may stand still.
    elif is_active and not situation.loop.is_lockstep:
        status.compare(
            age / source.max_age, limits.age_warn, limits.age_error,
            f'{age:.3f} s old, the maximum is {source.max_age:g} s')
    return status, {
        f'source_{source.name}_age_ms': f'{age * 1e3:.1f}', 'topic': source.topic,
        'max_age_ms': f'{source.max_age * 1e3:g}', 'when_stale': source.when_stale,
        **({} if source.picture is None else _camera(situation, source)),
        **_joints(source, sample)}


def _camera(situation: Situation, source: Source) -> dict[str, str]:
    """Report the decoding of a camera's pictures."""
    names = (f'{_OF_SOURCE}{source.name}_{key}' for key in CAMERA_FACTS)
    return {name: situation.facts[name] for name in names if name in situation.facts}


def _takeover(situation: Situation) -> tuple[StatusBuilder, dict[str, Any]]:
    """Report who commands, and the freshness of a person's sources, which need not be there."""
    decision, takeover = situation.decision, situation.loop.robot.takeover
    assert takeover is not None, 'somebody can take over'
    commander = Commanding.NOBODY if decision is None else decision.commander
    status = StatusBuilder(f'commander: {commander.name.lower()}')
    if decision is not None and (Reason.PERSON | Reason.PERSON_SILENT) & decision.reason:
        status.add(Level.WARN, decision.text)
    counts = situation.loop.controller.counts
    ages = {
        name: math.nan if (sample := situation.samples.get(name)) is None
        else (situation.now - sample.received) * 1e-6 for name in takeover.sources}
    return status, {
        'commander': commander.name.lower(), 'dead_man': takeover.dead_man.source,
        'steps_person': counts[Reason.PERSON],
        'steps_dead_man': situation.loop.controller.dead_man_steps,
        **{f'person_{name}_age_ms': f'{age:.1f}' for name, age in ages.items()},
        **{f'person_{name}_topic': source.topic for name, source in takeover.sources.items()}}


def _joints(source: Source, sample: Sample | None) -> dict[str, str]:
    """Report the oldest joints and the publishers, if joints come in several messages."""
    if sample is None or sample.joints is None or not sample.joints.parts:
        return {}
    oldest = min(sample.joints.parts, key=lambda part: part.time)
    return {
        f'source_{source.name}_oldest_joints': listed(oldest.joints),
        f'source_{source.name}_publishers': listed(sample.joints.publishers)}


def _format(statistics: Mapping[str, float]) -> dict[str, str]:
    """Format statistics: counts in full, others with four decimals."""
    return {
        key: str(value) if isinstance(value, int) else f'{value:.4f}'
        for key, value in statistics.items()}
