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
"""Hashes of files are those of their bytes."""

import hashlib
from pathlib import Path

from dfp_ros.core.files.digest import sha256


def test_files_one_after_the_other(tmp_path: Path) -> None:
    """Several files hash as one that is put together from them, also beyond a piece."""
    first, second = tmp_path / 'first', tmp_path / 'second'
    first.write_bytes(b'a' * ((1 << 20) + 1))
    second.write_bytes(b'b')
    assert sha256(second) == hashlib.sha256(b'b').hexdigest()
    whole = first.read_bytes() + second.read_bytes()
    assert sha256(first, second) == hashlib.sha256(whole).hexdigest()
