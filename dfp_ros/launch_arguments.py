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
"""What the launch files share: arguments that become parameters only where they are given."""

from __future__ import annotations

from collections.abc import Sequence

from launch import LaunchContext  # type: ignore[attr-defined]
from launch.substitutions import LaunchConfiguration


def given(context: LaunchContext, arguments: Sequence[tuple[str, type]]) -> dict[str, object]:
    """
    Take the arguments that were given; what is left out keeps the node's default.

    :param arguments: Name and type of each.
    :raises ValueError: Where a value is not of its type.
    """
    texts = {name: LaunchConfiguration(name).perform(context) for name, _ in arguments}
    return {name: _typed(name, kind, texts[name]) for name, kind in arguments if texts[name]}


def _typed(name: str, kind: type, text: str) -> object:
    if kind is bool:
        if text.lower() not in ('true', 'false'):
            raise ValueError(f'argument {name}: found {text!r}, expected true or false')
        return text.lower() == 'true'
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f'argument {name}: found {text!r}, expected {kind.__name__}') from error
