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
"""Random pictures beside transitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dfp_ros.spec_images import ImageField
from training.data.transitions.frames import Frames
from training.data.transitions.transitions import Transitions

#: Two cameras, one of them gray.
CAMERAS = (ImageField('front', 6, 8, 'rgb'), ImageField('wrist', 4, 4, 'gray'))


def with_pictures(
        data: Transitions, seed: int = 0,
        cameras: tuple[ImageField, ...] = CAMERAS) -> Transitions:
    """Add random pictures: one for each step of an episode, and one after its last step."""
    generator = np.random.default_rng(seed)
    count = len(data) + int(data.terminals.sum())
    before = np.concatenate([[0], np.cumsum(data.terminals)[:-1]]).astype(np.int64)
    return replace(data, frame=np.arange(len(data)) + before, images=tuple(
        Frames(field, generator.integers(0, 256, (count, *field.shape), np.uint8))
        for field in cameras))
