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
Learn on a robot: from what a policy node decides, beside it, with policies swapped as it runs.

    python -m training.learn_on_robot runs/clone

The run is a trained one (``training.train``), whose data, networks and optimiser it begins with.
The node has to run a policy exported from it, with ``publish_decisions:=true``. Episodes, policies
and the checkpoint are in the folder ``robot`` of the run; started again, it goes on from there.
Ctrl-C or SIGTERM ends it; the robot goes on in any case.

Exit status: 0 if it has learned from all episodes or transitions that it was asked for, 130 if it
was asked to end, 1 if updates ended because of a fault, 2 if it could not begin or go on.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
import os
from pathlib import Path
import sys

from dfp_ros.core.text.say import say

os.environ.setdefault('MUJOCO_GL', 'disable')  # nothing is drawn

import tyro

from dfp_ros.core.files.user_path import user_path
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.folder_lock import locked, LockedError
from training.learning.trainer import checkpoint, readiness
from training.learning.trainer.log import RunLog
from training.learning.trainer.session import (
    disk_errors,
    Session,
    stop_signals,
    TrainingError,
)
from training.robot.learner import Learner
from training.robot.learner_error import LearnerError
from training.robot.process_priority import step_aside
from training.robot.robot_link import RobotLink
from training.robot.run_state import (
    CHECKPOINT,
    FOLDER,
    make_folders,
    notes_on_data,
    notes_on_rewards,
    open_run,
    require_without_pictures,
)
from training.robot.settings import LearnerSettings

# File in the folder of a run on a robot, locked by the learner that writes to it.
LOCK = '.lock'


@dataclass(frozen=True)
class Command:
    """Command-line arguments."""

    run: tyro.conf.Positional[Path]
    """Folder of the trained run."""
    settings: tyro.conf.OmitArgPrefixes[LearnerSettings]
    out: Path | None = None
    """Folder of what is learned on the robot; by default robot in that of the run."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    try:
        asked = tyro.cli(
            Command, args=arguments, prog='python -m training.learn_on_robot',
            default=Command(tyro.MISSING, LearnerSettings()),
            description=(__doc__ or '').strip().splitlines()[0])
        run = user_path(asked.run)
        out = user_path(asked.out) if asked.out else run / FOLDER
        return learn(run, out, asked.settings)
    except (ValueError, TrainingError, WriteError) as error:
        say(error_line(error), to_errors=True)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        say(error_line(
            f'{error.filename}: found a file or folder that is not as the learner leaves it '
            f'({error.strerror}); move it away, or name another folder with --out'),
            to_errors=True)
        return 2


def _lock(out: Path, stack: ExitStack) -> None:
    """
    Lock the folder until the end.

    :raises LearnerError: If another learner writes to it.
    """
    try:
        stack.enter_context(locked(out / LOCK))
    except LockedError as error:
        raise LearnerError(
            f'{out}: another learner writes to this folder; end that one, or name another '
            'folder with --out') from error


def learn(run: Path, out: Path, settings: LearnerSettings) -> int:
    """
    Learn on a robot.

    :param run: Folder of the trained run.
    :param out: Folder of what is learned on the robot.
    :param settings: Settings of the learner.
    :return: The exit status.
    """
    def tell(text: str) -> None:
        say(error_line(text))

    require_without_pictures(run)
    with stop_signals() as asked, disk_errors(
            out / CHECKPOINT, resume='start again'), ExitStack() as stack:
        tell(f'learner: {step_aside(settings.nice, settings.processors)}')
        link = RobotLink(
            settings.policy_node, settings.marks, settings.node_name, settings.namespace)
        try:
            if rival := link.claim():
                raise LearnerError(
                    f'{link.policy_node}: {rival} learns on this node already; end that one, or '
                    'name another node with --policy-node')
            # A wrong name leaves no folder behind.
            checkpoint.settings(run / CHECKPOINT)
            make_folders(out)
            _lock(out, stack)
            state, episodes = open_run(run, out, settings)
            rewarded = notes_on_rewards(state) if settings.updates_per_step else ()
            for note in (*notes_on_data(state), *rewarded):
                tell(note)
            readiness.require_space(state.agent, state.config, out)
            readiness.require_export(state.agent, state.spec, out)
            with RunLog(out, state.config, state.progress.step) as log, Session(
                    state, out / CHECKPOINT, log, on_robot=True) as session:
                if not state.config.value_weight:
                    tell('value_weight is 0, as in the run: the policy clones the data and what '
                         'the robot does, and climbs no value; set --value-weight')
                learner = Learner(out, state, episodes, settings, link, session, tell)
                learner.catch_up(asked)
                learner.await_node(asked)
                result = learner.run(asked)
        finally:
            link.close()
    tell(f'{out}: {result["episodes"]} episodes, {result["transitions"]} transitions, '
         f'{result["updates"]} updates, {result["swaps"]} swaps, {result["rollbacks"]} rollbacks')
    if learner.failure:
        return 1
    return 130 if asked() else 0


if __name__ == '__main__':
    sys.exit(main())
