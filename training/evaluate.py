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
Evaluate a policy in simulation: success rate, return and episode length.

Episode ``i`` has the seed ``seed + i``, which determines it completely: the result does not depend
on the number of environments.
"""

from __future__ import annotations

import argparse
from contextlib import closing, ExitStack
from pathlib import Path
import sys

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.hung_calls import ended_by_interrupts
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.core.text.printable import printable
from dfp_ros.core.text.say import say
from dfp_ros.sim.simulation.render_backend import RenderingError
from dfp_ros.spec_bounds import MOST_NOISE_SCALE
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.files import require_output, write_json
from training.common.provenance import versions
from training.config import ConfigError, COUNTS, NO_ENVIRONMENT
from training.evaluation.environment_fit import require_pictures
from training.evaluation.environments import EnvironmentFailed, start
from training.evaluation.evaluation import acting, evaluate, Evaluation
from training.evaluation.video import Film


def evaluate_file(
        path: Path, episodes: int, seed: int, environments: int = 1,
        environment: str | None = None, candidates: int | None = None,
        noise_scale: float | None = None, discount: float | None = None) -> Evaluation:
    """
    Evaluate a policy file.

    :param path: The ONNX file.
    :param episodes: Number of episodes.
    :param seed: Seed of the first.
    :param environments: Number of parallel environments; does not affect the result.
    :param environment: Another environment than the file's own.
    :param candidates: Another number of candidates than the file's own.
    :param noise_scale: Another noise scale than the file's own.
    :param discount: Another discount than the file's own.
    :raises PolicyError: If the file cannot be run.
    :raises ValueError: If no such environment is registered.
    :raises EnvironmentFailed: If an environment's process dies, or does not respond.
    """
    with ended_by_interrupts():
        policy = OnnxPolicy(path)
    environment = environment or policy.spec.environment
    require_pictures(environment, policy.spec, path)
    started = start(
        environment, min(environments, episodes), policy.spec.provenance, policy.spec.horizon)
    with closing(started):
        return evaluate(
            started, acting(policy), policy.spec, episodes, seed, candidates, noise_scale,
            discount, path.stem)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.evaluate', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('policy', type=user_path, help='policy file')
    made.add_argument('--episodes', type=int, default=100,
                      help='number of episodes (default: %(default)s)')
    made.add_argument('--seed', type=int, default=100_000,
                      help='seed of the first episode (default: %(default)s)')
    made.add_argument('--environment', help="environment (default: the file's own)")
    made.add_argument('--environments', type=int, default=2, metavar='COUNT',
                      help='number of parallel environments (default: %(default)s)')
    made.add_argument('--candidates', type=int, help="N' of best-of-N (default: the file's own)")
    made.add_argument('--noise-scale', type=float, help="noise scale (default: the file's own)")
    made.add_argument('--discount', type=float, help="discount factor (default: the file's own)")
    made.add_argument('--json', type=user_path, help='JSON file for the result')
    made.add_argument('--video', type=user_path, help='GIF file for a video of the first episodes')
    made.add_argument('--video-episodes', type=int, default=1, metavar='COUNT',
                      help='number of episodes in the video (default: %(default)s)')
    return made


def main(arguments: list[str] | None = None) -> int:
    """Evaluate a policy file and print its success rate."""
    made = parser()
    asked = made.parse_args(arguments)
    for name, (least, most) in {
            'episodes': COUNTS['episodes'], 'environments': COUNTS['environments'],
            'candidates': COUNTS['best_of'], 'video_episodes': COUNTS['episodes'],
            'seed': COUNTS['seed']}.items():
        value = getattr(asked, name)
        if value is not None and not least <= value <= most:
            made.error(
                f'--{name.replace("_", "-")}: found {printable(value)}, expected {least} to '
                f'{most}')
    if asked.noise_scale is not None and not 0 <= asked.noise_scale <= MOST_NOISE_SCALE:
        made.error(
            f'--noise-scale: found {asked.noise_scale:g}, expected 0 to {MOST_NOISE_SCALE:g}')
    if asked.discount is not None and not 0 < asked.discount <= 1:
        made.error(f'--discount: found {asked.discount:g}, expected a number within (0, 1]')
    try:
        with ExitStack() as stack:
            film = None
            require_output(asked.json)
            require_output(asked.video)
            # The file may be another one at the end.
            policy = read_policy_file(asked.policy)
            spec = policy.spec
            if (asked.environment or spec.environment) == NO_ENVIRONMENT:
                raise ConfigError(
                    f'{asked.policy}: found environment {NO_ENVIRONMENT!r}, the policy of a robot '
                    'without a simulator; evaluate it on the robot, beside the policy node, with '
                    '`ros2 run dfp_ros evaluate_on_robot --out FILE`, or name a simulated '
                    'environment with --environment')
            if asked.video:
                film = stack.enter_context(
                    closing(Film(asked.video, asked.environment or spec.environment)))
            found = evaluate_file(
                asked.policy, asked.episodes, asked.seed, asked.environments, asked.environment,
                asked.candidates, asked.noise_scale, asked.discount)
            report(asked, found, policy.sha256)
            if film:
                film.write(found.episodes[:asked.video_episodes])
    except (ValueError, EnvironmentFailed, RenderingError, WriteError) as error:
        made.exit(2, f'{error_line(error)}\n')
    except KeyboardInterrupt:
        made.exit(130, 'interrupted; all processes have been stopped\n')
    return 0


def report(asked: argparse.Namespace, found: Evaluation, sha256: str) -> None:
    """
    Print the result, and write it to a file if requested.

    :param sha256: Hash of the policy file that was evaluated.
    """
    low, high = found.interval
    say(f'{asked.policy.name}: {found.success:.1%} of {asked.episodes} episodes solved '
        f'(95 % interval {low:.1%} to {high:.1%}), {found.mean_steps:.1f} steps and a return '
        f'of {found.discounted_return:.2f} an episode, discounted by {found.discount:g}')
    if asked.json:
        write_json(asked.json, {
            'policy': asked.policy.name, 'sha256': sha256,
            'seed': asked.seed, 'candidates': asked.candidates, 'noise_scale': asked.noise_scale,
            'versions': versions(), **found.summary()})


if __name__ == '__main__':
    sys.exit(main())
