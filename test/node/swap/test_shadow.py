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
"""Shadow policy: its decisions, their distance from the real ones, and when it is skipped."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
from numpy.typing import NDArray
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.policy.interface import Chunk, PolicyError
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.node.swap.shadow import Shadow
from dfp_ros.spec import PolicySpec, SpecMismatch
from testing.policies.small_policy import cube_spec

SPEC = cube_spec()
SEEN = np.zeros(SPEC.observation_size, np.float32)


class Steady:
    """A policy that always answers the same, or fails."""

    def __init__(self, spec: PolicySpec, action: NDArray[np.float32]) -> None:
        self.spec = spec
        self.action = action
        self.asked: list[FloatArray] = []
        self.is_broken = False

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer with a chunk of one action."""
        self.asked.append(observation)
        if self.is_broken:
            raise PolicyError('broken')
        return Chunk(np.tile(self.action, (self.spec.horizon, 1)), math.nan, 0.0)


def make(action: list[float], latency: float = 0.001) -> tuple[Steady, Shadow]:
    """Make a shadow of a policy for the same robot."""
    policy = Steady(SPEC, np.array(action, np.float32))
    planner = Planner(
        policy, NoiseStream(0, 1, SPEC.noise_size), round(SPEC.period * 1e9), lambda: 0)
    return policy, Shadow(SPEC, planner, SPEC, latency)


def test_disagreement_by_field() -> None:
    """Each field in its own unit, all together in parts of half the range."""
    # Half ranges: 1 m/s three times, 6 rad/s, 20 1/s.
    _, shadow = make([0.5, 0.0, 0.0, 0.5, -1.0])
    found = shadow.compare(0, SEEN, np.zeros(5), 1.0)
    assert found is not None
    assert found.command.tolist() == [0.5, 0, 0, 3, -20]
    assert found.disagreement == pytest.approx((0.5 / math.sqrt(3), 3, 20))
    assert found.rms == pytest.approx(math.sqrt((0.25 + 0.25 + 1) / 5))
    assert shadow.rms == pytest.approx(found.rms)
    same = shadow.compare(1, SEEN, found.command, 1.0)
    assert same is not None
    assert same.rms == 0
    assert shadow.asked == 2
    assert shadow.rms == pytest.approx(found.rms / math.sqrt(2))


def test_an_action_in_another_order() -> None:
    """There is nothing to compare, number by number."""
    other = replace(SPEC, action=SPEC.action[::-1])
    policy = Steady(other, np.zeros(5, np.float32))
    planner = Planner(
        policy, NoiseStream(0, 1, other.noise_size), round(other.period * 1e9), lambda: 0)
    with pytest.raises(SpecMismatch, match='action field 0'):
        Shadow(other, planner, SPEC, 0.001)


def test_its_own_scale() -> None:
    """The shadow's actions are scaled as its own file says, and compared as commands."""
    wide = replace(SPEC, action=tuple(
        replace(member, low=tuple(2 * low for low in member.low),
                high=tuple(2 * high for high in member.high)) for member in SPEC.action))
    policy = Steady(wide, np.full(5, 0.25, np.float32))
    planner = Planner(policy, NoiseStream(0, 1, wide.noise_size), 50_000_000, lambda: 0)
    found = Shadow(wide, planner, SPEC, 0.0).compare(
        0, SEEN, ActionScale.of_policy(SPEC).command(np.full(5, 0.5, np.float32)), 1.0)
    assert found is not None
    assert found.rms == pytest.approx(0)


def test_no_time_is_no_comparison() -> None:
    """It is skipped and counted if time is short, and plans anew afterwards."""
    policy, shadow = make([0.0] * 5, latency=0.01)
    assert shadow.compare(0, SEEN, np.zeros(5), 0.02) is not None
    assert shadow.compare(50_000_000, SEEN, np.zeros(5), 0.005) is None
    assert (shadow.asked, shadow.skipped) == (1, 1)
    assert len(policy.asked) == 1
    later = SEEN + 1
    assert shadow.compare(100_000_000, later, np.zeros(5), 0.02) is not None
    assert policy.asked[-1] is later


def test_nothing_seen_or_failed() -> None:
    """Without an observation there is no comparison; a failing shadow is only counted."""
    policy, shadow = make([0.0] * 5)
    assert shadow.compare(0, None, None, 1.0) is None
    assert math.isnan(shadow.rms)
    policy.is_broken = True
    assert shadow.compare(0, SEEN, np.zeros(5), 1.0) is None
    assert (shadow.asked, shadow.skipped, shadow.failed) == (0, 0, 1)
