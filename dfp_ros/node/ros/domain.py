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
"""A ROS domain for oneself, so that several demos and tests on one machine do not meet."""

from __future__ import annotations

from collections import deque
import fcntl
import os
from pathlib import Path
import random
import socket
import tempfile

DOMAINS = range(1, 102)
# A process that takes one domain after the other, as a test suite does, gives the oldest back.
HELD = 20
# Locks last as long as these descriptors, and no longer than the process.
_held: deque[int] = deque()


def free_domain() -> int:
    """
    Take a ROS domain that nobody on this machine uses.

    For other callers of this function it stays taken until this process ends, or has taken
    :data:`HELD` more.

    :returns: A domain from 1 to 101.
    :raises RuntimeError: Where all of them are in use.
    """
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        if _take(domain):
            return domain
    raise RuntimeError('all ROS domains from 1 to 101 are in use; set ROS_DOMAIN_ID')


def _take(domain: int) -> bool:
    """Lock a domain, and see that no participant is in it already."""
    folder = Path(tempfile.gettempdir()) / f'dfp_ros_domains.{os.getuid()}'
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / str(domain), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # The port of a domain's first participant.
            probe.bind(('', 7410 + 250 * domain))
    except OSError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    while len(_held) > HELD:
        os.close(_held.popleft())
    return True
