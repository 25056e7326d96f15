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
"""Parent watch: a node ends with its wrapper, but outlives shells and supervisors."""

from __future__ import annotations

import os

import pytest

from dfp_ros.node.process.parent import (
    ALWAYS,
    AUTO,
    explain_orphan,
    find_ancestors,
    Kin,
    NEVER,
    read_kin,
)

# A shell at a terminal (100), a script in it (200), `ros2 run` in that (300), and the node (400).
SHELL = Kin(100, 'bash', 50, 100, 100, False)
SCRIPT = Kin(200, 'start.sh', 100, 200, 100, False)
WRAPPER = Kin(300, 'python3', 200, 200, 100, False)
NODE = Kin(400, 'policy_node', 300, 200, 100, False)


def ancestors(own: Kin, choice: str, *others: Kin) -> list[int]:
    """Find them among some processes."""
    known = {each.pid: each for each in others}
    return [each.pid for each in find_ancestors(own, choice, known.get)]


def test_a_wrapper_and_the_script_around_it() -> None:
    """They are one job; the shell that started it is independent."""
    assert ancestors(NODE, AUTO, WRAPPER, SCRIPT, SHELL) == [300, 200]
    assert ancestors(NODE, ALWAYS, WRAPPER, SCRIPT, SHELL) == [300, 200, 100]
    assert ancestors(NODE, NEVER, WRAPPER, SCRIPT, SHELL) == []


def test_a_background_job_of_a_shell() -> None:
    """It has a group of its own, and outlives the shell unless the terminal is closed."""
    node = Kin(400, 'policy_node', 100, 400, 100, False)
    assert ancestors(node, AUTO, SHELL) == []
    assert ancestors(node, ALWAYS, SHELL) == [100]


def test_nohup() -> None:
    """It applies to its command, and to the processes which that starts."""
    node = Kin(400, 'policy_node', 200, 200, 100, True)
    assert ancestors(node, AUTO, SCRIPT, SHELL) == []
    wrapper = Kin(300, 'python3', 200, 200, 100, True)
    node = Kin(400, 'policy_node', 300, 200, 100, True)
    assert ancestors(node, AUTO, wrapper, SCRIPT, SHELL) == [300]


def test_sessions_of_their_own() -> None:
    """With setsid, and under systemd, a node stands alone; over ssh it does not."""
    node = Kin(400, 'policy_node', 200, 400, 400, False)
    assert ancestors(node, AUTO, SCRIPT, SHELL) == []
    assert ancestors(Kin(400, 'policy_node', 1, 400, 400, False), AUTO) == []
    session = Kin(70, 'sshd', 60, 70, 70, False)
    daemon = Kin(60, 'sshd', 1, 60, 60, False)
    node = Kin(400, 'policy_node', 70, 400, 400, False)
    assert ancestors(node, AUTO, session, daemon) == [70]


@pytest.mark.parametrize(('own', 'choice', 'parent', 'group', 'expected'), [
    # Its wrapper ended between its first look and now.
    (Kin(400, 'n', 1, 200, 100, False), AUTO, 300, 200, 'process 300'),
    (Kin(400, 'n', 1, 400, 100, False), AUTO, 100, 100, ''),
    (Kin(400, 'n', 1, 400, 100, False), ALWAYS, 100, 100, 'process 100'),
    # And before its first look: the leader of its group is gone.
    (Kin(400, 'n', 1, 300, 100, False), AUTO, 1, 1, 'process 300'),
    (Kin(400, 'n', 1, 300, 100, False), NEVER, 1, 1, ''),
    (Kin(400, 'n', 1, 300, 100, True), AUTO, 1, 1, ''),
    # By systemd, or as the only process of a container.
    (Kin(400, 'n', 1, 400, 400, False), AUTO, 1, 1, ''),
    (Kin(1, 'n', 0, 1, 1, False), AUTO, 0, 0, ''),
    (Kin(400, 'n', 0, 0, 0, False), AUTO, 0, 0, '')])
def test_orphans_from_the_start(
        own: Kin, choice: str, parent: int, group: int, expected: str) -> None:
    """A parent that ended before the watch began is detected too."""
    found = explain_orphan(own, choice, parent, group, lambda pid: None)
    assert expected in found
    assert bool(found) == bool(expected)


def test_reads_this_process() -> None:
    """As the system knows it."""
    own = read_kin(os.getpid())
    assert own is not None
    assert (own.parent, own.group, own.session) == (os.getppid(), os.getpgrp(), os.getsid(0))
    assert read_kin(2**22 + 1) is None
