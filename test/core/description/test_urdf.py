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
"""Joint limits from a URDF, and invalid URDFs."""

from dataclasses import asdict
import json
import math
import time
from typing import Any

import pytest

from dfp_ros.core.description.urdf import (
    JointLimits,
    read_joint_limits,
    read_recorded_joints,
    require_joint,
    UrdfError,
)
from dfp_ros.core.files.bounded_json import read_json

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


# As they come from publishers, all of them the same robot.
HEADS = {
    'blank line': f'\n{ARM}', 'byte order mark': f'\ufeff{ARM}',
    'comment': f'<!-- by hand --> <!-- twice -->\n{ARM}', 'end': f'{ARM}\n\n\x00',
    'another encoding': ARM.replace('"1.0"', '"1.0" encoding="UTF-16"'),
    'namespace': ARM.replace('<robot ', '<robot xmlns="http://www.ros.org" ')}


@pytest.mark.parametrize('head', HEADS)
def test_surroundings_of_a_urdf_do_not_matter(head: str) -> None:
    """Launch files of robots combine parts that strict XML does not allow."""
    assert read_joint_limits(HEADS[head]) == read_joint_limits(ARM)


def joint(kind: str, inside: str, name: str = 'wrist') -> str:
    """Write a joint in addition to those of the arm."""
    return ARM.replace(
        '</robot>', f'<joint name="{name}" type="{kind}">{inside}</joint></robot>')


@pytest.mark.parametrize(('kind', 'inside', 'key', 'message'), [
    ('continuous', '', 'velocity', "joint 'wrist' has no <limit>; give limits.velocity"),
    ('continuous', '<limit effort="1"/>', 'velocity', 'has no <limit> with velocity'),
    ('revolute', '', 'position', 'has no <limit>'),
    ('revolute', '<limit velocity="1" effort="1"/>', 'position', 'no <limit> with lower or upper'),
    ('revolute', '<limit effort="87"/>', 'velocity', 'no <limit> with velocity'),
    ('revolute', '<limit lower="-1" upper="1" velocity="1,5"/>', 'velocity', "'1,5', expected a"),
    ('revolute', '<limit lower="${-pi}" upper="1" velocity="1"/>', 'position', "'${-pi}', expec"),
    ('revolute', '<limit lower="-1" upper="1" velocity="1_0"/>', 'velocity', "'1_0', expected a"),
    ('revolute', '<limit lower="-1" upper="1" velocity="\u0661"/>', 'velocity', 'expected a nu'),
    ('revolute', '<limit lower="-1" upper="nan" velocity="1"/>', 'position', "'nan', expected a"),
    ('revolute', '<mimic joint="lift"/>', 'position', "follows joint 'lift' (mimic), which"),
    ('revolute', '<mimic joint="lift"/><limit lower="-1" upper="1" velocity="1"/>', 'velocity',
     "follows joint 'lift' (mimic), which has to be commanded in its place"),
    ('revolute', '<limit lower="-1" upper="1" velocity="1"/><safety_controller k_velocity="0" '
     'soft_lower_limit="0" soft_upper_limit="0"/>', 'position', 'soft limits 0 to 0'),
    ('revolute', '<limit lower="-1" upper="1" velocity="1"/><safety_controller k_velocity="0" '
     'soft_lower_limit="1" soft_upper_limit="2"/>', 'position', 'outside of its limits -1 to 1'),
    ('fixed', '<limit lower="-1" upper="1" velocity="1"/>', 'position', "is of type 'fixed'"),
])
def test_a_joint_that_does_not_say_it(kind: str, inside: str, key: str, message: str) -> None:
    """The joint is rejected if it is used, while the other joints remain usable."""
    found = read_joint_limits(joint(kind, inside))
    assert require_joint(found, 'shoulder', 'r.yaml:3', ('position', 'velocity')).velocity == 2
    with pytest.raises(UrdfError, match=r"^r.yaml:3: URDF: joint 'wrist'") as caught:
        require_joint(found, 'wrist', 'r.yaml:3', (key,))
    assert message in str(caught.value)


def test_two_joints_of_one_name() -> None:
    """Duplicate joints are ambiguous."""
    found = read_joint_limits(joint(
        'revolute', '<limit lower="-9" upper="9" velocity="9"/>', 'shoulder'))
    with pytest.raises(UrdfError, match='is in the URDF twice'):
        require_joint(found, 'shoulder', 'r.yaml:3', ('velocity',))


@pytest.mark.parametrize(('part', 'added'), [
    ('limit', '<limit lower="-9" upper="9" velocity="9"/>'),
    ('safety_controller', '<safety_controller soft_lower_limit="-1"/>' * 2)])
def test_two_limits_of_one_joint(part: str, added: str) -> None:
    """Which of them counts would be a guess."""
    text = """<robot name="r"><joint name="a" type="revolute">%s
        <limit lower="-2" upper="2" velocity="1"/></joint></robot>"""
    assert require_joint(read_joint_limits(text % ''), 'a', 'here', ('velocity',)).velocity == 1
    for wanted in ('position', 'velocity'):
        with pytest.raises(UrdfError, match=f"joint 'a' has <{part}> twice; give limits.{wanted}"):
            require_joint(read_joint_limits(text % added), 'a', 'here', (wanted,))


def test_reads_joint_limits() -> None:
    """The narrower of hard and soft limits counts; missing attributes have URDF's default."""
    found = read_joint_limits(ARM)
    assert found.pop('spinner').velocity_fault
    assert found.pop('weld').position_fault
    assert found == {
        'shoulder': JointLimits(-2.4, 1.5, 2.0, 'revolute'),
        'wheel': JointLimits(-math.inf, math.inf, 7.0, 'continuous'),
        'lift': JointLimits(0.0, 0.3, 0.1, 'prismatic')}


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'not XML'), ('no', 'not XML'), ('<sdf/>', 'found <sdf>, expected <robot>'),
    ('<!DOCTYPE robot [<!ENTITY a "aaaa">]><robot>&a;</robot>', 'DOCTYPE'),
    ('<!DOCTYPE robot SYSTEM "file:///etc/hostname"><robot/>', 'DOCTYPE'),
    ('<robot><xacro:macro xmlns:xacro="http://ros.org/wiki/xacro" name="arm"/></robot>',
     'publish the output of the program xacro'),
    ('<robot>' + '<joint/>' * 2_000_000, 'expected at most 8388608'),
    ('<robot>' + ''.join(f'<joint name="{i}"/>' for i in range(100_000)) + '</robot>',
     'more than 10000 joints'),
    ('<robot>' * 500_000, 'not XML'), ('<robot>\ud800</robot>', 'not XML'),
], ids=lambda text: ascii(text)[:40])
def test_invalid_urdfs_are_rejected(text: str, message: str) -> None:
    """Each invalid URDF is rejected with its fault."""
    begun = time.process_time()
    with pytest.raises(UrdfError) as caught:
        read_joint_limits(text)
    assert message in str(caught.value)
    assert time.process_time() - begun < 2


def test_a_joint_that_is_not_there() -> None:
    """The nearest name is offered."""
    with pytest.raises(UrdfError, match="r.yaml:3: the URDF has no joint 'shulder'; "
                       "did you mean 'shoulder'"):
        require_joint(read_joint_limits(ARM), 'shulder', 'r.yaml:3')
    with pytest.raises(UrdfError, match='it has none at all'):
        require_joint({}, 'shoulder', 'r.yaml:3')


def test_recorded_joints() -> None:
    """Recorded joints are read, from this release and earlier ones."""
    found = read_joint_limits(ARM)
    found = {name: each for name, each in found.items() if not each.velocity_fault}
    text = json.dumps({name: each.to_record() for name, each in found.items()}, allow_nan=False)
    assert read_recorded_joints(read_json(text)) == found
    # As releases before wrote it.
    text = json.dumps({name: asdict(each) for name, each in found.items()})
    assert read_recorded_joints(read_json(text, infinite=True)) == found
    before = {'a': {'low': -1, 'high': 1, 'velocity': 2}}
    assert read_recorded_joints(before) == {'a': JointLimits(-1, 1, 2)}


@pytest.mark.parametrize('content', [
    [], {'a': 1}, {'a': {'low': 1}}, {'a': {'low': 'x', 'high': 1, 'velocity': 1}},
    {'a': {'low': 0, 'high': 1, 'velocity': 1, 'kind': 5}},
    {'a': {'low': 0, 'high': 1, 'velocity': 1, 'colour': 'red'}}])
def test_recorded_joints_that_are_none(content: Any) -> None:
    """They are refused by name."""
    with pytest.raises(UrdfError, match='recorded joint'):
        read_recorded_joints(content)
