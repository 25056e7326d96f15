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
"""Stopwatch of the parts of a tick."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
import contextlib
import functools
import time
from typing import Any

from rclpy.publisher import Publisher

from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.input_log import InputLog
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.feedback import FeedbackReader
from dfp_ros.core.observation.freshness import FreshnessMonitor
from dfp_ros.core.observation.sample_store import SampleStore
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.safety.monitors import Monitors
from dfp_ros.node.commanding.decision_log import DecisionLog
from dfp_ros.node.loop.statistics import LoopStatistics
from dfp_ros.node.loop.ticker import Ticker
from dfp_ros.node.messages.command_writer import CommandWriter
from dfp_ros.node.messages.source_reader import SourceReader
from dfp_ros.node.reporting.decision_publisher import DecisionPublisher

#: Timed methods, by the name of the part; nested work without a name belongs to the outer part.
PARTS = (
    ('reading', SourceReader, ('read',)), ('store', SampleStore, ('add', 'pass_time', 'at')),
    ('freshness', FreshnessMonitor, ('check',)), ('feedback', FeedbackReader, ('read',)),
    ('observation', ObservationBuilder, ('build',)),
    ('monitors', Monitors, ('about_observation', 'about_answer')), ('planner', Planner, ('next',)),
    ('inference', OnnxPolicy, ('act',)), ('limiter', CommandLimiter, ('limit', 'stop', 'ahead')),
    ('controller', Controller, ('step',)), ('writer', CommandWriter, ('serialize',)),
    ('publish', Publisher, ('publish',)), ('ticker', Ticker, ('tick', 'receive')),
    ('loop statistics', LoopStatistics, ('tick', 'add')), ('decision log', DecisionLog, ('add',)),
    ('input log', InputLog, ('step',)), ('decision', DecisionPublisher, ('on_tick',)))


class Stopwatch:
    """Timer of method calls, each without its nested ones."""

    def __init__(self) -> None:
        """Start at zero."""
        self.taken: defaultdict[str, int] = defaultdict(int)
        self._names: list[str] = []
        self._inner: list[int] = [0]

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Time the methods of :data:`PARTS` within the context."""
        before = []
        for name, kind, methods in PARTS:
            for method in methods:
                before.append((kind, method, getattr(kind, method)))
                setattr(kind, method, self._timed(name, getattr(kind, method)))
        try:
            yield
        finally:
            for kind, method, function in before:
                setattr(kind, method, function)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method so that it is timed."""
        clock, names, inner = time.perf_counter_ns, self._names, self._inner

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            names.append(name)
            inner.append(0)
            begin = clock()
            try:
                return function(*arguments, **named)
            finally:
                taken = clock() - begin
                self.taken[name] += taken - inner.pop()
                inner[-1] += taken
                names.pop()
        return timed
