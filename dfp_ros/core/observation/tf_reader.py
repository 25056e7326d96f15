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
"""Pose of one frame in another, from the transforms of a robot (tf2, REP-105)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
import math
from types import SimpleNamespace
from typing import Any, NamedTuple

from dfp_ros.core.description.field_selector import FieldSelector
from dfp_ros.core.frames import Point, point_in_frame, rotation_in_frame
from dfp_ros.core.observation.sample import is_overtaken, Sample
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.rotations import Quaternion

# As in tf2, transforms whose quaternion is not a rotation are ignored.
_LENGTH_TOLERANCE = 1e-2
# Largest number of frames, and of links from a frame to its root; robots have far fewer.
_FRAMES, _LINKS = 10_000, 250
_ORIGIN, _UPRIGHT = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)


class _Link(NamedTuple):
    """Pose of a frame in its parent, its time and its arrival; no time for a static one."""

    above: str
    position: Point
    rotation: Quaternion
    time: Any
    received: int


class TfReader:
    """
    Composes the transforms between two frames to samples like those of a TransformStamped.

    Of each link the newest transform is used, without interpolation: one with an older stamp that
    arrives later, within the maximum age, replaces none. A sample is as old as the oldest dynamic
    link of its chain, by its stamp, or by its arrival if stamps are not used; without one, it is
    valid until a link is replaced, if only by one whose parent is not known yet. If the clock is
    set back, dynamic links are discarded, as a newer one would hide that another is not sent any
    more.

    :param parent: The reference frame of the pose.
    :param child: The frame whose pose is computed.
    :param readings: All field selectors of the source.
    :param stamped: Whether stamps are used.
    :param max_age: Maximum age in ns; 0 if the last transform to arrive is the newest.
    """

    def __init__(
            self, parent: str, child: str, readings: Iterable[FieldSelector],
            stamped: bool, max_age: float = 0.0) -> None:
        """Start without a link."""
        self._stamped, self._max_age = stamped, max_age if stamped else 0.0
        self._parent, self._child = parent, child
        self._reader = SampleReader(readings, stamped)
        self._links: dict[str, _Link] = {}
        self._chain: set[str] = set()
        # Whether the last sample is of static links, and so has no age.
        self._lasts = False
        self._received = 0

    def read(self, message: Any, received: int, is_static: bool = False) -> Sample | None:
        """
        Add the transforms of a message.

        :param message: A tf2_msgs/TFMessage.
        :param received: Arrival time in ns.
        :param is_static: Whether its transforms are static.
        :return: A new sample; None if the message has no link of the chain, or one is missing. If
            the chain was static, and is broken by this message, a sample with that problem.
        """
        if received < self._received:
            self._links = {
                frame: link for frame, link in self._links.items() if link.time is None}
        self._received = received
        is_new = not self._chain
        for transform in message.transforms:
            link = _link(transform, is_static, received)
            if link is not None:
                frame = transform.child_frame_id.lstrip('/')
                if frame in self._links and self._is_overtaken(
                        link, self._links[frame], received):
                    continue
                if frame in self._links or len(self._links) < _FRAMES:
                    self._links[frame] = link
                is_new = is_new or frame in self._chain
        return self._sample(received) if is_new else None

    def _is_overtaken(self, link: _Link, before: _Link, received: int) -> bool:
        """Tell whether a transform was replaced before it arrived."""
        return is_overtaken(
            _nanoseconds(link.time), received, _nanoseconds(before.time), self._max_age)

    def _sample(self, received: int) -> Sample | None:
        """Compose the pose by way of the first common ancestor of both frames."""
        child, parent = self._ancestry(self._child), self._ancestry(self._parent)
        common = next((frame for frame in child if frame in parent), None)
        if common is None:
            # Whichever link completes the next chain counts, and not those of the last one only.
            self._chain = set()
            return self._lose(received)
        child, parent = child[:child.index(common)], parent[:parent.index(common)]
        self._chain = {*child, *parent}
        position, rotation = self._pose(child)
        origin, frame = self._pose(parent)
        links = [self._links[each] for each in self._chain]
        moving = [link for link in links if link.time is not None]
        oldest = min(
            (link.time for link in moving), key=lambda time: (time.sec, time.nanosec),
            default=None)
        if moving and not self._stamped:
            # The last one to arrive would hide that another is not sent any more.
            received = min(link.received for link in moving)
        x, y, z = point_in_frame(position, origin, frame)
        w, i, j, k = rotation_in_frame(rotation, frame)
        sample = self._reader.read(SimpleNamespace(
            header=None if oldest is None else SimpleNamespace(stamp=oldest),
            transform=SimpleNamespace(
                translation=SimpleNamespace(x=x, y=y, z=z),
                rotation=SimpleNamespace(w=w, x=i, y=j, z=k))), received)
        self._lasts = not moving
        return replace(sample, lasts=self._lasts)

    def _lose(self, received: int) -> Sample | None:
        """Replace a pose that would be used for ever; one that has an age becomes stale."""
        lasted, self._lasts = self._lasts, False
        return Sample(None, received, {}, problem=(
            f'the frame {self._child!r} is not connected with {self._parent!r} any more'),
            lasts=True) if lasted else None

    def _ancestry(self, frame: str) -> list[str]:
        """List a frame and its ancestors."""
        chain: list[str] = []
        while frame not in chain and len(chain) < _LINKS:
            chain.append(frame)
            if frame in self._links:
                frame = self._links[frame].above
        return chain

    def _pose(self, chain: Iterable[str]) -> tuple[Point, Quaternion]:
        """Compute the pose of a frame in the one above the last of its chain."""
        position: Point = _ORIGIN
        rotation: Quaternion = _UPRIGHT
        for frame in chain:
            link = self._links[frame]
            w, x, y, z = link.rotation
            back = w, -x, -y, -z
            a, b, c = point_in_frame(position, _ORIGIN, back)
            position = a + link.position[0], b + link.position[1], c + link.position[2]
            rotation = rotation_in_frame(rotation, back)
        return position, rotation


def _nanoseconds(time: Any) -> int | None:
    """Return a stamp in ns; None for a static transform, which has none."""
    return None if time is None else time.sec * 1_000_000_000 + time.nanosec


def _link(transform: Any, is_static: bool, received: int) -> _Link | None:
    """Convert a transform to a link; None if its numbers are invalid."""
    at, turn = transform.transform.translation, transform.transform.rotation
    position, rotation = (at.x, at.y, at.z), (turn.w, turn.x, turn.y, turn.z)
    if not all(map(math.isfinite, (*position, *rotation))) or abs(
            math.hypot(*rotation) - 1) > _LENGTH_TOLERANCE:
        return None
    return _Link(
        transform.header.frame_id.lstrip('/'), position, rotation,
        None if is_static else transform.header.stamp, received)
