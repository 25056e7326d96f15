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
Learning on the simulated arm, over ROS and in real time, from a weak policy on.

``python -m training.learn_demo``

Play of the arm is collected and cloned for some minutes, if that was not done before. Then the
clone drives the arm while a learner beside it improves it, and swaps the policies between
episodes. At the end there are a table, a JSON file, a picture of success over time, and the policy
files before and after.

Exit status: 0 if no process failed, no tick was missed and no command was beyond its limits; 1
otherwise; 2 for an invalid command line or a failed preparation; 130 if interrupted before the
session.
"""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import shlex
import shutil
import sys

from dfp_ros.core.text.say import say

os.environ.setdefault('MUJOCO_GL', 'disable')  # nothing is drawn

from ament_index_python import get_package_prefix, PackageNotFoundError
import tyro

from dfp_ros.core.files.user_path import user_path
from dfp_ros.node.ros.dds_transport import choose_transport
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.sim.demo.listener import find_another_robot
from dfp_ros.sim.demo.signals import Interrupted, Signals
from training.common.disk import make_folder, WriteError
from training.common.error_line import error_line
from training.common.files import atomic_path
from training.config import ConfigError
from training.demo.preparation import PreparationError, prepare
from training.demo.result import read_result
from training.demo.session import run_session

# Arguments of the learner, chosen by the measurements in docs/learning-on-the-robot.md.
WORDS = (
    '--start', '200', '--updates-per-step', '1', '--most-behind', '500', '--swap-every', '1000')
# First seed of the robot's episodes for each seed of the demo; those of evaluations are others.
_SEEDS = 10_000


@dataclass(frozen=True)
class Command:
    """Command-line arguments."""

    seed: int = 0
    """Seed of the clone and of the robot's episodes."""
    minutes: float = 15.0
    """Wall-clock time of learning on the robot."""
    data: Path = Path('data/cube-single-play-v0.npz')
    """Data of play; collected if the file does not exist."""
    episodes: int = 250
    """Episodes of play to collect."""
    runs: Path = Path('runs')
    """Folder of runs."""
    out: Path = Path('results/learn')
    """Folder for the results; learning goes on with what is there."""
    learner: str = ''
    """Further arguments of the learner, such as '--swap in_flight'."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low, high in (
                ('seed', 0, 10_000), ('minutes', 0.05, 10_000), ('episodes', 1, 100_000)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f'{name}: found {value:g}, expected {low:g} to {high:g}')


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    try:
        asked = tyro.cli(
            Command, args=arguments, prog='python -m training.learn_demo',
            description=(__doc__ or '').strip().splitlines()[0])
        get_package_prefix('dfp_ros')
    except (PackageNotFoundError, OSError):
        say('learn_demo: the package dfp_ros is not found: it is not built, or this shell lacks '
            'its environment; run `make learn`, or first `. env/setup.bash`', to_errors=True)
        return 2
    signals = Signals()
    try:
        return learn(asked, signals)
    except (PreparationError, WriteError, ValueError) as error:
        say(error_line(error), to_errors=True)
        return 2
    except Interrupted:
        say('interrupted; what is there is gone on with the next time', to_errors=True)
        return 128 + signals.received


def learn(asked: Command, signals: Signals) -> int:
    """
    Prepare, learn, and write the results.

    :return: The exit status.
    """
    if 'ROS_DOMAIN_ID' not in os.environ:
        os.environ['ROS_DOMAIN_ID'] = str(free_domain())
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    choose_transport()
    if others := find_another_robot():
        raise PreparationError(others)
    clone = prepare(
        user_path(asked.data), user_path(asked.runs), asked.episodes, asked.seed, signals)
    out = user_path(asked.out)
    make_folder(out)
    say(f'{asked.minutes:g} min of learning on the simulated arm, results in {out}; Ctrl-C ends '
        'it early')
    witness, problems = run_session(
        clone, out, asked.minutes, _SEEDS * (1 + asked.seed),
        [*WORDS, *shlex.split(asked.learner)], signals)
    result = read_result(out, asked.seed, witness, problems)
    say(f'\n{result.table()}\n')
    result.write(out / 'learn.json')
    result.draw(out / 'learn.png')
    for name, source in (('before', clone.policy), ('after', result.policy(out, clone.policy))):
        with atomic_path(out / f'{name}.onnx') as partial:
            shutil.copyfile(source, partial)
    say(f'measurements: {out / "learn.json"}, picture: {out / "learn.png"}')
    for problem in problems:
        say(problem, to_errors=True)
    return 1 if problems or result.missed[0] or witness.beyond else 0


if __name__ == '__main__':
    sys.exit(main())
