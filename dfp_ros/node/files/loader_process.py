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
Main program of the loader process, which opens, reads and tests files for a node.

It receives requests on a socket, as JSON with file descriptors, and answers each; see
:mod:`dfp_ros.node.files.loader`. Contents are passed as files in memory. It ends with the process
that started it.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import errno
import itertools
import json
import os
from pathlib import Path
import select
import signal
import socket
import threading
import time
from typing import Any

from dfp_ros.core.files.bounded_file import LARGEST_TEXT, read_regular
from dfp_ros.core.files.missing import explain_missing
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import PolicyFile, read_policy_file
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.text.errors import explain
from dfp_ros.resources import find_shared, make_trust
from dfp_ros.spec import PolicySpec

#: Longest request or answer in bytes, without the contents beside it.
LONGEST = 64 << 10
_LONGEST_TEXT = 4000
_NICE = 10
_WARM_UPS = 2


# Remedy if a file in memory, or a descriptor, cannot be made or written, by error number.
_REMEDIES = {
    errno.EFBIG: 'raise the limit on file sizes (`ulimit -f`), which counts for files in memory',
    errno.EMFILE: 'raise the limit on open files (`ulimit -n`)',
    errno.ENFILE: 'raise the limit on open files (`sysctl fs.file-max`)'}


def remember(what: str, **contents: bytes) -> list[int]:
    """
    Put bytes into files in memory, which the caller closes.

    :param what: The file that they are of, for the message.
    :param contents: The bytes by name.
    :return: The descriptors.
    :raises PolicyError: If they do not fit.
    """
    files: list[int] = []
    try:
        for name, content in contents.items():
            files.append(os.memfd_create(name, os.MFD_CLOEXEC))
            left = memoryview(content)
            while left:
                left = left[os.write(files[-1], left):]
    except OSError as error:
        for file in files:
            os.close(file)
        size = sum(map(len, contents.values()))
        raise PolicyError(
            f'{what}: its {size / 1e6:.1f} MB cannot be kept in memory: {name_shortage(error)}',
        ) from error
    return files


def name_shortage(error: OSError) -> str:
    """Name what is short, and the remedy."""
    remedy = _REMEDIES.get(error.errno or 0, 'free memory, or allow the process more')
    return f'{error.strerror}; {remedy}'


def recall(file: int) -> bytes:
    """Read and close a file that :func:`remember` made."""
    try:
        size = os.fstat(file).st_size
        pieces, position = [], 0
        while position < size:
            pieces.append(os.pread(file, size - position, position))
            position += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b''.join(pieces)
    finally:
        os.close(file)


def read_policy(request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """Read a policy file, its hash and its specification."""
    file = read_policy_file(
        find_shared(request['name'], 'models', '.onnx'),
        make_trust(request['roots'], request['keys']))
    facts = {
        'path': os.fspath(file.path), 'sha256': file.sha256, 'unbounded': file.unbounded,
        'signed_by': file.signed_by}
    return facts, remember(
        f'policy file {file.path}', spec=file.spec.to_json().encode(), policy=file.content)


def read_text(request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """Read a short file."""
    name, folder = request['name'], request['folder']
    path = find_shared(name, folder, request['suffix']) if folder else user_path(name)
    try:
        content = read_regular(path, LARGEST_TEXT)
    except FileNotFoundError as error:
        raise LoadError(
            f'{path}: {explain_missing(path, (path.suffix or request["suffix"],))}') from error
    except OSError as error:
        raise LoadError(f'{path}: cannot be read: {error.strerror}') from error
    return {'path': os.fspath(path)}, remember(os.fspath(path), text=content)


def try_policy(request: dict[str, Any], files: Sequence[int]) -> dict[str, Any]:
    """Open a session of a policy file, and run it."""
    from dfp_ros.core.policy.onnx_policy import OnnxPolicy
    spec, content = map(recall, files)
    # ONNX Runtime holds the GIL in each of two steps; the second ends with the session.
    times: list[float] = []
    policy = OnnxPolicy(
        PolicyFile(
            Path(request['path']), content, request['sha256'], PolicySpec.from_json(spec.decode()),
            tuple(request['unbounded'])),
        ExecutionSettings(**request['execution']), lambda: times.append(time.thread_time()),
        request['candidates'], lambda: times.append(time.thread_time()))
    policy.warm_up(policy.candidates or policy.spec.candidates, _WARM_UPS)
    return {'keeps': max(after - before for before, after in itertools.pairwise(times))}


class LoadError(ValueError):
    """A file cannot be loaded."""


def answer(request: dict[str, Any], files: Sequence[int]) -> tuple[dict[str, Any], list[int]]:
    """Handle a request; an error is an answer, too."""
    try:
        if request['do'] == 'read_policy':
            return read_policy(request)
        if request['do'] == 'read':
            return read_text(request)
        return try_policy(request, files), []
    except Exception as error:  # reported to the node
        text = explain(error)
        return {'error': text[:_LONGEST_TEXT], 'kind': type(error).__name__}, []


def main(number: int) -> None:
    """
    Answer requests until the node has ended.

    :param number: Descriptor of the socket.
    """
    step_back()
    ours = socket.socket(fileno=number)
    threading.Thread(target=_end_with, args=(ours,), daemon=True).start()
    while True:
        text, files, *_ = socket.recv_fds(ours, LONGEST, 2)
        if not text:
            return
        request = json.loads(text)
        # A separate thread ends the process with the node, even if this thread hangs.
        signal.setitimer(signal.ITIMER_REAL, request['seconds'] + 5)
        if request['do'] == 'try':
            # Imports must not count towards the measured time.
            import dfp_ros.core.policy.onnx_policy  # noqa: F401
        reply, made = answer(request, files)
        signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(OSError):
            socket.send_fds(ours, [json.dumps(reply).encode('utf-8')], made)
        for file in made:
            os.close(file)


def step_back() -> None:
    """Lower the priority of this process below the node's, for processor and memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    with contextlib.suppress(OSError):
        # Preferred by the kernel's out-of-memory killer.
        Path('/proc/self/oom_score_adj').write_text('1000')


def _end_with(ours: socket.socket) -> None:
    """End the process with the one at the other end of the socket."""
    waiting = select.poll()
    waiting.register(ours, select.POLLRDHUP)
    waiting.poll()
    os._exit(0)
