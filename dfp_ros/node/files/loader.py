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
Loader process: opens, reads and tests files in a process that can be killed.

The effect of opening a file is not known before: a file system may hang, a graph may never end, a
parser may crash. None of that may happen in the process that controls the robot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
from dataclasses import asdict
import errno
import json
import os
from pathlib import Path
import select
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import PolicyFile
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.node.files.loader_process import LONGEST, name_shortage, recall, remember
from dfp_ros.spec import PolicySpec

_POLL = 0.05  # s
# Grace period of an abandoned request, in s, before its process is killed for the next: a restart
# takes as long as most requests.
_GRACE = 1.0
_NO_DESCRIPTOR = name_shortage(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
_ROOT = Path(__file__).resolve().parents[3]
# Imports this package, even if another is on the path, and nothing from the working directory.
_MAIN = (
    'import sys; sys.path[:] = [sys.argv[2], *filter(None, sys.path)]; import dfp_ros; '
    'sys.path.append(sys.path.pop(0)); import dfp_ros.node.files.loader_process as process; '
    'process.main(int(sys.argv[1]))')


class GivenUpError(PolicyError):
    """A request was abandoned, because its result is not needed any more."""


class Loader:
    """
    A loader process, which handles one file after the other; it is started when needed.

    :param role: Its description, for messages.
    :param is_ending: Returns whether the node has to end, which aborts all waits.
    """

    def __init__(self, role: str, is_ending: Callable[[], bool] = bool) -> None:
        """Start without a process."""
        self._role = role
        self._is_ending = is_ending
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._is_closed = False

    # Requests

    def read_policy(
            self, name: str, seconds: float, roots: str = '', keys: str = '') -> PolicyFile:
        """
        Read a policy file, its hash and its specification.

        :param name: Path of a file, or the bare name of one that comes with the package.
        :param seconds: Timeout in s.
        :param roots: Value of the parameter ``policy_roots``.
        :param keys: Value of the parameter ``policy_keys``.
        :raises PolicyError: If the file is not trusted or cannot be used, or after the timeout.
        """
        reply, (spec, content) = self._ask(
            {'do': 'read_policy', 'name': name, 'roots': roots, 'keys': keys}, (), seconds,
            f'policy file {name}', 2)
        return PolicyFile(
            Path(reply['path']), content, reply['sha256'], PolicySpec.from_json(spec.decode()),
            tuple(reply['unbounded']), reply['signed_by'])

    def read(
            self, name: str, seconds: float, folder: str = '', suffix: str = '',
    ) -> tuple[Path, bytes]:
        """
        Read a short file.

        :param name: Its path.
        :param seconds: Timeout in s.
        :param folder: Folder of bare names, if they are allowed; see
            :func:`dfp_ros.resources.find_shared`.
        :param suffix: Suffix that a bare name may omit.
        :return: Its path and its content.
        :raises PolicyError: If it cannot be read, or after the timeout.
        """
        reply, (content,) = self._ask(
            {'do': 'read', 'name': name, 'folder': folder, 'suffix': suffix}, (), seconds, name, 1)
        return Path(reply['path']), content

    def try_out(
            self, file: PolicyFile, execution: ExecutionSettings, candidates: int,
            seconds: float, is_given_up: Callable[[], bool] = bool) -> float:
        """
        Test whether a policy file can be loaded and answers.

        :param file: The file as it was read.
        :param execution: Execution providers and threads.
        :param candidates: Noise vectors of every call, 0 for the file's own number.
        :param seconds: Timeout in s.
        :param is_given_up: Returns whether the result is not needed any more.
        :return: Longest time for which loading it holds the GIL, in s.
        :raises PolicyError: If it cannot, or after the timeout.
        """
        files = remember(
            f'policy file {file.path}', spec=file.spec.to_json().encode(), policy=file.content)
        try:
            reply, _ = self._ask({
                'do': 'try', 'path': os.fspath(file.path), 'sha256': file.sha256,
                'unbounded': file.unbounded, 'execution': asdict(execution),
                'candidates': candidates}, files, seconds, f'policy file {file.path}', 0,
                is_given_up)
            return float(reply['keeps'])
        finally:
            for number in files:
                os.close(number)

    # The process

    def start(self) -> None:
        """Start the process in advance, so that the first request takes no longer than others."""
        with self._lock, contextlib.suppress(PolicyError):
            self._start()

    def kill(self) -> None:
        """Kill the process; a pending request fails at once."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Kill the process, and do not start another."""
        self._is_closed = True
        self.kill()
        # A pending request returns within a moment.
        if self._lock.acquire(timeout=1.0):
            self._drop()
            self._lock.release()

    def _ask(
            self, request: dict[str, Any], files: Sequence[int], seconds: float, what: str,
            count: int, is_given_up: Callable[[], bool] = bool,
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Send one request; return the answer and the contents beside it."""
        end = time.monotonic() + seconds
        text = json.dumps({**request, 'seconds': seconds}).encode()
        if len(text) > LONGEST:
            raise PolicyError(f'{what[:200]}...: is too long for the path of a file')
        if not self._lock.acquire(timeout=seconds):
            raise PolicyError(f'{what}: {self._role} was busy with another for {seconds:g} s')
        try:
            started = self._start()
            try:
                socket.send_fds(started, [text], files)
                reply, received = self._receive(started, end, seconds, what, is_given_up)
            except OSError as error:
                raise self._explain_end(what) from error
            if 'error' in reply or len(received) != count:
                for file in received:
                    os.close(file)
                # The kernel leaves out those that this process may not have.
                raise PolicyError(reply.get('error') or f'{what}: {_NO_DESCRIPTOR}')
            return reply, [recall(file) for file in received]
        finally:
            self._lock.release()

    def _receive(
            self, ours: socket.socket, end: float, seconds: float, what: str,
            is_given_up: Callable[[], bool]) -> tuple[dict[str, Any], list[int]]:
        """Wait for an answer; kill the process after the timeout."""
        waiting = select.poll()
        waiting.register(ours, select.POLLIN)
        begin = time.monotonic()
        while not waiting.poll(_POLL * 1e3):
            now = time.monotonic()
            if self._is_ending():
                self._drop()
                raise GivenUpError(f'{what}: was given up, as the node ends')
            if is_given_up() and now > begin + _GRACE:
                self._drop()
                raise GivenUpError(f'{what}: was given up for another')
            if now > end:
                self._drop()
                raise PolicyError(
                    f'{what}: {self._role} did not end within {seconds:g} s, and was '
                    'killed; does the file system answer, and does its graph end? load_timeout '
                    'is how long each step may take')
        text, files, *_ = socket.recv_fds(ours, LONGEST, 2)
        if not text:
            raise self._explain_end(what)
        return json.loads(text), list(files)

    def _explain_end(self, what: str) -> PolicyError:
        """Make the error for a process that ended by itself, and forget it."""
        process = self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            if process is not None:
                process.wait(0.5)
        status = process.returncode if process is not None else None
        self._drop()
        if self._is_closed:
            return PolicyError(f'{what}: was given up, as the node ends')
        return PolicyError(
            f'{what}: {self._role} ended with status {status} in the middle of it: memory was '
            'short, or the file makes ONNX Runtime crash')

    def _start(self) -> socket.socket:
        """Start the process, unless it runs."""
        if self._socket is not None and self._process is not None and (
                self._process.poll() is None):
            return self._socket
        self._drop()
        if self._is_closed:
            raise PolicyError(f'{self._role} was asked for, but the node ends')
        failed: list[OSError] = []

        def start() -> None:
            # A new process inherits priority and affinity of the thread that starts it.
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
                os.sched_setaffinity(0, range(os.cpu_count() or 1))
            try:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            except OSError as error:
                failed.append(error)
                return
            try:
                self._process = subprocess.Popen(
                    [sys.executable, '-c', _MAIN, str(theirs.fileno()), str(_ROOT)],
                    pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
                self._socket = ours
            except OSError as error:
                failed.append(error)
                ours.close()
            finally:
                theirs.close()

        thread = threading.Thread(target=start, name='loader')
        try:
            thread.start()
        except RuntimeError as error:
            raise PolicyError(
                f'{self._role} could not be started: {error}; raise the limit on processes and '
                'threads (`ulimit -u`), or allow the process more memory') from error
        thread.join()
        if self._socket is None:
            raise PolicyError(f'{self._role} could not be started: {name_shortage(failed[0])}')
        return self._socket

    def _drop(self) -> None:
        """Kill the process and forget it, even if it cannot be killed at once."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)
        if self._socket is not None:
            self._socket.close()
        self._process = self._socket = None
