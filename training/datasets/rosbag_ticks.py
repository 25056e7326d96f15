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
Control steps of a recording, with the observation that the policy node computes from its samples.

Two ways: the steps of the policy node itself, from its recorded decisions, each with the very
samples that it saw; or, for recordings without, a grid of the control period, with the newest
samples at each of its times and the node's own rule of how old they may be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from dfp_ros.controller import State
from dfp_ros.episode_marks import START
from dfp_ros.observation import NotFiniteError, ObservationBuilder, ObservationError, Sample
from dfp_ros.recorded_decision import RecordedDecision
from dfp_ros.robot_description import RobotDescription
from dfp_ros.safety import check_sources
from dfp_ros.sample_store import SampleStore
from training.datasets.rosbag_commands import ActionScale
from training.transitions import DataError

# A recorder may get a decision before a sample that it was made from, by a little, in ns; samples
# that are older than both of these together are forgotten.
_LATE, _MEMORY = 1_000_000_000, 10_000_000_000
# Node and recorder do not receive a message at the same time, but within this, in ns.
_JITTER = 20_000_000


@dataclass(frozen=True)
class Event:
    """
    A message of the recording.

    :param kind: What it is.
    :param name: Name of the source, or of the command topic; empty for the others.
    :param time: When it was received, in ns.
    :param content: A sample, parts of a command by name, a decision, or a mark.
    """

    kind: Literal['sample', 'command', 'decision', 'mark']
    name: str
    time: int
    content: Any


@dataclass(frozen=True)
class Tick:
    """
    One control step.

    :param time: In ns.
    :param follows: Whether it is one control period after the last one.
    :param problem: Why it cannot be learned from; empty where it can.
    :param observation: Shape (obs_dim,), float32, or None where there is a problem.
    :param action: Shape (act_dim,), in [-1, 1] if nothing was beyond its bounds, or None.
    :param logged: The observation that the node logged, or None.
    :param detail: The problem at more length.
    """

    time: int
    follows: bool
    problem: str
    observation: np.ndarray | None = None
    action: np.ndarray | None = None
    logged: np.ndarray | None = None
    detail: str = ''


Step: TypeAlias = 'Tick | str'
"""A tick, or the word of a mark between two ticks."""


class Observer:
    """
    Computes observations as the node does, and sees to it that no source goes back in time.

    :param robot: The robot's description.
    """

    def __init__(self, robot: RobotDescription) -> None:
        """Start before the first observation."""
        self._builder = ObservationBuilder(robot)
        self._times: dict[str, int] = {}

    def observe(self, samples: dict[str, Sample]) -> tuple[np.ndarray | None, str, str]:
        """
        Compute an observation.

        :param samples: One of every source.
        :return: The observation or None, the problem if any, and that at more length.
        """
        times = {name: sample.time for name, sample in samples.items()}
        back = [name for name, time in times.items() if time < self._times.get(name, time)]
        before, self._times = self._times, times
        if back:
            return None, 'stamps out of order', (
                f'source {back[0]!r}: a message stamped {times[back[0]]} ns came after one '
                f'stamped {before[back[0]]} ns')
        try:
            return self._builder.build(samples), '', ''
        except NotFiniteError as error:
            return None, 'number not finite', str(error)
        except ObservationError as error:
            return None, 'message unreadable', str(error)


def decision_steps(
        events: Iterable[Event], robot: RobotDescription, scale: ActionScale, period: int,
        raw: bool) -> Iterator[Step]:
    """
    Go through the steps of the policy node.

    :param period: Control period in ns.
    :param raw: Take what the policy answered, instead of what was sent.
    :raises DataError: Where the node ticked at another rate.
    """
    samples: dict[str, dict[int, Sample]] = {name: {} for name in robot.sources}
    waiting: deque[Event] = deque()
    observer = Observer(robot)
    last: RecordedDecision | None = None

    def steps(now: int) -> Iterator[Step]:
        nonlocal last
        while waiting and waiting[0].time < now - _LATE:
            event = waiting.popleft()
            if event.kind == 'mark':
                yield event.content
                continue
            decision: RecordedDecision = event.content
            follows, problem = _follows(last, decision, period)
            last = decision
            yield _decided(decision, follows, problem, samples, observer, scale, raw)

    for event in events:
        yield from steps(event.time)
        if event.kind == 'sample':
            seen = samples[event.name]
            seen[event.content.time] = event.content
            # In order of insertion, so the oldest is the first.
            while seen[oldest := next(iter(seen))].received < event.time - _MEMORY:
                del seen[oldest]
        elif event.kind in ('decision', 'mark'):
            waiting.append(event)
    yield from steps(2**63)


def _follows(
        last: RecordedDecision | None, decision: RecordedDecision, period: int,
) -> tuple[bool, str]:
    """Tell whether a decision is the next one, and if not, why that is a problem."""
    if last is None or decision.number != last.number + 1:
        return False, ''
    passed = decision.stamp - last.stamp
    if passed <= 0:
        return False, 'clock set back'
    if decision.lockstep:
        return True, ''
    if passed < period / 2:
        raise DataError(
            f'decisions: found two that are {passed * 1e-9:.4g} s apart, expected '
            f'{period * 1e-9:.4g} s: the node ran at another rate than the one asked for; use '
            '--ticks grid, or that rate')
    return passed <= 1.5 * period, ''


def _decided(
        decision: RecordedDecision, follows: bool, problem: str,
        samples: dict[str, dict[int, Sample]], observer: Observer, scale: ActionScale,
        raw: bool) -> Tick:
    """Make the step of a decision."""
    where = decision.stamp, follows
    if problem:
        return Tick(*where, problem)
    if decision.state is not State.RUNNING:
        return Tick(*where, f'node {decision.state.value}: {decision.reason.words}')
    found = {}
    for name, seen in samples.items():
        sample = _find(seen, decision.samples.get(name, -1))
        if sample is None:
            return Tick(*where, 'sample not recorded', detail=(
                f'source {name!r}: the sample that the node saw is not in the recording'))
        found[name] = sample
    observation, problem, detail = observer.observe(found)
    action = decision.action if raw else (
        None if decision.sent is None else scale.to_action(decision.sent))
    if not problem and action is None:
        problem = 'no action'
    return Tick(*where, problem, observation, action, decision.observation, detail)


def _find(seen: dict[int, Sample], time: int) -> Sample | None:
    """Find the sample of a time; without a header, that is when the node received it."""
    if time in seen:
        return seen[time]
    near = min(seen.values(), key=lambda sample: abs(sample.time - time), default=None)
    if near is None or near.stamp is not None or abs(near.time - time) > _JITTER:
        return None
    return near


def grid_steps(
        events: Iterable[Event], robot: RobotDescription, scale: ActionScale, period: int,
) -> Iterator[Step]:
    """
    Go through a grid of the control period, which begins anew at each mark of a start.

    The action of a step is the first command that came within its period; where there is none, the
    last one before, if that is not older than a period too.

    :param period: Control period in ns.
    """
    store = SampleStore(robot.sources)
    observer = Observer(robot)
    commands: dict[str, deque[tuple[int, Any]]] = {
        topic.name: deque() for topic in robot.commands}
    waiting: deque[tuple[int, Step]] = deque()
    due: int | None = None
    follows = False

    def steps(now: int) -> Iterator[Step]:
        while waiting and waiting[0][0] + period <= now:
            _, step = waiting.popleft()
            yield _commanded(step, commands, scale, period) if isinstance(step, Tick) else step

    for event in events:
        due = event.time if due is None else due
        while due < event.time:
            waiting.append((due, _on_grid(due, follows, robot, store, observer)))
            follows, due = True, due + period
        yield from steps(event.time)
        if event.kind == 'sample':
            store.add(event.name, event.content)
        elif event.kind == 'command':
            commands[event.name].append((event.time, event.content))
        elif event.kind == 'mark':
            waiting.append((event.time, event.content))
            if event.content == START:
                due, follows = event.time, False
    yield from steps(2**63)


def _on_grid(
        now: int, follows: bool, robot: RobotDescription, store: SampleStore,
        observer: Observer) -> Tick:
    """Make a step of the grid, as yet without an action."""
    reason, text = check_sources(now, robot.sources.values(), store.samples)
    if reason:
        return Tick(now, follows, f'source {reason.words}', detail=text)
    observation, problem, detail = observer.observe(dict(store.samples))
    return Tick(now, follows, problem, observation, detail=detail)


def _commanded(
        tick: Tick, commands: dict[str, deque[tuple[int, Any]]], scale: ActionScale, period: int,
) -> Tick:
    """Add the action of a step."""
    parts: dict[str, np.ndarray] = {}
    for name, queue in commands.items():
        while len(queue) > 1 and queue[1][0] < tick.time:
            queue.popleft()
        within = [content for time, content in queue if tick.time <= time < tick.time + period]
        before = [content for time, content in queue if tick.time - period <= time < tick.time]
        if not within and not before:
            return tick if tick.problem else Tick(
                tick.time, tick.follows, 'no command',
                detail=f'commands.{name}: no message within a period of the step')
        parts.update(within[0] if within else before[-1])
    return Tick(
        tick.time, tick.follows, tick.problem, tick.observation,
        scale.to_action(scale.join(parts)), detail=tick.detail)
