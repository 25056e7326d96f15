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
"""Switch interval of Python's threads, restored when the last node closes."""

from __future__ import annotations

import sys

from dfp_ros.node.realtime.switch_interval import ShortSwitchInterval


def test_it_is_as_before_once_all_are_closed() -> None:
    """Two nodes in one process: the first that ends does not slow the other down."""
    usual = sys.getswitchinterval()
    first, second = ShortSwitchInterval(), ShortSwitchInterval()
    short = sys.getswitchinterval()
    assert short < usual
    first.close()
    first.close()
    assert sys.getswitchinterval() == short
    second.close()
    assert sys.getswitchinterval() == usual
    third = ShortSwitchInterval()
    assert sys.getswitchinterval() == short
    third.close()
    assert sys.getswitchinterval() == usual
