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
DDS transport of a process: UDP instead of Fast DDS's shared memory.

With shared memory, a process that joins the domain can block every publisher of a node for a third
of a second (docs/realtime.md, "When a process joins"); with UDP it cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
import os
from pathlib import Path
import socket

from dfp_ros.resources import find_shared, SharedFileError

#: Environment variables with which users configure Fast DDS, which take precedence.
USER_SETTINGS = (
    'FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE',
    'FASTRTPS_DEFAULT_PROFILES_FILE', 'ROS_DISCOVERY_SERVER')
#: Profiles that Fast DDS reads from the working directory, which take precedence.
USER_FILES = ('DEFAULT_FASTDDS_PROFILES.xml', 'DEFAULT_FASTRTPS_PROFILES.xml')
#: Profiles in ``config`` for the whole network and for this machine.
NETWORK, LOOPBACK = 'fastdds_udp.xml', 'fastdds_loopback.xml'
# Names in Fast DDS 2 and Fast DDS 3.
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
_LOCALHOST_ONLY = 'ROS_LOCALHOST_ONLY'
_PEERS = 'ROS_STATIC_PEERS'


def choose_transport(
        environment: MutableMapping[str, str] = os.environ, folder: Path | None = None) -> str:
    """
    Make Fast DDS of this process use UDP only, unless the user has configured it.

    Call it before ``rclpy.init``. With discovery range LOCALHOST, only the loopback interface is
    bound; rmw_fastrtps by itself would bind UDP ports on all interfaces. To use shared memory, for
    large messages, set ``FASTDDS_BUILTIN_TRANSPORTS=DEFAULT``.

    :param environment: Environment variables of the process, which are changed.
    :param folder: Working directory, if not the process's own.
    :return: The choice and its cause, as a sentence for the log.
    """
    _forget_inherited(environment)
    implementation = environment.get('RMW_IMPLEMENTATION', '')
    if implementation and 'fastrtps' not in implementation:
        return f'DDS transport: as {implementation} chooses'
    here = Path.cwd() if folder is None else folder
    reason = next(
        (f'{name}={environment[name]}' for name in USER_SETTINGS if environment.get(name)),
        next((str(here / name) for name in USER_FILES if (here / name).is_file()), ''))
    if reason:
        return f'DDS transport: as configured by {reason}'
    found = environment.get(_RANGE, '')
    if found in ('SYSTEM_DEFAULT', 'OFF'):
        return f'DDS transport: as Fast DDS chooses ({_RANGE}={found})'
    is_local = found == 'LOCALHOST' or environment.get(_LOCALHOST_ONLY) == '1'
    # A peer on another machine is configured by name, and cannot be reached from the loopback.
    is_local = is_local and not environment.get(_PEERS, '').strip(' ;')
    try:
        profile = find_shared(LOOPBACK if is_local else NETWORK, 'config', '.xml').resolve()
    except SharedFileError as error:
        return f'DDS transport: as Fast DDS chooses ({error})'
    for variable in _PROFILE_VARIABLES:
        environment[variable] = str(profile)
    if not is_local:
        return 'DDS transport: UDP'
    # The profile restricts discovery to this machine as LOCALHOST does; with LOCALHOST itself,
    # rmw_fastrtps would add shared memory and sockets on every interface to it.
    environment[_RANGE] = 'SYSTEM_DEFAULT'
    environment.pop(_LOCALHOST_ONLY, None)
    return 'DDS transport: UDP on the loopback interface'


def find_unknown_peer(environment: Mapping[str, str] = os.environ) -> str:
    """
    Find the first static peer whose address is unknown, which Fast DDS refuses at the first node.

    Call it after :func:`choose_transport`.

    :param environment: Environment variables of the process.
    :return: The peer as it is in the variable; empty if there is none.
    """
    implementation = environment.get('RMW_IMPLEMENTATION', '')
    if implementation and 'fastrtps' not in implementation or (
            environment.get(_RANGE) in ('SYSTEM_DEFAULT', 'OFF')):
        return ''
    for peer in filter(None, environment.get(_PEERS, '').split(';')):
        try:
            socket.getaddrinfo(peer, None)
        except (OSError, UnicodeError, ValueError):
            return peer
    return ''


def _forget_inherited(environment: MutableMapping[str, str]) -> None:
    """Undo the choice of a parent process, as its child may have other settings."""
    for variable in _PROFILE_VARIABLES:
        profile = Path(environment.get(variable, ''))
        if profile.name in (NETWORK, LOOPBACK) and profile.parent.name == 'config':
            del environment[variable]
            if profile.name == LOOPBACK and environment.get(_RANGE) == 'SYSTEM_DEFAULT':
                environment[_RANGE] = 'LOCALHOST'
