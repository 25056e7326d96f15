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
Formatting of numbers in messages.

A number from a file is shown as it was written; a computed one with six significant digits:
6.28319, not 6.283185307179586.
"""

from __future__ import annotations

from collections.abc import Iterable

# Longest number that is shown in full, in characters.
_SHORT = 9


def shown(number: float) -> str:
    """
    Format a number.

    :param number: The number; whole numbers keep all digits.
    """
    if isinstance(number, int):
        return str(number)
    text = repr(float(number))
    return text if len(text) <= _SHORT else f'{number:.6g}'


def all_shown(numbers: Iterable[float]) -> str:
    """Format numbers as a list, with six digits each, which is faster than with all digits."""
    return f'[{", ".join([f"{number:.6g}" for number in numbers])}]'
