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
Node ``sim_robot``: a simulated arm of OGBench or robosuite with the interface of a robot cell.

``ros2 run dfp_ros sim_node --ros-args -p mode:=realtime -p seed:=0``
"""

from __future__ import annotations

if __name__ == '__main__':
    # First, because the following imports take half a second.
    from dfp_ros.node.process.start import begin
    begin()

import gc
from queue import SimpleQueue
import sys
import threading
from typing import Any
import warnings

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.task import Future

from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.parameters import LIFETIME
from dfp_ros.node.process.end_requests import Requests
from dfp_ros.node.ros.node_main import check_parameters, declare_end_with_parent, keep_spinning
from dfp_ros.node.ros.start import join, read_words

# Time limit of the shutdown in s, after which the process is ended.
_LONGEST_END = 8.0


def main(args: list[str] | None = None) -> int:
    """
    Run the node until its last episode has ended, or until it is asked to shut down.

    :return: Exit status: 1 if a parameter is invalid, or an episode could not be recorded, else 0.
    """
    from dfp_ros.sim.sim_robot.settings import list_parameters

    read_words(
        'sim_node', 'Simulated arm with the interface of a robot cell.',
        [*list_parameters(), LIFETIME], args)
    # Both warn at import, about a display that is not needed and about float32.
    warnings.filterwarnings('ignore', module='glfw|gymnasium')
    from dfp_ros.sim.sim_robot.node import SimRobot, STOP

    inbox: SimpleQueue[Any] = SimpleQueue()
    requests = Requests()
    requests.limit_end(_LONGEST_END)
    requests.tell(lambda: inbox.put(STOP) if requests.ending.is_set() else requests.suspend())
    robot: SimRobot | None = None
    try:
        join(args)
        robot = SimRobot(inbox)
        return _run(robot, inbox, requests, args)
    except ValueError as error:
        say(f'sim_node: cannot start: {error}', to_errors=True)
        return 1
    finally:
        if robot is not None:
            robot.destroy_node()
        rclpy.try_shutdown()
        # Python removes its signal handlers while it exits, and a signal at that moment would turn
        # a success into a failure.
        requests.close()


def _run(
        robot: Any, inbox: SimpleQueue[Any], requests: Requests, args: list[str] | None) -> int:
    """Create the parts and run them."""
    from builtin_interfaces.msg import Time

    from dfp_ros.sim.sim_robot import messages as sim_messages
    from dfp_ros.sim.sim_robot.camera import Camera
    from dfp_ros.sim.sim_robot.command_inputs import arm_input, gripper_input
    from dfp_ros.sim.sim_robot.episode_loop import EpisodeLoop
    from dfp_ros.sim.sim_robot.settings import declare
    from dfp_ros.sim.simulation.make_simulation import make_simulation
    from dfp_ros.sim.simulation.picture_names import VISUAL
    from dfp_ros.sim.simulation.render_backend import RenderingError
    from dfp_ros.sim.simulation.rendering import FrameServer

    try:
        settings = declare(robot)
        watches = declare_end_with_parent(robot)
        for line in check_parameters(robot, args):
            robot.get_logger().warning(line)
        requests.watch_parent(watches)
        # The renderer's process draws the pictures of a visual environment; this one has its
        # physics alone.
        simulation = make_simulation(
            settings.environment.removeprefix(VISUAL), settings.state_rate)
        server = FrameServer(
            settings.environment, settings.image_width, settings.image_height,
        ) if settings.render else None
    except (ValueError, ParameterException) as error:
        robot.get_logger().fatal(f'cannot start: {error}')
        return 1
    except RenderingError as error:
        robot.get_logger().fatal(f'cannot start with render:=true: {error}')
        return 1
    simulation.reset(settings.seed)
    robot.open(
        sim_messages.messages(simulation.state(), Time()),
        (arm_input(simulation.arm), gripper_input(simulation.arm)), settings.render,
        settings.publish_clock)
    camera = Camera(
        server, robot.camera, settings.render_rate, robot.get_logger()) if server else None
    if camera:
        robot.get_logger().info(
            f'camera: {robot.camera.topic_name}, {settings.image_width} x '
            f'{settings.image_height}, at most {settings.render_rate:g} Hz')
    loop = EpisodeLoop(robot, simulation, settings, inbox, camera)
    # Commands arrive at 20 Hz: the events executor would gain nothing, and it cannot be shut down
    # from another thread than its own.
    executor = SingleThreadedExecutor()
    executor.add_node(robot)
    ended = Future()
    spinning = threading.Thread(
        target=keep_spinning, args=(executor, robot, ended), name='executor', daemon=True)
    spinning.start()
    # Garbage collection would stall the loop while it traverses MuJoCo's and dm_control's objects.
    gc.collect()
    gc.freeze()
    robot.get_logger().info(
        f'{settings.environment}: {settings.mode}, first seed {settings.seed}')
    try:
        loop.run()
        robot.flush(2.0)
    finally:
        ended.set_result(None)
        executor.wake()
        spinning.join(2.0)
        executor.shutdown(2.0)
        if camera:
            camera.close()
    robot.get_logger().info(f'finished; {loop.summary}')
    return 1 if loop.unrecorded else 0


if __name__ == '__main__':
    sys.exit(main())
