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
Convert rosbag2 recordings of a robot to a data file for training.

    python -m training.convert bags/monday --robot config/ur5e_cube.yaml --rate 20 --out data/x.npz
    python -m training.train small-clone --data data/x.npz --run runs/x

The recordings come from ``record.launch.py`` or ``ros2 bag record``. Observations are computed as
by the policy node: at its control steps if its decisions were recorded, otherwise on a regular
grid of the control period. ROS is not needed.

Exit status: 0 if all recordings were converted; 1 if some were unusable and left out, each with
its reason; 2 if nothing was written.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import sys

from dfp_ros.core.control.episode_marks import TOPIC
from dfp_ros.core.description.robot import require_fit
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.hung_calls import ended_by_interrupts
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.text.say import say
from dfp_ros.resources import hash_robot, load_robot, SharedFileError
from dfp_ros.spec import SpecMismatch
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.files import require_output
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.convert import convert, Options
from training.data.transitions import stored
from training.data.transitions.transitions import DataError


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m training.convert', description='Convert recordings to a data file.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('bags', nargs='+', type=user_path, help='rosbag2 folders, or their files')
    add('--robot', required=True,
        help='robot description (.yaml), or the bare name of one in config')
    rate = parser.add_mutually_exclusive_group(required=True)
    rate.add_argument(
        '--policy', type=user_path, help='policy file, for control rate and bounds of actions')
    rate.add_argument('--rate', type=float, help='control rate in Hz; the bounds of actions '
                      'are the `limit` of each command in the robot description, or else its '
                      '`limits`')
    add('--out', type=user_path, required=True, help='data file to write (.npz)')
    add('--action', choices=('sent', 'raw'), default='sent',
        help='the command that was sent, or the output of the policy before any limit')
    add('--ticks', choices=('auto', 'decisions', 'grid'), default='auto',
        help="control steps of the node or of a grid; auto takes the node's if recorded")
    add('--unended', choices=('drop', 'keep'), default='drop',
        help='drop episodes without an end mark, or keep them as not solved')
    add('--namespace', default='', help='namespace of the recorded topics')
    add('--decisions', default='dfp_policy/decision', help='topic of the decisions')
    add('--marks', default=TOPIC, help='topic of the episode marks')
    options = parser.parse_args(arguments)
    if options.rate is not None and not 1 <= options.rate <= 1000:
        parser.error(f'--rate: found {options.rate:g}, expected 1 to 1000 Hz')
    if options.out.suffix != '.npz':
        parser.error(f'--out: found {options.out}, expected a name that ends in .npz')
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    asked = parse(arguments)
    try:
        require_output(asked.out)
        robot, robot_sha256 = load_robot(asked.robot), hash_robot(asked.robot)
        if asked.policy:
            with ended_by_interrupts():
                spec = OnnxPolicy(asked.policy).spec
            require_fit(spec, robot)
            period, layout = spec.period, ActionLayout.of_policy(spec)
        else:
            period, layout = 1 / asked.rate, ActionLayout.of_robot(robot)
        transitions, report = convert(asked.bags, robot, Options(
            period, layout, asked.action, asked.ticks, asked.unended, asked.namespace,
            asked.decisions, asked.marks, asked.out))
    except (DataError, DescriptionError, PolicyError, SharedFileError, SpecMismatch,
            WriteError) as error:
        say(error_line(error), to_errors=True)
        return 2
    source = {**transitions.source, 'robot_sha256': robot_sha256}
    try:
        stored.save(asked.out, replace(transitions, source=source))
    except OSError as error:
        say(error_line(error if isinstance(error, WriteError) else (
            f'{asked.out}: cannot be written: {error}')), to_errors=True)
        return 2
    say('\n'.join(map(error_line, report.lines())))
    for reason in report.refused:
        say(f'left out: {error_line(reason)}', to_errors=True)
    say(f'{asked.out}: {len(transitions)} transitions')
    return 1 if report.refused else 0


if __name__ == '__main__':
    sys.exit(main())
