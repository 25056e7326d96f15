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
"""Operator's stop: a latch that holds the robot until it is resumed."""

from __future__ import annotations


class OperatorStop:
    """
    Latch of an operator's stop; a reset or another policy does not release it.

    :ivar why: Origin of the stop, for messages; None while released.
    """

    def __init__(self) -> None:
        """Start released."""
        self.why: str | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether the robot is stopped and was not resumed."""
        return self.why is not None

    def stop(self, why: str) -> None:
        """
        Stop the robot from the next step on, until :meth:`resume`.

        :param why: Origin of the stop, for messages.
        """
        self.why = why

    def resume(self) -> None:
        """Release the robot, which continues with a new plan."""
        self.why = None
