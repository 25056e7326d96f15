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
"""Changes of a running node's policy, one at a time: requested, then confirmed by ~/policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
import json
from typing import Any, Literal

from dfp_ros.core.text.printable import printable, TEXT
from training.robot.robot_link import Answer, RobotLink

# Longest time until the node confirms a change, in s: it loads a file in two steps of 20 s.
_PATIENCE = 60.0

# Parts of a status that are mappings, if they are there.
_PARTS = ('settings', 'previous', 'shadow', 'last_refusal', 'robot')

Kind = Literal['policy', 'shadow', 'promote']


@dataclass(frozen=True)
class Outcome:
    """
    Outcome of a change.

    :param kind: What was requested.
    :param sha256: Hash of the policy.
    :param problem: Why it was refused; empty if it was done.
    """

    kind: Kind
    sha256: str
    problem: str


@dataclass(frozen=True)
class Chosen:
    """
    A policy that another had the node run: a person, or the node's fallback.

    :param sha256: Its hash.
    :param path: Its file.
    """

    sha256: str
    path: str


@dataclass(frozen=True)
class _Change:
    """A requested change."""

    kind: Kind
    sha256: str
    value: str
    answer: Answer
    deadline: float
    refusal: Any
    starts: int
    since: Any


class PolicyChanges:
    """
    Requests changes of the policy, and hears what the node runs.

    :param link: The node.

    :ivar status: The last message on ~/policy; empty before the first.
    :ivar starts: Number of times that the node was seen to be new.
    :ivar chosen: The last policy that another had the node run; None before there is one. It is
        set here, and emptied by whoever acts on it.
    """

    def __init__(self, link: RobotLink) -> None:
        """Start without a change."""
        self._link = link
        self.status: dict[str, Any] = {}
        self.starts = 0
        self.chosen: Chosen | None = None
        #: Whether the node has become one of another robot, to which nothing is sent.
        self.is_barred = False
        self._change: _Change | None = None
        # What was requested, and not confirmed in time; it may come late.
        self._late = ''

    @property
    def is_busy(self) -> bool:
        """Whether a change is not confirmed yet."""
        return self._change is not None

    @property
    def is_open(self) -> bool:
        """
        Whether a change may be requested.

        Not while one is in progress, or another has the node load something; nor shortly after
        this process stood still, as it does not know yet what happened meanwhile; nor to a robot
        that the policies are not for.
        """
        return self._change is None and not (
            self.is_barred or self.status.get('loading')) and self._link.is_current

    @property
    def running(self) -> str:
        """Hash of the running policy; empty before the node has said it."""
        return str(self.status.get('sha256', ''))

    def hear(self, text: str) -> None:
        """Receive the status of the policies; anything else is ignored."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(found, dict) or not isinstance(found.get('sha256'), str) or not all(
                isinstance(found.get(part) or {}, dict) for part in _PARTS) or not isinstance(
                found.get('settings', {}), dict):
            return
        before, self.status = self.status, found
        # After a swap there is a previous policy.
        if not found.get('previous') and found.get('since') != before.get('since'):
            self.starts += 1
            self._late = ''
        elif before and found.get('since') != before.get('since'):
            self._note_others(before['sha256'])

    def _note_others(self, before: str) -> None:
        """
        Note whether the policy that runs was not requested here, or replaced such a one.

        It may be the one before again, if a policy took over in between and was rolled back.
        """
        change, status = self._change, self.status
        wanted = change.sha256 if change and change.kind != 'shadow' else ''
        # Whichever takes over, the node drops what it was still loading before that.
        late, self._late = self._late, ''
        previous = status.get('previous') or {}
        replaced = previous.get('sha256')
        ours = {wanted, late}
        if self.running in ours and (
                replaced == before or (self.running, replaced) == (wanted, late)):
            if change and self.running == late != wanted:
                # The next one is still to come.
                self._change = replace(change, since=status.get('since'))
        elif self.running in ours and replaced not in ours:
            # Statuses that are outdated when they are published are left out.
            self.chosen = Chosen(str(replaced or ''), str(previous.get('path', '')))
        else:
            self.chosen = Chosen(self.running, str(status.get('path', '')))

    def request(self, kind: Kind, sha256: str, value: str, now: float) -> None:
        """
        Request a change; there must be none in progress.

        :param kind: ``policy`` and ``shadow`` load a file, ``promote`` takes the shadow. There is
            no roll-back: it would undo the one that a person calls at the same moment.
        :param sha256: Hash of the policy.
        :param value: Path of its file.
        :param now: Monotonic time in s.
        """
        assert self._change is None, 'one change at a time'
        answer = self._link.promote() if kind == 'promote' else (
            self._link.set_parameter(kind, value))
        self._change = _Change(
            kind, sha256, value, answer, now + _PATIENCE, self.status.get('last_refusal'),
            self.starts, self.status.get('since'))

    def poll(self, now: float) -> Outcome | None:
        """
        Look whether the change was confirmed or refused.

        :param now: Monotonic time in s.
        :return: Its outcome, once.
        """
        change = self._change
        if change is None:
            return None
        problem = self._judge(change, now)
        if problem is None:
            return None
        self._change = None
        return Outcome(change.kind, change.sha256, problem)

    def _judge(self, change: _Change, now: float) -> str | None:
        """Return why a change was refused, nothing if it was done, None while it is open."""
        if change.starts != self.starts:
            return 'the node was started again'
        if change.answer.problem:
            return printable(change.answer.problem, TEXT)
        place = self.status.get('shadow') or {} if change.kind == 'shadow' else self.status
        if change.answer.problem == '' and place.get('sha256') == change.sha256:
            return ''
        replaced = (self.status.get('previous') or {}).get('sha256')
        if change.kind != 'shadow' and replaced == change.sha256 and (
                self.status.get('since') != change.since):
            # It was done, and another had the policy replaced before the node could say so.
            return ''
        refusal = self.status.get('last_refusal')
        if refusal and refusal != change.refusal and refusal.get('policy') == change.value:
            return printable(refusal.get('reason'), TEXT)
        if now > change.deadline:
            if change.kind != 'shadow' and self.status.get('since') == change.since:
                self._late = change.sha256
            return f'the node has not confirmed it within {_PATIENCE:g} s'
        return None
