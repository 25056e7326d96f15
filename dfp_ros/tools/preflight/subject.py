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
"""Identity of a control loop for its preflight, and the check that it passed one."""

from __future__ import annotations

from collections.abc import Callable
import datetime
from pathlib import Path
import platform

from dfp_ros.core.files.user_path import user_path
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.tools.preflight.report import PreflightError, remedy, require_passed, Subject


def subject(loop: ControlLoop) -> Subject:
    """Return the identity of a control loop for its preflight."""
    policy, settings = loop.policy, loop.settings
    return Subject(
        policy.spec.name, policy.sha256, loop.robot.name, loop.robot.sha256,
        1e9 / loop.tick, settings.candidates or policy.spec.candidates, platform.node())


def require_preflight(
        loop: ControlLoop, read: Callable[[Path], bytes] | None = None) -> None:
    """
    Check that a control loop has passed a preflight, if its settings require one.

    :param loop: The control loop.
    :param read: Reads the report; None for the default.
    :raises PreflightError: If it has not.
    """
    settings = loop.settings
    if settings.require_preflight:
        path = Path(settings.require_preflight)
        try:
            path = user_path(path)
            content = read and read(path)
        except ValueError as error:
            raise PreflightError(
                f'preflight report {path}: cannot be read: {error}; {remedy(path)}') from error
        require_passed(
            path, subject(loop), settings.preflight_hours,
            datetime.datetime.now(datetime.timezone.utc), content)
