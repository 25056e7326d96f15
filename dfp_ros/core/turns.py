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
"""Full turns that the reading of an angle leaves out: after 180 degrees, it goes on at -180."""

from __future__ import annotations

# A reading that is further from 0 than so many turns counts them.
_COUNTS = 1.01


def turns_left_out(before: float, now: float, turn: float) -> int:
    """
    Count the full turns that a reading has left out between two measurements.

    A joint that is read at -179 degrees, one measurement after 179, has turned by two. A reading
    further from 0 than a turn counts them, and leaves out none.

    :param before: The earlier reading.
    :param now: The later one.
    :param turn: Size of a full turn in them; infinite if they are no angles.
    :return: Turns to add to the later reading, which continue the earlier one: -1, 0 or 1; 0 if a
        reading is not finite.
    """
    if not (abs(before) <= _COUNTS * turn and abs(now) <= _COUNTS * turn):
        return 0
    change = now - before
    if not turn / 2 < abs(change) <= 1.5 * turn:
        return 0
    return -1 if change > 0 else 1
