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
"""Which of several policy nodes commands a robot: the one that was activated first."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import json
import uuid

from dfp_ros.core.text.printable import printable

#: Seconds between two messages that say that a node commands.
BEAT = 0.2
#: Seconds after which a node that was not heard commands no more.
TIMEOUT = 1.0
# Characters of a message that are looked at, and nodes that are remembered.
_LONGEST, _MOST = 4096, 100


@dataclass(frozen=True, order=True)
class Claim:
    """
    That a node commands a robot. Of two claims, the smaller one holds.

    Every node that sees both finds the same one smaller, whenever it hears of them and whatever
    its clock says, so that two that begin at the same time neither both go on nor both stop.

    :param since: When the node was activated, in ns since 1970 by its own clock.
    :param id: Tells the claim from all others.
    :param node: The node's full name.
    :param host: The machine that it runs on.
    """

    since: int
    id: str
    node: str
    host: str

    def to_json(self) -> str:
        """Write a message that says so."""
        return json.dumps(vars(self))

    def __str__(self) -> str:
        return f'{printable(self.node)} on {printable(self.host)}'


def read_claim(text: str) -> Claim | None:
    """Read what :meth:`Claim.to_json` wrote; None for anything else."""
    try:
        found = json.loads(text) if len(text) <= _LONGEST else None
        if not isinstance(found, dict):
            return None
        claim = Claim(**found)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = claim.id, claim.node, claim.host
    is_sound = type(claim.since) is int and all(isinstance(each, str) for each in texts)
    return claim if is_sound else None


class Claims:
    """
    The claim of a node, and those that it hears of.

    :param node: The node's full name.
    :param host: The machine that it runs on.

    :ivar own: The node's own claim; None while it does not command.
    """

    def __init__(self, node: str, host: str) -> None:
        """Start without a claim."""
        self._node, self._host = node, host
        self.own: Claim | None = None
        self._heard: dict[str, tuple[Claim, float]] = {}
        # Ids of the last claims that were this node's own: its last messages may come late.
        self._mine: deque[str] = deque(maxlen=_MOST)

    def make(self, since: int) -> Claim:
        """
        Claim the robot from now on.

        :param since: The time in ns since 1970.
        """
        self.own = Claim(since, uuid.uuid4().hex, self._node, self._host)
        self._mine.append(self.own.id)
        return self.own

    def drop(self) -> None:
        """Command no more."""
        self.own = None

    def hear(self, text: str, now: float) -> None:
        """
        Hear that a node commands, this one or another.

        :param text: The message.
        :param now: The time in s, on any clock that goes on.
        """
        claim = read_claim(text)
        if claim is not None and claim.id not in self._mine and (
                claim.id in self._heard or len(self._heard) < _MOST):
            self._heard[claim.id] = claim, now

    def rivals(self, now: float) -> list[Claim]:
        """List the other nodes that command, the one first that was activated first."""
        self._heard = {
            name: (claim, heard) for name, (claim, heard) in self._heard.items()
            if now - heard < TIMEOUT}
        return sorted(claim for claim, _ in self._heard.values())

    def stronger(self, now: float) -> Claim | None:
        """Find another node that commands and was activated before this one, or None."""
        rivals = self.rivals(now)
        return rivals[0] if rivals and (self.own is None or rivals[0] < self.own) else None
