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
"""Takeover of a robot whose policy is slow: inference beside the loop, and a person's commands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.control.factory import make_controller
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.planning import PlanningSettings
from testing.fixtures.people import Cell as PeopleCell
from testing.policies.ticked_inference import FailingPolicy, TickedInference


class Cell(PeopleCell):
    """
    A robot that a person can take over, and a policy whose answers take ticks.

    :param ticks: Ticks that each answer takes.
    """

    def __init__(self, *ticks: float) -> None:
        self._latencies = ticks
        self.failing: FailingPolicy | None = None
        self.inference: TickedInference | None = None
        super().__init__(planning=PlanningSettings(asynchronous=True))

    def make(self, policy: Any = None) -> Any:
        """Make a controller; its chunks have 20 actions."""
        self.policy.spec = replace(self.policy.spec, horizon=20)
        self.failing = FailingPolicy(policy or self.policy)
        self.inference = TickedInference(self.failing, *self._latencies)
        return make_controller(
            self.settings, self.robot, self.failing, lambda: 0, self.inference)

    def step(self) -> Decision:
        """Let a tick pass."""
        assert self.inference is not None
        self.inference.pass_tick()
        decision = super().step()
        self.controller.planner.prepare()
        return decision


def test_a_person_takes_over_and_gives_back() -> None:
    """Nothing that was requested before the person lets go is played after it."""
    cell = Cell(3)
    assert [each.state for each in cell.run(3)] == [State.HOLD] * 3
    assert {each.commander for each in cell.run(5)} == {Commanding.POLICY}
    cell.hold()
    cell.axes[1] = 1.0
    held = cell.run(40)
    assert {each.commander for each in held} == {Commanding.PERSON}
    # The policy goes on deciding beside.
    assert all(each.action is not None for each in held)
    assert len({each.draw for each in held}) > 3
    cell.hold(False)
    now = cell.now
    waiting = cell.run(4)
    assert {each.state for each in waiting} == {State.HOLD}
    assert all(Reason.PLANNING in each.reason for each in waiting)
    # The base has to come to rest first.
    played = next(each for each in cell.run(40) if each.state is State.RUNNING)
    assert played.commander is Commanding.POLICY
    assert played.chunk_index == 0
    assert played.plan is not None
    assert played.plan.origin is not None
    assert played.plan.origin.stamp > now


def test_a_policy_that_does_not_answer_stops_no_person() -> None:
    """Late or failed inference is reported, and the person goes on."""
    for fails in (False, True):
        cell = Cell(2, 1e9 if not fails else 2)
        cell.run(4)
        assert cell.failing is not None
        cell.failing.fails = fails
        cell.hold()
        cell.axes[1] = 1.0
        held = cell.run(40)
        assert {each.commander for each in held} == {Commanding.PERSON}
        reason = Reason.INFERENCE_FAILED if fails else Reason.LATE_INFERENCE
        assert reason in held[-1].reason
        assert reason not in held[0].reason


def test_a_person_may_come_before_the_first_answer() -> None:
    """Also while the robot waits for a plan."""
    cell = Cell(8)
    cell.run(3)
    cell.hold()
    cell.axes[1] = 1.0
    held = cell.run(20)
    assert {each.commander for each in held} == {Commanding.PERSON}
    assert held[0].action is None
    assert held[-1].action is not None
