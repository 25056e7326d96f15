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
"""Diagnostics: text and level of each status, with their thresholds."""

from __future__ import annotations

from dataclasses import replace
import math
import re
from typing import Any

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.settings.diagnostics import DiagnosticsSettings
from dfp_ros.core.settings.node import Settings
from dfp_ros.node.loading.control_loop import ControlLoop, make_control_loop
from dfp_ros.node.loading.pending_policy import load_policy
from dfp_ros.node.loop.statistics import LoopStatistics
from dfp_ros.node.reporting.diagnostics import diagnose, Situation
from dfp_ros.node.reporting.severity import Level, StatusBuilder
from dfp_ros.node.reporting.statistics_row import StatisticsRow
from testing import ROOT
from testing.fixtures.robot_samples import rest_samples, shipped_robot
from testing.policies.small_policy import write_policy

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
NOW = 10**18
RUNNING = Decision(State.RUNNING, Reason.NONE, '')


@pytest.fixture(scope='module')
def loop(tmp_path_factory: pytest.TempPathFactory) -> ControlLoop:
    """Make a control loop at 20 Hz."""
    path = write_policy(tmp_path_factory.mktemp('policy') / 'x.onnx')
    return make_control_loop(Settings(str(path), 'x'), shipped_robot(), load_policy(str(path)))


def figures(**changes: float) -> dict[str, float]:
    """Report on a loop that keeps its time."""
    statistics = LoopStatistics(0.05)
    for i in range(20):
        statistics.tick(i * 0.05)
        statistics.add(0.001, 0.01)
    return {**statistics.report(), **changes}


def statuses(loop: ControlLoop, **changes: Any) -> dict[str, DiagnosticStatus]:
    """Diagnose, by concern."""
    situation = replace(
        Situation(loop, rest_samples(NOW - 10**7), RUNNING, figures(), {'a': 'b'}, NOW), **changes)
    array = diagnose('/cell/dfp_policy', situation)
    assert array.header.stamp.sec == NOW // 10**9
    assert all(status.name.startswith('/cell/dfp_policy: ') for status in array.status)
    return {status.name.partition(': ')[2]: status for status in array.status}


def values(status: DiagnosticStatus) -> dict[str, str]:
    """Read a status."""
    return {item.key: item.value for item in status.values}


def test_all_is_well(loop: ControlLoop) -> None:
    """One status each for the loop, the policy, safety, and every source."""
    found = statuses(loop)
    assert list(found) == [
        'control loop', 'policy', 'safety', 'source arm', 'source gripper', 'source effector',
        'source cube_0', 'takeover']
    assert {status.level for status in found.values()} == {OK}
    assert values(found['policy'])['policy_sha256'] == loop.policy.sha256
    assert values(found['policy'])['a'] == 'b'
    assert values(found['control loop'])['state'] == 'running'
    assert values(found['source arm'])['source_arm_age_ms'] == '10.0'
    unheard = statuses(loop, facts={'unheard': '/twist_command'})['control loop']
    assert (unheard.level, unheard.message) == (WARN, 'no subscriber on /twist_command')
    assert {status.level for status in statuses(
        loop, decision=None, samples={}).values()} == {OK}, 'nothing is wrong while inactive'


@pytest.mark.parametrize(('concern', 'changes', 'level', 'message'), [
    ('control loop', {'period_error_p99_ms': 25.1}, WARN, 'off by up to 25.1 ms'),
    ('control loop', {'period_error_p99_ms': 24.9}, OK, 'running'),
    ('control loop', {'period_error_p99_ms': 50.1}, ERROR, 'off by up to 50.1 ms'),
    ('control loop', {'missed_ticks': 1}, WARN, '1 ticks missed'),
    ('control loop', {'missed_ticks': 3}, ERROR, '3 ticks missed'),
    ('policy', {'inference_p99_ms': 40.1}, WARN, 'inference takes 40.1 ms'),
    ('policy', {'inference_p99_ms': 50.1}, ERROR, 'inference takes 50.1 ms'),
    ('policy', {'inference_p99_ms': math.nan}, OK, 'test')])
def test_thresholds(
        loop: ControlLoop, concern: str, changes: dict[str, float], level: bytes, message: str,
        ) -> None:
    """Figures on either side of each, in the status that they concern and in no other."""
    found = statuses(loop, statistics=figures(**changes))
    assert found[concern].level == level
    assert message in found[concern].message
    assert all(status.level == OK for name, status in found.items() if name != concern)


def test_sources(loop: ControlLoop) -> None:
    """Each is judged by its own max_age, 0.2 s here, and one that was never seen is named."""
    samples = rest_samples(NOW - 10**7)
    del samples['gripper']
    samples['arm'] = rest_samples(NOW - 161 * 10**6)['arm']
    samples['cube_0'] = rest_samples(NOW - 201 * 10**6)['cube_0']
    found = statuses(loop, samples=samples)
    names = ('arm', 'gripper', 'effector', 'cube_0')
    levels = [found[f'source {name}'].level for name in names]
    assert levels == [WARN, WARN, OK, ERROR]
    assert '0.161 s old, the maximum is 0.2 s' in found['source arm'].message
    assert 'no message on gripper_state yet' in found['source gripper'].message


def test_thresholds_are_parameters(loop: ControlLoop) -> None:
    """The same figures, other thresholds."""
    strict = replace(loop, settings=replace(loop.settings, diagnostics=DiagnosticsSettings(
        period_warn=0.01, inference_error=0.01, inference_warn=0.0, age_warn=0.01)))
    found = statuses(strict, statistics=figures(period_error_p99_ms=0.6))
    assert found['control loop'].level == WARN
    assert found['policy'].level == ERROR
    assert found['source arm'].level == WARN


def test_safety(loop: ControlLoop) -> None:
    """Response and reason, and a count of each reason since the reset."""
    loop.controller.reset(0)
    for i in range(3):
        loop.controller.step(NOW + i, {})
    held = Decision(
        State.HOLD, Reason.STALE, "source 'arm' is old", np.zeros(5), response=Response.HOLD)
    found = statuses(loop, decision=held)
    assert found['safety'].level == found['control loop'].level == ERROR
    assert found['safety'].message == "hold: source 'arm' is old"
    assert values(found['safety'])['steps_waiting'] == '3'
    assert values(found['safety'])['steps_stale'] == '0'
    slow = replace(RUNNING, reason=Reason.DISAGREEMENT, text='x', response=Response.SLOW)
    assert statuses(loop, decision=slow)['safety'].level == WARN
    stopped = Decision(State.STOPPED, Reason.OPERATOR_STOP, 'x', response=Response.STOP)
    assert statuses(loop, decision=stopped)['safety'].level == WARN
    loop.controller.reset(0)
    assert values(statuses(loop)['safety'])['steps_waiting'] == '0'


def test_the_worst_comes_first() -> None:
    """Of several findings."""
    verdict = StatusBuilder('well')
    assert (verdict.level, verdict.message) == (Level.OK, 'well')
    verdict.compare(2.0, 1.0, 3.0, 'a')
    verdict.compare(4.0, 1.0, 3.0, 'b')
    verdict.compare(math.nan, 1.0, 3.0, 'c')
    assert (verdict.level, verdict.message) == (Level.ERROR, 'b; a')


def test_statistics_row() -> None:
    """The row has a fixed length, with the maximum since the last row and the newest values."""
    row = StatisticsRow(('arm', 'cube'), [('turn', 1), ('grip', 2)])
    statistics = LoopStatistics(0.05)
    for time in (0.0, 0.05, 0.13, 0.15):
        statistics.tick(time)
    statistics.add(0.002, 0.01)
    statistics.add(0.001, None)
    decision = replace(
        RUNNING, sent=np.array([1.0, 2, 3]), command=np.array([4.0, 5, 6]), chunk_index=2)
    found = row.write(
        4, 0, statistics.peaks(), decision, {'cube': rest_samples(NOW - 10**6)['cube_0']}, NOW,
        operator_stops=3)
    labels = [f'{label}{i}' for label, size in row.parts for i in range(size)]
    read = dict(zip(labels, found, strict=True))
    assert read['period_ms0'] == pytest.approx(80)
    assert (read['inference_ms0'], read['observation_age_ms0']) == (2, 10)
    assert (read['state0'], read['chunk_index0'], read['age_ms/cube0']) == (1, 2, 1)
    assert math.isnan(read['age_ms/arm0'])
    assert [read['sent/turn0'], read['sent/grip0'], read['sent/grip1']] == [1, 2, 3]
    assert [read['command/turn0'], read['command/grip1']] == [4, 6]
    empty = row.write(0, 0, statistics.peaks(), None, {}, NOW)
    assert len(empty) == len(labels)
    assert np.isnan(empty[2:-1]).all()
    assert (read['operator_stops0'], empty[-1]) == (3, 0)


def test_every_status_is_explained(loop: ControlLoop) -> None:
    """docs/explaining.md has a row for each, and for that of :class:`QosMonitor`."""
    page = (ROOT / 'docs' / 'explaining.md').read_text()
    section = page.split('\n## Diagnostics\n')[1].split('\n## ')[0]
    found = {'source NAME' if name.startswith('source ') else name for name in statuses(loop)}
    assert set(re.findall(r'^\| `(.+?)`', section, re.MULTILINE)) == {*found, 'topics'}
