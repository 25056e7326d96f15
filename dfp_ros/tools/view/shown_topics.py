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
"""Topics that a view in Rerun shows, chosen by name and type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import enum

from dfp_ros.core.control.episode_marks import TOPIC as MARKS

#: Topics of the robot that are shown; of many, the first by name.
MOST_TOPICS = 60


class Shown(enum.Enum):
    """What a topic shows."""

    DECISION = 'std_msgs/msg/Float64MultiArray'
    STATISTICS = 'std_msgs/msg/Float64MultiArray '
    POLICY = 'std_msgs/msg/String'
    MARK = 'std_msgs/msg/String '
    DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
    JOINTS = 'sensor_msgs/msg/JointState'
    POSE = 'geometry_msgs/msg/PoseStamped'
    IMAGE = 'sensor_msgs/msg/Image'

    @property
    def type(self) -> str:
        """Return the message type."""
        return self.value.strip()


_OF_ROBOT = (Shown.JOINTS, Shown.POSE, Shown.IMAGE)


def node_topics(node: str) -> dict[str, Shown]:
    """
    List the topics of a policy node, whether or not they are there.

    :param node: Full name of the node.
    """
    namespace = node.rpartition('/')[0]
    return {
        f'{node}/decision': Shown.DECISION, f'{node}/statistics': Shown.STATISTICS,
        f'{node}/policy': Shown.POLICY, f'{namespace}/{MARKS}': Shown.MARK,
        '/diagnostics': Shown.DIAGNOSTICS}


def robot_topics(types: Mapping[str, Iterable[str]]) -> dict[str, Shown]:
    """
    Choose the topics of robot and camera.

    :param types: Message types by topic.
    """
    kinds = {each.type: each for each in _OF_ROBOT}
    found = {
        topic: kinds[kind] for topic, of_topic in sorted(types.items())
        for kind in list(of_topic)[:1] if kind in kinds}
    return dict(list(found.items())[:MOST_TOPICS])
