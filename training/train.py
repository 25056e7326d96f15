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
Train a Drifting Field Policy from a data file.

    python -m training.train small-clone --run runs/clone

Every setting of the preset can be overridden on the command line; ``--help`` after the preset's
name lists them. Ctrl-C or SIGTERM writes a checkpoint and ends; ``--resume`` continues from it.
Several processes share the batches if started by torchrun:

    torchrun --standalone --nproc-per-node 2 -m -- training.train small-clone --run runs/shared
"""

from __future__ import annotations

import os
from pathlib import Path
import sys

from dfp_ros.core.text.say import say

os.environ.setdefault('MUJOCO_GL', 'disable')  # nothing is drawn
if __package__ in (None, ''):
    # Run as a file: imports start from the checkout, not from training/.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dataclasses import dataclass

import tyro

from dfp_ros.core.files.user_path import user_path
from training.common.error_line import error_line
from training.config import TrainConfig
from training.evaluation.environment_fit import choose_environment
from training.learning import distributed
from training.learning.trainer.run import train
from training.learning.trainer.session import (
    TrainingError,
)
from training.presets import PRESETS, require_preset


@dataclass(frozen=True)
class Command:
    """Command-line arguments."""

    run: Path
    """Folder of the run: settings, logs, checkpoint, evaluations."""
    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    resume: bool = False
    """Resume from the run's checkpoint; with more --steps, extend the run."""
    init_from: Path | None = None
    """Initialise the networks from another run: its folder, or its checkpoint."""
    until: int | None = None
    """Stop after this number of updates, with a checkpoint; schedules are those of the whole run,
    and --resume continues it."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    words = sys.argv[1:] if arguments is None else arguments
    presets = {
        name: (f'{text}.', Command(tyro.MISSING, config))
        for name, (text, config) in PRESETS.items()}
    try:
        if words and not words[0].startswith('-'):
            # tyro takes both - and _, and would list all presets without the nearest.
            require_preset(words[0].replace('_', '-'))
        asked = tyro.extras.overridable_config_cli(
            presets, args=arguments, prog='python -m training.train',
            description=(__doc__ or '').strip().splitlines()[0])
        config, note = asked.config, ''
        if not _names_environment(words):
            config, note = choose_environment(config)
        run = user_path(asked.run)
        with distributed.group(config.device):
            first = distributed.own() == 0
            if note and first:
                say(note, to_errors=True)
            progress = train(
                run, config, asked.resume,
                user_path(asked.init_from) if asked.init_from else None, asked.until)
    except (ValueError, TrainingError) as error:
        say(error_line(error), to_errors=True)
        return 2
    done = progress.step == config.updates
    if asked.until is not None and progress.step >= asked.until:
        done = True
    if not first:
        return 0 if done else 130
    say(f'{run}: {progress.step} of {config.updates} updates'
        + ('' if done else '; stopped, continue with --resume'))
    return 0 if done else 130


def _names_environment(arguments: list[str]) -> bool:
    """Tell whether a command line names the environment."""
    return any(word.partition('=')[0] == '--environment' for word in arguments)


if __name__ == '__main__':
    sys.exit(main())
