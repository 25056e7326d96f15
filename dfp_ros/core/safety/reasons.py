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
What can be wrong, and what is done about it: the one table that code and documentation share.

``python -m dfp_ros.core.safety.reasons`` prints it as docs/safety.md has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import enum
from typing import NamedTuple


class Response(enum.IntEnum):
    """What is done, from the mildest to the strongest."""

    PASS = 0
    WARN = 1
    SLOW = 2
    HOLD = 3
    RAMP = 4
    STOP = 5
    DEACTIVATE = 6


#: What the responses mean, for people.
MEANINGS = {
    Response.PASS: 'The command is sent as it is.',
    Response.WARN: 'The command is sent; diagnostics and log say what is the matter.',
    Response.SLOW: 'The command is sent at a part of the speed, `safety.slow_speed`; outputs of '
                   '`kind: other` have no speed, and stay as they are.',
    Response.HOLD: (
        'Each output is stopped in its own way (`stop` in the robot description) until what is '
        'wrong is over; then the policy plans anew.'),
    Response.RAMP: 'As hold, but velocities are slowed down instead of cut off.',
    Response.STOP: 'As hold, until somebody calls `~/resume`.',
    Response.DEACTIVATE: 'As hold; then the node deactivates itself.',
}


class Reason(enum.Flag):
    """
    Why a command is not simply what the policy answered; :data:`RULES` says more about each.

    Recordings hold the numbers, so a new reason comes last.
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

    @property
    def words(self) -> str:
        """Return the reasons as words, ``none`` where there is none."""
        names = [str(member.name) for member in Reason if member.value and member in self]
        return ' '.join(name.lower() for name in names) or 'none'


@dataclass(frozen=True)
class Rule:
    """
    What is done for a reason.

    :param reason: The reason.
    :param response: What is done.
    :param sentence: What is the matter.
    :param chosen_by: What may choose another response; empty where nothing does.
    """

    reason: Reason
    response: Response
    sentence: str
    chosen_by: str = ''


#: Reasons that are found in the ROS graph, not in samples: whoever looks tells the controller.
FROM_GRAPH = Reason.OTHER_PUBLISHER, Reason.SEVERAL_PUBLISHERS

#: Every reason, in order of priority.
RULES = (
    Rule(Reason.OPERATOR_STOP, Response.STOP, 'Somebody called `~/stop`.'),
    Rule(Reason.INTERNAL_ERROR, Response.HOLD, 'Deciding or sending failed; a defect.'),
    Rule(Reason.OVERDUE, Response.HOLD,
         'No decision came for several control periods (`safety.overdue`), whatever kept the node '
         'from deciding, and the watchdog stopped the robot.'),
    Rule(Reason.CLOCK_RESET, Response.HOLD,
         'The clock was set back since the last tick; how old the samples are is unknown.'),
    Rule(Reason.WAITING, Response.HOLD,
         'A source, or one of its joints, was never seen since activation, or a history or '
         'derivative needs more ticks. '
         'Nothing is sent before there was a first observation.'),
    Rule(Reason.STALE, Response.HOLD,
         'A source, or a joint that comes in messages of its own, is older than its `max_age`, by '
         'its header stamp or by its arrival, or its stamps are empty.',
         '`when_stale` of the source'),
    Rule(Reason.FUTURE, Response.HOLD,
         'A source is stamped in the future by more than its `max_age`.',
         '`when_stale` of the source'),
    Rule(Reason.UNREADABLE, Response.HOLD,
         'A message does not hold what the robot description says, or not in one way only: an '
         'array element is missing, a joint is named twice, an array is longer than its names, a '
         'quaternion is no rotation, or the header names another frame.'),
    Rule(Reason.NOT_FINITE_OBSERVATION, Response.HOLD,
         'A number of the observation is not finite.'),
    Rule(Reason.INFERENCE_FAILED, Response.HOLD, 'The policy failed to answer.'),
    Rule(Reason.NOT_FINITE_ACTION, Response.HOLD,
         'The policy answered with a number that is not finite.'),
    Rule(Reason.UNMEASURED, Response.HOLD,
         'Commands have to start from where the robot is, and nobody knows where that is.'),
    Rule(Reason.LATE_INFERENCE, Response.WARN,
         'Inference took longer than `safety.inference_deadline` (off by default).',
         '`safety.late_inference`'),
    Rule(Reason.DISAGREEMENT, Response.PASS,
         'The candidates that the policy drew disagree by more than `safety.spread_limit`.',
         '`safety.spread`'),
    Rule(Reason.OUTSIDE_ENVELOPE, Response.WARN,
         'The observation is outside the range of the training data by more than '
         '`safety.envelope_margin`. By default the robot is held once it is outside by more than '
         '`safety.envelope_far`, or for longer than `safety.envelope_long`.',
         '`safety.envelope`'),
    Rule(Reason.OTHER_PUBLISHER, Response.WARN,
         'Somebody else publishes on a command topic, whether or not it sends anything.',
         '`safety.other_publisher`'),
    Rule(Reason.SEVERAL_PUBLISHERS, Response.WARN,
         'Several publishers send the same values of a source in turn, so that the observation '
         'is now of the one and now of the other. Publishers that share the joints of a topic '
         'are none.', '`safety.several_publishers`'),
    Rule(Reason.JUMP, Response.WARN,
         'A value went on faster than `max_rate` of the robot description, or a measured '
         'position faster than several times its limit of velocity.', '`safety.jump`'),
    Rule(Reason.STUCK, Response.WARN,
         'A value stayed exactly the same for longer than `changes_within` of the robot '
         'description, though messages come.', '`safety.stuck`'),
    Rule(Reason.CLOCK_SKEW, Response.WARN,
         'The stamps of a source are ahead of their arrival by more than `safety.clock_skew`: '
         'the clocks differ.'),
    Rule(Reason.CLIPPED, Response.WARN,
         'The action was outside [-1, 1], or its command outside its bounds, and was clipped.'),
    Rule(Reason.LIMITED, Response.WARN,
         'The command was too fast, too sudden or too near a wall, and was sent as far as '
         'allowed.'),
)

_PRIORITIES = {rule.reason: place for place, rule in enumerate(RULES)}
_RESPONSES = {rule.reason: rule.response for rule in RULES}


class Finding(NamedTuple):
    """
    Something that is the matter.

    :param reason: One reason.
    :param text: The same for people, with names and figures.
    :param response: What is done about it.
    """

    reason: Reason
    text: str
    response: Response


def finding(reason: Reason, text: str, chosen: str = '') -> Finding:
    """
    Make a finding.

    :param reason: One reason.
    :param text: The same for people.
    :param chosen: The response that was chosen, in lower case; ``ignore`` is to pass. Empty for
        the table's.
    """
    if not chosen:
        return Finding(reason, text, _RESPONSES[reason])
    return Finding(
        reason, text, Response.PASS if chosen == 'ignore' else Response[chosen.upper()])


def strongest(findings: Sequence[Finding]) -> Response:
    """Find the strongest response."""
    return max(found.response for found in findings) if findings else Response.PASS


def conclude(findings: Sequence[Finding]) -> tuple[Reason, str, Response]:
    """
    Bring findings together: all reasons, all texts by priority, and the strongest response.

    Those that pass are left out: nothing is the matter with what nobody minds.
    """
    minded = [found for found in findings if found.response is not Response.PASS]
    if len(minded) == 1:
        # The usual case, at a fraction of the time.
        [found] = minded
        return found.reason, found.text, found.response
    reason, response, texts = Reason.NONE, Response.PASS, []
    for found in sorted(minded, key=lambda found: _PRIORITIES[found.reason]):
        reason |= found.reason
        texts.append(found.text)
        response = max(response, found.response)
    return reason, '; '.join(texts), response


def tables() -> str:
    """Write both tables for the documentation."""
    lines = ['| response | what is done |', '| --- | --- |']
    lines += [f'| {each.name.lower()} | {MEANINGS[each]} |' for each in Response]
    lines += ['', '| reason | what is the matter | response | chosen by |',
              '| --- | --- | --- | --- |']
    lines += [
        f'| `{str(rule.reason.name).lower()}` | {rule.sentence} | {rule.response.name.lower()} | '
        f'{rule.chosen_by or "-"} |' for rule in RULES]
    return '\n'.join(lines)
