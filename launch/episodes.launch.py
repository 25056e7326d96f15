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
"""
Launch file of the episode manager.

``ros2 launch dfp_ros episodes.launch.py time_limit:=20.0``

Ctrl-C stops the robot, and ends. An argument that is not given leaves the node's default.
"""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dfp_ros.launch_arguments import end_with, given, pass_on_interrupt, require_known
from dfp_ros.node.process.parent import PARAMETER, SENTENCE
from dfp_ros.tools.episodes.settings import list_parameters

# Name, type, sentence; `launch` gives a node no terminal to read keys from.
PARAMETERS = (
    *((name, type(default), sentence) for name, default, sentence in list_parameters()
      if name != 'keyboard'),
    ('use_sim_time', bool, 'Follow the clock of a simulation.'),
    (PARAMETER, str, SENTENCE),
)


def generate_launch_description() -> LaunchDescription:
    """Describe the process."""
    return LaunchDescription([
        require_known(__file__, (
            *(name for name, _, _ in PARAMETERS), 'namespace', 'log_level')),
        *(DeclareLaunchArgument(name, default_value='', description=sentence)
          for name, _, sentence in PARAMETERS),
        DeclareLaunchArgument('namespace', default_value='', description='Namespace.'),
        DeclareLaunchArgument('log_level', default_value='info', description='Log level.'),
        OpaqueFunction(function=_nodes),
    ])


def _nodes(context: LaunchContext) -> list[Action]:
    """Make the node, now that the arguments have values."""
    node = Node(
        package='dfp_ros', executable='episode_manager', name='episode_manager',
        namespace=LaunchConfiguration('namespace'),
        parameters=[given(context, [(name, kind) for name, kind, _ in PARAMETERS])],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen', on_exit=end_with('the episode manager'))
    return [pass_on_interrupt(node), node]
