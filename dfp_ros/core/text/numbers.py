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
"""
Numbers in messages to people, one way everywhere.

A number that somebody wrote is shown as it was written; one that was computed has no more digits
than help: 6.28319, not 6.283185307179586.
"""

from __future__ import annotations

from collections.abc import Iterable

# Characters of a number that is shown as it is.
_SHORT = 9


def shown(number: float) -> str:
    """
    Show a number.

    :param number: Whole numbers keep all of their digits.
    """
    if isinstance(number, int):
        return str(number)
    text = repr(float(number))
    return text if len(text) <= _SHORT else f'{number:.6g}'


def all_shown(numbers: Iterable[float]) -> str:
    """Show numbers as a list; it costs a tick less than all of their digits would."""
    return f'[{", ".join([f"{number:.6g}" for number in numbers])}]'
