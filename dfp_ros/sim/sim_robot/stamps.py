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
"""Stamps of measurements, unique and, with a clock that is set back, as a driver gives them."""

from __future__ import annotations

# Smaller steps back, in ns, are those of measurements that share an instant.
_SET_BACK = 1_000_000


class Stamps:
    """Maker of stamps in ns, in steps of at least 1 ns."""

    def __init__(self) -> None:
        """Start before the first stamp."""
        self._last = 0

    def next(self, now: int, follows: bool) -> int:
        """
        Make the next stamp.

        :param now: Time in ns.
        :param follows: Whether stamps go back with a clock that is set back; else they only
            increase.
        """
        is_back = follows and now < self._last - _SET_BACK
        self._last = now if is_back else max(now, self._last + 1)
        return self._last
