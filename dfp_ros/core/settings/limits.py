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
"""Node parameters of the limits."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting


@dataclass(frozen=True)
class LimitSettings:
    """Settings of the limits; the limits themselves are the robot description's."""

    ramp_in: float = setting(
        0.0, 'Seconds after activation in which the speed that is allowed grows from nothing to '
        'the whole.', bounds=(0.0, 60.0))
    data_envelope: bool = setting(
        False, 'Keep commands within the smallest and largest of the data that the policy was '
        'trained with, where those are narrower than the other limits.')
    urdf_wait: float = setting(
        5.0, 'Seconds to wait for a URDF on robot_description, where the robot description takes '
        'limits from it. Used when the node is configured.', bounds=(0.0, 60.0))
    stop_within: float = setting(
        0.5, 'Seconds that the node may take, when it is deactivated, ended or reset, to slow a '
        'moving robot down within its acceleration before it sends the last command; nothing '
        'else happens meanwhile. 0 is for the last command at once.', bounds=(0.0, 1.0))
