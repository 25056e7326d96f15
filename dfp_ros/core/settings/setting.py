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
"""Declaration of a setting: default, description and range."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class SettingsError(ValueError):
    """A parameter has an invalid value; the message names it."""


@dataclass(frozen=True)
class Meaning:
    """
    Description and constraints of a setting.

    :param sentence: Description in ``ros2 param describe``.
    :param bounds: Smallest and largest value of a number, or None.
    :param choices: Allowed words; empty for any value.
    :param is_fixed: Whether it is fixed when the node starts.
    :param is_unconfigured_only: Whether it can be changed only while the node is unconfigured,
        because topics depend on it.
    :param is_any_type: Whether it is a text that may be given as another type, as YAML parses 3 as
        a number.
    """

    sentence: str
    bounds: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    is_fixed: bool = False
    is_unconfigured_only: bool = False
    is_any_type: bool = False


def setting(default: Any, sentence: str, **meaning: Any) -> Any:
    """
    Declare a field of a group of settings.

    :param default: Its default value, which decides its type.
    :param sentence: Its description.
    :param meaning: Further fields of :class:`Meaning`.
    """
    return field(default=default, metadata={'meaning': Meaning(sentence, **meaning)})
