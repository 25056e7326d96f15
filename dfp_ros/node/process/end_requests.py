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
Requests to end or to suspend a process: signals, and the end of its parent.

A separate thread receives them from the start of the process on, so that none is lost while other
threads load, wait or hang.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import ctypes
import os
import select
import signal
import socket
import threading
import time

from dfp_ros.node.process.parent import explain_orphan, find_ancestors, Kin, read_kin
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING

# Signals raised by a defect of the process; a handler would return to the defect, for ever.
_FAULTS = {
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP}
# The fault that a policy can cause: the smallest integer divided by -1, in ONNX Runtime. Its
# thread has released the interpreter lock, and meets the fault again until the robot is stopped.
_ARITHMETIC = signal.SIGFPE
_UNHEARD = {signal.SIGKILL, signal.SIGSTOP}
# Signals that are ignored by default.
_HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
# Signals that suspend a background process that uses its terminal; if ignored, it can use it.
_TERMINAL = {signal.SIGTTIN, signal.SIGTTOU}
_SUSPEND = signal.SIGTSTP
# Received even if they are ignored, as in background processes of a script.
_ALWAYS = {signal.SIGINT, signal.SIGTERM}
# Bytes for the thread itself, beside the numbers of signals.
_LOOK, _CLOSE = 0, 255
# Polling period in s, if the system has no process descriptors.
_POLL = 0.25
_LONGEST_JOIN = 1.0  # s


def heard_signals() -> list[int]:
    """
    List the signals that would end or suspend this process and can be caught.

    Ignored signals, such as SIGHUP under ``nohup``, stay ignored.
    """
    others = {*_FAULTS, *_UNHEARD, *_HARMLESS, *_TERMINAL}
    return sorted(
        number for number in signal.valid_signals()
        if number not in others and (number in _ALWAYS or signal.getsignal(number) in (
            signal.SIG_DFL, signal.default_int_handler)))


@contextlib.contextmanager
def collected_signals() -> Iterator[list[int]]:
    """
    Collect, until it is left, the signals that would end the process; a terminal's stop stops it.

    :return: The list that they come into.
    """
    signals: list[int] = []
    before = {
        number: signal.getsignal(number) for number in heard_signals()
        if number != signal.SIGTSTP}
    for number in before:
        signal.signal(number, lambda number, _: signals.append(number))
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def name_signal(number: int) -> str:
    """Name a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'


class Requests:
    """
    Receives requests to end or to suspend this process.

    Create it on the main thread; at most one at a time.

    :ivar ending: Set once the process was asked to end.
    :ivar reason: Origin of that request, for messages.
    :ivar last_resort: Called in the receiving thread before it ends the process by force.
    """

    def __init__(self) -> None:
        """Receive signals from now on."""
        self.ending = threading.Event()
        self.reason = ''
        self.last_resort: Callable[[], None] = _nothing
        self._longest = float('inf')
        self._deadline = float('inf')
        self._is_suspending = False
        self._call: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._calling = threading.Lock()
        self._watched: dict[int, Kin] = {}
        self._polled: list[Kin] = []
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        theirs.setblocking(False)
        self._theirs = theirs
        self._numbers = heard_signals()
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, lambda *_: None)
        signal.signal(_ARITHMETIC, lambda *_: None)
        for number in _TERMINAL:
            signal.signal(number, signal.SIG_IGN)
        # The parent may have blocked them for itself.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)
        self._thread = threading.Thread(target=self._listen, name='signals', daemon=True)
        self._thread.start()

    def watch_parent(self, choice: str) -> None:
        """
        End together with the parent process.

        :param choice: One of :data:`dfp_ros.node.process.parent.CHOICES`.
        """
        own = read_kin(os.getpid())
        if own is None:  # no Linux
            return
        if gone := explain_orphan(own, choice):
            self._ask(f'{gone} has ended')
        for kin in find_ancestors(own, choice):
            try:
                self._watched[os.pidfd_open(kin.pid)] = kin
            except (OSError, AttributeError):
                # It has ended since, or the system has no process descriptors.
                self._polled.append(kin)
        self._send(_LOOK)

    def limit_end(self, seconds: float) -> None:
        """
        End the process by force if it takes too long to end.

        :param seconds: Time since the request in s.
        """
        with self._lock:
            self._longest = seconds
            if self.ending.is_set():
                self._deadline = time.monotonic() + seconds
        self._send(_LOOK)

    def tell(self, call: Callable[[], None] | None) -> None:
        """
        Register a function that is called at each request, and at once if one is pending.

        After return, no function that was registered before is being called.

        :param call: Called in the receiving thread, or in this one; None for no function: then
            there is nothing to stop before the process is suspended.
        """
        with self._calling:
            self._call = call
            if call is not None and (self.ending.is_set() or self._is_suspending):
                call()

    @property
    def is_suspending(self) -> bool:
        """Whether the process was asked to be suspended, and not to end."""
        return self._is_suspending and not self.ending.is_set()

    def suspend(self) -> None:
        """Suspend the process until SIGCONT."""
        self._is_suspending = False
        os.kill(os.getpid(), signal.SIGSTOP)

    def close(self) -> None:
        """Stop receiving; later signals are ignored during the last moments of the process."""
        for number in self._numbers:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(_ARITHMETIC, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self._send(_CLOSE)
        self._thread.join(_LONGEST_JOIN)
        for descriptor in self._watched:
            os.close(descriptor)
        self._watched = {}
        self._theirs.close()
        self._ours.close()

    def _send(self, byte: int) -> None:
        """Wake up the thread."""
        with contextlib.suppress(BlockingIOError):
            self._theirs.send(bytes([byte]))

    def _listen(self) -> None:
        """Receive requests until closed; runs in the thread."""
        # A loop with real-time priority that hangs may occupy its processor for ever.
        SCHEDULING.step_ahead()
        while True:
            poll = select.poll()
            poll.register(self._ours, select.POLLIN)
            for descriptor in list(self._watched) if not self.ending.is_set() else ():
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll(self._patience()):
                if kin := self._watched.get(descriptor):
                    self._ask(f'{kin.name} (process {kin.pid}), which started it, has ended')
                    continue
                for number in self._ours.recv(4096):
                    if number == _CLOSE:
                        return
                    if number != _LOOK:
                        self._take(number)
            for kin in self._polled if not self.ending.is_set() else ():
                if read_kin(kin.pid) is None:
                    self._ask(f'{kin.name} (process {kin.pid}), which started it, has ended')
            if time.monotonic() >= self._deadline:
                self._force()

    def _patience(self) -> int | None:
        """Return the timeout of the next poll in ms; None for none."""
        left = min(
            self._deadline - time.monotonic(),
            _POLL if self._polled and not self.ending.is_set() else float('inf'))
        return None if left == float('inf') else max(0, round(left * 1000) + 1)

    def _take(self, number: int) -> None:
        """Handle a signal."""
        if number == _ARITHMETIC:
            self._crash()
        if number != _SUSPEND:
            self._ask(name_signal(number))
            return
        with self._lock:
            if self.ending.is_set():
                return
            self._is_suspending = True
        with self._calling:
            if self._call is None:
                self.suspend()
            else:
                self._call()

    def _ask(self, reason: str) -> None:
        """Request the end of the process; further requests have no effect."""
        with self._lock:
            if self.ending.is_set():
                return
            self.reason = reason
            self._deadline = time.monotonic() + self._longest
            self.ending.set()
        with self._calling:
            if self._call is not None:
                self._call()

    def _force(self) -> None:
        """End the process by force, even if other threads hang."""
        self._deadline = float('inf')
        self._try_last(
            f'asked to end ({self.reason}), the process did not within {self._longest:g} s: '
            'something in it hangs; it is ended now\n')
        os._exit(1)

    def _crash(self) -> None:
        """End the process by an arithmetic fault, but stop the robot first."""
        self._deadline = float('inf')
        self._try_last(
            'an integer was divided by 0, or the smallest one by -1 (SIGFPE): most likely in the '
            'graph of the policy; the robot was stopped as far as possible, and the process is '
            'ended now; do not use this policy file again\n')
        # Python sets handlers on the main thread only, which may be the one with the fault.
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = ctypes.c_int, ctypes.c_void_p
        libc.signal(_ARITHMETIC, None)
        os.kill(os.getpid(), _ARITHMETIC)
        time.sleep(_LONGEST_JOIN)
        os._exit(1)

    def _try_last(self, text: str) -> None:
        """Call the last resort, then print; each may hang, too."""
        for last in (self.last_resort, lambda: os.write(2, text.encode())):
            thread = threading.Thread(target=_try, args=(last,), daemon=True)
            thread.start()
            thread.join(_LONGEST_JOIN)


def _try(call: Callable[[], object]) -> None:
    """Call a function, and ignore its errors."""
    with contextlib.suppress(Exception):
        call()


def _nothing() -> None:
    """Do nothing."""
