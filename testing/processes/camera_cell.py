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
"""Policy node in a process, with a robot whose cameras a test can disturb."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.ros.domain import free_domain
from testing.fixtures.cameras import CAMERA_ARM, depths, JOINTS, raw, scene
from testing.processes.heard_decisions import HeardDecisions
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess, Peer

#: Largest picture that a test publishes reliably.
_RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


def ros_message(plain: Any, stamp: Any) -> Any:
    """
    Make a ROS message of a picture.

    :param plain: An object with the fields of the message, as of testing.fixtures.cameras.
    :param stamp: builtin_interfaces/Time.
    """
    kind = CompressedImage if hasattr(plain, 'format') else Image
    fields = {
        name: value for name, value in vars(plain).items() if name not in ('header', 'data')}
    message = kind(**fields)
    message.header.stamp = stamp
    message.header.frame_id = plain.header.frame_id
    message.data = array('B', plain.data)
    return message


class CameraCell:
    """
    Policy node in a process, and a robot with two cameras that publishes at 20 Hz.

    :param policy: The policy file.
    :param robot: The robot description.
    :param compressed: Whether the camera at the wrist publishes compressed pictures.
    :param parameters: Additional parameters of the node.

    :ivar wrist: Makes a picture of the camera at the wrist from its number; None for none.
    """

    def __init__(
            self, policy: Path, robot: Path = CAMERA_ARM, compressed: bool = False,
            **parameters: Any) -> None:
        """Start the node."""
        self.domain = free_domain()
        # Tests wait for reports.
        parameters.setdefault('diagnostics__interval', 0.2)
        self.wrist: Callable[[int], Any] = good_picture
        self.process = NodeProcess(
            'dfp_ros.policy_node', self.domain, '--ros-args', *arguments(
                policy, robot=robot, publish_decisions='true', **{
                    name.replace('__', '.'): value for name, value in parameters.items()}))
        self.peer = Peer(self.domain)
        self.decisions = HeardDecisions(self.peer)
        self.commands: list[Any] = self.peer.collect(Float64MultiArray, 'speeds')
        self._reports: list[DiagnosticArray] = self.peer.collect(DiagnosticArray, '/diagnostics')
        make = self.peer.node.create_publisher
        self._arm = make(JointState, 'joint_states', 5)
        self._wrist = make(
            CompressedImage if compressed else Image, 'wrist/image_raw', _RELIABLE)
        self._depth = make(Image, 'depth/image_raw', _RELIABLE)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def __enter__(self) -> CameraCell:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.leave()
        self._ended.set()
        self._thread.join()
        self.peer.__exit__()

    def _publish(self) -> None:
        count = 0
        while not self._ended.wait(0.05):
            count += 1
            stamp = self.peer.node.get_clock().now().to_msg()
            arm = JointState(name=JOINTS, position=[0.1, -0.2])
            arm.header.stamp = stamp
            self._arm.publish(arm)
            self._depth.publish(ros_message(raw(depths(count), '16UC1'), stamp))
            picture = self.wrist(count)
            if picture is not None:
                self._wrist.publish(ros_message(picture, stamp))

    def wait_for(self, state: State, reason: Reason | None = None) -> RecordedDecision:
        """Wait for a new decision with a state, and with a reason among its reasons."""
        return self.decisions.await_one(
            lambda row: row.state is state and (reason is None or reason in row.reason))[-1]

    def wait_for_text(self, text: str) -> dict[str, str]:
        """Wait for a text in the status of the control loop; return all values of diagnostics."""
        def fitting() -> list[DiagnosticArray]:
            return [
                report for report in self._reports
                if any(text in status.message or any(
                    text in item.value for item in status.values) for status in report.status)]

        self._reports.clear()
        self.peer.wait_for(fitting)
        return {
            item.key: item.value for status in fitting()[-1].status for item in status.values}

    def set(self, name: str, value: str) -> tuple[bool, str]:
        """Set a parameter of the node; return whether it was accepted, and the reason if not."""
        typed = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        result = self.peer.call(
            SetParameters, 'dfp_policy/set_parameters', SetParameters.Request(
                parameters=[Parameter(name=name, value=typed)])).results[0]
        return result.successful, result.reason

    def resident(self) -> int:
        """Read the memory that the node has had at most, in bytes."""
        status = Path(f'/proc/{self.process.process.pid}/status').read_text()
        return int(status.split('VmHWM:')[1].split()[0]) << 10


def good_picture(count: int) -> Any:
    """Make a picture as the robot description says."""
    return raw(scene(count), 'rgb8')


def huge_picture() -> Any:
    """Make a picture of 100 megapixels."""
    return raw(np.zeros((10_000, 10_000, 3), np.uint8), 'rgb8')
