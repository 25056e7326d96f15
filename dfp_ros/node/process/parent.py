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
Whether a process was left alone: the processes that it belongs to, and which of them have ended.

``ros2 run`` and ``ros2 launch`` start a node and wait for it. SIGTERM or SIGKILL ends them and not
the node, which would command its robot with nobody left to stop it. The parent-death signal of
Linux (``PR_SET_PDEATHSIG``) comes when the *thread* that started a process ends, and not where
that happened before it was asked for; a descriptor of the process (``pidfd_open``) has neither
fault.
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
    'Whether the node stops its robot and ends when what started it ends. auto: with ros2 run, '
    'ros2 launch and the script that it is part of (the processes above it in its process group), '
    'but not where it was started to outlive them: with nohup, with setsid, or by systemd. '
    'always: with the process that started it, whatever that is. never: not at all.')
# Signal number of SIGHUP, as a bit of the mask in /proc.
_HANGUP = 1
# Above this many processes there is no script any more.
_MOST = 32


@dataclass(frozen=True)
class Kin:
    """
    A process, as far as it matters whose it is.

    :param pid: Its number.
    :param name: Its name, at most 15 characters.
    :param parent: Number of its parent.
    :param group: Its process group: a job of a shell.
    :param session: Its session.
    :param ignores_hangup: Whether it ignores SIGHUP, as ``nohup`` has it.
    """

    pid: int
    name: str
    parent: int
    group: int
    session: int
    ignores_hangup: bool


def read_kin(pid: int) -> Kin | None:
    """Read what the system knows of a process; None where there is none."""
    try:
        # The name may have any character; what follows its last bracket has not.
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
    Find the processes with which a process is to end.

    :param own: The process.
    :param choice: One of :data:`CHOICES`; see :data:`SENTENCE`.
    :param read: Reads what is known of a process.
    :return: The nearest first; empty where it stands alone.
    """
    found: list[Kin] = []
    child = own
    while choice != NEVER and len(found) < _MOST and child.parent > 1:
        above = read(child.parent)
        if above is None:
            break
        # Over a connection without a terminal, sshd is all that ends with the connection.
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
    Say whether a process lost what it belongs to before anybody looked.

    :param own: The process, as it is now.
    :param choice: One of :data:`CHOICES`.
    :param parent: Its parent at the start.
    :param parent_group: That one's process group.
    :param read: Reads what is known of a process.
    :return: What ended, for people; empty where nothing did.
    """
    if choice == NEVER or (choice == AUTO and own.ignores_hangup):
        return ''
    if parent > 1 and own.parent != parent and (choice == ALWAYS or parent_group == own.group):
        return f'the process that started it (process {parent})'
    # Adopted already: the process group is somebody else's, who is gone.
    if parent <= 1 and own.group not in (0, own.pid) and own.session != own.pid and (
            read(own.group) is None):
        return f'the command that it is part of (process {own.group})'
    return ''
