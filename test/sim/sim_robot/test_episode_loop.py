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
"""Episode loop with a robot that is only a record, so that its clock and its disk can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
import shutil
import time
from types import SimpleNamespace
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
import numpy as np
import pytest
from std_msgs.msg import Float64MultiArray, String

from dfp_ros.core.control.episode_marks import START
from dfp_ros.sim.sim_robot.episode_loop import EpisodeLoop
from dfp_ros.sim.sim_robot.learner_gate import write_seen
from dfp_ros.sim.sim_robot.node import RESET, STOP
from dfp_ros.sim.sim_robot.settings import Settings
from dfp_ros.sim.sim_robot.stamps import Stamps
from dfp_ros.sim.simulation.cell_state import EpisodeResult, ObjectPose, RobotState, TwistInput
from dfp_ros.sim.simulation.sliced_simulation import FloatArray, SlicedSimulation

S = 1_000_000_000
SETTINGS = Settings(
    environment='none', seed=0, mode='realtime', real_time_factor=1.0, publish_clock=False,
    state_rate=100.0, episodes=1, auto_reset=True, policy_node='', learner_node='', run_seed=-1,
    record=None, render=False, render_rate=10.0, image_width=320, image_height=240)


class Standing(SlicedSimulation):
    """
    A robot that stands, and ends its episodes.

    :param limit: Number of control periods of an episode.
    """

    def __init__(self, limit: int) -> None:
        """Have two slices in a control period."""
        super().__init__('none', 0.02, 0.002, 100.0, np.ones(5), TwistInput((0, 1, 2, 5)), limit)
        self.taken: list[float] = []

    def reset(self, seed: int) -> None:
        self._start(seed)

    def advance(self) -> EpisodeResult | None:
        self._take_command()
        self.taken.append(float(self._action[0]))
        self._phase = (self._phase + 1) % self.slices
        return None if self._phase else self._count(True, False, -1.0)

    def state(self) -> RobotState:
        pose = ObjectPose(np.zeros(3), np.array([1.0, 0, 0, 0]))
        return RobotState(np.zeros(6), np.zeros(6), 0.0, 0.0, 0.0, pose, ())

    def picture(self) -> FloatArray:
        return np.zeros(3)

    def observation(self) -> FloatArray:
        return np.zeros(3)


class Robot:
    """Answers each state with a command, and records everything else."""

    def __init__(self, inbox: SimpleQueue[Any]) -> None:
        """Start at a time of a machine's clock."""
        self.inbox, self.time, self.speed = inbox, 1_000 * S, 0.25
        self.shown = 0
        self.marks: list[str] = []
        self.episodes: list[dict[str, str]] = []
        self.errors: list[str] = []
        self.on_mark = lambda mark: None
        self.on_state = lambda stamp: None
        self._stamps = Stamps()

    def now(self, follows: bool = False) -> Time:
        found = self._stamps.next(self.time, follows)
        return Time(sec=found // S, nanosec=found % S)

    def pass_time(self, seconds: float) -> None:
        self.time += round(seconds * S)

    def publish_state(self, state: dict[str, Any]) -> None:
        self.shown += 1
        message = TwistStamped()
        stamp = message.header.stamp = state['joint_states'].header.stamp
        self.on_state(stamp.sec * S + stamp.nanosec)
        message.twist.linear.x = self.speed
        self.inbox.put(message)
        self.inbox.put(Float64MultiArray(data=[0.0]))

    def publish_mark(self, mark: str) -> None:
        self.marks.append(mark)
        self.on_mark(mark)

    def publish_episode(self, status: Any) -> None:
        self.episodes.append({pair.key: pair.value for pair in status.values})

    def create_subscription(self, *_: Any) -> Any:
        return SimpleNamespace(topic_name='seen')

    def get_logger(self) -> Any:
        return SimpleNamespace(
            info=lambda _: None, error=self.errors.append, warning=lambda text, **_: None)


def make(settings: Settings, limit: int) -> tuple[EpisodeLoop, Robot, Standing]:
    """Make a loop and its parts."""
    inbox: SimpleQueue[Any] = SimpleQueue()
    robot, simulation = Robot(inbox), Standing(limit)
    return EpisodeLoop(
        robot, simulation, settings, inbox, None), robot, simulation  # type: ignore[arg-type]


@pytest.mark.parametrize('back', [0.05, 0.5, 60.0])
def test_a_clock_that_is_set_back(back: float) -> None:
    """Stamps go back with it, as a driver's, and commands with these stamps count."""
    loop, robot, simulation = make(SETTINGS, 30)
    stamps: list[int] = []

    def see(stamp: int) -> None:
        stamps.append(stamp)
        if robot.shown == 20:
            robot.time -= round(back * S)
            robot.speed = -0.5
    robot.on_state = see
    loop.run()
    assert [episode['steps'] for episode in robot.episodes] == ['30']
    assert sum(before > after for before, after in zip(stamps, stamps[1:], strict=False)) == 1
    assert simulation.taken[0] == 0.25
    assert simulation.taken[-1] == -0.5


def test_stamps_that_are_to_increase() -> None:
    """In lockstep they tell observations apart, whatever the clock does."""
    stamps = Stamps()
    assert [stamps.next(now, False) for now in (5 * S, 5 * S, 3 * S, 6 * S)] == [
        5 * S, 5 * S + 1, 5 * S + 2, 6 * S]
    assert [stamps.next(now, True) for now in (6 * S, 6 * S - 5, 4 * S)] == [
        6 * S + 1, 6 * S + 2, 4 * S]


def test_an_episode_that_cannot_be_recorded_counts(tmp_path: Path) -> None:
    """Its result is published, and the fault is said with the folder; the next one is recorded."""
    folder = tmp_path / 'episodes'
    loop, robot, _ = make(replace(SETTINGS, record=folder, episodes=2), 3)

    def lose(mark: str) -> None:
        if mark == START and len(robot.marks) == 1:
            shutil.rmtree(folder)
        elif mark == START:
            folder.mkdir()
    robot.on_mark = lose
    loop.run()
    assert [episode['seed'] for episode in robot.episodes] == ['0', '1']
    [error] = robot.errors
    assert f'the episode with seed 0 cannot be written to {folder} (No such file' in error
    assert loop.unrecorded == 1
    assert loop.summary.endswith('; 1 episodes could not be recorded')
    assert [path.name for path in folder.iterdir()] == ['episode_1.npz']


def test_late_slices_of_an_episode_that_is_abandoned_are_counted() -> None:
    """As of a robot that is ended in its first one, because it was too slow."""
    loop, robot, simulation = make(SETTINGS, 100)

    def see(_: int) -> None:
        time.sleep(0.02)
        if len(simulation.taken) == 6:
            robot.inbox.put(STOP)
    robot.on_state = see
    loop.run()
    assert not robot.episodes
    assert loop.summary == '6 slices were computed later than their deadline'


def test_a_reset_after_the_end_of_an_episode_loses_no_result() -> None:
    """While the robot waits for a learner to hear of that end."""
    loop, robot, _ = make(
        replace(SETTINGS, mode='lockstep', learner_node='learner', episodes=2), 3)
    heard = {'stamp': 0, 'marks': 0}

    def learn(**news: int) -> None:
        heard.update(news)
        assert loop._learner is not None
        loop._learner._hear(String(data=write_seen(**heard)))

    def hear(mark: str) -> None:
        if len(robot.marks) == 2:
            robot.inbox.put(RESET)
        else:
            learn(marks=heard['marks'] + 1)
    robot.on_mark, robot.on_state = hear, lambda stamp: learn(stamp=stamp)
    loop.run()
    assert [(episode['episode'], episode['seed']) for episode in robot.episodes] == [
        ('0', '0'), ('1', '1')]
