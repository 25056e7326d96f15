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
State machine of the episodes of a robot, without ROS.

Events come in with :meth:`EpisodeMachine.handle`, which returns the effects to carry out: calls of
services, and marks. The results of the calls are events, too.
"""

from __future__ import annotations

from dataclasses import dataclass
import enum
from typing import NamedTuple


class Phase(enum.Enum):
    """State of the robot's episodes."""

    #: For the policy node: it is not there, not active, or does not answer.
    WAITING = 'waiting'
    #: The scene is being reset, by a service or by a person; the robot is held.
    RESETTING = 'resetting'
    #: The scene is reset; the robot is held until the start.
    READY = 'ready'
    #: The policy is being reset; the robot is held.
    STARTING = 'starting'
    #: The policy commands the robot. In no other state does it.
    RUNNING = 'running'
    #: The episode succeeded; the robot is being stopped.
    SUCCESS = 'success'
    #: It failed.
    FAILURE = 'failure'
    #: It reached the time limit, which is a failure.
    TIMEOUT = 'timeout'
    #: It does not count.
    ABANDONED = 'abandoned'


OUTCOMES = (Phase.SUCCESS, Phase.FAILURE, Phase.TIMEOUT, Phase.ABANDONED)
#: The states that may follow each state. RUNNING after READY, or after an end, is for marks that
#: are followed.
TRANSITIONS = {
    Phase.WAITING: frozenset((Phase.RESETTING, Phase.READY)),
    Phase.RESETTING: frozenset((Phase.WAITING, Phase.READY)),
    Phase.READY: frozenset((Phase.WAITING, Phase.STARTING, Phase.RUNNING)),
    Phase.STARTING: frozenset((Phase.WAITING, Phase.READY, Phase.RUNNING)),
    Phase.RUNNING: frozenset(OUTCOMES),
    Phase.SUCCESS: frozenset((Phase.WAITING, Phase.RESETTING, Phase.RUNNING)),
    Phase.FAILURE: frozenset((Phase.WAITING, Phase.RESETTING, Phase.RUNNING)),
    Phase.TIMEOUT: frozenset((Phase.WAITING, Phase.RESETTING)),
    Phase.ABANDONED: frozenset(
        (Phase.WAITING, Phase.RESETTING, Phase.STARTING, Phase.RUNNING))}


class Event(enum.Enum):
    """Input of the machine."""

    TICK = 'time has passed'
    # The policy node.
    FOUND = 'the policy node is there and active'
    LOST = 'the policy node is gone, or not active'
    STOPPED = 'it has stopped the robot'
    STOP_FAILED = 'it has not stopped the robot'
    PREPARED = 'it has begun anew'
    PREPARE_FAILED = 'it has not begun anew'
    RELEASED = 'it commands the robot'
    RELEASE_FAILED = 'it refused to command the robot, or did not answer'
    OTHER_STOP = 'another than this machine called ~/stop'
    OTHER_RELEASE = 'the policy commands the robot, and this machine did not release it'
    # The scene.
    RESET_DONE = 'the service has reset the scene'
    RESET_FAILED = 'the service has not reset the scene'
    # Requests.
    READY = 'a person has reset the scene'
    START = 'a person starts an episode'
    MARKED_START = 'a mark starts an episode'
    SUCCESS = 'success'
    FAILURE = 'failure'
    ABANDON = 'the episode does not count'
    END = 'the program ends'


class Effect(enum.Enum):
    """Output of the machine, to be carried out in order."""

    STOP = 'call ~/stop of the policy node'
    PREPARE = 'call ~/reset of the policy node'
    RELEASE = 'call ~/resume of the policy node'
    RESET = "call the robot's service that resets the scene"
    MARK_START = 'publish the mark start'
    MARK_SUCCESS = 'publish the mark success'
    MARK_FAILURE = 'publish the mark failure'


class Moment(NamedTuple):
    """
    The time in s, on two clocks that never go back.

    :param wall: For retries.
    :param robot: The robot's, which is that of a simulation in simulated time.
    """

    wall: float
    robot: float


@dataclass(frozen=True)
class Rules:
    """
    Settings of the machine.

    :param time_limit: Longest episode in s, on the robot's clock; 0 for no limit.
    :param has_reset: Whether a service resets the scene; else a person does.
    :param settle: Time in s from the answer of that service to READY.
    :param reset_attempts: Calls of that service that may fail before a person has to help.
    :param auto_start: Whether an episode starts by itself once the scene is reset.
    :param follow: Whether marks of another are followed, and nothing is called.
    """

    time_limit: float = 0.0
    has_reset: bool = False
    settle: float = 1.0
    reset_attempts: int = 3
    auto_start: bool = False
    follow: bool = False


@dataclass(frozen=True)
class Ended:
    """
    An episode that has ended.

    :param number: Its number, from 1 on.
    :param outcome: One of :data:`OUTCOMES`.
    :param seconds: Its duration on the robot's clock.
    :param reason: What ended it.
    """

    number: int
    outcome: Phase
    seconds: float
    reason: str


class NotNowError(ValueError):
    """A request does not fit the state; the message says why."""


#: Time in s after which a call that failed is repeated.
RETRY = 1.0
# Events that matter after the end of the program was requested, until the robot is stopped.
_AFTER_THE_END = (
    Event.TICK, Event.STOPPED, Event.STOP_FAILED, Event.RELEASED, Event.LOST,
    Event.OTHER_RELEASE)
_SET_THE_SCENE = 'a person resets the scene, then calls ~/ready or ~/start'
_STOPPED_BY_OTHER = (
    'another than this node called ~/stop of the policy node; ~/start goes on')


class EpisodeMachine:
    """
    Robot's episodes, one after the other.

    :param rules: The settings.

    :ivar phase: The state.
    :ivar reason: Explanation of the state for its operator; may be empty.
    :ivar episode: Number of the running episode, or of the last one; 0 before the first.
    :ivar last: The last episode that ended, or None.
    :ivar is_suspended: Whether another stopped the robot, and no start was requested since.
    :ivar has_ended: Whether the program ends.
    """

    def __init__(self, rules: Rules) -> None:
        """Wait for the policy node; if marks are followed, for a start."""
        self._rules = rules
        self.phase = Phase.READY if rules.follow else Phase.WAITING
        self.reason = 'follows marks' if rules.follow else 'no policy node yet'
        self.episode = 0
        self.last: Ended | None = None
        self.is_suspended = False
        self._is_present = False
        self.has_ended = False
        # Whether the robot is held for certain, and whether a call to that end is under way.
        self._is_held = False
        self._is_stopping = False
        self._stops_again = False
        self._retry_at = 0.0
        # Whether nothing has moved since the scene was reset.
        self._is_scene_set = False
        self._is_resetting = False
        self._reset_at: float | None = None
        self._settled_at: float | None = None
        self._failed_resets = 0
        self._wants_start = False
        self._begun = 0.0
        # To be done once the robot is stopped after an episode.
        self._mark: Effect | None = None
        self._restarts = False
        self._effects: list[Effect] = []
        self._now = Moment(0.0, 0.0)
        self._why, self._is_marked = '', False

    @property
    def needs_person(self) -> bool:
        """Whether nothing happens before a person calls ~/ready or ~/start."""
        if self.phase is Phase.READY:
            return not self._is_starting_itself and not self._rules.follow
        return self.phase is Phase.RESETTING and not (
            self._is_resetting or self._reset_at is not None or self._settled_at is not None)

    def seconds(self, now: Moment) -> float:
        """Return the duration of the running episode, or of the last one."""
        if self.phase is Phase.RUNNING:
            return now.robot - self._begun
        return 0.0 if self.last is None else self.last.seconds

    def handle(
            self, event: Event, now: Moment, reason: str = '', marked: bool = False,
    ) -> list[Effect]:
        """
        Handle an event.

        :param event: The event.
        :param now: The time.
        :param reason: What caused it: the text of a refusal, or who ended the episode.
        :param marked: Whether a mark on the topic of marks requested it, so that recorders know.
        :return: Effects to carry out, in order.
        :raises NotNowError: If a request does not fit the state; nothing has changed then.
        """
        self._effects, self._now = [], now
        self._why, self._is_marked = reason, marked
        if not self.has_ended or event in _AFTER_THE_END:
            (self._follow if self._rules.follow else self._manage)(event)
        return self._effects

    # The robot is managed.

    def _manage(self, event: Event) -> None:
        {
            Event.TICK: self._tick, Event.FOUND: self._find, Event.LOST: self._lose,
            Event.STOPPED: self._confirm_stop, Event.STOP_FAILED: self._fail_stop,
            Event.PREPARED: self._release, Event.PREPARE_FAILED: self._fail_prepare,
            Event.RELEASED: self._confirm_release, Event.RELEASE_FAILED: self._fail_release,
            Event.OTHER_STOP: self._suspend, Event.OTHER_RELEASE: self._hold_again,
            Event.RESET_DONE: self._settle, Event.RESET_FAILED: self._fail_reset,
            Event.READY: self._be_ready, Event.START: self._be_asked,
            Event.MARKED_START: self._be_marked, Event.END: self._end,
            Event.SUCCESS: lambda: self._conclude(Phase.SUCCESS),
            Event.FAILURE: lambda: self._conclude(Phase.FAILURE),
            Event.ABANDON: lambda: self._conclude(Phase.ABANDONED),
        }[event]()

    def _tick(self) -> None:
        limit = self._rules.time_limit
        if self.phase is Phase.RUNNING and limit and self._now.robot - self._begun >= limit:
            self._finish(Phase.TIMEOUT, f'{limit:g} s have passed')
        if not self._is_present:
            return
        if not self._is_held and not self._is_stopping and self.phase is not Phase.RUNNING and (
                self._now.wall >= self._retry_at):
            self._stop()
        if self.has_ended:
            return
        if self._reset_at is not None and self._now.wall >= self._reset_at:
            self._call_reset()
        if self._settled_at is not None and self._now.wall >= self._settled_at:
            self._settled_at = None
            self._is_scene_set = True
            self._enter_ready()
        elif self.phase is Phase.READY and self._is_starting_itself:
            self._start()

    def _find(self) -> None:
        self._is_present = True
        if self.phase is Phase.WAITING:
            self.reason = 'the robot is being stopped'
        self._is_held = False
        self._stop()

    def _lose(self) -> None:
        self._is_present = self._is_held = self._is_stopping = self._stops_again = False
        self._wait(self._why)

    def _wait(self, why: str) -> None:
        """Go back to the search for the policy node."""
        if self.phase is Phase.RUNNING:
            self._record(Phase.ABANDONED, why)
        if self.phase in OUTCOMES:
            self._publish_mark()
        self._restarts = self._wants_start = False
        self._drop_reset()
        if self.phase is not Phase.WAITING:
            self._go(Phase.WAITING)
        self.reason = why

    def _confirm_stop(self) -> None:
        if not self._is_stopping:
            # The answer of a call that was given up.
            return
        self._is_stopping = False
        if self._stops_again:
            self._stops_again = False
            self._stop()
            return
        self._is_held = True
        if self.has_ended:
            self._publish_mark()
        elif self.phase is Phase.WAITING:
            self._prepare_scene()
        elif self.phase in OUTCOMES:
            self._publish_mark()
            if self._restarts:
                self._restarts = False
                self._start()
            else:
                self._prepare_scene()

    def _fail_stop(self) -> None:
        self._is_stopping = False
        self._retry_at = self._now.wall + RETRY
        if self.phase is not Phase.RUNNING:
            self.reason = f'the robot could not be stopped: {self._why}'

    def _fail_prepare(self) -> None:
        if self.phase is Phase.STARTING:
            self._retry_at = self._now.wall + RETRY
            self._is_held = False
            self._wait(self._why)

    def _release(self) -> None:
        if self.phase is not Phase.STARTING:
            return
        self.episode += 1
        self._begun = self._now.robot
        self._is_held = self._is_scene_set = self._wants_start = False
        self._go(Phase.RUNNING)
        # A recorder knows of the episode before the robot moves.
        self._effects += [Effect.MARK_START, Effect.RELEASE]

    def _confirm_release(self) -> None:
        if self.phase is Phase.RUNNING:
            return
        # The episode ended before the answer, and the two calls may have come in either order.
        self._is_held = False
        if self._is_stopping:
            self._stops_again = True
        elif self._is_present:
            self._stop()

    def _fail_release(self) -> None:
        if self.phase is Phase.RUNNING:
            self._finish(Phase.ABANDONED, self._why)

    def _suspend(self) -> None:
        self.is_suspended, self._wants_start, self._restarts = True, False, False
        # The next attempt to reset the scene could move what was stopped.
        self._reset_at = None
        if self.phase is Phase.RUNNING:
            self._finish(Phase.ABANDONED, self._why or _STOPPED_BY_OTHER)
        elif self.phase is Phase.STARTING:
            self._go(Phase.READY)
            self.reason = _STOPPED_BY_OTHER
        elif self.phase is Phase.READY or self.needs_person:
            self.reason = _STOPPED_BY_OTHER

    def _hold_again(self) -> None:
        if self.phase is Phase.RUNNING or self._is_stopping:
            return
        self._is_held = False
        if self.phase is Phase.STARTING:
            self._go(Phase.READY)
        if self.phase is Phase.READY:
            self.reason = 'another than this node called ~/resume; the robot is stopped again'
        self._stop()

    def _stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._effects.append(Effect.STOP)

    # Scene

    def _prepare_scene(self) -> None:
        """Have the scene reset, unless it is."""
        if self._is_scene_set:
            self._enter_ready()
            return
        self._go(Phase.RESETTING)
        self._failed_resets = 0
        if self.is_suspended:
            self.reason = _STOPPED_BY_OTHER
        elif self._rules.has_reset:
            self._call_reset()
        else:
            self.reason = _SET_THE_SCENE

    def _call_reset(self) -> None:
        self._reset_at = None
        self._is_resetting = True
        if not self._failed_resets:
            self.reason = ''
        self._effects.append(Effect.RESET)

    def _drop_reset(self) -> None:
        """Forget a call of the service; its answer will not count."""
        self._is_resetting = False
        self._reset_at = self._settled_at = None

    def _settle(self) -> None:
        if self._is_resetting:
            self._is_resetting = False
            self.reason = ''
            self._settled_at = self._now.wall + self._rules.settle

    def _fail_reset(self) -> None:
        if not self._is_resetting:
            return
        self._is_resetting = False
        self._failed_resets += 1
        most = self._rules.reset_attempts
        if self.is_suspended:
            self.reason = _STOPPED_BY_OTHER
        elif self._failed_resets < most:
            self._reset_at = self._now.wall + RETRY
            self.reason = f'attempt {self._failed_resets} of {most}: {self._why}'
        else:
            self._wants_start = False
            self.reason = f'{most} attempts failed, the last one: {self._why}; {_SET_THE_SCENE}'

    def _be_ready(self) -> None:
        if self.phase is Phase.READY:
            return
        if self.phase is not Phase.RESETTING or not self.needs_person:
            raise NotNowError(self._no('the scene cannot be declared ready'))
        self._is_scene_set = True
        self._enter_ready()

    def _enter_ready(self) -> None:
        self._go(Phase.READY)
        self.reason = _STOPPED_BY_OTHER if self.is_suspended else ''
        if self._is_starting_itself:
            self._start()

    @property
    def _is_starting_itself(self) -> bool:
        return self._wants_start or self._rules.auto_start and not self.is_suspended

    # Start and end

    def _be_asked(self) -> None:
        """Start on a person's request, which goes on after a stop of another, too."""
        if self.phase is Phase.RESETTING:
            self.is_suspended, self._wants_start = False, True
            if not self.needs_person:
                return
            if self._rules.has_reset:
                self._failed_resets = 0
                self._call_reset()
            else:
                self._be_ready()
            return
        if self.phase is not Phase.READY or not self._is_held:
            raise NotNowError(self._no('no episode can start'))
        self.is_suspended, self._wants_start = False, True
        self._start()

    def _be_marked(self) -> None:
        """Start at a mark, which may come from a program."""
        if self.phase is Phase.RUNNING:
            # For a recorder, a second start discards what was before.
            self._restarts = True
            self._finish(Phase.ABANDONED, 'restarted by a mark')
            return
        if self.is_suspended:
            raise NotNowError(_STOPPED_BY_OTHER)
        if self.phase is Phase.RESETTING and not self.needs_person:
            raise NotNowError(self._no('no episode can start'))
        self._be_asked()

    def _start(self) -> None:
        if not self._is_held:
            return
        self._go(Phase.STARTING)
        self.reason = ''
        self._effects.append(Effect.PREPARE)

    def _conclude(self, outcome: Phase) -> None:
        """End the episode on request."""
        if self.phase is not Phase.RUNNING:
            raise NotNowError(self._no('there is no episode to end'))
        self._finish(outcome, self._why)

    def _finish(self, outcome: Phase, why: str) -> None:
        """End the episode, and stop the robot."""
        self._record(outcome, why)
        self._stop()

    def _record(self, outcome: Phase, why: str) -> None:
        """Note how the episode ended."""
        self.last = Ended(self.episode, outcome, self.seconds(self._now), why)
        self._go(outcome)
        self.reason = why
        self._mark = None if self._is_marked or outcome is Phase.ABANDONED else (
            Effect.MARK_SUCCESS if outcome is Phase.SUCCESS else Effect.MARK_FAILURE)

    def _publish_mark(self) -> None:
        if self._mark is not None:
            self._effects.append(self._mark)
            self._mark = None

    def _end(self) -> None:
        self.has_ended = True
        self._drop_reset()
        if self.phase is Phase.RUNNING:
            self._record(Phase.ABANDONED, self._why)
        if self._is_present and not self._is_held:
            self._stop()

    def _no(self, what: str) -> str:
        """Explain why a request is refused."""
        return f'{what} now: the state is {self.phase.value!r}' + (
            f' ({self.reason})' if self.reason else '')

    def _go(self, phase: Phase) -> None:
        assert phase in TRANSITIONS[self.phase], (self.phase, phase)
        self.phase = phase
        self.reason = ''

    # Marks of another are followed.

    def _follow(self, event: Event) -> None:
        if event is Event.MARKED_START:
            if self.phase is Phase.RUNNING:
                self._record(Phase.ABANDONED, 'restarted by a mark')
            self.episode += 1
            self._begun = self._now.robot
            self._go(Phase.RUNNING)
        elif event is Event.END and self.phase is Phase.RUNNING:
            self._record(Phase.ABANDONED, self._why)
        elif event in (Event.SUCCESS, Event.FAILURE) and self._is_marked:
            if self.phase is not Phase.RUNNING:
                raise NotNowError(self._no('there is no episode to end'))
            self._record(
                Phase.SUCCESS if event is Event.SUCCESS else Phase.FAILURE, self._why)
        elif event in (
                Event.READY, Event.START, Event.SUCCESS, Event.FAILURE, Event.ABANDON):
            raise NotNowError(
                'this node only follows the marks of another (follow:=true); publish a mark')
        self._mark = None
