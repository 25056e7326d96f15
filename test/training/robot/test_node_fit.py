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
"""What a policy node runs, against the run that a learner began with."""

from __future__ import annotations

from dataclasses import replace
import json
from typing import Any

import pytest

from dfp_ros.resources import hash_robot
from dfp_ros.spec import PolicySpec
from testing import ROOT
from testing.policies.small_policy import cube_spec
from training.robot.learner_error import LearnerError
from training.robot.node_fit import NodeFit

ROBOT = str(ROOT / 'config' / 'ur5e_cube.yaml')
HASH = hash_robot(ROBOT)


def begun(spec: PolicySpec, of_node: PolicySpec, **settings: Any) -> list[str]:
    """Begin to learn from a node, and return what is said."""
    said: list[str] = []
    NodeFit('/dfp_policy', spec, '', said.append).begin({
        'sha256': '0' * 64, 'spec': json.loads(of_node.to_json()), 'robot': {'sha256': HASH},
        'settings': {'robot': ROBOT, 'publish_decisions': True, **settings}})
    return said


@pytest.mark.parametrize(('known', 'is_said'), [
    ({}, False), ({'robot_sha256': HASH}, False), ({'robot_sha256': 'ab' * 32}, True),
    ({'robot_sha256': 7}, False)])
def test_data_of_another_robot_description_are_said(
        known: dict[str, object], is_said: bool) -> None:
    """Its fields may have the same names and units, and its joints another order."""
    said = begun(cube_spec(provenance={'data': {'sha256': 'x', **known}}), cube_spec())
    assert len(said) == is_said
    if is_said:
        assert f'found the robot description {HASH[:12]} (sha256), and' in said[0]
        assert 'the data of the run were converted with abababababab; if joints' in said[0]


def test_a_period_has_some_digits() -> None:
    """A policy of 0.0166667 s was refused as none of 0.0166667 s."""
    for ours, theirs in ((1 / 60, 0.0166667), (0.0166667, 1 / 60)):
        assert not begun(cube_spec(period=ours), cube_spec(period=theirs), rate=60.0)


@pytest.mark.parametrize(('changes', 'settings', 'message'), [
    ({'period': 0.04}, {}, 'found a policy with a period of 0.04 s, expected 0.05 s'),
    ({}, {'rate': 30.0}, 'found rate 30 Hz, expected 0, the rate of the policy'),
    ({}, {'publish_decisions': False}, 'found publish_decisions false, expected true'),
    ({'action': tuple(replace(field, unit='mm/s') for field in cube_spec().action)}, {},
     'action field 0 is effector_linear_velocity 3 mm/s'),
    ({'observation': cube_spec().observation[1:]}, {}, 'observation field 0 is joint_velocities'),
    ({'action': cube_spec().action[:-1]}, {}, 'action field 2 is missing there')])
def test_a_node_for_another_robot_is_refused(
        changes: dict[str, Any], settings: dict[str, Any], message: str) -> None:
    """Other names, units, sizes and rates, each by its own name."""
    with pytest.raises(LearnerError, match=message):
        begun(cube_spec(), cube_spec(**changes), **settings)


def test_another_robot_that_does_not_fit_either_is_another_robot_at_once() -> None:
    """Its rate is said, and it gets no policy that is made meanwhile."""
    status: dict[str, Any] = {
        'sha256': '0' * 64, 'spec': json.loads(cube_spec().to_json()),
        'robot': {'sha256': HASH}, 'settings': {'robot': ROBOT, 'publish_decisions': True}}
    said: list[str] = []
    subject = NodeFit('/dfp_policy', cube_spec(), '', said.append)
    subject.begin(status)
    assert not subject.watch(status)
    other = {**status, 'robot': {'sha256': 'ab' * 32}}
    assert subject.watch({**other, 'settings': {**status['settings'], 'rate': 30.0}})
    assert subject.is_other_robot
    assert 'found rate 30 Hz' in said[-1]
    assert not subject.watch(other)
    assert 'found another robot description than at the beginning' in said[-1]
    assert not subject.watch(status)
    assert not subject.is_other_robot
    assert not subject.is_left_out
