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
"""Locks of free ROS domains."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from dfp_ros.node.ros import domain

TAKER = """
import sys
from dfp_ros.node.ros import domain
domain.DOMAINS = range(int(sys.argv[1]), int(sys.argv[1]) + 1)
try:
    print(domain.free_domain())
except RuntimeError as error:
    print(error)
"""


def taken_elsewhere(wanted: int) -> str:
    """Let another process ask for one certain domain."""
    return subprocess.run(
        [sys.executable, '-c', TAKER, str(wanted)], check=True, capture_output=True, text=True,
        timeout=30).stdout.strip()


def test_a_domain_belongs_to_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain locked by one process is not given to another until it is released."""
    first = domain.free_domain()
    assert 'are in use' in taken_elsewhere(first)
    monkeypatch.setattr(domain, 'HELD', 0)
    later = domain.free_domain()
    assert later != first
    assert taken_elsewhere(later) == str(later)


def test_a_domain_with_a_participant_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound port of a domain's first participant marks the domain as used."""
    wanted = domain.free_domain()
    os.close(domain._held.pop())
    monkeypatch.setattr(domain, 'DOMAINS', range(wanted, wanted + 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(('', 7410 + 250 * wanted))
        with pytest.raises(RuntimeError, match='are in use'):
            domain.free_domain()
