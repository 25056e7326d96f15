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
"""Decision log: changes once, and lasting states at intervals."""

from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.commanding.decision_log import BURST, DecisionLog, PATIENCE, PER_SECOND, REPEAT

WAITING = Decision(State.WAITING, Reason.WAITING, 'no message yet')
STALE = Decision(State.HOLD, Reason.STALE, 'too old')
NAN = Decision(State.HOLD, Reason.NOT_FINITE_OBSERVATION, 'x is nan')
RUNNING = Decision(State.RUNNING, Reason.NONE, '')


class Lines:
    """Recorder of log messages."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def info(self, text: str) -> None:
        """Keep a line."""
        self.found.append(text)

    warning = info


def test_waiting_is_worth_a_line_after_a_while_and_again() -> None:
    """Sources need a moment to appear; after that, a line now and then says which do not."""
    lines, now = Lines(), [0.0]
    log = DecisionLog(lines, lambda: now[0])
    for i in range(1300):
        now[0] = i * 0.01
        log.add(WAITING)
    assert PATIENCE < 13 < PATIENCE + 3 * REPEAT
    assert lines.found == ['waiting, nothing is commanded: no message yet'] * 2


def test_a_hold_is_worth_one_line_and_its_end_another() -> None:
    """One line when it begins, when its reason changes, and when it is over."""
    lines = Lines()
    log = DecisionLog(lines, lambda: 0.0)
    for decision in (RUNNING, RUNNING, STALE, STALE, NAN, NAN, RUNNING, RUNNING, STALE):
        log.add(decision)
    assert lines.found == [
        'running', 'holding: too old', 'holding: x is nan',
        'running', 'holding: too old']
    assert log.last is STALE


def test_another_source_for_the_same_reason_is_worth_a_line_now_and_then() -> None:
    """A lasting hold reports its current source, not the first one."""
    lines, now = Lines(), [0.0]
    log = DecisionLog(lines, lambda: now[0])
    for i in range(1200):
        now[0] = i * 0.01
        log.add(STALE if i < 100 else Decision(State.HOLD, Reason.STALE, f'{i} is too old'))
    assert lines.found[0] == 'holding: too old'
    assert [line.split()[0] for line in lines.found] == ['holding:'] * 3
    assert 12 < 1 + 3 * REPEAT


def test_a_robot_that_stutters_floods_no_log() -> None:
    """A state that changes at each tick is worth some lines, and then one a second that counts."""
    lines, now = Lines(), [0.0]
    log = DecisionLog(lines, lambda: now[0])
    for i in range(1000):
        now[0] = i * 0.01
        log.add((RUNNING, STALE)[i % 2])
    assert abs(len(lines.found) - BURST - 10 * PER_SECOND) <= 1
    assert lines.found[:3] == ['running', 'holding: too old', 'running']
    assert lines.found[-1].endswith(' changes before it)')
    # What it comes to in the end is said, whenever it came.
    for i in range(1000, 1200):
        now[0] = i * 0.01
        log.add(NAN)
    assert lines.found[-1].startswith('holding: x is nan')
