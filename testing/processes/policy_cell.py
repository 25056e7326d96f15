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
"""Policy node in a process, with a simulated robot that a test can disturb."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
import signal
import threading
from typing import Any, NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from dfp_ros.node.ros.domain import free_domain
from testing import ROOT
from testing.fixtures.robot_samples import rest_messages
from testing.processes.ros_processes import NodeProcess, Peer

SHIPPED = ROOT / 'config' / 'ur5e_cube.yaml'
#: Parameter with which a test waits less for reports.
OFTEN: dict[str, Any] = {'diagnostics.interval': 0.2}


# Wall time in s between two messages of a source, without and with a clock, whose steps have to be
# short for a time that runs fast.
_PERIOD, _CLOCK_PERIOD = 0.02, 0.01
# Simulated time in s at which a node starts.
_BEGIN = 1000.0
#: Parameters for a busy machine, where answers and files take longer than a node accepts.
PATIENT: dict[str, Any] = {'latency_share': 10.0, 'load_timeout': 120.0}


class CommonNode:
    """
    Policy node for several cells, one after the other.

    Each cell has a robot and a peer of its own. It leaves the node active with its policy, and
    the robot is released for the next one; after a cell that failed, that has a new node. At the
    end the node must exit normally.

    :param policy: The policy file.
    :param parameters: Additional parameters of the node.

    :ivar domain: ROS domain of the node.
    :ivar time: Simulated time in s at which the next cell begins.
    """

    def __init__(self, policy: Path, **parameters: Any) -> None:
        """Start nothing yet."""
        self.domain, self.time = 0, _BEGIN
        self._arguments = [*arguments(policy, **{**PATIENT, **parameters})]
        self._process: NodeProcess | None = None

    def __enter__(self) -> CommonNode:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None or self._process.process.poll() is not None:
            return
        with self._process:
            assert self._process.stop() == 0, self._process.output
            self._process.recall()
            assert 'Traceback' not in self._process.output

    def started(self) -> NodeProcess:
        """Return the node, a new one if none runs, with what it says from now on."""
        if self._process is None or self._process.process.poll() is not None:
            self.domain, self.time = free_domain(), _BEGIN
            self._process = NodeProcess(
                'dfp_ros.policy_node', self.domain, '--ros-args', *self._arguments)
        self._process.forget()
        return self._process


class Counts(NamedTuple):
    """Numbers of ticks and missed ticks since the activation, and the time in s."""

    time: float
    ticks: int
    missed: int


class Cell:
    """
    Policy node in a process, a robot at rest that publishes, and subscriptions to all commands.

    :param policy: The policy file, or a node with one that several cells share.
    :param pace: Ratio of simulated to real time; 0 for a cell in real time.
    :param prefix: Command that runs the node's process.
    :param parameters: Additional parameters of the node.
    """

    def __init__(
            self, policy: Path | CommonNode, pace: float = 0, prefix: Sequence[str] = (),
            **parameters: Any) -> None:
        """Start the node, and publish from a thread at 50 Hz, in simulated time at 100 Hz."""
        self.pace = pace
        #: Simulated time in s, and the offset by which the robot's clock is set back.
        self.time, self.set_back = _BEGIN, 0.0
        self._common = policy if isinstance(policy, CommonNode) else None
        if isinstance(policy, CommonNode):
            assert not prefix
            assert not parameters, 'a node that is shared has its own'
            self.process = policy.started()
            self.domain, self.time = policy.domain, policy.time
        else:
            if pace:
                parameters['use_sim_time'] = 'true'
            self.domain = free_domain()
            self.process = NodeProcess(
                'dfp_ros.policy_node', self.domain, '--ros-args',
                *arguments(policy, **{**PATIENT, **parameters}), prefix=prefix)
        self.peer = Peer(self.domain)
        self.twists: list[TwistStamped] = self.peer.collect(TwistStamped, 'twist_command')
        self.grips: list[Float64MultiArray] = self.peer.collect(
            Float64MultiArray, 'gripper_command')
        self._reports: list[DiagnosticArray] = self.peer.collect(DiagnosticArray, '/diagnostics')
        #: Topics that are not published.
        self.silent: set[str] = set()
        #: Whether the arm reports a velocity that is NaN.
        self.broken = False
        self._publishers: dict[str, Any] = {}
        for topic, message in rest_messages(self.now()).items():
            self._publishers[topic] = self.peer.node.create_publisher(type(message), topic, 5)
        self._clock = self.peer.node.create_publisher(Clock, '/clock', 5) if pace else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> Cell:
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        try:
            if self._common and not any(fault):
                self.silent, self.pace = set(), float(bool(self.pace))
                self.peer.call(Trigger, 'dfp_policy/resume')
                self.wait_for_motion()
            else:
                self.process.leave()
        except TimeoutError:
            self.process.leave()
            raise
        finally:
            self._ended.set()
            self._thread.join()
            self.peer.__exit__()
            if self._common:
                # Old samples of one robot and new ones of the next are apart.
                self._common.time = self.time + 1.0

    def now(self) -> Any:
        """Return the stamp for a message."""
        if self.pace:
            return Time(nanoseconds=round((self.time - self.set_back) * 1e9)).to_msg()
        return self.peer.node.get_clock().now().to_msg()

    def publish(self, messages: dict[str, Any]) -> None:
        """Publish messages by topic."""
        for topic, message in messages.items():
            self._publishers[topic].publish(message)

    def _publish(self) -> None:
        while not self._ended.wait(_CLOCK_PERIOD if self.pace else _PERIOD):
            self.time += _CLOCK_PERIOD * self.pace
            if self._clock:
                self._clock.publish(Clock(clock=self.now()))
            messages = rest_messages(self.now())
            if self.broken:
                messages['joint_states'].velocity[2] = np.nan
            self.publish(
                {topic: message for topic, message in messages.items()
                 if topic not in self.silent})

    def wait_for_motion(self) -> None:
        """Wait for a new non-zero command."""
        self.twists.clear()
        self.peer.wait_for(lambda: any(speed(twist) > 0 for twist in self.twists))

    def wait_for_more_twists(self, count: int) -> None:
        """Wait for a number of new commands, of any node."""
        before = len(self.twists)
        self.peer.wait_for(lambda: len(self.twists) >= before + count)

    def wait_for_stop(self) -> None:
        """Wait for a new zero command on both topics."""
        self.twists.clear()
        self.grips.clear()
        self.peer.wait_for(lambda: self.twists and speed(self.twists[-1]) == 0 and self.grips
                           and self.grips[-1].data[0] == 0)

    def wait_for_no_motion(self) -> None:
        """Wait until the last command is zero on both topics, regardless of its time."""
        self.peer.wait_for(lambda: self.twists and speed(self.twists[-1]) == 0 and self.grips
                           and self.grips[-1].data[0] == 0)

    def report(self, **expected: str) -> tuple[DiagnosticStatus, dict[str, str]]:
        """Wait for values in diagnostics; return the first status, and the values of all."""
        self._reports.clear()

        def values(array: DiagnosticArray) -> dict[str, str]:
            return {item.key: item.value for status in array.status for item in status.values}

        def fitting() -> list[DiagnosticArray]:
            return [
                array for array in self._reports if expected.items() <= values(array).items()]

        self.peer.wait_for(fitting)
        array = fitting()[-1]
        return array.status[0], {**values(array), 'stamp': repr(seconds(array.header.stamp))}

    def counts(self) -> Counts:
        """Wait for a report, and return its counts of ticks."""
        # The first one may have been in flight.
        self.report()
        _, values = self.report()
        return Counts(
            float(values['stamp']), int(values['run_ticks']), int(values['run_missed_ticks']))

    def set(self, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter of the node; return whether it was accepted, and the reason if not."""
        future = self.ask_to_set(name, value)
        self.peer.wait_for(future.done)
        result = future.result().results[0]
        return result.successful, result.reason

    def ask_to_set(self, name: str, value: Any) -> Any:
        """Request a parameter change, and return the future answer."""
        if isinstance(value, bool):
            typed = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value)
        elif isinstance(value, str):
            typed = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        elif isinstance(value, int):
            typed = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
        else:
            typed = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        return self.peer.ask(
            SetParameters, 'dfp_policy/set_parameters',
            SetParameters.Request(parameters=[Parameter(name=name, value=typed)]))

    def get(self, name: str) -> ParameterValue:
        """Get a parameter of the node."""
        return self.peer.call(
            GetParameters, 'dfp_policy/get_parameters',
            GetParameters.Request(names=[name])).values[0]

    def change(self, transition: int) -> bool:
        """Request a transition; return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.peer.call(ChangeState, 'dfp_policy/change_state', request).success)

    def end(self, number: int = signal.SIGINT) -> None:
        """Send a signal; the node must stop the robot and exit normally."""
        status = self.process.stop(number)
        assert status == 0, self.process.output
        assert 'Traceback' not in self.process.output


def arguments(policy: Path | str, **parameters: Any) -> Iterator[str]:
    """Format parameters for a command line."""
    for name, value in {'policy': policy, 'robot': SHIPPED, **parameters}.items():
        yield from ('-p', f'{name}:={value}')


def seconds(stamp: Any) -> float:
    """Convert a stamp to s."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def speed(twist: TwistStamped) -> float:
    """Return the largest element of a twist."""
    vectors = (twist.twist.linear, twist.twist.angular)
    return max(abs(getattr(vector, name)) for vector in vectors for name in 'xyz')
