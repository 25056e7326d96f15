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
"""Topic ``~/policy``: the running policy, the one being loaded, and the last refusal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
import json
from typing import Any

from rclpy.node import Node
from std_msgs.msg import String

from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING
from dfp_ros.node.ros.qos import STATUS_QOS


@dataclass(frozen=True)
class Refusal:
    """
    Refusal of a policy.

    :param policy: Value of the parameter.
    :param reason: Reason of the refusal.
    :param time: Its time in UTC.
    """

    policy: str
    reason: str
    time: str


def time_now() -> str:
    """Return the wall time in UTC in ISO 8601, for any clock of the node."""
    return datetime.now(timezone.utc).isoformat(timespec='milliseconds')


def describe_policy(loop: ControlLoop) -> dict[str, Any]:
    """Describe the policy of a control loop, for JSON."""
    policy = loop.policy
    return {
        'name': policy.spec.name, 'parameter': loop.settings.policy, 'path': str(policy.path),
        'sha256': policy.sha256, 'signed_by': policy.file.signed_by,
        'providers': policy.providers,
        'providers_left_out': policy.execution.left_out(policy.providers),
        'latency_p99_ms': round(loop.latency * 1e3, 4)}


@dataclass(frozen=True)
class Standing:
    """
    Status of the policies of a node.

    :param loop: The running control loop.
    :param number: Its identifier in the rows of ~/decision.
    :param since: Time at which its policy took over.
    :param loading: Parameter values of the policies being loaded.
    :param previous: The policy that ~/rollback would return to, or None.
    :param shadow: The shadow policy, or None.
    :param refusal: The last refusal, or None.
    """

    loop: ControlLoop
    number: int
    since: str
    loading: tuple[str, ...]
    previous: ControlLoop | None
    shadow: ControlLoop | None
    refusal: Refusal | None

    def to_json(self, robot_sha256: str) -> str:
        """Format the status as JSON, with the specification and the settings."""
        loop = self.loop
        return json.dumps({
            **describe_policy(loop), 'loop': self.number, 'since': self.since,
            'spec': json.loads(loop.policy.spec.to_json()), 'settings': asdict(loop.settings),
            'robot': {'name': loop.robot.name, 'sha256': robot_sha256},
            'joints': loop.robot.joints and {
                name: limits.to_record() for name, limits in loop.robot.joints.items()},
            'loading': self.loading,
            'previous': self.previous and describe_policy(self.previous),
            'shadow': self.shadow and describe_policy(self.shadow),
            'last_refusal': self.refusal and asdict(self.refusal)})

    def facts(self) -> dict[str, str]:
        """Facts for diagnostics."""
        policy = self.loop.policy
        return {
            'providers': ' '.join(policy.providers),
            'providers_left_out': ' '.join(policy.execution.left_out(policy.providers)),
            'latency_p99_ms': f'{self.loop.latency * 1e3:.4f}',
            'loading': ' '.join(self.loading),
            'last_refusal': self.refusal.reason if self.refusal else ''}


class PolicyStatus:
    """
    Publishes the status of the policies, latched for late subscribers.

    :param node: The node.
    :param robot_sha256: Hash of the robot description's file.
    :param wait: Returns right after a tick; called in another thread.
    """

    def __init__(self, node: Node, robot_sha256: str, wait: Callable[[], None]) -> None:
        """Create the publisher."""
        self._node = node
        self._wait = wait
        self._robot_sha256 = robot_sha256
        self._publisher = node.create_publisher(String, '~/policy', STATUS_QOS)
        self._newest: deque[Standing] = deque(maxlen=1)
        # The serialisation takes as long as a tick.
        self._thread = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix='status', initializer=SCHEDULING.step_aside)

    def publish(self, standing: Standing) -> None:
        """
        Publish in a separate thread.

        A status that still waits for a tick is outdated and skipped: otherwise hundreds of
        parameter changes would accumulate.
        """
        self._newest.append(standing)
        self._thread.submit(self._publish)

    def _publish(self) -> None:
        """Serialise and publish the newest status, unless that was done already."""
        if not self._newest:
            return
        self._wait()
        standing = self._newest.pop()
        self._publisher.publish(String(data=standing.to_json(self._robot_sha256)))

    def close(self) -> None:
        """Publish the pending status, and destroy the publisher."""
        self._thread.shutdown(wait=True)
        self._node.destroy_publisher(self._publisher)
