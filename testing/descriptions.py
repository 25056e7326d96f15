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
"""Minimal robot descriptions for tests."""

from __future__ import annotations

from pathlib import Path

from dfp_ros.core.description.robot import load_robot_description, RobotDescription

#: The shortest commands that a description can have.
GRIP = """\
commands:
  grip:
    topic: grip
    type: std_msgs/msg/Float64MultiArray
    stop: keep
    fields: [{action: grip, unit: '1', path: data, indices: [0]}]
"""
TEXT = """
robot: test
sources:
  it: {topic: it, type: %s, max_age: 1.0%s}
""" + GRIP + """observation:
  - {name: field, unit: '1', source: it, %s}
"""


def described(folder: Path, kind: str, keys: str, more: str = '') -> RobotDescription:
    """Describe a robot with one source and one field."""
    path = folder / 'robot.yaml'
    path.write_text(TEXT % (kind, more, keys))
    return load_robot_description(path)
