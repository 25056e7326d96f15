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
"""Launch file of the demo, run by launch_testing: two episodes with the shipped policy."""

from __future__ import annotations

import os
import unittest

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnShutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_testing.actions import ReadyToTest
import launch_testing.asserts
import pytest

from dfp_ros.node.ros.domain import free_domain
from dfp_ros.sim.sim_robot.qos import EPISODE_QOS
from testing import ROOT
from testing.processes.ros_processes import Peer

LAUNCH_FILE = ROOT / 'launch' / 'demo.launch.py'
VARIABLE = 'ROS_DOMAIN_ID'
TIME_LIMIT = 200  # control periods


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    """Launch robot and policy in a namespace, for two episodes."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(free_domain())

    def restore(*_: object) -> None:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before

    return LaunchDescription([
        RegisterEventHandler(OnShutdown(on_shutdown=restore)),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(LAUNCH_FILE)),
            launch_arguments={'episodes': '2', 'seed': '40', 'namespace': 'cell'}.items()),
        ReadyToTest(),
    ])


class TestRunning(unittest.TestCase):
    """While it runs."""

    def test_two_episodes_come_to_their_end(self) -> None:
        """
        Seeds follow each other, the policy moves the arm, and each episode has a result.

        Whether it is a success is for the tests in lockstep: here it hangs on the machine's load.
        """
        with Peer(int(os.environ[VARIABLE])) as peer:
            episodes = peer.collect(DiagnosticStatus, 'cell/episode', EPISODE_QOS)
            reports = peer.collect(DiagnosticArray, '/diagnostics')
            peer.wait_for(lambda: len(episodes) == 2 and reports, 120)
        values = [{pair.key: pair.value for pair in episode.values} for episode in episodes]
        assert [value['seed'] for value in values] == ['40', '41']
        assert [value['episode'] for value in values] == ['0', '1']
        for value in values:
            steps = int(value['steps'])
            assert value['success'] == 'true' or steps == TIME_LIMIT
            assert 0 < steps <= TIME_LIMIT
            assert float(value['duration']) == pytest.approx(steps * 0.05)
        assert all('/cell/dfp_policy' in report.status[0].name for report in reports)


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    """When it has ended."""

    def test_both_ended_well(self, proc_info: launch_testing.ProcInfoHandler) -> None:
        """The robot ended after its last episode, and the policy with it."""
        launch_testing.asserts.assertExitCodes(proc_info, allowable_exit_codes=[0])
        assert len(proc_info.process_names()) == 2
