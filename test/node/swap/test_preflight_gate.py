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

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import replace
import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any
import weakref

import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.node.loading.control_loop import ControlLoop, remake_control_loop
from dfp_ros.node.loading.pending_policy import PendingPolicy
from dfp_ros.node.swap.policy_swapper import PolicySwapper
from dfp_ros.node.swap.preflight_gate import PreflightGate
from dfp_ros.tools.preflight.report import PreflightError, write_report
from dfp_ros.tools.preflight.subject import require_preflight, subject
from dfp_ros.tools.preflight.verdict import judge
from testing.fixtures.preflights import good
from testing.policies.small_policy import write_policy
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
    assert 'is about rate 20.0, here it is 25.0' in gate.find_fault(faster)
    write_report(report, subject(faster), good(), judge(good()))
    assert not gate.find_fault(faster)
    gate.require_admitted(faster, loop)
    # Back again, without its report.
    gate.require_admitted(loop, faster)
    assert not gate.find_fault(loop)


def test_without_the_parameter_everything_takes_over(tmp_path: Path) -> None:
    """No report is read."""
    loop, _ = moving(tmp_path, 1)

    def fail(loop: ControlLoop) -> None:
        raise AssertionError

    gate = PreflightGate(fail)
    gate.admit(loop)
    assert not gate.find_fault(loop)
    gate.require_admitted(changed(loop, rate=25.0), loop)
    # Once it is set, what runs goes on, with any other setting.
    demanding = changed(loop, require_preflight='none.json')
    gate.require_admitted(demanding, loop)
    with pytest.raises(PolicyError, match='require_preflight'):
        gate.require_admitted(changed(demanding, rate=25.0), demanding)


class Swapping:
    """
    A swapper of an active node, without its ticks.

    :param loop: The running loop.
    :param permits: Tells whether a report permits a loop.
    """

    def __init__(self, loop: ControlLoop, permits: Callable[[ControlLoop], bool]) -> None:
        """Admit the loop."""
        def require(found: ControlLoop) -> None:
            if not permits(found):
                raise PreflightError('no report')

        silent: Any = SimpleNamespace(
            info=lambda text: None, warning=lambda text: None, error=lambda text: None)
        self.ticker: Any = SimpleNamespace(
            loop=loop, is_active=True, listeners=[], is_timed=True,
            input_log=SimpleNamespace(loop=0),
            transfer_to=lambda found: setattr(self.ticker, 'loop', found))
        node: Any = SimpleNamespace(
            get_logger=lambda: silent, set_parameters=lambda parameters: None,
            get_parameter=lambda name: SimpleNamespace(value=''))
        worker: Any = SimpleNamespace(
            submit=lambda *job: self.jobs.append(job), release=lambda box: None,
            wait_for_tick=lambda: None)
        status: Any = SimpleNamespace(publish=lambda standing: None)
        files: Any = SimpleNamespace(
            trials=SimpleNamespace(try_out=lambda *given: 0.0))
        self.jobs: list[tuple[Callable[[], Any], Callable[[Any], None], Any]] = []
        self.gate = PreflightGate(require)
        self.gate.admit(loop)
        self.swapper = PolicySwapper(node, self.ticker, status, worker, files, self.gate)

    def load(self, candidate: PendingPolicy) -> Callable[[], None]:
        """Load a policy; return what the worker does right after the next tick."""
        self.swapper._load('policy', candidate, self.swapper._take_over)
        work, done, _ = self.jobs.pop()
        loaded = work()

        def deliver() -> None:
            nonlocal loaded
            done(loaded)
            del loaded
        return deliver

    @property
    def refusal(self) -> str:
        """Return the reason of the last refusal."""
        refused = self.swapper.standing.refusal
        return '' if refused is None else refused.reason


@pytest.fixture(name='loop')
def running_loop(tmp_path: Path) -> ControlLoop:
    """Make the loop that runs."""
    return moving(tmp_path, 1, require_preflight='report.json')[0]


@pytest.fixture(name='other')
def other_policy(tmp_path: Path, loop: ControlLoop) -> Callable[[ControlLoop], PendingPolicy]:
    """Write another policy for it; it is pending with the settings of a loop."""
    path = write_policy(tmp_path / 'other.onnx', loop.policy.spec, seed=5)
    return lambda found: PendingPolicy(replace(found.settings, policy=str(path)))


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Free nothing but what has no reference."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize('change', [{'rate': 10.0}, {'require_preflight': 'another.json'}])
def test_a_change_while_a_policy_is_loaded_counts(
        change: dict[str, Any], loop: ControlLoop,
        other: Callable[[ControlLoop], PendingPolicy]) -> None:
    """The report has to permit what takes over, and not only what was asked for."""
    before = loop if 'rate' in change else changed(loop, require_preflight='')
    swapping = Swapping(before, lambda found: found.policy.sha256 == loop.policy.sha256 or (
        found.settings.rate == loop.settings.rate and 'rate' in change))
    deliver = swapping.load(other(before))
    running = swapping.ticker.loop = changed(before, **change)
    swapping.gate.admit(running)
    deliver()
    assert swapping.ticker.loop is running
    assert 'was not admitted' in swapping.refusal


@pytest.mark.parametrize('permitted', [True, False])
def test_a_swap_while_active(
        permitted: bool, loop: ControlLoop,
        other: Callable[[ControlLoop], PendingPolicy]) -> None:
    """A policy that is refused is freed at once, as it may be large."""
    swapping = Swapping(
        loop, lambda found: permitted or found.policy.sha256 == loop.policy.sha256)
    loaded: list[weakref.ref[ControlLoop]] = []
    find = swapping.gate.find_fault

    def find_fault(found: ControlLoop) -> str:
        loaded.append(weakref.ref(found))
        return find(found)

    swapping.gate.find_fault = find_fault  # type: ignore[method-assign]
    with no_collections():
        swapping.load(other(loop))()
        assert (swapping.ticker.loop is not loop) == permitted
        assert swapping.refusal == ('' if permitted else 'no report')
        assert (loaded[0]() is not None) == permitted
