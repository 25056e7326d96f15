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
"""Controlled stop: slows a robot down within its limits, then sends the last command."""

from __future__ import annotations

import time
from typing import Any

from dfp_ros.node.commanding.commander import Commander
from dfp_ros.node.loading.control_loop import ControlLoop


def stop_robot(
        loop: ControlLoop, commander: Commander, since: float | None, logger: Any) -> bool:
    """
    Slow a robot down within its limits, as far as time allows, and stop it.

    A transition can wait for no tick, so this keeps the thread that ticks: for
    ``limits.stop_within`` at most, and for no time if a single command stops the robot within
    its limits. The controller has to be reset before it decides again.

    :param loop: The control loop; it does not tick meanwhile.
    :param commander: Sends its stops.
    :param since: When the last command was sent, on :func:`time.monotonic`, in s; None if ticks
        are not due by the wall's clock. Then a single command has to do.
    :param logger: Hears of a stop that is harder than the limits.
    :return: Whether it took more than a single command.
    """
    if not commander.may_command():
        commander.has_stopped = False
        return False
    within = loop.settings.limits.stop_within
    if since is None or within == 0 or not loop.controller.limiter.is_fast:
        commander.stop(loop)
        return False
    try:
        _slow_down(loop, commander, since, time.monotonic() + within)
        if loop.controller.limiter.is_fast:
            logger.warning(
                'stopped the robot harder than its limits allow: it takes longer than '
                f'limits.stop_within, {within:g} s, to slow down')
    finally:  # a defect must not leave it on its way
        commander.stop(loop)
    return True


def _slow_down(loop: ControlLoop, commander: Commander, sent: float, end: float) -> None:
    """
    Send commands a tick apart until it is time for the last one.

    :param loop: The control loop.
    :param commander: Sends its stops.
    :param sent: When the last one was sent, in s.
    :param end: When there is no more time, in s.
    """
    tick = loop.tick * 1e-9
    # A late command delays those after it: two are never closer than a tick, and the last has its
    # time, too.
    while loop.controller.limiter.is_fast and sent + 2 * tick <= end:
        time.sleep(max(0.0, sent + tick - time.monotonic()))
        commander.slow_down(loop)
        sent = time.monotonic()
    time.sleep(max(0.0, min(sent + tick, end) - time.monotonic()))
