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
What the policy node can be told: names, defaults, meanings and ranges, as plain data.

Each field of :class:`Settings` is a parameter of the node. A field that is itself a group of
settings gives parameters with a dot, for example ``planning.mode``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
import functools
from typing import Any, get_type_hints, TypeVar

from dfp_ros.core.settings.diagnostics import DiagnosticsSettings
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.limits import LimitSettings
from dfp_ros.core.settings.planning import PlanningSettings
from dfp_ros.core.settings.realtime import RealtimeSettings
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.core.settings.setting import Meaning, setting, SettingsError
from dfp_ros.core.text.numbers import shown
from dfp_ros.spec import PolicySpec

TRIGGERS = ('timer', 'samples')
#: Settings that ask for loading a policy or trying it out; the others can change at once.
LOADED = ('policy', 'candidates', 'execution')
#: Settings that no command depends on; a plan goes on when they change.
ASIDE = (
    'shadow', 'publish_decisions', 'latency_share', 'load_timeout', 'require_preflight',
    'preflight_hours', 'diagnostics', 'realtime')
SLOWEST, FASTEST = 1.0, 1000.0


@dataclass(frozen=True)
class Settings:
    """
    The policy node's parameters.

    :raises SettingsError: Where a value cannot be, as far as the values alone tell.
    """

    policy: str = setting(
        '', 'Policy file (.onnx), or the bare name of one in models. A new one is looked at when '
        'this is set, loaded and tried out beside the control loop, and takes over between two '
        'ticks; where it cannot, the parameter gets its old value back, and ~/policy says why.')
    robot: str = setting(
        '', 'Robot description (.yaml), or the bare name of one in config. Can be set while the '
        'node is unconfigured.', is_unconfigured_only=True)
    shadow: str = setting(
        '', 'Policy file that is asked too, after each command has been sent, and never commands: '
        '~/shadow has what it would have done. Empty for none.')
    rate: float = setting(
        0.0, 'Control rate in Hz, 1 to 1000; 0 is the rate that the policy was trained for.',
        bounds=(0.0, FASTEST))
    candidates: int = setting(
        0, 'Action chunks that the policy draws, of which its critic chooses one; 0 is the number '
        'that it was evaluated with.', bounds=(0, 1024))
    noise_seed: int = setting(
        0, 'Seed of the noise; the same seed and observations give the same commands.',
        bounds=(0, 2**63 - 1))
    noise_scale: float = setting(
        -1.0, 'Factor on the noise, 0 to 10; -1 is the one that the policy was evaluated with.',
        bounds=(-1.0, 10.0))
    trigger: str = setting(
        'timer', 'timer: tick at the control rate. samples: tick when every source has a new '
        'sample and all have one stamp, for robots that wait for each command: max_age is not '
        'judged, and the robot stopped once no complete set came for 2 s. Can be set while the '
        'node is unconfigured.', choices=TRIGGERS, is_unconfigured_only=True)
    publish_decisions: bool = setting(
        False, 'Publish every decision on ~/decision, for recordings: what the policy saw, what '
        'it answered, and what was sent. Used when the node is configured.')
    latency_share: float = setting(
        0.8, 'Share of a tick that the p99 of the inference of a new policy may take, as measured '
        'before it takes over; one that takes longer is refused.', bounds=(0.01, 10.0))
    load_timeout: float = setting(
        20.0, 'Seconds that each step of loading a file may take: reading it, and trying it out. '
        'What takes longer is ended and refused.', bounds=(0.5, 600.0))
    require_preflight: str = setting(
        '', 'Report of a preflight, written by `ros2 run dfp_ros preflight --json FILE`, without '
        'which the node is not activated: passed, on this machine, and of this policy file, '
        'robot description, rate and number of candidates. Empty for none.')
    preflight_hours: float = setting(
        24.0, 'Hours that the report of a preflight may be old.', bounds=(0.0, 8760.0))
    autostart: bool = setting(
        True, 'Configure and activate when the node starts.', is_fixed=True)
    planning: PlanningSettings = field(default_factory=PlanningSettings)
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
    safety: SafetySettings = field(default_factory=SafetySettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    diagnostics: DiagnosticsSettings = field(default_factory=DiagnosticsSettings)
    realtime: RealtimeSettings = field(default_factory=RealtimeSettings)

    def __post_init__(self) -> None:
        """Check what a range cannot say."""
        for name, what in (('policy', 'an exported .onnx file'), ('robot', 'a robot description')):
            if not getattr(self, name):
                raise SettingsError(f'parameter {name}: found nothing, expected {what}')
        if self.rate != 0 and not SLOWEST <= self.rate <= FASTEST:
            raise SettingsError(
                f'parameter rate: found {shown(self.rate)} Hz, expected {SLOWEST} to {FASTEST} '
                "Hz, or 0 for the policy's own rate")
        if self.noise_scale != -1 and not 0 <= self.noise_scale <= 10:
            raise SettingsError(
                f'parameter noise_scale: found {shown(self.noise_scale)}, expected 0 to 10, or -1 '
                "for the policy's own scale")

    def with_loaded(self, other: Settings) -> Settings:
        """Replace the settings of :data:`LOADED` by another's."""
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
        """Factor on the noise."""
        return spec.noise_scale if self.noise_scale == -1 else self.noise_scale


@functools.cache
def describe(group: type = Settings, prefix: str = '') -> tuple[tuple[str, Any, Meaning], ...]:
    """
    List the settings of a group.

    :param group: The group.
    :param prefix: What their names begin with.
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
    """Find the types of a group's fields; Python takes a millisecond for all groups."""
    return get_type_hints(group)


_Group = TypeVar('_Group')


def make_settings(
        values: Mapping[str, Any], group: type[_Group] = Settings,  # type: ignore[assignment]
        prefix: str = '') -> _Group:
    """
    Make a group of settings.

    :param values: Values by name; all of them.
    :param group: The group.
    :param prefix: What their names begin with.
    :raises SettingsError: Where a value cannot be.
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
    See whether values can be at all, whatever the others are.

    :param changes: Values by name; what is no setting is passed over, and so is a file that is not
        named yet.
    :raises SettingsError: Where a value cannot be.
    """
    # Stand for the files that a node cannot do without once it is configured.
    values: dict[str, Any] = {name: default for name, default, _ in describe()}
    values |= {'policy': 'any', 'robot': 'any'}
    values |= {
        name: value for name, value in changes.items()
        if name in values and not (name in ('policy', 'robot') and not value)}
    make_settings(values)
