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
"""Outputs that the slow-speed settings do not affect."""

from __future__ import annotations

from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.settings.node import Settings


def describe_unslowed(settings: Settings, robot: RobotDescription) -> str:
    """
    List the outputs that a ramp-in, or a response of ``slow``, does not slow down.

    An output that is neither a position nor a velocity has no known speed.

    :param settings: The node's parameters.
    :param robot: The robot's description.
    :return: Warning for the log; empty if these settings are not used, or affect all outputs.
    """
    asked = ['limits.ramp_in'] if settings.limits.ramp_in else []
    safety = settings.safety
    asked += [f'safety.{name}: slow' for name, answer in (
        ('envelope', safety.envelope), ('spread', safety.spread)) if answer == 'slow']
    unslowed = [
        f'{entry.action} ({entry.where}, stop: {topic.stop_of(entry).value})'
        for topic in robot.commands for entry in topic.entries
        if topic.stop_of(entry).kind == 'other']
    if not asked or not unslowed:
        return ''
    return (
        f'{" and ".join(asked)} cannot slow down {", ".join(unslowed)}; for a position, '
        'give stop: hold, limits.velocity and measured; for a velocity, stop: zero or '
        'ramp')
