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
"""Plans of slow policies: inference beside the loop, under a clock of ticks."""

from __future__ import annotations

from dataclasses import replace
import math
import random

import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.planning.background_planner import BackgroundPlanner, PendingError
from dfp_ros.core.planning.plan_trace import Answered, Origin
from dfp_ros.core.policy.interface import Chunk
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.planning import PlanningSettings
from testing.policies.small_policy import cube_spec
from testing.policies.ticked_inference import FailingPolicy, TickedInference

PERIOD = 50_000_000
HORIZON = 20


class Telling:
    """Policy whose actions are the observation's first number, plus their index divided by 100."""

    def __init__(self, horizon: int = HORIZON) -> None:
        self.spec = replace(cube_spec(), horizon=horizon)

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer."""
        numbers = observation[0] + np.arange(self.spec.horizon, dtype=np.float32) / 100
        return Chunk(np.repeat(numbers[:, None], 5, axis=1), 0.0, 0.0)


class Loop:
    """
    Control loop around a planner, which tells it that the robot is held if it has no plan.

    :param ticks: Ticks that each answer takes.
    :param tick: Time between two ticks in ns.
    :param settings: Of the planner.

    :ivar played: Of each tick: the tick of the observation and the index in its chunk, or the
        reason of the hold.
    """

    def __init__(
            self, *ticks: float, tick: int = PERIOD, horizon: int = HORIZON,
            **settings: object) -> None:
        self.policy = FailingPolicy(Telling(horizon))
        self.inference = TickedInference(self.policy, *ticks)
        self.tick = tick
        self.planner = self.make(**settings)
        self.count = 0
        self.joined: list[float] = []
        self.played: list[tuple[int, int] | Reason] = []

    def make(self, **settings: object) -> BackgroundPlanner:
        """Make a planner with the same inference."""
        return BackgroundPlanner(
            self.inference, NoiseStream(0, 1, self.policy.spec.noise_size), self.tick,
            PlanningSettings(asynchronous=True, **settings))  # type: ignore[arg-type]

    def run(self, ticks: int) -> list[tuple[int, int] | Reason]:
        """Tick; return what was played."""
        for _ in range(ticks):
            self.inference.pass_tick()
            self.planner.steps += 1
            try:
                planned = self.planner.next(
                    self.count * self.tick, np.full(28, self.count, np.float32))
            except PendingError as error:
                self.played.append(error.reason)
                self.planner.settle(is_at_rest=True)
            else:
                from_tick = int(planned.action[0])
                self.played.append((from_tick, planned.index))
                self.joined.append(float(planned.joined[0]))
                assert self.planner.trace.origin == Origin(from_tick + 1, from_tick * self.tick)
            self.planner.prepare()
            self.count += 1
        return self.played[-ticks:]


def test_the_late_part_of_a_chunk_is_skipped() -> None:
    """The first chunk starts with its first action; the next one where its time is by then."""
    loop = Loop(3, lead=0.3)
    assert loop.run(3) == [Reason.PLANNING] * 3
    # Asked at tick 0, while the robot stood still; again with 6 actions left, at tick 3 + 14.
    assert loop.run(17) == [(0, i) for i in range(17)]
    assert loop.inference.asked == 2
    # Asked at tick 17, and here at tick 20.
    assert loop.run(14) == [(17, i) for i in range(3, 17)]
    assert loop.planner.trace.answered is Answered.NOTHING
    assert loop.run(1) == [(31, 3)]
    assert loop.planner.trace.answered is Answered.CHUNK


def test_a_request_is_made_in_time_by_the_measured_latency() -> None:
    """By default, three times the measured time and two ticks; unmeasured, it is at once."""
    loop = Loop(2)
    assert loop.planner.lead == math.inf
    loop.planner.expect(0.1)
    assert loop.planner.lead == pytest.approx(0.4)
    loop.run(14)
    # Played from tick 2 on; 8 actions are left at tick 2 + 12.
    assert loop.inference.asked == 1
    loop.run(1)
    assert loop.inference.asked == 2
    unmeasured = Loop(2)
    unmeasured.run(9)
    assert unmeasured.inference.asked == 5


@pytest.mark.parametrize(('latency', 'horizon', 'lead'), [(7.5, 50, 0.0), (8.0, 50, 1.5)])
def test_no_hold_with_jitter_and_a_tail(latency: float, horizon: int, lead: float) -> None:
    """One answer in a hundred takes three times as long: no tick is without a plan."""
    source = random.Random(0)
    ticks = [
        latency * (3 if i % 100 == 50 else source.uniform(0.7, 1.0)) for i in range(400)]
    loop = Loop(*ticks, horizon=horizon, lead=lead, join_jump=0.02, join_over=10)
    loop.planner.expect(latency * PERIOD * 1e-9)
    loop.run(10)
    played = loop.run(8000)
    assert all(isinstance(each, tuple) for each in played)
    assert loop.inference.asked > 250
    # An action is due in the tick that it was planned for; the first chunk has waited.
    first = loop.count - len(played)
    for i, each in enumerate(played):
        assert isinstance(each, tuple)
        assert each[0] == 0 or sum(each) == first + i


def test_a_jump_is_bounded() -> None:
    """Neither at a join nor between two is a step of the plan larger than the bound."""
    loop = Loop(3, lead=0.3, join_jump=0.05, join_over=5)
    loop.run(3)
    loop.run(100)
    steps = np.abs(np.diff(loop.joined))
    # Joins jump by the tick of the observation, so by 14, unless they are blended: then the
    # excess is spread over 5 actions.
    at_joins = [
        step for step, before, after in zip(steps, loop.played[3:], loop.played[4:], strict=False)
        if isinstance(before, tuple) and isinstance(after, tuple) and before[0] != after[0]]
    assert len(at_joins) > 5
    assert max(at_joins) <= 0.05 + 1e-3


def test_a_late_answer_is_not_played_after_the_hold() -> None:
    """The plan in hand ends; then the robot is held until a chunk from there is here."""
    loop = Loop(2, 12, 2, lead=0.3)
    loop.run(2)
    # 20 actions from tick 2 on; asked with 6 left, at tick 16, for an answer at tick 28.
    assert loop.run(20) == [(0, i) for i in range(20)]
    assert loop.run(6) == [Reason.LATE_INFERENCE] * 6
    assert loop.inference.asked == 2
    # Only then is it free, and the answer from before the hold is dropped.
    assert loop.run(3) == [Reason.LATE_INFERENCE, Reason.LATE_INFERENCE, (28, 0)]
    assert loop.run(3) == [(28, i) for i in range(1, 4)]


def test_a_hung_call_leaves_the_plan_in_hand() -> None:
    """It is played to its end, and then the robot is held for good."""
    loop = Loop(2, math.inf, lead=0.3)
    assert loop.run(22)[2:] == [(0, i) for i in range(20)]
    assert loop.run(100) == [Reason.LATE_INFERENCE] * 100
    assert loop.inference.asked == 2


def test_a_policy_that_never_answers_is_late() -> None:
    """After as long as a chunk lasts; also if its call is from before a stop, or a reset."""
    loop = Loop(math.inf)
    assert loop.run(30) == [Reason.PLANNING] * 21 + [Reason.LATE_INFERENCE] * 9
    for drop in (loop.planner.drop, lambda: loop.planner.restart(0)):
        drop()
        assert loop.run(30) == [Reason.PLANNING] * 21 + [Reason.LATE_INFERENCE] * 9
    assert loop.inference.asked == 1


def test_a_failed_call_leaves_the_plan_in_hand() -> None:
    """The policy is asked again; if the plan ends, the failure is the reason."""
    loop = Loop(2, lead=0.3)
    loop.run(10)
    loop.policy.fails = True
    assert loop.run(12) == [(0, i) for i in range(8, 20)]
    assert loop.planner.trace.answered is not Answered.CHUNK
    assert loop.run(5) == [Reason.INFERENCE_FAILED] * 5
    asked = loop.inference.asked
    assert asked > 3
    loop.policy.fails = False
    assert isinstance(loop.run(4)[-1], tuple)


def test_dropping_discards_the_answer_to_come() -> None:
    """After a stop, a chunk is planned from there; until the robot is at rest, none."""
    loop = Loop(5, lead=0.3)
    loop.run(21)
    assert loop.inference.asked == 2
    loop.planner.drop()
    loop.planner.settle(is_at_rest=False)
    assert loop.run(1) == [Reason.PLANNING]
    assert loop.inference.asked == 2
    # The dropped call goes on for 3 more ticks; nobody may ask before.
    assert loop.run(3) == [Reason.PLANNING] * 3
    assert loop.run(5)[-1] == (24, 0)
    assert loop.inference.asked == 3


def test_a_moving_robot_is_not_planned_for() -> None:
    """Without a plan, nothing is asked while the robot is still slowing down."""
    loop = Loop(2)
    loop.planner.settle(is_at_rest=False)
    with pytest.raises(PendingError):
        loop.planner.next(0, np.zeros(28, np.float32))
    loop.planner.prepare()
    assert loop.inference.asked == 0


def test_beside_another_commander_a_chunk_keeps_its_time() -> None:
    """The robot does not wait for it, so its first actions are over."""
    loop = Loop(4, lead=0.3)
    played = []
    for _ in range(6):
        loop.planner.watch()
        played += loop.run(1)
    assert played == [Reason.PLANNING] * 4 + [(0, 4), (0, 5)]


def test_rates_above_the_policy_s() -> None:
    """With several ticks in a period, the time since the observation decides."""
    loop = Loop(6, tick=PERIOD // 5, lead=0.3)
    loop.run(6)
    assert loop.run(70) == [(0, i // 5) for i in range(70)]
    assert loop.inference.asked == 1
    loop.run(1)
    assert loop.inference.asked == 2
    played = loop.run(7)
    assert played[:5] == [(0, 14)] * 4 + [(0, 15)]
    # Asked at tick 76, and here at tick 82: 6 ticks, or 1.2 periods, later.
    assert played[-2:] == [(76, 1)] * 2


def test_receding_asks_after_so_many_actions() -> None:
    """The next chunk is requested after replan_every actions, or sooner if the plan ends."""
    loop = Loop(2, lead=0.1, mode='receding', replan_every=4)
    loop.run(2)
    assert loop.run(12) == [
        *((0, i) for i in range(6)), *((6, i) for i in range(2, 8))]


def test_an_ensemble_averages_answers() -> None:
    """Chunks for the same time are averaged."""
    loop = Loop(2, lead=10.0, mode='ensemble', ensemble_decay=0.0)
    loop.run(2)
    loop.run(3)
    # Of tick 0 at tick 4 the action is 0.02, and of tick 2 it is 2.02.
    assert loop.joined[-1] == pytest.approx((0.02 + 2.02) / 2, abs=1e-6)


def test_a_plan_is_handed_on() -> None:
    """The next planner plays the plan to its end, and asks its policy at once."""
    loop = Loop(3, lead=0.3, join_jump=0.01, join_over=10)
    loop.run(10)
    old, loop.planner = loop.planner, loop.make(lead=0.3)
    loop.planner.steps = old.steps
    loop.planner.play_on(old, lambda actions: actions)
    assert loop.run(3) == [(0, 7), (0, 8), (0, 9)]
    assert loop.run(1) == [(10, 3)]
    # Another rate has another plan.
    other = Loop(3, tick=PERIOD // 2)
    other.planner.play_on(loop.planner, lambda actions: actions)
    assert other.run(1) == [Reason.PLANNING]


def test_the_noise_goes_on() -> None:
    """Each request draws, and a replay finds the draw."""
    loop = Loop(2, lead=0.3)
    loop.run(1)
    assert loop.planner.trace.asked == 1
    loop.run(1)
    assert loop.planner.trace.asked is None
    loop.run(15)
    loop.planner.drop()
    loop.planner.settle(is_at_rest=True)
    loop.run(3)
    assert loop.planner._noise.draws == loop.inference.asked
