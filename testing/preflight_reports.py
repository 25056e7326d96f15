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
"""Preflight report files for tests."""

from __future__ import annotations

import datetime
from pathlib import Path

from dfp_ros.tools.preflight.measurements import Figures
from dfp_ros.tools.preflight.report import (
    Subject,
    write_report,
)
from dfp_ros.tools.preflight.verdict import judge
from testing.preflights import good

SUBJECT = Subject('cube', 'a' * 64, 'ur5e', 'b' * 64, 50.0, 1, 'here')


def written(folder: Path, figures: Figures | None = None) -> Path:
    """Write a report."""
    figures = figures or good()
    path = folder / 'preflight.json'
    write_report(path, SUBJECT, figures, judge(figures))
    return path


def now(hours: float = 0) -> datetime.datetime:
    """Return the current time, or a later one."""
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
