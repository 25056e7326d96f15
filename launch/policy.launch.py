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
Launch file of the policy node, for any robot with a description file.

``ros2 launch dfp_ros policy.launch.py policy:=cube_single robot:=ur5e_cube``

Every parameter of the node is an argument (``--show-args`` lists them); without it, or with an
empty one, the value of the parameter file is used. two_robots.launch.py includes it for several
nodes.
"""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dfp_ros.launch_arguments import (
    end_with,
    find_parameter_file,
    given,
    pass_on_interrupt,
    require_known,
)
from dfp_ros.node.parameters.files import read_file
from dfp_ros.policy_arguments import declare, GROUPS, OPTIONAL, REQUIRED


def generate_launch_description() -> LaunchDescription:
    """Describe the process."""
    arguments = [
        *declare(), DeclareLaunchArgument('namespace', default_value='', description='Namespace.')]
    return LaunchDescription([
        require_known(__file__, [argument.name for argument in arguments], GROUPS),
        *arguments, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Action]:
    """Make the node, now that the arguments have values."""
    wanted = [
        *((name, str) for name in REQUIRED), ('use_sim_time', bool),
        *((name, type(default)) for name, default, _ in OPTIONAL)]
    node = Node(
        package='dfp_ros', executable='policy_node',
        name=LaunchConfiguration('name'), namespace=LaunchConfiguration('namespace'),
        parameters=[find_parameter_file(context, 'params', read_file), given(context, wanted)],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen', on_exit=end_with('the policy node'))
    return [pass_on_interrupt(node), node]
