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
"""Change plan: the consequences of a parameter change, computed before it is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from dfp_ros.core.policy.policy_file import PolicyFile
from dfp_ros.core.settings.node import ASIDE, LOADED, Settings
from dfp_ros.node.loading.control_loop import (
    ControlLoop,
    make_warmup_controller,
    remake_control_loop,
)
from dfp_ros.node.loading.pending_policy import PendingPolicy, require_latency, validate
from dfp_ros.spec import require_same_fields


@dataclass(frozen=True)
class ChangePlan:
    """
    Consequences of a parameter change.

    :param loop: Control loop that runs with it at once; None if nothing changes at once.
    :param policy: Policy that has to be loaded to take over; None for none.
    :param shadow: Policy that has to be loaded as the shadow; None for none.
    :param gives_up: Whether the policy being loaded has to be dropped.
    """

    loop: ControlLoop | None = None
    policy: PendingPolicy | None = None
    shadow: PendingPolicy | None = None
    gives_up: bool = False


def plan_change(
        wanted: Settings, changes: Mapping[str, Any], loop: ControlLoop,
        last: PendingPolicy, files: Mapping[str, PolicyFile]) -> ChangePlan:
    """
    Plan a change, in well under a tick, without reading files.

    :param wanted: All settings, including the change.
    :param changes: New values by parameter.
    :param loop: The running control loop.
    :param last: The last requested policy: the running one, or the one being loaded.
    :param files: Content of the policy files that the change names, by parameter.
    :raises ValueError: If the change is not possible.
    """
    policy = _find_policy(wanted, changes, loop, last, files)
    gives_up = False
    if policy is not None and _is_same(policy, loop.settings, loop.policy.file):
        # The requested policy runs already, and would become its own previous policy.
        loop, policy, gives_up = _renamed(loop, policy), None, True
    changed = _change_at_once(wanted, loop)
    if changed is None and gives_up:
        changed = loop
    return ChangePlan(changed, policy, _find_shadow(wanted, changes, loop, files), gives_up)


def _is_same(candidate: PendingPolicy, settings: Settings, file: PolicyFile) -> bool:
    """Return whether a pending policy is the same policy file with the same settings."""
    content = candidate.content
    return content is not None and content.sha256 == file.sha256 and all(
        getattr(candidate.settings, name) == getattr(settings, name)
        for name in LOADED if name != 'policy')


def _renamed(loop: ControlLoop, candidate: PendingPolicy) -> ControlLoop:
    """Update the path of the running policy."""
    policy = copy(loop.policy)
    if candidate.content is not None:
        policy.path = candidate.content.path
    return replace(
        loop, policy=policy, settings=replace(loop.settings, policy=candidate.settings.policy))


def _change_at_once(wanted: Settings, loop: ControlLoop) -> ControlLoop | None:
    """Make the loop that runs until the pending policy is loaded."""
    settings = replace(wanted.with_loaded(loop.settings), shadow=loop.settings.shadow)
    if settings == loop.settings:
        return None
    if settings == replace(
            loop.settings, **{name: getattr(settings, name) for name in ASIDE}):
        warmup = make_warmup_controller(settings, loop.robot, loop.policy)
        return replace(loop, settings=settings, warmup=warmup)
    changed = remake_control_loop(loop, settings)
    if changed.tick < loop.tick:
        require_latency(changed)
    return changed


def _find_policy(
        wanted: Settings, changes: Mapping[str, Any], loop: ControlLoop,
        last: PendingPolicy, files: Mapping[str, PolicyFile]) -> PendingPolicy | None:
    """
    Validate and return the policy that has to be loaded to take over.

    Only a change of the parameter policy reads its file again; for all others, the content that
    was read when the parameter was set is loaded again, even if the file has changed since.
    """
    if 'policy' in changes:
        found = PendingPolicy(wanted, file=files['policy'])
        if last.content is not None and last.settings.policy == wanted.policy and _is_same(
                found, last.settings, last.content) and last.policy is None:
            # It is being loaded already.
            return None
    elif wanted.execution != last.settings.execution:
        found = PendingPolicy(wanted, file=last.content)
    elif wanted.candidates != last.settings.candidates:
        # The same policy has to be tested with the new settings.
        found = PendingPolicy(wanted, last.policy, last.file)
    else:
        return None
    assert found.content is not None, 'a policy that runs or is being loaded has content'
    require_same_fields(validate(wanted, loop.robot, found.content), loop.policy.spec)
    return found


def _find_shadow(
        wanted: Settings, changes: Mapping[str, Any], loop: ControlLoop,
        files: Mapping[str, PolicyFile]) -> PendingPolicy | None:
    """Validate and return the shadow that has to be loaded."""
    if not changes.get('shadow'):
        return None
    file = files['shadow']
    settings = replace(wanted, policy=wanted.shadow)
    require_same_fields(validate(settings, loop.robot, file), loop.policy.spec)
    return PendingPolicy(settings, file=file)
