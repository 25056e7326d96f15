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
Launch file of the recorder: the topics of a robot description, decisions and episode marks.

``ros2 launch dfp_ros record.launch.py robot:=ur5e_cube out:=bags/monday``

Ctrl-C ends the recording. An argument that is not given leaves the node's default.
"""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dfp_ros.launch_arguments import end_with, given, pass_on_interrupt, require_known
from dfp_ros.node.process.parent import PARAMETER, SENTENCE

LIFETIME = (PARAMETER, str, SENTENCE)
# Name, type, sentence.
PARAMETERS = (
    ('storage', str, 'mcap or sqlite3.'),
    ('policy_node', str, 'Name of the policy node whose decisions are recorded.'),
    ('episodes', int, 'Number of episodes after which it ends; 0 for no end before Ctrl-C.'),
    ('joystick', str, 'Topic of sensor_msgs/Joy whose buttons mark episodes.'),
    ('button_start', int, 'Index of the button that starts an episode.'),
    ('button_success', int, 'Index of the button that ends one as a success.'),
    ('button_failure', int, 'Index of the button that ends one as a failure.'),
    ('queue', int, 'Largest number of messages that wait for the disk.'),
    ('keep_free', int, 'Megabytes to leave free on the disk.'),
    ('use_sim_time', bool, 'Follow the clock of a simulation.'),
    LIFETIME,
)


def generate_launch_description() -> LaunchDescription:
    """Describe the process."""
    return LaunchDescription([
        require_known(__file__, (
            'robot', 'out', *(name for name, _, _ in PARAMETERS), 'namespace', 'log_level')),
        DeclareLaunchArgument(
            'robot', description='Robot description (.yaml), or the bare name of one in config.'),
        DeclareLaunchArgument('out', description='Folder of the bag; it must not exist.'),
        *(DeclareLaunchArgument(name, default_value='', description=sentence)
          for name, _, sentence in PARAMETERS),
        DeclareLaunchArgument('namespace', default_value='', description='Namespace.'),
        DeclareLaunchArgument('log_level', default_value='info', description='Log level.'),
        OpaqueFunction(function=_nodes),
    ])


def _nodes(context: LaunchContext) -> list[Action]:
    """Make the node, now that the arguments have values."""
    wanted = [('robot', str), ('out', str), *((name, kind) for name, kind, _ in PARAMETERS)]
    node = Node(
        package='dfp_ros', executable='recorder', name='dfp_recorder',
        namespace=LaunchConfiguration('namespace'),
        parameters=[given(context, wanted)],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen', on_exit=end_with('the recorder'))
    return [pass_on_interrupt(node), node]
