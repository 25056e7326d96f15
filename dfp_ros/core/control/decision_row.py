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
Schema of recorded decisions: a row of labelled numbers, for a topic and from a recording.

The row is the ``data`` of a std_msgs/Float64MultiArray, whose ``layout.dim`` has a label and a
size for each part, in order. ``python -m dfp_ros.core.control.decision_row`` prints the table of
the parts.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
import math

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.control.input_log import Entry, Failed
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_index import SampleTimes
from dfp_ros.core.planning.plan_trace import Answered, Origin, PlanTrace
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.text.numbers import all_shown
from dfp_ros.core.text.printable import listed, printable
from dfp_ros.core.text.say import say

# Times and seeds are split: a double represents neither ns since 1970 nor 63 bits exactly.
_SECOND, _HALF = 1_000_000_000, 2**32
_NEVER = (-1.0, 0.0)
# Largest whole number that a double represents exactly, last second that fits 63 bits of ns, and
# longest inference in s.
_LARGEST, _LATEST, _LONGEST = 2.0**53, 9_223_372_037, 1e6
_STATES = tuple(State)
_PERSON, _PICTURE = 'person', 'picture'
_TIMES = ('sample', 'received')
_JOINTS = ('joint_sample', 'joint_received')
_COMMANDS = ('action', 'command', 'limited', 'sent')
#: Part of rows since a person can take over.
COMMANDER = 'commander'

#: Label, size and meaning of the parts at the start of every row.
HEAD = (
    ('number', 1, 'step counter of the node; a gap means steps that were not recorded'),
    ('stamp', 2, 'time of the step: seconds, nanoseconds'),
    ('lockstep', 1, '1 if the robot waits for each command'),
    ('state', 1, ', '.join(f'{i} {state.value}' for i, state in enumerate(State))),
    ('reason', 1, "sum of the reasons for a difference between the command and the policy's "
     'answer (`dfp_ros.core.safety.reasons.Reason`)'),
    ('response', 1, 'the response to them (`dfp_ros.core.safety.reasons.Response`)'),
    ('loop', 1, 'identifier of policy and settings: the time at which they took over, in '
     'microseconds since 1970; `~/policy` describes them'),
    ('policy', 1, "first 48 bits of the policy file's SHA-256"),
    ('seed', 2, 'seed of the noise: high and low 32 bits'),
    ('step', 1, 'steps since the last reset'),
    ('stopped', 1, '1 if stopped by `~/stop`'),
    ('stop_commands', 1, 'stops sent since the step before, because no samples arrived'),
    ('failed', 1, ', '.join(f'{each.value} {each.name.lower()}' for each in Failed)),
    ('draw', 1, "number of draws of noise since the reset, including that of the action's chunk"),
    ('chunk_index', 1, 'index of the action in its chunk'),
    ('value', 1, "value of the chunk by the policy's critics"),
    ('spread', 1, 'standard deviation of the candidates, in action units'),
    ('inference', 1, 'inference time in seconds, in a step with inference'),
    ('observation_age', 1, 'age of the oldest source in seconds'),
    ('observation_stamp', 2, 'time of the newest source: seconds, nanoseconds'),
    (COMMANDER, 1, 'who commands: ' + ', '.join(
        f'{each.value} {each.name.lower()}' for each in Commanding)),
)
#: The parts after these, which depend on robot and policy.
REST = (
    ('sample/SOURCE', '2', "the sample's time: its header stamp, or else its arrival time"),
    ('received/SOURCE', '2', 'arrival time of the sample'),
    ('joint_sample/SOURCE', 'n', 'of a source that is read by joints: time of the message of each '
     'number, in ns after that of the sample; an arm and its gripper may share a topic'),
    ('joint_received/SOURCE', 'n', 'likewise, arrival time of that message'),
    ('observation', 'n', 'the observation'),
    ('action/FIELD', 'n', 'the action of the policy, in [-1, 1]'),
    ('command/FIELD', 'n', 'requested command of the policy in SI units, before any limit'),
    ('limited/FIELD', 'n', "the command within all limits, the policy's or the person's; none if "
     'the robot is stopped instead'),
    ('sent/FIELD', 'n', 'sent command in SI units'),
    ('person/FIELD', 'n', 'requested command of a person in SI units, before any limit; none for '
     'outputs that the person does not command. Only if the robot description has `takeover`'),
    ('picture/IMAGE', '1', 'first 48 bits of the SHA-256 of a picture as the policy got it. Only '
     'if the robot description has `images`'),
)
#: Parts after those of :data:`HEAD`, if inference runs beside the loop.
PLAN = (
    ('plan_step', 1, 'with `planning.asynchronous`, as the next three: step whose observation the '
     'chunk was planned from, in steps since the reset'),
    ('plan_stamp', 2, 'time of that step: seconds, nanoseconds'),
    ('answered', 1, 'answer to a request that this step found: ' + ', '.join(
        f'{each.value} {each.name.lower()}' for each in Answered)),
    ('asked', 1, 'number of draws of noise up to the chunk that was requested from the '
     'observation of this step; none without a request'),
)
# Parts that are in rows of the first layout, too.
_NEEDED = {label: size for label, size, _ in HEAD[:5]}

Vectors = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class RecordedDecision:
    """
    One control step, as published by the policy node.

    :param number: Step counter of the node; a gap means steps that were not recorded.
    :param stamp: Time of the step in ns, on the node's clock.
    :param lockstep: Whether the robot waits for each command, so that a step is a control period
        for any clock.
    :param state: State of the controller.
    :param reason: Reasons for a difference between the command and the policy's answer.
    :param samples: Times in ns of the samples of the step, by source.
    :param observation: Shape (obs_dim,), or None if there was none.
    :param action: Action of the policy, by name of the action field, or None.
    :param command: Requested command in SI units before any limit, or None.
    :param sent: Sent command in SI units, or None.
    :param received: Arrival times of these samples in ns, by source.
    :param entry: Other inputs of the step; None in recordings without them.
    :param draw: Number of draws of noise, or None.
    :param inference: Inference time in s, None without inference.
    :param joints: Times of measurement and arrival of the message of each slot in ns, by source,
        if recorded.
    :param commander: Who commanded; in recordings without it, the policy in any running step.
    :param person: Requested command of a person in SI units, or None.
    :param plan: Origin of the plan, if inference ran beside the loop.
    :param pictures: First 48 bits of the SHA-256 of each picture by name; none without pictures.
    """

    number: int
    stamp: int
    lockstep: bool
    state: State
    reason: Reason
    samples: Mapping[str, int]
    observation: NDArray[np.float64] | None
    action: Vectors | None
    command: Vectors | None
    sent: Vectors | None
    received: Mapping[str, int] = field(default_factory=dict)
    entry: Entry | None = None
    draw: int | None = None
    inference: float | None = None
    joints: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    commander: Commanding = Commanding.NOBODY
    person: Vectors | None = None
    plan: PlanTrace | None = None
    pictures: Mapping[str, int] = field(default_factory=dict)

    def times(self, source: str) -> SampleTimes | None:
        """Return the times of a source's sample; None without a sample."""
        if source not in self.samples:
            return None
        time = self.samples[source]
        return SampleTimes(
            time, self.received.get(source, time), self.joints.get(source, ()))


class DecisionRow:
    """
    Writer of the decisions of one robot and one policy.

    :param sources: Names of the robot's sources.
    :param observation_size: Length of the observation.
    :param action: Name and size of each field of the action, in the policy's order.
    :param slots: Count of the slots of each source that is read by joints.
    :param has_person: Whether a person can take over.
    :param has_commander: Whether it says who commands; older recordings do not.
    :param has_plan: Whether inference runs beside the loop.
    :param images: Names of the pictures of the observation.

    :ivar parts: Label and size of each part of a row.
    """

    def __init__(
            self, sources: Iterable[str], observation_size: int,
            action: Sequence[tuple[str, int]], slots: Mapping[str, int] | None = None,
            has_person: bool = False, has_commander: bool = True,
            has_plan: bool = False, images: Sequence[str] = ()) -> None:
        """Lay out the row."""
        self._sources = tuple(sources)
        self._slots = {
            name: count for name, count in (slots or {}).items() if name in self._sources}
        self._unknown = {name: (math.nan,) * count for name, count in self._slots.items()}
        self._at_once = {name: (0.0,) * count for name, count in self._slots.items()}
        self._all_at_once = (0.0,) * (2 * sum(self._slots.values()))
        action_size = sum(size for _, size in action)
        self._has_commander = has_commander
        self._has_plan = has_plan
        self._unseen = (math.nan,) * len(images)
        commands = (*_COMMANDS, *([_PERSON] if has_person else []))
        self._vectors = {
            'observation': observation_size, **dict.fromkeys(commands, action_size)}
        self.parts: tuple[tuple[str, int], ...] = (
            *((label, size) for label, size, _ in HEAD if label != COMMANDER or has_commander),
            *((label, size) for label, size, _ in PLAN if has_plan),
            *((f'{kind}/{name}', 2) for kind in _TIMES for name in self._sources),
            *((f'{kind}/{name}', count) for kind in _JOINTS
              for name, count in self._slots.items()),
            ('observation', observation_size),
            *((f'{kind}/{name}', size) for kind in commands for name, size in action),
            *((f'{_PICTURE}/{name}', 1) for name in images))

    def write(
            self, number: int, stamp: int, lockstep: bool, decision: Decision,
            samples: Mapping[str, Sample], entry: Entry | None = None) -> array[float]:
        """
        Write a decision; missing values are NaN.

        :param number: Step counter.
        :param stamp: Time of the step in ns.
        :param lockstep: Whether the robot waits for each command.
        :param decision: The decision.
        :param samples: The samples that it was made from, by source.
        :param entry: Other inputs of the step.
        """
        entry = Entry() if entry is None else entry
        row = array('d', (
            number, *divmod(stamp, _SECOND), lockstep, _STATES.index(decision.state),
            decision.reason.value, decision.response, entry.loop, entry.policy,
            *divmod(entry.seed, _HALF), entry.step, entry.is_stopped, entry.stop_commands,
            entry.failed))
        row.extend(
            math.nan if value is None else value for value in (
                decision.draw, decision.chunk_index, decision.value, decision.spread,
                decision.inference, decision.observation_age))
        row.extend(_split(decision.observation_stamp))
        if self._has_commander:
            row.append(decision.commander)
        if self._has_plan:
            row.extend(_write_plan(decision.plan))
        for name in self._sources:
            sample = samples.get(name)
            row.extend(_NEVER if sample is None or sample.missing else _split(sample.time))
        for name in self._sources:
            sample = samples.get(name)
            row.extend(_NEVER if sample is None or sample.missing else _split(sample.received))
        self._write_joints(row, samples)
        for name, size in self._vectors.items():
            vector = getattr(decision, name)
            row.extend((np.nan,) * size if vector is None else vector.tolist())
        if self._unseen:
            row.extend([float(picture.number) for picture in decision.pictures] or self._unseen)
        return row

    def _write_joints(self, row: array[float], samples: Mapping[str, Sample]) -> None:
        """Write the times of each joint's message; most samples are from a single message."""
        found = [samples.get(name) for name in self._slots]
        if not any(sample is None or sample.joints is not None for sample in found):
            row.extend(self._all_at_once)
            return
        for is_received in (False, True):
            for name in self._slots:
                sample = samples.get(name)
                if sample is None or sample.missing:
                    row.extend(self._unknown[name])
                elif (joints := sample.joints) is None:
                    row.extend(self._at_once[name])
                else:
                    later = [
                        float(part.received - sample.received if is_received
                              else part.time - sample.time) for part in joints.parts]
                    # A difference of months exceeds the exact range of a double.
                    row.extend(
                        later[part] if abs(later[part]) <= _LARGEST else math.nan
                        for part in joints.slots)


def read_decision(
        parts: Iterable[tuple[str, int]], data: Sequence[float] | NDArray[np.float64],
) -> RecordedDecision:
    """
    Read a row written by :class:`DecisionRow`.

    :param parts: Label and size of each part.
    :param data: The row.
    :raises ValueError: If a part is missing or invalid, or the row is shorter than its parts.
    """
    found, named = _take_apart(parts, np.asarray(data, np.float64))
    for label, size in _NEEDED.items():
        if label not in found:
            raise ValueError(f'the part {label!r} is missing; found {listed(found)}')
        _require_numbers(label, found[label], size)
    for kind in _TIMES:
        for name, values in named[kind].items():
            _require_numbers(f'{kind}/{name}', values, 2)
    state = int(found['state'][0])
    if not 0 <= state < len(_STATES):
        raise ValueError(f'found the state {state}, expected 0 to {len(_STATES) - 1}')
    # Some releases of Python drop unknown bits of a flag, and others refuse them.
    reason, known = int(found['reason'][0]), sum(member.value for member in Reason)
    if reason != reason & known:
        raise ValueError(f'found the reasons {reason}, expected 0 to {known}')
    observation = found.get('observation')

    def vectors(kind: str) -> Vectors | None:
        there = not all(np.isnan(values).all() for values in named[kind].values())
        return named[kind] if there else None

    def times(kind: str) -> Mapping[str, int]:
        return {
            name: _time(values, -_LATEST) for name, values in named[kind].items()
            if tuple(values) != _NEVER}

    def number(label: str) -> float | None:
        values = found.get(label)
        if values is None or len(values) == 1 and not values[0] >= 0:
            return None
        _require_numbers(label, values, 1)
        if label == 'inference' and values[0] > _LONGEST:
            raise ValueError(
                f'the part {label!r}: found {values[0]:g} s, expected at most {_LONGEST:g} s')
        return float(values[0])

    draw = number('draw')
    return RecordedDecision(
        number=int(found['number'][0]), stamp=_time(found['stamp']),
        lockstep=bool(found['lockstep'][0]), state=_STATES[state],
        reason=Reason(reason), samples=times('sample'),
        observation=(
            None if observation is None or np.isnan(observation).all() else observation),
        action=vectors('action'), command=vectors('command'), sent=vectors('sent'),
        received=times('received'), entry=_read_entry(found),
        draw=None if draw is None else int(draw), inference=number('inference'),
        joints=_read_joints(times('sample'), times('received'), named),
        commander=_read_commander(found, _STATES[state]), person=vectors(_PERSON),
        plan=_read_plan(found), pictures=_read_pictures(named[_PICTURE]))


def _read_commander(found: Vectors, state: State) -> Commanding:
    """Read who commanded; before a person could, the policy did in each running step."""
    if COMMANDER not in found:
        return Commanding.POLICY if state is State.RUNNING else Commanding.NOBODY
    _require_numbers(COMMANDER, found[COMMANDER], 1)
    number = int(found[COMMANDER][0])
    if number not in list(Commanding):
        raise ValueError(
            f'the part {COMMANDER!r}: found {number}, expected 0 to {len(Commanding) - 1}')
    return Commanding(number)


def _read_pictures(named: Vectors) -> dict[str, int]:
    """Read the hashes of the pictures; those that were not there are left out."""
    found = {}
    for name, values in named.items():
        if len(values) == 1 and math.isnan(values[0]):
            continue
        _require_numbers(f'{_PICTURE}/{name}', values, 1)
        if values[0] < 0:
            raise ValueError(
                f'the part {_PICTURE + "/" + printable(name)!r}: found {values[0]:g}, expected a '
                'whole number from 0 on')
        found[name] = int(values[0])
    return found


def _write_plan(plan: PlanTrace | None) -> tuple[float, ...]:
    """Write the origin of a plan."""
    plan = PlanTrace() if plan is None else plan
    step = math.nan if plan.origin is None else plan.origin.step
    return (
        step, *_split(None if plan.origin is None else plan.origin.stamp), plan.answered,
        math.nan if plan.asked is None else plan.asked)


def _read_plan(found: Vectors) -> PlanTrace | None:
    """Read the origin of a plan, if recorded."""
    if not any(label in found for label, *_ in PLAN):
        return None
    for label, size, _ in PLAN:
        _require_numbers(label, np.nan_to_num(found.get(label, np.zeros(0)), nan=0.0), size)
    answered, asked, step = (found[label][0] for label in ('answered', 'asked', 'plan_step'))
    if answered not in list(Answered):
        raise ValueError(
            f"the part 'answered': found {answered:g}, expected 0 to {len(Answered) - 1}")
    for label, number in (('asked', asked), ('plan_step', step)):
        if number < 0:
            raise ValueError(
                f'the part {label!r}: found {number:g}, expected a whole number from 0 on')
    return PlanTrace(
        Answered(int(answered)), None if math.isnan(asked) else int(asked),
        None if math.isnan(step) else Origin(int(step), _time(found['plan_stamp'])))


def _read_joints(
        samples: Mapping[str, int], received: Mapping[str, int],
        named: Mapping[str, Mapping[str, NDArray[np.float64]]],
) -> dict[str, tuple[tuple[int, int], ...]]:
    """Read the times of each joint's message, if recorded."""
    measured, arrived = (named[kind] for kind in _JOINTS)
    found = {}
    for name, later in measured.items():
        if name not in samples or name not in received or name not in arrived:
            continue
        for kind, values in zip(_JOINTS, (later, arrived[name]), strict=True):
            _require_numbers(f'{kind}/{name}', np.nan_to_num(values, nan=0.0), len(later))
        # An unknown time matches no sample.
        found[name] = tuple(
            (-1, -1) if math.isnan(time + arrival)
            else (samples[name] + int(time), received[name] + int(arrival))
            for time, arrival in zip(later, arrived[name], strict=True))
    return found


def _take_apart(
        parts: Iterable[tuple[str, int]], numbers: NDArray[np.float64],
) -> tuple[dict[str, NDArray[np.float64]], dict[str, dict[str, NDArray[np.float64]]]]:
    """Split a row into its parts: by label, or by kind and name."""
    found: dict[str, NDArray[np.float64]] = {}
    named: dict[str, dict[str, NDArray[np.float64]]] = {
        kind: {} for kind in (*_TIMES, *_JOINTS, *_COMMANDS, _PERSON, _PICTURE)}
    start = 0
    for label, size in parts:
        kind, _, name = label.partition('/')
        named.get(kind, found)[name if kind in named else label] = numbers[start:start + size]
        start += size
    if start != len(numbers):
        raise ValueError(f'found {len(numbers)} numbers, expected the {start} of the layout')
    return found, named


def _read_entry(found: Vectors) -> Entry | None:
    """Read the other inputs of a step, if recorded."""
    sizes = {'loop': 1, 'policy': 1, 'seed': 2, 'step': 1, 'stopped': 1, 'stop_commands': 1,
             'failed': 1}
    if 'loop' not in found:
        return None
    for label, size in sizes.items():
        _require_numbers(label, found.get(label, np.zeros(0)), size)
    loop, policy, step, stopped, stop_commands, failed = (
        int(found[label][0]) for label in sizes if label != 'seed')
    high, low = found['seed']
    for label, number in (('loop', loop), ('policy', policy), ('step', step),
                          ('stop_commands', stop_commands)):
        if number < 0:
            raise ValueError(
                f'the part {label!r}: found {number:g}, expected a whole number from 0 on')
    if not (0 <= high < _HALF // 2 and 0 <= low < _HALF):
        raise ValueError(
            f"the part 'seed': found {high:g} {low:g}, expected two numbers of 32 bits")
    if failed not in list(Failed):
        raise ValueError(f"the part 'failed': found {failed:g}, expected 0 to {len(Failed) - 1}")
    return Entry(
        loop, policy, int(high) * _HALF + int(low), step, bool(stopped), stop_commands,
        Failed(failed))


def _require_numbers(label: str, values: NDArray[np.float64], size: int) -> None:
    """Require the number of values of a part."""
    if len(values) != size or not (np.abs(values) <= _LARGEST).all():
        raise ValueError(
            f'the part {printable(label)!r}: found {all_shown(values[:size + 1])}, expected '
            f'{size} numbers of at most {_LARGEST:g}')


def _split(time: int | None) -> tuple[float, float]:
    """Split a time into seconds and nanoseconds."""
    return _NEVER if time is None else divmod(time, _SECOND)


def _time(parts: NDArray[np.float64], earliest: int = 0) -> int:
    """
    Combine a time from seconds and nanoseconds.

    :param earliest: In s; stamps of a driver may be from before the beginning of simulated time.
    """
    if not earliest <= parts[0] < _LATEST or not 0 <= parts[1] < _SECOND:
        raise ValueError(
            f'found a time of {parts[0]:g} s {parts[1]:g} ns, expected {earliest:g} to '
            f'{_LATEST:g} s')
    return int(parts[0]) * _SECOND + int(parts[1])


def table() -> str:
    """Format the table of the parts for the documentation."""
    rows = [*((label, str(size), meaning) for label, size, meaning in (*HEAD, *PLAN)), *REST]
    return '\n'.join([
        '| part | numbers | meaning |', '| --- | --- | --- |',
        *(f'| `{label}` | {size} | {meaning} |' for label, size, meaning in rows)])


if __name__ == '__main__':
    say(table())
