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
Hyperparameter sweep: train a preset with several seeds, policies, environments or settings.

    python -m training.sweep cpu --run-folder runs/compare --policies dfp fql --seeds 0 1 2
    python -m training.sweep cpu --run-folder runs/widths --vary bandwidths 0.05 0.2 0.05,0.2

Each run is a run of ``training.train`` in a separate process. The same command again resumes the
sweep: finished runs are skipped, others continue from their checkpoints. Runs are Ray tasks
(``make sweep-env`` installs Ray); ``--local`` uses local processes instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
import os
from pathlib import Path
import sys

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.printable import printable
from dfp_ros.core.text.say import say
from training.common.error_line import error_line
from training.config import ConfigError, COUNTS, TrainConfig
from training.evaluation.environment_fit import choose_environment
from training.learning.sweeps.plan import changed, Choice, choices, environments, plan, PlannedRun
from training.learning.sweeps.table import markdown, mixed_data, table, write
from training.learning.sweeps.workers import (
    carry_out,
    LocalProcesses,
    ray_tasks,
    reason,
    STOPPED,
    Workers,
)
from training.learning.trainer.session import stop_signals, TrainingError
from training.presets import PRESETS, require_preset


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.sweep', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('preset', metavar='PRESET',
                      help=f'settings that all runs share: {", ".join(PRESETS)}')
    made.add_argument('--run-folder', type=user_path, required=True,
                      help="the sweep's folder: one folder per run, and the table")
    made.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], metavar='SEED',
                      help='random seeds, one run each (default: 0 1 2)')
    made.add_argument('--policies', nargs='+', metavar='POLICY',
                      help='dfp flow fql meanflow driftql')
    made.add_argument('--environments', nargs='+', metavar='ENVIRONMENT[=DATA]',
                      help="environments, each with a data file if it is not the preset's")
    made.add_argument('--vary', nargs='+', action='append', default=[], metavar='WORD',
                      help='a setting and its values: --vary bandwidths 0.05 0.05,0.5; repeat it '
                           'for several settings')
    made.add_argument('--set', nargs='+', default=[], metavar='NAME=VALUE',
                      help='settings that all runs share: --set steps=3000 episodes=20')
    made.add_argument('--parallel', type=int, default=1, metavar='RUNS',
                      help='number of concurrent runs (default: %(default)s)')
    where = made.add_mutually_exclusive_group()
    where.add_argument('--local', action='store_true',
                       help='processes on this machine instead of Ray')
    where.add_argument('--address', help='address of a running Ray cluster, or auto')
    made.add_argument('--list', action='store_true', help='only print the runs')
    return made


def planned(asked: argparse.Namespace) -> list[PlannedRun]:
    """
    Plan the runs of the command line.

    :raises ConfigError: If the command line is invalid.
    """
    require_preset(asked.preset)
    base = PRESETS[asked.preset][1]
    shared: dict[str, Sequence[str]] = {}
    for word in asked.set:
        name, equals, value = word.partition('=')
        if not equals:
            raise ConfigError(f'--set: found {word!r}, expected NAME=VALUE')
        name = _name(name)
        if name in shared:
            raise ConfigError(
                f'--set: found {name} twice, expected each setting once; --vary takes several '
                'values')
        shared.update(choices(base, name, [value])[0].changes)
    base = changed(base, shared)
    if not (asked.environments or 'environment' in shared or any(
            _name(name) == 'environment' for name, *_ in asked.vary)):
        base, note = choose_environment(base)
        if note:
            say(error_line(note), to_errors=True)
    if not base.threads:
        # Concurrent runs share the CPUs evenly; by default PyTorch would use all for each.
        threads = max(1, (os.cpu_count() or 1) // asked.parallel)
        base = changed(base, {'threads': [str(threads)]})
    return plan(base, axes(asked, base), asked.seeds)


def axes(asked: argparse.Namespace, base: TrainConfig) -> dict[str, Sequence[Choice]]:
    """List the values of each varied setting."""
    found: dict[str, Sequence[Choice]] = {}
    if asked.policies:
        found['policy'] = choices(base, 'policy', asked.policies)
    if asked.environments:
        found['environment'] = environments(asked.environments)
    for name, *words in asked.vary:
        name = _name(name)
        if not words:
            raise ConfigError(f'--vary {name}: found no values, expected some after the name')
        if name == 'seed' or name in found:
            raise ConfigError(f'--vary {name}: this setting varies already')
        found[name] = choices(base, name, words)
    return found


def _name(word: str) -> str:
    return word.lstrip('-').replace('-', '_')


def sweep(runs: Sequence[PlannedRun], asked: argparse.Namespace) -> int:
    """
    Execute the unfinished runs, and write the table.

    :param runs: The plan.
    :param asked: The command line.
    :return: 0 if all are finished, 130 if a signal ended the sweep, else 1.
    """
    folder: Path = asked.run_folder
    left = [run for run in runs if not run.finished(folder)]
    say(f'{folder}: {len(runs)} runs, {len(runs) - len(left)} of them finished already')
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        workers: Workers = LocalProcesses(folder)
        if left and not asked.local:
            threads = max(run.config.threads for run in left)
            workers = stack.enter_context(
                ray_tasks(folder, asked.parallel * threads, asked.address))
        stopped = stack.enter_context(stop_signals())
        done = carry_out(left, workers, asked.parallel, stopped)
        for number, (run, code) in enumerate(done, 1):
            if code not in (0, STOPPED) and not stopped():
                failed[run.name] = (
                    f'killed by signal {-code}' if code < 0 else reason(folder / run.name))
            said = failed.get(run.name, 'stopped' if code else 'finished')
            say(f'[{number} of {len(left)}] {run.name}: {said}')
        ended = stopped()
    rows = table(runs, folder)
    write(rows, folder)
    say(f'\n{markdown(rows)}')
    for line in mixed_data(runs, folder):
        say(f'warning: {error_line(line)}', to_errors=True)
    for name, why in failed.items():
        say(f'{error_line(folder / name)}: failed: {error_line(why)}', to_errors=True)
    if all(run.finished(folder) for run in runs):
        return 0
    say('unfinished; the same command resumes the sweep', to_errors=True)
    return STOPPED if ended else 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    made = parser()
    asked = made.parse_args(arguments)
    least, most = COUNTS['environments']
    if not least <= asked.parallel <= most:
        made.error(
            f'--parallel: found {printable(asked.parallel)}, expected {least} to {most}')
    try:
        runs = planned(asked)
        if asked.run_folder.exists() and not asked.run_folder.is_dir():
            raise ConfigError(
                f'--run-folder {asked.run_folder}: found a file, expected a folder or a new name')
        if asked.list:
            for run in runs:
                say(f'{run.name}: {"finished" if run.finished(asked.run_folder) else "to do"}')
            return 0
        return sweep(runs, asked)
    except (ValueError, TrainingError, OSError) as error:
        say(error_line(error), to_errors=True)
        return 2


if __name__ == '__main__':
    sys.exit(main())
