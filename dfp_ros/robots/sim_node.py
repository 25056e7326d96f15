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
Node ``sim_robot``: an arm in simulation, of OGBench or robosuite, that looks like a robot cell.

``ros2 run dfp_ros sim_node --ros-args -p mode:=realtime -p seed:=0``
"""

from __future__ import annotations

import gc
from queue import SimpleQueue
import signal
import sys
import threading
from typing import Any
import warnings

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from dfp_ros.dds_transport import choose_transport
from dfp_ros.node_main import keep_spinning


def main(args: list[str] | None = None) -> int:
    """
    Run the node until its last episode has ended or a signal comes.

    :return: The exit status: 1 where a parameter is wrong, else 0.
    """
    # Both complain at import, about the display that nobody needs and about float32.
    warnings.filterwarnings('ignore', module='glfw|gymnasium')
    from dfp_ros.robots.sim_robot import SimRobot, STOP

    inbox: SimpleQueue[Any] = SimpleQueue()
    # SimpleQueue.put may be called from a signal handler, whatever the main thread is doing.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: inbox.put(STOP))
    choose_transport()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    robot = SimRobot(inbox)
    try:
        return _run(robot, inbox)
    finally:
        # What follows is the end anyway. Python gives its handlers up while it ends, and a signal
        # that comes then would turn a success into a death.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        robot.destroy_node()
        rclpy.try_shutdown()


def _run(robot: Any, inbox: SimpleQueue[Any]) -> int:
    """Put the parts together and run them."""
    from builtin_interfaces.msg import Time

    from dfp_ros.robots import sim_messages
    from dfp_ros.robots.make_simulation import make_simulation
    from dfp_ros.robots.rendering import FrameServer, RenderingError
    from dfp_ros.robots.sim_camera import Camera
    from dfp_ros.robots.sim_commands import arm_input, gripper_input
    from dfp_ros.robots.sim_loop import EpisodeLoop
    from dfp_ros.robots.sim_settings import declare

    try:
        settings = declare(robot)
        simulation = make_simulation(settings.environment, settings.state_rate)
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
    loop = EpisodeLoop(robot, simulation, settings, inbox, camera)
    # Commands come at 20 Hz: the events executor would gain nothing, and it cannot be shut down
    # from another thread than the one that spins it.
    executor = SingleThreadedExecutor()
    executor.add_node(robot)
    ended = Future()
    spinning = threading.Thread(
        target=keep_spinning, args=(executor, robot, ended), name='executor', daemon=True)
    spinning.start()
    # The collector would stop the loop to walk through MuJoCo's and dm_control's objects.
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
    robot.get_logger().info(f'ended; {loop.summary}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
