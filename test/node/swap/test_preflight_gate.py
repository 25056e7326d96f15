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
"""Preflight gate: what may take over while the node is active."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.node.loading.control_loop import ControlLoop, remake_control_loop
from dfp_ros.node.swap.preflight_gate import PreflightGate
from dfp_ros.tools.preflight.report import PreflightError, write_report
from dfp_ros.tools.preflight.subject import require_preflight, subject
from dfp_ros.tools.preflight.verdict import judge
from testing.fixtures.preflights import good
from testing.processes.moving_robot import moving


def changed(loop: ControlLoop, **settings: Any) -> ControlLoop:
    """Make the loop with other settings."""
    return remake_control_loop(loop, replace(loop.settings, **settings))


@pytest.fixture(name='report')
def report_file(tmp_path: Path) -> Path:
    """Name a report that is not written yet."""
    return tmp_path / 'report.json'


def test_a_loop_takes_over_with_a_report_about_it(tmp_path: Path, report: Path) -> None:
    """Another policy, rate or number of candidates needs its own; what has passed goes on."""
    loop, _ = moving(tmp_path, 1, require_preflight=str(report))
    gate = PreflightGate(require_preflight)
    with pytest.raises(PreflightError, match='cannot be read'):
        gate.admit(loop)
    write_report(report, subject(loop), good(), judge(good()))
    gate.admit(loop)
    faster = changed(loop, rate=25.0)
    gate.require_admitted(changed(loop, noise_seed=5), loop)
    with pytest.raises(PolicyError, match=r'at 25 Hz with 1 candidate\(s\) was not admitted'):
        gate.require_admitted(faster, loop)
    fault = gate.find_fault(faster)
    assert fault is not None
    assert 'is about rate 20.0, here it is 25.0' in str(fault)
    write_report(report, subject(faster), good(), judge(good()))
    assert gate.find_fault(faster) is None
    gate.require_admitted(faster, loop)
    # Back again, without its report.
    gate.require_admitted(loop, faster)
    assert gate.find_fault(loop) is None


def test_without_the_parameter_everything_takes_over(tmp_path: Path) -> None:
    """No report is read."""
    loop, _ = moving(tmp_path, 1)

    def fail(loop: ControlLoop) -> None:
        raise AssertionError

    gate = PreflightGate(fail)
    gate.admit(loop)
    assert gate.find_fault(loop) is None
    gate.require_admitted(changed(loop, rate=25.0), loop)
    # Once it is set, what runs goes on, with any other setting.
    demanding = changed(loop, require_preflight='none.json')
    gate.require_admitted(demanding, loop)
    with pytest.raises(PolicyError, match='require_preflight'):
        gate.require_admitted(changed(demanding, rate=25.0), demanding)
