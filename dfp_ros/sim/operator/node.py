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
"""Node of the scripted operator: sees a simulated robot's topics, and publishes a person's."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseStamped, Quaternion
import numpy as np
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS
from dfp_ros.core.control.episode_marks import TOPIC as MARKS_TOPIC
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.rotations import OBSERVATION_ENCODINGS
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.errors import nearest
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.resources import load_robot
from dfp_ros.sim.operator.operator import Operator, Temper
from dfp_ros.sim.operator.script import GOALS, NUMBERS, Scene
from dfp_ros.tools.teleop.controls import Control, find_controls
from dfp_ros.tools.teleop.person_topics import PersonTopics

#: Name, default, description, range.
PARAMETERS: tuple[tuple[str, Any, str, tuple[float, float] | None], ...] = (
    ('robot', 'ur5e_cube', 'Robot description (.yaml), or the bare name of one in config; its '
     'section takeover names the topics.', None),
    ('environment', 'cube-single-singletask-task2-v0',
     'Environment of sim_node, which has the goal of the cube.', None),
    ('seed', 0, 'Seed of its patience.', (0, 2**31 - 1)),
    ('patience_from', Temper.patience[0],
     'Shortest time without progress in s after which it takes over.', (0.0, 1000.0)),
    ('patience_to', Temper.patience[1], 'Longest such time in s; drawn for each episode.',
     (0.0, 1000.0)),
    ('latest', Temper.latest, 'Time of an episode in s after which it takes over in any case.',
     (0.0, 1000.0)),
    ('rate', 30.0, 'Messages a second, in the time of the observations.', (5.0, 200.0)))


class ScriptedOperatorNode(Node):
    """
    Sees the topics of a simulated robot, and publishes those of a person.

    :raises SettingsError: If the environment has no script, or the robot other controls.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters; :meth:`autostart` does everything else."""
        super().__init__('scripted_operator', **kwargs)
        values = {
            name: declare_parameter(self, name, default, sentence, bounds)
            for name, default, sentence, bounds in PARAMETERS}
        environment, shortest, longest = (
            values[name] for name in ('environment', 'patience_from', 'patience_to'))
        if environment not in GOALS:
            raise SettingsError(
                f'parameter environment: found {environment!r}, which has no script; '
                f'{nearest(environment, GOALS)}')
        if shortest > longest:
            raise SettingsError(
                f'parameter patience_from: found {shortest:g}, expected at most patience_to, '
                f'{longest:g}')
        self._robot = load_robot(values['robot'])
        self._controls = _require_controls(self._robot)
        self._operator = Operator(
            np.array(GOALS[environment]), values['seed'],
            Temper((shortest, longest), values['latest']))
        # Below the interval of the states, whose stamps are rounded.
        self._interval = 1 / values['rate'] - 1e-3
        self._due = -np.inf
        self._effector: PoseStamped | None = None
        self._contact = 0.0
        self._topics: PersonTopics | None = None
        self._environment = environment

    def autostart(self) -> bool:
        """Publish and subscribe."""
        self._topics = PersonTopics(self, self._robot, self._controls)
        self.create_subscription(String, MARKS_TOPIC, self._hear_mark, 10)
        self.create_subscription(JointState, 'gripper_state', self._see_gripper, 1)
        self.create_subscription(PoseStamped, 'effector_pose', self._see_effector, 1)
        self.create_subscription(PoseStamped, 'cube_0_pose', self._see_cube, 1)
        self.get_logger().info(
            f'watches {self._environment}, and takes over if nothing moves on')
        return True

    def stop(self) -> None:
        """Let go of the robot."""
        was_commanding = self._operator.is_commanding
        self._operator.end('asked to end')
        self._tell(was_commanding)

    def close(self) -> None:
        """Say what it has done, and destroy the node."""
        if self._operator.episodes:
            self.get_logger().info(
                f'took over in {self._operator.helped} of {self._operator.episodes} episodes, '
                f'{self._operator.takeovers} times')
        self.destroy_node()

    def _hear_mark(self, message: String) -> None:
        """Begin or end an episode."""
        was_commanding = self._operator.is_commanding
        if message.data == START:
            self._operator.begin()
        elif message.data in (SUCCESS, FAILURE):
            self._operator.end(f'the episode has ended, a {message.data}')
        self._tell(was_commanding)

    def _see_gripper(self, message: JointState) -> None:
        self._contact = message.effort[0]

    def _see_effector(self, message: PoseStamped) -> None:
        self._effector = message

    def _see_cube(self, message: PoseStamped) -> None:
        """Look at the scene, and command the robot or not."""
        time = Time.from_msg(message.header.stamp).nanoseconds * 1e-9
        if self._effector is None or 0 <= self._due - time <= self._interval:
            return
        self._due = time + self._interval
        was_commanding = self._operator.is_commanding
        deflections = self._operator.look(Scene(
            time, _position(self._effector), _yaw(self._effector.pose.orientation),
            self._contact, _position(message), _yaw(message.pose.orientation)))
        if deflections is not None:
            assert self._topics is not None, 'it has started'
            self._topics.publish(deflections)
        self._tell(was_commanding)

    def _tell(self, was_commanding: bool) -> None:
        """Say that it has taken over, or let go; a button is let go of by a message."""
        if self._operator.is_commanding == was_commanding:
            return
        if was_commanding and self._topics is not None:
            self._topics.let_go()
        self.get_logger().info(
            f'{"lets go" if was_commanding else "takes over"}: {self._operator.reason}')


def _require_controls(robot: RobotDescription) -> tuple[Control, ...]:
    """Require that a person commands the numbers of the script, in their order."""
    controls = find_controls(robot)
    names = tuple(control.name for control in controls)
    if names != NUMBERS:
        raise SettingsError(
            f'robot {robot.name!r}: a person commands {", ".join(names)}, the script needs '
            f'{", ".join(NUMBERS)}; take ur5e_cube')
    return controls


def _position(message: PoseStamped) -> np.ndarray:
    """Read a position, shape (3,), m."""
    place = message.pose.position
    return np.array([place.x, place.y, place.z])


def _yaw(turn: Quaternion) -> float:
    """Read a rotation about the vertical, rad."""
    return float(OBSERVATION_ENCODINGS['yaw'].encode((turn.w, turn.x, turn.y, turn.z))[0])
