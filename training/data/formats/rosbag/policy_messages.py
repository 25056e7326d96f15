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
"""What a recorded ``~/policy`` says of the decisions beside it."""

from __future__ import annotations

from dfp_ros.core.control.input_log import policy_number
from dfp_ros.core.files.bounded_json import JsonError, read_json


def anchored_policy(status: str) -> int | None:
    """
    Read a message of ``~/policy``.

    :param status: Its text.
    :return: Number of the policy in decisions, if its ``anchor`` is ``observation``; else None.
    """
    try:
        found = read_json(status, infinite=True)
        is_anchored = found['spec'].get('anchor') == 'observation'
        return policy_number(found['sha256']) if is_anchored else None
    except (JsonError, KeyError, TypeError, AttributeError, ValueError):
        # Replay reports what is wrong with it; decisions are usable without.
        return None


def robot_of(status: str) -> str:
    """
    Read the hash of the robot description in a message of ``~/policy``.

    :param status: Its text.
    :return: 64 hexadecimal digits; empty if it has none.
    """
    try:
        found = read_json(status, infinite=True)['robot']['sha256']
    except (JsonError, KeyError, TypeError):
        return ''
    return found if isinstance(found, str) else ''
