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
"""What follows from parameters that are about to change, before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dfp_ros.candidate import Candidate, look_at, require_latency
from dfp_ros.control_loop import ControlLoop, make_understudy, remake_control_loop
from dfp_ros.settings import ASIDE, Settings
from dfp_ros.spec import require_same_fields


@dataclass(frozen=True)
class PreparedChange:
    """
    What follows from a change.

    :param loop: What runs with it at once; None where nothing changes at once.
    :param policy: What has to be loaded to take over; None for nothing.
    :param shadow: What has to be loaded as the shadow; None for nothing.
    """

    loop: ControlLoop | None = None
    policy: Candidate | None = None
    shadow: Candidate | None = None


def prepare_change(
        wanted: Settings, changes: Mapping[str, Any], loop: ControlLoop,
        last: Candidate) -> PreparedChange:
    """
    See what follows from a change, in well under a tick.

    :param wanted: All settings with the change in them.
    :param changes: New values by parameter.
    :param loop: What runs.
    :param last: What was to run last: what runs, or what is being loaded.
    :raises ValueError: Where it cannot be.
    """
    return PreparedChange(
        _change_at_once(wanted, loop), _find_policy(wanted, changes, loop, last),
        _find_shadow(wanted, changes, loop))


def _change_at_once(wanted: Settings, loop: ControlLoop) -> ControlLoop | None:
    """Make the loop that runs until what is wanted is loaded."""
    settings = replace(wanted.with_loaded(loop.settings), shadow=loop.settings.shadow)
    if settings == loop.settings:
        return None
    if settings == replace(
            loop.settings, **{name: getattr(settings, name) for name in ASIDE}):
        understudy = make_understudy(settings, loop.robot, loop.policy)
        return replace(loop, settings=settings, understudy=understudy)
    changed = remake_control_loop(loop, settings)
    if changed.tick < loop.tick:
        require_latency(changed)
    return changed


def _find_policy(
        wanted: Settings, changes: Mapping[str, Any], loop: ControlLoop,
        last: Candidate) -> Candidate | None:
    """Find what has to be loaded to take over, after a look at it."""
    if 'policy' in changes or wanted.execution != last.settings.execution:
        found = Candidate(wanted)
    elif wanted.candidates != last.settings.candidates:
        # The same policy has to be tried out with them.
        found = Candidate(wanted, last.policy)
    else:
        return None
    require_same_fields(look_at(wanted, loop.robot), loop.policy.spec)
    return found


def _find_shadow(
        wanted: Settings, changes: Mapping[str, Any], loop: ControlLoop) -> Candidate | None:
    """Find the shadow that has to be loaded, after a look at it."""
    if not changes.get('shadow'):
        return None
    candidate = Candidate(replace(wanted, policy=wanted.shadow))
    require_same_fields(look_at(candidate.settings, loop.robot), loop.policy.spec)
    return candidate
