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
What enters a controller from outside, step by step: what a replay needs besides the samples.

A controller has no memory from before a reset, so a reset is known by the count of steps since.
"""

from __future__ import annotations

from dataclasses import dataclass
import enum
import time


class Failed(enum.IntEnum):
    """What failed in a step; recordings hold the numbers."""

    NOTHING = 0
    #: The controller raised an error, and was told to stop for it.
    DECIDING = 1
    #: The decision could not be sent, and the controller was told to stop for that.
    SENDING = 2
    #: A watchdog had stopped the robot, and what was decided counts no more.
    OVERDUE = 3


@dataclass(frozen=True)
class Entry:
    """
    What one step had from outside.

    :param loop: Which control loop decided: when it began, in microseconds since 1970.
    :param policy: The first 48 bits of the policy file's SHA-256.
    :param seed: Seed of the noise.
    :param step: Counts the steps since the last reset; the first after it is 1.
    :param is_stopped: Whether somebody had stopped the robot.
    :param stop_commands: How often the controller was asked, since the step before, for the
        command that stops the robot.
    :param failed: What failed.
    """

    loop: int = 0
    policy: int = 0
    seed: int = 0
    step: int = 0
    is_stopped: bool = False
    stop_commands: int = 0
    failed: Failed = Failed.NOTHING


def policy_number(sha256: str) -> int:
    """Take the first 48 bits of a hash, which a double holds exactly."""
    return int(sha256[:12], 16)


class InputLog:
    """
    Keeps count of what enters a controller.

    :ivar loop: As :attr:`Entry.loop`.
    """

    def __init__(self) -> None:
        """Start with the loop that the node was configured with."""
        self.loop = _now()
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Note that the controller begins as new."""
        self._seed = seed
        self._step = 0
        self._stop_commands = 0

    def note_transfer(self, seed: int) -> None:
        """Note that another loop goes on, with the first noise of a seed."""
        self._seed = seed
        self.loop = max(_now(), self.loop + 1)

    def ask_for_stop(self) -> None:
        """Note that the controller is asked for the command that stops the robot."""
        self._stop_commands += 1

    def step(self, sha256: str, is_stopped: bool, failed: Failed) -> Entry:
        """
        Note a step, and write down what it had from outside.

        :param sha256: Hash of the policy that was asked.
        :param is_stopped: Whether somebody had stopped the robot.
        :param failed: What failed.
        """
        self._step += 1
        entry = Entry(
            self.loop, policy_number(sha256), self._seed, self._step, is_stopped,
            self._stop_commands, failed)
        self._stop_commands = 0
        return entry


def _now() -> int:
    """Return the time in microseconds, which a double holds exactly."""
    return time.time_ns() // 1000
