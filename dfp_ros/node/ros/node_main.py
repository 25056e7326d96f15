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
"""Main function of a lifecycle node: start, spin, and a safe stop at every request to end."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import sys
from typing import Any, Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future

from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.node.parameters.files import parameter_files, read_given, require_meant
from dfp_ros.node.parameters.overrides import require_known
from dfp_ros.node.process.end_requests import Requests
from dfp_ros.node.process.log_output import unblock_output
from dfp_ros.node.process.parent import AUTO, CHOICES, PARAMETER, SENTENCE
from dfp_ros.node.realtime.malloc import limit_arenas
from dfp_ros.node.ros.start import join

_FOREVER = 1e8  # s
_POLL = 0.1  # s
# Timeout for stopping the robot and ending, in s. `ros2 launch` kills 10 s after its SIGINT.
LONGEST_END = 6.0


class SafeNode(Protocol):
    """
    A node that starts by itself and can stop its robot.

    Optional members: ``ending``, an event that is set once it has to end; ``give_up()``, called
    then in another thread, to abort calls that wait; ``suspend()``, called before the process is
    suspended; ``abandon()``, called in another thread if its own hangs; ``told()``, settings for
    the first line of the log.
    """

    def autostart(self) -> bool:
        """Configure and activate, if configured so; False if that failed and was logged."""
        ...  # pragma: no cover

    def stop(self) -> None:
        """Stop the robot."""
        ...  # pragma: no cover

    def close(self) -> None:
        """Stop the robot, and destroy the node."""
        ...  # pragma: no cover


def run_node(
        name: str, make: Callable[[], SafeNode], args: list[str] | None,
        longest_end: float = LONGEST_END) -> int:
    """
    Run a node until it is asked to end, by a signal or by the end of its parent.

    :param name: Name for messages before the node exists.
    :param make: Makes the node.
    :param args: Command line, None for the process's own.
    :param longest_end: Timeout of the end in s, after which the process is ended by force.
    :return: The exit status: 1 if a parameter is wrong or the autostart failed, else 0.
    """
    requests = Requests()
    try:
        limit_arenas()
        unblock_output()
        return _run(name, make, args, requests, longest_end)
    finally:
        rclpy.try_shutdown()
        requests.close()


def _run(
        name: str, make: Callable[[], Any], args: list[str] | None, requests: Requests,
        longest_end: float) -> int:
    """Run a node; requests are received already."""
    requests.limit_end(longest_end)
    try:
        transport = join(args)
        node = make()
    except (ValueError, ParameterException) as error:
        if rclpy.ok():
            rclpy.logging.get_logger(name).error(f'cannot start: {explain(error)}')
        else:
            say(f'{name}: cannot start: {explain(error)}', to_errors=True)
        return 1
    executor: Executor | None = None
    try:
        try:
            _prepare(node, args, requests)
        except (ValueError, ParameterException) as error:
            node.get_logger().error(f'cannot start: {explain(error)}')
            return 1
        node.get_logger().info(transport)
        if requests.ending.is_set():
            return 0
        # The start waits for files, or for a URDF, on this thread.
        requests.tell(lambda: _give_up(node) if requests.ending.is_set() else requests.suspend())
        if not node.autostart():
            return 0 if requests.ending.is_set() else 1
        executor = make_executor()
        executor.add_node(node)
        _spin(executor, node, requests)
        executor.remove_node(node)
        return 0
    finally:
        # Called in reverse order, each even if one before fails.
        with contextlib.ExitStack() as left:
            left.callback(node.close)
            if executor is not None:
                left.callback(executor.shutdown)
            # An executor that was destroyed must not be woken up.
            left.callback(requests.tell, None)
            if requests.ending.is_set():
                own = getattr(node, 'end_reason', '')
                left.callback(node.get_logger().info, (
                    f'ends by itself: {own}' if own else f'asked to end: {requests.reason}'))
            # The robot is stopped before anything is destroyed, and before a log line that may
            # block.
            left.callback(node.stop)


def _prepare(node: Any, args: list[str] | None, requests: Requests) -> None:
    """
    Declare the parameters of all nodes, refuse unknown ones, and log those in force.

    :raises ValueError: If a parameter was given that the node does not have.
    :raises SettingsError: If a parameter of all nodes has another type.
    """
    watches = declare_end_with_parent(node)
    node.ending = requests.ending
    requests.last_resort = getattr(node, 'abandon', requests.last_resort)
    for line in check_parameters(node, args):
        node.get_logger().warning(line)
    words = list(sys.argv if args is None else args)
    files = ', '.join(parameter_files(words)) or 'none'
    told = f'; {node.told()}' if hasattr(node, 'told') else ''
    node.get_logger().info(f'parameter files: {files}{told}')
    requests.watch_parent(watches)


def declare_end_with_parent(node: Node) -> str:
    """
    Declare the parameter that says whether a node ends with its parent process.

    :return: Its value.
    :raises SettingsError: If its value is not valid.
    :raises SettingsError: If it has another type.
    """
    if node.has_parameter(PARAMETER):
        return str(node.get_parameter(PARAMETER).value)
    value = declare_parameter(node, PARAMETER, AUTO, SENTENCE, choices=CHOICES)
    if value not in CHOICES:
        raise SettingsError(
            f'parameter {PARAMETER}: found {value!r}, expected {", ".join(CHOICES)}')
    return str(value)


def check_parameters(node: Node, args: list[str] | None) -> list[str]:
    """
    Check that a node has, and receives, the parameters of its command line.

    :return: Warnings.
    :raises ValueError: If it does not.
    """
    given = read_given(sys.argv if args is None else args)
    warnings = require_meant(given, node.get_fully_qualified_name())
    require_known(node, given)
    return warnings


def _give_up(node: Any) -> None:
    """Abort the calls in which a node waits."""
    if hasattr(node, 'give_up'):
        node.give_up()


def _spin(executor: Executor, node: Any, requests: Requests) -> None:
    """Spin until the node is asked to end, and suspend it on request."""
    while not requests.ending.is_set():
        ended = Future()

        def wake(ended: Future = ended) -> None:
            if not ended.done():
                ended.set_result(None)
            executor.wake()
            if requests.ending.is_set():
                _give_up(node)

        requests.tell(wake)
        keep_spinning(executor, node, ended)
        if not requests.is_suspending:
            return
        if hasattr(node, 'suspend'):
            node.suspend()
        requests.suspend()
        node.get_logger().warning('the process was suspended, and continues')


def keep_spinning(executor: Executor, node: Node, ended: Future) -> None:
    """
    Spin until a future is done, even if callbacks fail.

    One bad message must not leave a robot without control, so errors of callbacks are logged.

    :param executor: The node's executor.
    :param node: The node, for its log.
    :param ended: Done when it has to end; ``executor.wake()`` has to be called, too.
    """
    while not ended.done():
        try:
            if isinstance(executor, SingleThreadedExecutor):
                # Its spin_until_future_complete would add another callback to the future at every
                # event.
                executor.spin_once(timeout_sec=_POLL)
            else:
                # Without a timeout, the events executor of rclpy 7.1.6 spins at full load and
                # stalls.
                executor.spin_until_future_complete(ended, timeout_sec=_FOREVER)
        except ExternalShutdownException:
            return
        except Exception as error:
            node.get_logger().error(
                f'a callback failed, the node continues: {explain(error)}',
                throttle_duration_sec=1.0)


def make_executor(context: rclpy.Context | None = None) -> Executor:
    """
    Make the executor with the least overhead that this distribution has.

    That of events calls back in the order in which messages came, on whichever topics; the other
    one takes a message of each topic in turn, however many there are.

    :param context: Context of its nodes; None for the default one.
    """
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor(context=context)
    # It has Python's fault handler write to sys.stderr, which a program may have replaced.
    with contextlib.ExitStack() as stack:
        if not _has_descriptor(sys.stderr):
            if not _has_descriptor(sys.__stderr__):
                return SingleThreadedExecutor(context=context)
            stack.enter_context(contextlib.redirect_stderr(sys.__stderr__))
        return EventsExecutor(context=context)


def _has_descriptor(stream: Any) -> bool:
    """Tell whether a stream is an open file of the operating system."""
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True
