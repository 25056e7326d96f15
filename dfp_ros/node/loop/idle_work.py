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
    Hands over what has come of background work, after each tick.

    :param worker: Is looked at after each tick.
    :param seldom: Is looked at where it has work.
    """

    def __init__(self, worker: BackgroundWorker, seldom: BackgroundWorker) -> None:
        """Look at nothing yet."""
        self._worker = worker
        self._seldom = seldom

    def on_idle(self, tick: Tick) -> None:
        """Hand over what has come."""
        self._worker.deliver()
        if self._seldom.has_work:
            self._seldom.deliver()
