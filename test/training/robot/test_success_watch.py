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
"""Watch on success: a loss that is significant, and none that may be chance."""

from __future__ import annotations

import pytest

from training.robot.success_watch import SuccessWatch, Verdict


def outcome(watch: SuccessWatch, results: str, policy: str) -> Verdict | None:
    """Add episodes, 1 for each success; return the verdict, if there is one."""
    found = [watch.add(each == '1', policy) for each in results]
    return next((verdict for verdict in found if verdict), None)


def test_a_significant_loss_is_told_once_with_the_policy_of_the_best_episodes() -> None:
    watch = SuccessWatch(4)
    assert outcome(watch, '1111', 'a') is None
    assert outcome(watch, '000', 'b') is None
    found = outcome(watch, '0', 'b')
    assert found is not None
    assert (found.best, found.now, found.policy) == (4, 0, 'a')
    assert str(found) == '0 of the last 4 episodes were solved, and 4 of the best 4 before'
    assert outcome(watch, '000', 'b') is None


@pytest.mark.parametrize('worse', ['0001', '0011', '1111'])
def test_what_may_be_chance_is_no_loss(worse: str) -> None:
    watch = SuccessWatch(4)
    outcome(watch, '1111', 'a')
    assert outcome(watch, worse, 'b') is None


def test_the_best_policy_does_not_come_back_in_place_of_itself() -> None:
    watch = SuccessWatch(4)
    outcome(watch, '1111', 'a')
    assert outcome(watch, '0000', 'a') is None
    assert watch.best_policy == 'a'


def test_the_best_window_may_be_long_ago() -> None:
    watch = SuccessWatch(20)
    outcome(watch, '1' * 20, 'a')
    outcome(watch, '0' + '1' * 15 + '0' * 4, 'b')
    found = outcome(watch, '10' * 10, 'c')
    assert found is not None
    assert (found.best, found.policy) == (20, 'a')
    assert 10 <= found.now <= 14
