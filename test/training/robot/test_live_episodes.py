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
"""Live transitions: those of a conversion of the recording, and what splits them."""

from __future__ import annotations

from dataclasses import replace
import os
from pathlib import Path
import tracemalloc
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.control.decision import Commanding, Decision, State
from dfp_ros.core.control.decision_row import DecisionRow, read_decision, RecordedDecision
from dfp_ros.core.control.input_log import Entry
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.safety.reasons import Reason
from testing.fixtures.bags import (
    array,
    mark,
    Message,
    MS,
    observation,
    PERIOD,
    START,
    state,
    write_bag,
)
from testing.fixtures.robot_samples import shipped_robot
from testing.policies.small_policy import cube_spec
from training.data.formats.rosbag.actions import ActionLayout
from training.data.formats.rosbag.convert import convert, Options
from training.data.transitions import stored
from training.data.transitions.transitions import COLUMNS
from training.robot.episode_files import EpisodeFiles
from training.robot.live_episodes import anchor_fault, LiveEpisode, LiveEpisodes, Row

ROBOT = shipped_robot()
LAYOUT = ActionLayout.of_robot(ROBOT)
SIZES = [(entry.action, entry.size) for topic in ROBOT.commands for entry in topic.entries]
UNITS = np.array([1, 1, 1, 6, 20])


def row(
        number: int, value: float, held: bool = False, loop: int = 1, late: int = 0,
        step: int = 0, stops: int = 0, stopped: bool = False) -> tuple[DecisionRow, Any]:
    """Write a decision in lockstep with the clock; its command is half of the policy's answer."""
    stamp = START + number * PERIOD + late
    raw = np.full(5, value)
    state, reason = (State.STOPPED, Reason.OPERATOR_STOP) if stopped else (
        (State.HOLD, Reason.STALE) if held else (State.RUNNING, Reason.NONE))
    found = Decision(
        state, reason, '', raw / 2 * UNITS, observation(value), raw.astype(np.float32),
        raw * UNITS)
    rows = DecisionRow(ROBOT.sources, 28, SIZES)
    samples = {name: Sample(stamp, stamp, {}) for name in ROBOT.sources}
    return rows, rows.write(number, stamp, False, found, samples, Entry(
        loop, 10 * loop, step=step, stop_commands=stops))


def decide(number: int, value: float, person: bool = False, **options: Any) -> RecordedDecision:
    """Make a decision as it is read."""
    rows, numbers = row(number, value, **options)
    decision = read_decision(rows.parts, numbers)
    if person:
        object.__setattr__(decision, 'commander', Commanding.PERSON)
    return decision


class Live:
    """Live episodes, with all that they have given."""

    def __init__(self) -> None:
        self.subject = LiveEpisodes(LAYOUT, 0.05)
        self.rows: list[Row] = []
        self.episodes: list[LiveEpisode] = []

    def decide(self, *arguments: Any, **options: Any) -> int:
        """Add a decision; return how many transitions are final with it."""
        rows = self.subject.decide(decide(*arguments, **options))
        self.rows += rows
        return len(rows)

    def mark(self, word: str) -> None:
        """Add a mark."""
        rows, episode = self.subject.mark(word)
        self.rows += rows
        self.episodes += [episode] if episode else []

    def column(self, name: str) -> list[float]:
        """Return a column of all transitions."""
        return [float(row[name]) for row in self.rows]


# Numbers of decisions, with what is special about some; and how the episode ends.
SCRIPTS: list[tuple[list[tuple[int, dict[str, Any]]], str]] = [
    ([(i, {}) for i in range(8)], 'success'),
    ([(i, {}) for i in range(8)], 'failure'),
    ([(i, {}) for i in range(12) if i not in (4, 5)], 'success'),
    ([(i, {'held': i == 3}) for i in range(9)], 'failure'),
    ([(i, {'loop': 1 + (i > 3)}) for i in range(9)], 'success'),
    ([(i, {'loop': 1 + (i > 6)}) for i in range(8)], 'success'),
    ([(i, {'held': i == 7}) for i in range(8)], 'success'),
    ([(i, {'held': i == 6, 'loop': 1 + (i > 6)}) for i in range(8)], 'success'),
    ([(i, {'stopped': i > 5}) for i in range(8)], 'success'),
    ([(i, {'stopped': i == 4}) for i in range(9)], 'success'),
    ([(i, {'late': 40 * MS if i == 5 else 0}) for i in range(9)], 'failure'),
    ([(i, {'step': 1 + (i + 3) % 7}) for i in range(9)], 'failure'),
    ([(i, {'stops': 2 * (i == 5)}) for i in range(9)], 'success')]


def test_a_step_is_cut_short_by_a_reset_or_a_stop() -> None:
    """A stop was sent that is no decision, so what was decided did not lead to what came next."""
    for options in ({'step': 1}, {'stops': 1}):
        live = Live()
        live.mark('start')
        for i in range(8):
            live.decide(i, i / 20, **(options if i == 5 else {'step': 2 + i}))
        live.mark('success')
        assert [len(piece.observations) for piece in live.episodes[0].pieces] == [5, 3]
        assert live.column('terminals') == [0, 0, 0, 1, 0, 1], options


@pytest.mark.parametrize(('after', 'masks', 'terminals'), [
    ({6: {'stopped': True}, 7: {'stopped': True}}, [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]),
    ({6: {'stopped': True, 'stops': 1}}, [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]),
    ({6: {'stopped': True}, 7: {}, 8: {}}, [1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1]),
    ({6: {'stopped': True}, 7: {}}, [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]),
    ({6: {'held': True}, 7: {'stopped': True}}, [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]),
    ({7: {'stopped': True}}, [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]),
    ({6: {'stopped': True, 'late': 40 * MS}}, [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]),
    ({6: {'held': True}, 7: {'loop': 2}}, [1, 1, 1, 1, 1], [0, 0, 0, 0, 1])])
def test_a_success_is_that_of_the_steps_before_a_stop_and_of_none_before_a_gap(
        after: dict[int, dict[str, Any]], masks: list[float], terminals: list[float]) -> None:
    """
    Whoever ends an episode may stop the robot before the mark, as the episode manager does.

    A fault before the stop, a decision that is lost, and a step that is late, are gaps.
    """
    live = Live()
    live.mark('start')
    for i in range(6):
        live.decide(i, i / 20)
    for i, options in after.items():
        live.decide(i, i / 20, **options)
    live.mark('success')
    assert live.column('masks') == masks
    assert live.column('rewards') == [-mask for mask in masks]
    assert live.column('terminals') == terminals


@pytest.mark.parametrize(('script', 'end'), SCRIPTS)
def test_they_are_those_of_the_recording(
        tmp_path: Path, script: list[tuple[int, dict[str, Any]]], end: str) -> None:
    """Gaps, held steps, swaps, late steps: the same columns as from a bag, live and in files."""
    messages: list[Message] = mark(START - MS, 'start')
    live = Live()
    live.mark('start')
    for number, options in script:
        value = number / 20
        rows, numbers = row(number, value, **options)
        at = START + number * PERIOD + options.get('late', 0)
        messages += state(at, value, at)
        messages.append((at + MS, '/dfp_policy/decision', array(numbers, rows.parts)))
        live.decide(number, value, **options)
    live.mark(end)
    messages += mark(START + 30 * PERIOD, end)
    expected, _ = convert(
        [write_bag(tmp_path / 'bag', messages)], ROBOT, Options(0.05, LAYOUT))
    files = EpisodeFiles(tmp_path, cube_spec())
    path = files.write(live.episodes[0], 7)
    assert path is not None
    written = stored.load(path)
    notes: list[str] = []
    read = [found for found, _ in files.rows_from(7, notes)]
    assert not notes
    for name in COLUMNS:
        columns = np.array([found[name] for found in live.rows])
        assert columns.dtype == np.float32
        np.testing.assert_allclose(columns, getattr(expected, name), atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(getattr(written, name), columns)
        np.testing.assert_array_equal([found[name] for found in read], columns)


def test_a_learner_that_ended_within_an_episode_reads_the_rest_of_it(tmp_path: Path) -> None:
    """Transitions that it has learned from are not read again; those that are lost are told."""
    files = EpisodeFiles(tmp_path, cube_spec())
    for first in (100, 120):
        live = Live()
        live.mark('start')
        for i in range(10):
            live.decide(i, i / 20)
        live.mark('failure')
        files.write(replace(live.episodes[0], number=first), first)
    notes: list[str] = []
    for first, lost in (
            (100, [0] * 9 + [11] + [0] * 8), (104, [0] * 5 + [11] + [0] * 8),
            (108, [0] + [11] + [0] * 8), (109, [11] + [0] * 8), (124, [0] * 5), (129, [])):
        notes.clear()
        found = list(files.rows_from(first, notes))
        assert [count for _, count in found] == lost, first
        assert len(notes) == (first < 110)
        if notes:
            assert 'found transitions from number 120, expected 109; those between' in notes[0]
        both = live.rows * 2
        for name in COLUMNS:
            np.testing.assert_array_equal(
                [row[name] for row, _ in found],
                [row[name] for row in both[len(both) - len(found):]])


def test_episodes_of_another_robot_are_left_out(tmp_path: Path) -> None:
    """A file in the folder that another run has written is named, and not learned from."""
    live = Live()
    live.mark('start')
    for i in range(5):
        live.decide(i, i / 20)
    live.mark('failure')
    assert EpisodeFiles(tmp_path, cube_spec()).write(live.episodes[0], 0) is not None
    for changes, message in (
            ({'observation': cube_spec().observation[:-1]}, 'observation field 8: found'),
            ({'action': tuple(replace(field, high=(9.0,) * field.size)
                              for field in cube_spec().action)}, 'action field 0: found'),
            ({'period': 0.1}, 'found a period of 0.05 s, expected 0.1 s')):
        notes: list[str] = []
        assert not list(EpisodeFiles(tmp_path, cube_spec(**changes)).rows_from(0, notes))
        assert len(notes) == 1
        assert f'left out: {message}' in notes[0]
    (tmp_path / 'episodes' / 'episode-000000.npz').unlink()
    os.mkfifo(tmp_path / 'episodes' / 'episode-000000.npz')
    (tmp_path / 'episodes' / 'episode-000001.npz').symlink_to('/dev/zero')
    notes = []
    assert not list(EpisodeFiles(tmp_path, cube_spec()).rows_from(0, notes))
    assert [note.partition('found ')[2] for note in notes] == [
        'something other than a regular file'] * 2


def test_a_transition_is_final_with_the_step_after_its_successor() -> None:
    live = Live()
    live.mark('start')
    assert [live.decide(i, i / 20) for i in range(5)] == [0, 0, 1, 1, 1]
    live.mark('failure')
    assert len(live.rows) == 4
    assert live.column('terminals') == [0, 0, 0, 1]
    assert live.column('masks') == [1] * 4


def test_a_swap_loses_no_transition_and_no_chunk_reaches_across() -> None:
    live = Live()
    live.mark('start')
    for i in range(6):
        live.decide(i, i / 20, loop=1 + (i > 2))
    live.mark('success')
    assert live.column('terminals') == [0, 0, 1, 0, 1]
    assert live.column('masks') == [1, 1, 1, 1, 0]
    episode, = live.episodes
    assert episode.policies == (10, 20)
    assert episode.last_policy == 20
    assert episode.rewards == -4


@pytest.mark.parametrize('person', [False, True])
def test_a_policy_that_comes_back_is_the_last_one(person: bool) -> None:
    """Its episode is counted for it, not for the one that gave way to it."""
    live = Live()
    live.mark('start')
    for i, loop in enumerate((1, 1, 2, 2, 1, 1)):
        live.decide(i, i / 20, loop=loop)
    if person:
        live.decide(6, 0.3, loop=3, person=True)
        live.decide(7, 0.3, loop=3, person=True)
    live.mark('failure')
    episode, = live.episodes
    assert episode.policies == (10, 20)
    assert episode.last_policy == 10


@pytest.mark.parametrize('length', [1, 2, 4])
def test_what_a_person_does_is_kept_as_a_demonstration_too(tmp_path: Path, length: int) -> None:
    """Even a single step; the steps before and after are not joined to it in a chunk."""
    live = Live()
    live.mark('start')
    for i in range(10):
        live.decide(i, i / 20, person=3 <= i < 3 + length)
    live.mark('failure')
    ends = [i for i, end in enumerate(live.column('terminals')) if end]
    assert ends == [2, 2 + length, 8]
    episode, = live.episodes
    assert episode.person_steps == length
    files = EpisodeFiles(tmp_path, cube_spec())
    files.write(episode, 0)
    path, = (tmp_path / 'demonstrations').glob('*.npz')
    found = stored.load(path)
    assert len(found) == length
    np.testing.assert_allclose(found.actions[:, 0], [(3 + i) / 40 for i in range(length)])
    assert stored.load(next((tmp_path / 'episodes').glob('*.npz'))).source['person_steps'] == (
        length)


@pytest.mark.parametrize('within', [False, True])
def test_decisions_without_end_take_no_memory(within: bool) -> None:
    """
    A learner hears them for days, most of them outside of episodes.

    Within one, a robot whose driver has ended is held over night; each step took longer than the
    one before.
    """
    first, live = decide(0, 0.5, held=within), LiveEpisodes(LAYOUT, 0.05)
    if within:
        live.mark('start')
    tracemalloc.start()
    try:
        live.decide(first)
        before = tracemalloc.get_traced_memory()[0]
        for i in range(1, 1000):
            live.decide(replace(first, number=i, stamp=first.stamp + i * PERIOD))
        assert tracemalloc.get_traced_memory()[0] < before + 5_000
    finally:
        tracemalloc.stop()


def test_a_restarted_node_is_a_gap() -> None:
    """Its numbers begin again, and nothing is joined."""
    live = Live()
    live.mark('start')
    for i in range(3, 6):
        live.decide(i, i / 20)
    for i in range(10, 13):
        rows, numbers = row(i, i / 20)
        numbers[0] = i - 9
        live.rows += live.subject.decide(read_decision(rows.parts, numbers))
    live.mark('success')
    assert live.column('terminals') == [0, 1, 0, 1]


def test_a_relative_action_is_what_was_asked_for_unless_it_was_limited() -> None:
    """What was sent is a position then, and no action."""
    live = LiveEpisodes(LAYOUT, 0.05, relative=['gripper_rate'])
    live.mark('start')
    rows = []
    for i in range(6):
        decision = decide(i, i / 20)
        if i == 3:
            decision = replace(decision, reason=Reason.LIMITED)
        rows += live.decide(decision)
    last, episode = live.mark('failure')
    assert episode is not None
    assert episode.dropped == {'relative command limited': 1}
    actions = np.array([found['actions'] for found in [*rows, *last]])
    np.testing.assert_allclose(actions[:, 4], [0, 0.05, 0.2], atol=1e-6)
    np.testing.assert_allclose(actions[:, 0], [0, 0.025, 0.1], atol=1e-6)


def test_marks_that_come_twice_and_episodes_without_an_end() -> None:
    live = Live()
    for i, word in enumerate(('success', 'start', 'start')):
        live.mark(word)
        assert not live.episodes, i
    for i in range(4):
        live.decide(i, i / 20)
    live.mark('start')
    assert [episode.ended for episode in live.episodes] == ['started again']
    assert live.episodes[0].success is None
    for i in range(4, 7):
        live.decide(i, i / 20)
    rows, episode = live.subject.give_up('learner ended')
    assert episode is not None
    assert episode.number == 1
    assert [float(found['terminals']) for found in rows] == [1]
    assert live.column('masks') == [1] * 4


def test_an_action_relative_to_an_earlier_position_is_not_learned_from() -> None:
    """Only if there is a relative action, and the policy's chunks have an anchor of their own."""
    spec = cube_spec(anchor='observation')
    assert 'its gripper_rate is relative to the position that its chunk was planned from' in (
        anchor_fault(spec, ['gripper_rate']))
    assert not anchor_fault(spec, [])
    assert not anchor_fault(cube_spec(), ['gripper_rate'])
