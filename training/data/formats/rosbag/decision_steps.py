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
Control steps reconstructed from the recorded decisions of a policy node.

Each decision identifies the samples that it was made from, so neither the jitter of the recorder
nor the order of reception changes the observation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_index import SampleIndex
from dfp_ros.core.safety.reasons import Reason
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.steps import Event, Observer, Step, Tick
from training.data.transitions.transitions import DataError

# A recorder may receive a decision up to _LATE ns before one of its samples; samples older than
# _MEMORY ns are discarded.
_LATE, _MEMORY = 1_000_000_000, 10_000_000_000


def decision_steps(
        events: Iterable[Event], robot: RobotDescription, layout: ActionLayout, period: int,
        raw: bool) -> Iterator[Step]:
    """
    Iterate over the control steps of the policy node.

    :param period: Control period in ns.
    :param raw: Take the policy's output instead of the command that was sent.
    :raises DataError: At the end, if the node ran at another control rate.
    """
    layouts = robot.layouts
    samples = {name: SampleIndex(layouts.get(name)) for name in robot.sources}
    waiting: deque[Event] = deque()
    observer = Observer(robot)
    last: RecordedDecision | None = None
    spacings: list[int] = []

    def steps(now: int) -> Iterator[Step]:
        nonlocal last
        while waiting and waiting[0].time < now - _LATE:
            event = waiting.popleft()
            if event.kind == 'mark':
                yield event.content
                continue
            decision: RecordedDecision = event.content
            follows, problem = _follows(last, decision, period)
            if last is not None and decision.number == last.number + 1 and not decision.lockstep:
                spacings.append(decision.stamp - last.stamp)
            last = decision
            yield _decided(decision, follows, problem, samples, observer, layout, raw)

    for event in events:
        yield from steps(event.time)
        if event.kind == 'sample':
            samples[event.name].add(event.content)
            samples[event.name].forget(event.time - _MEMORY)
        elif event.kind in ('decision', 'mark'):
            waiting.append(event)
    yield from steps(2**63)
    if spacings and abs((usual := float(np.median(spacings))) - period) > period / 4:
        raise DataError(
            f'decisions: found a control period of {usual * 1e-9:.4g} s, expected '
            f'{period * 1e-9:.4g} s: the node ran at another rate than the requested one; use '
            '--ticks grid, or that rate')


def _follows(
        last: RecordedDecision | None, decision: RecordedDecision, period: int,
) -> tuple[bool, str]:
    """Tell whether a decision is one period after the last one, and the problem if not."""
    if last is None or decision.number != last.number + 1:
        return False, ''
    passed = decision.stamp - last.stamp
    if passed <= 0:
        return False, 'clock set back'
    if decision.lockstep:
        return True, ''
    # A later step is not one that a policy at this control rate would see.
    return abs(passed - period) <= period / 2, ''


def _decided(
        decision: RecordedDecision, follows: bool, problem: str,
        samples: Mapping[str, SampleIndex], observer: Observer, layout: ActionLayout,
        raw: bool) -> Tick:
    """Build the control step of a decision."""
    where = decision.stamp, follows
    if not follows:
        observer.reset()
    if problem:
        return Tick(*where, problem)
    found, missing = _samples(decision, samples)
    # An observation that the node computed counts for later ones, even without an action.
    observed = decision.observation is not None or decision.reason is Reason.WAITING
    if missing or not observed:
        observer.reset()
    if decision.state is not State.RUNNING:
        if observed and not missing:
            observer.observe(decision.stamp, found)
        return Tick(*where, f'node {decision.state.value}: {decision.reason.words}')
    by_person = decision.commander is Commanding.PERSON
    if raw and by_person:
        # What the policy would have done did not lead to what was observed next.
        if not missing:
            observer.observe(decision.stamp, found)
        return Tick(*where, 'commanded by a person, with --action raw')
    if missing:
        return Tick(*where, 'sample not recorded', detail=(
            f'source {missing!r}: the sample that the node saw is not in the recording'))
    observation, problem, detail = observer.observe(decision.stamp, found)
    if observation is not None and decision.observation is not None and (
            observation.shape != decision.observation.shape):
        raise DataError(
            f'decisions: found observations of size {decision.observation.size}, expected '
            f'{observation.size}: the robot description is not that of the recording; '
            'give that one, or use --ticks grid')
    parts = decision.action if raw else decision.sent
    if parts is None:
        return Tick(*where, problem or 'no action', detail=detail)
    action = layout.join(parts)
    if not raw:
        action = layout.scale.action(action)
    if not problem and not np.isfinite(action).all():
        name = next(name for name, values in parts.items() if not np.isfinite(values).all())
        problem, detail = 'number not finite', f'{"action" if raw else "sent"}/{name}'
    return Tick(*where, problem, observation, action, decision.observation, detail, by_person)


def _samples(
        decision: RecordedDecision, samples: Mapping[str, SampleIndex],
) -> tuple[dict[str, Sample], str]:
    """Find the samples of a decision, and the name of a source whose sample is missing."""
    found: dict[str, Sample] = {}
    for name, seen in samples.items():
        times = decision.times(name)
        sample = None if times is None else seen.find(times, decision.stamp)
        if sample is None:
            return found, name
        found[name] = sample
    return found, ''
