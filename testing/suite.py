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
The whole test suite, in two pytest sessions side by side, of several processes each.

Tests that run nodes mostly wait, so there are three of these processes; those that learn, simulate
or lint keep a processor busy. So the latter run in the time that the former leave (SCHED_IDLE).

Some tests are about real time, which a machine that stalls cannot give, and those that give way
have what is left of it. The few that fail beside others are printed with their errors, and tried
once more, alone; the suite passes only if they pass then, and its last lines name them.

With arguments there is one session, in one process, with these arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile

from testing import ROOT

#: Files and folders whose tests run in the time that the others leave.
BUSY = (
    'test/training/data', 'test/training/evaluation', 'test/training/learning',
    'test/training/onnx_export', 'test/training/reports', 'test/training/common',
    'test/sim/simulation', 'test/core', 'test/package/test_lint.py',
    'test/package/test_import_rules.py', 'test/bench/test_bandit.py',
    'test/bench/test_update_bench.py', 'test/bench/test_comparison.py',
    'test/bench/test_gpu_bench.py')
#: Environment variable: a folder in which the sessions share what takes long to make.
SHARED = 'DFP_ROS_TESTS_SHARED'
_PYTEST = (
    sys.executable, '-m', 'pytest', '-m', 'not long', '--durations=25', '--durations-min=5')
_BESIDE = ('--dist', 'loadgroup', '--no-loadscope-reorder', '--max-worker-restart=0')
_NODES, _BUSY = ('-n', '3', *_BESIDE), ('-n', '2', *_BESIDE)
_NICE = 19
# pytest's exit statuses if tests failed, and if no test was chosen.
_FAILED, _NOTHING = 1, 5
#: Most failures that may have been the machine's.
MOST = 5


def main(arguments: list[str]) -> int:
    """
    Run the suite.

    :param arguments: For pytest, to run a part of it.
    :return: The exit status: 0 if all tests passed.
    """
    # Hundreds of processes start, and each would compile every module anew.
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
    if arguments or (os.cpu_count() or 1) < 2:
        return run(*arguments)
    with tempfile.TemporaryDirectory() as shared:
        os.environ[SHARED] = shared
        caches = [Path(shared) / name for name in ('cache', 'busy_cache')]
        with Beside(BUSY, caches[1]) as busy:
            give_way(busy.process.pid)
            statuses = {run(
                'test', *_NODES, '-o', f'cache_dir={caches[0]}',
                *(f'--ignore={path}' for path in BUSY))}
            statuses |= {busy.process.wait()}
        status = max(statuses - {_NOTHING}, default=0)
        if status == _FAILED:
            status = run_again([test for cache in caches for test in failed_tests(cache)])
    return status


def run(*arguments: str) -> int:
    """Run a session to its end; return its exit status."""
    return subprocess.run([*_PYTEST, *arguments], cwd=ROOT, check=False).returncode


def failed_tests(cache: Path) -> list[str]:
    """
    Return the tests that failed in a session.

    :param cache: Folder of pytest's cache of the session.
    """
    try:
        failed = json.loads((cache / 'v' / 'cache' / 'lastfailed').read_text())
    except OSError:
        return []
    # A session of several processes appends the group of a test to its name.
    return [name.partition('@test/')[0] for name in failed]


def run_again(tests: Sequence[str]) -> int:
    """
    Run a few tests that failed beside others once more, alone.

    :param tests: Their names.
    :return: The exit status: 0 if all passed now, and that of a failure if there are many.
    """
    if not 0 < len(tests) <= MOST:
        return _FAILED
    print(f'{len(tests)} failed beside other tests; once more, alone:', flush=True)
    status = run(*tests)
    said = 'passed alone' if status == 0 else 'did not all pass alone either'
    print(f'failed beside other tests (see above), and {said}:', *tests, sep='\n  ', flush=True)
    return status


class Beside:
    """
    A session beside another, whose output is printed when it is left.

    :param paths: Files and folders of its tests.
    :param cache: Folder of pytest's cache.

    :ivar process: The session.
    """

    def __init__(self, paths: Sequence[str], cache: Path) -> None:
        """Start it."""
        self._output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*_PYTEST, *_BUSY, '-o', f'cache_dir={cache}', *paths], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT)
        print(f'beside this, with its output at the end: {" ".join(paths)}', flush=True)

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it is still running, and print its output."""
        with self._output:
            if self.process.poll() is None:
                self.process.terminate()
                self.process.wait()
            self._output.seek(0)
            sys.stdout.flush()
            sys.stdout.buffer.write(self._output.read())
            sys.stdout.flush()


def give_way(process: int) -> None:
    """Let a process, and all that it starts, run only when no other wants the processor."""
    try:
        os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        # Not Linux, or not allowed in this container.
        os.setpriority(os.PRIO_PROCESS, process, _NICE)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
