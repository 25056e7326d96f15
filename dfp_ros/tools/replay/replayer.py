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
"""
Makes recorded decisions once more, from the same samples, and compares them bit for bit.

A controller begins as new at a reset, so from there on all of its past is recorded. Where the
recording begins later, or has a gap, decisions are compared again once a new chunk begins and the
whole decision is as it was recorded. What limits, a ramp-in or histories remember of the time
before may still differ then, so a difference before the next reset is marked as uncertain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.decision_row import DecisionRow, RecordedDecision
from dfp_ros.core.control.input_log import Entry, Failed
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.safety.reasons import FROM_GRAPH, Reason
from dfp_ros.tools.replay.replayed_policy import Conditions

Row = NDArray[np.float64]
# Draws of noise that are made again at most, for decisions whose past is not recorded.
_MOST_DRAWS = 1_000_000


@dataclass(frozen=True)
class RecordedStep:
    """
    A control step as it was recorded.

    :param decision: What was decided.
    :param row: The same as numbers.
    :param samples: The samples that it was made from, by source.
    :param missing: Sources whose sample is not in the recording.
    """

    decision: RecordedDecision
    row: Row
    samples: Mapping[str, Sample]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """
    A decision that comes out differently.

    :param number: Its number.
    :param stamp: Its time in ns.
    :param part: The first part of its row that differs.
    :param recorded: That part as it was recorded.
    :param computed: That part as it comes out now.
    :param is_certain: Whether all of the past since the last reset is recorded.
    """

    number: int
    stamp: int
    part: str
    recorded: Row
    computed: Row
    is_certain: bool


class Replayer:
    """
    Replays the decisions of one node.

    :param row: Writes decisions as the node did.
    :param make: Makes the controller of a loop, None where what it was is not recorded.
    :param between: Lists the loops that took over after one and until another, that one included.
    :param conditions: The conditions that the controllers' policies are asked under.
    :param compares: Whether the decisions should come out as they were recorded.
    :param identity: Gives what rows of a loop have to say of it: policy and seed; None where that
        is not recorded.

    :ivar replayed: How many decisions were made again.
    :ivar different: How many of them came out differently.
    :ivar first: The first of these.
    :ivar left_out: How many were not, by reason.
    """

    def __init__(
            self, row: DecisionRow, make: Callable[[int], Controller | None],
            between: Callable[[int, int], Sequence[int]], conditions: Conditions,
            compares: bool = True,
            identity: Callable[[int], tuple[int, int] | None] = lambda loop: None) -> None:
        """Start before the first decision."""
        self._identity = identity
        self._step = 0
        self._drawn = 0
        self.replayed = self.different = 0
        self.first: Difference | None = None
        self.left_out: Counter[str] = Counter()
        self._row = row
        self._make = make
        self._between = between
        self._conditions = conditions
        self._compares = compares
        self._controller: Controller | None = None
        self._loop = -1
        self._number = -1
        # Whether the controller is as it was, as far as can be told, and for certain.
        self._is_known = self._is_certain = False

    def step(self, step: RecordedStep, following: RecordedStep | None) -> Decision | None:
        """
        Make one decision again.

        :param step: As it was recorded.
        :param following: The next one, None after the last.
        :return: The decision; None where it cannot be made, or its past is not known.
        """
        recorded, entry = step.decision, step.decision.entry
        if entry is None:
            self.left_out['recorded without what a replay needs'] += 1
            return None
        self._go_on(recorded, entry)
        if step.missing:
            self._controller = None
            self.left_out['a sample is not in the recording'] += 1
            return None
        if entry.failed is Failed.OVERDUE:
            # What the watchdog sent, and when, is not recorded.
            self._controller = None
            self.left_out['the watchdog had stopped the robot'] += 1
            return None
        if self._controller is None:
            self.left_out['its settings are not in the recording'] += 1
            return None
        decision = self._decide(self._controller, step, entry)
        self._prepare(self._controller, recorded, following)
        if not self._compares:
            self.replayed += 1
            return decision
        difference = self._compare(step, entry, decision)
        if not self._is_known:
            if recorded.inference is None or difference is not None:
                self.left_out['its past is not in the recording'] += 1
                return None
            self._is_known = True
        self.replayed += 1
        if difference is not None:
            self.different += 1
            self.first = self.first or difference
            self._is_known = self._is_certain
        return decision

    def _go_on(self, recorded: RecordedDecision, entry: Entry) -> None:
        """See to it that the controller is the one that made this decision."""
        # Loops take over one after the other, so one that comes back was never the next.
        follows = recorded.number == self._number + 1 and entry.loop >= self._loop
        self._number = recorded.number
        self._step = self._step + 1 if follows and entry.step != 1 and self._step else entry.step
        if entry.step == 1 or not follows or self._controller is None:
            self._controller = self._make(entry.loop)
            if self._controller is not None:
                self._controller.reset(entry.seed)
            # One that waits has done nothing since the reset that a new one would not.
            self._is_known = self._is_certain = (
                entry.step == 1 or recorded.state is State.WAITING)
        elif entry.loop != self._loop:
            for loop in self._between(self._loop, entry.loop):
                old, self._controller = self._controller, self._make(loop)
                if old is None or self._controller is None:
                    break
                self._controller.transfer_from(old)
        self._loop = entry.loop

    def _decide(
            self, controller: Controller, step: RecordedStep, entry: Entry) -> Decision:
        """Tell the controller all that it was told, and have it decide."""
        recorded = step.decision
        for _ in range(entry.stop_commands):
            controller.halt()
        if entry.is_stopped and not controller.operator.is_stopped:
            controller.operator.stop('as recorded')
        elif controller.operator.is_stopped and not entry.is_stopped:
            controller.operator.resume()
        for reason in FROM_GRAPH:
            controller.note(reason, 'as recorded' if reason in recorded.reason else '')
        if self._compares and not self._is_known and recorded.inference is not None:
            draws = max(0, (recorded.draw or 0) - 1)
            self._drawn += draws
            if self._drawn > _MOST_DRAWS:
                # Whatever comes of it, it is not known.
                draws = 0
            controller.planner.seek(entry.seed, draws)
        self._set_conditions(recorded)
        try:
            decision = controller.step(recorded.stamp, step.samples)
        except Exception as error:  # whatever it was, the node stopped for it too
            return controller.fail(error)
        if entry.failed is Failed.SENDING:
            return controller.fail(RuntimeError('could not be sent'))
        return decision

    def _prepare(
            self, controller: Controller, recorded: RecordedDecision,
            following: RecordedStep | None) -> None:
        """Think ahead, as the node did; what came of it, the following decision has."""
        if following is not None and following.decision.number == recorded.number + 1:
            self._set_conditions(following.decision)
        controller.planner.prepare()

    def _set_conditions(self, recorded: RecordedDecision) -> None:
        """Set the conditions of a decision."""
        self._conditions.inference = recorded.inference
        self._conditions.fails = Reason.INFERENCE_FAILED in recorded.reason
        self._conditions.is_late = (
            Reason.LATE_INFERENCE in recorded.reason and recorded.action is None)

    def _compare(
            self, step: RecordedStep, entry: Entry, decision: Decision) -> Difference | None:
        """Find the first part that differs in a bit."""
        recorded = step.decision
        identity = self._identity(entry.loop)
        policy, seed = (entry.policy, entry.seed) if identity is None else identity
        entry = replace(entry, policy=policy, seed=seed, step=self._step)
        computed = np.array(self._row.write(
            recorded.number, recorded.stamp, recorded.lockstep, decision, step.samples, entry))
        differs = (computed.view(np.int64) != step.row.view(np.int64)) & ~(
            np.isnan(computed) & np.isnan(step.row))
        if not differs.any():
            return None
        place, start = int(differs.argmax()), 0
        for label, size in self._row.parts:
            if place < start + size:
                part = slice(start, start + size)
                return Difference(
                    recorded.number, recorded.stamp, label, step.row[part], computed[part],
                    self._is_certain)
            start += size
        raise AssertionError('every number belongs to a part')
