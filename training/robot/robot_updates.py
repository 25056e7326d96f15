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
"""Updates of the networks from the transitions of a robot, as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from training.learning.trainer.checkpoint import RunState
from training.learning.trainer.session import Session, TrainingError
from training.robot.live_episodes import Row
from training.robot.run_state import RunFolder
from training.robot.settings import LearnerSettings


class RobotUpdates:
    """
    Adds transitions to the buffer, makes their updates, and writes the checkpoint.

    :param state: The run.
    :param settings: Settings of the learner.
    :param session: Makes the updates.
    :param folder: Folder of the run on the robot.
    :param say: Prints a line.

    :ivar failure: Why there are no more updates; empty while there are.
    :ivar skipped: Transitions that are in the buffer without updates of their own.
    """

    def __init__(
            self, state: RunState, settings: LearnerSettings, session: Session,
            folder: RunFolder, say: Callable[[str], None]) -> None:
        """Have everything saved."""
        self._state, self._settings, self._session = state, settings, session
        self._folder, self._say = folder, say
        self.failure = ''
        self.skipped = 0
        self._saved_at = state.progress.step

    @property
    def count(self) -> int:
        """Return the number of updates on the robot, those of earlier sessions included."""
        return self._state.progress.step - self._state.config.steps

    def catch_up(self, rows: Iterable[tuple[Row, int]], stop: Callable[[], bool]) -> int:
        """
        Learn from what earlier sessions left, until there are enough transitions, or it is to end.

        :param rows: See :meth:`training.robot.episode_files.EpisodeFiles.rows_from`.
        :param stop: Whether the process was asked to end.
        :return: Number of transitions that it has learned from.
        :raises LearnerError: If the folder is not the one of the beginning.
        """
        count, progress = 0, self._state.progress
        for row, lost in rows:
            if stop() or self._has_enough:
                # The next session goes on with this one.
                break
            if lost:
                self._state.buffer.end_episode()
                # Their numbers are not given a second time.
                progress.environment_steps = min(
                    progress.environment_steps + lost, self._settings.steps)
                if self._has_enough:
                    break
            self.learn(row)
            count += 1
        else:
            self._state.buffer.end_episode()
        if count:
            self.save()
        return count

    @property
    def _has_enough(self) -> bool:
        """Whether the buffer has all transitions that were asked for."""
        return self._state.progress.environment_steps >= self._settings.steps

    def learn(self, row: Row, is_late: bool = False) -> None:
        """
        Add a transition to the buffer, and make its updates.

        :param row: The transition.
        :param is_late: Whether updates are so far behind that it gets none.
        """
        state, settings = self._state, self._settings
        if self._has_enough:
            return
        state.buffer.add(**row)
        state.progress.environment_steps += 1
        if state.progress.environment_steps <= settings.start or self.failure:
            return
        if is_late:
            if not self.skipped:
                self._say(
                    f'updates are more than {settings.most_behind} transitions behind the '
                    'robot; those of further transitions are left out (lower '
                    '--updates-per-step, or use smaller networks)')
            self.skipped += 1
            return
        try:
            for _ in range(settings.updates_per_step):
                self._session.update()
                self._session.require_finite()
            self._session.log()
        except TrainingError as error:
            self.failure = str(error)
            self._say(
                f'{error}; there are no more updates and no new policies, the robot goes on with '
                'the last one, and episodes are still written')

    def save_if_due(self) -> None:
        """Write a checkpoint if there were enough updates since the last one."""
        if self._state.progress.step - self._saved_at >= self._settings.checkpoint_every:
            self.save()

    def save(self) -> None:
        """
        Write a checkpoint, unless its networks are broken.

        :raises LearnerError: If the folder is not the one of the beginning.
        """
        if not self.failure:
            self._folder.require()
            self._session.save()
            self._saved_at = self._state.progress.step
