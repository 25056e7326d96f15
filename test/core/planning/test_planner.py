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
"""Planning modes on known chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import itertools
import math

import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.planning.planner import Planned, Planner
from dfp_ros.core.policy.interface import Chunk, PolicyError
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.spec import PolicySpec
from testing.policies.small_policy import cube_spec

PERIOD = 50_000_000
HORIZON = 5


class Numbered:
    """
    Policy whose n-th answer has the actions 100 n, 100 n + 1, ... by default.

    :param answers: Answers to give instead, one number for each action of a chunk.
    :param fails: Numbers of calls that fail.
    """

    def __init__(
            self, answers: Sequence[Sequence[float]] = (), fails: Sequence[int] = ()) -> None:
        self.spec: PolicySpec = replace(cube_spec(), horizon=HORIZON)
        self.observations: list[float] = []
        self._answers = answers
        self._fails = fails

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer the next call."""
        call = len(self.observations)
        self.observations.append(float(observation[0]))
        if call in self._fails:
            raise PolicyError(f'call {call} failed')
        numbers = (
            self._answers[call] if self._answers else 100.0 * call + np.arange(HORIZON))
        actions = np.repeat(np.array(numbers, np.float32)[:, None], 5, axis=1)
        return Chunk(actions, float(call), 0.0)


def planner(
        policy: Numbered, tick: int = PERIOD, positions: np.ndarray | None = None,
        **settings: object) -> Planner:
    """Make a planner whose policy takes 1 ms a call."""
    times = itertools.count(0, 1_000_000)
    return Planner(
        policy, NoiseStream(0, 1, policy.spec.noise_size), tick, lambda: next(times),
        PlanningSettings(**settings), positions)  # type: ignore[arg-type]


def run(plans: Planner, ticks: int, tick: int = PERIOD) -> list[Planned]:
    """Tick; the observation says which tick it is."""
    planned = []
    for i in range(ticks):
        planned.append(plans.next(i * tick, np.full(28, i, np.float32)))
        plans.prepare()
    return planned


def joined(planned: Sequence[Planned]) -> list[float]:
    """Return the first number of the command."""
    return [float(each.joined[0]) for each in planned]


def test_open_loop_plays_chunks_to_their_end() -> None:
    """As in the paper; the rest of the chunk is the preview."""
    planned = run(planner(Numbered()), 7)
    assert joined(planned) == [0, 1, 2, 3, 4, 100, 101]
    assert [each.index for each in planned] == [0, 1, 2, 3, 4, 0, 1]
    assert [each.draw for each in planned] == [1] * 5 + [2] * 2
    assert [each.inference for each in planned] == [0.001, *[None] * 4, 0.001, None]
    assert planned[2].ahead[:, 0].tolist() == [3, 4]
    assert planned[4].ahead.shape == (0, 5)


@pytest.mark.parametrize(('every', 'expected'), [
    (1, [0, 100, 200, 300, 400, 500]), (2, [0, 1, 100, 101, 200, 201]),
    (9, [0, 1, 2, 3, 4, 100])])
def test_receding_horizon_asks_again_after_some_actions(
        every: int, expected: list[float]) -> None:
    """Every k actions, and no later than at the end of the chunk."""
    assert joined(run(planner(Numbered(), mode='receding', replan_every=every), 6)) == expected


def test_receding_horizon_counts_actions_and_not_ticks() -> None:
    """At four ticks an action, two actions are eight ticks."""
    planned = run(
        planner(Numbered(), PERIOD // 4, mode='receding', replan_every=2), 10, PERIOD // 4)
    assert joined(planned) == [0] * 4 + [1] * 4 + [100] * 2


@pytest.mark.parametrize('every', [1, 2])
def test_ensembling_averages_actions_of_the_same_time(every: int) -> None:
    """Weights exp(-m i), i = 0 for the oldest chunk that still has an action for the tick."""
    planned = run(
        planner(Numbered(), mode='ensemble', replan_every=every, ensemble_decay=0.3), 12)
    for t, each in enumerate(planned):
        for ahead, found in enumerate((each.joined[0], *each.ahead[:, 0])):
            says = [
                100 * call + t + ahead - start
                for call, start in enumerate(range(0, t + 1, every))
                if t - start < HORIZON and t + ahead - start < HORIZON]
            weights = [math.exp(-0.3 * i) for i in range(len(says))]
            # An older chunk that ends before the newest is left out, not counted as zero.
            assert found == pytest.approx(np.average(says, weights=weights), rel=1e-5), (t, ahead)
        assert each.action[0] == 100 * (t // every) + t % every, 'what the newest chunk says'


def test_joining_bounds_the_jump_and_spreads_the_rest() -> None:
    """A jump of 1 with 0.2 allowed: 0.2 at once, the rest in equal parts over 4 actions."""
    policy = Numbered([[0.0] * 5, [1.0] * 5, [1.0] * 5])
    planned = run(planner(policy, join_jump=0.2, join_over=4), 12)
    assert joined(planned) == pytest.approx([0, 0, 0, 0, 0, .2, .4, .6, .8, 1, 1, 1])
    assert [each.action[0] for each in planned][5:] == [1] * 7, 'what the policy answered is kept'
    assert planned[6].ahead[:, 0].tolist() == pytest.approx([.6, .8, 1])


def test_joining_goes_on_where_the_last_chunk_was_left() -> None:
    """Asked at every action, it is a bound on the speed, and does not stand still."""
    policy = Numbered([[0.0] * 5, *[[1.0] * 5] * 9])
    plans = planner(policy, mode='receding', replan_every=1, join_jump=0.25, join_over=4)
    assert joined(run(plans, 7)) == pytest.approx([0, .25, .5, .75, 1, 1, 1])


def test_after_a_drop_there_is_nothing_to_join() -> None:
    """After a stop, the robot does not continue from earlier commands."""
    policy = Numbered([[0.0] * 5, [1.0] * 5])
    plans = planner(policy, join_jump=0.2)
    run(plans, 3)
    plans.drop()
    assert joined(run(plans, 1)) == [1]


def test_blends_with_the_chunk_of_another_planner() -> None:
    """A policy that takes over bends its first chunk towards the last action."""
    plans = planner(Numbered([[1.0] * 5]), join_jump=0.2, join_over=2)
    plans.join(np.zeros(5, np.float32))
    assert joined(run(plans, 3)) == pytest.approx([.2, .6, 1])


def test_interpolates_positions_only() -> None:
    """At four ticks an action, positions move in quarters to the next; the rest steps."""
    positions = np.array([True, False, False, False, False])
    planned = run(
        planner(Numbered(), PERIOD // 4, positions, interpolate=True), 20, PERIOD // 4)
    assert joined(planned) == [min(i / 4, 4) for i in range(20)], 'the last one is held'
    assert [each.joined[1] for each in planned] == [i // 4 for i in range(20)]
    assert [each.action[0] for each in planned] == [i // 4 for i in range(20)]
    assert planned[1].ahead[:, 0].tolist() == [1.25, 2.25, 3.25, 4]
    stepwise = run(planner(Numbered(), PERIOD // 4, positions), 20, PERIOD // 4)
    assert joined(stepwise) == [i // 4 for i in range(20)], 'unless asked for'


@pytest.mark.parametrize(('settings', 'expected', 'asked'), [
    ({}, [0, 1, 2, 3, 4, 101, 102, 103, 104, 201], [0, 4, 8]),
    ({'mode': 'receding', 'replan_every': 2}, [0, 1, 101, 102, 201, 202], [0, 1, 3, 5]),
    ({'mode': 'receding', 'replan_every': 1}, [0, 101, 201, 301], [0, 0, 1, 2])])
def test_ahead_the_chunk_is_ready_when_it_is_due(
        settings: dict[str, object], expected: list[float], asked: list[float]) -> None:
    """Asked after the command of the tick before; its action for that tick is left out."""
    policy = Numbered()
    planned = run(planner(policy, ahead=True, **settings), len(expected))
    assert joined(planned) == expected
    assert policy.observations[:len(asked)] == asked
    assert [each.draw for each in planned] == [1 + int(value) // 100 for value in expected]
    new = [i for i, each in enumerate(planned) if each.inference is not None]
    assert new[:2] == [0, expected.index(101)], 'its inference is told when it begins'


@pytest.mark.parametrize('settings', [
    {}, {'mode': 'receding', 'replan_every': 2}, {'mode': 'ensemble', 'replan_every': 3},
    {'ahead': True}])
@pytest.mark.parametrize('tick', [PERIOD, PERIOD // 4])
def test_says_before_a_tick_whether_it_will_ask(settings: dict[str, object], tick: int) -> None:
    """A chunk that was prepared is asked for by no tick."""
    policy = Numbered()
    plans = planner(policy, tick, **settings)
    said, asked = [], []
    for i in range(50):
        said.append(plans.asks_at(i * tick))
        before = len(policy.observations)
        plans.next(i * tick, np.full(28, i, np.float32))
        asked.append(len(policy.observations) > before)
        plans.prepare()
    assert said == asked
    assert asked[0]
    assert not all(asked)


def test_ahead_at_a_higher_rate_leaves_out_no_whole_action() -> None:
    """At four ticks an action, the chunk begins a quarter of an action earlier."""
    policy = Numbered()
    planned = run(planner(policy, PERIOD // 4, ahead=True), 42, PERIOD // 4)
    assert policy.observations == [0, 19, 38]
    assert joined(planned)[18:24] == [4, 4, 100, 100, 100, 101]


def test_ahead_without_a_second_action_is_no_different() -> None:
    """If a chunk ends within a tick, the next one is requested once, when it is due."""
    policy = Numbered([[1.0], [2.0], [3.0]])
    policy.spec = replace(policy.spec, horizon=1)
    assert joined(run(planner(policy, ahead=True), 3)) == [1, 2, 3]
    assert policy.observations == [0, 1, 2]


def test_a_failure_ahead_is_raised_when_the_chunk_is_due() -> None:
    """The tick that needs the chunk raises; the one after a drop plans anew."""
    plans = planner(Numbered(fails=[1]), ahead=True)
    run(plans, 5)
    with pytest.raises(PolicyError, match='call 1 failed'):
        plans.next(5 * PERIOD, np.zeros(28, np.float32))
    plans.drop()
    assert plans.next(6 * PERIOD, np.zeros(28, np.float32)).joined[0] == 200


def test_prepared_chunks_are_dropped_with_the_plan() -> None:
    """A stop in between makes a plan from a fresh observation."""
    policy = Numbered()
    plans = planner(policy, ahead=True)
    run(plans, 5)
    plans.drop()
    plans.next(5 * PERIOD, np.full(28, 5, np.float32))
    assert policy.observations == [0, 4, 5]
