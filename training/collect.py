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
Collect demonstrations with scripted operators, as a training file and a validation file.

    python -m training.collect --scene scene --kind play --episodes 1000
    python -m training.collect --scene lift --episodes 200

Robomimic's scenes, lift and can, give one file with both parts. The same command again resumes an
interrupted collection, or finds it finished. The same seed gives the same files for any number of
workers. A simulator is imported only if one of its scenes is requested.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.printable import printable
from dfp_ros.sim.simulation.render_backend import choose_backend, RenderingError
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.config import COUNTS
from training.data.collection.engine import Budget, collect, CollectionError, Recipe
from training.data.formats.ogbench.scenes import SCENES


def _ogbench(asked: argparse.Namespace) -> Recipe:
    if asked.kind == 'joint':
        raise CollectionError(
            f'--kind: found joint, expected play, noisy or demo: {asked.scene} has end-effector '
            'control')
    if asked.failures and asked.kind != 'demo':
        raise CollectionError(
            f'--failures: found with --kind {asked.kind}, expected with demo: {asked.kind} data '
            'have no task to fail at, and contain everything')
    from training.data.collection import ogbench as collect_ogbench
    return collect_ogbench.Recipe(
        asked.scene, asked.kind, asked.task, asked.seed, failures=asked.failures,
        visual=asked.visual)


def _robosuite(asked: argparse.Namespace) -> Recipe:
    if asked.kind not in ('demo', 'joint'):
        raise CollectionError(
            f'--kind: found {asked.kind}, expected demo or joint: {asked.scene} has only '
            'demonstrations')
    if asked.visual:
        raise CollectionError(
            f"--visual: found with {asked.scene}, expected one of OGBench's scenes: "
            f'{", ".join(SCENES)}')
    if asked.val_episodes:
        raise CollectionError(
            f'--val-episodes: found {asked.val_episodes}, expected none: the file of '
            f'{asked.scene} contains a validation split, a tenth of its episodes')
    from training.data.collection import robosuite as collect_robosuite
    kind = 'joint' if asked.kind == 'joint' else 'mh'
    return collect_robosuite.Recipe(asked.scene, asked.seed, kind, asked.failures)


# Recipe factory by scene; another simulator adds its own.
RECIPES = {**dict.fromkeys(SCENES, _ogbench), **dict.fromkeys(('lift', 'can'), _robosuite)}
KINDS = ('play', 'noisy', 'demo', 'joint')
# Beyond the numbers of training episodes, however many of those fail and are replaced.
FIRST_VALIDATION = 10_000_000
EPISODES = 400


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.collect', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--scene', choices=RECIPES, default='cube-single',
                      help='environment (default: %(default)s)')
    made.add_argument('--kind', choices=KINDS, default='demo',
                      help='recipe; joint: demonstrations of lift or can with joint targets '
                      '(default: %(default)s)')
    made.add_argument('--failures', action='store_true',
                      help='keep failed demonstrations too, up to the time limit')
    made.add_argument('--visual', action='store_true',
                      help="pictures of 64 x 64 in place of states, as in OGBench's visual data "
                      'sets; drawn without a window, a tenth of a second each on a CPU')
    made.add_argument('--task', type=int, choices=range(1, 6), default=2,
                      help='task number of OGBench demonstrations (default: %(default)s)')
    made.add_argument('--episodes', type=int,
                      help=f'training episodes (default: {EPISODES})')
    made.add_argument('--hours', type=float,
                      help='collect for this time instead; the file then depends on the machine')
    made.add_argument('--val-episodes', type=int, default=None,
                      help='validation episodes (default: a tenth of the training episodes)')
    made.add_argument('--seed', type=int, default=0, help='random seed (default: %(default)s)')
    made.add_argument('--workers', type=int, default=2,
                      help='number of processes (default: %(default)s)')
    made.add_argument('--out', type=user_path, default=Path('data'),
                      help='folder to write to (default: %(default)s)')
    return made


def _choose_renderer(visual: bool) -> None:
    """
    Choose how MuJoCo draws in the worker processes, which inherit it, before it is imported.

    :raises CollectionError: If pictures are wanted and cannot be drawn.
    """
    if not visual:
        os.environ.setdefault('MUJOCO_GL', 'disable')
        return
    try:
        os.environ['MUJOCO_GL'] = os.environ['PYOPENGL_PLATFORM'] = choose_backend()
    except RenderingError as error:
        raise CollectionError(f'--visual: {error}') from error


def main(arguments: list[str] | None = None) -> int:
    """Collect a training and a validation file."""
    made = parser()
    asked = made.parse_args(arguments)
    if asked.episodes and asked.hours:
        made.error('--hours: found --episodes too, expected one of them')
    for name, (least, most) in {
            'episodes': COUNTS['episodes'], 'val_episodes': COUNTS['episodes'],
            'workers': COUNTS['environments'], 'seed': COUNTS['seed']}.items():
        value = getattr(asked, name)
        if value is not None and not least <= value <= most:
            made.error(
                f'--{name.replace("_", "-")}: found {printable(value)}, expected {least} to '
                f'{most}')
    if asked.hours is not None and not 0 < asked.hours < float('inf'):
        made.error(f'--hours: found {asked.hours:g}, expected more than 0')
    budget = Budget(hours=asked.hours) if asked.hours else Budget(asked.episodes or EPISODES)
    try:
        _choose_renderer(asked.visual)
        recipe = RECIPES[asked.scene](asked)
        file = asked.out / f'{recipe.name}{recipe.suffix}'
        count = collect(recipe, file, budget, 0, asked.workers)
        if not recipe.parted:
            validation = Budget(asked.val_episodes or max(1, count // 10))
            collect(
                recipe, file.with_stem(f'{file.stem}-val'), validation, FIRST_VALIDATION,
                asked.workers)
    except WriteError as error:
        made.exit(
            2, f'{error_line(error)}. Finished episodes are kept: the same command resumes\n')
    except CollectionError as error:
        made.exit(2, f'{error_line(error)}\n')
    except KeyboardInterrupt:
        made.exit(130, 'stopped; finished episodes are kept, the same command resumes\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
