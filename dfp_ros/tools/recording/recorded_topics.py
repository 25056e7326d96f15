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
"""Topics that a recording of a robot has: those of its description, of its policy, and marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from std_msgs.msg import Float64MultiArray, String

from dfp_ros.core.control.episode_marks import TOPIC
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.node.messages.introspection import find_message_type
from dfp_ros.node.messages.source_reader import SourceReader


@dataclass(frozen=True)
class RecordedTopic:
    """
    Topic of a recording.

    :param name: Its full name.
    :param message_type: Its message class.
    :param type: The name of that, such as ``sensor_msgs/msg/JointState``.
    :param is_latched: Whether messages from before the recording are asked for.
    :param is_expected: Whether messages come without anybody's doing.
    """

    name: str
    message_type: Any
    type: str
    is_latched: bool = False
    is_expected: bool = True


def recorded_topics(
        robot: RobotDescription, policy_node: str,
        resolve: Callable[[str], str]) -> list[RecordedTopic]:
    """
    List the topics to record, each once, and the marks last.

    :param robot: The robot's description.
    :param policy_node: Name of the policy node.
    :param resolve: Returns the full name of a topic: two names may be of one, such as
        ``joint_states`` and ``/joint_states``, or two that are remapped.
    """
    topics = [
        (resolve(topic), SourceReader(source, robot).message_type, source.type)
        for source in robot.every_source.values()
        for topic in (source.topic, source.static_topic) if topic]
    topics += [
        (resolve(topic.topic), find_message_type(topic.type, topic.where), topic.type)
        for topic in robot.commands if not topic.action]
    # The running policy was published before the recording began.
    status = resolve(f'{policy_node}/policy')
    topics += [
        (resolve(f'{policy_node}/decision'), Float64MultiArray, 'std_msgs/msg/Float64MultiArray'),
        (status, String, 'std_msgs/msg/String')]
    latched = {status} | {
        resolve(name) for source in robot.sources.values() for name, is_latched in (
            (source.static_topic, True),
            (source.topic, source.qos.durability == 'transient_local')) if name and is_latched}
    people: set[str] = set() if robot.takeover is None else {
        resolve(source.topic) for source in robot.takeover.sources.values()}
    people -= {resolve(source.topic) for source in robot.sources.values() if source.topic}
    marks = RecordedTopic(resolve(TOPIC), String, 'std_msgs/msg/String', is_expected=False)
    return [
        RecordedTopic(name, kind, text, name in latched, name not in people)
        for name, kind, text in dict.fromkeys(topics)
        if (name, text) != (marks.name, marks.type)] + [marks]
