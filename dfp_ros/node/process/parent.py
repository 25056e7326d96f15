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
Detection of an orphaned process: its ancestors, and those of them that have ended.

``ros2 run`` and ``ros2 launch`` start a node and wait for it. SIGTERM or SIGKILL ends them but not
the node, which would command its robot without an operator. The parent-death signal of Linux
(``PR_SET_PDEATHSIG``) is sent when the *thread* that started a process ends, and not if that
happened before it was requested; a process descriptor (``pidfd_open``) has neither fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dfp_ros.node.process.start import PARENT, PARENT_GROUP

AUTO, ALWAYS, NEVER = 'auto', 'always', 'never'
CHOICES = (AUTO, ALWAYS, NEVER)
PARAMETER = 'end_with_parent'
SENTENCE = (
    'Whether the node stops its robot and ends when its parent ends. auto: with ros2 run, '
    'ros2 launch and the script that it is part of (its ancestors in its process group), but not '
    'if it was started to outlive them: with nohup, with setsid, or by systemd. always: with the '
    'process that started it, in any case. never: not at all.')
# Signal number of SIGHUP, as a bit of the mask in /proc.
_HANGUP = 1
# Largest number of ancestors that are searched.
_MOST = 32


@dataclass(frozen=True)
class Kin:
    """
    A process and its relations.

    :param pid: Its process id.
    :param name: Its name, at most 15 characters.
    :param parent: Process id of its parent.
    :param group: Its process group: a job of a shell.
    :param session: Its session.
    :param ignores_hangup: Whether it ignores SIGHUP, as under ``nohup``.
    """

    pid: int
    name: str
    parent: int
    group: int
    session: int
    ignores_hangup: bool


def read_kin(pid: int) -> Kin | None:
    """Read the properties of a process; None if it does not exist."""
    try:
        # The name may contain any character; the fields after its last bracket do not.
        before, _, after = Path(f'/proc/{pid}/stat').read_text(errors='replace').rpartition(')')
        status = Path(f'/proc/{pid}/status').read_text(errors='replace')
    except OSError:
        return None
    state, parent, group, session = after.split()[:4]
    if state in 'ZX':
        return None
    ignored = next(
        (line.split()[1] for line in status.splitlines() if line.startswith('SigIgn:')), '0')
    return Kin(
        pid, before.partition('(')[2], int(parent), int(group), int(session),
        bool(int(ignored, 16) & _HANGUP))


def find_ancestors(
        own: Kin, choice: str, read: Callable[[int], Kin | None] = read_kin) -> list[Kin]:
    """
    Find the processes whose end also ends this process.

    :param own: The process.
    :param choice: One of :data:`CHOICES`; see :data:`SENTENCE`.
    :param read: Reads the properties of a process.
    :return: The nearest first; empty if there are none.
    """
    found: list[Kin] = []
    child = own
    while choice != NEVER and len(found) < _MOST and child.parent > 1:
        above = read(child.parent)
        if above is None:
            break
        # Of a connection without a terminal, only sshd ends with the connection.
        is_connection = above.name.startswith('sshd')
        if choice == AUTO and (
                not (above.group == own.group or is_connection)
                or (child.ignores_hangup and not above.ignores_hangup)):
            break
        found.append(above)
        if above.group != own.group:
            break
        child = above
    return found


def explain_orphan(
        own: Kin, choice: str, parent: int = PARENT, parent_group: int = PARENT_GROUP,
        read: Callable[[int], Kin | None] = read_kin) -> str:
    """
    Explain whether a process was orphaned before its ancestors were watched.

    :param own: The process, as of now.
    :param choice: One of :data:`CHOICES`.
    :param parent: Its parent at the start.
    :param parent_group: The parent's process group.
    :param read: Reads the properties of a process.
    :return: Description of the process that ended; empty if none did.
    """
    if choice == NEVER or (choice == AUTO and own.ignores_hangup):
        return ''
    if parent > 1 and own.parent != parent and (choice == ALWAYS or parent_group == own.group):
        return f'the process that started it (process {parent})'
    # Adopted already: the leader of the process group has ended.
    if parent <= 1 and own.group not in (0, own.pid) and own.session != own.pid and (
            read(own.group) is None):
        return f'the command that it is part of (process {own.group})'
    return ''
