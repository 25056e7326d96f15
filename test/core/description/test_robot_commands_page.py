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
"""Documentation of commands: its examples work, and it has every key."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
import re

import numpy as np
import pytest

from testing import ROOT

pytest.importorskip('rclpy')

from rclpy.serialization import serialize_message

from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.robot_limits import make_limits
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.urdf import JointLimits
from dfp_ros.core.observation.feedback import FeedbackReader
from dfp_ros.node.messages.command_writer import CommandWriter
from dfp_ros.node.messages.source_reader import SourceReader
from dfp_ros.spec import ActionField, ObservationField, PolicySpec

PAGE = (ROOT / 'docs' / 'robot-commands.md').read_text()
EXAMPLES = re.findall(r'```yaml\n(.*?)```', PAGE, re.DOTALL)
SOURCES = """
robot: example
sources:
  arm: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 0.2}
  base: {topic: odom, type: nav_msgs/msg/Odometry, max_age: 0.2}
  hand: {topic: hand, type: geometry_msgs/msg/PoseStamped, max_age: 0.2}
observation:
  - {name: joints, unit: rad, source: arm, path: position, joints: [shoulder, elbow]}
"""
JOINTS = {'shoulder': JointLimits(-1, 1, 2), 'elbow': JointLimits(-2, 2, 3)}


def test_there_are_examples() -> None:
    """A page that was rewritten is not silently untested."""
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize('example', EXAMPLES)
def test_example(tmp_path: Path, example: str) -> None:
    """It loads, its limits can be kept, its sources read, and its messages sent."""
    (tmp_path / 'robot.yaml').write_text(SOURCES + example)
    robot = replace(load_robot_description(tmp_path / 'robot.yaml'), joints=JOINTS)
    sizes = {entry.action: entry for topic in robot.commands for entry in topic.entries}
    spec = PolicySpec(
        'example', 'example', (ObservationField('joints', 2, 'rad', (0.0,) * 2, (1.0,) * 2),),
        tuple(ActionField(name, entry.size, entry.unit, *(
            (bound,) * entry.size for bound in (-1.0, 1.0, -1.0, 1.0)))
            for name, entry in sizes.items()), 0.1, 4)
    limiter = CommandLimiter(make_limits(robot, spec), 50_000_000)
    FeedbackReader(robot, spec)
    for source in robot.sources.values():
        if robot.readings(source.name):
            SourceReader(source, robot)
    here = np.linspace(0.3, 0.4, spec.action_size) ** 2
    sent, _ = limiter.limit(here + 0.1, here)
    assert sent is not None
    for topic in robot.commands:
        if topic.type.startswith('control_msgs/') and find_spec('control_msgs') is None:
            # PyPI has none; test/whole_node/test_actions.py builds it.
            continue
        serialize_message(CommandWriter(topic, spec).write(sent, 0, sent[None]))


@pytest.mark.parametrize('module', ['commands', 'limits'])
def test_every_key_has_an_example_or_a_line(module: str) -> None:
    """No key that the code knows is left out of the page."""
    code = (ROOT / 'dfp_ros' / 'core' / 'description' / f'{module}.py').read_text()
    keys = set(re.findall(r"keys\['(\w+)'\]", code))
    assert len(keys) > 3 or module == 'limits'
    for key in keys:
        assert re.search(rf'`{key}`|\b{key}:', PAGE), key
