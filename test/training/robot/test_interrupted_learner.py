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
"""A learner that is asked to end at any moment, and started again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
import json
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('rclpy')

from dfp_ros.core.files.digest import sha256  # noqa: E402
from testing import ROOT  # noqa: E402
from testing.fixtures.bags import decision, mark, Message, PERIOD, START  # noqa: E402
from testing.fixtures.robot_samples import shipped_robot  # noqa: E402
from testing.learning.small_runs import small  # noqa: E402
from testing.learning.transitions import drawn  # noqa: E402
from testing.policies.small_policy import cube_spec  # noqa: E402
from training.data.formats.rosbag.actions import ActionLayout  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.data.transitions.transitions import observation_fields  # noqa: E402
from training.learning.trainer.checkpoint_file import digest, read  # noqa: E402
from training.learning.trainer.exported_policy import write_policy  # noqa: E402
from training.learning.trainer.log import RunLog  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.learning.trainer.session import Session  # noqa: E402
from training.robot.candidate import Candidate  # noqa: E402
from training.robot.learner import Learner  # noqa: E402
from training.robot.robot_link import Answer, News  # noqa: E402
from training.robot.run_state import CHECKPOINT, open_run  # noqa: E402
from training.robot.settings import LearnerSettings  # noqa: E402

# Transitions of each episode.
EPISODES = 6, 1, 4, 7
# What updates depend on, and what they change.
PARTS = 'agent', 'optimiser', 'replay', 'batch_random', 'torch_random'
STATUS = json.dumps({
    'sha256': '0' * 64, 'since': 'now', 'spec': json.loads(cube_spec().to_json()), 'settings': {
        'robot': str(ROOT / 'config' / 'ur5e_cube.yaml'), 'publish_decisions': True}})


class Link:
    """A node that has said and decided all already."""

    policy_node, offer_service, held = '/dfp_policy', '/dfp_learner/offer', ''
    is_current, rival = True, None

    def __init__(self, messages: list[Message]) -> None:
        self.inbox: SimpleQueue[News] = SimpleQueue()
        self.inbox.put(News('status', STATUS, 0.0))
        for _, topic, message in messages:
            self.inbox.put(News('decision', message, 0.0) if topic.endswith('decision') else (
                News('mark', message.data, 0.0)))

    def say_seen(self, stamp: int, marks: int) -> None:
        """Have nobody wait for it."""

    def say_status(self, status: dict[str, Any]) -> None:
        """Have nobody hear it."""

    def mark_publishers(self) -> list[str]:
        """Have one program mark episodes."""
        return []


def messages() -> list[Message]:
    """Make episodes of some steps, without a gap within."""
    found: list[Message] = []
    number = 0
    for i, length in enumerate(EPISODES):
        found += mark(0, 'start')
        for _ in range(length + 1):
            number += 1
            time = START + number * PERIOD
            found += decision(number, time, time, number / 40)
        found += mark(0, ('success', 'failure')[i % 2])
        number += 10
    return found


def learn(
        run: Path, out: Path, heard: list[Message], stop: Callable[[int], bool]) -> list[str]:
    """
    Learn in a session of its own.

    :param stop: Whether it is asked to end after so many transitions.
    :return: What it says.
    """
    settings = LearnerSettings(
        steps=100, start=3, swap='never', checkpoint_every=5, updates_per_step=2)
    said: list[str] = []
    link: Any = Link(heard)
    state, episodes = open_run(run, out, settings)
    with RunLog(out, state.config, state.progress.step) as log, Session(
            state, out / CHECKPOINT, log, on_robot=True) as session:
        learner = Learner(out, state, episodes, settings, link, session, said.append)
        asked = state.progress

        def is_asked() -> bool:
            return stop(asked.environment_steps) or (
                link.inbox.empty() and asked.environment_steps == learner._ledger.received)
        learner.catch_up(lambda: stop(asked.environment_steps))
        learner.await_node(lambda: False)
        learner.run(is_asked)
    return said


@pytest.fixture(scope='module', name='run')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a clone whose data have the fields of the robot."""
    folder = tmp_path_factory.mktemp('run')
    data = drawn([10] * 4, observation=28, action=5)
    layout = [(field.name, field.size, field.unit) for field in cube_spec().observation]
    stored.save(folder / 'data.npz', replace(
        data, observation_fields=observation_fields(layout, data.observations),
        action_fields=ActionLayout.of_robot(shipped_robot()).fields_of(data.actions)))
    train(folder / 'run', small(
        folder / 'data.npz', horizon=3, best_of=2, improve_after=1000))
    return folder / 'run'


def test_it_learns_the_same_bit_for_bit(run: Path, tmp_path: Path) -> None:
    """Within an episode, too, of which the first session learns from a part."""
    total = sum(EPISODES)
    learn(run, tmp_path / 'whole', messages(), lambda count: False)
    whole = read(tmp_path / 'whole' / CHECKPOINT)
    assert whole['progress']['environment_steps'] == total
    for first, second in ((2, 9), (4, 5), (6, 6), (8, 17)):
        out = tmp_path / f'parts{first}'
        learn(run, out, messages(), lambda count, most=first: count >= most)
        assert read(out / CHECKPOINT)['progress']['environment_steps'] == first
        lengths = [len(stored.load(path)) for path in sorted((out / 'episodes').iterdir())]
        assert lengths == list(EPISODES)
        said = learn(run, out, [], lambda count, most=second: count >= most)
        found = read(out / CHECKPOINT)
        assert found['progress']['environment_steps'] == second
        said += learn(run, out, [], lambda count: False)
        assert not [line for line in said if 'lost' in line]
        found = read(out / CHECKPOINT)
        assert found['progress']['environment_steps'] == total
        for name in PARTS:
            assert digest(found[name]) == digest(whole[name]), (first, name)


class AskedLink(Link):
    """A node that takes requests, and has said and decided what it is given."""

    def __init__(self) -> None:
        self.inbox: SimpleQueue[News] = SimpleQueue()
        self.asked: list[tuple[str, str]] = []
        self.answer = Answer()

    def set_parameter(self, name: str, value: str) -> Answer:
        """Take a request."""
        self.asked.append((name, value))
        self.answer = Answer()
        return self.answer

    def promote(self) -> Answer:
        """Take a request."""
        return self.set_parameter('promote', '')

    def say(self, **changes: Any) -> None:
        """Have the learner hear another status."""
        self.inbox.put(News('status', json.dumps({
            **json.loads(STATUS), 'robot': {'sha256': 'one'}, **changes}), 0.0))

    def decide(self, number: int, count: int, *words: str) -> None:
        """Have the learner hear a start mark, some decisions, and other marks."""
        self.inbox.put(News('mark', 'start', 0.0))
        for i in range(number, number + count):
            time = START + i * PERIOD
            for _, _, message in decision(i, time, time, i / 40):
                self.inbox.put(News('decision', message, 0.0))
        for word in words:
            self.inbox.put(News('mark', word, 0.0))


@contextmanager
def asking(run: Path, out: Path) -> Iterator[tuple[Learner, AskedLink, Candidate]]:
    """Start a learner whose node has heard of nothing yet, and make it a policy."""
    settings = LearnerSettings(steps=100, start=50, swap_every=10**6)
    made: Any = AskedLink()
    made.say()
    state, episodes = open_run(run, out, settings)
    path = out / 'policy.onnx'
    write_policy(state.agent, state.spec, path)
    with RunLog(out, state.config, state.progress.step) as log, Session(
            state, out / CHECKPOINT, log, on_robot=True) as session:
        learner = Learner(out, state, episodes, settings, made, session, lambda line: None)
        learner.await_node(lambda: False)
        yield learner, made, Candidate(path, sha256(path), 1, 1)


@pytest.mark.parametrize(('end', 'asked'), [
    (['failure'], ['shadow', 'promote']), (['start'], ['shadow', 'promote']), ([], ['shadow'])])
def test_a_learner_that_ends_within_an_episode_lets_no_policy_take_over(
        run: Path, tmp_path: Path, end: list[str], asked: list[str]) -> None:
    """The robot goes on in its episode, and what takes over between two of them is not due."""
    with asking(run, tmp_path / 'out') as (learner, link, candidate):
        learner._releases.stage(candidate, 0.0)
        link.answer.problem = ''
        link.say(shadow={'sha256': candidate.sha256})
        learner._take(0.0)
        learner._release()
        link.decide(10, 5, *end)
        learner._take(0.0)
        learner.run(lambda: True)
        assert [name for name, _ in link.asked] == asked


def test_no_policy_is_sent_to_another_robot(run: Path, tmp_path: Path) -> None:
    """It came with the first mark, or at once if the node was started again in an episode."""
    with asking(run, tmp_path / 'out') as (learner, link, candidate):
        learner._releases.swap(candidate, 0.0)
        link.answer.problem = ''
        link.say(sha256=candidate.sha256, since='then', previous={'sha256': '0' * 64})
        link.decide(10, 5)
        learner._take(0.0)
        learner._release()
        assert learner._releases.swaps == 1
        link.asked.clear()
        link.say(since='later', robot={'sha256': 'two'})
        link.decide(30, 5, 'failure')
        learner._take(0.0)
        learner._release()
        assert not link.asked
        link.say(since='last')
        link.decide(50, 5)
        learner._take(0.0)
        learner._release()
        assert not link.asked
        link.decide(60, 0, 'failure')
        learner._take(0.0)
        assert link.asked == [('policy', str(candidate.path))]


def test_an_episode_in_which_the_learner_stood_still_has_no_success(
        run: Path, tmp_path: Path) -> None:
    """
    The decisions that were made meanwhile are lost, and marks are not.

    A success of steps that nobody heard of was learned as that of the last one before them.
    """
    out = tmp_path / 'out'
    with asking(run, out) as (learner, link, _):
        link.decide(10, 5)
        link.inbox.put(News('mark', 'success', 0.0, is_doubtful=True))
        link.inbox.put(News('mark', 'start', 0.0, is_doubtful=True))
        link.inbox.put(News('mark', 'success', 0.0))
        link.decide(50, 5, 'success')
        learner._take(0.0)
        first, second = (
            stored.load(path) for path in sorted((out / 'episodes').glob('*.npz')))
        assert first.source['ended'] == 'learner stood still'
        assert first.masks.tolist() == [1, 1, 1, 1]
        assert second.masks.tolist() == [1, 1, 1, 0]
        assert second.source['ended'] == 'success'


def test_an_episode_in_which_the_learner_stood_still_ends_with_its_mark(
        run: Path, tmp_path: Path) -> None:
    """On a machine on which it stands still in each, a policy never took over."""
    with asking(run, tmp_path / 'out') as (learner, link, candidate):
        learner._releases.stage(candidate, 0.0)
        link.answer.problem = ''
        link.say(shadow={'sha256': candidate.sha256})
        learner._take(0.0)
        learner._release()
        link.decide(10, 5)
        link.inbox.put(News('mark', 'success', 0.0, is_doubtful=True))
        learner._take(0.0)
        assert [name for name, _ in link.asked] == ['shadow']
        link.inbox.put(News('mark', 'failure', 0.0))
        learner._take(0.0)
        assert [name for name, _ in link.asked] == ['shadow', 'promote']


def test_the_first_decision_counts_though_the_learner_stood_still(
        run: Path, tmp_path: Path) -> None:
    """A robot in lockstep, which waits for it, would wait for ever."""
    with asking(run, tmp_path / 'out') as (learner, link, _):
        link.inbox.put(News('mark', 'start', 0.0))
        (_, _, message), = decision(10, START, START, 0.0, lockstep=True)
        link.inbox.put(News('decision', message, 0.0, is_doubtful=True))
        learner._take(0.0)
        assert learner._is_lockstep
