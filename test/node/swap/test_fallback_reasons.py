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
"""How long a reason has lasted before the fallback takes over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.control.input_log import Failed, InputLog
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.fallback import FallbackSettings
from dfp_ros.node.loop.tick import Tick
from dfp_ros.node.swap.fallback import Fallback
from testing.policies.small_policy import cube_spec

BAD, WAIT = (
    Decision(State.HOLD, reason, 'why') for reason in (Reason.NOT_FINITE_ACTION, Reason.PLANNING))
STALE = Decision(State.HOLD, Reason.STALE, 'old')
WARNED = Decision(State.HOLD, Reason.PLANNING | Reason.SEVERAL_PUBLISHERS, 'why')
RUNS = Decision(State.RUNNING, Reason.NONE, '')
STOPPED = Decision(State.STOPPED, Reason.NOT_FINITE_ACTION, 'stopped')
PERSON = Decision(
    State.RUNNING, Reason.NOT_FINITE_ACTION, 'bad', commander=Commanding.PERSON)


def swaps(
        *decisions: Decision, pause: int = 0, change: str = '', **settings: Any) -> list[int]:
    """
    Tick ten times a second; return the numbers of the ticks in which it takes over.

    :param pause: Number of the tick that a deactivation of ten minutes comes before; 0 for none.
    :param change: Policy of the loop that takes over before each tick; empty for none.
    """
    usual, careful = (
        SimpleNamespace(
            policy=SimpleNamespace(spec=cube_spec(), sha256=name, path=name),
            settings=SimpleNamespace(fallback=FallbackSettings(
                reasons='not_finite_action', after=0.5, **settings)))
        for name in ('usual', 'careful'))
    log, found = InputLog(), []
    logger = SimpleNamespace(warning=str, error=str)
    fallback = Fallback(
        careful, SimpleNamespace(loop=usual),  # type: ignore[arg-type]
        SimpleNamespace(fall_back=found.append), logger)  # type: ignore[arg-type]
    taken = []
    now = 0
    for number, decision in enumerate(decisions):
        now += 10**8
        if pause and number == pause:
            now += 600 * 10**9
            log.reset(0)
        tick = Tick(
            number + 1, now, decision, {}, log.step('a' * 64, False, Failed.NOTHING),
            lambda: 0.0)
        if change:
            fallback.on_transfer(SimpleNamespace(  # type: ignore[arg-type]
                policy=SimpleNamespace(sha256=change.format(number))))
        fallback.on_tick(tick)
        before = len(found)
        fallback.on_idle(tick)
        if len(found) > before:
            taken.append(number)
    return taken


@pytest.mark.parametrize(('decisions', 'expected'), [
    ([BAD] * 6, [5]),
    # As with inference beside the loop: each answer is bad, and the next is waited for.
    ([BAD, WAIT, WAIT] * 2, [5]),
    ([WAIT] * 20, []), ([BAD, WAIT, WARNED, BAD, WAIT, WAIT], [5]),
    ([BAD, WAIT, RUNS, BAD, WAIT, WAIT, WAIT], []),
    ([BAD, STALE, BAD, BAD, BAD, BAD], []),
    # A busy machine: now and then a source is too old, and the policy is not asked.
    ([BAD, BAD, BAD, STALE] * 4, [9]), ([BAD, STALE, STALE, STALE] * 4, []),
    ([BAD, BAD, RUNS] * 4, []), ([STOPPED] * 9, []), ([PERSON] * 9, []),
    ([BAD, BAD, BAD, STOPPED, BAD, BAD, BAD, BAD, BAD, BAD], [9])])
def test_how_long_a_reason_lasts(decisions: list[Decision], expected: list[int]) -> None:
    """It counts without a tick in between; a wait for the next answer is none."""
    assert swaps(*decisions) == expected


@pytest.mark.parametrize(('decisions', 'expected'), [
    ([BAD] * 9, [8]), ([BAD] * 3 + [WAIT] * 20, []), ([BAD] * 3 + [WAIT] * 3 + [BAD] * 6, [11])])
def test_a_reason_of_an_earlier_episode_does_not_count(
        decisions: list[Decision], expected: list[int]) -> None:
    """Nor does the time while the node was inactive, or the robot was reset."""
    assert swaps(*decisions, pause=3) == expected


@pytest.mark.parametrize(('change', 'expected'), [('usual', [5]), ('policy {}', [])])
def test_other_parameters_do_not_begin_a_reason_anew(change: str, expected: list[int]) -> None:
    """Each of them has another loop take over; another policy is judged anew."""
    assert swaps(*[BAD] * 8, change=change) == expected
