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
"""Arguments of policy.launch.py, for the launch files that include it."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from dfp_ros.node.parameters.parameters import list_parameters

REQUIRED = ('policy', 'robot')
#: Name, default and description of the optional parameters.
OPTIONAL = tuple(each for each in list_parameters() if each[0] not in REQUIRED)
#: Prefixes of the names of settings in groups.
GROUPS = tuple(dict.fromkeys(
    f'{name.partition(".")[0]}.' for name, _, _ in OPTIONAL if '.' in name))


def declare() -> list[DeclareLaunchArgument]:
    """Declare all of them but the namespace."""
    params = PathJoinSubstitution([FindPackageShare('dfp_ros'), 'config', 'policy.yaml'])
    return [
        DeclareLaunchArgument(
            'policy', description='Policy file (.onnx), or the bare name of one in models.'),
        DeclareLaunchArgument(
            'robot', description='Robot description (.yaml), or the bare name of one in config.'),
        *(DeclareLaunchArgument(
            name, default_value='', description=f'{sentence} Default: {default!r}.')
          for name, default, sentence in OPTIONAL),
        DeclareLaunchArgument(
            'use_sim_time', default_value='', description='Follow the clock of a simulation.'),
        DeclareLaunchArgument(
            'params', default_value=params, description='Parameter file of the node.'),
        DeclareLaunchArgument('name', default_value='dfp_policy', description='Node name.'),
        DeclareLaunchArgument('log_level', default_value='info', description='Log level.')]
