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
Deterministic replay of recorded decisions from the same samples, compared bit for bit.

A reset clears the controller's state, so its whole past is recorded from there on. If the
recording starts later, or has a gap, comparison resumes once a new chunk starts and the whole
decision equals the recorded one. The earlier state of limits, a ramp-in or histories may still
differ then, so a difference before the next reset is marked as uncertain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.control.decision_row import DecisionRow, RecordedDecision
from dfp_ros.core.control.input_log import Entry, Failed
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.planning.background_planner import BackgroundPlanner
from dfp_ros.core.planning.plan_trace import PlanTrace
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.safety.reasons import FROM_GRAPH, Reason
from dfp_ros.tools.replay.replayed_policy import Conditions

Row = NDArray[np.float64]
# Largest number of noise draws repeated for decisions whose past is not recorded.
_MOST_DRAWS = 1_000_000


@dataclass(frozen=True)
class RecordedStep:
    """
    Recorded control step.

    :param decision: The decision.
    :param row: The decision as numbers.
    :param samples: The samples that it was made from, by source.
    :param missing: Sources whose sample is not in the recording.
    :param doubtful: Sources whose sample may be another message than the node's, with the same
        stamp or without one.
    """

    decision: RecordedDecision
    row: Row
    samples: Mapping[str, Sample]
    missing: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """
    First difference between a recorded and a replayed decision.

    :param number: Number of the decision.
    :param stamp: Time of the decision in ns.
    :param part: First part of the row that differs.
    :param recorded: Recorded value of that part.
    :param computed: Replayed value of that part.
    :param is_certain: Whether the whole past since the last reset is recorded.
    :param doubtful: As :attr:`RecordedStep.doubtful`, of all steps since the last reset.
    """

    number: int
    stamp: int
    part: str
    recorded: Row
    computed: Row
    is_certain: bool
    doubtful: tuple[str, ...] = ()


def _describe_missing(step: RecordedStep) -> str:
    """Describe why the samples of a step are not complete."""
    if step.decision.commander is Commanding.PERSON and step.decision.lockstep:
        return (
            'a person commanded in lockstep, by messages without a stamp, whose arrival the '
            'recording does not have')
    return 'a sample is not in the recording'


class Replayer:
    """
    Replay of the decisions of one node.

    :param row: Writes decisions as the node did.
    :param make: Makes the controller of a loop; None if its settings are not recorded.
    :param between: Lists the loops that took over after one loop, up to and including another.
    :param conditions: Recorded conditions of inference.
    :param compares: Whether to compare the decisions with the recorded ones.
    :param identity: Returns policy number and seed in the rows of a loop; None if they are not
        recorded.

    :ivar replayed: Number of replayed decisions.
    :ivar different: Number of replayed decisions that differ.
    :ivar first: The first of these.
    :ivar left_out: Number of decisions not replayed, by reason.
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
        # Whether the controller's state equals the recorded one, probably and certainly.
        self._is_known = self._is_certain = False
        # Of the steps since the last reset.
        self._doubtful: set[str] = set()

    def step(self, step: RecordedStep, following: RecordedStep | None) -> Decision | None:
        """
        Replay one decision.

        :param step: The recorded step.
        :param following: The next step; None after the last.
        :return: The decision; None if it cannot be replayed, or its past is unknown.
        """
        recorded, entry = step.decision, step.decision.entry
        if entry is None:
            self.left_out['the recording lacks data for a replay'] += 1
            return None
        self._go_on(recorded, entry)
        if step.missing:
            self._controller = None
            self.left_out[_describe_missing(step)] += 1
            return None
        if entry.failed is Failed.OVERDUE:
            # Commands of the watchdog, and their times, are not recorded.
            self._controller = None
            self.left_out['the watchdog had stopped the robot'] += 1
            return None
        if entry.failed is Failed.PARTLY_SENT:
            # Which topics got the command, is not recorded.
            self._controller = None
            self.left_out['some topics did not get a command'] += 1
            return None
        if self._controller is None:
            self.left_out['its settings are not in the recording'] += 1
            return None
        self._doubtful.update(step.doubtful)
        decision = self._decide(self._controller, step, entry)
        self._prepare(self._controller, recorded, following)
        if not self._compares:
            self.replayed += 1
            return decision
        difference = self._compare(step, entry, decision)
        if not self._is_known:
            if recorded.inference is None or recorded.draw is None or difference is not None:
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
        """Switch to the controller that made this decision."""
        # Loops take over in order, so a loop that comes back was never the next one.
        follows = recorded.number == self._number + 1 and entry.loop >= self._loop
        self._number = recorded.number
        if entry.step == 1:
            self._doubtful.clear()
        self._step = self._step + 1 if follows and entry.step != 1 and self._step else entry.step
        if entry.step == 1 or not follows or self._controller is None:
            self._controller = self._make(entry.loop)
            if self._controller is not None:
                self._controller.reset(entry.seed)
            # A loop that waits for a source has changed nothing since the reset, so a new one is
            # the same; one that has all waits for the earlier ticks of derivatives or histories.
            self._is_known = self._is_certain = entry.step == 1 or (
                recorded.state is State.WAITING and self._controller is not None
                and not self._controller.sources <= recorded.samples.keys())
        elif entry.loop != self._loop:
            for loop in self._between(self._loop, entry.loop):
                old, self._controller = self._controller, self._make(loop)
                if old is None or self._controller is None:
                    break
                self._controller.transfer_from(old)
        self._loop = entry.loop

    def _decide(
            self, controller: Controller, step: RecordedStep, entry: Entry) -> Decision:
        """Pass all recorded inputs to the controller, and run its step."""
        recorded = step.decision
        for _ in range(entry.stop_commands):
            controller.halt()
        if entry.is_stopped and not controller.operator.is_stopped:
            controller.operator.stop('as recorded')
        elif controller.operator.is_stopped and not entry.is_stopped:
            controller.operator.resume()
        for reason in FROM_GRAPH:
            controller.note(reason, 'as recorded' if reason in recorded.reason else '')
        is_unknown = self._compares and not self._is_known
        planner = controller.planner
        if isinstance(planner, BackgroundPlanner):
            if is_unknown and recorded.plan is not None and recorded.plan.asked is not None:
                self._seek(planner, entry, recorded.plan.asked)
                if recorded.state is State.RUNNING:
                    # It had a plan meanwhile, which is not known.
                    planner.watch()
            planner.steps = self._step - 1
        elif is_unknown and recorded.inference is not None and recorded.draw is not None:
            self._seek(planner, entry, recorded.draw)
        self._set_conditions(recorded)
        last = controller.limiter.last
        try:
            decision = controller.step(recorded.stamp, step.samples)
        except Exception as error:  # any fault stopped the robot in the node too
            return controller.fail(error)
        if entry.failed is Failed.UNSENT and last is not None:
            controller.limiter.return_to(last, range(len(last)))
        if entry.failed in (Failed.SENDING, Failed.UNSENT):
            return controller.fail(RuntimeError('could not be sent'))
        return decision

    def _seek(self, planner: Planner, entry: Entry, draw: int | None) -> None:
        """Advance the noise to that of a chunk whose number of draws is recorded."""
        draws = max(0, (draw or 0) - 1)
        self._drawn += draws
        if self._drawn > _MOST_DRAWS:
            # Its effect is not recorded.
            draws = 0
        planner.seek(entry.seed, draws)

    def _prepare(
            self, controller: Controller, recorded: RecordedDecision,
            following: RecordedStep | None) -> None:
        """Run the planner ahead, as the node did; the next decision records the result."""
        if following is not None and following.decision.number == recorded.number + 1:
            self._set_conditions(following.decision)
        controller.planner.prepare()

    def _set_conditions(self, recorded: RecordedDecision) -> None:
        """Set the recorded conditions of a decision."""
        self._conditions.inference = recorded.inference
        self._conditions.fails = Reason.INFERENCE_FAILED in recorded.reason
        self._conditions.is_late = (
            Reason.LATE_INFERENCE in recorded.reason and recorded.action is None)
        plan = PlanTrace() if recorded.plan is None else recorded.plan
        self._conditions.answered, self._conditions.asks = plan.answered, plan.asked is not None

    def _compare(
            self, step: RecordedStep, entry: Entry, decision: Decision) -> Difference | None:
        """Return the first part that differs in any bit."""
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
                    self._is_certain, tuple(sorted(self._doubtful)))
            start += size
        raise AssertionError('every number belongs to a part')
