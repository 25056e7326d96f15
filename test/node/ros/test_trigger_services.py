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
"""Trigger services over DDS."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from dfp_ros.node.ros.domain import free_domain
from testing.policies.small_policy import write_policy
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess


@pytest.mark.parametrize(('rule', 'found'), [
    ('~/stop:=~/resume', 'service ~/resume: found the name /dfp_policy/resume, as remapped, which '
     'is that of ~/stop, too'),
    ('~/stop:=~/change_state', 'service ~/stop: found the name /dfp_policy/change_state, as '
     'remapped, which is that of another of its services, too'),
])
def test_two_services_of_one_name_are_refused(rule: str, found: str, tmp_path: Path) -> None:
    """A person who calls ~/stop must not resume the robot."""
    policy = write_policy(tmp_path / 'p.onnx')
    with NodeProcess('dfp_ros.policy_node', free_domain(), '--ros-args', *arguments(policy), '-r',
                     rule) as node:
        assert node.wait(60) == 1, node.output
        assert found in node.output
        assert 'Traceback' not in node.output
