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
Input log: the inputs of a controller besides the samples, step by step, for replays.

A reset clears the controller's state, so it is recorded as the number of steps since.
"""

from __future__ import annotations

from dataclasses import dataclass
import enum
import time


class Failed(enum.IntEnum):
    """Failure in a step; recordings store the numbers."""

    NOTHING = 0
    #: The controller raised an error, and stopped the robot because of it.
    DECIDING = 1
    #: The decision could not be sent, and the controller stopped the robot as if it had been; in
    #: recordings of version 1.0.0.
    SENDING = 2
    #: The watchdog had stopped the robot, and the decision is void.
    OVERDUE = 3
    #: The decision was sent to no topic, and the controller stopped the robot from the last one.
    UNSENT = 4
    #: The same, but some topics got the decision.
    PARTLY_SENT = 5


@dataclass(frozen=True)
class Entry:
    """
    External inputs of one step.

    :param loop: Identifier of the control loop: its start in microseconds since 1970.
    :param policy: The first 48 bits of the policy file's SHA-256.
    :param seed: Seed of the noise.
    :param step: Steps since the last reset; the first is 1.
    :param is_stopped: Whether the operator's stop was in force.
    :param stop_commands: Number of stop commands requested from the controller since the step
        before.
    :param failed: Failure in the step.
    """

    loop: int = 0
    policy: int = 0
    seed: int = 0
    step: int = 0
    is_stopped: bool = False
    stop_commands: int = 0
    failed: Failed = Failed.NOTHING


def policy_number(sha256: str) -> int:
    """Return the first 48 bits of a hash, which a double represents exactly."""
    return int(sha256[:12], 16)


class InputLog:
    """
    Counts and records the inputs of a controller.

    :ivar loop: As :attr:`Entry.loop`.
    """

    def __init__(self) -> None:
        """Start with the loop that the node was configured with."""
        self.loop = _now()
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Record a reset of the controller."""
        self._seed = seed
        self._step = 0
        self._stop_commands = 0

    def note_transfer(self, seed: int) -> None:
        """Record a transfer to another loop, with the first noise of a seed."""
        self._seed = seed
        self.loop = max(_now(), self.loop + 1)

    def ask_for_stop(self) -> None:
        """Record a request for the command that stops the robot."""
        self._stop_commands += 1

    def step(self, sha256: str, is_stopped: bool, failed: Failed) -> Entry:
        """
        Record a step, and return its inputs.

        :param sha256: Hash of the policy file.
        :param is_stopped: Whether the operator's stop was in force.
        :param failed: Failure in the step.
        """
        self._step += 1
        entry = Entry(
            self.loop, policy_number(sha256), self._seed, self._step, is_stopped,
            self._stop_commands, failed)
        self._stop_commands = 0
        return entry


def _now() -> int:
    """Return the time in microseconds, which a double represents exactly."""
    return time.time_ns() // 1000
