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
"""How the suite shares what takes long to make."""

from __future__ import annotations

import os
from pathlib import Path
import threading
from typing import Any

import pytest


@pytest.fixture(scope='module')
def made() -> int:
    """Make something for all tests of this file."""
    return os.getpid()


def test_tests_of_a_fixture_run_in_one_process(made: int, request: pytest.FixtureRequest) -> None:
    """The group of this file was read by xdist, if it is here."""
    if not request.config.getoption('loadgroup', False):
        pytest.skip('the suite is not distributed over processes')
    assert request.node.nodeid.endswith(f'@{request.node.location[0]}')


def test_a_folder_is_made_once_and_never_half(once: Any, tmp_path: Path) -> None:
    """Of two that want it, one waits; what failed is made anew."""
    share = type(once)(tmp_path)
    begun, calls = threading.Barrier(2), []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / 'file').write_text('whole')

    def fail(folder: Path) -> None:
        (folder / 'file').write_text('half')
        raise OSError('no space')

    with pytest.raises(OSError, match='no space'):
        share('thing', fail)
    found: list[str] = []

    def want() -> None:
        begun.wait(60)
        found.append((share('thing', make) / 'file').read_text())

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ['whole'] * 2
    assert len(calls) == 1
