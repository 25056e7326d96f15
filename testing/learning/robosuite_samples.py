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
"""Content of files from robosuite 1.4."""

# Controller of an arm in files of robosuite 1.4.
OLD_CONTROLLER = {
    'type': 'OSC_POSE', 'input_max': 1, 'input_min': -1, 'kp': 150, 'damping': 1,
    'output_max': [0.05, 0.05, 0.05, 0.5, 0.5, 0.5], 'control_delta': True,
    'output_min': [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5], 'impedance_mode': 'fixed',
    'kp_limits': [0, 300], 'damping_limits': [0, 10], 'position_limits': None,
    'orientation_limits': None, 'uncouple_pos_ori': True, 'interpolation': None,
    'ramp_ratio': 0.2}
