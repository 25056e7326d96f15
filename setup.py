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
from pathlib import Path

from setuptools import Distribution, find_packages, setup

PACKAGE = 'dfp_ros'
# Of whoever builds it on GitHub; nothing elsewhere.
REPOSITORY = '/'.join(
    os.environ.get(name, '') for name in ('GITHUB_SERVER_URL', 'GITHUB_REPOSITORY')).strip('/')


def files_in(folder: str) -> list[str]:
    return sorted(path for path in glob(f'{folder}/*') if os.path.isfile(path))


class InstallData(Distribution().get_command_class('install_data')):
    """
    Adds the programs that ``ros2 run`` and launch files look for, lib/dfp_ros/NAME, to a wheel.

    They start those that pip makes in bin. colcon has its own way to make them (setup.cfg).
    """

    def run(self):
        super().run()
        if 'bdist_wheel' not in self.distribution.commands:
            return
        folder = Path(self.install_dir, 'lib', PACKAGE)
        folder.mkdir(parents=True, exist_ok=True)
        for entry in self.distribution.entry_points['console_scripts']:
            name = entry.split(' = ')[0]
            program = folder / name
            program.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/../../bin/{name}" "$@"\n')
            program.chmod(0o755)
            self.outfiles.append(str(program))


setup(
    name=PACKAGE,
    version='1.0.0',
    cmdclass={'install_data': InstallData},
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
    # Not rerun-sdk: it asks for NumPy 2, with which messages of ROS 2 Jazzy and older do not work
    # (docs/view.md).
    extras_require={
        'adopt': ['onnx'], 'signatures': ['cryptography'],
        'simulation': ['imageio', 'mujoco', 'ogbench'], 'test': ['pytest'], 'view': ['rich']},
    zip_safe=True,
    author='The dfp_ros authors',
    # Issues are the contact: nobody reads mail at the address of package.xml.
    maintainer='dfp_ros issue tracker',
    maintainer_email='noreply@github.com',
    project_urls={'Issues': f'{REPOSITORY}/issues'} if REPOSITORY else {},
    # No file: colcon's symlinked build has setup.py and the package, not the README.
    long_description=(
        'A ROS 2 lifecycle node that runs a learned policy at a fixed rate on any robot that a '
        'YAML file describes, with its tools and shipped policies. It needs the rclpy of a ROS 2. '
        'docs/installing.md in the repository has the steps.\n'),
    long_description_content_type='text/x-rst',
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
            'view = dfp_ros.commands:view',
            'demo = dfp_ros.commands:demo',
        ],
    },
)
