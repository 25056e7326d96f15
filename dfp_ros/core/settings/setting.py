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
"""One setting: its default, its meaning and its range."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class SettingsError(ValueError):
    """A parameter has a value that it cannot have; the message names it."""


@dataclass(frozen=True)
class Meaning:
    """
    What a setting is.

    :param sentence: What ``ros2 param describe`` says.
    :param bounds: Smallest and largest value of a number, or None.
    :param choices: The words that it may be; empty where it is anything.
    :param is_fixed: Whether it is fixed when the node starts.
    :param is_unconfigured_only: Whether it can be changed while the node is unconfigured only,
        because topics follow from it.
    :param is_any_type: Whether it is a text that may come as another type, as YAML takes 3 for a
        number.
    """

    sentence: str
    bounds: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    is_fixed: bool = False
    is_unconfigured_only: bool = False
    is_any_type: bool = False


def setting(default: Any, sentence: str, **meaning: Any) -> Any:
    """
    Make a field of a group of settings.

    :param default: Its default value, which decides its type.
    :param sentence: What it means.
    :param meaning: More of :class:`Meaning`.
    """
    return field(default=default, metadata={'meaning': Meaning(sentence, **meaning)})
