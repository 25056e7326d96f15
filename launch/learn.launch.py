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
Launch file for learning on the simulated arm: the arm, its policy node, and the learner.

``ros2 launch dfp_ros learn.launch.py policy:=runs/clone/policy.onnx run:=runs/clone``

Without ``run``, start the learner in another terminal: ``python -m training.learn_on_robot
runs/clone``. When the arm or the policy node ends, for any reason, the other is ended, too; when
the learner ends, they go on.
"""

import sys

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.conditions import IfCondition
from launch.substitutions import (
    LaunchConfiguration,
    NotEqualsSubstitution,
    PythonExpression,
)
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
    ('policy', 'cube_single', 'Policy file of the run, or the bare name of one in models.'),
    ('run', '', 'Folder of the trained run that the learner begins with; empty for no learner.'),
    ('robot', 'ur5e_cube', 'Robot description, or the bare name of one in config.'),
    ('environment', 'cube-single-singletask-task2-v0', 'Environment to simulate.'),
    ('episodes', '0', 'Number of episodes after which it ends; 0 for no end.'),
    ('seed', '0', 'Seed of the first episode; each following episode has the next one.'),
    ('run_seed', '-1', 'Seed of a training run, for the seeds of its online phase; -1 for none.'),
    ('mode', 'realtime', 'realtime, or lockstep: physics wait for each command and the learner.'),
    ('real_time_factor', '1.0', 'Simulated seconds in a second of wall time.'),
    ('namespace', '', 'Namespace of the nodes.'),
    ('log_level', 'info', 'Log level of arm and policy node.'),
)
MODES = ('realtime', 'lockstep')
TYPES = (('episodes', int), ('seed', int), ('run_seed', int), ('real_time_factor', float))
LEARNER = 'dfp_learner'


def generate_launch_description() -> LaunchDescription:
    """Describe the processes."""
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
                'run_seed': typed('run_seed', int),
                'mode': typed('mode', str),
                'real_time_factor': typed('real_time_factor', float),
                'publish_clock': other_pace,
                'policy_node': 'dfp_policy',
                'learner_node': PythonExpression([f"'{LEARNER}' if ", *lockstep, " else ''"]),
            }],
            on_exit=end_with('the robot'), **both),
        Node(
            package='dfp_ros', executable='policy_node', name='dfp_policy',
            parameters=[{
                'policy': typed('policy', str),
                'robot': typed('robot', str),
                'trigger': PythonExpression(["'samples' if ", *lockstep, " else 'timer'"]),
                'use_sim_time': other_pace,
                'publish_decisions': True,
            }],
            on_exit=end_with('the policy node'), **both),
    ]
    run = LaunchConfiguration('run')
    learner = ExecuteProcess(
        cmd=[sys.executable, '-m', 'training.learn_on_robot', run, '--node-name', LEARNER,
             '--namespace', LaunchConfiguration('namespace')],
        output='screen', condition=IfCondition(NotEqualsSubstitution(run, '')))
    return LaunchDescription([
        require_known(__file__, [name for name, _, _ in ARGUMENTS]),
        *(DeclareLaunchArgument(name, default_value=default, description=sentence)
          for name, default, sentence in ARGUMENTS),
        require_types(TYPES), require_choices({'mode': MODES}),
        *map(pass_on_interrupt, nodes), *nodes, learner,
    ])
