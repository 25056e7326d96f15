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
"""Names that are near others."""

from dfp_ros.core.text.errors import near_names, nearest

KNOWN = ('horizon', 'horizons', 'seed')


def test_the_nearest_name_or_all() -> None:
    """A mistake has a remedy; a name that is like no other has all of them."""
    assert nearest('horizn', KNOWN) == "did you mean 'horizon'?"
    assert nearest('x', KNOWN) == 'known: horizon, horizons, seed'


def test_near_names_come_in_order() -> None:
    """So many as asked for, and only as like as asked for."""
    assert near_names('horizon', KNOWN, count=2) == ['horizon', 'horizons']
    assert near_names('horizon', KNOWN, likeness=1.0, count=3) == ['horizon']
    assert near_names('h' * 100_000, KNOWN) == []
