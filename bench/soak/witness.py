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
Stall detector: a loop per processor that sleeps, with a higher priority than the node.

A process of bench/soak. The node cannot keep it from waking up, so if it is late, the kernel or
the hypervisor has stalled the processor. It prints ``ready`` and, when it is ended, ``begin end``
of each time that it was late by more than a period, in s of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

from bench.common.process import REAL_TIME
from bench.common.sleep import sleep_until

_PRIORITY = REAL_TIME['realtime.priority'] + 10
#: Period in s: less than half a tick of the soak.
PERIOD = 0.004
_READY = 'ready'


class Witness:
    """
    Recorder of each processor's stalls.

    :ivar loops: Processes, one per processor.
    :ivar is_granted: Whether its priority was granted; otherwise nothing is recorded.
    """

    def __init__(self) -> None:
        """Start a loop per processor."""
        self.loops = [
            subprocess.Popen(
                [sys.executable, '-m', 'bench.soak.witness', str(processor)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True)
            for processor in sorted(os.sched_getaffinity(0))]
        lines = [loop.stdout.readline() for loop in self.loops if loop.stdout]
        self.is_granted = all(line.strip() == _READY for line in lines)

    def __enter__(self) -> Witness:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> list[tuple[float, float]]:
        """
        End the loops.

        :return: Start and end of each stall, in s of CLOCK_MONOTONIC, in order.
        """
        for loop in self.loops:
            loop.terminate()
        said = ''.join(loop.communicate()[0] for loop in self.loops)
        self.loops = []
        return sorted(
            (float(begin), float(end)) for begin, end in map(str.split, said.splitlines()))


def main() -> int:
    """Run until a signal; return 1 if the priority is denied."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('processor', type=int)
    os.sched_setaffinity(0, {made.parse_args().processor})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except PermissionError:
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print(_READY, flush=True)
    period = round(1e9 * PERIOD)
    deadline = time.monotonic_ns() + period
    stalls: list[tuple[int, int]] = []
    try:
        while True:
            sleep_until(deadline)
            now = time.monotonic_ns()
            if now > deadline + period:
                stalls.append((deadline, now))
            deadline = now + period
    finally:
        # Shutting the interpreter down takes longer than a tick.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        for begin, end in stalls:
            print(begin * 1e-9, end * 1e-9)


if __name__ == '__main__':
    sys.exit(main())
