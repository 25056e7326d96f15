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
Control steps on a regular time grid, for recordings without decisions, such as teleoperation.

At each time of the grid, one sample of every source is taken, by the policy node's own rules for
the choice of the sample and its maximum age.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from dfp_ros.core.control.episode_marks import START
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.freshness import check_sources
from dfp_ros.core.observation.sample_store import SampleStore
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.steps import Event, Observer, Step, Tick
from training.data.transitions.transitions import DataError

# The grid restarts after a longer pause of the recording, in ns: after a clock jump, from 1970 for
# example, it would go on almost forever.
_PAUSE = 60_000_000_000
# Maximum number of grid steps: 11 days at 20 Hz. A recording with one message a minute, sparser
# than that of any robot, would otherwise not restart the grid either.
_MOST_STEPS = 20_000_000
#: Problem of a step without a command.
NO_COMMAND = 'no command'


def grid_steps(
        events: Iterable[Event], robot: RobotDescription, layout: ActionLayout, period: int,
) -> Iterator[Step]:
    """
    Iterate over a grid of the control period, which restarts at each start mark.

    The action of a step is the first command within its period; if there is none, the last one
    before, if that is at most one period old. A message without a command in its place, such as a
    trajectory without a point, is a gap.

    :param period: Control period in ns.
    :raises DataError: If there are more steps than any robot makes.
    """
    store = SampleStore(robot.sources, in_order=True)
    observer = Observer(robot)
    commands: dict[str, deque[tuple[int, Any]]] = {
        topic.name: deque() for topic in robot.commands}
    waiting: deque[tuple[int, Step]] = deque()
    due: int | None = None
    follows = False
    count = 0

    def steps(now: int) -> Iterator[Step]:
        while waiting and waiting[0][0] + period <= now:
            _, step = waiting.popleft()
            yield _commanded(step, commands, layout, period) if isinstance(step, Tick) else step

    for event in events:
        due = event.time if due is None else due
        if event.time - due > _PAUSE:
            waiting.append((due, Tick(due, False, 'nothing recorded', detail=(
                f'nothing for {(event.time - due) * 1e-9:.0f} s; did the recording pause, or was '
                'the clock set?'))))
            due, follows = event.time, False
        while due < event.time:
            count += 1
            if count > _MOST_STEPS:
                raise DataError(
                    f'found more than {_MOST_STEPS} control steps of {period * 1e-9:g} s; give '
                    'shorter recordings')
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
    """Build a step of the grid, still without its action."""
    if not follows:
        observer.reset()
    samples = store.at(now)
    reason, text = check_sources(now, robot.sources.values(), samples)
    if reason:
        observer.reset()
        return Tick(now, follows, f'source {reason.words}', detail=text)
    observation, problem, detail = observer.observe(now, samples)
    return Tick(
        now, follows, problem, observation, detail=detail, pictures=observer.pictures)


def _commanded(
        tick: Tick, commands: dict[str, deque[tuple[int, Any]]], layout: ActionLayout, period: int,
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
                tick.time, tick.follows, NO_COMMAND,
                detail=f'commands.{name}: no message within a period of the step')
        counting = within or before[-1:]
        # A cancelling message ends the command of this step early, wherever it is in the period.
        for content in counting:
            if isinstance(content, str):
                return tick if tick.problem else Tick(
                    tick.time, tick.follows, 'command unusable',
                    detail=f'commands.{name}: {content}')
        parts.update(counting[0])
    return replace(tick, action=layout.scale.action(layout.join(parts)))
