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
"""What the demo of learning on a robot begins with: data of play, and a weak clone of them."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
import subprocess
import sys

from dfp_ros.core.files.bounded_file import LARGEST_TEXT, read_regular
from dfp_ros.sim.demo.signals import Signals

ENVIRONMENT = 'cube-single-singletask-task2-v0'
ROBOT = 'ur5e_cube'
# Settings of the clone: cloning alone, with the settings that go on on the robot.
PRESET = 'learn-clone'
#: Name of the file that is collected.
COLLECTED = 'cube-single-play-v0.npz'
_BEAT = 0.2


class PreparationError(RuntimeError):
    """A command of the preparation failed."""


@dataclass(frozen=True)
class Clone:
    """
    A trained clone.

    :param run: Folder of its run, with the checkpoint that the learner begins with.
    :param policy: Its policy file.
    """

    run: Path
    policy: Path


def prepare(data: Path, runs: Path, episodes: int, seed: int, signals: Signals) -> Clone:
    """
    Collect data of play, clone them and export the clone; each only if it is not there yet.

    :param data: The data file; collected if it does not exist.
    :param runs: Folder of runs.
    :param episodes: Episodes of play, of 1000 steps, to collect.
    :param seed: Seed of the clone.
    :raises PreparationError: If a command fails.
    :raises Interrupted: If a signal arrived; what is there is gone on with the next time.
    """
    if not data.exists() and data.name != COLLECTED:
        raise PreparationError(
            f'{data}: found no data there; what is collected is called {COLLECTED}: name it so in '
            'a folder of your choice, or correct the name')
    if not data.exists():
        print(f'{data}: no data yet; {episodes} episodes of play are collected', flush=True)
        _call(signals, 'training.collect', '--kind', 'play', '--episodes', str(episodes),
              '--val-episodes', '1', '--out', str(data.parent))
    run = runs / f'learn_clone_{seed}'
    policy = run / 'policy.onnx'
    if policy.exists():
        _require_data(run, data)
    else:
        print(f'{run}: a weak policy is cloned from {data}', flush=True)
        resume = ['--resume'] if (run / 'checkpoint.pt').exists() else []
        _call(signals, 'training.train', PRESET, '--data', str(data), '--seed', str(seed),
              '--run', str(run), *resume)
        _call(signals, 'training.export', str(run), '--out', str(policy))
    return Clone(run, policy)


def _require_data(run: Path, data: Path) -> None:
    """Require that a clone that is there is of the data that are asked for."""
    try:
        found = json.loads(read_regular(run / 'config.json', LARGEST_TEXT))['data']
        theirs = Path(found)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PreparationError(
            f'{run}: found a policy, but no settings of its run ({str(error)[:200]}); move the '
            'folder away, or name another one with --runs') from error
    if theirs.resolve() != data.resolve():
        raise PreparationError(
            f'{run}: found a clone of {theirs}, asked for one of {data}; name another folder with '
            '--runs, or the data of the clone with --data')


def _call(signals: Signals, module: str, *words: str) -> None:
    """Run a command of this package, with its output on the terminal."""
    with subprocess.Popen([sys.executable, '-m', module, *words]) as process:
        try:
            while process.poll() is None:
                try:
                    process.wait(_BEAT)
                except subprocess.TimeoutExpired:
                    signals.check()
        finally:
            if process.poll() is None:
                process.terminate()
    if process.returncode:
        raise PreparationError(
            f'python -m {module} {" ".join(words)}: found exit status {process.returncode}, '
            'expected 0; its output is above')
