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
"""The topics that observations come from, as a robot description names them."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.yaml_section import Section


@dataclass(frozen=True)
class Source:
    """
    A topic that observations come from.

    :param name: What the description calls it.
    :param topic: Topic name, relative unless it starts with a slash.
    :param type: Message type, for example ``sensor_msgs/msg/JointState``.
    :param max_age: Age in s above which the robot is stopped.
    :param where: File, line and key, for messages.
    """

    name: str
    topic: str
    type: str
    max_age: float
    where: str


def read_source(name: str, section: Section) -> Source:
    """
    Read one source.

    :param name: What the description calls it.
    :param section: Its keys.
    :raises DescriptionError: At the first thing that is wrong.
    """
    keys = section.mapping(('topic', 'type', 'max_age'))
    return Source(
        name, keys['topic'].text(), keys['type'].text(), keys['max_age'].positive(),
        section.where)
