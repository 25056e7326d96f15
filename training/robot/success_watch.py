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
"""Watch on the success of policies: tells when the robot does worse than before."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.intervals import wilson_interval


@dataclass(frozen=True)
class Verdict:
    """
    A significant loss of success.

    :param best: Successes of the best window.
    :param now: Successes of the last one.
    :param window: Episodes of each.
    :param policy: Policy that ended the best window.
    """

    best: int
    now: int
    window: int
    policy: str

    def __str__(self) -> str:
        return (
            f'{self.now} of the last {self.window} episodes were solved, and {self.best} of the '
            f'best {self.window} before')


class SuccessWatch:
    """
    Compares the success of the last episodes with the best before.

    The two are different if their Wilson intervals (95 %) do not overlap.

    :param window: Episodes that are compared.
    """

    def __init__(self, window: int) -> None:
        """Start without an episode."""
        self._window = window
        self._results: list[tuple[bool, str]] = []
        self._best: tuple[int, str] | None = None

    @property
    def best_policy(self) -> str:
        """Policy that ended the best window; empty before there is one."""
        return self._best[1] if self._best else ''

    def add(self, success: bool, policy: str) -> Verdict | None:
        """
        Add the result of an episode.

        :param success: Whether it was solved.
        :param policy: Its policy.
        :return: The loss, if it is significant; the episodes before then count no longer.
        """
        self._results.append((success, policy))
        size = self._window
        if len(self._results) >= 2 * size:
            # The window that has just left the last one.
            self._rate(self._results[-2 * size:-size])
        del self._results[:-2 * size]
        if self._best is None or len(self._results) < size:
            return None
        now = sum(success for success, _ in self._results[-size:])
        best, name = self._best
        if wilson_interval(now, size)[1] >= wilson_interval(best, size)[0] or name == policy:
            return None
        self._results = []
        return Verdict(best, now, size, name)

    def _rate(self, results: list[tuple[bool, str]]) -> None:
        """Keep a window if it is the best so far; of equal ones, the later."""
        solved = sum(success for success, _ in results)
        if self._best is None or solved >= self._best[0]:
            self._best = solved, results[-1][1]
