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
"""A learner whose robot is killed, whose clock is set back, and that a person takes over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import csv
import json
from pathlib import Path
import re

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('rclpy')

from std_msgs.msg import String  # noqa: E402

from dfp_ros.core.control.decision import Commanding, State  # noqa: E402
from dfp_ros.core.control.decision_row import RecordedDecision  # noqa: E402
from dfp_ros.core.safety.reasons import Reason  # noqa: E402
from dfp_ros.node.ros.qos import STATUS_QOS  # noqa: E402
from testing.processes.arm_person import ArmPerson  # noqa: E402
from testing.processes.fast_clock import FastClock  # noqa: E402
from testing.processes.heard_decisions import brief, HeardDecisions  # noqa: E402
from testing.processes.robot_learning import (  # noqa: E402
    await_output,
    LearningCell,
    ROBOT,
)
from testing.processes.ros_processes import NodeProcess, Peer  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.data.transitions.transitions import Transitions  # noqa: E402

pytestmark = pytest.mark.slow
PERIOD = 0.05
# It gives way to robot and node, of which every decision is judged.
WORDS = (
    '--start', '50', '--swap-every', '200', '--most-behind', '100', '--swap', 'in_flight',
    '--nice', '10')
# Limits of velocity and acceleration of each number of the action.
SPEED = np.array([0.8, 0.8, 0.8, 4.0, 16.0])
ACCELERATION = np.array([8.0, 8.0, 8.0, 60.0, 200.0])
PACE = 5.0


class Learning:
    """
    A cell, its learner, and what was learned.

    :param cell: The cell.
    :param learner: The learner.
    :param out: Its folder.
    :param clock: Time of robot and node.
    """

    def __init__(
            self, cell: LearningCell, learner: NodeProcess, out: Path, clock: FastClock) -> None:
        self.cell, self.learner, self.out, self.clock = cell, learner, out, clock

    @contextmanager
    def heard(self) -> Iterator[tuple[Peer, HeardDecisions]]:
        """Hear the node; if the test fails, print what all processes said."""
        with Peer(self.cell.domain) as peer:
            decisions = HeardDecisions(peer)
            try:
                yield peer, decisions
            except BaseException:
                for process in (self.learner, self.cell.robot, self.cell.node):
                    print(process.output)
                raise

    def await_more(self, peer: Peer, text: str, count: int = 1) -> None:
        """Wait until the learner has said something so many more times."""
        before = self.learner.output.count(text)
        peer.wait_for(lambda: self.learner.output.count(text) >= before + count, 300.0)

    @property
    def updates(self) -> int:
        """Return the number of updates that the learner has said last."""
        return int(re.findall(r'(\d+) updates', self.learner.output)[-1])

    def episodes(self, folder: str = 'episodes') -> list[Transitions]:
        """Load all episodes."""
        return [stored.load(path) for path in sorted((self.out / folder).glob('*.npz'))]

    def require_true(self, decisions: HeardDecisions) -> int:
        """
        Require that each transition is what was decided and sent, in one go.

        :return: The number of transitions whose decisions were heard.
        """
        count = 0
        for episode in self.episodes():
            assert np.isfinite(episode.observations).all()
            assert np.abs(episode.actions).max() <= 1
            assert episode.terminals[-1] == 1
            following = episode.terminals[:-1] == 0
            np.testing.assert_array_equal(
                episode.next_observations[:-1][following], episode.observations[1:][following])
            rows = decisions.all
            for i, place in decisions.find_steps(episode, PERIOD):
                first, second = rows[place:place + 2]
                count += 1
                by_person = episode.interventions is not None and episode.interventions[i] == 1
                # A robot at rest has one observation in several steps.
                if not np.array_equal(first.observation, second.observation):
                    assert by_person == (first.commander is Commanding.PERSON)
                if commands(first) != commands(second):
                    assert episode.terminals[i] == 1, (
                        f'transition {i} of {len(episode)}, at the change from '
                        + ' to '.join(
                            f'{brief(row)}, policy {commands(row)[2]}' for row in (first, second))
                        + (', with one observation' if np.array_equal(
                            first.observation, second.observation) else ''))
        return count


def commands(decision: RecordedDecision) -> tuple[bool, int, int]:
    """Return whether a person commands, and which loop and policy there is."""
    assert decision.entry is not None
    return (
        decision.commander is Commanding.PERSON, decision.entry.loop, decision.entry.policy)


@pytest.fixture(scope='module')
def learning(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learning]:
    """Start a robot whose commands have limits, and that a person can take over with patience."""
    out = tmp_path_factory.mktemp('learning')
    text = ROBOT.read_text()
    for limit, velocity, acceleration in (('1.0', 0.8, 8.0), ('6.0', 4.0, 60.0),
                                          ('20.0', 16.0, 200.0)):
        line = f'        limit: {limit}\n'
        assert line in text
        text = text.replace(line, (
            f'{line}        limits: {{velocity: {velocity}, acceleration: {acceleration}}}\n'))
    text = text.replace('max_age: 0.3', 'max_age: 5.0')
    (out / 'robot.yaml').write_text(text)
    timed = {'use_sim_time': 'true'}
    with LearningCell(
            clone, {**timed, 'robot': out / 'robot.yaml'},
            {**timed, 'mode': 'realtime', 'real_time_factor': PACE, 'state_rate': 20.0},
    ) as cell, FastClock(cell.domain, PACE) as clock:
        learner = cell.start_learner(str(clone.parent), '--out', str(out), *WORDS)
        await_output(learner, 'takes over')
        yield Learning(cell, learner, out, clock)


def test_a_robot_that_is_killed(learning: Learning) -> None:
    """It is held; with the next robot the episode ends, and learning goes on."""
    cell = learning.cell
    with learning.heard() as (peer, decisions):
        # In the middle of an episode, unless this test is slower than all of it.
        for seed in range(1000, 6000, 1000):
            decisions.await_one(lambda row: row.entry is not None and 15 < row.entry.step < 100)
            cell.robot.process.kill()
            number, before = len(learning.episodes()), learning.updates
            held = decisions.await_one(lambda row: row.state is State.HOLD, 5)[-1]
            assert Reason.STALE in held.reason
            assert held.sent is not None
            assert not np.concatenate(list(held.sent.values())).any()
            cell.robot.leave()
            # With other scenes, so that no observation comes twice.
            cell.start_robot(seed=seed)
            learning.await_more(peer, ', return', 2)
            again = [
                one.source['ended'] for one in learning.episodes()[number:]
            ].count('started again')
            if again:
                break
        assert again == 1
        assert learning.require_true(decisions) > 30
    assert learning.updates > before


def test_a_clock_that_is_set_back(learning: Learning) -> None:
    """The robot is held until its stamps are credible again, and the episode is split."""
    with learning.heard() as (peer, decisions):
        # In the middle of an episode, unless this test is slower than all of it.
        for _ in range(5):
            decisions.await_one(lambda row: row.entry is not None and 40 < row.entry.step < 100)
            learning.clock.set_back(1.0)
            decisions.await_one(lambda row: Reason.CLOCK_RESET in row.reason)
            decisions.await_one(lambda row: row.state is State.RUNNING, 20)
            learning.await_more(peer, ': not solved, return')
            rows = decisions.all
            back = [i for i in range(1, len(rows)) if rows[i].stamp < rows[i - 1].stamp]
            assert all(Reason.CLOCK_RESET in rows[i].reason for i in back)
            places = [
                [place for _, place in decisions.find_steps(episode, PERIOD)]
                for episode in learning.episodes()]
            if any(found and found[0] < back[-1] < found[-1] for found in places):
                break
        else:
            raise AssertionError('no episode has steps before and after the clock was set back')
        assert learning.require_true(decisions) > 30


def test_a_person_takes_over_while_a_policy_is_swapped(learning: Learning) -> None:
    """
    The person goes on, and so does the command; what the person did is a demonstration, too.

    The person holds the arm for as long as a swap takes, and lets go.
    """
    with learning.heard() as (peer, decisions):
        decisions.await_one(lambda row: row.commander is Commanding.POLICY, 5)
        with ArmPerson(peer, learning.clock.now):
            first = decisions.await_one(lambda row: row.commander is Commanding.PERSON, 5)[-1]
            assert first.entry is not None
            old = first.entry.policy
            during = decisions.await_one(
                lambda row: row.entry is not None and row.entry.policy != old, 10, 300.0)
            assert Commanding.POLICY not in {row.commander for row in during}
        decisions.await_one(lambda row: row.commander is Commanding.POLICY, 10)
        learning.await_more(peer, ': not solved, return')
        rows = decisions.all
        assert learning.require_true(decisions) > 30
    for one, other in zip(rows, rows[1:], strict=False):
        if one.sent is None or other.sent is None or other.number != one.number + 1:
            continue
        last, now = (np.concatenate(list(row.sent.values())) for row in (one, other))
        assert (np.abs(now) <= SPEED + 1e-9).all(), other
        if one.state is other.state is State.RUNNING and other.entry.step > 1:
            assert (np.abs(now - last) <= ACCELERATION * PERIOD + 1e-9).all(), (one, other)
    episodes = [one for one in learning.episodes() if one.interventions is not None]
    done = [one.observations[one.interventions == 1] for one in episodes]
    assert [one.source['person_steps'] for one in episodes] == [len(one) for one in done]
    np.testing.assert_array_equal(
        np.concatenate(done),
        np.concatenate([one.observations for one in learning.episodes('demonstrations')]))


def test_marks_of_two_programs(learning: Learning) -> None:
    """They are said to contradict each other, and an episode without a step is no success."""
    with learning.heard() as (peer, decisions):
        publisher = peer.node.create_publisher(String, 'episode_marks', 10)
        peer.wait_for(lambda: publisher.get_subscription_count() and decisions.all)

        def contradict() -> bool:
            for mark in ('success', 'start', 'success'):
                publisher.publish(String(data=mark))
            return 'success without a step, which does not count' in learning.learner.output
        peer.wait_for(contradict)
        # One that was killed is counted until its lease ends.
        peer.wait_for(lambda: re.search(
            r'episode_marks: found \d publishers, /peer', learning.learner.output))
    solved = [row['success'] for row in csv.DictReader(
        (learning.out / 'episodes.csv').open()) if row['steps'] == '0']
    assert solved
    assert set(solved) == {'-1'}
    # Nor are they among the episodes that were asked for.
    with learning.heard() as (peer, _):
        said = peer.collect(String, 'dfp_learner/status', STATUS_QOS)
        peer.wait_for(lambda: said)
        status = json.loads(said[-1].data)
        assert status['episodes'] <= status['episodes_of_all_sessions'] - len(solved)


def test_another_robot_and_another_folder(learning: Learning) -> None:
    """A node with another description teaches nothing, and a folder that is moved ends it."""
    cell, robot = learning.cell, learning.out / 'other.yaml'
    robot.write_text((learning.out / 'robot.yaml').read_text() + '# another\n')
    cell.node.leave()
    cell._node_options['robot'] = robot
    cell.node = cell.start_node()
    await_output(learning.learner, 'found another robot description than at the beginning')
    learning.out.rename(learning.out.with_name('moved'))
    assert learning.learner.wait(60) == 2, learning.learner.output
    assert 'was removed, moved or replaced while the learner ran' in learning.learner.output
    assert not learning.out.exists()
