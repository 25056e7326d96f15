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
"""Stop by an operator: holds the robot until it is resumed, whatever else happens."""

from __future__ import annotations


class OperatorStop:
    """
    Latch of an operator's stop; a reset or another policy does not release it.

    :ivar why: Who or what wants the stop, for people; None while there is none.
    """

    def __init__(self) -> None:
        """Start released."""
        self.why: str | None = None

    @property
    def is_stopped(self) -> bool:
        """Return whether an operator stopped the robot and nobody has resumed it."""
        return self.why is not None

    def stop(self, why: str) -> None:
        """
        Stop the robot from the next step on, until :meth:`resume`.

        :param why: Who or what wants it, for people.
        """
        self.why = why

    def resume(self) -> None:
        """Release the robot, with a plan from what is observed then."""
        self.why = None
