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
"""Background work whose results are taken over between two ticks."""

from __future__ import annotations

from dfp_ros.node.loop.tick import Listener, Tick
from dfp_ros.node.ros.background_worker import BackgroundWorker


class IdleWork(Listener):
    """
    Delivers results of background work after each tick.

    :param worker: Delivers after each tick.
    :param seldom: Delivers after a tick if it has work.
    """

    def __init__(self, worker: BackgroundWorker, seldom: BackgroundWorker) -> None:
        """Store the workers."""
        self._worker = worker
        self._seldom = seldom

    def on_idle(self, tick: Tick) -> None:
        """Deliver results."""
        self._worker.deliver()
        if self._seldom.has_work:
            self._seldom.deliver()
