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
"""State machine of the episodes: each transition, and random sequences of events."""

from __future__ import annotations

from collections.abc import Sequence
import random
import re
from typing import ClassVar

import pytest

from dfp_ros.tools.episodes.machine import (
    Effect,
    EpisodeMachine,
    Event,
    Moment,
    NotNowError,
    OUTCOMES,
    Phase,
    RETRY,
    Rules,
    TRANSITIONS,
)
from testing import ROOT

PERSON = Rules()
SERVICE = Rules(has_reset=True, settle=2.0, auto_start=True)
START = (Effect.MARK_START, Effect.RELEASE)
ENDS = {Event.SUCCESS: Phase.SUCCESS, Event.FAILURE: Phase.FAILURE}


class Bench:
    """A machine with a clock."""

    def __init__(self, rules: Rules = PERSON) -> None:
        """Start at 100 s."""
        self.machine = EpisodeMachine(rules)
        self.time = 100.0

    @property
    def state(self) -> tuple[Phase, str]:
        """State and reason."""
        return self.machine.phase, self.machine.reason

    def give(self, event: Event, reason: str = '', marked: bool = False) -> tuple[Effect, ...]:
        """Give an event; return the effects."""
        return tuple(self.machine.handle(
            event, Moment(self.time, self.time / 2), reason, marked))

    def wait(self, seconds: float) -> tuple[Effect, ...]:
        """Let time pass."""
        self.time += seconds
        return self.give(Event.TICK)

    def go_to(self, phase: Phase) -> Bench:
        """Go to a state without a reset service."""
        path = {
            Phase.WAITING: (), Phase.RESETTING: (Event.FOUND, Event.STOPPED)}
        path[Phase.READY] = (*path[Phase.RESETTING], Event.READY)
        path[Phase.STARTING] = (*path[Phase.READY], Event.START)
        path[Phase.RUNNING] = (*path[Phase.STARTING], Event.PREPARED)
        ends = {
            Phase.SUCCESS: Event.SUCCESS, Phase.FAILURE: Event.FAILURE,
            Phase.ABANDONED: Event.ABANDON}
        for event in path[phase] if phase in path else (*path[Phase.RUNNING], ends[phase]):
            self.give(event)
        assert self.machine.phase is phase
        return self


def test_an_episode_from_its_start_to_the_next() -> None:
    """The robot is stopped first of all, and again at the end, before the mark."""
    bench = Bench()
    assert bench.state == (Phase.WAITING, 'no policy node yet')
    assert bench.give(Event.FOUND) == (Effect.STOP,)
    assert bench.state == (Phase.WAITING, 'the robot is being stopped')
    assert bench.give(Event.STOPPED) == ()
    assert bench.machine.phase is Phase.RESETTING
    assert bench.machine.needs_person
    assert bench.give(Event.READY) == ()
    assert bench.machine.phase is Phase.READY
    assert bench.machine.needs_person
    assert bench.give(Event.START) == (Effect.PREPARE,)
    assert bench.machine.phase is Phase.STARTING
    assert bench.give(Event.PREPARED) == START
    assert (bench.machine.phase, bench.machine.episode) == (Phase.RUNNING, 1)
    assert bench.give(Event.RELEASED) == ()
    bench.time += 8
    assert bench.give(Event.SUCCESS, 'the service ~/success') == (Effect.STOP,)
    assert bench.state == (Phase.SUCCESS, 'the service ~/success')
    assert bench.give(Event.STOPPED) == (Effect.MARK_SUCCESS,)
    assert bench.machine.phase is Phase.RESETTING
    last = bench.machine.last
    assert last is not None
    assert (last.number, last.outcome, last.seconds) == (1, Phase.SUCCESS, 4.0)
    assert bench.give(Event.START) == (Effect.PREPARE,), 'a person who starts has reset the scene'
    bench.give(Event.PREPARED)
    assert bench.machine.episode == 2


def test_a_time_limit_is_a_failure() -> None:
    """It counts on the robot's clock, and not before the start."""
    bench = Bench(Rules(time_limit=5.0)).go_to(Phase.READY)
    assert bench.wait(100) == ()
    bench.give(Event.START)
    assert bench.wait(100) == ()
    bench.give(Event.PREPARED)
    assert bench.wait(9.9) == ()
    assert bench.wait(0.1) == (Effect.STOP,)
    assert bench.state == (Phase.TIMEOUT, '5 s have passed')
    assert bench.give(Event.STOPPED) == (Effect.MARK_FAILURE,)


@pytest.mark.parametrize(('event', 'mark'), [
    (Event.SUCCESS, Effect.MARK_SUCCESS), (Event.FAILURE, Effect.MARK_FAILURE),
    (Event.ABANDON, None)])
def test_an_end_that_came_as_a_mark_is_not_marked_again(event: Event, mark: Effect) -> None:
    """An abandoned episode has no mark: for a recorder, the next start discards it."""
    for marked in (False, True):
        bench = Bench().go_to(Phase.RUNNING)
        assert bench.give(event, marked=marked) == (Effect.STOP,)
        assert bench.machine.phase is ENDS.get(event, Phase.ABANDONED)
        assert bench.give(Event.STOPPED) == ((mark,) if mark and not marked else ())


def test_a_service_resets_the_scene_and_episodes_start_by_themselves() -> None:
    """After the answer, the scene has time to settle."""
    bench = Bench(SERVICE)
    bench.give(Event.FOUND)
    assert bench.give(Event.STOPPED) == (Effect.RESET,)
    assert not bench.machine.needs_person
    assert bench.wait(100) == ()
    assert bench.give(Event.RESET_DONE) == ()
    assert bench.wait(1.9) == ()
    assert bench.machine.phase is Phase.RESETTING
    assert bench.wait(0.1) == (Effect.PREPARE,)
    assert bench.give(Event.PREPARED) == START
    bench.give(Event.FAILURE)
    assert bench.give(Event.STOPPED) == (Effect.MARK_FAILURE, Effect.RESET)


def test_a_reset_that_fails_is_repeated_and_then_left_to_a_person() -> None:
    """Each attempt is reported; nothing starts meanwhile."""
    bench = Bench(SERVICE)
    bench.give(Event.FOUND)
    bench.give(Event.STOPPED)
    for attempt in (1, 2):
        assert bench.give(Event.RESET_FAILED, 'jammed') == ()
        assert bench.state == (Phase.RESETTING, f'attempt {attempt} of 3: jammed')
        assert bench.wait(RETRY / 2) == ()
        assert bench.wait(RETRY / 2) == (Effect.RESET,)
    assert bench.give(Event.RESET_FAILED, 'jammed') == ()
    assert bench.machine.needs_person
    assert '3 attempts failed, the last one: jammed; a person resets' in bench.machine.reason
    assert bench.wait(100) == ()
    assert bench.give(Event.RESET_DONE) == (), 'an answer that comes late does not count'
    assert bench.wait(100) == ()
    assert bench.give(Event.READY) == (Effect.PREPARE,)


def test_a_start_after_failed_resets_tries_them_again() -> None:
    """A start needs a scene that is reset; only ~/ready says that a person did it."""
    bench = Bench(Rules(has_reset=True, reset_attempts=1, settle=0.0))
    bench.give(Event.FOUND)
    bench.give(Event.STOPPED)
    bench.give(Event.RESET_FAILED, 'jammed')
    assert bench.give(Event.START) == (Effect.RESET,)
    bench.give(Event.RESET_DONE)
    assert bench.wait(0) == (Effect.PREPARE,)


def test_a_start_during_a_reset_waits_for_it() -> None:
    """It is a person's; a mark that comes then is that of the robot's own reset."""
    bench = Bench(Rules(has_reset=True, settle=0.0))
    bench.give(Event.FOUND)
    bench.give(Event.STOPPED)
    with pytest.raises(NotNowError, match="no episode can start now: the state is 'resetting'"):
        bench.give(Event.MARKED_START, marked=True)
    assert bench.give(Event.START) == ()
    bench.give(Event.RESET_DONE)
    assert bench.wait(0) == (Effect.PREPARE,)
    assert bench.give(Event.PREPARED) == START
    assert bench.give(Event.ABANDON) == (Effect.STOP,)
    bench.give(Event.STOPPED)
    bench.give(Event.RESET_DONE)
    assert bench.wait(0) == (), 'one request is one start'
    assert bench.machine.phase is Phase.READY


@pytest.mark.parametrize('phase', [Phase.RUNNING, Phase.READY, Phase.STARTING])
def test_a_stop_of_another_is_not_resumed_before_a_start(phase: Phase) -> None:
    """Neither by the automatic start, nor by a mark, nor by ~/ready."""
    bench = Bench(Rules(auto_start=True))
    bench.give(Event.FOUND)
    bench.give(Event.STOPPED)
    bench.give(Event.READY)
    assert bench.machine.phase is Phase.STARTING
    if phase is Phase.RUNNING:
        bench.give(Event.PREPARED)
        bench.give(Event.RELEASED)
        assert bench.give(Event.OTHER_STOP) == (Effect.STOP,)
        assert bench.machine.phase is Phase.ABANDONED
        assert 'called ~/stop' in bench.machine.reason
        assert bench.give(Event.STOPPED) == ()
        assert bench.give(Event.READY) == ()
    elif phase is Phase.READY:
        assert bench.give(Event.PREPARE_FAILED, 'no answer') == ()
        bench.give(Event.OTHER_STOP)
        assert bench.wait(RETRY) == (Effect.STOP,)
        bench.give(Event.STOPPED)
    else:
        assert bench.give(Event.OTHER_STOP) == ()
        assert bench.give(Event.PREPARED) == (), 'the answer to a start that was taken back'
    assert bench.machine.phase is Phase.READY
    assert '~/start goes on' in bench.machine.reason
    assert bench.wait(100) == ()
    with pytest.raises(NotNowError, match='another than this node called ~/stop'):
        bench.give(Event.MARKED_START, marked=True)
    assert bench.give(Event.START) == (Effect.PREPARE,)
    assert bench.give(Event.PREPARED) == START


def test_a_stop_of_another_keeps_the_robot_from_being_reset() -> None:
    """Someone may stand in the cell; a start resets the scene first."""
    bench = Bench(SERVICE)
    bench.give(Event.FOUND)
    bench.give(Event.OTHER_STOP)
    assert bench.give(Event.STOPPED) == ()
    assert bench.machine.needs_person
    assert bench.wait(100) == ()
    assert bench.give(Event.START) == (Effect.RESET,)
    bench.give(Event.RESET_DONE)
    assert bench.wait(2) == (Effect.PREPARE,)


@pytest.mark.parametrize('events', [
    (Event.OTHER_STOP, Event.RESET_FAILED), (Event.RESET_FAILED, Event.OTHER_STOP)])
def test_a_stop_of_another_ends_the_attempts_to_reset(events: tuple[Event, Event]) -> None:
    """Their robot may be the one that is stopped, and whoever stopped it in its cell."""
    bench = Bench(SERVICE)
    bench.give(Event.FOUND)
    assert bench.give(Event.STOPPED) == (Effect.RESET,)
    for event in events:
        assert bench.give(event) == ()
    assert bench.wait(100) == ()
    assert bench.machine.needs_person
    assert '~/start goes on' in bench.machine.reason
    assert bench.give(Event.START) == (Effect.RESET,)
    bench.give(Event.RESET_DONE)
    assert bench.wait(2) == (Effect.PREPARE,)


@pytest.mark.parametrize('phase', [phase for phase in Phase if phase is not Phase.TIMEOUT])
def test_a_policy_node_that_is_gone_is_waited_for(phase: Phase) -> None:
    """From every state; the episode it leaves does not count, an outcome stays."""
    bench = Bench(Rules(auto_start=True) if phase is Phase.WAITING else PERSON).go_to(phase)
    mark = {
        Phase.SUCCESS: (Effect.MARK_SUCCESS,), Phase.FAILURE: (Effect.MARK_FAILURE,)}
    assert bench.give(Event.LOST, 'it is gone') == mark.get(phase, ())
    assert bench.state == (Phase.WAITING, 'it is gone')
    if phase is Phase.RUNNING:
        assert bench.machine.last is not None
        assert bench.machine.last.outcome is Phase.ABANDONED
        assert bench.machine.last.reason == 'it is gone'
    assert bench.wait(100) == ()
    with pytest.raises(NotNowError, match=r"the state is 'waiting' \(it is gone\)"):
        bench.give(Event.START)
    assert bench.give(Event.STOPPED) == (), 'an answer of the node that is gone'
    assert bench.give(Event.FOUND) == (Effect.STOP,)
    bench.give(Event.STOPPED)
    # The scene is still as it was set, if nothing has moved.
    assert bench.machine.phase is (
        Phase.READY if phase in (Phase.READY, Phase.STARTING) else Phase.RESETTING)


def test_a_stop_that_fails_is_repeated() -> None:
    """Until it succeeds, nothing goes on, and the state says why."""
    for phase in (Phase.WAITING, Phase.SUCCESS):
        bench = Bench().go_to(phase)
        if phase is Phase.WAITING:
            bench.give(Event.FOUND)
        for _ in range(3):
            assert bench.give(Event.STOP_FAILED, 'no answer within 3 s') == ()
            assert bench.state == (phase, 'the robot could not be stopped: no answer within 3 s')
            assert bench.wait(RETRY / 2) == ()
            assert bench.wait(RETRY / 2) == (Effect.STOP,)
        bench.give(Event.STOPPED)
        assert bench.machine.phase is Phase.RESETTING


def test_a_refused_start_is_reported() -> None:
    """The robot was never released; the scene stays set."""
    bench = Bench().go_to(Phase.STARTING)
    assert bench.give(Event.PREPARE_FAILED, 'the node is not active') == ()
    assert bench.state == (Phase.WAITING, 'the node is not active')
    assert bench.wait(RETRY) == (Effect.STOP,)
    bench.give(Event.STOPPED)
    assert bench.machine.phase is Phase.READY


def test_a_refused_release_abandons_the_episode() -> None:
    """It may have been executed, so the robot is stopped."""
    bench = Bench().go_to(Phase.RUNNING)
    assert bench.give(Event.RELEASE_FAILED, 'no answer within 3 s') == (Effect.STOP,)
    assert bench.state == (Phase.ABANDONED, 'no answer within 3 s')


def test_a_release_that_is_answered_after_the_end_is_followed_by_another_stop() -> None:
    """The node may have handled the stop first."""
    bench = Bench().go_to(Phase.RUNNING)
    bench.give(Event.ABANDON)
    assert bench.give(Event.RELEASED) == ()
    assert bench.give(Event.STOPPED) == (Effect.STOP,)
    assert bench.machine.phase is Phase.ABANDONED
    assert bench.give(Event.STOPPED) == ()
    assert bench.machine.phase is Phase.RESETTING
    assert bench.give(Event.RELEASED) == (Effect.STOP,)


@pytest.mark.parametrize('phase', [Phase.RESETTING, Phase.READY, Phase.STARTING])
def test_a_release_by_another_is_taken_back(phase: Phase) -> None:
    """Outside of an episode, the robot is held."""
    bench = Bench().go_to(phase)
    assert bench.give(Event.OTHER_RELEASE) == (Effect.STOP,)
    assert bench.give(Event.OTHER_RELEASE) == ()
    assert bench.give(Event.PREPARED) == ()
    if phase is not Phase.RESETTING:
        with pytest.raises(NotNowError, match='no episode can start now'):
            bench.give(Event.START)
    bench.give(Event.STOPPED)
    assert bench.machine.phase is (
        Phase.RESETTING if phase is Phase.RESETTING else Phase.READY)
    assert bench.give(Event.START) == (Effect.PREPARE,)


def test_a_start_mark_in_an_episode_restarts_it() -> None:
    """As a recorder takes it; the robot is stopped in between."""
    bench = Bench().go_to(Phase.RUNNING)
    assert bench.give(Event.MARKED_START, marked=True) == (Effect.STOP,)
    assert bench.state == (Phase.ABANDONED, 'restarted by a mark')
    assert bench.give(Event.STOPPED) == (Effect.PREPARE,)
    assert bench.give(Event.PREPARED) == START
    assert bench.machine.episode == 2
    # A person who stops the robot at this moment has the last word.
    bench.give(Event.MARKED_START, marked=True)
    bench.give(Event.OTHER_STOP)
    assert bench.give(Event.STOPPED) == ()
    assert bench.machine.phase is Phase.RESETTING


@pytest.mark.parametrize('phase', [
    phase for phase in Phase if phase not in (Phase.RUNNING, Phase.TIMEOUT)])
def test_an_end_outside_of_an_episode_is_refused(phase: Phase) -> None:
    """A late judge changes nothing."""
    for event in (Event.SUCCESS, Event.FAILURE, Event.ABANDON):
        bench = Bench().go_to(phase)
        with pytest.raises(NotNowError, match='there is no episode to end now'):
            bench.give(event)
        assert bench.machine.phase is phase


@pytest.mark.parametrize('phase', [phase for phase in Phase if phase is not Phase.TIMEOUT])
def test_the_end_of_the_program_stops_the_robot(phase: Phase) -> None:
    """An episode that runs is abandoned; nothing begins afterwards."""
    bench = Bench().go_to(phase)
    held = (Phase.WAITING, Phase.RESETTING, Phase.READY, Phase.STARTING, *OUTCOMES)
    assert bench.give(Event.END, 'asked to end') == (() if phase in held else (Effect.STOP,))
    mark = {
        Phase.SUCCESS: (Effect.MARK_SUCCESS,), Phase.FAILURE: (Effect.MARK_FAILURE,)}
    assert bench.give(Event.STOPPED) == mark.get(phase, ())
    for event in (Event.PREPARED, Event.START, Event.FOUND, Event.READY, Event.RESET_DONE):
        assert bench.give(event) == ()
    assert bench.wait(100) == ()


def test_marks_are_followed_without_any_call() -> None:
    """The robot stops and resets itself."""
    bench = Bench(Rules(follow=True))
    assert bench.state == (Phase.READY, 'follows marks')
    for event, mark, phase in (
            (Event.MARKED_START, True, Phase.RUNNING), (Event.SUCCESS, True, Phase.SUCCESS),
            (Event.MARKED_START, True, Phase.RUNNING), (Event.MARKED_START, True, Phase.RUNNING),
            (Event.FAILURE, True, Phase.FAILURE)):
        assert bench.give(event, marked=mark) == ()
        assert bench.machine.phase is phase
    assert bench.machine.episode == 3
    for event in (Event.START, Event.SUCCESS, Event.READY, Event.ABANDON):
        with pytest.raises(NotNowError, match='follow:=true'):
            bench.give(event)
    with pytest.raises(NotNowError, match='there is no episode to end now'):
        bench.give(Event.FAILURE, marked=True)


class Traced(EpisodeMachine):
    """A machine that notes its transitions."""

    seen: ClassVar[set[tuple[Phase, Phase]]] = set()

    def _go(self, phase: Phase) -> None:
        self.seen.add((self.phase, phase))
        super()._go(phase)


def test_every_transition_of_the_table_is_possible_and_no_other() -> None:
    """Random events visit all of it; the machine asserts that there is no other."""
    follows = {
        Phase.WAITING: (Event.FOUND, Event.STOPPED), Phase.RESETTING: (
            Event.READY, Event.RESET_DONE), Phase.READY: (Event.START, Event.MARKED_START),
        Phase.STARTING: (Event.PREPARED,),
        Phase.RUNNING: (Event.SUCCESS, Event.FAILURE, Event.TICK)}
    events = [event for event in Event if event is not Event.END]
    for seed in range(3000):
        generator = random.Random(seed)

        def flip(generator: random.Random = generator) -> bool:
            return generator.random() < 0.5

        bench = Bench()
        bench.machine = Traced(Rules(
            generator.choice((0.0, 0.05)), flip(), generator.choice((0.0, 1.0)), 2, flip(),
            generator.random() < 0.2))
        for _ in range(40):
            before = bench.machine.phase
            bench.time += generator.choice((0.0, 0.1, 1.0))
            event = generator.choice(
                follows.get(before, (Event.STOPPED, Event.LOST)) if flip() else events)
            try:
                bench.give(event, marked=flip())
            except NotNowError:
                assert bench.machine.phase is before
    assert Traced.seen == {
        (before, after) for before, states in TRANSITIONS.items() for after in states}


class Robot:
    """
    Policy node and reset service that execute calls late, in any order, or never.

    :param generator: Decides.
    """

    def __init__(self, generator: random.Random) -> None:
        """Run, as a policy node does that was started by someone."""
        self.is_moving = True
        self.is_there = False
        self._generator = generator
        self._waiting: list[Effect] = []

    def take(self, effects: Sequence[Effect]) -> None:
        """Take calls."""
        self._waiting += [effect for effect in effects if not effect.name.startswith('MARK')]

    def act(self, is_reliable: bool) -> list[tuple[Event, str]]:
        """Execute one of the waiting calls, and answer it."""
        if not self._waiting:
            return []
        call = self._waiting.pop(
            0 if is_reliable else self._generator.randrange(len(self._waiting)))
        # A call may be executed although no answer comes.
        is_executed = is_reliable or self._generator.random() < 0.8
        is_answered = is_executed and (is_reliable or self._generator.random() < 0.8)
        if call is Effect.STOP and is_executed:
            self.is_moving = False
        if call is Effect.RELEASE and is_executed:
            self.is_moving = True
        good, bad = {
            Effect.STOP: (Event.STOPPED, Event.STOP_FAILED),
            Effect.PREPARE: (Event.PREPARED, Event.PREPARE_FAILED),
            Effect.RELEASE: (Event.RELEASED, Event.RELEASE_FAILED),
            Effect.RESET: (Event.RESET_DONE, Event.RESET_FAILED)}[call]
        return [(good if is_answered else bad, '')]

    def is_waiting_for(self, call: Effect) -> bool:
        """Return whether a call was not executed yet."""
        return call in self._waiting

    def forget(self) -> None:
        """Lose all calls, as a node that is killed; its successor runs."""
        self._waiting = []
        self.is_moving = True


@pytest.mark.parametrize('block', range(8))
def test_the_robot_never_runs_outside_of_an_episode(block: int) -> None:
    """
    With calls that are late, lost or refused, and requests at any time.

    Outside of RUNNING, a robot that moves is being stopped; and once calls are answered again, it
    stands still. Nobody's stop is resumed, and no scene reset after it, before a start.
    """
    for seed in range(block * 250, (block + 1) * 250):
        _play(random.Random(seed))


def _play(generator: random.Random) -> None:
    """Play one random sequence."""
    rules = Rules(
        generator.choice((0.0, 3.0)), generator.random() < 0.5, 0.0, 2, generator.random() < 0.5)
    bench, robot = Bench(rules), Robot(generator)
    others_stop = False

    def give(event: Event, marked: bool = False) -> None:
        nonlocal others_stop
        try:
            effects = bench.give(event, 'because', marked)
        except NotNowError:
            return
        if event is Event.START:
            others_stop = False
        assert not (Effect.RELEASE in effects and (
            bench.machine.phase is not Phase.RUNNING or others_stop)), (event, effects)
        assert not (Effect.RESET in effects and others_stop), (event, effects)
        robot.take(effects)

    for _ in range(60):
        bench.time += generator.choice((0.0, 0.05, 1.0))
        what = generator.random()
        if what < 0.45:
            for event, _ in robot.act(is_reliable=False):
                give(event)
        elif what < 0.55:
            robot.is_there = not robot.is_there
            if not robot.is_there:
                robot.forget()
            give(Event.FOUND if robot.is_there else Event.LOST)
        elif what < 0.6 and robot.is_there:
            robot.is_moving = False
            others_stop = True
            give(Event.OTHER_STOP)
        elif what < 0.65 and robot.is_there and bench.machine.phase is not Phase.RUNNING:
            robot.is_moving = True
            give(Event.OTHER_RELEASE)
        elif what < 0.85:
            give(generator.choice((
                Event.READY, Event.START, Event.SUCCESS, Event.FAILURE, Event.ABANDON)))
        elif what < 0.9:
            give(Event.MARKED_START, marked=True)
        give(Event.TICK)
        if bench.machine.phase is Phase.RUNNING:
            assert not others_stop
    if generator.random() < 0.3:
        give(Event.END)
        if not robot.is_there:
            return
    # From here on, calls are answered, and a robot that moves unasked is noticed.
    if not robot.is_there:
        robot.is_there = True
        give(Event.FOUND)
    if bench.machine.phase is Phase.RUNNING:
        give(Event.ABANDON)
    for _ in range(30):
        bench.time += RETRY
        give(Event.TICK)
        for _ in range(5):
            if bench.machine.phase is Phase.RUNNING:
                return
            for event, _ in robot.act(is_reliable=True):
                give(event)
            is_stopping = robot.is_waiting_for(Effect.STOP)
            if robot.is_moving and not is_stopping and bench.machine.phase is not Phase.RUNNING:
                give(Event.OTHER_RELEASE)
    assert bench.machine.phase is Phase.RUNNING or not robot.is_moving


def test_the_page_draws_the_table() -> None:
    """docs/episodes.md has every transition but those of marks that are followed."""
    page = (ROOT / 'docs' / 'episodes.md').read_text()
    assert '(episode-states.svg)' in page
    about = re.search('<desc id="about">(.*?)</desc>', (
        ROOT / 'docs' / 'episode-states.svg').read_text())
    assert about is not None
    drawn = {
        (Phase(before), Phase(after))
        for before, after in re.findall(r'(\w+) to (\w+)', about[1])}
    assert drawn == {
        (before, after) for before, states in TRANSITIONS.items() for after in states
        if after is not Phase.RUNNING or before is Phase.STARTING}
    for phase in Phase:
        assert f'`{phase.value}`' in page
