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
"""Watch over a policy node: stops and releases of others, restarts and silence."""

from __future__ import annotations

from array import array
import math

import pytest

pytest.importorskip('rclpy')

from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from dfp_ros.core.control.decision import State
from dfp_ros.node.loop.statistics import LoopStatistics
from dfp_ros.node.reporting.statistics_row import StatisticsRow
from dfp_ros.tools.episodes.machine import Event
from dfp_ros.tools.episodes.policy_watch import GONE, PolicyWatch, Row, RowReader


class Bench:
    """A watch, ten rows a second, and 20 ticks a second."""

    def __init__(self) -> None:
        """Start without a row."""
        self.watch = PolicyWatch('dfp_policy')
        self.time, self.ticks = 10.0, 0

    def rows(self, state: State | None, stops: int, count: int = 1) -> list[Event]:
        """Hear rows; return the events."""
        for _ in range(count):
            self.time += 0.1
            self.ticks += 2
            self.watch.hear(Row(self.ticks, state, stops), self.time)
        return self.poll()

    def poll(self, is_offered: bool = True) -> list[Event]:
        """Return the events."""
        return [event for event, _ in self.watch.poll(self.time, is_offered)]

    def stop(self) -> None:
        """Stop the robot, and get the answer."""
        self.watch.note_stop()
        self.watch.note_answer(self.time, True)
        self.watch.set_held(True)


def test_own_stops_are_expected() -> None:
    """Whether the rows with them come before the answer, or long after it."""
    bench = Bench()
    assert bench.rows(State.RUNNING, 4) == [Event.FOUND]
    bench.watch.note_stop()
    assert bench.rows(State.STOPPED, 5) == []
    bench.watch.note_answer(bench.time, True)
    bench.watch.set_held(True)
    assert bench.rows(State.STOPPED, 5, 20) == []
    bench.stop()
    assert bench.rows(State.STOPPED, 5, 4) == []
    assert bench.rows(State.STOPPED, 6, 20) == []


def test_a_stop_of_another_is_told_once() -> None:
    """During an episode and between two, also if an own one is under way."""
    bench = Bench()
    bench.rows(State.RUNNING, 0)
    assert bench.rows(State.STOPPED, 1) == [Event.OTHER_STOP]
    assert bench.rows(State.STOPPED, 1, 20) == []
    bench.stop()
    assert bench.rows(State.STOPPED, 3) == [Event.OTHER_STOP]
    bench.watch.note_stop()
    assert bench.rows(State.STOPPED, 5) == [Event.OTHER_STOP]
    bench.watch.note_answer(bench.time, True)
    assert bench.rows(State.STOPPED, 5, 20) == []
    assert bench.rows(State.STOPPED, 6) == [Event.OTHER_STOP]


def test_a_stop_without_an_answer_may_have_been_executed_or_not() -> None:
    """Neither is another's."""
    for executed in (0, 1):
        bench = Bench()
        bench.rows(State.RUNNING, 0)
        bench.watch.note_stop()
        bench.watch.note_answer(bench.time, False)
        assert bench.rows(State.STOPPED, executed, 20) == []
        bench.stop()
        assert bench.rows(State.STOPPED, executed + 1, 20) == []
    assert bench.rows(State.STOPPED, 3) == [Event.OTHER_STOP]


def test_a_robot_that_was_stopped_before() -> None:
    """Another has stopped it; a robot that runs was not, however often it was before."""
    bench = Bench()
    assert bench.rows(State.STOPPED, 7) == [Event.FOUND, Event.OTHER_STOP]
    assert Bench().rows(State.RUNNING, 7) == [Event.FOUND]


def test_a_release_by_another() -> None:
    """It is told by later steps, not by the last decision from before the stop."""
    bench = Bench()
    bench.rows(State.RUNNING, 0)
    bench.stop()
    bench.ticks -= 2
    assert bench.rows(State.WAITING, 1) == []
    bench.ticks -= 1
    assert bench.rows(State.WAITING, 1) == []
    assert bench.rows(State.STOPPED, 1, 20) == []
    assert bench.rows(State.RUNNING, 1, 2) == [Event.OTHER_RELEASE]
    assert bench.rows(State.RUNNING, 1, 5) == []
    bench.stop()
    assert bench.rows(State.STOPPED, 2, 5) == []
    bench.watch.set_held(False)
    assert bench.rows(State.RUNNING, 2, 5) == []


def test_rows_from_before_the_stop_are_no_release() -> None:
    """They may come late; the number of stops tells them."""
    bench = Bench()
    bench.rows(State.RUNNING, 0)
    bench.stop()
    assert bench.rows(State.RUNNING, 0, 4) == []
    assert bench.rows(State.STOPPED, 1, 10) == []


def test_a_node_that_is_gone_or_restarted() -> None:
    """Its silence, the end of its services, fewer stops than before, and a node at rest."""
    bench = Bench()
    assert bench.watch.explain(bench.time).startswith("no policy node 'dfp_policy'")
    bench.rows(State.RUNNING, 3)
    assert bench.watch.explain(bench.time) == ''
    bench.time += GONE + 0.1
    assert bench.poll() == [Event.LOST]
    assert bench.poll() == []
    assert bench.rows(State.RUNNING, 0) == [Event.FOUND]
    assert bench.poll(is_offered=False) == [Event.LOST]
    bench.rows(State.RUNNING, 1)
    assert bench.rows(State.RUNNING, 0) == [Event.LOST, Event.FOUND]
    assert bench.rows(None, 0, 20) == [], 'a reset leaves it without a decision for a moment'
    assert bench.rows(None, 0, 20) == [Event.LOST]
    assert 'is not active' in bench.watch.explain(bench.time)


def test_a_node_that_comes_back_with_its_own_stop() -> None:
    """It was inactive, or stood still; only a stop that was added is another's."""
    bench = Bench()
    bench.rows(State.RUNNING, 0)
    bench.stop()
    bench.rows(State.STOPPED, 1, 20)
    bench.rows(None, 1, 40)
    assert not bench.watch.is_present
    assert bench.rows(State.STOPPED, 1) == [Event.FOUND]
    bench.watch.note_stop()
    bench.time += GONE + 0.1
    assert bench.poll() == [Event.LOST]
    # The call that was under way was executed, or was not.
    assert bench.rows(State.STOPPED, 2) == [Event.FOUND]
    bench.time += GONE + 0.1
    bench.poll()
    assert bench.rows(State.STOPPED, 3) == [Event.FOUND, Event.OTHER_STOP]


@pytest.mark.parametrize(('stops', 'expected'), [
    (1, [Event.LOST, Event.FOUND]), (2, [Event.LOST, Event.FOUND, Event.OTHER_STOP])])
def test_a_new_node_that_was_stopped_by_this_program_first(
        stops: int, expected: list[Event]) -> None:
    """Its answer came before the first row; a stop of another beside it is found."""
    bench = Bench()
    bench.rows(State.RUNNING, 3)
    bench.watch.note_stop()
    # The node was killed before its answer, and the call is repeated.
    bench.watch.note_answer(bench.time, False)
    bench.stop()
    assert bench.rows(State.STOPPED, stops) == expected


def test_a_stop_before_the_restart_is_no_stop_of_the_new_node() -> None:
    """Whoever has stopped that one is another."""
    bench = Bench()
    bench.rows(State.RUNNING, 3)
    bench.stop()
    assert bench.poll(is_offered=False) == [Event.LOST]
    assert bench.rows(State.STOPPED, 1) == [Event.FOUND, Event.OTHER_STOP]


def test_a_simulation_that_is_paused_is_not_gone() -> None:
    """Its diagnostics go on, by another clock; without rows nothing is concluded."""
    bench = Bench()
    bench.rows(State.RUNNING, 0)
    for _ in range(50):
        bench.time += 0.5
        bench.watch.beat(bench.time)
        assert bench.poll() == []


def message(parts: dict[str, int], data: list[float]) -> Float64MultiArray:
    """Make a message."""
    found = Float64MultiArray(data=data)
    found.layout.dim = [
        MultiArrayDimension(label=label, size=size) for label, size in parts.items()]
    return found


def test_rows_are_read_by_their_names() -> None:
    """As the node writes them; anything else is no row, and no error."""
    writer = StatisticsRow(('arm',), [('turn', 2)])
    reader = RowReader()
    data: array[float] = writer.write(
        7, 0, LoopStatistics(0.05).peaks(), None, {}, 0, operator_stops=3)
    assert reader.read(message(dict(writer.parts), list(data))) == Row(7, None, 3)
    three = dict.fromkeys(('state', 'ticks', 'operator_stops'), 1)
    assert reader.read(message(three, [2.0, 7.0, 0.0])) == Row(7, State.HOLD, 0)
    for parts, numbers in (
            ({}, [1.0]), ({'ticks': 1}, [1.0]), (three, [1.0]), (three, [9.0, 1.0, 1.0]),
            (three, [1.0, math.nan, 1.0]), (three, [1.0, 1.0, math.inf]),
            (three, [1.0, 1e308, 1.0]), (three, [1.0, 1.0, 1e17]), (three, [1.0, -1.0, 1.0]),
            (dict.fromkeys(map(str, range(2000)), 1), [0.0] * 2000)):
        assert reader.read(message(parts, numbers)) is None
    watch = PolicyWatch('dfp_policy')
    watch.hear(None, 1.0)
    assert 'run the policy node of the same version' in watch.explain(1.0)
