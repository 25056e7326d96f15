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
Launch file for two robots, ``left`` and ``right``, each with a policy node in its namespace.

``ros2 launch dfp_ros two_robots.launch.py policy:=cube_single robot:=ur5e_cube``

The arguments are those of policy.launch.py, and apply to both. Topics of a robot description are
relative, so ``/left/dfp_policy`` listens to ``/left/joint_states`` and commands
``/left/twist_command``.
"""

from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from dfp_ros.launch_arguments import require_known
from dfp_ros.policy_arguments import declare, GROUPS


def generate_launch_description() -> LaunchDescription:
    """Describe the processes."""
    file = PathJoinSubstitution([FindPackageShare('dfp_ros'), 'launch', 'policy.launch.py'])
    arguments = declare()
    names = [argument.name for argument in arguments]
    return LaunchDescription([
        require_known(__file__, names, GROUPS),
        *arguments,
        # A separate group, as settings of one include would apply to the next one, too.
        *(GroupAction([IncludeLaunchDescription(
            PythonLaunchDescriptionSource(file), launch_arguments={
                **{name: LaunchConfiguration(name) for name in names},
                'namespace': namespace}.items())])
          for namespace in ('left', 'right')),
    ])
