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
"""Success predicate: its file, its conditions, and samples that are missing, stale or wrong."""

from __future__ import annotations

from dataclasses import replace
import math
from pathlib import Path
import re
from typing import Any

import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.description.observation import FILL
from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.sample import Sample
from dfp_ros.tools.episodes.machine import Ended, Phase
from dfp_ros.tools.episodes.statistics import EpisodeRecord, EpisodeStatistics
from dfp_ros.tools.episodes.success import read_success, SuccessMonitor
from testing import ROOT
from testing.fixtures.robot_samples import rest_samples, shipped_robot

LIFTED = '{field: cube_0_position, element: z, above: 1.0, unit: 0.1 m}'
OPEN = '{field: gripper_opening, near: 0.0, tolerance: 0.1, unit: 1/3}'
SECOND = 10**9


def write(folder: Path, *conditions: str, hold: object = 0.5) -> Path:
    """Write a predicate."""
    path = folder / 'success.yaml'
    path.write_text('\n'.join([f'hold: {hold}', 'all:', *(f'  - {each}' for each in conditions)]))
    return path


class Bench:
    """A monitor at 20 Hz, with a cube at a height in m."""

    def __init__(
            self, folder: Path, *conditions: str, hold: float = 0.5,
            robot: RobotDescription | None = None) -> None:
        """Start an episode with the cube below."""
        robot = shipped_robot() if robot is None else robot
        self.monitor = SuccessMonitor(
            read_success(write(folder, *conditions, hold=hold), robot), robot)
        self.now, self.steps = 1000 * SECOND, 0
        self.height, self.opening = 0.0, 0.0
        self.silent: set[str] = set()

    @property
    def elapsed(self) -> float:
        """Time in s, with exact multiples of a period."""
        return self.steps / 20

    def samples(self) -> dict[str, Sample]:
        """Make the samples of this moment."""
        samples = rest_samples(self.now)
        cube, gripper = samples['cube_0'], samples['gripper']
        samples['cube_0'] = replace(
            cube, values={**cube.values, 'pose.position.z': self.height})
        samples['gripper'] = replace(
            gripper, values={**gripper.values, 'position': [self.opening]})
        return samples

    def poll(self, seconds: float = 0.05) -> bool:
        """Evaluate at 20 Hz for some seconds; return the last result."""
        result = False
        for _ in range(round(seconds / 0.05)):
            self.now += SECOND // 20
            self.steps += 1
            for name, sample in self.samples().items():
                if name in self.monitor.sources and name not in self.silent:
                    self.monitor.receive(name, sample)
            result = self.monitor.poll(self.now, self.elapsed)
        return result


def test_all_conditions_have_to_hold_without_a_break(tmp_path: Path) -> None:
    """0.15 m are 1.5 in the unit of the field."""
    bench = Bench(tmp_path, LIFTED, OPEN)
    assert not bench.poll(2)
    bench.height = 0.15
    assert not bench.poll(0.45)
    bench.opening = 0.5
    assert not bench.poll()
    bench.opening = 0.0
    assert not bench.poll(0.5)
    assert bench.poll(0.05)
    assert sorted(bench.monitor.sources) == ['cube_0', 'gripper']
    assert bench.monitor.predicate.text == (
        'cube_0_position[z] above 1.0 [0.1 m] and gripper_opening near 0.0 +- 0.1 [1/3], '
        'for 0.5 s')


def test_what_held_before_the_episode_is_no_success(tmp_path: Path) -> None:
    """Otherwise a scene that was not reset would be solved at once."""
    bench = Bench(tmp_path, LIFTED)
    bench.height = 0.15
    assert not bench.poll(2)
    assert not bench.monitor.has_failed
    bench.height = 0.0
    bench.poll()
    bench.height = 0.15
    assert bench.poll(1)
    bench.monitor.restart()
    assert not bench.poll(1)


def test_a_number_that_is_not_known_fails_no_condition(tmp_path: Path) -> None:
    """
    A cube at rest is no success, neither from the start nor after a gap of its source.

    Speeds need two samples; an angle or an opening that is NaN says nothing of the scene, either.
    """
    robot = with_speed()
    resting = '{field: speed, element: z, near: 0.0, tolerance: 0.1, unit: 0.1 m}'
    bench = Bench(tmp_path, resting, robot=robot)
    for _ in range(2):
        assert not bench.poll(2)
        assert not bench.monitor.has_failed
        bench.silent = {'cube_0'}
        bench.poll(2)
        bench.silent = set()
    # Nor does what somebody moved between two episodes.
    bench.now += SECOND
    bench.height = 0.15
    bench.monitor.restart()
    assert not bench.poll(2)
    bench.height = 0.0
    bench.poll()
    assert bench.poll(1)
    bench = Bench(tmp_path, OPEN)
    for opening in (math.nan, 0.0):
        bench.opening = opening
        assert not bench.poll(2)
    # One that fails is known to fail, whatever the others are.
    bench = Bench(tmp_path, resting, OPEN, robot=robot)
    bench.opening = 0.5
    bench.poll()
    assert bench.monitor.has_failed


def with_speed(**changes: Any) -> RobotDescription:
    """Describe the shipped robot with the speed of its cube, shape (3,), in 0.1 m/s."""
    robot = shipped_robot()
    position = next(entry for entry in robot.observation if entry.name == 'cube_0_position')
    return replace(robot, observation=(
        *robot.observation, replace(position, name='speed', derivative=True, **changes)))


def test_what_is_not_known_is_not_said_to_hold(tmp_path: Path) -> None:
    """A speed has no second sample yet at the start of an episode, whose scene was reset."""
    bench = Bench(
        tmp_path, '{field: speed, element: z, near: 0.0, tolerance: 0.1, unit: 0.1 m}',
        robot=with_speed())
    for _ in range(2):
        assert not bench.poll()
        assert not bench.monitor.has_failed
        assert not bench.monitor.holds_from_start
        assert not bench.poll()
        assert bench.monitor.holds_from_start
        bench.monitor.restart()
    bench.poll(0.1)
    bench.height = 0.15
    assert not bench.poll()
    assert bench.poll(1)
    assert not bench.monitor.holds_from_start


def test_a_rate_that_at_start_begins_with_is_not_measured(tmp_path: Path) -> None:
    """A cube that moves from the start on has not stood still."""
    bench = Bench(
        tmp_path, '{field: speed, element: z, above: 1.0, unit: 0.1 m}',
        robot=with_speed(at_start=FILL))
    for _ in range(2):
        for _ in range(20):
            bench.height += 0.02
            assert not bench.poll()
        assert bench.monitor.holds_from_start
        bench.monitor.restart()


def test_an_infinite_number_is_known(tmp_path: Path) -> None:
    """As of a sensor that sees nothing within its range: it fulfils nothing, and is no NaN."""
    for condition, opening in (('below: 5.0', math.inf), ('above: -5.0', -math.inf)):
        bench = Bench(tmp_path, f'{{field: gripper_opening, {condition}, unit: 1/3}}', hold=0.0)
        bench.opening = opening
        assert not bench.poll()
        bench.opening = 0.0
        assert bench.poll()
        # Where there is no bound, it is not beyond one.
        bench.monitor.restart()
        bench.opening = -opening
        assert not bench.poll()
        bench.opening = 0.0
        assert not bench.poll()


@pytest.mark.parametrize('hold', [0.0, 0.5])
def test_a_missing_source_never_counts_as_success(tmp_path: Path, hold: float) -> None:
    """Neither from the start, nor silent later; and its silence is no failure of a condition."""
    bench = Bench(tmp_path, LIFTED, hold=hold)
    bench.silent = {'cube_0'}
    assert not bench.poll(1)
    assert 'no message yet' in bench.monitor.problem
    bench.height, bench.silent = 0.15, set()
    assert not bench.poll(1)
    bench.height = 0.0
    bench.poll()
    bench.height = 0.15
    bench.silent = {'cube_0'}
    # The last message says that the cube is below; then the source is stale.
    assert not bench.poll(1)
    assert 'cube_0_pose' in bench.monitor.problem
    bench.silent = set()
    assert bench.poll(1)
    bench.silent = {'cube_0'}
    # As fresh as its max_age, it still counts, and no longer.
    assert bench.poll(0.1)
    assert not bench.poll(0.3)


def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """Samples whose age is unknown are dropped, and the time of holding starts again."""
    bench = Bench(tmp_path, LIFTED)
    bench.poll()
    bench.height = 0.15
    assert bench.poll(1)
    bench.now -= 100 * SECOND
    assert not bench.poll()
    assert 'the clock was set back' in bench.monitor.problem
    assert not bench.poll(0.5)
    assert bench.poll(0.1)


def test_a_gap_between_two_evaluations(tmp_path: Path) -> None:
    """The conditions may have failed meanwhile, as while the process was suspended."""
    bench = Bench(tmp_path, LIFTED)
    bench.poll()
    bench.height = 0.15
    assert not bench.poll(0.3)
    bench.now += 10 * SECOND
    bench.steps += 200
    assert not bench.poll(0.5)
    assert bench.poll(0.1)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    """Numbers that are not finite fulfil nothing; a missing joint is a problem, not an error."""
    bench = Bench(tmp_path, '{field: gripper_opening, below: 5.0, unit: 1/3}', hold=0.0)
    for opening in (20.0, math.nan, math.inf):
        bench.opening = opening
        assert not bench.poll(0.2)
    bench.opening = 0.0
    assert bench.poll()
    bench.silent = {'gripper'}
    bench.now += SECOND // 20
    bench.monitor.receive('gripper', Sample(bench.now, bench.now, {
        'name': ['other'], 'position': [0.0], 'effort': [0.0]}))
    assert not bench.monitor.poll(bench.now, bench.elapsed)
    assert 'other' in bench.monitor.problem or 'gripper_opening' in bench.monitor.problem


@pytest.mark.parametrize(('condition', 'message'), [
    ('{field: cube_0_positon, above: 1.0, unit: 0.1 m}', "did you mean 'cube_0_position'?"),
    ('{field: cube_0_position, element: z, above: 1.0, unit: m}',
     "found 'm', but cube_0_position is in '0.1 m'; convert the numbers"),
    ('{field: cube_0_position, element: z, above: 1.0}', "the key 'unit' is missing"),
    ('{field: cube_0_position, above: 1.0, unit: 0.1 m}',
     'cube_0_position has 3 numbers; name one of them: x, y, z'),
    ('{field: cube_0_position, element: w, above: 1.0, unit: 0.1 m}', 'known: x, y, z'),
    ('{field: cube_0_position, element: 3, above: 1.0, unit: 0.1 m}',
     'cube_0_position has 3 numbers, counted from 0'),
    ('{field: joint_positions, element: elbow_jont, above: 1.0, unit: rad}',
     "did you mean 'elbow_joint'?"),
    ('{field: effector_yaw, element: x, above: 1.0, unit: "1"}', "found 'x'"),
    ('{field: gripper_opening, unit: 1/3}', 'found no bound, expected near with a tolerance'),
    ('{field: gripper_opening, near: 1.0, unit: 1/3}', 'found near without a tolerance'),
    ('{field: gripper_opening, above: 1.0, tolerance: 0.1, unit: 1/3}',
     'found a tolerance, which only near has'),
    ('{field: gripper_opening, near: 1.0, tolerance: 0.1, above: 0.2, unit: 1/3}',
     'found near and above, expected'),
    ('{field: gripper_opening, near: 1.0, tolerance: 0.0, unit: 1/3}', 'a number above 0'),
    ('{field: gripper_opening, above: 2.0, below: 1.0, unit: 1/3}',
     'found above 2.0 and below 1.0, which no number is'),
    ('{field: gripper_opening, abov: 2.0, unit: 1/3}', "did you mean 'above'?"),
    ('{field: gripper_opening, above: .nan, unit: 1/3}', 'expected a finite number')])
def test_wrong_conditions(tmp_path: Path, condition: str, message: str) -> None:
    """The error has file, line, what was found and what was expected."""
    with pytest.raises(DescriptionError, match=r'success\.yaml:3') as caught:
        read_success(write(tmp_path, condition), shipped_robot())
    assert message in str(caught.value)


@pytest.mark.parametrize(('text', 'message'), [
    ('hold: 0.5\n', "the key 'all' is missing"), ('hold: -1.0\nall: [1]\n', 'seconds from 0'),
    ('hold: 1.0\nall: []\n', 'at least one item'), ('hold: 1.0\nany: []\nall: []\n', "'any'"),
    ('hold: 1.0\nall: 3\n', 'expected a list'), ('', 'found an empty file'),
    ('hold: 0.1\nall: [' + '{}, ' * 101 + ']\n', 'expected at most 100')])
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    """A file that is something else."""
    path = tmp_path / 'success.yaml'
    path.write_text(text)
    with pytest.raises(DescriptionError, match=r'success\.yaml') as caught:
        read_success(path, shipped_robot())
    assert message in str(caught.value) or 'unknown key' in str(caught.value)


def test_every_field_of_the_shipped_robots_can_be_a_condition(tmp_path: Path) -> None:
    """Its elements are named as the description names them."""
    for name in ('ur5e_cube', 'ur5e_cube_visual', 'panda_lift', 'panda_joint', 'ur5e_scene'):
        robot = load_robot_description(ROOT / 'config' / f'{name}.yaml')
        for entry in robot.observation:
            for i in range(entry.width):
                path = write(
                    tmp_path, f'{{field: {entry.name}, element: {i}, above: 0.0, '
                    f'unit: "{entry.unit}"}}')
                if entry.reading is not None:
                    assert read_success(path, robot).conditions[0].element == i


def record(outcome: Phase, seconds: float = 2.0, steps: float = 40.0) -> EpisodeRecord:
    """Make an episode."""
    return EpisodeRecord(Ended(1, outcome, seconds, ''), steps, 0.1)


def test_statistics() -> None:
    """Of the last episodes; abandoned ones are counted apart, and unknown steps left out."""
    statistics = EpisodeStatistics(3)
    assert statistics.sentence() == 'no episode yet'
    assert statistics.values()['success_rate'] == 'nan'
    for outcome in (Phase.FAILURE, Phase.SUCCESS, Phase.ABANDONED, Phase.TIMEOUT):
        statistics.add(record(outcome))
    statistics.add(record(Phase.SUCCESS, 5.0, math.nan))
    assert statistics.sentence() == '2 of the last 3 succeeded (21% to 94%)'
    values = statistics.values()
    assert values == {
        'episodes': '4', 'successes': '2', 'failures': '1', 'timeouts': '1', 'abandoned': '1',
        'last_episodes': '3', 'last_successes': '2', 'success_rate': '0.6667',
        'success_rate_low': '0.2077', 'success_rate_high': '0.9385', 'mean_seconds': '3.000',
        'mean_steps': '40.000', 'mean_seconds_held': '0.100'}


def test_the_line_of_the_page_is_one_that_the_log_can_have() -> None:
    """docs/episodes.md: no more episodes than there were, and their interval."""
    found = re.search(
        r'^    episode (\d+): SUCCESS after .*; ((\d+) of the last \d+ succeeded .*)$',
        (ROOT / 'docs' / 'episodes.md').read_text(), re.MULTILINE)
    assert found is not None
    episodes, solved = int(found[1]), int(found[3])
    statistics = EpisodeStatistics(20)
    for i in range(episodes):
        statistics.add(record(Phase.SUCCESS if i >= episodes - solved else Phase.FAILURE))
    assert statistics.sentence() == found[2]
