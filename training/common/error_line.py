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
"""Errors as the commands print them: no name or content of a file forges a line."""

from __future__ import annotations

from dfp_ros.core.text.printable import printable

# Most characters of a line.
_LONGEST = 4000
# What begins further lines of one error.
INDENT = '\n  '


def error_line(error: object) -> str:
    """
    Return the text of an error with escapes for line breaks and control characters.

    Indented lines stay, because they are seen to belong to the line before.

    :param error: The error, or its text.
    """
    return INDENT.join(printable(line, _LONGEST) for line in str(error).split(INDENT))
