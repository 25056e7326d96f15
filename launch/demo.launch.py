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
Launch file of the demo: a simulated arm and the policy node that controls it.

``ros2 launch dfp_ros demo.launch.py policy:=cube_single episodes:=10``

When one of the two ends, for any reason, the other is ended, too.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from dfp_ros.launch_arguments import (
    end_with,
    pass_on_interrupt,
    require_choices,
    require_known,
    require_types,
)

ARGUMENTS = (
    ('policy', 'cube_single', 'Policy file, or the bare name of one in models.'),
    ('robot', 'ur5e_cube', 'Robot description, or the bare name of one in config.'),
    ('environment', 'cube-single-singletask-task2-v0', 'Environment to simulate.'),
    ('episodes', '0', 'Number of episodes after which it ends; 0 for no end.'),
    ('seed', '0', 'Seed of the first episode; each following episode has the next one.'),
    ('mode', 'realtime', 'realtime, or lockstep: physics wait for each command.'),
    ('real_time_factor', '1.0', 'Simulated seconds in a second of wall time.'),
    ('render', 'false', 'Publish camera images.'),
    ('record', '', 'Folder of recordings, a file for each episode; empty for none.'),
    ('publish_decisions', 'false', 'Publish every decision on ~/decision, for recordings.'),
    ('namespace', '', 'Namespace of both nodes.'),
    ('log_level', 'info', 'Log level of both nodes.'),
)
MODES = ('realtime', 'lockstep')
TYPES = (
    ('episodes', int), ('seed', int), ('real_time_factor', float), ('render', bool),
    ('publish_decisions', bool))


def generate_launch_description() -> LaunchDescription:
    """Describe the two processes."""
    def typed(name: str, kind: type) -> ParameterValue:
        return ParameterValue(LaunchConfiguration(name), value_type=kind)

    lockstep = ["'", LaunchConfiguration('mode'), "' == 'lockstep'"]
    # If simulated time differs from wall time, the policy keeps its rate in simulated time.
    other_pace = ParameterValue(PythonExpression(
        ['float(', LaunchConfiguration('real_time_factor'), ') != 1 and not ', *lockstep]),
        value_type=bool)
    both = {
        'namespace': LaunchConfiguration('namespace'),
        'output': 'screen',
        'ros_arguments': ['--log-level', LaunchConfiguration('log_level')],
    }
    nodes = [
        Node(
            package='dfp_ros', executable='sim_node', name='sim_robot',
            parameters=[{
                'environment': typed('environment', str),
                'episodes': typed('episodes', int),
                'seed': typed('seed', int),
                'mode': typed('mode', str),
                'real_time_factor': typed('real_time_factor', float),
                'publish_clock': other_pace,
                'render': typed('render', bool),
                'record': typed('record', str),
                'policy_node': 'dfp_policy',
            }],
            on_exit=end_with('the robot'), **both),
        Node(
            package='dfp_ros', executable='policy_node', name='dfp_policy',
            parameters=[{
                'policy': typed('policy', str),
                'robot': typed('robot', str),
                'trigger': PythonExpression(["'samples' if ", *lockstep, " else 'timer'"]),
                'use_sim_time': other_pace,
                'publish_decisions': typed('publish_decisions', bool),
            }],
            on_exit=end_with('the policy node'), **both),
    ]
    return LaunchDescription([
        require_known(__file__, [name for name, _, _ in ARGUMENTS]),
        *(DeclareLaunchArgument(name, default_value=default, description=sentence)
          for name, default, sentence in ARGUMENTS),
        require_types(TYPES), require_choices({'mode': MODES}),
        *map(pass_on_interrupt, nodes), *nodes,
    ])
