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
"""Classification of topics: source, command, or neither."""

from __future__ import annotations

from collections.abc import Sequence

# Nodes of this package, which are not part of the robot.
_OURS = (
    'dfp_policy', 'dfp_recorder', 'dfp_preflight', 'dfp_describe', 'dfp_view', 'dfp_learner',
    'mark_episodes', 'episode_manager', 'evaluate_on_robot', 'teleop_keyboard', 'teleop_joy',
    'scripted_operator')
# Nodes that listen to anything, without being commanded by it.
_LISTENERS = ('rosbag2_recorder', 'rviz', 'rviz2', 'foxglove_bridge', 'plotjuggler')
# Begins of the names of others: `ros2 topic echo`, and rqt, with their process.
_LISTENING = ('_ros2cli', 'rqt_gui_')
_PLUMBING = (
    'rosout', 'parameter_events', 'clock', 'robot_description', 'diagnostics',
    'diagnostics_agg', 'diagnostics_toplevel_state', 'tf', 'tf_static', 'episode_marks')
# Message types that a controller, a base or a servo takes.
COMMANDS = (
    'trajectory_msgs/msg/JointTrajectory', 'std_msgs/msg/Float64MultiArray',
    'geometry_msgs/msg/Twist', 'geometry_msgs/msg/TwistStamped',
    'geometry_msgs/msg/PoseStamped', 'sensor_msgs/msg/JointState',
    *(f'std_msgs/msg/{kind}' for kind in (
        'Float64', 'Float32', 'Bool', 'Int8', 'Int16', 'Int32', 'UInt8', 'UInt16', 'UInt32')))
# A topic of these types with a subscriber is a command even if it has a publisher, such as an
# operator's controls.
_COMMANDS_ALWAYS = COMMANDS[:4]
_LEFT_OUT = {
    'sensor_msgs/msg/Joy': (
        "an operator's controls, which a policy does not see; a person can take over with them "
        '(docs/takeover.md)'),
    'sensor_msgs/msg/CameraInfo': 'calibration of a camera, which a description does not read',
    'sensor_msgs/msg/PointCloud2': 'points without names, which a description does not read',
    'std_msgs/msg/String': 'text, which has no numbers'}
SOURCE, COMMAND = 'source', 'command'


def is_ours(node: str) -> bool:
    """Tell whether a node, given by its full name, is one of this package's."""
    return node.rpartition('/')[2] in _OURS


def _only_listens(node: str) -> bool:
    """Tell whether a node, given by its full name, listens to anything."""
    name = node.rpartition('/')[2]
    return name in _LISTENERS or name.startswith(_LISTENING)


def classify(
        topic: str, kind: str, publishers: Sequence[str], subscribers: Sequence[str],
) -> tuple[str, str]:
    """
    Classify a topic for a description.

    :param topic: Its full name.
    :param kind: Message type.
    :param publishers: Full names of the nodes that publish it.
    :param subscribers: Full names of the nodes that subscribe to it.
    :return: :data:`SOURCE` or :data:`COMMAND`; or nothing and the reason, which is empty if the
        topic is not worth mentioning.
    """
    name = topic.rpartition('/')[2]
    publishers = [node for node in publishers if not is_ours(node)]
    subscribers = [node for node in subscribers if not is_ours(node) and not _only_listens(node)]
    if not publishers and not subscribers or name in _PLUMBING or '/_' in topic or (
            kind.startswith('lifecycle_msgs/')):
        return '', ''
    if kind in _LEFT_OUT:
        return '', _LEFT_OUT[kind]
    if kind in _COMMANDS_ALWAYS and subscribers:
        return COMMAND, ''
    if publishers:
        return SOURCE, ''
    if name == 'joint_states':
        return '', 'it has subscribers but no publisher: start the publisher'
    if kind in COMMANDS:
        return COMMAND, ''
    return '', 'it has subscribers, but its type is no known command type'
