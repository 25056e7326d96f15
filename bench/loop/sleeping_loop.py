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
"""Loop that sleeps until absolute deadlines with clock_nanosleep; a process of bench/loop."""

from __future__ import annotations

import argparse
import gc
import math
from pathlib import Path
import time

from bench.common.sleep import sleep_until
from bench.loop.record import COMMAND, Record
from dfp_ros.node.realtime.timer_slack import set_timer_slack


def main() -> None:
    """Run until a signal; missed deadlines are skipped, as by a timer."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('record', type=Path)
    made.add_argument('--capacity', type=int, required=True)
    made.add_argument('--rate', type=float, required=True, help='Hz')
    asked = made.parse_args()
    period = round(1e9 / asked.rate)
    set_timer_slack(1)
    record = Record(asked.record, COMMAND, asked.capacity)
    gc.freeze()
    deadline = time.monotonic_ns() + period
    while True:
        sleep_until(deadline)
        began = time.monotonic_ns()
        deadline += period * max(1, (began - deadline) // period + 1)
        record.add(began, began, deadline, math.nan, math.nan)


if __name__ == '__main__':
    main()
