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
from dfp_ros.core.files.digest import sha256
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.say import say
from dfp_ros.sim.demo.signals import Signals
from training.learning.precision import faster
from training.learning.trainer.checkpoint import load_agent
from training.robot.run_state import CHECKPOINT

ENVIRONMENT = 'cube-single-singletask-task2-v0'
ROBOT = 'ur5e_cube'
# Settings of the clone: cloning alone, with the settings that go on on the robot.
PRESET = 'learn-clone'
#: Name of the file that is collected.
COLLECTED = 'cube-single-play-v0.npz'
#: Folder of the shipped clone, which has the checkpoint and the policy file.
SHIPPED = Path(__file__).parents[2] / 'models' / 'learn_clone'
_POLICY = 'policy.onnx'
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

    If the shipped clone is of these data and this seed, it is taken.

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
        say(f'{data}: no data yet; {episodes} episodes of play are collected')
        _call(signals, 'training.collect', '--kind', 'play', '--episodes', str(episodes),
              '--val-episodes', '1', '--out', str(data.parent))
    run = runs / f'learn_clone_{seed}'
    policy = run / _POLICY
    if policy.exists():
        _require_data(run, data)
    else:
        signals.check()
        if reason := reason_to_clone(data, seed):
            say(f'{SHIPPED.name}, the shipped clone, is not taken: {reason}')
        else:
            say(f'the shipped clone of these data is taken: {SHIPPED}')
            return Clone(SHIPPED, SHIPPED / _POLICY)
        say(f'{run}: a weak policy is cloned from {data}')
        resume = ['--resume'] if (run / 'checkpoint.pt').exists() else []
        _call(signals, 'training.train', PRESET, '--data', str(data), '--seed', str(seed),
              '--run', str(run), *resume)
        _call(signals, 'training.export', str(run), '--out', str(policy))
    return Clone(run, policy)


def reason_to_clone(data: Path, seed: int) -> str:
    """
    Find why the shipped clone cannot be taken.

    :param data: The data of play, which the learner needs, too.
    :param seed: Seed of the clone.
    :return: Empty if it can.
    :raises CheckpointError: If its checkpoint is damaged.
    """
    if not SHIPPED.is_dir():
        return f'found no folder {SHIPPED}'
    _, config, spec, _ = load_agent(SHIPPED / CHECKPOINT)
    if config.seed != seed:
        return f'its seed is {config.seed}, this one is {seed}'
    trained, found = spec.provenance['data']['sha256'], sha256(data)
    if trained != found:
        return (
            f'its data have the hash {trained[:12]}, {data} has {found[:12]} (other versions or '
            'another processor collect other digits)')
    if user_path(Path(config.data)).resolve() != data.resolve():
        return f'its data are read from {config.data}, these are {data}'
    # Some processors have bfloat16 by emulation only.
    if config.precision == 'bf16' and faster(config)[0] != 'bf16':
        return 'its updates are in bfloat16, which is not the faster one here'
    return ''


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
