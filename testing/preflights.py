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
"""Preflight measurements without a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dfp_ros.node.ros.endpoints import Endpoint
from dfp_ros.tools.preflight.measurements import (
    CommandFigures,
    Figures,
    PARTS,
    Percentiles,
    SourceFigures,
)

SOURCE = SourceFigures(
    'arm', '/joint_states', 'sensor_msgs/msg/JointState', 0.2, 500, 100.0, 0.001, 0.02, 0.001,
    0.0005, publishers=(Endpoint('/driver'),), joints=('shoulder', 'elbow'))
COMMAND = CommandFigures(
    'effector', '/twist_command', 'geometry_msgs/msg/TwistStamped', (Endpoint('/controller'),))


def same(milliseconds: float) -> Percentiles:
    """Make percentiles that are all equal."""
    return Percentiles(100, *[milliseconds] * 4)


def good(**changes: Any) -> Figures:
    """Make measurements without a fault: 50 Hz, ticks of 4 ms."""
    return replace(Figures(
        period=0.02, share=0.8, clock_skew=0.1, seconds=5.0, ticks=250,
        parts={name: same(1.0) for name in PARTS}, together=same(4.0),
        observation_age=same(5.0), running=250, sources=(SOURCE,), commands=(COMMAND,)), **changes)


def source(**changes: Any) -> Figures:
    """Make measurements without a fault except in a source."""
    return good(sources=(replace(SOURCE, **changes),))
