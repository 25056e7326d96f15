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
"""Joints that turn without end, measured within half a turn either way, as some drivers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.robot_limits import make_limits
from dfp_ros.core.control.factory import make_controller
from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.policy.interface import Chunk
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.node import Settings
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.spec import ActionField, ObservationField, PolicySpec

TEXT = """
robot: wrist
sources:
  arm: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 1.0}
observation:
  - {name: wrist, unit: rad, source: arm, path: position, joints: [wrist]}
commands:
  wrist:
    topic: commands
    type: trajectory_msgs/msg/JointTrajectory
    kind: position
    stop: hold
    fields:
      - action: wrist_step
        unit: UNIT
        path: points.positions
        joints: [wrist]
        scale: SCALE
        relative: true
        measured: {source: arm, path: position, joints: [wrist], scale: MEASURED}
        limits: {velocity: FASTEST, acceleration: 1.0e+4 RANGE}
"""
TICK = 50_000_000


def robot_in(folder: Path, unit: str = 'rad', extra: str = '') -> RobotDescription:
    """Write and load a description, in rad or deg."""
    size, fastest = (1.0, 2.0) if unit == 'rad' else (math.radians(1), 120.0)
    text = TEXT
    for old, new in (('UNIT', unit), ('SCALE', repr(size)), ('MEASURED', repr(1 / size)),
                     ('FASTEST', repr(fastest)), ('RANGE', extra)):
        text = text.replace(old, new)
    (folder / 'robot.yaml').write_text(text)
    return load_robot_description(folder / 'robot.yaml')


def spec_in(unit: str, step: float) -> PolicySpec:
    """Describe a policy whose action of 1 is a step."""
    return PolicySpec(
        'test', 'none', (ObservationField('wrist', 1, 'rad', (-4.0,), (4.0,)),),
        (ActionField('wrist_step', 1, unit, (-step,), (step,), (-1.0,), (1.0,)),), 0.05, 1)


class Ahead:
    """Policy that goes on in one direction."""

    def __init__(self, spec: PolicySpec, sign: int) -> None:
        self.spec, self._sign = spec, sign

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer."""
        return Chunk(np.full((1, 1), self._sign, np.float32), 0.0, 0.0)


def wrapped(angle: float) -> float:
    """Return an angle in rad as such a driver does."""
    return math.remainder(angle, 2 * math.pi)


def turn(robot: RobotDescription, spec: PolicySpec, sign: int,
         measure: Callable[[float], float], size: float) -> list[float]:
    """
    Have the policy turn a joint that follows its commands from 3 rad on, in 40 steps.

    :param size: Size of the unit in rad.
    :return: The commands, in rad.
    """
    controller: Any = make_controller(
        Settings('any', 'any'), robot, Ahead(spec, sign), iter(range(10**9)).__next__)
    controller.reset(0)
    here, found = 3.0 * sign, []
    for i in range(1, 41):
        now = i * TICK
        decision = controller.step(now, {'arm': Sample(
            now, now, {'name': ['wrist'], 'position': [measure(here)]})})
        assert decision.sent is not None, decision.text
        here = float(decision.sent[0]) * size
        found.append(here)
    return found


@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('unit', ['rad', 'deg'])
def test_relative_commands_go_on_where_the_reading_begins_anew(
        unit: str, sign: int, tmp_path: Path) -> None:
    """A step of 0.05 rad is one there, too; not a whole turn back at full speed."""
    size = 1.0 if unit == 'rad' else math.radians(1)
    robot, spec = robot_in(tmp_path, unit), spec_in(unit, 0.05 / size)
    found = turn(robot, spec, sign, wrapped, size)
    np.testing.assert_allclose(np.diff(found), 0.05 * sign, atol=1e-6)
    assert abs(found[-1]) > math.pi + 1
    np.testing.assert_allclose(found, turn(robot, spec, sign, float, size), atol=1e-6)


def positive(angle: float) -> float:
    """Return an angle in rad as a driver does that has no negative ones."""
    return angle % math.tau


@pytest.mark.parametrize(('sign', 'driver', 'offset'), [
    (1, positive, 4.0), (1, wrapped, 0.5 + math.tau), (-1, wrapped, -0.5 - math.tau)])
def test_a_calibrated_reading_begins_anew_too(
        sign: int, driver: Callable[[float], float], offset: float, tmp_path: Path) -> None:
    """With its offset it is further from 0 than a turn, and leaves turns out all the same."""
    robot_in(tmp_path)
    path = tmp_path / 'robot.yaml'
    path.write_text(path.read_text().replace(
        'scale: 1.0}', f'offset: {offset}}}').replace(
        'scale: 1.0\n', f'offset: {-offset}\n'))
    assert path.read_text().count('offset') == 2
    found = turn(
        load_robot_description(path), spec_in('rad', 0.05), sign,
        lambda here: driver(here - offset), 1.0)
    np.testing.assert_allclose(np.diff(found), 0.05 * sign, atol=1e-6)
    assert abs(found[0] - offset) < math.tau < abs(found[-1])
    assert driver(found[0] - offset) * sign > driver(found[-1] - offset) * sign


@pytest.mark.parametrize('sign', [1, -1])
def test_turns_are_counted_while_the_robot_is_held(sign: int, tmp_path: Path) -> None:
    """It slows down for several turns, and does not go back through them after that."""
    path = tmp_path / 'robot.yaml'
    robot_in(tmp_path)
    path.write_text(path.read_text().replace('velocity: 2.0', 'velocity: 30.0').replace(
        'acceleration: 1.0e+4', 'acceleration: 20.0'))
    controller: Any = make_controller(
        Settings('any', 'any'), load_robot_description(path), Ahead(spec_in('rad', 2.0), sign),
        iter(range(10**9)).__next__)
    controller.reset(0)
    here, found = 0.0, []
    for i in range(140):
        now = (i + 1) * TICK
        if i == 40:
            controller.operator.stop('by hand')
        elif i == 100:
            controller.operator.resume()
        decision = controller.step(now, {'arm': Sample(
            now, now, {'name': ['wrist'], 'position': [wrapped(here)]})})
        assert decision.sent is not None, decision.text
        here = float(decision.sent[0])
        found.append(here * sign)
    assert found[99] - found[39] > 3 * math.tau
    assert found[98] == found[99]
    assert (np.diff(found) >= 0).all()
    assert found[-1] > found[99] + math.pi


def test_turns_are_counted_while_the_watchdog_stops_the_robot(tmp_path: Path) -> None:
    """What is measured at the decision that is overdue is known to the next one."""
    path = tmp_path / 'robot.yaml'
    robot_in(tmp_path)
    path.write_text(path.read_text().replace('velocity: 2.0', 'velocity: 24.0').replace(
        'acceleration: 1.0e+4', 'acceleration: 40.0'))
    controller: Any = make_controller(
        Settings('any', 'any'), load_robot_description(path), Ahead(spec_in('rad', 1.2), 1),
        iter(range(10**9)).__next__)
    controller.reset(0)
    here, found = 0.0, []
    for i in range(60):
        now = (i + 1) * TICK
        watchdog = None
        if i == 30:
            watchdog = controller.copy_limiter()
            here = float(watchdog.stop()[0])
        decision = controller.step(now, {'arm': Sample(
            now, now, {'name': ['wrist'], 'position': [wrapped(here)]})})
        if watchdog is not None:
            decision = controller.overdue(watchdog, 'late')
        assert decision.sent is not None, decision.text
        here = float(decision.sent[0])
        found.append(here)
    # Two measurements are closer than half a turn, but not the first and the third.
    assert found[29] - found[28] < found[30] - found[29] < math.pi < found[30] - found[28]
    assert (np.diff(found) > 0).all()


TAKEOVER = """
takeover:
  sources:
    leader: {topic: leader, type: sensor_msgs/msg/JointState, max_age: 1.0}
    pad: {topic: joy, type: sensor_msgs/msg/Joy, max_age: 1.0}
  dead_man: {source: pad, path: 'buttons[0]'}
  fields:
    - {action: wrist_step, meaning: target, source: leader, path: position, joints: [handle]}
"""


def with_leader(folder: Path, unit: str, step: float) -> Any:
    """Make the controller of a joint that a person moves with a leader, by at most so many rad."""
    size = 1.0 if unit == 'rad' else math.radians(1)
    spec = spec_in(unit, step / size)
    robot_in(folder, unit)
    path = folder / 'robot.yaml'
    path.write_text(path.read_text() + TAKEOVER.replace(
        'path: position', f'path: position, scale: {1 / size}'))
    controller: Any = make_controller(
        Settings('any', 'any'), load_robot_description(path), Ahead(spec, 1),
        iter(range(10**9)).__next__)
    controller.reset(0)
    return controller


@pytest.mark.parametrize('unit', ['rad', 'deg'])
def test_a_target_of_a_person_leaves_out_the_turns_that_the_driver_does(
        unit: str, tmp_path: Path) -> None:
    """The robot is at -0.3 rad there, and goes to -0.2 rad, not a whole turn back."""
    size = 1.0 if unit == 'rad' else math.radians(1)
    controller = with_leader(tmp_path, unit, 0.05)
    here, now, found = 3.0, 0, []
    for _ in range(140):
        now += TICK
        decision = controller.step(now, {
            'arm': Sample(now, now, {'name': ['wrist'], 'position': [wrapped(here)]}),
            'leader': Sample(now, now, {'name': ['handle'], 'position': [-0.2]}),
            'pad': Sample(now, now, {'buttons[0]': int(here > 5.98 or bool(found))})})
        assert decision.sent is not None, decision.text
        here = float(decision.sent[0]) * size
        if here > 5.98:
            found.append(here)
    assert found[-1] == pytest.approx(2 * math.pi - 0.2, abs=1e-6)
    assert here == found[-1]


@pytest.mark.parametrize('unit', ['rad', 'deg'])
@pytest.mark.parametrize(('leader', 'start', 'end'), [
    # The device is moved past the end of its reading, the robot is there already, or neither.
    ((3.1, -3.1), 3.1, math.tau - 3.1), ((3.13, 3.13), 3.15, 3.13 - math.tau),
    ((0.0, 3.0), 0.0, 3.0), ((0.0, 3.5), 0.0, 3.5 - math.tau)])
def test_a_target_is_reached_the_shorter_way(
        leader: tuple[float, float], start: float, end: float, unit: str, tmp_path: Path) -> None:
    """A joint without end has no other."""
    size = 1.0 if unit == 'rad' else math.radians(1)
    controller = with_leader(tmp_path, unit, 0.5)
    here, found = start, []
    for i in range(80):
        now = (i + 1) * TICK
        decision = controller.step(now, {
            'arm': Sample(now, now, {'name': ['wrist'], 'position': [wrapped(here)]}),
            'leader': Sample(now, now, {
                'name': ['handle'], 'position': [leader[min(i // 3, 1)]]}),
            'pad': Sample(now, now, {'buttons[0]': 1})})
        assert decision.sent is not None, decision.text
        here = float(decision.sent[0]) * size
        found.append(here)
    assert here == pytest.approx(end, abs=1e-6)
    assert np.abs(np.diff(found)).sum() < math.pi


@pytest.mark.parametrize(('places', 'expected'), [
    # The last one is not a turn further on, as it would be if this driver left turns out.
    ((12.0, 12.05, 0.0, 0.05), (12.0, 12.05, 0.0, 0.05)), ((9.0, 9.05, 3.0), (9.0, 9.05, 3.0)),
    ((3.0, 3.05, -3.2), (3.0, 3.05, math.tau - 3.2))])
def test_a_driver_that_counts_turns_and_begins_anew_is_believed(
        places: tuple[float, ...], expected: tuple[float, ...], tmp_path: Path) -> None:
    """Its zero is another one then: what it measured before says nothing."""
    limiter = CommandLimiter(make_limits(robot_in(tmp_path), spec_in('rad', 0.05)), TICK)
    for place, wanted in zip(places, expected, strict=True):
        found = limiter.unwrap(np.array([place]))
        assert found is not None
        np.testing.assert_allclose(found, [wanted])
        limiter.limit(np.array([0.05]), found)


def test_a_copy_counts_turns_of_its_own(tmp_path: Path) -> None:
    """As the watchdog's, from which the node goes on after a decision that came too late."""
    limiter = CommandLimiter(make_limits(robot_in(tmp_path), spec_in('rad', 0.05)), TICK)
    limiter.limit(np.array([0.05]), limiter.unwrap(np.array([3.1])))
    other = limiter.copy()
    for place in (-3.1, -1.0, 1.0, 3.1, -3.1):
        other.unwrap(np.array([place]))
    found = limiter.unwrap(np.array([-3.1]))
    assert found is not None
    np.testing.assert_allclose(found, 2 * math.pi - 3.1)


@pytest.mark.parametrize(('answer', 'moved'), [('warn', True), ('hold', False)])
def test_a_measured_position_that_jumps_leads_no_relative_command(
        answer: str, moved: bool, tmp_path: Path) -> None:
    """Commands are relative to it, so that a wrong one is worse than that of others."""
    controller: Any = make_controller(
        Settings('any', 'any', safety=SafetySettings(jump=answer)), robot_in(tmp_path),
        Ahead(spec_in('rad', 0.05), 1), iter(range(10**9)).__next__)
    controller.reset(0)
    found = []
    for i in range(6):
        now, place = (i + 1) * TICK, 1.5 if i == 5 else 0.0
        decision = controller.step(now, {'arm': Sample(
            now, now, {'name': ['wrist'], 'position': [place]})})
        found.append(float(decision.sent[0]))
    assert Reason.JUMP in decision.reason
    assert (found[-1] > 0.1) is moved
    assert found[-1] == found[-2] or moved


@pytest.mark.parametrize('sign', [1, -1])
def test_a_relative_joint_stays_at_its_end(sign: int, tmp_path: Path) -> None:
    """It is slightly beyond, where the reading begins anew: it was led back at full speed."""
    robot = robot_in(tmp_path, 'rad', ', position: {low: -3.14, high: 3.14}')
    controller: Any = make_controller(
        Settings('any', 'any'), robot, Ahead(spec_in('rad', 0.05), sign),
        iter(range(10**9)).__next__)
    controller.reset(0)
    here, found = 2.9 * sign, []
    for i in range(40):
        now = (i + 1) * TICK
        decision = controller.step(now, {'arm': Sample(
            now, now, {'name': ['wrist'], 'position': [wrapped(here)]})})
        found.append(float(decision.sent[0]) * sign)
        here = (found[-1] + 0.004) * sign
    assert here * sign > math.pi
    assert (np.diff(found) >= 0).all()
    assert found[-1] == 3.14


@pytest.mark.parametrize('end', [3.14, 6.28])
@pytest.mark.parametrize(('sign', 'places'), [(-1, (1.9, -1.57)), (1, (-1.9, 1.57))])
def test_a_limited_joint_that_is_put_elsewhere_is_where_it_is_read(
        sign: int, places: tuple[float, float], end: float, tmp_path: Path) -> None:
    """As by the reset of a simulation: it cannot be a turn further on than that."""
    robot = robot_in(tmp_path, 'rad', f', position: {{low: {-end}, high: {end}}}')
    controller: Any = make_controller(
        Settings('any', 'any'), robot, Ahead(spec_in('rad', 0.05), sign),
        iter(range(10**9)).__next__)
    controller.reset(0)
    here = places[0]
    for i in range(160):
        now = (i + 1) * TICK
        here = places[1] if i == 5 else here
        decision = controller.step(now, {'arm': Sample(
            now, now, {'name': ['wrist'], 'position': [here]})})
        here += min(max(float(decision.sent[0]) - here, -0.1), 0.1)
    assert here * sign == pytest.approx(end)


SPEED = """
robot: wrist
sources:
  arm: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 1.0}
observation:
  - {name: wrist, unit: rad, source: arm, path: position, joints: [wrist]}
commands:
  wrist:
    topic: commands
    type: std_msgs/msg/Float64MultiArray
    kind: velocity
    stop: ramp
    fields:
      - action: wrist_speed
        unit: UNIT/s
        path: data
        indices: [0]
        scale: SIZE
        measured: {source: arm, path: position, joints: [wrist], scale: MEASURED}
        limits:
          velocity: FASTEST
          acceleration: HARDEST
          position: {low: -END, high: END}
"""


@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('unit', ['rad', 'deg'])
def test_a_joint_that_was_pushed_past_its_end_goes_no_further(
        unit: str, sign: int, tmp_path: Path) -> None:
    """Its reading begins anew there, as if it were at the other end, with all the way to go."""
    size = 1.0 if unit == 'rad' else math.radians(1)
    text = SPEED
    for old, number in (('SIZE', size), ('MEASURED', 1 / size), ('FASTEST', 1 / size),
                        ('HARDEST', 4 / size), ('END', 3.14 / size)):
        text = text.replace(old, repr(number))
    path = tmp_path / 'robot.yaml'
    path.write_text(text.replace('UNIT', unit))
    spec = replace(spec_in('rad', 0.05), action=(ActionField(
        'wrist_speed', 1, f'{unit}/s', (-1 / size,), (1 / size,), (-1.0,), (1.0,)),))
    controller: Any = make_controller(
        Settings('any', 'any'), load_robot_description(path), Ahead(spec, sign),
        iter(range(10**9)).__next__)
    controller.reset(0)
    here = 2.9 * sign
    for i in range(80):
        now = (i + 1) * TICK
        if i == 40:
            assert here * sign == pytest.approx(3.14)
            here = 3.145 * sign
        if i == 60:
            # A simulation puts it elsewhere: no joint gets so far past its end.
            assert here == 3.145 * sign
            here = -1.5 * sign
        decision = controller.step(now, {'arm': Sample(
            now, now, {'name': ['wrist'], 'position': [wrapped(here)]})})
        here += float(decision.sent[0]) * size * 0.05
    assert here * sign > -1.2


def test_which_measured_angles_have_turns(tmp_path: Path) -> None:
    """Those that commands are relative to, in a range of one turn or without end."""
    for unit, extra, expected in (
            ('rad', '', 2 * math.pi), ('deg', '', 360.0),
            ('rad', ', position: {low: -3.1416, high: 3.1416}', 2 * math.pi),
            ('deg', ', position: {low: -360, high: 360}', math.inf)):
        limits = make_limits(robot_in(tmp_path, unit, extra), spec_in(unit, 0.05))
        np.testing.assert_allclose(limits.turn, [expected])
    path = tmp_path / 'robot.yaml'
    path.write_text(path.read_text().replace('unit: rad\n        path', 'unit: m\n        path'))
    limits = make_limits(load_robot_description(path), spec_in('m', 0.05))
    np.testing.assert_allclose(limits.turn, [math.inf])
