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
"""Requests to end a process: handled at any moment, and the process ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from dfp_ros.node.process.end_requests import heard_signals, name_signal
from testing import ROOT

# Says what it is asked, and ends then; a word says what it does else.
PROGRAM = """
import sys
from dfp_ros.node.process.start import begin
begin()
import threading
from dfp_ros.node.process.end_requests import Requests
requests = Requests()
requests.limit_end(0.3)
requests.last_resort = lambda: print('last resort', flush=True)
asked = threading.Event()
requests.tell(asked.set)
if sys.argv[1] != 'deaf':
    requests.watch_parent('never' if sys.argv[1] == 'never' else 'auto')
print('ready', flush=True)
while not requests.ending.is_set():
    asked.wait()
    asked.clear()
    if requests.is_suspending:
        print('suspending', flush=True)
        requests.suspend()
        print('goes on', flush=True)
print('asked to end:', requests.reason, flush=True)
while sys.argv[1] == 'hang':
    threading.Event().wait(1)
requests.close()
"""
# Starts the program, says which process that is, and waits for it, as `ros2 run` does.
WRAPPER = """
import subprocess, sys
process = subprocess.Popen(sys.argv[1:])
print(process.pid, flush=True)
process.wait()
"""


@contextlib.contextmanager
def started(
        word: str = 'plain', prefix: tuple[str, ...] = (),
        before: Callable[[], object] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run the program until it is ready."""
    process = subprocess.Popen(
        [*prefix, sys.executable, '-c', PROGRAM, word], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, cwd=ROOT, preexec_fn=before)
    try:
        assert process.stdout is not None
        while process.stdout.readline() != 'ready\n':
            assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def last_line(process: subprocess.Popen[str]) -> str:
    """Read its output until it ends."""
    return process.communicate(timeout=20)[0].strip().splitlines()[-1]


def test_each_signal_that_would_end_it() -> None:
    """Those of terminals, supervisors and timers, and the real-time ones."""
    numbers = {
        signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1,
        signal.SIGUSR2, signal.SIGALRM, signal.SIGABRT, signal.SIGVTALRM, signal.SIGPROF,
        signal.SIGXCPU, signal.SIGIO, signal.SIGPWR, signal.SIGRTMIN, signal.SIGRTMAX}
    assert numbers <= set(heard_signals())
    with contextlib.ExitStack() as stack:
        processes = {number: stack.enter_context(started()) for number in sorted(numbers)}
        for number, process in processes.items():
            process.send_signal(number)
            assert last_line(process) == f'asked to end: {name_signal(number)}'
            assert process.returncode == 0


def test_ignored_signals_stay_ignored() -> None:
    """SIGHUP under nohup; but SIGINT and SIGTERM are heard by a script's background process."""
    def ignore() -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)

    with started(before=ignore) as process:
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGINT):
            process.send_signal(number)
        assert last_line(process) == 'asked to end: SIGINT'


def test_blocked_signals_are_handled() -> None:
    """A supervisor's thread may block signals for itself, and its children inherit that."""
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    with started(before=block) as process:
        process.terminate()
        assert last_line(process) == 'asked to end: SIGTERM'


def test_suspension_comes_after_the_stop() -> None:
    """The robot is stopped first; then the process is suspended, and continues later."""
    with started() as process:
        process.send_signal(signal.SIGTSTP)
        assert process.stdout is not None
        assert process.stdout.readline() == 'suspending\n'
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == 'goes on\n'
        process.send_signal(signal.SIGTERM)
        assert last_line(process) == 'asked to end: SIGTERM'


def test_a_process_that_hangs_is_ended() -> None:
    """After the last thing that can be done for its robot; a second signal changes nothing."""
    with started('hang') as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        lines = process.communicate(timeout=20)[0].splitlines()
    assert lines[-2] == 'last resort'
    assert 'asked to end (SIGINT), the process did not within 0.3 s' in lines[-1]
    assert process.returncode == 1


@pytest.mark.parametrize(('word', 'prefix', 'ends'), [
    ('auto', (), True), ('never', (), False), ('auto', ('setsid',), False)])
def test_the_end_of_a_wrapper(word: str, prefix: tuple[str, ...], ends: bool) -> None:
    """A killed wrapper cannot tell its node, which detects that itself."""
    wrapper = subprocess.Popen(
        [sys.executable, '-c', WRAPPER, *prefix, sys.executable, '-c', PROGRAM, word],
        stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert wrapper.stdout is not None
    with wrapper.stdout:
        pid = int(wrapper.stdout.readline())
        try:
            assert wrapper.stdout.readline() == 'ready\n'
            wrapper.kill()
            wrapper.wait()
            if ends:
                assert f'(process {wrapper.pid}), which started it, has ended' in (
                    wrapper.stdout.read())
            else:
                time.sleep(0.3)  # nothing happens, so there is nothing to wait for
                os.kill(pid, signal.SIGTERM)
                assert wrapper.stdout.read() == 'asked to end: SIGTERM\n'
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_sigint_while_modules_are_imported() -> None:
    """It ends the process, though the import system would pass over the exception."""
    program = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == 'pyexpat':
            import os, signal
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ['policy_node', '--ros-args', '-p', 'policy:=none', '-p', 'robot:=none']
import runpy
runpy.run_module('dfp_ros.policy_node', run_name='__main__')
"""
    pytest.importorskip('rclpy')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGINT
