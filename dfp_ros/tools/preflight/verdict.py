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
"""Verdict of a preflight: faults and warnings derived from its measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import enum
import math

from dfp_ros.core.safety.clock_steps import describe_slow_clock
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import listed, printable
from dfp_ros.node.ros.endpoints import Endpoint
from dfp_ros.tools.preflight.measurements import (
    CommandFigures,
    Figures,
    PARTS,
    PersonFigures,
    SourceFigures,
)

# A source is slower than the ticks below this ratio; a smaller difference is measurement error.
_SLOWER = 0.95
# Share of ticks outside the training data's range above which a warning is given.
_OFTEN = 0.05
_FASTEST = 1000.0


class Level(enum.Enum):
    """Severity of a remark."""

    FAIL = 'FAIL'
    WARN = 'WARN'


@dataclass(frozen=True)
class Remark:
    """
    Fault or warning.

    :param level: Severity; :attr:`Level.FAIL` fails the preflight.
    :param about: Its subject.
    :param text: Finding, expectation and remedy.
    """

    level: Level
    about: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """
    Verdict on the measurements.

    :param passed: Whether nothing failed.
    :param remarks: Faults and warnings, the worst first.
    :param fastest: Highest rate in Hz at which the ticks would fit; NaN if it is unknown.
    :param sentence: The verdict in one line.
    """

    passed: bool
    remarks: tuple[Remark, ...]
    fastest: float
    sentence: str


def judge(figures: Figures) -> Verdict:
    """Judge the measurements."""
    remarks = [*_judge_ticks(figures)]
    for source in figures.sources:
        remarks += _judge_source(source, figures)
    for command in figures.commands:
        remarks += _judge_command(command)
    for person in figures.people:
        remarks += _judge_person(person)
    remarks += _judge_decisions(figures)
    remarks.sort(key=lambda remark: remark.level is not Level.FAIL)
    failed = sum(remark.level is Level.FAIL for remark in remarks)
    fastest = fastest_rate(figures)
    known = f'; ticks fit up to {fastest:g} Hz' if math.isfinite(fastest) else ''
    if failed:
        sentence = f'FAILED at {figures.rate:g} Hz: {failed} fault(s){known}'
    else:
        sentence = f'PASSED at {figures.rate:g} Hz{known}'
    return Verdict(not failed, tuple(remarks), fastest, sentence)


def fastest_rate(figures: Figures) -> float:
    """
    Return the highest rate at which the measured ticks fit, in Hz, with two significant digits.

    It assumes the same wake-up latency at any rate.
    """
    together = figures.together
    needed = max(together.p99 / figures.share, together.p999) * 1e-3
    if not (math.isfinite(needed) and needed > 0):
        return math.nan
    rate = min(_FASTEST, 1 / needed)
    digit = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return math.floor(rate / digit + 1e-9) * digit


def _judge_ticks(figures: Figures) -> Iterator[Remark]:
    """Check that the ticks fit the period."""
    about = f'rate {figures.rate:g} Hz'
    if not figures.has_clock:
        yield Remark(Level.FAIL, 'clock', (
            'use_sim_time is set, but /clock has no publisher; start the simulation with its '
            'clock, or set use_sim_time to false'))
    slow_clock = '' if figures.is_lockstep else describe_slow_clock(
        figures.clock_step, figures.period)
    if slow_clock:
        yield Remark(Level.FAIL, 'clock', slow_clock)
    if figures.hung:
        yield Remark(Level.FAIL, 'policy', (
            f'a tick did not end within {figures.hung:.3g} s, which ended the measurement: '
            'inference on this observation may take for ever. Do not allow operators that can run '
            'without end (execution.unbounded_operators), or export a graph without them'))
    for text in figures.unused:
        yield Remark(Level.WARN, 'settings', text)
    for text in figures.refused:
        yield Remark(
            Level.FAIL if figures.is_realtime_required else Level.WARN, 'realtime', text)
    if not figures.ticks and not figures.hung:
        yield Remark(Level.FAIL, about, (
            f'there was no tick in {figures.seconds:g} s; measure for longer'))
        return
    period, share, together = figures.period * 1e3, figures.share, figures.together
    too_long = (
        f'{together.p99:.3g} ms (p99), expected at most {share * period:.3g}, which is {share:g} '
        f'of the period' if together.p99 > share * period else
        f'{together.p999:.3g} ms (p99.9), expected at most the period of {period:.3g} ms'
        if together.p999 > period else '')
    if too_long:
        part = max(PARTS, key=lambda name: figures.parts[name].p99)
        fastest = fastest_rate(figures)
        # If a coarse clock delays the wake-up, only the clock can be improved.
        if not (slow_clock and part == 'wake_up'):
            yield Remark(Level.FAIL, about, (
                f'a tick takes {too_long}; most of it is {part.replace("_", " ")}, '
                f'{figures.parts[part].p99:.3g} ms (p99). {_REMEDIES[part]}; up to '
                f'{fastest:g} Hz would fit'))
    if figures.missed:
        yield Remark(Level.WARN, about, (
            f'{figures.missed} of {figures.ticks + figures.missed} ticks were missed'))
    if figures.left_out:
        yield Remark(Level.WARN, 'execution', (
            f'this ONNX Runtime or this machine has no {", ".join(figures.left_out)}; the policy '
            'runs on the others'))


_REMEDIES = {
    'wake_up': 'Give the process a real-time priority (realtime.priority, docs/realtime.md) or a '
               'core of its own (realtime.cpus), or lower the rate',
    'deciding': 'Lower the rate',
    'inference': 'Take fewer candidates, a smaller policy or a faster provider, or lower the rate',
    'publishing': 'Check the middleware, or lower the rate'}


def _judge_source(source: SourceFigures, figures: Figures) -> Iterator[Remark]:
    """Check a source against the requirements of the policy."""
    about = f'source {source.name} ({source.topic})'

    def fail(text: str) -> Remark:
        return Remark(Level.FAIL, about, text)

    def warn(text: str) -> Remark:
        return Remark(Level.WARN, about, text)

    heard = [end for end in source.publishers if not end.problem]
    deaf = [end for end in source.publishers if end.problem]
    if not source.publishers:
        near = (
            f'; {nearest(source.topic, source.similar)} (same type)' if source.similar else '')
        if source.has_value:
            yield fail(
                'its value came from a publisher that is gone, so a node that starts now gets '
                'none; keep the publisher of a latched topic running')
        else:
            yield fail(
                f'it has no publisher; start one, or remap the topic{near}')
    for end in deaf:
        text = f'nothing comes from {end.node}: {end.problem}'
        yield warn(text) if heard else fail(text)
    if source.is_latched:
        if heard and not source.has_value:
            yield fail(
                f'{_names(heard)} publishes it, but no value arrived; it is latched, so check '
                'that its publisher has durability transient_local, and has published')
        return
    if heard and not source.count:
        yield fail(
            f'{_names(heard)} publishes it, but no message arrived in {figures.seconds:g} s; '
            'check that it is active, and that its own sources are there')
    if len(heard) > source.shares:
        yield warn(
            f'{len(heard)} publish it: {_names(heard)}; their samples would be mixed')
    if not source.count:
        return
    if source.missing_joints:
        yield fail(
            f'joint(s) {listed(source.missing_joints)} are not in its messages; correct the '
            f'names in the robot description; {nearest(source.missing_joints[0], source.joints)}')
    if source.empty_stamps:
        yield fail(
            f'{source.empty_stamps} of {source.count} messages have an empty header.stamp, so '
            'their age is unknown; set the stamp in the publisher')
    if figures.is_lockstep:
        return
    of_joint = f' of joint {printable(source.gap_joint)}' if source.gap_joint else ''
    if source.longest_gap > source.max_age:
        yield fail(
            f'no message arrived{of_joint} for {source.longest_gap:.3g} s, which is over its '
            f'max_age of {source.max_age:g} s: the robot would be stopped; find the cause of the '
            'gap, or raise max_age')
    if abs(source.offset) > source.max_age:
        way = 'before' if source.offset > 0 else 'after'
        yield fail(
            f'its stamps are {abs(source.offset):.3g} s {way} their arrival (median), and max_age '
            f'is {source.max_age:g} s; synchronise the clocks (chrony, PTP)')
    elif figures.clock_skew and source.smallest_offset < -(
            # Arrival times are quantised to the clock's step.
            figures.clock_skew + (0 if math.isnan(figures.clock_step) else figures.clock_step)):
        yield warn(
            f'its stamps are up to {-source.smallest_offset:.3g} s after their arrival: the '
            'clocks differ; synchronise them (chrony, PTP)')
    if source.picture and source.decoded < _SLOWER * source.messages - 1:
        yield warn(
            f'{source.decoded} of {source.messages} pictures were decoded, in up to '
            f'{source.decoding * 1e3:.3g} ms each; newer ones replaced the others. Have the '
            'camera publish fewer, smaller or raw pictures, or give this machine more processors')
    if source.rate < _SLOWER * figures.rate:
        yield warn(
            f'it comes at {source.rate:.3g} Hz, slower than the ticks at {figures.rate:g} Hz: '
            'some of them use the same sample again')


def _judge_command(command: CommandFigures) -> Iterator[Remark]:
    """Check that a command topic has a subscriber, and no other publisher."""
    about = f'command {command.name} ({command.topic})'
    taken = [end for end in command.subscribers if not end.problem]
    if not command.subscribers:
        yield Remark(Level.FAIL, about, (
            'it has no subscriber; start the controller, or remap the topic' + (
                f'; {nearest(command.topic, command.similar)} (same type)'
                if command.similar else '')))
    for end in command.subscribers:
        if end.problem:
            yield Remark(Level.WARN if taken else Level.FAIL, about, (
                f'nothing gets to {end.node}: {end.problem}'))
    if command.others:
        yield Remark(Level.WARN, about, (
            f'{", ".join(command.others)} publishes there too; the robot would receive '
            'conflicting commands'))
    if command.unlimited:
        yield Remark(Level.WARN, about, (
            f'nothing limits {", ".join(command.unlimited)}; give limits in the robot '
            'description'))


def _judge_person(person: PersonFigures) -> Iterator[Remark]:
    """Check a topic of a person, who need not be there."""
    about = f'person {person.name} ({person.topic})'
    for end in person.publishers:
        if end.problem:
            yield Remark(Level.FAIL, about, (
                f'nothing comes from {end.node}, so this person could not take over: '
                f'{end.problem}'))
    heard = [end for end in person.publishers if not end.problem]
    if len(heard) > 1:
        yield Remark(Level.WARN, about, (
            f'{len(heard)} publish it: {_names(heard)}; their commands would be mixed'))


def _judge_decisions(figures: Figures) -> Iterator[Remark]:
    """Check the decisions that the policy node would have made."""
    if not figures.is_lockstep:
        for what, (count, text) in figures.stops.items():
            yield Remark(Level.FAIL, what, (
                f'in {count} of {figures.ticks} ticks the node would not have commanded: {text}'))
    often = {
        name: count for name, count in figures.outside.items()
        if count > _OFTEN * figures.ticks}
    if often:
        shown = ', '.join(f'{name} ({count})' for name, count in [*often.items()][:5])
        more = f' and {len(often) - 5} more' if len(often) > 5 else ''
        yield Remark(Level.WARN, 'observation', (
            f'outside the range of the training data, in these of {figures.ticks} ticks: '
            f'{shown}{more}; check that units, frames and the order of joints match the data'))


def _names(ends: Iterable[Endpoint]) -> str:
    """List the nodes."""
    return ', '.join(end.node for end in ends)
