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
"""Running a lifecycle node as a process: start, spin, stop safely on a signal."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import signal
import socket
import threading
from typing import Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from dfp_ros.dds_transport import choose_transport
from dfp_ros.malloc_arenas import limit_arenas

_FOREVER = 1e8  # s
_POLL = 0.1  # s
_LONGEST_JOIN = 1.0  # s


class SafeNode(Protocol):
    """A node that starts by itself and can stop what it moves."""

    def autostart(self) -> bool:
        """Begin to work if it is to; False where that failed and was logged."""
        ...  # pragma: no cover

    def stop(self) -> None:
        """Stop everything that moves."""
        ...  # pragma: no cover

    def close(self) -> None:
        """Stop everything that moves, and destroy the node."""
        ...  # pragma: no cover


def run_node(name: str, make: Callable[[], SafeNode], args: list[str] | None) -> int:
    """
    Run a node until SIGINT or SIGTERM.

    :param name: For messages from before the node exists.
    :param make: Makes the node.
    :param args: Command line, None for the process's own.
    :return: The exit status: 1 where a parameter is wrong or the autostart failed, else 0.
    """
    limit_arenas()
    transport = choose_transport()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    ended = Future()
    signals = _catch_signals()
    try:
        node = make()
    except ParameterException as error:
        rclpy.logging.get_logger(name).error(f'cannot start: {error}')
        rclpy.shutdown()
        return 1
    rclpy.logging.get_logger(name).info(transport)
    executor: Executor | None = None
    waiting: threading.Thread | None = None
    try:
        if not node.autostart():
            return 1
        executor = make_executor()
        assert isinstance(node, Node)
        executor.add_node(node)

        def wait_for_signal() -> None:
            signals.recv(1)
            ended.set_result(None)
            executor.wake()

        waiting = threading.Thread(target=wait_for_signal, name='signals', daemon=True)
        waiting.start()
        keep_spinning(executor, node, ended)
        executor.remove_node(node)
        return 0
    finally:
        # From the last to the first, each whatever becomes of those before.
        with contextlib.ExitStack() as left:
            left.callback(rclpy.try_shutdown)
            left.callback(node.close)
            if executor is not None:
                left.callback(executor.shutdown)
            if waiting is not None:
                left.callback(_end, waiting, signals)
            # Before anything is taken down, the robot is stopped.
            node.stop()


def _end(waiting: threading.Thread, signals: socket.socket) -> None:
    """Have nobody wait for signals; who did would wake an executor that is gone."""
    # One more finds nobody, and no socket that is shut.
    signal.set_wakeup_fd(-1)
    with contextlib.suppress(OSError):
        signals.shutdown(socket.SHUT_RDWR)
    waiting.join(_LONGEST_JOIN)


def keep_spinning(executor: Executor, node: Node, ended: Future) -> None:
    """
    Take messages until told to end, whatever the callbacks do.

    A robot must not be left because of one bad message, so a callback that fails is logged.

    :param executor: Has the node.
    :param node: Logs.
    :param ended: Done when it is to end; who ends it calls ``executor.wake()`` too.
    """
    while not ended.done():
        try:
            if isinstance(executor, SingleThreadedExecutor):
                # Its spin_until_future_complete hangs one more callback on the future at every
                # event, for ever.
                executor.spin_once(timeout_sec=_POLL)
            else:
                # Without a timeout, the events executor of rclpy 7.1.6 spins at full load and
                # stalls.
                executor.spin_until_future_complete(ended, timeout_sec=_FOREVER)
        except ExternalShutdownException:
            return
        except Exception as error:
            node.get_logger().error(
                f'a callback failed, the node goes on: {type(error).__name__}: {error}',
                throttle_duration_sec=1.0)


def _catch_signals() -> socket.socket:
    """
    Have SIGINT and SIGTERM arrive as bytes on a socket.

    So they interrupt neither a tick nor the stop that they lead to, whichever of the process's
    threads the operating system hands them to.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.detach())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return ours


def make_executor() -> Executor:
    """Make the executor that costs least, where this distribution has it."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()
