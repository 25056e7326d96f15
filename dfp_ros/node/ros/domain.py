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
"""Allocation of an unused ROS domain, which isolates demos and tests on one machine."""

from __future__ import annotations

from collections import deque
import fcntl
import os
from pathlib import Path
import random
import socket
import tempfile

DOMAINS = range(1, 102)
# A process that allocates many domains, such as a test suite, releases the oldest.
HELD = 20
# The locks are held as long as these descriptors, and no longer than the process.
_held: deque[int] = deque()


def free_domain() -> int:
    """
    Allocate a ROS domain that is not used on this machine.

    It stays reserved for this process until the process ends, or has allocated :data:`HELD` more.

    :return: A domain from 1 to 101.
    :raises RuntimeError: If all of them are in use.
    """
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        if _take(domain):
            return domain
    raise RuntimeError('all ROS domains from 1 to 101 are in use; set ROS_DOMAIN_ID')


def _take(domain: int) -> bool:
    """Lock a domain, and check that it has no participant yet."""
    folder = Path(tempfile.gettempdir()) / f'dfp_ros_domains.{os.getuid()}'
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / str(domain), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Port of the first participant of a domain.
            probe.bind(('', 7410 + 250 * domain))
    except OSError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    while len(_held) > HELD:
        os.close(_held.popleft())
    return True
