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
"""Keys of the operator of an evaluation."""

from __future__ import annotations

from collections.abc import Callable

from dfp_ros.core.control.episode_marks import FAILURE, SUCCESS
from dfp_ros.tools.evaluation.policy_calls import Ended

#: Marks by key.
VERDICTS = {'y': SUCCESS, 'n': FAILURE}
# Largest number of keys that are discarded at once, of an endless input.
_MOST = 1000


class OperatorVerdicts:
    """
    Reads keys one after the other; ``q`` ends the evaluation.

    :param pressed: Returns the next key pressed, or nothing.
    """

    def __init__(self, pressed: Callable[[], str]) -> None:
        """Read nothing yet."""
        self._pressed = pressed

    def next(self) -> str:
        """
        Return the next key, in lower case; empty for none.

        :raises Ended: At ``q``.
        """
        if (key := self._pressed().lower()) == 'q':
            raise Ended('ended by the operator')
        return key

    def forget(self) -> None:
        """
        Discard the keys pressed so far, such as a late verdict on the last episode.

        :raises Ended: At ``q``.
        """
        for _ in range(_MOST):
            if not self.next():
                return
