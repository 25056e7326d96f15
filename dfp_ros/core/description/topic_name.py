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
"""Validation of topic names, with file and line, which errors of rclpy lack."""

from __future__ import annotations

import re

from dfp_ros.core.description.yaml_section import Section

# https://design.ros2.org/articles/topic_and_service_names.html; a name may begin with ~/ too.
_NAME = re.compile(r'(?:~/|/)?[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*')
_LONGEST = 200


def is_topic_name(name: str) -> bool:
    """Return whether a text can be the name of a topic, a service or a node."""
    return len(name) <= _LONGEST and _NAME.fullmatch(name) is not None


def read_topic(section: Section) -> str:
    """
    Read a value as the name of a topic.

    :param section: The value.
    :return: The name, relative unless it starts with a slash.
    :raises DescriptionError: If it is not a valid topic name.
    """
    name = section.text()
    if len(name) > _LONGEST:
        raise section.error(
            f'found a topic name of {len(name)} characters, expected at most {_LONGEST}')
    if not is_topic_name(name):
        raise section.error(
            f'found {name!r}, which is no topic name: words of letters, digits and _, none of '
            'which begins with a digit, with one / between two, as in arm/joint_states')
    return name
