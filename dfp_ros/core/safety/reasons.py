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
Table of fault reasons and their responses, shared by code and documentation.

``python -m dfp_ros.core.safety`` prints it for docs/safety.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import enum
from typing import NamedTuple


class Response(enum.IntEnum):
    """Response to a fault, from the mildest to the strongest."""

    PASS = 0
    WARN = 1
    SLOW = 2
    HOLD = 3
    RAMP = 4
    STOP = 5
    DEACTIVATE = 6


#: Meaning of each response, for the documentation.
MEANINGS = {
    Response.PASS: 'The command is sent as it is.',
    Response.WARN: 'The command is sent; diagnostics and log report the fault.',
    Response.SLOW: 'The command is sent at reduced speed, `safety.slow_speed`; outputs of '
                   '`kind: other` have no speed and are not changed.',
    Response.HOLD: (
        'Each output is stopped as its `stop` in the robot description says, until the fault is '
        'cleared; then the policy plans anew.'),
    Response.RAMP: 'As hold, but velocities are ramped down instead of cut off.',
    Response.STOP: 'As hold, until `~/resume` is called.',
    Response.DEACTIVATE: 'As hold; then the node deactivates itself.',
}


class Reason(enum.Flag):
    """
    Why a command differs from the policy's answer; :data:`RULES` explains each reason.

    Recordings store the numbers, so new reasons are appended.
    """

    NONE = 0
    WAITING = enum.auto()
    STALE = enum.auto()
    FUTURE = enum.auto()
    UNREADABLE = enum.auto()
    NOT_FINITE_OBSERVATION = enum.auto()
    INFERENCE_FAILED = enum.auto()
    NOT_FINITE_ACTION = enum.auto()
    INTERNAL_ERROR = enum.auto()
    CLIPPED = enum.auto()
    LIMITED = enum.auto()
    UNMEASURED = enum.auto()
    OPERATOR_STOP = enum.auto()
    CLOCK_RESET = enum.auto()
    CLOCK_SKEW = enum.auto()
    OUTSIDE_ENVELOPE = enum.auto()
    DISAGREEMENT = enum.auto()
    LATE_INFERENCE = enum.auto()
    OTHER_PUBLISHER = enum.auto()
    SEVERAL_PUBLISHERS = enum.auto()
    JUMP = enum.auto()
    STUCK = enum.auto()
    OVERDUE = enum.auto()
    PERSON = enum.auto()
    PERSON_SILENT = enum.auto()
    PLANNING = enum.auto()
    GOAL_FAILED = enum.auto()

    @property
    def words(self) -> str:
        """Return the reasons as words, ``none`` if there is none."""
        names = [str(member.name) for member in Reason if member.value and member in self]
        return ' '.join(name.lower() for name in names) or 'none'


#: Effects on a person's command of a fault that holds the policy's.
STOPS, IF_NEEDED, GOES_ON, BEGINS = 'stops', 'stops if needed', 'goes on', '-'


@dataclass(frozen=True)
class Rule:
    """
    Response to a reason.

    :param reason: The reason.
    :param response: The default response.
    :param sentence: Description of the fault.
    :param chosen_by: Parameter or key that selects another response; empty if there is none.
    :param person: Effect on a person's command (takeover), if the response is a hold or stronger.
    """

    reason: Reason
    response: Response
    sentence: str
    chosen_by: str = ''
    person: str = STOPS


#: Reasons found in the ROS graph, not in samples; the monitors of the graph report them.
FROM_GRAPH = Reason.OTHER_PUBLISHER, Reason.SEVERAL_PUBLISHERS, Reason.GOAL_FAILED

#: Every reason, in order of priority.
RULES = (
    Rule(Reason.OPERATOR_STOP, Response.STOP, '`~/stop` was called.'),
    Rule(Reason.INTERNAL_ERROR, Response.HOLD,
         'A decision failed, or its command could not be sent; a defect.'),
    Rule(Reason.OVERDUE, Response.HOLD,
         'The node made no decision for several control periods (`safety.overdue`), and the '
         'watchdog stopped the robot.'),
    Rule(Reason.CLOCK_RESET, Response.HOLD,
         'The clock was set back since the last tick, so the age of the samples is unknown.'),
    Rule(Reason.WAITING, Response.HOLD,
         'A source, or one of its joints, has not been received since activation, or a history or '
         'derivative needs more ticks. Nothing is sent before the first observation.',
         person=IF_NEEDED),
    Rule(Reason.STALE, Response.HOLD,
         'A source, or a joint with messages of its own, is older than its `max_age` by header '
         'stamp or by arrival time, or its stamps are empty.',
         '`when_stale` of the source',
         person=IF_NEEDED),
    Rule(Reason.FUTURE, Response.HOLD,
         'A source is stamped in the future by more than its `max_age`.',
         '`when_stale` of the source',
         person=IF_NEEDED),
    Rule(Reason.UNREADABLE, Response.HOLD,
         'A message does not match the robot description or is ambiguous: an array element is '
         'missing, a joint is named twice, an array is longer than its names, a quaternion is not '
         'a rotation, a picture has another encoding, size or length or cannot be decoded, or '
         'the header names another frame.',
         person=IF_NEEDED),
    Rule(Reason.NOT_FINITE_OBSERVATION, Response.HOLD,
         'The observation has a number that is NaN or infinite.',
         person=GOES_ON),
    Rule(Reason.INFERENCE_FAILED, Response.HOLD, 'Inference of the policy failed.',
         person=GOES_ON),
    Rule(Reason.PLANNING, Response.HOLD,
         'With `planning.asynchronous`, there is no plan yet: the policy has not answered since '
         'the start, or since the robot was held or given back.',
         person=GOES_ON),
    Rule(Reason.NOT_FINITE_ACTION, Response.HOLD,
         'The action has a number that is NaN or infinite.',
         person=GOES_ON),
    Rule(Reason.UNMEASURED, Response.HOLD,
         'Commands have to start from the measured position, and there is no position feedback, '
         'or it is far outside of the range of commands, where no robot can be. Or a person '
         'commands, and an output with `stop: keep` that is not measured was not commanded since '
         'the reset.'),
    Rule(Reason.PERSON, Response.WARN,
         'A person commands the robot, in the place of the policy (takeover).', person=BEGINS),
    Rule(Reason.PERSON_SILENT, Response.WARN,
         'A source of the person fell silent, or cannot be read, while the dead-man is held: the '
         'takeover ends, or cannot begin; or the robot is held.',
         '`when_stale` of `takeover`'),
    Rule(Reason.LATE_INFERENCE, Response.WARN,
         'Inference took longer than `safety.inference_deadline` (off by default). With '
         '`planning.asynchronous`, the robot is held if the plan in hand ends before the answer.',
         '`safety.late_inference`',
         person=GOES_ON),
    Rule(Reason.DISAGREEMENT, Response.PASS,
         'The standard deviation of the candidate chunks is above `safety.spread_limit`.',
         '`safety.spread`',
         person=GOES_ON),
    Rule(Reason.OUTSIDE_ENVELOPE, Response.WARN,
         'The observation is outside the range of the training data by more than '
         '`safety.envelope_margin`. By default the robot is held once it is outside by more than '
         '`safety.envelope_far`, or for longer than `safety.envelope_long`.',
         '`safety.envelope`',
         person=GOES_ON),
    Rule(Reason.OTHER_PUBLISHER, Response.WARN,
         'Another node has a publisher on a command topic, whether or not it sends anything.',
         '`safety.other_publisher`'),
    Rule(Reason.GOAL_FAILED, Response.HOLD,
         'A goal of an action was refused, aborted or cancelled by another node, or its server is '
         'absent or silent. It is tried again every second, and less and less often if it fails '
         'anew.', '`safety.goal_failed`'),
    Rule(Reason.SEVERAL_PUBLISHERS, Response.WARN,
         'Several publishers send the same values of a source, so that the observation alternates '
         'between them. Publishers of different joints on one topic are allowed.',
         '`safety.several_publishers`'),
    Rule(Reason.JUMP, Response.WARN,
         'A value changed faster than `max_rate` of the robot description, or a measured '
         'position faster than several times its velocity limit.', '`safety.jump`'),
    Rule(Reason.STUCK, Response.WARN,
         'A value, or the picture of a camera, did not change at all for longer than '
         '`changes_within` of the robot description, although messages arrive.',
         '`safety.stuck`'),
    Rule(Reason.CLOCK_SKEW, Response.WARN,
         'The stamps of a source are ahead of their arrival by more than `safety.clock_skew`: '
         'the clocks are not synchronised.',
         person=GOES_ON),
    Rule(Reason.CLIPPED, Response.WARN,
         'The action was outside [-1, 1], or its command outside its limits, and was clipped.',
         person=GOES_ON),
    Rule(Reason.LIMITED, Response.WARN,
         'The command was beyond its limits of velocity or acceleration, or too fast to brake '
         'before a position limit, and was reduced.',
         person=GOES_ON),
)

#: Who commands, from the strongest: name, when, and what happens then.
COMMANDERS = (
    ('nobody', '`~/stop` was called, or a fault stops the policy and a person.',
     'Each output is stopped. A person who holds the dead-man commands again once the fault is '
     'cleared or `~/resume` was called.'),
    ('person', 'The dead-man of `takeover` is held, and all sources of the person are fresh.',
     "The person's command is sent within the same limits; outputs that the person does not "
     'command are stopped. The policy goes on deciding, and its action is recorded. Faults of the '
     'policy are reported, and do not stop the person.'),
    ('policy', 'Otherwise.',
     'The command of the policy is sent; after a takeover, of a fresh plan.'),
)

_PRIORITIES = {rule.reason: priority for priority, rule in enumerate(RULES)}
_RESPONSES = {rule.reason: rule.response for rule in RULES}


class Finding(NamedTuple):
    """
    A fault that was found.

    :param reason: One reason.
    :param text: Description, with names and values.
    :param response: Response to it.
    """

    reason: Reason
    text: str
    response: Response


def finding(reason: Reason, text: str, chosen: str = '') -> Finding:
    """
    Make a finding.

    :param reason: One reason.
    :param text: Description, with names and values.
    :param chosen: The configured response, in lower case; ``ignore`` is to pass. Empty for the
        default of the table.
    """
    if not chosen:
        return Finding(reason, text, _RESPONSES[reason])
    return Finding(
        reason, text, Response.PASS if chosen == 'ignore' else Response[chosen.upper()])


def strongest(findings: Sequence[Finding]) -> Response:
    """Return the strongest response."""
    return max(found.response for found in findings) if findings else Response.PASS


def conclude(findings: Sequence[Finding]) -> tuple[Reason, str, Response]:
    """
    Combine findings: all reasons, all texts by priority, and the strongest response.

    Findings with the response ``pass`` are left out.
    """
    active = [found for found in findings if found.response is not Response.PASS]
    if len(active) == 1:
        # The usual case, several times as fast.
        [found] = active
        return found.reason, found.text, found.response
    reason, response, texts = Reason.NONE, Response.PASS, []
    for found in sorted(active, key=lambda found: _PRIORITIES[found.reason]):
        reason |= found.reason
        texts.append(found.text)
        response = max(response, found.response)
    return reason, '; '.join(texts), response


def tables() -> str:
    """Format the tables for the documentation."""
    lines = ['| response | action |', '| --- | --- |']
    lines += [f'| {each.name.lower()} | {MEANINGS[each]} |' for each in Response]
    lines += ['', "| reason | fault | response | chosen by | a person's command |",
              '| --- | --- | --- | --- | --- |']
    lines += [
        f'| `{str(rule.reason.name).lower()}` | {rule.sentence} | {rule.response.name.lower()} | '
        f'{rule.chosen_by or "-"} | {rule.person} |' for rule in RULES]
    lines += ['', '| commander | while | action |', '| --- | --- | --- |']
    lines += [f'| {name} | {when} | {action} |' for name, when, action in COMMANDERS]
    return '\n'.join(lines)
