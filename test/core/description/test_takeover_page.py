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
"""docs/takeover.md: its examples are descriptions, and it names every key."""

from __future__ import annotations

from pathlib import Path
import re

import pytest

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.takeover import MEANINGS
from testing import ROOT

PAGE = (ROOT / 'docs' / 'takeover.md').read_text()
EXAMPLES = re.findall(r'```yaml\n(takeover:.*?)```', PAGE, re.S)
ROBOT = """\
robot: example
sources:
  arm: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 0.2}
observation:
  - {name: joints, unit: rad, source: arm, path: position, joints: [shoulder, elbow]}
commands:
  arm:
    topic: arm
    type: trajectory_msgs/msg/JointTrajectory
    stop: hold
    fields:
      - action: joint_targets
        unit: rad
        path: points.positions
        joints: [shoulder, elbow]
        measured: {source: arm, path: position, joints: [shoulder, elbow]}
        limits: {velocity: 1.0, acceleration: 5.0}
  tool:
    topic: tool
    type: geometry_msgs/msg/PointStamped
    frame_id: base
    stop: hold
    fields:
      - action: tool_position
        unit: m
        path: point
        components: [x, y, z]
        measured: {source: arm, path: position, joints: [x, y, z]}
        limits: {velocity: 1.0, acceleration: 5.0}
  base:
    topic: cmd_vel
    type: geometry_msgs/msg/Twist
    stop: ramp
    fields:
      - {action: base_speed, unit: m/s, path: linear.x, limits: {acceleration: 1.5}}
      - {action: base_turn, unit: rad/s, path: angular.z, limits: {acceleration: 3.0}}
  grip:
    topic: grip
    type: std_msgs/msg/Float64MultiArray
    stop: keep
    fields: [{action: grip, unit: '1', path: data, indices: [0]}]
"""


@pytest.mark.parametrize('example', EXAMPLES)
def test_examples(tmp_path: Path, example: str) -> None:
    """Each is a section of a robot, whose message fields exist."""
    path = tmp_path / 'robot.yaml'
    path.write_text(ROBOT + example)
    robot = load_robot_description(path)
    assert robot.takeover is not None
    pytest.importorskip('rclpy')
    from dfp_ros.node.messages.source_reader import SourceReader
    for source in robot.takeover.sources.values():
        SourceReader(source, robot)


def test_it_is_whole() -> None:
    """There are several examples, and each meaning and key is named."""
    assert len(EXAMPLES) == 4
    for name in (*MEANINGS, 'dead_man', 'needs', 'when_stale', 'numbers', 'dead_zone', 'above',
                 'below'):
        assert f'`{name}`' in PAGE, name
