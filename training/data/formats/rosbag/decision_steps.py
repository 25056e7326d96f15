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
Control steps reconstructed from the decisions of a policy node, recorded or as they come.

In a recording, each decision identifies the samples that it was made from, so neither the jitter
of the recorder nor the order of reception changes the observation. Live, the observation is the
one in the decision.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
import math
from typing import Protocol

import numpy as np

from dfp_ros.core.arrays import Pictures
from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.control.sample_fit import SampleFit
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.feedback import read_feedback
from dfp_ros.core.observation.field import ObservationField
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_index import SampleIndex
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.units import ANGLE, read_unit
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.steps import Event, is_stop, Observer, Step, Tick
from training.data.transitions.transitions import DataError

# A recorder may receive a decision up to _LATE ns before one of its samples; samples older than
# _MEMORY ns are discarded.
_LATE, _MEMORY = 1_000_000_000, 10_000_000_000
# Relative difference of a node's period that its timer and clock may make.
_SAME_RATE = 0.03
# Number of steps of a control loop that say its rate.
_FEW = 10
# Share of steps that are far too long or too short, as on a machine with too much load.
_UNSTEADY = 0.1


class Observations(Protocol):
    """Observations of decisions, in their order."""

    @property
    def pictures(self) -> Pictures:
        """Pictures of the last observation, if they are there."""

    def reset(self) -> None:
        """Discard the history, because decisions are missing."""

    def observe(self, decision: RecordedDecision) -> tuple[np.ndarray | None, str, str]:
        """Return the observation of a decision or None, the problem or nothing, its details."""

    def pass_by(self, decision: RecordedDecision) -> None:
        """Note a decision in which the node held the robot."""

    def places(self, decision: RecordedDecision) -> Mapping[str, np.ndarray]:
        """Return where the robot was measured, by name of the relative action; {} if unknown."""


class LoggedObservations:
    """Observations that the node computed, as its decisions have them, without pictures."""

    pictures: Pictures = ()

    def reset(self) -> None:
        """Do nothing: an observation is complete."""

    def observe(self, decision: RecordedDecision) -> tuple[np.ndarray | None, str, str]:
        """Return the observation in the decision; see :class:`Observations`."""
        found = decision.observation
        if found is None:
            return None, 'no observation', 'the decision has none'
        if not np.isfinite(found).all():
            return None, 'number not finite', 'observation'
        return found.astype(np.float32), '', ''

    def pass_by(self, decision: RecordedDecision) -> None:
        """Do nothing: an observation is complete."""

    def places(self, decision: RecordedDecision) -> Mapping[str, np.ndarray]:
        """Return nothing: a decision does not have it."""
        return {}


class SampledObservations:
    """
    Observations computed from recorded samples, as by the node.

    :param robot: The robot's description.
    """

    def __init__(self, robot: RobotDescription) -> None:
        """Start without a sample."""
        layouts = robot.layouts
        self._samples = {name: SampleIndex(layouts.get(name)) for name in robot.sources}
        self._fit = {name: SampleFit(robot, name) for name in robot.sources}
        self._observer = Observer(robot)
        self._measured = {
            entry.action: (ObservationField(entry.measured), _turn(entry.unit))
            for topic in robot.commands for entry in topic.entries
            if entry.relative and entry.measured is not None}

    @property
    def pictures(self) -> Pictures:
        """Pictures of the last observation; see :class:`Observations`."""
        return self._observer.pictures

    def add(self, event: Event) -> None:
        """Add a sample."""
        self._samples[event.name].add(event.content)
        self._samples[event.name].forget(event.time - _MEMORY)

    def reset(self) -> None:
        """Discard the history; see :class:`Observations`."""
        self._observer.reset()

    def observe(self, decision: RecordedDecision) -> tuple[np.ndarray | None, str, str]:
        """Compute the observation from the samples; see :class:`Observations`."""
        found, missing = self._find(decision)
        # An observation that the node computed counts for later ones, even without an action.
        if missing or not _observed(decision):
            self.reset()
        if missing:
            return None, 'sample not recorded', (
                f'source {missing!r}: the sample that the node saw is not in the recording')
        return self._observer.observe(decision.stamp, found)

    def pass_by(self, decision: RecordedDecision) -> None:
        """Have the observation count for later ones, if the node computed it."""
        found, missing = self._find(decision)
        if missing or not _observed(decision):
            self.reset()
        else:
            self._observer.observe(decision.stamp, found)

    def places(self, decision: RecordedDecision) -> Mapping[str, np.ndarray]:
        """Measure the robot in the samples of a decision; see :class:`Observations`."""
        found, missing = self._find(decision)
        places: dict[str, np.ndarray] = {}
        for name, (field, turn) in {} if missing else self._measured.items():
            numbers = read_feedback(field, found)
            if numbers is not None:
                places[name] = np.array(numbers)
                if turn and decision.sent is not None and name in decision.sent:
                    # A driver may leave full turns out, which the node adds again.
                    places[name] += turn * np.round((decision.sent[name] - places[name]) / turn)
        return places

    def _find(self, decision: RecordedDecision) -> tuple[dict[str, Sample], str]:
        """Find the samples of a decision, and the name of a source whose sample is missing."""
        found: dict[str, Sample] = {}
        for name, seen in self._samples.items():
            times = decision.times(name)
            sample = None if times is None else seen.find(
                times, decision.stamp, self._fit[name].of(decision))
            if sample is None:
                return found, name
            found[name] = sample
        return found, ''


class DecisionSteps:
    """
    Control steps of a policy node, one for each of its decisions.

    :param layout: What the numbers of an action mean.
    :param period: Control period in ns.
    :param raw: Take the policy's output instead of the command that was sent.
    :param observations: Observations of the decisions.
    :param relative: Names of the fields whose actions are relative to the position of the robot.
    :param is_live: Whether decisions come without end; their times are not kept then, so that
        :meth:`require_rate` knows nothing.

    :ivar anchored: Numbers of the policies whose relative actions are relative to the position
        that their chunk was planned from.
    """

    def __init__(
            self, layout: ActionLayout, period: int, raw: bool, observations: Observations,
            relative: Collection[str] = (), is_live: bool = False) -> None:
        """Start before the first decision."""
        self._relative, self._is_live = relative, is_live
        self._layout, self._period, self._raw = layout, period, raw
        self._observations = observations
        self._last: RecordedDecision | None = None
        # By control loop, as a new one may have another rate.
        self._spacings: defaultdict[int, list[int]] = defaultdict(list)
        self.anchored: set[int] = set()

    def add(self, decision: RecordedDecision) -> Tick:
        """
        Build the control step of the next decision.

        :raises DataError: If the decision does not have the sizes of the robot description.
        """
        last, self._last = self._last, decision
        follows, problem = _follows(last, decision, self._period)
        if last is not None and decision.number == last.number + 1 and not (
                decision.lockstep or self._is_live):
            self._spacings[decision.entry.loop if decision.entry else 0].append(
                decision.stamp - last.stamp)
        if not follows:
            self._observations.reset()
        tick = self._decided(
            decision, follows, problem, follows and last is not None
            and _commander(last) != _commander(decision))
        return replace(tick, is_stop=is_stop(last, decision, self._period))

    def require_rate(self) -> None:
        """
        Require that the node ran at the requested rate.

        :raises DataError: If it ran at another.
        """
        period, each = self._period, [np.array(found) for found in self._spacings.values()]
        # A few steps say little.
        known = [one for one in each if len(one) >= _FEW]
        if each and not known:
            known = [np.concatenate(each)]
        for spacings in known:
            usual, allowed = float(np.median(spacings)), period / 4
            near = spacings[np.abs(spacings - period) <= period / 2]
            if abs(usual - period) <= allowed and len(near):
                allowed = period * (_SAME_RATE + 0.5 / len(near))
                if len(near) > (1 - _UNSTEADY) * len(spacings):
                    # Their mean is the period even if a clock has coarse steps, and a step that
                    # is late changes it by half a period at most.
                    usual = float(near.mean())
                else:
                    # Of a clock whose steps are nearly as long as the period, the mean of all is;
                    # of a machine with too much load, which leaves steps out, the median.
                    usual = min(usual, float(spacings.mean()), key=lambda x: abs(x - period))
            if abs(usual - period) > allowed:
                raise DataError(
                    f'decisions: found a control period of {usual * 1e-9:.4g} s, expected '
                    f'{period * 1e-9:.4g} s: the node ran at another rate than the requested '
                    'one; use --ticks grid, or that rate')

    def _decided(
            self, decision: RecordedDecision, follows: bool, problem: str,
            changes: bool) -> Tick:
        """Build the control step of a decision."""
        policy = decision.entry.policy if decision.entry else 0
        by_person = _commander(decision)[0]
        if problem:
            return Tick(decision.stamp, follows, problem)
        if decision.state is not State.RUNNING:
            self._observations.pass_by(decision)
            return Tick(
                decision.stamp, follows, f'node {decision.state.value}: {decision.reason.words}')
        if self._raw and by_person:
            # What the policy would have done did not lead to what was observed next.
            self._observations.pass_by(decision)
            return Tick(decision.stamp, follows, 'commanded by a person, with --action raw')
        observation, problem, detail = self._observations.observe(decision)
        if observation is not None and decision.observation is not None and (
                observation.shape != decision.observation.shape):
            raise DataError(
                f'decisions: found observations of size {decision.observation.size}, expected '
                f'{observation.size}: the robot description is not that of the recording; '
                'give that one, or use --ticks grid')
        parts = decision.action if self._raw else decision.sent
        if observation is None and problem == 'sample not recorded':
            return Tick(decision.stamp, follows, problem, detail=detail)
        if parts is None:
            return Tick(decision.stamp, follows, problem or 'no action', detail=detail)
        if self._relative and policy in self.anchored:
            if self._raw:
                raise DataError(
                    'decisions: found a policy whose anchor is observation, so that its answers '
                    'are relative to an earlier position; use --action sent')
            # What was sent is a position, and a step leads to it from where the robot was.
            places = self._observations.places(decision)
            if any(name not in places for name in self._relative):
                return Tick(
                    decision.stamp, follows, problem or 'position not measured', detail=detail)
            parts = {
                name: values - places[name] if name in self._relative else values
                for name, values in parts.items()}
        elif not self._raw and self._relative:
            # What was sent is a position, and the one that it is relative to is not recorded.
            if decision.command is None or _commander(decision)[0] or (
                    Reason.LIMITED in decision.reason):
                return Tick(
                    decision.stamp, follows, problem or 'relative command limited', detail=detail)
            parts = {
                name: decision.command[name] if name in self._relative else values
                for name, values in parts.items()}
        action = self._layout.join(parts)
        if not self._raw:
            action = self._layout.scale.action(action)
        if not problem and not np.isfinite(action).all():
            name = next(name for name, values in parts.items() if not np.isfinite(values).all())
            problem, detail = 'number not finite', f'{"action" if self._raw else "sent"}/{name}'
        return Tick(
            decision.stamp, follows, problem, observation, action, decision.observation, detail,
            policy, by_person, changes, self._observations.pictures)


def decision_steps(
        events: Iterable[Event], robot: RobotDescription, layout: ActionLayout, period: int,
        raw: bool) -> Iterator[Step]:
    """
    Iterate over the control steps of a policy node in a recording.

    :param period: Control period in ns.
    :param raw: Take the policy's output instead of the command that was sent.
    :raises DataError: At the end, if the node ran at another control rate.
    """
    observations = SampledObservations(robot)
    decided = DecisionSteps(layout, period, raw, observations, relative_fields(robot))
    waiting: deque[Event] = deque()

    def steps(now: int) -> Iterator[Step]:
        while waiting and waiting[0].time < now - _LATE:
            event = waiting.popleft()
            yield event.content if event.kind == 'mark' else decided.add(event.content)

    for event in events:
        yield from steps(event.time)
        if event.kind == 'sample':
            observations.add(event)
        elif event.kind == 'anchored':
            decided.anchored.add(event.content)
        elif event.kind in ('decision', 'mark'):
            waiting.append(event)
    yield from steps(2**63)
    decided.require_rate()


def relative_fields(robot: RobotDescription) -> tuple[str, ...]:
    """List the action fields that are relative to the position of the robot."""
    return tuple(
        entry.action for topic in robot.commands for entry in topic.entries if entry.relative)


def _observed(decision: RecordedDecision) -> bool:
    """Tell whether the node computed an observation in a step."""
    return decision.observation is not None or decision.reason is Reason.WAITING


def _commander(decision: RecordedDecision) -> tuple[bool, int, int]:
    """Tell whether a person commanded, and which control loop and policy there was."""
    entry = decision.entry
    return (
        decision.commander is Commanding.PERSON, *(
            (entry.loop, entry.policy) if entry else (0, 0)))


def _follows(
        last: RecordedDecision | None, decision: RecordedDecision, period: int,
) -> tuple[bool, str]:
    """Tell whether a decision is one period after the last one, and the problem if not."""
    if last is None or decision.number != last.number + 1:
        return False, ''
    passed = decision.stamp - last.stamp
    if passed <= 0:
        return False, 'clock set back'
    entry = decision.entry
    if entry is not None and entry.step == 1:
        # A reset stops the robot between two decisions.
        return False, ''
    if decision.lockstep:
        return True, ''
    if entry is not None and entry.stop_commands:
        # So does time that stands still; a robot that waits for its answer takes no stop for one.
        return False, ''
    # A later step is not one that a policy at this control rate would see.
    return abs(passed - period) <= period / 2, ''


def _turn(unit: str) -> float:
    """Return the size of a full turn of an angle; 0 for any other unit."""
    known = read_unit(unit)
    return 2 * math.pi / known.size if known.measures == ANGLE and known.is_position else 0.0
