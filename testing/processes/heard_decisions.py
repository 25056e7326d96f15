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
"""Decisions of a policy node as a test hears them, and what may be learned from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import read_decision, RecordedDecision
from testing.processes.ros_processes import Peer
from training.data.transitions.transitions import Transitions


class HeardDecisions:
    """
    All decisions from now on.

    :param peer: Receives them, while it waits.
    :param node: Name of the policy node.
    """

    def __init__(self, peer: Peer, node: str = 'dfp_policy') -> None:
        """Subscribe."""
        self._peer = peer
        self._rows: list[RecordedDecision] = []
        # Deep, for a test that is slower than the robot.
        peer.node.create_subscription(
            Float64MultiArray, f'{node}/decision', self._receive, QoSProfile(depth=5000))

    @property
    def all(self) -> list[RecordedDecision]:
        """Return all decisions so far."""
        return list(self._rows)

    def await_one(
            self, condition: Callable[[RecordedDecision], object], count: int = 1,
            timeout: float = 120.0) -> list[RecordedDecision]:
        """Wait for so many new decisions that fulfil a condition; return all new ones."""
        begin = len(self._rows)
        self._peer.wait_for(
            lambda: sum(bool(condition(row)) for row in self._rows[begin:]) >= count, timeout)
        return self._rows[begin:]

    def find_steps(self, found: Transitions, period: float) -> list[tuple[int, int]]:
        """
        Find the decisions that transitions are made of.

        :param found: The transitions.
        :param period: Control period in s.
        :return: Of each transition whose decisions were heard, its index, and that of the first
            of its two decisions in :attr:`all`.
        :raises AssertionError: If one is not made of two running decisions in a row, one period
            apart, without a reset between them.
        """
        rows, places = self.all, defaultdict(list)
        for i, row in enumerate(rows):
            if row.observation is not None:
                places[row.observation.astype(np.float32).tobytes()].append(i)
        steps: list[tuple[int, int]] = []
        for i in range(len(found)):
            # They are in order, and a robot at rest has the same observation many times.
            last = steps[-1][1] if steps else -1
            heard = [
                place for place in places[found.observations[i].tobytes()]
                if rows[place + 1:] and rows[place + 1].number == rows[place].number + 1]
            following = set(places[found.next_observations[i].tobytes()])
            joined = [
                place for place in heard if place > last and place + 1 in following
                and _follows(rows[place], rows[place + 1], period * 1e9)]
            # What came before the first decision may have had the same observation.
            assert joined or not heard or 0 in heard, (
                f'transition {i} of {len(found)}: not of two steps in a row, of '
                + '; '.join(' -> '.join(map(brief, rows[place:place + 2])) + (
                    ' (its next observation)' if place + 1 in following else '')
                    for place in heard)
                + f'; its next observation is of {[rows[place].number for place in following]}')
            steps += [(i, place) for place in joined[:1]]
        return steps

    def _receive(self, message: Any) -> None:
        self._rows.append(read_decision(
            [(part.label, part.size) for part in message.layout.dim], message.data))


def _follows(first: RecordedDecision, second: RecordedDecision, period: float) -> bool:
    """Tell whether a decision is one period after another, and both command the robot."""
    assert first.entry is not None
    assert second.entry is not None
    return (
        first.state is State.RUNNING and second.state is State.RUNNING
        and (first.lockstep or abs(second.stamp - first.stamp - period) <= period / 2)
        and second.entry.step == first.entry.step + 1)


def brief(decision: RecordedDecision) -> str:
    """Describe a decision in a few words."""
    entry = decision.entry
    return (
        f'{decision.number} at {decision.stamp * 1e-9:.3f} s {decision.state.value}, step '
        f'{entry and entry.step}, loop {entry and entry.loop}')
