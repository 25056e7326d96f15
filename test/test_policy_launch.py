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
"""The launch file of the policy node: what it forwards."""

import signal
from typing import Any

import pytest

pytest.importorskip('launch_ros')

from diagnostic_msgs.msg import DiagnosticArray
from launched import launch
from ros_processes import Peer

from dfp_ros.robots.domain import free_domain

FILE = 'policy.launch.py'


def test_forwards_its_arguments() -> None:
    """Policy, robot, rate, name and namespace reach the node, and Ctrl-C ends it cleanly."""
    domain = free_domain()
    with Peer(domain) as peer:
        reports: list[Any] = peer.collect(DiagnosticArray, '/diagnostics')
        process = launch(
            FILE, domain, 'policy:=cube_single', 'robot:=ur5e_cube', 'rate:=100', 'name:=pilot',
            'namespace:=left')
        try:
            peer.wait_for(lambda: reports)
            status = reports[-1].status[0]
            assert status.name == '/left/pilot: control loop'
            assert {item.key: item.value for item in status.values}['rate_hz'] == '100'
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert 'process has finished cleanly' in output
    assert 'Traceback' not in output


@pytest.mark.parametrize(('arguments', 'message'), [
    (['policy:=none_such', 'robot:=ur5e_cube'], "found 'none_such', which is neither a file"),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'rate:=fast'],
     "argument rate: found 'fast', expected float"),
    (['robot:=ur5e_cube'], "argument 'policy'")])
def test_says_what_is_wrong(arguments: list[str], message: str) -> None:
    """A launch that cannot work ends by itself, with the reason."""
    process = launch(FILE, free_domain(), *arguments)
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert message.lower() in output.lower(), output
