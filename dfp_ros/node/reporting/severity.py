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
"""Diagnostic levels, and the worst of several findings; no ROS."""

from __future__ import annotations

import enum


class Level(enum.IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


class StatusBuilder:
    """
    Level and message of a status, from several findings.

    :param message: Message without findings.

    :ivar level: The worst level.
    """

    def __init__(self, message: str) -> None:
        """Start without findings."""
        self.level = Level.OK
        self._message = message
        self._problems: list[tuple[Level, str]] = []

    def add(self, level: Level, message: str) -> None:
        """Add a finding; one of level OK has no message."""
        if level is not Level.OK:
            self.level = max(self.level, level)
            self._problems.append((level, message))

    def compare(self, value: float, warn: float, error: float, message: str) -> None:
        """Add a finding if a value is above a threshold; NaN is not."""
        self.add(
            Level.ERROR if value > error else Level.WARN if value > warn else Level.OK, message)

    @property
    def message(self) -> str:
        """Messages of the findings, the worst first."""
        found = sorted(self._problems, key=lambda problem: -problem[0])
        return '; '.join(message for _, message in found) or self._message
