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
import subprocess
import sys
import threading
from typing import Any

import pytest

from testing import suite


@pytest.fixture(scope='module')
def made() -> int:
    """Make something for all tests of this file."""
    return os.getpid()


def test_an_example_of_a_property_may_take_any_time() -> None:
    """Hypothesis would fail one that takes 0.2 s, however busy the machine is."""
    assert pytest.importorskip('hypothesis').settings().deadline is None


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


PROBE = """
from pathlib import Path
import pytest

TIMES = Path(__file__).parent / 'times'

@pytest.mark.xdist_group('test/probe.py')
@pytest.mark.parametrize('name', ['a@b', 'c'])
def test_it(name):
    with TIMES.open('a') as times:
        times.write(name)
    assert TIMES.read_text().count(name) > (name == 'a@b') * REFUSALS
"""


def make_failure(folder: Path, refusals: int) -> list[str]:
    """Run a file of two tests, one of which fails; return the failures that the cache has."""
    (folder / 'test_probe.py').write_text(PROBE.replace('REFUSALS', str(refusals)))
    assert subprocess.run(
        [sys.executable, '-m', 'pytest', '-n', '1', '--dist', 'loadgroup', '-o',
         f'cache_dir={folder / "cache"}', '--rootdir', str(folder), str(folder / 'test_probe.py')],
        check=False, capture_output=True).returncode == 1
    return suite.failed_tests(folder / 'cache')


@pytest.mark.parametrize(('refusals', 'status'), [(1, 0), (2, 1)])
def test_a_failure_counts_if_the_test_fails_alone_too(
        refusals: int, status: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It alone is run again, and named at the end."""
    failed = make_failure(tmp_path, refusals)
    assert failed == ['test_probe.py::test_it[a@b]']
    assert suite.run_again([f'{tmp_path}/{failed[0]}']) == status
    assert (tmp_path / 'times').read_text() == 'a@bca@b'
    last = capfd.readouterr().out.splitlines()[-2:]
    assert last[0].endswith(
        'passed alone:' if status == 0 else 'did not all pass alone either:')
    assert last[1].endswith('test_it[a@b]')


def test_many_failures_are_not_the_machine(tmp_path: Path) -> None:
    """They are not tried again; nor is a session that has not said what failed."""
    assert suite.run_again(['test/no_such_test.py'] * (suite.MOST + 1)) == 1
    assert suite.run_again(suite.failed_tests(tmp_path)) == 1
