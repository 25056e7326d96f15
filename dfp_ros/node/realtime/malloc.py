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
"""Limit of malloc arenas, so that memory freed by one policy is reused by the next."""

from __future__ import annotations

import os

from dfp_ros.node.realtime.privileges import load_libc

# From malloc.h.
_M_ARENA_MAX = -8
#: The arena of the main thread, and one for all others.
ARENAS = 2


def limit_arenas() -> None:
    """
    Limit the arenas of the C library to :data:`ARENAS`, unless the environment sets a number.

    By default, glibc creates up to eight arenas for each processor for threads that allocate
    concurrently. Freed memory stays in its arena, where threads of other arenas cannot reuse it: a
    node grew by some 45 KB with each swap of its policy or robot. Without glibc, nothing is done.
    """
    if 'MALLOC_ARENA_MAX' in os.environ or 'arena_max' in os.environ.get('GLIBC_TUNABLES', ''):
        return
    set_malloc_option(_M_ARENA_MAX, ARENAS)


def set_malloc_option(option: int, value: int) -> None:
    """
    Set an option of the C library's allocator; without glibc, do nothing.

    :param option: ``M_...`` of malloc.h.
    :param value: Its value.
    """
    set_option = getattr(load_libc(), 'mallopt', None)
    if set_option is not None:
        set_option(option, value)
