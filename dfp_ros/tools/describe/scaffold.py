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
Scaffold of a robot description, written from a survey of the robot's topics.

Values that the topics do not reveal are left open with
:data:`dfp_ros.core.description.unfilled.MARK`, and every reader rejects a file with a mark.
"""

from __future__ import annotations

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.describe.scaffold_cameras import write_images
from dfp_ros.tools.describe.scaffold_commands import (
    name_actions,
    name_commands,
    write_command,
)
from dfp_ros.tools.describe.scaffold_joints import read_joints
from dfp_ros.tools.describe.scaffold_sources import (
    can_be_read,
    name_fields,
    name_sources,
    write_fields,
    write_source,
)
from dfp_ros.tools.describe.scaffold_text import line, pair
from dfp_ros.tools.describe.survey import Survey

_MOST_LEFT_OUT = 50


class ScaffoldError(ValueError):
    """There is nothing to describe; the message has the remedy."""


def write_scaffold(survey: Survey, name: str) -> str:
    """
    Write a description.

    :param survey: The survey.
    :param name: The robot's name.
    :return: YAML with comments.
    :raises ScaffoldError: If no readable topic has a publisher, or no command topic a subscriber.
    """
    sources = name_sources(survey.published)
    if not sources or not survey.taken:
        missing = ' and '.join(
            words for words, there in (
                ('no topic with observations', sources),
                ('no command topic with a subscriber', survey.taken)) if not there)
        raise ScaffoldError(
            f'found {missing} within {survey.seconds:g} s; start the driver and its controllers, '
            'and check that `ros2 topic list` shows their topics in this shell (ROS_DOMAIN_ID, '
            'ROS_AUTOMATIC_DISCOVERY_RANGE, namespace)' + _describe_outside(survey))
    joints, fault = read_joints(survey.urdf)
    lines = [
        '# Written by `ros2 run dfp_ros describe` from a survey of topics.',
        '#',
        '# 1. Delete every source and field that the policy must not see, and every command that',
        '#    it must not send. Rename fields as you like, before you record data.',
        f'# 2. Fill in each {MARK}, which topics do not tell. The file is rejected until then.',
        '# 3. Check the limits as if the robot would reach them; begin with low speeds.',
        '# 4. If a person is to take over while the policy runs, add the section takeover',
        '#    (docs/takeover.md).',
        '#',
        '# docs/robot-description.md and docs/robot-commands.md explain the keys.',
        *pair(0, 'robot', name), '', *line(0, 'sources:')]
    for source, topic in sources.items():
        lines += write_source(source, topic)
    lines += ['', '# Observation of the policy, in this order.', *line(0, 'observation:')]
    for source, base in name_fields(sources).items():
        lines += write_fields(source, base, sources[source], joints)
    lines += write_images(sources)
    lines += ['', '# Commands of the policy.', *line(0, 'commands:')]
    commands = name_commands(survey.taken)
    for command, action in name_actions(commands).items():
        lines += write_command(command, action, commands[command], sources, joints)
    lines += _remarks(survey, fault)
    return '\n'.join(lines) + '\n'


def _remarks(survey: Survey, fault: str) -> list[str]:
    """List omissions of the description, as comments."""
    outside = f'outside the namespace {survey.namespace}; without __ns it is described'
    remarks = {**survey.left_out, **dict.fromkeys(survey.outside, outside), **{
        topic.topic: f'no field is known here for {topic.type}; docs/robot-description.md says '
        'how to write one' for topic in survey.published if not can_be_read(topic)}}
    lines = []
    if fault:
        lines += line(0, f'# robot_description is not used: {printable(fault, 300)}')
    if remarks:
        lines += ['# Left out:']
        for topic, why in sorted(remarks.items())[:_MOST_LEFT_OUT]:
            lines += line(0, f'#   {printable(topic)}: {printable(why, 200)}')
    if len(remarks) > _MOST_LEFT_OUT:
        lines += line(0, f'#   and {len(remarks) - _MOST_LEFT_OUT} more')
    return ['', *lines] if lines else []


def _describe_outside(survey: Survey) -> str:
    """Name the topics outside the namespace, for a message that there are none inside."""
    if not survey.outside:
        return ''
    more = ', ...' if len(survey.outside) > 3 else ''
    names = printable(', '.join(survey.outside[:3]) + more, 200)
    return f'; outside the namespace {survey.namespace} are {names}'
