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
Demo: a policy drives a simulated arm over ROS 2, and the result is reported.

``python -m dfp_ros.sim.demo.main --episodes 10``
``python -m dfp_ros.sim.demo.main --robot lift``
``python -m dfp_ros.sim.demo.main --view rerun``

It starts launch/demo.launch.py, subscribes to the robot's ``episode`` topic and to the policy's
diagnostics, shows them in the terminal while it runs, prints a line per episode and a table,
writes them as JSON, and renders one episode as a GIF. Exit status 0 means that at least 80 % of
the episodes were solved without a crash, or that it was skipped, as its camera cannot be rendered;
1 means that they were not; 2 an invalid command line; 130 an interrupt.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys
import tempfile

from ament_index_python import get_package_prefix, PackageNotFoundError

from dfp_ros.core.files.replaceable import require_writable
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.say import say
from dfp_ros.node.ros.dds_transport import choose_transport
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.sim.demo.report import Report
from dfp_ros.sim.demo.run import Options, run
from dfp_ros.sim.demo.signals import Interrupted, Signals
from dfp_ros.sim.simulation.picture_names import VISUAL
from dfp_ros.sim.simulation.render_backend import choose_backend, RenderingError
from dfp_ros.tools.view.rerun_stream import (
    check_file,
    has_display,
    NO_DISPLAY,
    require_rerun,
    ViewError,
)
from dfp_ros.tools.view.terminal import why_no_terminal

# Longest time limit in s, a week.
_LONGEST = 604_800

GIF_SIZE = (320, 240)
VIEWS = ('auto', 'terminal', 'lines', 'rerun')
# Shipped policy, description and environment of each robot.
ROBOTS = {
    'cube': ('cube_single', 'ur5e_cube', 'cube-single-singletask-task2-v0'),
    'visual': ('cube_visual', 'ur5e_cube_visual', 'visual-cube-single-singletask-task2-v0'),
    'play': ('cube_play', 'ur5e_cube', 'cube-single-singletask-task2-v0'),
    'scene': ('scene', 'ur5e_scene', 'scene-singletask-task2-v0'),
    'lift': ('lift', 'panda_lift', 'lift-mh-low_dim'),
    'joint': ('lift_joint', 'panda_joint', 'lift-joint-low_dim')}


def draw(folder: Path, path: Path, signals: Signals, report: Report) -> str:
    """
    Render the first solved episode.

    :param folder: Folder with the recorded episodes.
    :return: Message: the path of the GIF, or the reason for its absence.
    :raises Interrupted: If a signal arrived.
    """
    from dfp_ros.sim.simulation.episode_file import load
    from dfp_ros.sim.simulation.rendering import FrameServer, write_gif

    chosen = next((episode for episode in report.episodes if episode.success), None)
    if chosen is None:
        return 'no GIF: no episode was solved'
    try:
        recording = load(folder / f'episode_{chosen.seed}.npz')
    except OSError as error:
        return f'no GIF: the recording of the episode cannot be read: {error.strerror}'
    try:
        server = FrameServer(recording.environment, *GIF_SIZE)
        try:
            frames = []
            for picture in (*recording.pictures[:-1:2], recording.pictures[-1]):
                signals.check()
                frames.append(server.draw(picture))
        finally:
            server.close()
        try:
            write_gif(path, frames, 1 / (2 * recording.period))
        except OSError as error:
            return f'no GIF: {path} cannot be written: {error.strerror}'
    except RenderingError as error:
        return f'no GIF: {error}'
    return f'GIF of the episode with seed {chosen.seed}: {path}'


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='demo', description='A policy drives a simulated arm over ROS 2.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--episodes', type=int, default=10, help='number of episodes')
    add('--seed', type=int, default=0, help='seed of the first episode; each further one adds 1')
    add('--robot', choices=ROBOTS, default='cube',
        help="simulated robot: OGBench's arm that moves a cube, the same with the policy learned "
             "from play and on the robot, or with one that sees a picture in place of the cube's "
             'pose, the same arm that closes and locks a drawer and a window, '
             "robosuite's arm that lifts a cube, or the latter with joint commands")
    add('--policy', help='policy file, or the name of one in models; by default that of the robot')
    add('--real-time-factor', type=float, default=1.0,
        help='ratio of simulated time to wall time')
    add('--json', type=user_path, default=Path('results/demo.json'),
        help='file for the measurements')
    add('--gif', type=user_path, default=Path('results/demo.gif'), help='file for the animation')
    add('--no-gif', action='store_true', help='make no animation')
    add('--timeout', type=float, default=0.0, help='time limit in seconds; 0 chooses one')
    add('--verbose', action='store_true', help='show the output of the nodes')
    add('--view', choices=VIEWS, default='auto',
        help='terminal: state, commander, times, reasons and commands, in the terminal; lines: '
             'a line per episode; rerun: robot, actions, candidates and reasons, in Rerun; auto: '
             'terminal if there is one that can show it, else lines')
    add('--save', type=user_path, metavar='FILE.rrd',
        help='with --view rerun: write it to this file, in place of starting the viewer')
    options = parser.parse_args(arguments)
    options.policy = options.policy or ROBOTS[options.robot][0]
    why = 'of --verbose' if options.verbose else why_no_terminal(sys.stdout)
    if options.view == 'terminal' and why:
        parser.error(f'--view terminal: {why}; --view lines needs none of it')
    options.draws = options.view != 'lines' and not why
    if options.save and options.view != 'rerun':
        parser.error('--save: is for --view rerun')
    options.rerun = ()
    if options.view == 'rerun':
        try:
            require_rerun()
            if options.save:
                check_file(options.save, force=True)
            elif not has_display():
                raise ViewError(NO_DISPLAY)
        except ViewError as error:
            parser.error(f'--view rerun: {error}')
        options.rerun = ('--save', str(options.save), '--force') if options.save else ('--rerun',)
    if options.episodes < 1:
        parser.error(f'--episodes: found {options.episodes}, expected at least 1')
    if not 0.01 <= options.real_time_factor <= 10:
        parser.error(
            f'--real-time-factor: found {options.real_time_factor:g}, expected 0.01 to 10')
    if not 0 <= options.timeout <= _LONGEST:
        parser.error(f'--timeout: found {options.timeout:g}, expected 0 to {_LONGEST:g} s')
    if options.seed < 0:
        parser.error(f'--seed: found {options.seed}, expected 0 or more')
    for name in ('json',) if options.no_gif else ('json', 'gif'):
        try:
            require_writable(getattr(options, name))
        except OSError as error:
            parser.error(
                f'--{name}: {error.filename} cannot be written: {error.strerror}')
    return options


def main(arguments: list[str] | None = None) -> int:
    """
    Run the demo.

    :return: Exit status; see the module's docstring.
    """
    options = parse(arguments)
    try:
        get_package_prefix('dfp_ros')
    except (PackageNotFoundError, OSError):
        say('demo: the package dfp_ros is not found: it is not built, or this shell lacks its '
            'environment; run `make demo`, or first `. env/setup.bash` (with your own ROS 2: '
            '`colcon build`, then `. install/setup.bash`)', to_errors=True)
        return 2
    if ROBOTS[options.robot][2].startswith(VISUAL):
        try:
            choose_backend()
        except RenderingError as error:
            say(f'demo: skipped: the camera of the simulated robot cannot be rendered: {error}')
            return 0
    signals = Signals()
    report = Report(options.episodes)
    own = 'ROS_DOMAIN_ID' not in os.environ
    if own:
        os.environ['ROS_DOMAIN_ID'] = str(free_domain())
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    choose_transport()
    say(f'{options.episodes} episodes of policy {options.policy}, '
        f'ROS_DOMAIN_ID {os.environ["ROS_DOMAIN_ID"]}; starting the nodes')
    with tempfile.TemporaryDirectory(prefix='dfp_demo_') as name:
        folder = Path(name)
        try:
            run(Options(
                options.episodes, options.seed, options.policy, *ROBOTS[options.robot][1:],
                options.real_time_factor, options.timeout, options.verbose, options.draws,
                options.rerun), signals, report, folder)
            say(f'\n{report.table()}\n')
            for note in report.notes:
                say(f'view: {note}')
            try:
                report.write(options.json)
            except OSError as error:
                report.problems.append(
                    f'{options.json} cannot be written: {error.strerror}; the table above has the '
                    'measurements')
            else:
                say(f'measurements: {options.json}')
            if not options.no_gif:
                say(draw(folder / 'episodes', options.gif, signals, report))
        except Interrupted:
            say('interrupted; all processes have been stopped', to_errors=True)
            return 128 + signals.received
    for problem in report.problems:
        say(problem, to_errors=True)
    say('passed' if report.passed else
        f'FAILED: {report.solved} of {report.asked} episodes solved, 80 % are required'
        if not report.problems else 'FAILED')
    return 0 if report.passed else 1


if __name__ == '__main__':
    sys.exit(main())
