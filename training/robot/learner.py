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
"""The learner: hears a robot, learns from each step, and brings it new policies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
import json
from pathlib import Path
from queue import Empty
import time
from typing import Any, TypeAlias

import numpy as np

from dfp_ros.core.control.decision_row import read_decision
from dfp_ros.core.control.episode_marks import MARKS, START
from dfp_ros.core.text.printable import listed
from dfp_ros.resources import load_robot
from dfp_ros.spec import PolicySpec
from training.common.files import write_json
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.decision_steps import relative_fields
from training.data.transitions.transitions import DataError
from training.learning.trainer.checkpoint import RunState
from training.learning.trainer.session import Session, TrainingError
from training.robot.candidate import Candidate
from training.robot.episode_files import EpisodeFiles
from training.robot.live_episodes import anchor_fault, LiveEpisode, LiveEpisodes, Row
from training.robot.policy_changes import PolicyChanges
from training.robot.records import EpisodeRecord, RecordTable, TABLE
from training.robot.releases import OTHER, Releases
from training.robot.robot_link import News, RobotLink
from training.robot.run_state import RobotEpisodes
from training.robot.settings import LearnerSettings
from training.robot.success_watch import SuccessWatch

#: Result of a session, in the folder of the run.
RESULT = 'learner.json'
# Wait for news in s, and silence of the node within an episode that is told.
_BEAT, _SILENCE = 0.1, 5.0
_RECENT = 64
# Most news that are kept until the node has said what it runs.
_MOST_EARLY = 10_000
_Item: TypeAlias = 'Row | LiveEpisode'


class LearnerError(ValueError):
    """The learner cannot begin, or cannot go on; the message says why, and what to do."""


class Learner:
    """
    Learns from one robot until it has enough, or is asked to end.

    Whatever becomes of it, the robot goes on: the node waits for nothing here.

    :param out: Folder of the run on the robot.
    :param state: The run.
    :param episodes: Count of its episodes.
    :param settings: Settings of the learner.
    :param link: The policy node.
    :param session: Makes the updates.
    :param say: Prints a line.
    """

    def __init__(
            self, out: Path, state: RunState, episodes: RobotEpisodes, settings: LearnerSettings,
            link: RobotLink, session: Session, say: Callable[[str], None]) -> None:
        """Find what earlier sessions left."""
        self._out, self._state, self._settings, self._link = out, state, settings, link
        self._episodes, self._session, self._say = episodes, session, say
        self._changes = PolicyChanges(link)
        self._releases = Releases(out, state, settings, self._changes, say, link.offer_service)
        self._files = EpisodeFiles(out, state.spec)
        self._table = RecordTable(out / TABLE)
        self._watch = SuccessWatch(settings.window)
        for record in self._table.records:
            if record.success >= 0 and not record.person_steps and record.policy != OTHER:
                self._watch.add(bool(record.success), record.policy)
        self._releases.keep(
            (record.policy for record in self._table.records), self._watch.best_policy)
        numbers = self._files.numbers()
        self._number = max(
            [*numbers, *(record.episode for record in self._table.records)], default=-1) + 1
        self._live = self._make_live(())
        self._backlog: deque[_Item] = deque()
        self._recent: deque[np.ndarray] = deque(maxlen=_RECENT)
        self._received = state.progress.environment_steps
        self._saved_at = state.progress.step
        self._skipped = 0
        self._ended = 0
        self._solved: list[bool] = []
        #: Why there are no more updates; empty while there are.
        self.failure = ''
        self._began = time.monotonic()
        self._last_news = self._began
        self._silent = False
        self._misfit = ''
        self._relative: tuple[str, ...] = ()
        # Hash of the robot description at the beginning, and whether the node has another now.
        self._robot, self._is_other = '', False
        self._folder = _identity(out)
        # Publishers of marks that were said to contradict each other.
        self._markers: list[str] = []
        self._is_lockstep = False
        self._swap_at_end = False
        # A new policy that is not offered yet.
        self._candidate: Candidate | None = None
        self._seen, self._told = (0, 0), (-1, -1)

    # Beginning and end

    def catch_up(self) -> None:
        """Learn from the episodes that were written after the last checkpoint."""
        notes: list[str] = []
        count = 0
        for row, _ in self._files.rows_from(self._received, notes):
            self._learn(row)
            count += 1
        self._state.buffer.end_episode()
        self._received = self._state.progress.environment_steps
        for note in notes:
            self._say(note)
        if count:
            self._say(f'{count} transitions were on the disk and not in the checkpoint; they are '
                      'learned from now')
            self._save()

    def await_node(self, stop: Callable[[], bool]) -> None:
        """
        Wait for the policy node, and check that it fits.

        :raises LearnerError: If it does not.
        """
        said = False
        early: deque[News] = deque(maxlen=_MOST_EARLY)
        while not self._changes.status and not stop():
            try:
                news = self._link.inbox.get(timeout=_BEAT)
            except Empty:
                news = None
            if news is not None and news.kind == 'status':
                self._changes.hear(news.content)
            elif news is not None:
                early.append(news)
            if not said and time.monotonic() - self._began > _SILENCE:
                said = True
                self._say(
                    f'waiting for the node {self._link.policy_node}: nothing on its topic '
                    '~/policy; start it, or name it with --policy-node')
        if self._changes.status:
            self._require_fit(self._changes.status)
            self._robot = _robot_of(self._changes.status)
            self._relative = self._find_relative(self._changes.status)
            self._require_fit(self._changes.status)
            self._live = self._make_live(self._relative)
            self._releases.begin()
            for news in early:
                self._hear(news)
        self._link.say_seen(0, 0)

    def run(self, stop: Callable[[], bool]) -> dict[str, Any]:
        """
        Learn until it is enough.

        :param stop: Whether the process was asked to end.
        :return: Result of the session, as it is written to :data:`RESULT`.
        :raises LearnerError: If another learner has taken the node.
        """
        while not stop() and not self._is_done:
            self._require_folder()
            try:
                self._take(0.0 if self._backlog or self._candidate else _BEAT)
                self._learn_next()
                self._release()
            except OSError:
                # A folder that was moved a moment ago, more likely than a file in it.
                self._require_folder()
                raise
            self._tell()
            if self._link.rival:
                raise LearnerError(
                    f'{self._link.rival} learns on {self._link.policy_node}, too, and goes on; '
                    'this learner ends, and leaves its folder as it is')
        return self._finish(stop)

    @property
    def _has_enough(self) -> bool:
        """Whether all that was asked for has come."""
        return 0 < self._settings.episodes <= self._ended or (
            self._received >= self._settings.steps)

    @property
    def _is_done(self) -> bool:
        """Whether all that was asked for is learned."""
        return self._has_enough and not self._backlog and not self._changes.is_busy and (
            self._candidate is None or not self._changes.is_open)

    def _finish(self, stop: Callable[[], bool]) -> dict[str, Any]:
        """
        Write everything.

        If the process is asked to end, the next session learns from what is on the disk and was
        not learned from yet.
        """
        rows, episode = self._live.give_up('learner ended')
        self._backlog.extend(rows)
        if episode and episode.pieces:
            self._end(episode)
        while self._backlog and not stop():
            self._learn_next()
        self._tell()
        self._save()
        result = self._result()
        write_json(self._out / RESULT, result)
        self._link.say_status(result)
        return result

    def _result(self) -> dict[str, Any]:
        """Summarise the run."""
        progress, table = self._state.progress, self._table
        return {
            'episodes': self._ended, 'episodes_of_all_sessions': len(table.records),
            'solved': sum(self._solved), 'success_first_20': table.share(20, last=False),
            'success_last_20': table.share(20), 'transitions': progress.environment_steps,
            'updates': progress.step - self._state.config.steps,
            'swaps': self._releases.swaps, 'rollbacks': self._releases.rollbacks,
            'refusals': self._releases.refusals, 'transitions_without_updates': self._skipped,
            'policy': self._releases.name(self._changes.running),
            'policy_sha256': self._changes.running, 'held': self._releases.held,
            'failure': self.failure,
            'minutes': round((time.monotonic() - self._began) / 60, 2),
            'counts': dict(self._live.report.counts),
            'dropped': dict(self._live.report.problems)}

    def _make_live(self, relative: Collection[str]) -> LiveEpisodes:
        """Make the reader of decisions and marks."""
        spec = self._state.spec
        return LiveEpisodes(ActionLayout.of_policy(spec), spec.period, self._number, relative)

    def _find_relative(self, status: dict[str, Any]) -> tuple[str, ...]:
        """Find the actions that are relative, in the robot description."""
        name = self._settings.robot or str(status.get('settings', {}).get('robot', ''))
        try:
            robot = load_robot(name)
            theirs = (status.get('robot') or {}).get('sha256')
            if theirs and theirs != robot.sha256:
                self._say(
                    f'{self._link.policy_node}: found another robot description than {name} is '
                    'here; if its commands mean something else, what is learned is wrong: name '
                    "the node's file with --robot, or start the node again with this one")
            return relative_fields(robot)
        except ValueError as error:
            raise LearnerError(
                f'{self._link.policy_node}: its robot description cannot be read here ({error}); '
                'name it with --robot') from error

    def _require_fit(self, status: dict[str, Any]) -> None:
        """Require that the node publishes decisions and runs a policy for the same robot."""
        node, spec = self._link.policy_node, self._state.spec
        if not status.get('settings', {}).get('publish_decisions', True):
            raise LearnerError(
                f'{node}: found publish_decisions false, expected true: without its decisions '
                'there is nothing to learn from; start the node with publish_decisions:=true')
        try:
            other = PolicySpec.from_json(_text(status.get('spec')))
        except ValueError as error:
            raise LearnerError(
                f'{node}: found a policy whose specification cannot be read ({error})') from error
        for kind in ('observation', 'action'):
            ours, theirs = (
                [(field.name, field.size, field.unit, *(
                    (field.low, field.high) if kind == 'action' else ()))
                 for field in getattr(one, kind)] for one in (spec, other))
            if ours != theirs:
                i = next((i for i, pair in enumerate(zip(ours, theirs, strict=False))
                          if pair[0] != pair[1]), min(len(ours), len(theirs)))
                raise LearnerError(
                    f'{node}: found a policy for another robot or other data, expected one with '
                    f'the fields of the run: {kind} field {i} is {_field(theirs, i)} there, and '
                    f'{_field(ours, i)} in the run; start the node with a policy exported from '
                    'the run')
        if fault := anchor_fault(other, self._relative):
            raise LearnerError(
                f'{node}: {fault}; start the node with a policy exported from the run')
        settings = status.get('settings', {})
        rate = settings.get('rate', 0)
        if isinstance(rate, int | float) and rate and settings.get('trigger') != 'samples' and (
                abs(1 / rate - spec.period) > 1e-6):
            raise LearnerError(
                f'{node}: found rate {rate:g} Hz, expected 0, the rate of the policy: steps of '
                f'another period than {spec.period:g} s are not learned from')
        if abs(other.period - spec.period) > 1e-9:
            raise LearnerError(
                f'{node}: found a policy with a period of {other.period:g} s, expected '
                f'{spec.period:g} s; start the node with a policy exported from the run')

    def _require_same_robot(self, status: dict[str, Any]) -> None:
        """Require the robot description of the beginning, and learn nothing from another."""
        if not self._robot:
            return
        was_other, self._is_other = self._is_other, _robot_of(status) != self._robot
        if self._is_other and not was_other:
            self._add(*self._live.give_up('another robot'))
        if self._is_other:
            raise LearnerError(
                f'{self._link.policy_node}: found another robot description than at the '
                'beginning, so that its commands may mean something else; start the node with '
                'that one again, or start this learner again')

    def _require_folder(self) -> None:
        """
        Require that the folder is still the one of the beginning.

        :raises LearnerError: If it is not: a new one there would have none of what was learned.
        """
        if _identity(self._out) != self._folder:
            raise LearnerError(
                f'{self._out}: was removed, moved or replaced while the learner ran, and nothing '
                'more is written there; what was learned since the last checkpoint is lost. Put '
                'the folder back and start again, or name another one with --out')

    def _watch_fit(self) -> None:
        """Say once that the node has changed, or was replaced, so that it does not fit."""
        misfit = ''
        try:
            if self._changes.status:
                self._require_fit(self._changes.status)
                self._require_same_robot(self._changes.status)
        except LearnerError as error:
            misfit = str(error)
        if misfit and misfit != self._misfit:
            self._say(f'{misfit}; until then, nothing is learned')
        self._misfit = misfit

    # News

    def _take(self, timeout: float) -> None:
        """Receive all news; wait for the first."""
        inbox = self._link.inbox
        try:
            news = inbox.get(timeout=timeout) if timeout else inbox.get_nowait()
            while True:
                self._hear(news)
                news = inbox.get_nowait()
        except Empty:
            pass
        self._watch_silence()

    def _hear(self, news: News) -> None:
        """Receive one message."""
        if news.kind == 'status':
            self._changes.hear(news.content)
            self._watch_fit()
        elif news.kind == 'offer':
            self._releases.go_on()
        elif self._has_enough:
            return
        elif news.kind == 'mark':
            if news.content in MARKS:
                self._watch_marks(news.content)
                rows, episode = self._live.mark(news.content)
                self._add(rows, episode)
            self._seen = self._seen[0], self._seen[1] + 1
        elif news.kind == 'decision':
            self._hear_decision(news)

    def _watch_marks(self, mark: str) -> None:
        """Say who publishes marks if they contradict each other, as those of two programs do."""
        # A learner that starts within an episode hears its end first.
        if not self._seen[1] or (mark == START) is not self._live.is_within_episode:
            return
        publishers = sorted(self._link.mark_publishers())
        if len(publishers) > 1 and publishers != self._markers:
            self._markers = publishers
            self._say(
                f'{self._settings.marks}: found {len(publishers)} publishers, '
                f'{listed(publishers)}, and marks that contradict each other; if more than one of '
                'them sends marks, episodes are cut and judged wrongly: end all but one')

    def _hear_decision(self, news: News) -> None:
        """Receive a decision."""
        message = news.content
        try:
            decision = read_decision(
                [(part.label, part.size) for part in message.layout.dim], message.data)
            is_left_out = bool(self._misfit) or self._is_other
            rows = [] if is_left_out else self._live.decide(decision)
        except (ValueError, DataError) as error:
            raise LearnerError(
                f'{self._link.policy_node}/decision: {error}; run node and learner of the same '
                'release, with the robot of the run') from error
        if self._silent:
            self._say(f'{self._link.policy_node} decides again')
        self._silent, self._last_news = False, news.time
        self._is_lockstep = decision.lockstep
        self._seen = decision.stamp, self._seen[1]
        self._add(rows, None)
        if self._misfit:
            self._add(*self._live.give_up('the policy of the node does not fit'))

    def _add(self, rows: list[Row], episode: LiveEpisode | None) -> None:
        """Add transitions that are final, and the episode that they end."""
        self._backlog.extend(rows)
        self._recent.extend(row['observations'] for row in rows)
        if episode is not None:
            self._end(episode)

    def _watch_silence(self) -> None:
        """Say once that the node is silent; a robot that waits may be between two episodes."""
        silence = time.monotonic() - self._last_news
        expected = self._live.is_within_episode or (
            self._live.last is not None and not self._is_lockstep)
        if expected and not self._silent and silence > _SILENCE:
            self._silent = True
            self._say(
                f'no decision of {self._link.policy_node} for {silence:.0f} s; what comes after '
                'the gap is not joined to what came before')

    def _end(self, episode: LiveEpisode) -> None:
        """Write an episode that has ended, and see what follows from it."""
        self._files.write(episode, self._received)
        self._received += episode.transitions
        self._backlog.append(episode)
        # Marks without a step between them are no episode.
        self._ended += bool(episode.steps)
        progress, releases = self._state.progress, self._releases
        policy = releases.name_of_number(episode.policies[-1]) if episode.policies else (
            releases.name(self._changes.running))
        success = -1 if episode.success is None else int(episode.success)
        record = EpisodeRecord(
            episode.number, success, episode.rewards, episode.steps, episode.transitions,
            episode.person_steps, policy, progress.step - self._state.config.steps,
            sum(isinstance(item, dict) for item in self._backlog),
            round(time.monotonic() - self._began, 2))
        self._table.add(record)
        now = time.monotonic()
        if episode.success is not None:
            self._solved.append(episode.success)
            self._episodes.solved.append(episode.success)
            if not episode.person_steps and policy != OTHER:
                verdict = self._watch.add(episode.success, policy)
                releases.keep_best(self._watch.best_policy)
                if verdict is not None:
                    releases.take_back(verdict, now)
        ended = episode.ended if episode.steps else (
            f'{episode.ended} without a step, which does not count')
        self._say(record.line(ended, self._table.share(20)))
        releases.end_episode(now, bool(episode.steps))
        self._link.say_status(self._result())

    # Learning

    def _learn_next(self) -> None:
        """Learn from the next transition, or conclude an episode."""
        if not self._backlog:
            return
        item = self._backlog.popleft()
        if isinstance(item, LiveEpisode):
            self._swap_at_end = self._is_lockstep and self._settings.swap == 'between'
            if self._state.progress.step - self._saved_at >= self._settings.checkpoint_every:
                self._save()
            return
        self._learn(item, len(self._backlog) > self._settings.most_behind)

    def _learn(self, row: Row, is_late: bool = False) -> None:
        """Add a transition to the buffer, and make its updates."""
        state, settings = self._state, self._settings
        if state.progress.environment_steps >= settings.steps:
            return
        state.buffer.add(**row)
        state.progress.environment_steps += 1
        if state.progress.environment_steps <= settings.start or self.failure:
            return
        if is_late:
            if not self._skipped:
                self._say(
                    f'updates are more than {settings.most_behind} transitions behind the '
                    'robot; those of further transitions are left out (lower '
                    '--updates-per-step, or use smaller networks)')
            self._skipped += 1
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

    def _save(self) -> None:
        """Write a checkpoint, unless its networks are broken."""
        if not self.failure:
            self._require_folder()
            self._session.save()
            self._saved_at = self._state.progress.step

    # Policies

    def _release(self) -> None:
        """Make a new policy if it is due, and go on with its way to the node."""
        releases, settings, now = self._releases, self._settings, time.monotonic()
        releases.poll(now)
        self._link.held = releases.held
        if self._candidate is not None:
            self._offer(self._candidate, now)
            return
        if self.failure or not self._recent or not releases.is_due:
            self._swap_at_end = self._swap_at_end and bool(self._backlog)
            return
        at_end = self._is_lockstep and settings.swap == 'between'
        if at_end and (not self._swap_at_end or self._live.is_within_episode):
            return
        if not self._changes.is_open:
            return
        self._swap_at_end = False
        if self._is_at_once or releases.require_free_shadow():
            # It takes a while, so what came meanwhile is heard before it is offered.
            self._candidate = releases.make(np.array(self._recent, np.float32))

    @property
    def _is_at_once(self) -> bool:
        """Whether a new policy takes over without being the shadow before."""
        settings = self._settings
        return settings.swap == 'in_flight' or (
            self._is_lockstep and settings.swap == 'between' and not settings.shadow_episodes)

    def _offer(self, candidate: Candidate, now: float) -> None:
        """Have the node load a new policy, unless another has chosen one meanwhile."""
        releases = self._releases
        if releases.held:
            self._candidate = None
        elif self._changes.is_open:
            self._candidate = None
            if self._is_at_once:
                releases.swap(candidate, now)
            elif releases.require_free_shadow():
                releases.stage(candidate, now)

    def _tell(self) -> None:
        """Tell a robot that waits what was learned from, once everything is done."""
        awaits = self._candidate is not None or (
            self._swap_at_end and self._releases.is_due and not self._changes.is_open)
        if self._seen != self._told and not (
                self._backlog or self._changes.is_busy or awaits):
            self._link.say_seen(*self._seen)
            self._told = self._seen


def _robot_of(status: dict[str, Any]) -> str:
    """Return the hash of a node's robot description; empty if it does not say it."""
    return str((status.get('robot') or {}).get('sha256') or '')


def _identity(folder: Path) -> tuple[int, int] | None:
    """Identify a folder whatever its name; None if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _text(value: Any) -> str:
    """Return JSON text of a value."""
    return json.dumps(value)


def _field(fields: list[Any], i: int) -> str:
    """Describe a field, for an error."""
    return ' '.join(map(str, fields[i])) if i < len(fields) else 'missing'
