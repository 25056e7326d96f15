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
from glob import glob
import os

from setuptools import find_packages, setup

PACKAGE = 'dfp_ros'


def files_in(folder: str) -> list[str]:
    return sorted(path for path in glob(f'{folder}/*') if os.path.isfile(path))


setup(
    name=PACKAGE,
    version='0.1.0',
    # Without the filter, a global package named `training` would be installed as well.
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        *((f'share/{PACKAGE}/{folder}', files_in(folder))
          for folder in ('launch', 'config', 'models')),
    ],
    python_requires='>=3.10',
    install_requires=['numpy', 'onnxruntime', 'pillow', 'pyyaml', 'rosbags', 'setuptools'],
    extras_require={
        'adopt': ['onnx'], 'simulation': ['imageio', 'mujoco', 'ogbench'], 'test': ['pytest']},
    zip_safe=True,
    author='The dfp_ros authors',
    maintainer='dfp_ros maintainers',
    maintainer_email='maintainers@dfp-ros.example',
    description='Drifting Field Policies for ROS 2: learn from data, run at a fixed rate, safely.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'adopt = dfp_ros.commands:adopt',
            'describe = dfp_ros.commands:describe',
            'episode_manager = dfp_ros.commands:episode_manager',
            'evaluate_on_robot = dfp_ros.commands:evaluate_on_robot',
            'mark_episodes = dfp_ros.commands:mark_episodes',
            'policy_node = dfp_ros.commands:policy_node',
            'preflight = dfp_ros.commands:preflight',
            'recorder = dfp_ros.commands:recorder',
            'replay = dfp_ros.commands:replay',
            'scripted_operator = dfp_ros.commands:scripted_operator',
            'sim_node = dfp_ros.commands:sim_node',
            'teleop_joy = dfp_ros.commands:teleop_joy',
            'teleop_keyboard = dfp_ros.commands:teleop_keyboard',
            'demo = dfp_ros.commands:demo',
        ],
    },
)
