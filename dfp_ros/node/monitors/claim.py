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
"""Claims of policy nodes to a robot: the node that was activated first commands it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import json
import uuid

from dfp_ros.core.text.printable import printable

#: Period of the claim messages in s.
BEAT = 0.2
#: Timeout in s after which the claim of a silent node expires, for others and for the node itself.
TIMEOUT = 1.0
# Longest message that is parsed, and largest number of nodes that are stored.
_LONGEST, _MOST = 4096, 100


@dataclass(frozen=True, order=True)
class Claim:
    """
    Claim of a node to a robot. Of two claims, the smaller one takes precedence.

    The order does not depend on the observer, its clock, or the time of arrival, so that of two
    nodes that start at the same time exactly one continues.

    :param since: When the node was activated, in ns since 1970 by its own clock.
    :param id: Unique identifier of the claim.
    :param node: The node's full name.
    :param host: Name of its machine.
    """

    since: int
    id: str
    node: str
    host: str

    def to_json(self) -> str:
        """Format the claim message."""
        return json.dumps(vars(self))

    def __str__(self) -> str:
        return f'{printable(self.node)} on {printable(self.host)}'


def read_claim(text: str) -> Claim | None:
    """Parse a claim message; None if it is not one."""
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
    A node's own claim, and those of other nodes.

    :param node: The node's full name.
    :param host: Name of its machine.

    :ivar own: The node's own claim; None while it does not command.
    """

    def __init__(self, node: str, host: str) -> None:
        """Start without a claim."""
        self._node, self._host = node, host
        self.own: Claim | None = None
        self._heard: dict[str, tuple[Claim, float]] = {}
        # Ids of this node's last claims: its own messages may arrive late.
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
        """Release the claim."""
        self.own = None

    def forget(self) -> None:
        """Forget the claims of other nodes."""
        self._heard = {}

    def hear(self, text: str, now: float) -> None:
        """
        Receive the claim of a node, this one or another.

        :param text: The message.
        :param now: The time in s, on any monotonic clock.
        """
        claim = read_claim(text)
        if claim is not None and claim.id not in self._mine and (
                claim.id in self._heard or len(self._heard) < _MOST):
            self._heard[claim.id] = claim, now

    def rivals(self, now: float) -> list[Claim]:
        """List the claims of other nodes, in the order of activation."""
        self._heard = {
            name: (claim, heard) for name, (claim, heard) in self._heard.items()
            if now - heard < TIMEOUT}
        return sorted(claim for claim, _ in self._heard.values())

    def stronger(self, now: float) -> Claim | None:
        """Return a claim that takes precedence over this node's, or None."""
        rivals = self.rivals(now)
        return rivals[0] if rivals and (self.own is None or rivals[0] < self.own) else None
