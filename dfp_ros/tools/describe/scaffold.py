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
"""
A robot description to begin with, written from what a robot's topics say.

What they do not say is left open with :data:`dfp_ros.core.description.unfilled.MARK`, and a file
in which a mark is left is refused by whatever reads it.
"""

from __future__ import annotations

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.describe.scaffold_commands import name_commands, write_command
from dfp_ros.tools.describe.scaffold_joints import read_joints
from dfp_ros.tools.describe.scaffold_sources import (
    can_be_read,
    name_sources,
    write_fields,
    write_source,
)
from dfp_ros.tools.describe.scaffold_text import line, pair
from dfp_ros.tools.describe.survey import Survey

_MOST_LEFT_OUT = 50


class ScaffoldError(ValueError):
    """There is nothing to write a description of; the message says what to do."""


def write_scaffold(survey: Survey, name: str) -> str:
    """
    Write a description.

    :param survey: What was found.
    :param name: The robot's name.
    :return: YAML, with comments.
    :raises ScaffoldError: Where nobody publishes anything that can be read, or nobody listens.
    """
    sources = name_sources(survey.published)
    if not sources or not survey.taken:
        missing = ' and '.join(
            words for words, there in (
                ('no topic that an observation could be read from', sources),
                ('no topic that somebody takes commands from', survey.taken)) if not there)
        raise ScaffoldError(
            f'found {missing} within {survey.seconds:g} s; start the driver and its controllers, '
            'and see that `ros2 topic list` shows their topics in this shell (ROS_DOMAIN_ID, '
            'ROS_AUTOMATIC_DISCOVERY_RANGE, namespace)')
    joints, wrong = read_joints(survey.urdf)
    lines = [
        '# Written by `ros2 run dfp_ros describe` from the topics that were there.',
        '#',
        '# 1. Delete every source and field that the policy is not to see, and every command that',
        '#    it is not to send. Rename fields as you like, before there is data.',
        f'# 2. Fill in what the topics do not say: each {MARK}. Nothing takes this file before.',
        '# 3. Read the limits as though the robot would run into them; begin with low speeds.',
        '#',
        '# docs/robot-description.md and docs/robot-commands.md say what the keys mean.',
        *pair(0, 'robot', name), '', *line(0, 'sources:')]
    for source, topic in sources.items():
        lines += write_source(source, topic)
    lines += ['', '# What the policy sees, in this order.', *line(0, 'observation:')]
    for source, topic in sources.items():
        lines += write_fields(source, topic, joints)
    lines += ['', '# What the policy commands.', *line(0, 'commands:')]
    for command, taken in name_commands(survey.taken).items():
        lines += write_command(command, taken, sources, joints)
    lines += _remarks(survey, wrong)
    return '\n'.join(lines) + '\n'


def _remarks(survey: Survey, wrong: str) -> list[str]:
    """Say what is not in the description."""
    remarks = {**survey.left_out, **{
        topic.topic: f'no field is known here for {topic.type}; docs/robot-description.md says '
        'how to write one' for topic in survey.published if not can_be_read(topic)}}
    lines = []
    if wrong:
        lines += line(0, f'# Of the robot_description nothing is used: {printable(wrong, 300)}')
    if remarks:
        lines += ['# Left out:']
        for topic, why in sorted(remarks.items())[:_MOST_LEFT_OUT]:
            lines += line(0, f'#   {printable(topic)}: {printable(why, 200)}')
    if len(remarks) > _MOST_LEFT_OUT:
        lines += line(0, f'#   and {len(remarks) - _MOST_LEFT_OUT} more')
    return ['', *lines] if lines else []
