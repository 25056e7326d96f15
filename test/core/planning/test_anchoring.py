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
"""Relative chunks that are anchored at the observation that they were planned from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.control.factory import make_controller
from dfp_ros.core.planning.anchoring import Anchoring
from dfp_ros.core.policy.interface import Chunk
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.spec import PolicySpec, SpecError
from testing.fixtures.people import Cell as PeopleCell
from testing.policies.ticked_inference import TickedInference

# Of the action: three joints, the slide, two velocities, the pump, the gripper.
SLIDE = 3
# An action of 1 is a step of the slide of so many m.
STEP = 0.05


class Steps:
    """Policy that moves the slide by a tenth of its largest step more with each action."""

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec
        self.asked = 0

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer."""
        self.asked += 1
        actions = np.zeros((self.spec.horizon, self.spec.action_size), np.float32)
        actions[:, SLIDE] = np.arange(1, self.spec.horizon + 1) / 10
        return Chunk(actions, 0.0, 0.0)


class Cell(PeopleCell):
    """
    A robot whose slide lags behind its commands.

    :param anchor: Of the policy's specification.
    :param ticks: Ticks that each answer takes, with ``planning.asynchronous``.
    :param lag: Share of the way to a command that is left after a tick.
    """

    def __init__(
            self, anchor: str, *ticks: float, lag: float = 0.5, **planning: Any) -> None:
        self.anchor = anchor
        self.lag = lag
        self.inference: TickedInference | None = None
        self._latencies = ticks
        super().__init__(planning=PlanningSettings(asynchronous=bool(ticks), **planning))

    def make(self, policy: Any = None) -> Any:
        """Make a controller."""
        chosen = policy or Steps(replace(self.policy.spec, anchor=self.anchor))
        if self._latencies:
            self.inference = TickedInference(chosen, *self._latencies)
        return make_controller(
            self.settings, self.robot, chosen, iter(range(0, 10**15, 10**6)).__next__,
            self.inference)

    def step(self) -> Decision:
        """Let a tick pass; the slide lags behind."""
        if self.inference is not None:
            self.inference.pass_tick()
        before = list(self.position)
        decision = super().step()
        self.controller.planner.prepare()
        self.position = [
            here + self.lag * (was - here)
            for here, was in zip(self.position, before, strict=True)]
        return decision


def slides(decisions: list[Decision]) -> list[float]:
    """Return the sent positions of the slide."""
    return [float(each.sent[SLIDE]) for each in decisions if each.sent is not None]


def test_a_chunk_is_relative_to_where_it_was_planned() -> None:
    """Every action from the place of the observation, whatever the robot has done since."""
    cell = Cell('observation')
    start = cell.position[3]
    found = slides(cell.run(5))
    # Within its limits of speed, 0.3 m/s, and acceleration the slide follows.
    np.testing.assert_allclose(found[2:], start + STEP * np.arange(3, 6) / 10, atol=2e-3)
    # The next chunk is of another place.
    place = cell.position[3]
    again = slides(cell.run(5))
    np.testing.assert_allclose(again[3:], place + STEP * np.arange(4, 6) / 10, atol=2e-3)


def test_by_default_an_action_is_relative_to_its_tick() -> None:
    """So that the same chunk leads elsewhere: the actions add up."""
    cell = Cell('tick', lag=0.0)
    anchored = Cell('observation', lag=0.0)
    assert slides(cell.run(5))[-1] > slides(anchored.run(5))[-1] + STEP / 10


def test_a_chunk_of_one_action_is_the_same_with_both() -> None:
    """Each is planned in its own tick."""
    cells = [Cell(anchor, mode='receding', replan_every=1) for anchor in ('tick', 'observation')]
    first, second = (slides(cell.run(20)) for cell in cells)
    assert first == second


def test_the_late_part_is_relative_to_the_observation_too() -> None:
    """With inference beside the loop, the place is that of plan_stamp."""
    cell = Cell('observation', 2, lag=0.0, lead=0.1)
    places = {}
    for _ in range(40):
        here = cell.position[3]
        decision = cell.step()
        places[cell.now] = here
        if decision.state is not State.RUNNING:
            continue
        assert decision.plan is not None
        assert decision.plan.origin is not None
        assert decision.command is not None
        asked = places[decision.plan.origin.stamp] + decision.command[SLIDE]
        assert decision.limited is not None
        assert decision.limited[SLIDE] == pytest.approx(asked, abs=6e-3)


@pytest.mark.parametrize('ticks', [(), (2,)])
def test_joins_are_between_places(ticks: tuple[float, ...]) -> None:
    """A bounded jump is one of the slide, not of numbers that have other anchors."""
    cell = Cell('observation', *ticks, lag=0.7, join_jump=0.01, join_over=4, lead=0.15)
    last = None
    joins = 0
    for _ in range(60):
        decision = cell.step()
        if decision.state is not State.RUNNING:
            last = None
            continue
        assert decision.command is not None
        assert cell.controller.planner.anchor is not None
        place = cell.controller.planner.anchor[SLIDE] + decision.command[SLIDE]
        if last is not None and decision.inference is not None:
            joins += 1
            assert abs(place - last) <= 0.01 * STEP + 1e-6
        last = place
    assert joins > 5


def test_an_ensemble_averages_places() -> None:
    """Chunks of different places are averaged where they lead to."""
    cell = Cell('observation', lag=0.7, mode='ensemble', replan_every=1, ensemble_decay=0.0)
    first = cell.position[3]
    cell.step()
    second = cell.position[3]
    decision = cell.step()
    assert decision.command is not None
    wanted = ((first + STEP * 0.2) + (second + STEP * 0.1)) / 2
    assert second + decision.command[SLIDE] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize('anchors', [
    ('observation', 'observation'), ('tick', 'observation'), ('observation', 'tick')])
def test_a_swap_goes_on_from_the_last_command(anchors: tuple[str, str]) -> None:
    """The bounded jump is from where the last policy led to."""
    cell = Cell(anchors[0], lag=0.0, join_jump=0.01, join_over=4)
    before = slides(cell.run(13))[-1]
    old, cell.anchor = cell.controller, anchors[1]
    cell.controller = cell.make()
    cell.controller.transfer_from(old)
    here = cell.position[3]
    decision = cell.step()
    assert decision.command is not None
    # What was sent lags behind what the last policy asked for by at most a step of 0.1.
    assert abs(here + decision.command[SLIDE] - before) < 0.1 * STEP + 0.01 * STEP + 1e-6


def test_after_a_person_the_chunk_is_of_where_the_robot_is() -> None:
    """A fresh plan, anchored in the tick at which the person lets go."""
    cell = Cell('observation', lag=0.0)
    cell.run(3)
    cell.hold()
    cell.axes[1] = 1.0
    assert {each.commander for each in cell.run(20)} == {Commanding.PERSON}
    cell.hold(False)
    here = cell.position[3]
    decision = cell.step()
    assert decision.commander is Commanding.POLICY
    assert decision.command is not None
    assert cell.controller.planner.anchor is not None
    assert cell.controller.planner.anchor[SLIDE] == here


def test_the_shift_of_actions() -> None:
    """Only of relative numbers, and of those with a range."""
    anchoring = Anchoring(np.array([True, True, False]), np.array([0.5, 0.0, 1.0]))
    shift = anchoring.shift(np.array([1.0, 1.0, np.nan]), np.array([0.9, 0.5, 3.0]))
    np.testing.assert_allclose(shift, [0.2, 0.0, 0.0], atol=1e-6)
    assert shift.dtype == np.float32


def test_the_specification_chooses() -> None:
    """Files without the key are as before, and remain so for earlier releases."""
    spec = PeopleCell().policy.spec
    assert spec.anchor == 'tick'
    assert 'anchor' not in spec.to_json()
    anchored = replace(spec, anchor='observation')
    assert PolicySpec.from_json(anchored.to_json()) == anchored
    assert PolicySpec.from_json(spec.to_json()) == spec
    with pytest.raises(SpecError, match="anchor: found 'chunk', expected one of tick, observ"):
        replace(spec, anchor='chunk')
