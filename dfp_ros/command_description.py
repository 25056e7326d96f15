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
"""The topics that commands go to, as a robot description puts actions into them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dfp_ros.yaml_section import Section

ZERO = 'zero'


@dataclass(frozen=True)
class CommandEntry:
    """
    Where a field of the action goes in a command message.

    :param action: The action field's name, as in the policy's specification.
    :param unit: Its unit, as in the policy's specification.
    :param path: Message field, dotted, for example ``twist.linear``.
    :param components: Members of that message field, one a number of the action, or empty.
    :param indices: Elements of that array, one a number of the action, or empty.
    :param where: File, line and key, for messages.
    :param limit: What an action of 1 commands, one a number; empty where the description leaves
        that to the policy. Recordings without a policy need it.
    """

    action: str
    unit: str
    path: str
    components: tuple[str, ...]
    indices: tuple[int, ...]
    where: str
    limit: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers of the action it takes."""
        return max(1, len(self.components), len(self.indices))


@dataclass(frozen=True)
class CommandTopic:
    """
    A topic that commands go to.

    :param name: What the description calls it.
    :param topic: Topic name, relative unless it starts with a slash.
    :param type: Message type, for example ``geometry_msgs/msg/TwistStamped``.
    :param frame_id: Frame of the command (REP-103), empty for a message without header.
    :param stop: What stops the robot there; :data:`ZERO` is for velocities.
    :param entries: What goes where in the message.
    :param where: File, line and key, for messages.
    """

    name: str
    topic: str
    type: str
    frame_id: str
    stop: str
    entries: tuple[CommandEntry, ...]
    where: str


def read_command(name: str, section: Section) -> CommandTopic:
    """
    Read one command topic.

    :param name: What the description calls it.
    :param section: Its keys.
    :raises DescriptionError: At the first thing that is wrong.
    """
    keys = section.mapping(('topic', 'type', 'stop', 'fields'), ('frame_id',))
    entries = []
    for item in keys['fields'].items():
        field = item.mapping(('action', 'unit', 'path'), ('components', 'indices', 'limit'))
        item.at_most_one(field, ('components', 'indices'))
        entry = CommandEntry(
            field['action'].text(), field['unit'].text(), field['path'].text(),
            field['components'].texts() if 'components' in field else (),
            field['indices'].indices() if 'indices' in field else (), item.where)
        if 'limit' in field:
            limit = field['limit'].numbers(entry.size)
            if min(limit) <= 0:
                raise field['limit'].error(f'found {min(limit)}, expected numbers above 0')
            entry = replace(entry, limit=limit)
        entries.append(entry)
    return CommandTopic(
        name, keys['topic'].text(), keys['type'].text(),
        keys['frame_id'].text() if 'frame_id' in keys else '', keys['stop'].choice([ZERO]),
        tuple(entries), section.where)
