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
"""Policy status during many simultaneous changes."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
import re
import threading

import pytest

pytest.importorskip('rclpy')

from std_msgs.msg import String

from dfp_ros.core.settings.node import Settings
from dfp_ros.node.loading.control_loop import make_control_loop
from dfp_ros.node.loading.pending_policy import load_policy
from dfp_ros.node.reporting.policy_status import PolicyStatus, Standing
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import STATUS_QOS
from testing import ROOT
from testing.fixtures.robot_samples import shipped_robot
from testing.policies.small_policy import write_policy
from testing.processes.ros_processes import Peer


@dataclass(frozen=True)
class Numbered:
    """A standing that is no more than a number."""

    number: int

    def to_json(self, robot_sha256: str) -> str:
        """Write the number."""
        return str(self.number)


def test_a_newer_status_replaces_a_pending_one() -> None:
    """300 changes before a tick are one message, of the last; none is lost."""
    ticked = threading.Event()
    with Peer(free_domain()) as peer:
        heard = peer.collect(String, 'peer/policy', STATUS_QOS)
        status = PolicyStatus(peer.node, '', lambda: ticked.wait(30))
        for number in range(300):
            status.publish(Numbered(number))
        ticked.set()
        peer.wait_for(lambda: heard and heard[-1].data == '299')
        assert len(heard) == 1
        status.publish(Numbered(300))
        peer.wait_for(lambda: heard[-1].data == '300')
        status.close()


def test_the_page_has_all_keys(tmp_path: Path) -> None:
    """docs/swapping.md: those of the running policy, and those of the other two."""
    path = write_policy(tmp_path / 'x.onnx')
    loop = make_control_loop(
        Settings(str(path), 'x'), shipped_robot(), load_policy(str(path)))
    content = json.loads(Standing(loop, 1, 'now', (), loop, loop, None).to_json(''))
    page = (ROOT / 'docs' / 'swapping.md').read_text()
    rows = dict(re.findall(r'^\| (`.+`) \| (.+) \|$', page.split('| key |')[1].split('\n## ')[0],
                           re.MULTILINE))
    assert sorted(re.findall('`(.+?)`', ' '.join(rows))) == sorted(content)
    others = rows['`previous`, `shadow`'].partition(':')[2]
    for other in ('previous', 'shadow'):
        assert sorted(re.findall('`(.+?)`', others)) == sorted(content[other])
