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
"""Hashes of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

_PIECE = 1 << 20


def sha256(*paths: Path) -> str:
    """
    Hash the bytes of a file, or of several one after the other.

    :return: SHA-256, 64 hexadecimal digits.
    :raises OSError: If one cannot be read.
    """
    found = hashlib.sha256()
    for path in paths:
        with path.open('rb') as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    return found.hexdigest()
