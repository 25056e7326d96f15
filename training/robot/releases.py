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
"""Policies of a run on a robot: made when due, brought to the node, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
import re
import shutil

import numpy as np

from dfp_ros.core.control.input_log import policy_number
from dfp_ros.core.files.bounded_file import LARGEST_POLICY
from dfp_ros.core.files.digest import sha256
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.policy.trust import SIGNATURE_SIZE
from dfp_ros.core.text.printable import printable, TEXT
from training.common.files import atomic_path
from training.common.signatures import read_private_key, sign, signature_path
from training.learning.trainer.checkpoint import RunState
from training.robot.candidate import (
    Candidate,
    CandidateError,
    expected_actions,
    make_candidate,
)
from training.robot.policy_changes import Chosen, Outcome, PolicyChanges
from training.robot.settings import LearnerSettings
from training.robot.signing import signing_fault
from training.robot.success_watch import Verdict

#: Folder of the policy files in that of a run.
POLICIES = 'policies'
#: Copy of the policy that the node was first started with.
FIRST = 'start.onnx'
#: Names of the policy that the node was first started with, and of those of another origin.
START, OTHER = 'start', 'other'
_NUMBER = re.compile(r'[0-9]{1,8}')
_NAME = re.compile(r'policy-([0-9]{6,9})-([0-9]{1,12})\.onnx')


class Releases:
    """
    Makes candidates and has the node run them.

    :param out: Folder of the run on the robot.
    :param state: The run.
    :param settings: Settings of the learner.
    :param changes: Changes of the node's policy.
    :param say: Prints a line.
    :param offer: Name of the service that has policies offered again.
    :raises SignatureError: If the key that signs policies cannot be used.

    :ivar swaps: Number of policies that took over.
    :ivar rollbacks: Number of policies that were taken back.
    :ivar refusals: Number of candidates that failed the checks, or that the node refused.
    """

    def __init__(
            self, out: Path, state: RunState, settings: LearnerSettings, changes: PolicyChanges,
            say: Callable[[str], None], offer: str = '~/offer') -> None:
        """Find the policies of earlier sessions."""
        self.swaps = self.rollbacks = self.refusals = 0
        self._folder = out / POLICIES
        self._state, self._settings, self._changes = state, settings, changes
        self._say, self._offer = say, offer
        self._key = read_private_key(user_path(settings.sign_key)) if settings.sign_key else None
        self._made: dict[str, Candidate] = {}
        for path in sorted(self._folder.glob('policy-*.onnx')):
            if (match := _NAME.fullmatch(path.name)) and _is_policy(path):
                found = Candidate(path, sha256(path), int(match[1]), int(match[2]))
                self._made[found.sha256] = found
        self._last = max(
            (found.updates for found in self._made.values()), default=state.config.steps)
        self._next = max((found.version for found in self._made.values()), default=0) + 1
        #: The policy that the node is to run; None for the one that it was started with.
        self._wanted: Candidate | None = None
        self._first: tuple[str, str] | None = None
        # What another had the node run: nothing is offered or taken back until it is told to.
        self._held: Chosen | None = None
        # Hash of the last shadow of the learner's, and whether another's was told.
        self._staged, self._is_other_told = '', False
        # The shadow, and the whole episodes that it has run.
        self._shadow: Candidate | None = None
        self._shadow_episodes = 0
        self._starts = 0
        self._taking_back = False
        # A loss of success that was found while a change was in progress.
        self._verdict: Verdict | None = None
        self._pause = 0
        # Whether the robot goes on in an episode that has ended for the learner.
        self._is_cut = False

    @property
    def is_due(self) -> bool:
        """Whether a new policy is due."""
        return (
            self._settings.swap != 'never' and not self._pause and self._shadow is None
            and self._verdict is None and not self.held
            and not self._changes.is_busy
            and self._state.progress.step - self._last >= self._settings.swap_every)

    @property
    def held(self) -> str:
        """Name of the policy that another chose, because of which none is offered; else empty."""
        return printable(Path(self._held.path).name, TEXT) if self._held else ''

    def name(self, sha256: str) -> str:
        """Name a policy for people: its number, ``start`` for the first, or ``other``."""
        found = self._made.get(sha256)
        return str(found.version) if found else (
            START if self._first is None or sha256 == self._first[0] else OTHER)

    def name_of_number(self, number: int) -> str:
        """Name a policy by its number in decisions."""
        found = next((one for one in self._made.values() if one.number == number), None)
        return str(found.version) if found else (
            START if self._first is None or number == policy_number(self._first[0]) else OTHER)

    def begin(self) -> None:
        """Keep the policy that the node was first started with, for a roll-back."""
        path, kept = Path(str(self._changes.status.get('path', ''))), self._folder / FIRST
        if not kept.is_file() and _is_policy(path) and sha256(path) == self._changes.running:
            # The copy comes last: if it is there, so is its signature.
            _copy_signature(path, kept)
            with atomic_path(kept) as partial:
                shutil.copyfile(path, partial)
        self._first = (sha256(kept), str(kept)) if _is_policy(kept) else (
            self._changes.running, str(path))
        self._wanted = self._made.get(self._changes.running)
        self._starts = self._changes.starts
        if self._shadow_sha256 in self._made:
            self._staged = self._shadow_sha256
        if fault := signing_fault(self._key, self._changes.status.get('settings', {})):
            self._say(fault)

    def keep(self, names: Iterable[str], best: str) -> None:
        """
        Give no number a second time, and keep the file of the best policy, of earlier sessions.

        :param names: Names of the policies of earlier episodes, whether or not their files exist.
        :param best: Name of the policy of the best of them.
        """
        self._next = max([self._next, *(
            int(name) + 1 for name in names if _NUMBER.fullmatch(name))])
        self.keep_best(best)

    @property
    def _shadow_sha256(self) -> str:
        """Hash of the node's shadow; empty if it has none."""
        return str((self._changes.status.get('shadow') or {}).get('sha256') or '')

    def require_free_shadow(self) -> bool:
        """Tell whether a shadow would replace nobody else's; if it would, say so once."""
        is_free = self._shadow_sha256 in ('', self._staged)
        if not is_free and not self._is_other_told:
            self._say(
                "the node's shadow was set by another and stays: no new policy is made until it "
                "has none (set its parameter shadow to '')")
        self._is_other_told = not is_free
        return is_free

    def go_on(self) -> None:
        """Offer policies again, beside whichever runs now."""
        if (chosen := self._changes.chosen) is not None:
            self._hold(chosen)
        if self._held is None:
            return
        self._held = None
        self._wanted = self._made.get(self._changes.running)
        self._say('policies are offered again')

    def _hold(self, chosen: Chosen) -> None:
        """Leave the node what another had it run."""
        self._held, self._changes.chosen = chosen, None
        self._shadow = self._verdict = self._wanted = None
        self._say(
            f'{printable(chosen.path, TEXT)} was chosen by another (a person, or the fallback of '
            'the node) and stays: no policy is offered or taken back until a person calls '
            f'{self._offer}, as with ros2 service call {self._offer} std_srvs/srv/Trigger, or '
            'starts this learner again; it goes on learning')

    def make(self, observations: np.ndarray) -> Candidate | None:
        """
        Export and check the networks.

        :param observations: Recent observations.
        :return: The candidate; None if it is not fit, which is printed.
        """
        state, version = self._state, self._next
        self._last, self._next = state.progress.step, version + 1
        # What was sent to the robot so far, by policies and persons, counts as data, too.
        expected = expected_actions(
            state.spec, *state.buffer.range_of_added('actions'), self._settings.envelope)
        path = self._folder / f'policy-{version:06d}-{state.progress.step}.onnx'
        try:
            found = make_candidate(
                state.agent, state.spec, path, version, state.progress.step, observations,
                expected, self._settings.outside,
                self._settings.latency_share * state.spec.period)
        except CandidateError as error:
            self.refusals += 1
            self._say(f'policy {version} is not fit for the robot: {error}')
            return None
        if self._key is not None:
            sign(found.path, self._key, found.sha256)
        self._made[found.sha256] = found
        return found

    def swap(self, candidate: Candidate, now: float) -> None:
        """Have the node load a policy and run it."""
        self._wanted = candidate
        self._changes.request('policy', candidate.sha256, str(candidate.path), now)

    def stage(self, candidate: Candidate, now: float) -> None:
        """Have the node load a policy as its shadow, so that it can take over at once."""
        self._shadow, self._shadow_episodes = candidate, -1
        self._staged = candidate.sha256
        self._changes.request('shadow', candidate.sha256, str(candidate.path), now)

    def end_cut(self, now: float) -> bool:
        """
        At a mark: end the episode that the robot went on with, if there is one.

        :param now: Monotonic time in s.
        :return: Whether there was one.
        """
        was_cut, self._is_cut = self._is_cut, False
        if was_cut:
            self.end_episode(now)
        return was_cut

    def end_episode(self, now: float, counts: bool = True, is_over: bool = True) -> None:
        """
        Between two episodes: promote the shadow if it may, or repeat what was lost.

        :param now: Monotonic time in s.
        :param counts: Whether there was an episode: one without a step is none.
        :param is_over: Whether the robot has ended it, too. If not, it ends with the next mark:
            nothing takes over within an episode.
        """
        if not is_over:
            self._is_cut |= counts
            return
        if counts:
            self._pause = max(0, self._pause - 1)
        if counts and self._shadow is not None:
            self._shadow_episodes += 1
        if self._held or self._changes.chosen or not self._changes.is_open or (
                self._verdict is not None):
            return
        if self._shadow is not None and self._shadow_sha256 != self._shadow.sha256:
            # ~/promote takes whichever is there.
            self._say(
                f"policy {self.name(self._shadow.sha256)} is dropped: the node's shadow was "
                'replaced or ended by another')
            self._shadow = None
        if self._shadow is not None and (
                self._shadow_episodes >= self._settings.shadow_episodes):
            self._wanted = self._shadow
            self._changes.request('promote', self._shadow.sha256, '', now)
        elif self._wanted and not self._changes.status.get('previous') and (
                self._changes.running != self._wanted.sha256) and self._shadow is None:
            self._say(
                f'the node was started again; policy {self._wanted.version} is loaded again')
            self.swap(self._wanted, now)

    def take_back(self, verdict: Verdict, now: float) -> None:
        """
        Return to the policy of better episodes.

        :param verdict: What was better.
        :param now: Monotonic time in s.
        """
        if self._held or self._changes.chosen:
            self._say(f'{verdict}; {self.held or "what another chose"} stays')
            return
        if not self._changes.is_open:
            self._verdict = verdict
            return
        self._verdict = None
        found = next(
            (one for one in self._made.values() if str(one.version) == verdict.policy), None)
        target = (found.sha256, str(found.path)) if found else (
            self._first if verdict.policy == START else None)
        if target is None or target[0] == self._changes.running or not Path(target[1]).is_file():
            self._say(f'{verdict}; policy {verdict.policy}, of then, cannot be loaded again')
            return
        self._say(
            f'{verdict}: significantly fewer, so policy {verdict.policy} comes back; the next '
            f'one is made after {self._settings.window} episodes')
        self._wanted, self._pause = found, self._settings.window
        self._shadow, self._taking_back = None, True
        self._changes.request('policy', *target, now)

    def poll(self, now: float) -> None:
        """Hear the outcome of a change."""
        wanted, outcome = self._wanted, self._changes.poll(now)
        if outcome is not None:
            self._conclude(outcome)
        if (chosen := self._changes.chosen) is not None:
            self._hold(chosen)
        held = self._held
        if held and outcome and not outcome.problem and outcome.sha256 == (
                self._changes.running) != held.sha256 and not self._changes.is_busy:
            self._say(
                f'policy {self.name(outcome.sha256)} took over at the same moment, so '
                f'{self.held} comes back')
            self._taking_back = True
            self._changes.request('policy', held.sha256, held.path, now)
        if self._verdict is not None and self._changes.is_open:
            self.take_back(self._verdict, now)
            wanted = self._wanted
        if self._changes.starts != self._starts:
            # A new node has no shadow, and runs what it was started with.
            self._starts = self._changes.starts
            self._shadow, self._wanted = None, wanted
            running = self._changes.running
            if self._held:
                self._say(
                    f'the node was started again, and runs {self.name(running)}; no policy is '
                    f'loaded until a person calls {self._offer}')
            elif running not in (
                    wanted and wanted.sha256, self._first and self._first[0]):
                self._hold(Chosen(running, str(self._changes.status.get('path', ''))))

    def _conclude(self, outcome: Outcome) -> None:
        """Note the outcome of a change."""
        name = self.name(outcome.sha256)
        if outcome.problem:
            self.refusals += 1
            self._say(f'policy {name}: the node refused {outcome.kind}: {outcome.problem}')
            self._shadow = None
            self._wanted = self._made.get(self._changes.running)
        elif outcome.kind == 'shadow':
            # The current episode is not a whole one.
            self._shadow_episodes = -1
        elif self._taking_back:
            self.rollbacks += 1
            self._say(f'policy {name} runs again')
        else:
            self.swaps += 1
            self._shadow = None
            self._say(f'policy {name} takes over, after {self._updates_of(outcome)} updates')
            self._prune()
        self._taking_back = False

    def _updates_of(self, outcome: Outcome) -> int:
        """Count the updates on the robot of a policy."""
        found = self._made.get(outcome.sha256)
        return found.updates - self._state.config.steps if found else 0

    def _prune(self) -> None:
        """Delete old files, but not those that may come back."""
        previous = (self._changes.status.get('previous') or {}).get('sha256')
        kept = {previous, self._changes.running, self.best and self.best.sha256}
        old = sorted(self._made.values(), key=lambda one: one.version)
        for one in old[:-self._settings.keep_policies]:
            if one.sha256 not in kept:
                signature_path(one.path).unlink(missing_ok=True)
                one.path.unlink(missing_ok=True)
                del self._made[one.sha256]

    #: The policy of the best episodes so far, which is kept.
    best: Candidate | None = None

    def keep_best(self, name: str) -> None:
        """Keep the file of the policy of the best episodes so far."""
        self.best = next(
            (one for one in self._made.values() if str(one.version) == name), self.best)


def _is_policy(path: Path) -> bool:
    """Tell whether a path is a regular file that may be a policy: anything else could block."""
    try:
        return path.is_file() and path.stat().st_size <= LARGEST_POLICY
    except (OSError, ValueError):
        return False


def _copy_signature(path: Path, copy: Path) -> None:
    """Copy the signature of a policy file, if it has one, for its copy."""
    signature = signature_path(path)
    if _is_policy(signature) and signature.stat().st_size == SIGNATURE_SIZE:
        with atomic_path(signature_path(copy)) as partial:
            shutil.copyfile(signature, partial)
