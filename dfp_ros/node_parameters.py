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
"""The policy node's parameters: what they are called, what they may be, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rclpy.node import Node

from dfp_ros.declare_parameter import declare_parameter
from dfp_ros.spec import PolicySpec
from dfp_ros.yaml_section import nearest

TRIGGERS = ('timer', 'samples')
SLOWEST, FASTEST = 1.0, 1000.0


class SettingsError(ValueError):
    """A parameter has a value that it cannot have; the message names it."""


@dataclass(frozen=True)
class Settings:
    """
    The parameters that make up the control loop; what they mean is in :data:`_DESCRIPTIONS`.

    :raises SettingsError: Where a value cannot be, as far as the values alone tell.
    """

    policy: str
    robot: str
    rate: float
    candidates: int
    noise_seed: int
    noise_scale: float
    trigger: str

    def __post_init__(self) -> None:
        """Check what a parameter's range cannot say."""
        for name, what in (('policy', 'an exported .onnx file'), ('robot', 'a robot description')):
            if not getattr(self, name):
                raise SettingsError(f'parameter {name}: found nothing, expected {what}')
        if self.rate != 0 and not SLOWEST <= self.rate <= FASTEST:
            raise SettingsError(
                f'parameter rate: found {self.rate} Hz, expected {SLOWEST} to {FASTEST} Hz, or 0 '
                "for the policy's own rate")
        if self.noise_scale != -1 and not 0 <= self.noise_scale <= 10:
            raise SettingsError(
                f'parameter noise_scale: found {self.noise_scale}, expected 0 to 10, or -1 for '
                "the policy's own scale")
        if self.trigger not in TRIGGERS:
            raise SettingsError(
                f'parameter trigger: found {self.trigger!r}; {nearest(self.trigger, TRIGGERS)}')

    def tick(self, spec: PolicySpec) -> int:
        """Time between two ticks in ns."""
        if self.rate == 0 or self.trigger == 'samples':
            return round(spec.period * 1e9)
        return round(1e9 / self.rate)

    def scale(self, spec: PolicySpec) -> float:
        """Factor on the noise."""
        return spec.noise_scale if self.noise_scale == -1 else self.noise_scale


# Name, default, sentence, range, read-only.
_DESCRIPTIONS: tuple[tuple[str, Any, str, tuple[float, float] | None, bool], ...] = (
    ('policy', '', 'Policy file (.onnx), or the bare name of one in models. A new file is loaded '
     'and checked when this is set, and takes over between two ticks.', None, False),
    ('robot', '', 'Robot description (.yaml), or the bare name of one in config. Can be set '
     'while the node is unconfigured.', None, False),
    ('rate', 0.0, 'Control rate in Hz, 1 to 1000; 0 is the rate that the policy was trained for.',
     (0.0, FASTEST), False),
    ('candidates', 0, 'Action chunks that the policy draws, of which its critic chooses one; 0 is '
     'the number that it was evaluated with.', (0, 1024), False),
    ('noise_seed', 0, 'Seed of the noise; the same seed and observations give the same commands.',
     (0, 2**63 - 1), False),
    ('noise_scale', -1.0, 'Factor on the noise, 0 to 10; -1 is the one that the policy was '
     'evaluated with.', (-1.0, 10.0), False),
    ('trigger', 'timer', 'timer: tick at the control rate. samples: tick when every source has a '
     'new sample and all have one stamp, for robots that wait for each command: max_age is not '
     'judged, and zero is sent once no complete set came for 2 s. Can be set while the node is '
     'unconfigured.', None, False),
    ('publish_decisions', False, 'Publish every decision on ~/decision, for recordings: what the '
     'policy saw, what it answered, and what was sent. Used when the node is configured.', None,
     False),
    ('autostart', True, 'Configure and activate when the node starts.', None, True))
# Topics and their quality of service follow from these.
UNCONFIGURED_ONLY = ('robot', 'trigger')


def declare_parameters(node: Node) -> None:
    """
    Declare the parameters on a node.

    :raises rclpy.exceptions.ParameterException: Where a value from the command line or a
        parameter file has another type or is out of range.
    """
    for name, default, sentence, bounds, read_only in _DESCRIPTIONS:
        declare_parameter(node, name, default, sentence, bounds, read_only)


def read_settings(node: Node, changes: Mapping[str, Any] | None = None) -> Settings:
    """
    Read the parameters of a node.

    :param node: The node.
    :param changes: Values that are about to replace some of them.
    :raises SettingsError: Where a value cannot be.
    """
    values = {member.name: node.get_parameter(member.name).value for member in fields(Settings)}
    values.update({name: value for name, value in (changes or {}).items() if name in values})
    return Settings(**values)
