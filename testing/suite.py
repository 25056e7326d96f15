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
The whole test suite, in three pytest sessions, two of them side by side.

Tests that learn, simulate or lint keep a processor busy; tests that run nodes mostly wait. So the
former run beside the latter, in the time that these leave (SCHED_IDLE). Nodes that are timed come
last. With arguments there is one session, with these arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import subprocess
import sys
import tempfile

from testing import ROOT

#: Files and folders whose tests run in the time that the others leave.
BUSY = (
    'test/training/data', 'test/training/evaluation', 'test/training/learning',
    'test/training/onnx_export', 'test/training/reports', 'test/sim/simulation',
    'test/package/test_lint.py', 'test/package/test_import_rules.py',
    'test/bench/test_bandit.py', 'test/bench/test_update_bench.py')
#: Timed tests, which run after the other nodes.
TIMED = ('test/whole_node', 'test/node/swap', 'test/tools/preflight', 'test/node/loop',
         'test/node/commanding', 'test/node/monitors')
_PYTEST = (
    sys.executable, '-m', 'pytest', '-m', 'not long', '--durations=25', '--durations-min=5')
_NICE = 19
# pytest's exit status if no test was chosen.
_NOTHING = 5


def main(arguments: list[str]) -> int:
    """
    Run the suite.

    :param arguments: For pytest, to run a part of it.
    :return: The exit status: 0 if all tests passed.
    """
    if arguments or (os.cpu_count() or 1) < 2:
        return run(*arguments)
    with Beside(BUSY) as busy:
        give_way(busy.process.pid)
        statuses = {run('test', *(f'--ignore={path}' for path in (*BUSY, *TIMED)))}
        statuses |= {run(*TIMED), busy.process.wait()}
    return max(statuses - {_NOTHING}, default=0)


def run(*arguments: str) -> int:
    """Run a session to its end; return its exit status."""
    return subprocess.run([*_PYTEST, *arguments], cwd=ROOT, check=False).returncode


class Beside:
    """
    A session beside another, whose output is printed when it is left.

    :param paths: Files and folders of its tests.

    :ivar process: The session.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        """Start it."""
        self._output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*_PYTEST, *paths], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self._output,
            stderr=subprocess.STDOUT)
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
