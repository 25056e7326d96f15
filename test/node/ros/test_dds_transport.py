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
"""DDS transport of a process: UDP, on the loopback if discovery is LOCALHOST."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any

import pytest

from dfp_ros.node.ros.dds_transport import choose_transport, find_unknown_peer, LOOPBACK, NETWORK
from testing import ROOT

PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'


def chosen(tmp_path: Path, **environment: str) -> tuple[dict[str, str], str]:
    """Choose for an environment; return the resulting environment, and the message."""
    said = choose_transport(environment, tmp_path)
    return environment, said


@pytest.mark.parametrize('asked', [
    {}, {RANGE: 'SUBNET'}, {'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp'},
    {RANGE: 'LOCALHOST', 'ROS_STATIC_PEERS': '192.0.2.7'}])
def test_shared_memory_is_not_used_by_default(tmp_path: Path, asked: dict[str, str]) -> None:
    after, said = chosen(tmp_path, **asked)
    assert [Path(after[name]).name for name in PROFILES] == [NETWORK] * 2
    assert all(Path(after[name]).is_file() for name in PROFILES)
    assert after.get(RANGE) == asked.get(RANGE)
    assert said == 'DDS transport: UDP'


@pytest.mark.parametrize('asked', [
    {RANGE: 'LOCALHOST'}, {'ROS_LOCALHOST_ONLY': '1'},
    {RANGE: 'LOCALHOST', 'ROS_STATIC_PEERS': ';'}])
def test_localhost_means_the_loopback_alone(tmp_path: Path, asked: dict[str, str]) -> None:
    after, said = chosen(tmp_path, **asked)
    assert [Path(after[name]).name for name in PROFILES] == [LOOPBACK] * 2
    # With LOCALHOST, rmw_fastrtps adds shared memory and sockets on every interface.
    assert after[RANGE] == 'SYSTEM_DEFAULT'
    assert 'ROS_LOCALHOST_ONLY' not in after
    assert 'loopback' in said


@pytest.mark.parametrize(('name', 'value'), [
    ('FASTDDS_BUILTIN_TRANSPORTS', 'DEFAULT'), (PROFILES[0], '/etc/mine.xml'),
    (PROFILES[1], '/etc/mine.xml'), ('ROS_DISCOVERY_SERVER', '127.0.0.1:11811'),
    (RANGE, 'SYSTEM_DEFAULT'), (RANGE, 'OFF'), ('RMW_IMPLEMENTATION', 'rmw_cyclonedds_cpp')])
def test_the_users_configuration_is_kept(tmp_path: Path, name: str, value: str) -> None:
    asked = {RANGE: 'LOCALHOST', name: value}
    after, said = chosen(tmp_path, **asked)
    assert after == asked
    assert value in said


def test_a_profile_in_the_working_directory_stays(tmp_path: Path) -> None:
    file = tmp_path / 'DEFAULT_FASTRTPS_PROFILES.xml'
    file.touch()
    after, said = chosen(tmp_path, **{RANGE: 'LOCALHOST'})
    assert after == {RANGE: 'LOCALHOST'}
    assert str(file) in said


def test_a_child_chooses_for_itself(tmp_path: Path) -> None:
    """A launch process chooses too, and its children may be given other settings."""
    parent, _ = chosen(tmp_path, **{RANGE: 'LOCALHOST'})
    assert chosen(tmp_path, **parent)[0] == parent
    assert Path(chosen(tmp_path, **{**parent, RANGE: 'SUBNET'})[0][PROFILES[0]]).name == NETWORK
    asked = {'FASTDDS_BUILTIN_TRANSPORTS': 'DEFAULT'}
    assert chosen(tmp_path, **parent, **asked)[0] == {RANGE: 'LOCALHOST', **asked}


def udp_addresses(process: int) -> set[str]:
    """List the local addresses of a process's UDP sockets."""
    psutil = pytest.importorskip('psutil')
    return {found.laddr.ip for found in psutil.Process(process).net_connections('udp')
            if found.laddr}


def shared_memory(process: int) -> list[str]:
    """List the segments of Fast DDS's shared memory that a process has mapped."""
    maps = Path(f'/proc/{process}/maps').read_text().splitlines()
    return [line.split()[-1] for line in maps if '/dev/shm/fastrtps' in line]


@pytest.fixture
def running_nodes() -> Iterator[Any]:
    """Start nodes, each in a domain of its own, and end them."""
    pytest.importorskip('rclpy')
    from dfp_ros.node.ros.domain import free_domain
    from testing.processes.ros_processes import NodeProcess, Peer
    started = []

    def start(**environment: str) -> int:
        domain = free_domain()
        node = NodeProcess(
            'dfp_ros.policy_node', domain, '--ros-args', '-p', 'autostart:=false', **environment)
        started.append(node)
        with Peer(domain) as peer:
            peer.wait_for(lambda: 'dfp_policy' in peer.node.get_node_names())
        return node.process.pid

    yield start
    for node in started:
        node.leave()


def test_a_node_on_localhost_is_bound_to_the_loopback_alone(running_nodes: Any) -> None:
    """It is unreachable from the network, and a joining process does not block its publishers."""
    process = running_nodes()
    assert udp_addresses(process) == {'127.0.0.1'}
    assert not shared_memory(process)


def test_shared_memory_can_be_enabled(running_nodes: Any) -> None:
    """If this fails, the test above sees nothing."""
    process = running_nodes(FASTDDS_BUILTIN_TRANSPORTS='DEFAULT')
    assert '0.0.0.0' in udp_addresses(process)
    assert shared_memory(process)


@pytest.mark.parametrize(('peers', 'unknown'), [
    ('', ''), (';', ''), ('127.0.0.1;::1;', ''), ('localhost', ''), ('127.0.0.1;%%%', '%%%'),
    ('a b', 'a b'), ('x' * 300, 'x' * 300), ('\udcff', '\udcff')])
def test_a_peer_whose_address_is_unknown(peers: str, unknown: str) -> None:
    """It is found before Fast DDS refuses the first node; where peers are not used, it is none."""
    assert find_unknown_peer({'ROS_STATIC_PEERS': peers}) == unknown
    for elsewhere in ({RANGE: 'OFF'}, {'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp'}):
        assert not find_unknown_peer({'ROS_STATIC_PEERS': peers, **elsewhere})


@pytest.mark.parametrize('name', [NETWORK, LOOPBACK])
def test_a_profile_names_headings_that_are_there(name: str) -> None:
    """Of docs/realtime.md."""
    comment = (ROOT / 'config' / name).read_text().split('-->')[0]
    headings = re.findall('^## (.+)$', (ROOT / 'docs' / 'realtime.md').read_text(), re.MULTILINE)
    quoted = re.findall('"([A-Z][^"]+)"', comment.partition('<!--')[2])
    assert quoted
    assert set(quoted) <= set(headings)
