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
"""Joint limits out of a URDF, and texts that are none."""

import math

import pytest

from dfp_ros.urdf import JointLimits, read_joint_limits, require_joint, UrdfError

ARM = """<?xml version="1.0"?>
<robot name="arm" xmlns:xacro="http://www.ros.org/wiki/xacro">
  <link name="base"/><link name="upper"/><link name="tool"/>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>
    <limit lower="-2.5" upper="1.5" velocity="2.0" effort="87"/>
    <safety_controller soft_lower_limit="-2.4" soft_upper_limit="9" k_velocity="1"/>
  </joint>
  <joint name="wheel" type="continuous"><limit velocity="7" effort="1"/></joint>
  <joint name="lift" type="prismatic"><limit upper="0.3" velocity="0.1" effort="1"/></joint>
  <joint name="spinner" type="continuous"/>
  <joint name="weld" type="fixed"><limit lower="0" upper="0" velocity="0" effort="0"/></joint>
</robot>"""


def test_reads_what_joints_can_do() -> None:
    """Ranges and speeds; the narrower of hard and soft; what is not said is as the format says."""
    assert read_joint_limits(ARM) == {
        'shoulder': JointLimits(-2.4, 1.5, 2.0),
        'wheel': JointLimits(-math.inf, math.inf, 7.0),
        'lift': JointLimits(0.0, 0.3, 0.1)}


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'not XML'), ('no', 'not XML'), ('<sdf/>', 'found <sdf>, expected <robot>'),
    ('<!DOCTYPE robot [<!ENTITY a "aaaa">]><robot>&a;</robot>', 'DOCTYPE'),
    ('<!DOCTYPE robot SYSTEM "file:///etc/hostname"><robot/>', 'DOCTYPE'),
    (ARM.replace('1.5', 'pi'), "joint 'shoulder': <limit> has upper: pi, expected a number"),
    (ARM.replace('1.5', 'nan'), 'has upper: nan'),
    (ARM.replace('1.5', '-3'), 'lower -2.5 above upper -3.0'),
    (ARM.replace('velocity="2.0"', ''), 'has velocity: nothing'),
])
def test_what_is_no_urdf(text: str, message: str) -> None:
    """Each is refused, and says what is wrong."""
    with pytest.raises(UrdfError) as caught:
        read_joint_limits(text)
    assert message in str(caught.value)


def test_a_joint_that_is_not_there() -> None:
    """The nearest name is offered."""
    with pytest.raises(UrdfError, match="r.yaml:3: the URDF has no limits for joint 'shulder'; "
                       "did you mean 'shoulder'"):
        require_joint(read_joint_limits(ARM), 'shulder', 'r.yaml:3')
    with pytest.raises(UrdfError, match='it has none at all'):
        require_joint({}, 'shoulder', 'r.yaml:3')
