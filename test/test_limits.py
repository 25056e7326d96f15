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
"""Commands are scaled exactly, and never leave their limits."""

from dataclasses import replace

import numpy as np
from policies import cube_spec

from dfp_ros.limits import ActionScale, CommandLimiter, Limits
from dfp_ros.safety import Reason
from dfp_ros.spec import PolicySpec


def limiter(spec: PolicySpec) -> tuple[ActionScale, CommandLimiter]:
    """Make what scales and what limits by the ranges of the policy file."""
    scale = ActionScale(spec)
    return scale, CommandLimiter(Limits(scale.low, scale.high))


def test_scaling_is_exact() -> None:
    """Commands are low + (a + 1) / 2 * (high - low) in float64, and give the float32 back."""
    scale, limits = limiter(cube_spec())
    random = np.random.default_rng(0)
    for action in random.uniform(-1, 1, (1000, 5)).astype(np.float32):
        asked = scale.command(action)
        sent, reason = limits.limit(asked)
        assert reason == Reason.NONE
        np.testing.assert_array_equal(asked, sent)
        np.testing.assert_array_equal(
            sent, scale.low + (action.astype(np.float64) + 1) / 2 * (scale.high - scale.low))
        np.testing.assert_array_equal((sent / scale.high).astype(np.float32), action)


def test_clipped() -> None:
    """What is outside the bounds is clipped, and says so."""
    scale, limits = limiter(cube_spec())
    asked = scale.command(np.array([2, -2, 0.5, 1, -1], np.float32))
    np.testing.assert_array_equal(asked, [2, -2, 0.5, 6, -20])
    sent, reason = limits.limit(asked)
    assert reason == Reason.CLIPPED
    np.testing.assert_array_equal(sent, [1, -1, 0.5, 6, -20])


def test_rounding_is_not_clipping() -> None:
    """Actions of exactly 1 and -1 stay within bounds that are no binary fractions, unflagged."""
    spec = cube_spec()
    odd = replace(spec, action=tuple(
        replace(member, low=(-0.3,) * member.size, high=(0.1,) * member.size)
        for member in spec.action))
    scale, limits = limiter(odd)
    for value in (1, -1):
        sent, reason = limits.limit(scale.command(np.full(5, value, np.float32)))
        assert reason == Reason.NONE
        assert (sent >= -0.3).all()
        assert (sent <= 0.1).all()
