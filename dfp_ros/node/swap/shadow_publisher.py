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
"""Topic ``~/shadow``: commands of the shadow policy, compared with those of the running one."""

from __future__ import annotations

from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.factory import make_planner
from dfp_ros.core.policy.deadline import with_deadline
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loop.tick import Tick
from dfp_ros.node.messages.preserialized import PreserializedRow
from dfp_ros.node.ros.qos import DECISION_QOS
from dfp_ros.node.swap.shadow import Shadow

_SECOND = 1_000_000_000
# Margin on the latency, which is measured without load; the comparison itself takes little.
_MARGIN = 2.0


class ShadowPublisher:
    """
    Publishes comparisons as labelled rows of numbers.

    A row is the ``data`` of a std_msgs/Float64MultiArray, whose ``layout.dim`` has a label and a
    size for each part: the decision's number and stamp, the shadow's command, its disagreement in
    each action field, and the root mean square of all.

    :param node: The node.
    :param loop: The control loop of the shadow.
    :param running: The running control loop.

    :ivar loop: The control loop of the shadow.
    :ivar shadow: The shadow.
    """

    def __init__(self, node: Node, loop: ControlLoop, running: ControlLoop) -> None:
        """Create the publisher."""
        self.loop = loop
        self._node = node
        self.follow(running)
        self._publisher = node.create_publisher(Float64MultiArray, '~/shadow', DECISION_QOS)

    def follow(self, running: ControlLoop) -> None:
        """Compare with another running loop from now on, for example one with another rate."""
        action = running.policy.spec.action
        # Its candidates are those that it was tried out with.
        settings = running.settings.with_loaded(self.loop.settings)
        self.shadow = Shadow(
            self.loop.policy.spec,
            make_planner(
                settings, with_deadline(self.loop.policy, settings), running.robot,
                inference=self.loop.inference),
            running.policy.spec, _MARGIN * self.loop.latency)
        parts = [('number', 1), ('stamp', 2), ('command', running.policy.spec.action_size)]
        parts += [(f'disagreement/{member.name}', 1) for member in action] + [('rms', 1)]
        self._layout = PreserializedRow(parts)

    def compare(self, tick: Tick) -> None:
        """Compare the shadow with the decision of a tick, if there is time."""
        decision = tick.decision
        found = self.shadow.compare(
            tick.now, decision.observation, decision.command, tick.time_left(),
            decision.pictures)
        if found is not None:
            row = [
                float(tick.number), *map(float, divmod(tick.now, _SECOND)),
                *found.command.tolist(),
                *found.disagreement, found.rms]
            self._publisher.publish(self._layout.serialize(row))

    def facts(self) -> dict[str, str]:
        """Facts for diagnostics."""
        shadow = self.shadow
        return {
            'shadow': self.loop.policy.spec.name, 'shadow_sha256': self.loop.policy.sha256,
            'shadow_rms': f'{shadow.rms:.4f}', 'shadow_asked': str(shadow.asked),
            'shadow_skipped': str(shadow.skipped), 'shadow_failed': str(shadow.failed)}

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
