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
"""Simulated Panda over ROS, with joint commands as a real one's controllers take them."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dfp_ros.node.ros.domain import free_domain
from dfp_ros.sim.simulation.cell_state import PANDA_JOINT_NAMES
from testing.processes.ros_processes import NodeProcess, Peer

FINGERS = ('panda_finger_joint1', 'panda_finger_joint2')


def test_it_goes_where_a_trajectory_says_and_refuses_other_joints() -> None:
    """In real time: names in any order; rejected commands are logged and move nothing."""
    domain = free_domain()
    with NodeProcess(
            'dfp_ros.sim.sim_robot.main', domain, '--ros-args', '-p',
            'environment:=lift-joint-low_dim') as cell, Peer(domain) as peer:
        states = peer.collect(JointState, 'joint_states', qos_profile_sensor_data)
        cubes = peer.collect(PoseStamped, 'cube_0_pose', qos_profile_sensor_data)
        arm = peer.node.create_publisher(
            JointTrajectory, 'panda_arm_controller/joint_trajectory', 1)
        hand = peer.node.create_publisher(
            Float64MultiArray, 'panda_hand_controller/commands', 1)
        peer.wait_for(lambda: states and cubes and all(
            publisher.get_subscription_count() for publisher in (arm, hand)))
        first = states[-1]
        assert tuple(first.name) == PANDA_JOINT_NAMES + FINGERS
        assert len(first.position) == len(first.velocity) == 9
        assert (cubes[-1].header.frame_id, cubes[-1].pose.position.z > 0.8) == ('world', True)
        start = np.array(first.position[:7])
        goal = start + [0.2, -0.1, 0.1, 0.1, -0.1, 0.1, -0.3]

        def command(names: tuple[str, ...], positions: np.ndarray) -> None:
            arm.publish(JointTrajectory(
                joint_names=names, points=[JointTrajectoryPoint(positions=positions.tolist())]))

        def refused() -> bool:
            command((*PANDA_JOINT_NAMES[:-1], 'panda_joint8'), goal)
            return "joint_names: found no 'panda_joint7'" in cell.output

        peer.wait_for(refused)
        assert 'the command is ignored' in cell.output
        np.testing.assert_array_equal(states[-1].position[:7], start)

        def moves() -> bool:
            # What comes before the episode has begun is not for it.
            command(PANDA_JOINT_NAMES[::-1], goal[::-1])
            return any(states[-1].velocity)

        peer.wait_for(moves)
        # One command is enough: it holds.
        peer.wait_for(lambda: np.abs(np.array(states[-1].position[:7]) - goal).max() < 0.02)
        opening = states[-1].position[7]
        hand.publish(Float64MultiArray(data=[1.0]))
        peer.wait_for(lambda: states[-1].position[7] < opening - 0.01)
        np.testing.assert_allclose(states[-1].position[:7], goal, rtol=0, atol=0.02)
        assert cell.stop() == 0
