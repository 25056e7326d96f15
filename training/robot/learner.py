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
from pathlib import Path
from queue import Empty
import time
from typing import Any, TypeAlias

import numpy as np

from dfp_ros.core.control.decision_row import read_decision
from dfp_ros.core.control.episode_marks import MARKS, START
from dfp_ros.core.text.printable import listed
from training.common.files import write_json
from training.data.formats.rosbag.actions import ActionLayout
from training.data.transitions.transitions import DataError
from training.learning.trainer.checkpoint import RunState
from training.learning.trainer.session import Session
from training.robot.candidate import Candidate
from training.robot.episode_ledger import EpisodeLedger
from training.robot.learner_error import LearnerError
from training.robot.live_episodes import LiveEpisode, LiveEpisodes, Row
from training.robot.node_fit import NodeFit
from training.robot.policy_changes import PolicyChanges
from training.robot.releases import Releases
from training.robot.robot_link import News, RobotLink
from training.robot.robot_updates import RobotUpdates
from training.robot.run_state import RobotEpisodes, RunFolder
from training.robot.settings import LearnerSettings

#: Result of a session, in the folder of the run.
RESULT = 'learner.json'
# Wait for news in s, and silence of the node within an episode that is told.
_BEAT, _SILENCE = 0.1, 5.0
_RECENT = 64
# Most news that are kept until the node has said what it runs.
_MOST_EARLY = 10_000
_Item: TypeAlias = 'Row | LiveEpisode'


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
        self._say = say
        self._changes = PolicyChanges(link)
        self._releases = Releases(out, state, settings, self._changes, say, link.offer_service)
        self._ledger = EpisodeLedger(
            out, state.spec, state.progress.environment_steps, episodes.solved, settings.window)
        self._releases.keep(self._ledger.policies, self._ledger.best_policy)
        self._folder = RunFolder(out)
        self._updates = RobotUpdates(state, settings, session, self._folder, say)
        self._fit = NodeFit(link.policy_node, state.spec, settings.robot, say)
        self._live = self._make_live(())
        self._backlog: deque[_Item] = deque()
        self._recent: deque[np.ndarray] = deque(maxlen=_RECENT)
        self._began = time.monotonic()
        self._last_news = self._began
        self._silent = False
        # Publishers of marks that were said to contradict each other.
        self._markers: list[str] = []
        self._is_lockstep = self._swap_at_end = False
        # A new policy that is not offered yet.
        self._candidate: Candidate | None = None
        self._seen, self._told = (0, 0), (-1, -1)

    # Beginning and end

    def catch_up(self, stop: Callable[[], bool]) -> None:
        """
        Learn from the episodes that were written after the last checkpoint.

        :param stop: Whether the process was asked to end; the next session learns from the rest.
        """
        notes: list[str] = []
        count = self._updates.catch_up(self._ledger.rows_on_disk(notes), stop)
        self._ledger.received = self._state.progress.environment_steps
        for note in notes:
            self._say(note)
        if count:
            self._say(f'{count} transitions were on the disk and not in the checkpoint; they are '
                      'learned from now')

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
            self._fit.begin(self._changes.status)
            self._live = self._make_live(self._fit.relative)
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
            self._folder.require()
            try:
                self._take(0.0 if self._backlog or self._candidate else _BEAT)
                self._learn_next()
                self._release()
            except OSError:
                # A folder that was moved a moment ago, more likely than a file in it.
                self._folder.require()
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
        return 0 < self._settings.episodes <= self._ledger.ended or (
            self._ledger.received >= self._settings.steps)

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
        self._updates.save()
        result = self._result()
        write_json(self._out / RESULT, result)
        self._link.say_status(result)
        return result

    def _result(self) -> dict[str, Any]:
        """Summarise the run."""
        return {
            **self._ledger.result(), 'transitions': self._state.progress.environment_steps,
            'updates': self._updates.count, 'swaps': self._releases.swaps,
            'rollbacks': self._releases.rollbacks, 'refusals': self._releases.refusals,
            'transitions_without_updates': self._updates.skipped,
            'policy': self._releases.name(self._changes.running),
            'policy_sha256': self._changes.running, 'held': self._releases.held,
            'failure': self._updates.failure,
            'minutes': round((time.monotonic() - self._began) / 60, 2),
            'counts': dict(self._live.report.counts),
            'dropped': dict(self._live.report.problems)}

    def _make_live(self, relative: Collection[str]) -> LiveEpisodes:
        """Make the reader of decisions and marks."""
        spec = self._state.spec
        return LiveEpisodes(
            ActionLayout.of_policy(spec), spec.period, self._ledger.next_number, relative)

    @property
    def failure(self) -> str:
        """Why there are no more updates; empty while there are."""
        return self._updates.failure

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
            if self._fit.watch(self._changes.status):
                self._add(*self._live.give_up('another robot'))
            self._changes.is_barred = self._fit.is_other_robot
        elif news.kind == 'offer':
            self._releases.go_on()
        elif self._has_enough:
            return
        elif news.is_doubtful and not self._is_lockstep and self._live.last is not None:
            self._add(*self._live.give_up('learner stood still'))
        elif news.kind == 'mark':
            if news.content in MARKS:
                if not self._releases.end_cut(time.monotonic()):
                    self._watch_marks(news.content)
                self._add(*self._live.mark(news.content))
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
            rows = [] if self._fit.is_left_out else self._live.decide(decision)
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
        if self._fit.misfit:
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
        ledger, releases, now = self._ledger, self._releases, time.monotonic()
        ledger.write(episode)
        self._backlog.append(episode)
        policy = releases.name(self._changes.running) if episode.last_policy is None else (
            releases.name_of_number(episode.last_policy))
        record, verdict = ledger.record(
            episode, policy, self._updates.count,
            sum(isinstance(item, dict) for item in self._backlog), now - self._began)
        releases.keep_best(ledger.best_policy)
        if verdict is not None:
            releases.take_back(verdict, now)
        ended = episode.ended if episode.steps else (
            f'{episode.ended} without a step, which does not count')
        self._say(record.line(ended, ledger.recent))
        releases.end_episode(now, bool(episode.steps), episode.is_over)
        self._link.say_status(self._result())

    def _learn_next(self) -> None:
        """Learn from the next transition, or conclude an episode."""
        if not self._backlog:
            return
        item = self._backlog.popleft()
        if isinstance(item, LiveEpisode):
            self._swap_at_end = item.is_over and self._is_lockstep and (
                self._settings.swap == 'between')
            self._updates.save_if_due()
            return
        self._updates.learn(item, len(self._backlog) > self._settings.most_behind)

    # Policies

    def _release(self) -> None:
        """Make a new policy if it is due, and go on with its way to the node."""
        releases, settings, now = self._releases, self._settings, time.monotonic()
        releases.poll(now)
        self._link.held = releases.held
        if self._changes.is_barred:
            self._candidate, self._swap_at_end = None, False
            return
        if self._candidate is not None:
            self._offer(self._candidate, now)
            return
        if self._updates.failure or not self._recent or not releases.is_due:
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
