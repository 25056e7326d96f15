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
"""Pictures of the observation in a robot description, and how they are made from sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dfp_ros.core.description.picture_format import CHANNELS_OF, PictureFormat
from dfp_ros.core.description.sources import Source
from dfp_ros.core.description.yaml_section import Section
from dfp_ros.spec_bounds import LARGEST_DEPTH, LARGEST_SIDE, SpecError
from dfp_ros.spec_images import CHANNELS, check_images, DEPTH, ImageField

#: Keys that a picture need not have.
OPTIONAL = ('crop', 'range', 'changes_within')
_NEEDED = ('name', 'source', 'height', 'width', 'channels')


@dataclass(frozen=True)
class ImageEntry:
    """
    A picture of the observation: a part of a source's picture, scaled.

    :param field: Name, size and channels, as in the policy's specification.
    :param source: Name of the source.
    :param where: File, line and key, for messages.
    :param crop: The part: left, top, width and height in pixels of the source's picture.
    :param changes_within: Seconds within which the source's picture has to change; 0 if it need
        not.
    """

    field: ImageField
    source: str
    where: str
    crop: tuple[int, int, int, int]
    changes_within: float = 0.0

    @property
    def name(self) -> str:
        """Its name."""
        return self.field.name


def read_images(section: Section, sources: Mapping[str, Source]) -> tuple[ImageEntry, ...]:
    """
    Read the pictures of the observation, in the policy's order.

    :param section: Their list.
    :param sources: All sources by name.
    :raises DescriptionError: At the first error.
    """
    images = tuple(_read_image(item, sources) for item in section.items())
    try:
        check_images([image.field for image in images])
    except SpecError as error:
        raise section.error(str(error).removeprefix('images: ')) from error
    seen: dict[object, ImageEntry] = {}
    for image, item in zip(images, section.items(), strict=True):
        key = image.source, image.crop, replace(image.field, name='')
        if (other := seen.setdefault(key, image)) is not image:
            raise item.error(
                f'found the same part of source {image.source!r} in the same size as '
                f'{other.name!r}, so the policy would see one picture twice; give the source that '
                'it was trained with, or another crop')
    return images


def _read_image(section: Section, sources: Mapping[str, Source]) -> ImageEntry:
    """Read one picture."""
    keys = section.mapping(_NEEDED, OPTIONAL)
    source = sources[keys['source'].choice(sources)]
    if source.picture is None:
        raise keys['source'].error(
            f'found {source.name!r}, which is no camera; give that source the key picture')
    channels = keys['channels'].choice(CHANNELS)
    if channels not in (there := CHANNELS_OF[source.picture.encoding]):
        raise keys['channels'].error(
            f'found {channels!r}, and the pictures of source {source.name!r} are '
            f'{source.picture.encoding}, from which there is {", ".join(there)}')
    crop = (
        _read_crop(keys['crop'], source.picture) if 'crop' in keys
        else (0, 0, source.picture.width, source.picture.height))
    low, high = 0.0, 255.0
    if channels == DEPTH:
        if 'range' not in keys:
            raise section.error(
                "the key 'range' is missing: the nearest and the farthest depth in m")
        low, high = _read_range(keys['range'])
    elif 'range' in keys:
        raise keys['range'].error('found this for colours, which are from 0 to 255')
    return ImageEntry(
        ImageField(
            keys['name'].text(), keys['height'].count(most=LARGEST_SIDE),
            keys['width'].count(most=LARGEST_SIDE), channels, low, high),
        source.name, section.where, crop,
        keys['changes_within'].positive() if 'changes_within' in keys else 0.0)


def _read_crop(section: Section, whole: PictureFormat) -> tuple[int, int, int, int]:
    """Read a part of a picture."""
    items = section.items()
    if len(items) != 4:
        raise section.error(
            f'found {len(items)} numbers, expected four: left, top, width and height in pixels')
    left, top = (item.index() for item in items[:2])
    width, height = (item.count() for item in items[2:])
    if left + width > whole.width or top + height > whole.height:
        raise section.error(
            f'found a part that ends at {left + width}, {top + height}, expected one within the '
            f"source's {whole.width} x {whole.height} pixels")
    return left, top, width, height


def _read_range(section: Section) -> tuple[float, float]:
    """Read the nearest and the farthest depth."""
    items = section.items()
    if len(items) != 2:
        raise section.error(
            f'found {len(items)} numbers, expected the nearest and the farthest depth in m')
    low, high = (item.number() for item in items)
    if not 0 <= low < high <= LARGEST_DEPTH:
        raise section.error(
            f'found {low:g} to {high:g} m, expected a range upwards from 0 on, and at most '
            f'{LARGEST_DEPTH:g} m')
    return low, high
