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
"""Errors in one line, for logs and answers."""

from __future__ import annotations

from dfp_ros.printable import printable, TEXT


def explain(error: Exception) -> str:
    """Give an error's message, which for errors of this package says all there is to say."""
    known = type(error).__module__.startswith('dfp_ros.')
    text = str(error) if known else f'{type(error).__name__}: {error}'
    # Parsers say it in several lines, which would be lines of the log without a time.
    return printable(' '.join(text.split('\n')), TEXT)
