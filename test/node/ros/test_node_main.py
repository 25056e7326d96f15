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
"""Main function of a node: it survives a failing callback, and ends on a signal."""

from collections.abc import Callable, Iterator
import io
import os
import signal
import sys
import threading

import pytest

rclpy = pytest.importorskip('rclpy')

from rclpy.executors import Executor, SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from dfp_ros.node.process.end_requests import heard_signals  # noqa: E402
from dfp_ros.node.ros import node_main  # noqa: E402
from dfp_ros.node.ros.domain import free_domain  # noqa: E402
from dfp_ros.node.ros.start import join, StartError  # noqa: E402


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a domain of one's own, and the signals of the tests back afterwards."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain()))
    numbers = {*heard_signals(), signal.SIGTTIN, signal.SIGTTOU}
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


class Failing(Node):
    """
    Fails in its first three callbacks, and asks to be ended in the fourth.

    :param stops: Whether it can be stopped; else it is ended by its context instead of a signal.
    """

    def __init__(self, stops: bool = True) -> None:
        super().__init__('failing')
        self.stops = stops
        self.calls = 0
        self.stopped = self.closed = False
        self.create_timer(0.01, self.fail)

    def fail(self) -> None:
        self.calls += 1
        if self.calls == 4 and self.stops:
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.calls == 4:
            rclpy.shutdown()
        if self.calls < 4:
            raise RuntimeError('on purpose')

    def autostart(self) -> bool:
        return True

    def stop(self) -> None:
        self.stopped = True
        if not self.stops:
            raise RuntimeError('does not stop')

    def close(self) -> None:
        self.closed = self.stopped
        self.destroy_node()


@pytest.mark.parametrize('make_executor', [node_main.make_executor, SingleThreadedExecutor])
def test_a_failing_callback_does_not_end_the_node(
        make_executor: Callable[[], Executor], monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture) -> None:
    """Neither with the executor of this distribution nor with that of older ones."""
    monkeypatch.setattr(node_main, 'make_executor', make_executor)
    made = []
    assert node_main.run_node('failing', lambda: made.append(Failing()) or made[0], []) == 0
    assert made[0].calls >= 4
    assert made[0].closed
    said = capfd.readouterr().err
    assert 'a callback failed, the node continues: RuntimeError: on purpose' in said


def test_a_stop_that_fails_leaves_nothing_behind() -> None:
    """Or the process would wait for a thread at its end, for ever."""
    made = []
    with pytest.raises(RuntimeError, match='does not stop'):
        node_main.run_node(
            'failing', lambda: made.append(Failing(stops=False)) or made[0], [])
    assert made[0].closed
    assert 'signals' not in {thread.name for thread in threading.enumerate()}
    assert not rclpy.ok()


@pytest.mark.parametrize(('name', 'value', 'message'), [
    ('ROS_STATIC_PEERS', '%%%', "environment variable ROS_STATIC_PEERS: found '%%%', a host"),
    ('ROS_SECURITY_ENABLE', 'true', 'ROS_SECURITY_KEYSTORE is not set; .* or '
     'ROS_SECURITY_ENABLE false'),
    ('ROS_SECURITY_KEYSTORE', '/nonexistent', "'/nonexistent/enclaves' does not exist; ROS_SEC")])
def test_an_environment_that_ros_refuses(
        name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with a remedy, in place of a traceback or of no words."""
    monkeypatch.setenv('ROS_SECURITY_STRATEGY', 'Enforce')
    if name == 'ROS_SECURITY_KEYSTORE':
        monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=message):
        join([], context=rclpy.Context())


@pytest.mark.parametrize('original', [sys.__stderr__, None])
def test_an_executor_where_standard_error_is_no_file(
        monkeypatch: pytest.MonkeyPatch, original: object) -> None:
    """As in a notebook, or under a supervisor without one."""
    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    monkeypatch.setattr(sys, '__stderr__', original)
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        node_main.make_executor(context).shutdown()
    finally:
        rclpy.shutdown(context=context)
