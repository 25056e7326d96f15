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
"""Messages and samples of a robot cell, made from numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.observation.sample import Sample
from testing import ROOT

ARM = (
    'shoulder_pan_joint', 'shoulder_lift_joint', 'elbow_joint', 'wrist_1_joint', 'wrist_2_joint',
    'wrist_3_joint')


def shipped_robot() -> RobotDescription:
    """Load the shipped description."""
    return load_robot_description(ROOT / 'config' / 'ur5e_cube.yaml')


def rest_samples(stamp: int, received: int | None = None) -> dict[str, Sample]:
    """
    Make samples of a robot at rest.

    :param stamp: Header stamp of all of them, in ns.
    :param received: Time of arrival; by default, the stamp.
    """
    pose = {
        'pose.position.x': 0.4, 'pose.position.y': 0.0, 'pose.position.z': 0.2,
        'pose.orientation.w': 1.0, 'pose.orientation.x': 0.0, 'pose.orientation.y': 0.0,
        'pose.orientation.z': 0.0}
    values: dict[str, Mapping[str, Any]] = {
        'arm': {'name': list(ARM), 'position': [0.1] * 6, 'velocity': [0.0] * 6},
        'gripper': {'name': ['gripper_opening'], 'position': [0.0], 'effort': [0.0]},
        'effector': pose, 'cube_0': dict(pose)}
    at = stamp if received is None else received
    return {name: Sample(stamp, at, dict(value)) for name, value in values.items()}


def rest_messages(stamp: Any) -> dict[str, Any]:
    """
    Make messages of a robot at rest, by topic.

    :param stamp: builtin_interfaces/Time for all of them.
    """
    from geometry_msgs.msg import PoseStamped
    from sensor_msgs.msg import JointState
    arm = JointState(name=list(ARM), position=[0.1] * 6, velocity=[0.0] * 6)
    gripper = JointState(
        name=['gripper_opening'], position=[0.0], velocity=[0.0], effort=[0.0])
    messages = {
        'joint_states': arm, 'gripper_state': gripper, 'effector_pose': PoseStamped(),
        'cube_0_pose': PoseStamped()}
    for message in messages.values():
        message.header.stamp = stamp
    return messages


def ogbench_messages(env: Any, random: np.random.Generator) -> dict[str, Any]:
    """
    Make the messages of a cell in the state of an OGBench environment, by source.

    Joints come in a random order, with one more that is not used.
    """
    from geometry_msgs.msg import PoseStamped
    import mujoco
    from sensor_msgs.msg import JointState
    info = env.unwrapped.compute_ob_info()
    order = random.permutation(7)
    names = np.array([*ARM, 'another_joint'])[order]
    position = np.append(info['proprio/joint_pos'], 99.0)[order]
    velocity = np.append(info['proprio/joint_vel'], 99.0)[order]
    rotation = np.empty(4)
    site = env.unwrapped._pinch_site_id
    mujoco.mju_mat2Quat(rotation, env.unwrapped.data.site_xmat[site])
    messages: dict[str, Any] = {
        'arm': JointState(
            name=names.tolist(), position=position.tolist(), velocity=velocity.tolist()),
        'gripper': JointState(
            name=['gripper_opening'], position=info['proprio/gripper_opening'].tolist(),
            effort=info['proprio/gripper_contact'].tolist())}
    for name, place, quaternion in (
            ('effector', info['proprio/effector_pos'], rotation),
            ('cube_0', info['privileged/block_0_pos'], info['privileged/block_0_quat'])):
        message = PoseStamped()
        point, orientation = message.pose.position, message.pose.orientation
        point.x, point.y, point.z = place.tolist()
        orientation.w, orientation.x, orientation.y, orientation.z = quaternion.tolist()
        messages[name] = message
    return messages
