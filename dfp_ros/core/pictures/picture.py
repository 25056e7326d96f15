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
"""Picture that a policy sees, and its hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import hashlib
from typing import Any

from dfp_ros.core.arrays import Pictures, PixelArray
from dfp_ros.core.description.images import ImageEntry
from dfp_ros.core.observation.sample import ObservationError, Sample

# Hexadecimal digits of a hash whose number a double represents exactly.
_DIGITS = 12


@dataclass(frozen=True, eq=False)
class Picture:
    """
    A picture of the observation, as the policy gets it.

    :param pixels: Shape (height, width, n), uint8, contiguous.
    :param number: First 48 bits of the SHA-256 of the pixels.
    :param original: The same of the camera's whole picture; 0 if nobody needs it.
    """

    pixels: PixelArray
    number: int
    original: int = 0


def hash_bytes(content: Any) -> int:
    """Return the first 48 bits of the SHA-256 of a contiguous buffer."""
    return int(hashlib.sha256(content).hexdigest()[:_DIGITS], 16)


def pixels_of(pictures: Sequence[Picture]) -> Pictures:
    """Return the pixels of pictures, as a policy is given them."""
    return tuple(picture.pixels for picture in pictures) if pictures else ()


def find_pictures(
        images: Sequence[ImageEntry], samples: Mapping[str, Sample]) -> tuple[Picture, ...]:
    """
    Find the pictures of a tick.

    :param images: The pictures of the robot description, in order.
    :param samples: The sample of each source for this tick.
    :raises ObservationError: If one is missing or cannot be used.
    """
    found = []
    for image in images:
        sample = samples.get(image.source)
        if sample is None:
            raise ObservationError(f'{image.name}: there is no sample of source {image.source!r}')
        if sample.problem:
            raise ObservationError(f'{image.name}: source {image.source!r}: {sample.problem}')
        found.append(sample.values[image.name])
    return tuple(found)
