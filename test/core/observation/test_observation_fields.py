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
"""Observation fields: effect of every key, and errors of invalid ones."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.sample import NotFiniteError, NotReadyError, ObservationError, Sample
from testing.fixtures.descriptions import GRIP

S = 1_000_000_000
TEXT = """
robot: test
sources:
  tool: {topic: tool, type: geometry_msgs/msg/PoseStamped, max_age: 1.0}
  cube: {topic: cube, type: geometry_msgs/msg/PoseStamped, max_age: 1.0}
  arm: {topic: arm, type: sensor_msgs/msg/JointState, max_age: 1.0}
""" + GRIP + """observation:
  - {name: field, unit: '1', %s}
"""
POINT = 'source: cube, path: pose.position, components: [x, y, z]'
TURN = 'source: cube, path: pose.orientation'
TOOL = 'relative_to: {source: tool, position: pose.position, orientation: pose.orientation}'
FROM_TOOL = 'relative_to: {source: tool, orientation: pose.orientation}'
JOINTS = 'source: arm, path: position, joints: [b, a]'


def built(folder: Path, keys: str) -> ObservationBuilder:
    """Make the builder of one field with some keys."""
    path = folder / 'robot.yaml'
    path.write_text(TEXT % keys)
    return ObservationBuilder(load_robot_description(path).observation)


def pose(position: Any, quaternion: Any = (1, 0, 0, 0), time: int = 0) -> Sample:
    """Make a sample of a pose; the quaternion is w x y z."""
    values = [*zip('xyz', position, strict=True)], [*zip('wxyz', quaternion, strict=True)]
    return Sample(time, time, {
        **{f'pose.position.{name}': float(value) for name, value in values[0]},
        **{f'pose.orientation.{name}': float(value) for name, value in values[1]}})


def arm(*positions: float, time: float = 0.0, names: tuple[str, ...] = ('a', 'b')) -> Sample:
    """Make a sample of joints."""
    at = round(time * S)
    return Sample(at, at, {
        'name': list(names), 'joint_names': list(names), 'position': list(positions)})


def test_relative_pose(tmp_path: Path) -> None:
    """Position and rotation of the cube in the tool's frame, as scipy has them."""
    random = np.random.default_rng(0)
    builders = [built(tmp_path, keys) for keys in (
        f'{POINT}, {TOOL}', f'{TURN}, components: [x, y, z, w], {FROM_TOOL}',
        f'{TURN}, transform: axis_angle, {FROM_TOOL}', f'{TURN}, transform: yaw, {TOOL}',
        f'source: cube, path: pose.position, components: [z, x], {TOOL}')]
    for _ in range(50):
        a, b = (random.normal(size=4) for _ in range(2))
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
        origin, point = random.normal(size=(2, 3))
        samples = {'tool': pose(origin, a), 'cube': pose(point, b)}
        where, quaternion, rotation, yaw, part = (
            builder.build(samples, 0) for builder in builders)
        tool, cube = (Rotation.from_quat(each[[1, 2, 3, 0]]) for each in (a, b))
        expected = tool.inv().apply(point - origin)
        relative = tool.inv() * cube
        np.testing.assert_allclose(where, expected, atol=1e-6)
        np.testing.assert_allclose(part, expected[[2, 0]], atol=1e-6)
        for found in (Rotation.from_quat(quaternion), Rotation.from_rotvec(rotation)):
            assert (found * relative.inv()).magnitude() < 1e-6
        np.testing.assert_allclose(yaw, relative.as_euler('ZYX')[:1], atol=1e-6)


def test_difference_of_two_sources(tmp_path: Path) -> None:
    """The subtrahend is read like the field, unless its keys differ."""
    builder = built(tmp_path, POINT + ', minus: {source: tool, path: pose.position}, scale: 10.0')
    samples = {'tool': pose((1, 2, 3)), 'cube': pose((1.5, 2, 2)), 'arm': arm(1, 2)}
    np.testing.assert_allclose(builder.build(samples, 0), [5, 0, -10])
    builder = built(
        tmp_path, 'source: cube, path: pose.position.x, minus: {source: arm, path: position, '
        'joints: [b]}')
    np.testing.assert_allclose(builder.build(samples, 0), [-0.5])


def test_names_of_joints_elsewhere(tmp_path: Path) -> None:
    """Controllers' states call them joint_names."""
    builder = built(tmp_path, f'{JOINTS}, names: joint_names')
    np.testing.assert_allclose(builder.build({'arm': arm(1, 2)}, 0), [2, 1])


@pytest.mark.parametrize(('minus', 'names'), [
    ('source: arm, path: wanted', 'joint_names'),
    ('source: arm, path: wanted, joints: [b, a]', 'joint_names'),
    ('source: arm, path: wanted, names: name', 'name'),
    ('source: arm, path: wanted, joints: [b, a], names: name', 'name'),
    ('source: other, path: wanted', 'name'),
    ('source: other, path: wanted, names: joint_names', 'joint_names')])
def test_names_of_the_joints_that_are_subtracted(tmp_path: Path, minus: str, names: str) -> None:
    """In messages of one topic they are where those of the field are, if nothing else is said."""
    path = tmp_path / 'robot.yaml'
    path.write_text(TEXT.replace('  arm:', """\
  other: {topic: other, type: sensor_msgs/msg/JointState, max_age: 1.0}
  arm:""").replace('%s', f'{JOINTS}, names: joint_names, minus: {{{minus}}}'))
    [entry] = load_robot_description(path).observation
    assert entry.minus is not None
    assert (entry.minus.joints, entry.minus.names) == (('b', 'a'), names)


def test_constant(tmp_path: Path) -> None:
    """One number, or several; no source is needed."""
    np.testing.assert_array_equal(built(tmp_path, 'constant: 2').build({}, 0), [2])
    np.testing.assert_array_equal(
        built(tmp_path, 'constant: [0.5, -1]').build({}, 0), np.float32([0.5, -1]))


def test_clip(tmp_path: Path) -> None:
    """After scaling, one bound for all or one a number; infinite is clipped, NaN is refused."""
    builder = built(tmp_path, f'{JOINTS}, scale: 10.0, clip: [-1, [2, 3]]')
    for positions, expected in (
            ((0.05, 0.06), (0.6, 0.5)), ((9, 9), (2, 3)), ((-9, -9), (-1, -1)),
            ((np.inf, -np.inf), (-1, 3)), ((1e300, 0), (0, 3))):
        np.testing.assert_allclose(
            builder.build({'arm': arm(*positions)}, 0), np.float32(expected))
    with pytest.raises(NotFiniteError, match=r'field\[0\] is nan'):
        builder.build({'arm': arm(0, np.nan)}, 0)


def test_derivative_by_header_stamps(tmp_path: Path) -> None:
    """
    Not known at first, then the change by the time between two measurements, not two ticks.

    A measurement that comes again changes nothing. A source that begins anew begins anew.
    """
    builder = built(tmp_path, f'{JOINTS}, derivative: true')

    def rate(tick: float, *positions: float, time: float) -> list[float]:
        return builder.build({'arm': arm(*positions, time=time)}, round(tick * S)).tolist()

    with pytest.raises(NotReadyError, match='field needs more ticks'):
        rate(10, 1, 2, time=9)
    with pytest.raises(NotReadyError):
        rate(10.1, 1, 2, time=9)
    assert rate(10.2, 1, 4, time=9.5) == pytest.approx([4, 0])
    assert rate(10.3, 1, 4, time=9.5) == pytest.approx([4, 0])
    assert rate(10.4, 2, 4, time=10) == pytest.approx([0, 2])
    with pytest.raises(NotReadyError):
        rate(10.5, 2, 4, time=3)
    assert rate(10.6, 3, 4, time=4) == pytest.approx([0, 1])
    builder.reset()
    with pytest.raises(NotReadyError):
        rate(10.7, 3, 4, time=5)


def test_derivative_of_yaw_takes_the_shorter_way(tmp_path: Path) -> None:
    """From 175 degrees to -175 it is 10 degrees, forward."""
    builder = built(tmp_path, f'{TURN}, transform: yaw, derivative: true, at_start: fill')

    def rate(degrees: float, time: int) -> float:
        half = np.radians(degrees) / 2
        turned = pose((0, 0, 0), (np.cos(half), 0, 0, np.sin(half)), time * S)
        return float(np.degrees(builder.build({'cube': turned}, time * S)[0]))

    assert rate(175, 0) == 0
    assert rate(-175, 1) == pytest.approx(10, abs=1e-4)
    assert rate(175, 2) == pytest.approx(-10, abs=1e-4)


@pytest.mark.parametrize(('unit', 'scale', 'size'), [
    ('rad/s', 1.0, 1.0), ('deg/s', 57.29577951308232, 1.0), ('deg/s', 1.0, 57.29577951308232),
    ('rad/s', -math.radians(1), 57.29577951308232), ('rpm', 60 / math.tau, 1.0)])
def test_derivative_of_a_joint_whose_reading_begins_anew(
        unit: str, scale: float, size: float, tmp_path: Path) -> None:
    """At half a turn, in any unit, of the field and of the messages; forward and backward."""
    path = tmp_path / 'robot.yaml'
    path.write_text((TEXT % f'{JOINTS}, derivative: true, at_start: fill, scale: {scale}').replace(
        "unit: '1', source", f'unit: {unit}, source'))
    builder = ObservationBuilder(load_robot_description(path).observation)
    places = [3.1, 3.14, 3.18 - math.tau, 3.22 - math.tau, 3.18 - math.tau, 3.14]
    rates = [builder.build({'arm': arm(
        place * size, (place + 1) * size, time=time * 0.1)}, time)[1]
        for time, place in enumerate(places)]
    expected = 0.4 * scale * size
    np.testing.assert_allclose(rates, [0, *[expected] * 3, *[-expected] * 2], rtol=1e-4)


@pytest.mark.parametrize(('unit', 'places'), [
    # A wheel that counts turns, and turns fast; and what is no angle.
    ('rad/s', (7.0, 11.0, 15.0, 19.0)), ('m/s', (0.0, 4.0, 8.0, 12.0)),
    ('rad/s^2', (0.0, 4.0, 8.0, 12.0))])
def test_derivative_of_what_does_not_begin_anew(
        unit: str, places: tuple[float, ...], tmp_path: Path) -> None:
    """It is the difference."""
    path = tmp_path / 'robot.yaml'
    path.write_text((TEXT % f'{JOINTS}, derivative: true, at_start: fill, scale: 1.0').replace(
        "unit: '1', source", f'unit: {unit}, source'))
    builder = ObservationBuilder(load_robot_description(path).observation)
    rates = [builder.build({'arm': arm(place, place, time=time * 0.1)}, time)[1]
             for time, place in enumerate(places)]
    np.testing.assert_allclose(rates, [0, *[40.0] * 3], rtol=1e-5)


def test_history(tmp_path: Path) -> None:
    """The oldest first, at ticks, whether or not there was a new message; nothing is made up."""
    builder = built(tmp_path, f'{JOINTS}, history: 3, scale: 2.0')

    def seen(tick: int, *positions: float) -> list[float]:
        return builder.build({'arm': arm(*positions)}, tick).tolist()

    for _ in range(2):
        with pytest.raises(NotReadyError, match='field'):
            seen(1, 1, 2)
        with pytest.raises(NotReadyError):
            seen(2, 3, 4)
        assert seen(3, 5, 6) == [4, 2, 8, 6, 12, 10]
        assert seen(4, 5, 6) == [8, 6, 12, 10, 12, 10]
        builder.reset()


def test_histories_fill_at_the_start_where_that_is_asked_for(tmp_path: Path) -> None:
    """The first stands for those before; a derivative is 0."""
    builder = built(tmp_path, f'{JOINTS}, history: 2, at_start: fill')
    assert builder.build({'arm': arm(1, 2)}, 1).tolist() == [2, 1, 2, 1]
    assert builder.build({'arm': arm(3, 4)}, 2).tolist() == [2, 1, 4, 3]
    builder = built(tmp_path, f'{JOINTS}, history: 2, derivative: true, at_start: fill')
    assert builder.build({'arm': arm(1, 2)}, 1).tolist() == [0, 0, 0, 0]
    assert builder.build({'arm': arm(1, 3, time=1)}, 2).tolist() == [0, 0, 1, 0]


def test_histories_are_cleared_by_an_error_or_a_clock_set_back(
        tmp_path: Path) -> None:
    """Ticks that are not one after the other are no history."""
    builder = built(tmp_path, f'{JOINTS}, history: 2')

    def is_ready(tick: int) -> bool:
        try:
            builder.build({'arm': arm(1, 2)}, tick)
        except NotReadyError:
            return False
        return True

    assert [is_ready(10), is_ready(11), is_ready(12)] == [False, True, True]
    with pytest.raises(NotFiniteError):
        builder.build({'arm': arm(1, np.nan)}, 13)
    assert [is_ready(14), is_ready(15)] == [False, True]
    with pytest.raises(ObservationError, match="joint 'b' is not in the messages"):
        builder.build({'arm': arm(1, 2, names=('a', 'c'))}, 16)
    assert [is_ready(17), is_ready(18)] == [False, True]
    assert [is_ready(5), is_ready(6)] == [False, True]


@pytest.mark.parametrize(('keys', 'place', 'message'), [
    ('constnt: 2', 'constnt', "did you mean 'constant'?"),
    ('constant: 2, scale: 3.0', 'scale', 'unknown key; known: name, unit, constant'),
    ('constant: a', 'constant', 'expected a number'),
    (f'{TURN}, transform: quarternion', 'transform', 'known: yaw, yaw_cosine_sine, rotation_6d'),
    (f'{TURN}, transform: rotation_6', 'transform', "did you mean 'rotation_6d'?"),
    (f'{POINT}, minus: {{source: tol, path: pose.position}}', 'minus.source', "mean 'tool'?"),
    (f'{POINT}, minus: {{source: tool, pth: a}}', 'minus.pth', "did you mean 'path'?"),
    (f'{JOINTS}, minus: {{source: arm, path: wanted, indices: [1, 0], names: name}}',
     'minus.names', 'found names without joints'),
    (f'{POINT}, minus: {{source: arm, path: position, indices: [0]}}', 'minus',
     'found 1 numbers to subtract, expected 3'),
    (f'{TURN}, transform: yaw, minus: {{source: tool, path: pose.orientation}}', 'minus',
     'relative_to turns one into the other'),
    (f'{POINT}, relative_to: {{source: tool, orientation: pose.orientation}}', 'relative_to',
     "the key 'position' is missing"),
    (f'{TURN}, transform: yaw, relative_to: {{source: tool, position: pose.position}}',
     'relative_to', "the key 'orientation' is missing"),
    (f'{POINT}, relative_to: {{sorce: tool}}', 'relative_to.sorce', "did you mean 'source'?"),
    (f'{JOINTS}, {TOOL}', 'relative_to', 'neither a point nor a rotation'),
    (f'{POINT}, {TOOL}, derivative: true', '', 'found relative_to and derivative, expected at'),
    (f'{POINT}, derivative: yes please', 'derivative', 'expected true or false'),
    (f'{TURN}, transform: axis_angle, derivative: true', 'derivative',
     'use yaw or yaw_cosine_sine or rotation_6d'),
    (f'{TURN}, components: [w, x, y, z], derivative: true', 'derivative', 'jump between near'),
    (f'{POINT}, clip: 3', 'clip', "found '3', expected a list"),
    (f'{POINT}, clip: [1, 2, 3]', 'clip', 'found 3 bounds, expected the lower and the upper'),
    (f'{POINT}, clip: [1, [2, 3]]', 'clip[1]', 'found 2 numbers, expected 3'),
    (f'{POINT}, clip: [2, 1]', 'clip', 'an upper bound that is not above the lower one'),
    (f'{POINT}, history: 1', 'history', 'found 1, expected a whole number from 2 on'),
    (f'{POINT}, history: 2, at_start: fil', 'at_start', "did you mean 'fill'?"),
    (f'{POINT}, at_start: fill', 'at_start', 'without derivative or history'),
    (f'{POINT}, histry: 2', 'histry', "did you mean 'history'?"),
    (f'{POINT}, names: a', 'names', 'found names without joints'),
    ('source: arm, path: "position[a]"', 'path', "found 'position[a]', expected names with dots"),
    ('source: arm, path: "a..b"', 'path', 'expected names with dots'),
])
def test_bad_keys(tmp_path: Path, keys: str, place: str, message: str) -> None:
    """File, line, field and the nearest name that there is."""
    with pytest.raises(DescriptionError) as caught:
        built(tmp_path, keys)
    key = f'observation[0].{place}' if place else 'observation[0]'
    assert f'robot.yaml:14: {key}: ' in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(('unit', 'keys', 'message'), [
    ('rad', 'path: position', ''), ('rad/s', 'path: velocity', ''), ('N m', 'path: effort', ''),
    ('1', 'path: velocity', ''), ('rad/s', 'path: position, derivative: true', ''),
    ('rad/s^2', 'path: velocity, derivative: true', ''),
    ('rad/s', 'path: position, scale: 2.0', ''),
    ('rad/s', 'path: position', "'position' of sensor_msgs/msg/JointState is a position"),
    ('rad', 'path: velocity', "'velocity' of sensor_msgs/msg/JointState is a velocity"),
    ('rad', 'path: effort', "'effort' of sensor_msgs/msg/JointState is an effort"),
    ('rad', 'path: position, derivative: true', 'is a position, whose derivative is observed'),
    ('rad/s', 'path: velocity, derivative: true',
     'is a velocity, whose derivative is observed')])
def test_a_position_is_no_velocity(tmp_path: Path, unit: str, keys: str, message: str) -> None:
    """A policy would see the one for the other."""
    path = tmp_path / 'robot.yaml'
    path.write_text((TEXT % f'source: arm, joints: [b, a], {keys}').replace(
        "unit: '1', source: arm", f'unit: {unit!r}, source: arm'))
    if not message:
        load_robot_description(path)
        return
    with pytest.raises(DescriptionError, match='without a scale') as caught:
        load_robot_description(path)
    assert message in str(caught.value)


@pytest.mark.parametrize('keys', [
    f'{POINT}, minus: {{source: tool, path: pose.position}}', f'{POINT}, {TOOL}',
    f'{TURN}, transform: yaw, {FROM_TOOL}',
    'source: frames, path: transform.translation, components: [x, y, z], minus: {source: tool, '
    'path: pose.position}'])
def test_two_places_are_in_one_frame(tmp_path: Path, keys: str) -> None:
    """Otherwise their difference, and one as the other sees it, would be of no place."""
    path = tmp_path / 'robot.yaml'

    def load(one: str, other: str) -> None:
        text = TEXT.replace('topic: tool, ', f'topic: tool, frame_id: {one}, ').replace(
            'topic: cube, ', f'topic: cube, frame_id: {other}, ').replace(
            '  arm:', f'  frames: {{type: tf, parent: {other}, child: x, max_age: 1.0}}\n  arm:')
        path.write_text(text % keys)
        load_robot_description(path)

    load('base', '/base')
    with pytest.raises(DescriptionError, match="found the source 'tool' in the frame 'base'"):
        load('base', 'world')
