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
Parameters of the policy node: names, defaults, descriptions and ranges, as plain data.

Each field of :class:`Settings` is a parameter of the node. A field that is a group of settings
gives parameters with a dot, for example ``planning.mode``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
import functools
from typing import Any, get_type_hints, TypeVar

from dfp_ros.core.settings.diagnostics import DiagnosticsSettings
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.fallback import FallbackSettings
from dfp_ros.core.settings.limits import LimitSettings
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.core.settings.realtime import RealtimeSettings
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.core.settings.setting import Meaning, setting, SettingsError
from dfp_ros.core.settings.trust import parse_keys, parse_roots
from dfp_ros.core.text.numbers import shown
from dfp_ros.spec import PolicySpec

TRIGGERS = ('timer', 'samples')
#: Settings whose change loads a policy or measures its inference; the others change at once.
LOADED = ('policy', 'candidates', 'execution')
#: Settings that no command depends on; a plan continues when they change.
ASIDE = (
    'shadow', 'publish_decisions', 'latency_share', 'load_timeout', 'require_preflight',
    'preflight_hours', 'diagnostics', 'realtime', 'fallback')
SLOWEST, FASTEST = 1.0, 1000.0


@dataclass(frozen=True)
class Settings:
    """
    The policy node's parameters.

    :raises SettingsError: If a value is not valid, as far as the values alone show.
    """

    policy: str = setting(
        '', 'Policy file (.onnx), or the bare name of one in models. A new one is validated when '
        'this is set, loaded and warmed up beside the control loop, and takes over between two '
        'ticks; if it cannot, the parameter is set back, and ~/policy says why.')
    robot: str = setting(
        '', 'Robot description (.yaml), or the bare name of one in config. Can be set while the '
        'node is unconfigured.', is_unconfigured_only=True)
    shadow: str = setting(
        '', 'Policy file of a shadow policy, which runs after each command has been sent and '
        'never commands the robot; ~/shadow has its actions. Empty for none.')
    rate: float = setting(
        0.0, 'Control rate in Hz, 1 to 1000; 0 is the rate that the policy was trained for.',
        bounds=(0.0, FASTEST))
    candidates: int = setting(
        0, 'Number of candidate chunks, of which the critic chooses the best; 0 is the number '
        'that the policy was evaluated with.', bounds=(0, 1024))
    noise_seed: int = setting(
        0, 'Seed of the noise; the same seed and observations give the same commands.',
        bounds=(0, 2**63 - 1))
    noise_scale: float = setting(
        -1.0, 'Scale of the noise, 0 to 10; -1 is the one that the policy was evaluated with.',
        bounds=(-1.0, 10.0))
    trigger: str = setting(
        'timer', 'timer: tick at the control rate. samples: tick when every source has a new '
        'sample and all have the same stamp, for robots that wait for each command: max_age is '
        'not checked, and the robot is stopped after 2 s without a complete set. Can be set while '
        'the node is unconfigured.', choices=TRIGGERS, is_unconfigured_only=True)
    publish_decisions: bool = setting(
        False, 'Publish every decision on ~/decision, for recordings: the observation, the answer '
        'of the policy, and the command. Can be set while the node is unconfigured.',
        is_unconfigured_only=True)
    latency_share: float = setting(
        0.8, 'Largest p99 of the inference time of a new policy, as a fraction of a tick, '
        'measured before it takes over; a slower policy is refused.', bounds=(0.01, 10.0))
    load_timeout: float = setting(
        20.0, 'Timeout in seconds of each step of loading a file: reading it, and its first '
        'inference. A file that takes longer is refused.', bounds=(0.5, 600.0))
    require_preflight: str = setting(
        '', 'Preflight report that activation requires, and a swap while the node is active, '
        'written by `ros2 run dfp_ros preflight --json FILE`: passed, on this machine, with this '
        'policy file, robot description, rate and number of candidates. Empty for none.')
    preflight_hours: float = setting(
        24.0, 'Largest age of the preflight report in hours.', bounds=(0.0, 8760.0))
    policy_roots: str = setting(
        '', 'Folders that policy, shadow and fallback.policy may be in, at any depth, separated '
        'by colons: absolute paths, or models for that of this package. Links are followed first. '
        'Empty for any folder. Fixed when the node starts.', is_fixed=True)
    policy_keys: str = setting(
        '', 'Public keys of Ed25519, separated by commas, one of which must have signed a policy '
        '(`python -m training.sign`); a policy without a valid signature is refused before it is '
        'parsed. Empty if no signature is required. Fixed when the node starts.', is_fixed=True)
    autostart: bool = setting(
        True, 'Configure and activate when the node starts.', is_fixed=True)
    planning: PlanningSettings = field(default_factory=PlanningSettings)
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
    safety: SafetySettings = field(default_factory=SafetySettings)
    fallback: FallbackSettings = field(default_factory=FallbackSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    diagnostics: DiagnosticsSettings = field(default_factory=DiagnosticsSettings)
    realtime: RealtimeSettings = field(default_factory=RealtimeSettings)

    def __post_init__(self) -> None:
        """Check constraints beyond the range of a single value."""
        for name, what in (('policy', 'an exported .onnx file'), ('robot', 'a robot description')):
            if not getattr(self, name):
                raise SettingsError(f'parameter {name}: found nothing, expected {what}')
        parse_roots(self.policy_roots)
        parse_keys(self.policy_keys)
        if self.rate != 0 and not SLOWEST <= self.rate <= FASTEST:
            raise SettingsError(
                f'parameter rate: found {shown(self.rate)} Hz, expected {SLOWEST} to {FASTEST} '
                "Hz, or 0 for the policy's own rate")
        if self.noise_scale != -1 and not 0 <= self.noise_scale <= 10:
            raise SettingsError(
                f'parameter noise_scale: found {shown(self.noise_scale)}, expected 0 to 10, or -1 '
                "for the policy's own scale")
        if self.planning.asynchronous and self.is_lockstep:
            raise SettingsError(
                'parameter planning.asynchronous: found true with trigger: samples, expected '
                'false: a robot that waits for each command waits for inference, too')

    def with_loaded(self, other: Settings) -> Settings:
        """Replace the settings of :data:`LOADED` by those of another."""
        return replace(self, **{name: getattr(other, name) for name in LOADED})

    @property
    def is_lockstep(self) -> bool:
        """Return whether ticks follow the samples of a robot that waits for each command."""
        return self.trigger == 'samples'

    def tick(self, spec: PolicySpec) -> int:
        """Time between two ticks in ns."""
        if self.rate == 0 or self.is_lockstep:
            return round(spec.period * 1e9)
        return round(1e9 / self.rate)

    def scale(self, spec: PolicySpec) -> float:
        """Scale of the noise."""
        return spec.noise_scale if self.noise_scale == -1 else self.noise_scale


@functools.cache
def describe(group: type = Settings, prefix: str = '') -> tuple[tuple[str, Any, Meaning], ...]:
    """
    List the settings of a group.

    :param group: The group.
    :param prefix: Prefix of their names.
    :return: Name, default and meaning of each.
    """
    kinds = _kinds(group)
    found: list[tuple[str, Any, Meaning]] = []
    for member in fields(group):
        name = f'{prefix}{member.name}'
        if is_dataclass(kinds[member.name]):
            found += describe(kinds[member.name], f'{name}.')
        else:
            found.append((name, member.default, member.metadata['meaning']))
    return tuple(found)


@functools.cache
def _kinds(group: type) -> dict[str, Any]:
    """Return the types of a group's fields, cached: Python takes a millisecond for all groups."""
    return get_type_hints(group)


_Group = TypeVar('_Group')


def make_settings(
        values: Mapping[str, Any], group: type[_Group] = Settings,  # type: ignore[assignment]
        prefix: str = '') -> _Group:
    """
    Make a group of settings.

    :param values: Values by name; all of them.
    :param group: The group.
    :param prefix: Prefix of their names.
    :raises SettingsError: If a value is not valid.
    """
    kinds = _kinds(group)  # type: ignore[arg-type]
    found = {}
    for member in fields(group):  # type: ignore[arg-type]
        name = f'{prefix}{member.name}'
        if is_dataclass(kinds[member.name]):
            found[member.name] = make_settings(values, kinds[member.name], f'{name}.')
            continue
        choices = member.metadata['meaning'].choices
        if choices and values[name] not in choices:
            raise SettingsError(
                f'parameter {name}: found {values[name]!r}, expected {" or ".join(choices)}')
        found[member.name] = values[name]
    return group(**found)


def require_possible(changes: Mapping[str, Any]) -> None:
    """
    Validate values independently of all others.

    :param changes: Values by name; names that are not settings are skipped, and so are files that
        are not named yet.
    :raises SettingsError: If a value is not valid.
    """
    # Placeholders for the files that a configured node needs.
    values: dict[str, Any] = {name: default for name, default, _ in describe()}
    values |= {'policy': 'any', 'robot': 'any'}
    values |= {
        name: value for name, value in changes.items()
        if name in values and not (name in ('policy', 'robot') and not value)}
    make_settings(values)
