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
former run beside the latter, in the time that these leave (SCHED_IDLE). Whole nodes that are timed
come last. With arguments there is one session, with these arguments.
"""

from __future__ import annotations

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
        return subprocess.run([*_PYTEST, *arguments], cwd=ROOT, check=False).returncode
    with tempfile.TemporaryFile() as output:
        busy = subprocess.Popen(
            [*_PYTEST, *BUSY], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT)
        give_way(busy.pid)
        try:
            print(f'beside this, with its output at the end: {" ".join(BUSY)}', flush=True)
            others = [
                subprocess.run([*_PYTEST, *chosen], cwd=ROOT, check=False).returncode
                for chosen in (
                    ['test', *(f'--ignore={path}' for path in (*BUSY, *TIMED))], [*TIMED])]
            statuses = {*others, busy.wait()}
        finally:
            if busy.poll() is None:
                busy.terminate()
                busy.wait()
            output.seek(0)
            sys.stdout.flush()
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
    return max(statuses - {_NOTHING}, default=0)


def give_way(process: int) -> None:
    """Let a process, and all that it starts, run only when no other wants the processor."""
    try:
        os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        # Not Linux, or not allowed in this container.
        os.setpriority(os.PRIO_PROCESS, process, _NICE)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
