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
Node ``scripted_operator``: a person of a script, who corrects a policy on the simulated arm.

``ros2 run dfp_ros scripted_operator``, beside ``sim_node`` and the policy node

It sees topics of the simulated robot, and commands it only by the person's topics of the robot
description, as ``teleop_keyboard`` does. Take it for measurements without people.
"""

from __future__ import annotations

import sys
from typing import Any

from geometry_msgs.msg import PoseStamped, Quaternion
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS
from dfp_ros.core.control.episode_marks import TOPIC as MARKS_TOPIC
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.rotations import OBSERVATION_ENCODINGS
from dfp_ros.core.text.errors import explain, nearest
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.node.process.start import raise_interrupts
from dfp_ros.node.ros.node_main import check_parameters
from dfp_ros.node.ros.start import join, read_words
from dfp_ros.resources import load_robot
from dfp_ros.sim.operator.operator import Operator, Temper
from dfp_ros.sim.operator.script import GOALS, NUMBERS, Scene
from dfp_ros.tools.teleop.controls import find_controls
from dfp_ros.tools.teleop.person_topics import PersonTopics

# Name, default, description, range.
_PARAMETERS: tuple[tuple[str, Any, str, tuple[float, float] | None], ...] = (
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


class ScriptedOperator:
    """
    Sees the topics of a simulated robot, and publishes those of a person.

    :param node: Node of the subscriptions and publishers.
    :param robot: The robot's description.
    :param values: The parameters.
    :raises ValueError: If the environment has no script, or the robot other controls.
    """

    def __init__(self, node: Node, robot: RobotDescription, values: dict[str, Any]) -> None:
        """Subscribe."""
        environment = values['environment']
        if environment not in GOALS:
            raise ValueError(
                f'parameter environment: found {environment!r}, which has no script; '
                f'{nearest(environment, GOALS)}')
        controls = find_controls(robot)
        names = tuple(control.name for control in controls)
        if names != NUMBERS:
            raise ValueError(
                f'robot {robot.name!r}: a person commands {", ".join(names)}, the script needs '
                f'{", ".join(NUMBERS)}; take ur5e_cube')
        if values['patience_from'] > values['patience_to']:
            raise ValueError(
                f'parameter patience_from: found {values["patience_from"]:g}, expected at most '
                f'patience_to, {values["patience_to"]:g}')
        self.operator = Operator(np.array(GOALS[environment]), values['seed'], Temper(
            (values['patience_from'], values['patience_to']), values['latest']))
        self._logger = node.get_logger()
        self._topics = PersonTopics(node, robot, controls)
        # The margin is below the interval of the states, whose stamps are rounded.
        self._interval = 1 / values['rate'] - 1e-3
        self._due = -np.inf
        self._effector: PoseStamped | None = None
        self._contact = 0.0
        node.create_subscription(String, MARKS_TOPIC, self._hear_mark, 10)
        node.create_subscription(JointState, 'gripper_state', self._see_gripper, 1)
        node.create_subscription(PoseStamped, 'effector_pose', self._see_effector, 1)
        node.create_subscription(PoseStamped, 'cube_0_pose', self._see_cube, 1)
        self._logger.info(f'watches {environment}, and takes over if nothing moves on')

    @property
    def summary(self) -> str:
        """Describe what it has done."""
        operator = self.operator
        return (
            f'took over in {operator.helped} of {operator.episodes} episodes, '
            f'{operator.takeovers} times')

    def let_go(self) -> None:
        """Let go of the robot."""
        self.operator.end('asked to end')
        self._topics.let_go()

    def _hear_mark(self, message: String) -> None:
        """Begin or end an episode."""
        was_commanding = self.operator.is_commanding
        if message.data == START:
            self.operator.begin()
        elif message.data in (SUCCESS, FAILURE):
            self.operator.end(f'the episode has ended, a {message.data}')
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
        was_commanding = self.operator.is_commanding
        deflections = self.operator.look(Scene(
            time, _position(self._effector), _yaw(self._effector.pose.orientation),
            self._contact, _position(message), _yaw(message.pose.orientation)))
        if deflections is not None:
            self._topics.publish(deflections)
        self._tell(was_commanding)

    def _tell(self, was_commanding: bool) -> None:
        """Say that it takes over, or lets go."""
        if self.operator.is_commanding == was_commanding:
            return
        if was_commanding:
            self._topics.let_go()
        self._logger.info(
            f'{"lets go" if was_commanding else "takes over"}: {self.operator.reason}')


def _position(message: PoseStamped) -> np.ndarray:
    """Read a position, shape (3,), m."""
    place = message.pose.position
    return np.array([place.x, place.y, place.z])


def _yaw(turn: Quaternion) -> float:
    """Read a rotation about the vertical, rad."""
    return float(OBSERVATION_ENCODINGS['yaw'].encode((turn.w, turn.x, turn.y, turn.z))[0])


def main(args: list[str] | None = None) -> int:
    """
    Watch and correct until asked to end.

    :return: Exit status: 1 if it could not start, else 0.
    """
    read_words(
        'scripted_operator', 'Take the simulated arm over by a script, if its policy gets stuck.',
        [(name, default, sentence) for name, default, sentence, _ in _PARAMETERS], args)
    raise_interrupts()
    try:
        join(args, SignalHandlerOptions.ALL)
        node = rclpy.create_node('scripted_operator')
        values = {
            name: declare_parameter(node, name, default, sentence, bounds)
            for name, default, sentence, bounds in _PARAMETERS}
        for line in check_parameters(node, args):
            node.get_logger().warning(line)
        person = ScriptedOperator(node, load_robot(values['robot']), values)
    except ValueError as error:
        print(f'scripted_operator: cannot start: {explain(error)}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if rclpy.ok():
            person.let_go()
        print(person.summary, flush=True)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
