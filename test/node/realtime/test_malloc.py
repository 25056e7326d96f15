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
"""Limit of malloc arenas, unless the environment sets it."""

from __future__ import annotations

import os
from pathlib import Path
import platform
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from dfp_ros.node.realtime.malloc import ARENAS

# Threads that have memory of the C library at the same time, then what that says of its pools.
_PROGRAM = """
import ctypes, sys, threading
from dfp_ros.node.realtime import malloc
if sys.argv[2] == 'limited':
    malloc.limit_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = ctypes.c_int, ctypes.c_void_p
libc.fclose.argtypes = ctypes.c_void_p,
together = threading.Barrier(8)
def allocate():
    together.wait(30)
    libc.malloc(100_000)
    together.wait(30)
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = libc.fopen(sys.argv[1].encode(), b'w')
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc has arenas')
@pytest.mark.parametrize(('what', 'environment', 'fewest', 'most'), [
    ('limited', {}, 1, ARENAS),
    ('as it is', {}, ARENAS + 1, 99),
    ('limited', {'MALLOC_ARENA_MAX': '5'}, ARENAS + 1, 5),
    ('limited', {'GLIBC_TUNABLES': 'glibc.malloc.arena_max=5'}, ARENAS + 1, 5)])
def test_threads_share_few_pools(
        what: str, environment: dict[str, str], fewest: int, most: int, tmp_path: Path) -> None:
    """Eight threads would have one each."""
    file = tmp_path / 'malloc.xml'
    asked = {name: value for name, value in os.environ.items()
             if name not in ('MALLOC_ARENA_MAX', 'GLIBC_TUNABLES')}
    subprocess.run(
        [sys.executable, '-c', _PROGRAM, str(file), what], env={**asked, **environment},
        check=True, timeout=60)
    pools = len(ElementTree.parse(file).getroot().findall('heap'))
    assert fewest <= pools <= most
