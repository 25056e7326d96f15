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
"""Parameters that are names of topics, services or nodes."""

from __future__ import annotations

from dfp_ros.core.description.topic_name import is_topic_name
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.printable import quoted


def require_name(parameter: str, value: str, example: str) -> None:
    """
    Require that a parameter can be a name, before anything is created with it.

    :param parameter: The parameter.
    :param value: Its value; empty for no name.
    :param example: A name, for the message.
    :raises SettingsError: If it cannot.
    """
    if value and not is_topic_name(value):
        raise SettingsError(
            f'parameter {parameter}: found {quoted(value)}, expected a name such as {example}: '
            'words of letters, digits and _, none of which begins with a digit, with one / '
            'between two')
