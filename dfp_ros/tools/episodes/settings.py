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
"""Settings of the episode manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.node.parameters.names import require_name
from dfp_ros.tools.episodes.machine import Rules

BOOL, MARKS = 'bool', 'marks'
_CHOICES = {'judge_type': (MARKS, BOOL)}

#: Name, default, description, range.
PARAMETERS: tuple[tuple[str, Any, str, tuple[float, float] | None], ...] = (
    ('policy_node', 'dfp_policy', 'Name of the policy node that is stopped and released.', None),
    ('time_limit', 0.0, 'Longest episode in s, after which it is a failure; 0 for no limit.',
     (0.0, 86_400.0)),
    ('success', '', 'Success predicate (.yaml): conditions on fields of the observation; empty '
     'for none. It needs robot.', None),
    ('robot', '', 'Robot description (.yaml), or the bare name of one in config, whose fields the '
     'success predicate names.', None),
    ('judge', '', 'Topic of another program that ends episodes; empty for none. Marks on '
     'episode_marks count in any case.', None),
    ('judge_type', MARKS, 'Messages of judge: marks (std_msgs/String, success or failure) or bool '
     '(std_msgs/Bool, true while the task is solved).', None),
    ('reset_service', '', 'Service (std_srvs/Trigger) of the robot that resets the scene; empty '
     'if a person does.', None),
    ('reset_timeout', 60.0, 'Longest time to the answer of reset_service in s.', (0.1, 3600.0)),
    ('reset_attempts', 3, 'Calls of reset_service that may fail before a person has to help.',
     (1, 1000)),
    ('settle', 1.0, 'Time in s from the answer of reset_service to the state ready.',
     (0.0, 3600.0)),
    ('release', False, 'Deactivate the policy node while reset_service resets the scene, so that '
     'others can command the robot.', None),
    ('auto_start', False, 'Start an episode whenever the scene is ready.', None),
    ('follow', False, 'Only follow the marks of another, such as a simulated robot: nothing is '
     'called, and the robot is not held.', None),
    ('window', 20, 'Number of the last episodes that the success rate is computed from.',
     (1, 100_000)),
    ('keyboard', True, 'Read keys, if the standard input is a terminal.', None))


@dataclass(frozen=True)
class Settings:
    """Parameters of the node; their descriptions are in :func:`list_parameters`."""

    policy_node: str
    time_limit: float
    success: str
    robot: str
    judge: str
    judge_type: str
    reset_service: str
    reset_timeout: float
    reset_attempts: int
    settle: float
    release: bool
    auto_start: bool
    follow: bool
    window: int
    keyboard: bool

    @property
    def rules(self) -> Rules:
        """Return the settings of the state machine."""
        return Rules(
            self.time_limit, bool(self.reset_service), self.settle, self.reset_attempts,
            self.auto_start, self.follow)


def list_parameters() -> list[tuple[str, Any, str]]:
    """Return name, default and description of each parameter."""
    return [(name, default, sentence) for name, default, sentence, _ in PARAMETERS]


def declare(node: Node) -> Settings:
    """
    Declare the parameters on a node and read them.

    :raises SettingsError: If a value is of another type or out of range, or if values contradict
        each other.
    """
    settings = Settings(**{
        name: declare_parameter(
            node, name, default, sentence, bounds, choices=_CHOICES.get(name, ()))
        for name, default, sentence, bounds in PARAMETERS})
    for name, example in (
            ('policy_node', 'left/dfp_policy'), ('judge', 'camera/is_solved'),
            ('reset_service', 'robot/reset')):
        require_name(name, getattr(settings, name), example)
    _require_consistent(settings)
    _require_others(node, settings)
    return settings


def _require_others(node: Node, settings: Settings) -> None:
    """
    Refuse this node as the policy node, and services of the two as the one that resets the scene.

    :raises SettingsError: If there are such.
    """
    def holder(service: str) -> str:
        return node.resolve_service_name(service).rpartition('/')[0]

    own, policy = node.get_fully_qualified_name(), holder(f'{settings.policy_node}/stop')
    if policy == own:
        raise SettingsError(
            f'parameter policy_node: found {settings.policy_node!r}, which is this node itself; '
            'expected the name of a policy node')
    if settings.reset_service and holder(settings.reset_service) in (own, policy):
        raise SettingsError(
            f'parameter reset_service: found {settings.reset_service!r}, a service of '
            f'{holder(settings.reset_service)}, which resets no scene and could move the robot; '
            'expected one of the robot, or nothing if a person resets the scene')


def _require_consistent(settings: Settings) -> None:
    """
    Refuse values that contradict each other.

    :raises SettingsError: If there are such.
    """
    if not settings.policy_node:
        raise SettingsError(
            'parameter policy_node: found nothing, expected the name of a policy node')
    if settings.judge_type not in (MARKS, BOOL):
        raise SettingsError(
            f'parameter judge_type: found {settings.judge_type!r}, expected {MARKS} or {BOOL}')
    for name, other in (('success', 'robot'), ('robot', 'success')):
        if getattr(settings, name) and not getattr(settings, other):
            raise SettingsError(
                f'parameter {name}: found {getattr(settings, name)!r} without {other}; a success '
                'predicate needs both success and robot')
    if settings.release and not settings.reset_service:
        raise SettingsError(
            'parameter release: found true without reset_service, which is called meanwhile')
    if settings.follow:
        for name in ('time_limit', 'success', 'judge', 'reset_service', 'auto_start'):
            if getattr(settings, name):
                raise SettingsError(
                    f'parameter {name}: found {getattr(settings, name)!r} with follow:=true, '
                    'which leaves start, end and reset to another program; leave it out, or set '
                    'follow to false')
