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
"""Poses of one frame in another, out of the transforms that a robot publishes (REP-105)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
import math
from types import SimpleNamespace
from typing import Any, NamedTuple

from dfp_ros.core.description.field_selector import FieldSelector
from dfp_ros.core.frames import Point, point_in_frame, rotation_in_frame
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.rotations import Quaternion

# As tf2 has it: transforms whose rotation is none are left out.
_LENGTH_TOLERANCE = 1e-2
# Frames that are remembered, and links from one to the top of its tree; robots have fewer by far.
_FRAMES, _LINKS = 10_000, 250
_ORIGIN, _UPRIGHT = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)


class _Link(NamedTuple):
    """Where a frame is in the one above it, and since when; no time for one that never moves."""

    above: str
    position: Point
    rotation: Quaternion
    time: Any


class TfReader:
    """
    Puts the links between two frames together, to samples like those of a TransformStamped.

    Of each link the newest transform counts; nothing is interpolated. A sample is as old as the
    oldest link of its chain that moves; where none does, it is valid until a link is replaced.

    :param parent: The frame that poses are given in.
    :param child: The frame whose pose is meant.
    :param readings: Everything that is read of it.
    :param stamped: Whether stamps count.
    """

    def __init__(
            self, parent: str, child: str, readings: Iterable[FieldSelector],
            stamped: bool) -> None:
        """Start without a link."""
        self._parent, self._child = parent, child
        self._reader = SampleReader(readings, stamped)
        self._links: dict[str, _Link] = {}
        self._chain: set[str] = set()

    def read(self, message: Any, received: int, is_static: bool = False) -> Sample | None:
        """
        Take in the transforms of a message.

        :param message: A tf2_msgs/TFMessage.
        :param received: When it arrived, in ns.
        :param is_static: Whether its transforms are for ever.
        :return: A new sample; None where the message has no link of the chain, or one is missing.
        """
        is_new = not self._chain
        for transform in message.transforms:
            link = _link(transform, is_static)
            if link is not None:
                frame = transform.child_frame_id.lstrip('/')
                if frame in self._links or len(self._links) < _FRAMES:
                    self._links[frame] = link
                is_new = is_new or frame in self._chain
        return self._sample(received) if is_new else None

    def _sample(self, received: int) -> Sample | None:
        """Go from both frames up to the first one that they have in common."""
        child, parent = self._way_up(self._child), self._way_up(self._parent)
        common = next((frame for frame in child if frame in parent), None)
        if common is None:
            return None
        child, parent = child[:child.index(common)], parent[:parent.index(common)]
        self._chain = {*child, *parent}
        position, rotation = self._pose(child)
        origin, frame = self._pose(parent)
        links = [self._links[each] for each in self._chain]
        times = [link.time for link in links if link.time is not None]
        oldest = min(times, key=lambda time: (time.sec, time.nanosec), default=None)
        x, y, z = point_in_frame(position, origin, frame)
        w, i, j, k = rotation_in_frame(rotation, frame)
        sample = self._reader.read(SimpleNamespace(
            header=None if oldest is None else SimpleNamespace(stamp=oldest),
            transform=SimpleNamespace(
                translation=SimpleNamespace(x=x, y=y, z=z),
                rotation=SimpleNamespace(w=w, x=i, y=j, z=k))), received)
        return sample if times else replace(sample, lasts=True)

    def _way_up(self, frame: str) -> list[str]:
        """List a frame and all above it."""
        way: list[str] = []
        while frame not in way and len(way) < _LINKS:
            way.append(frame)
            if frame in self._links:
                frame = self._links[frame].above
        return way

    def _pose(self, way: Iterable[str]) -> tuple[Point, Quaternion]:
        """Compute the pose of a frame in the one above the last of its way up."""
        position: Point = _ORIGIN
        rotation: Quaternion = _UPRIGHT
        for frame in way:
            link = self._links[frame]
            w, x, y, z = link.rotation
            back = w, -x, -y, -z
            a, b, c = point_in_frame(position, _ORIGIN, back)
            position = a + link.position[0], b + link.position[1], c + link.position[2]
            rotation = rotation_in_frame(rotation, back)
        return position, rotation


def _link(transform: Any, is_static: bool) -> _Link | None:
    """Take a transform apart; None where its numbers are none."""
    at, turn = transform.transform.translation, transform.transform.rotation
    position, rotation = (at.x, at.y, at.z), (turn.w, turn.x, turn.y, turn.z)
    if not all(map(math.isfinite, (*position, *rotation))) or abs(
            math.hypot(*rotation) - 1) > _LENGTH_TOLERANCE:
        return None
    return _Link(
        transform.header.frame_id.lstrip('/'), position, rotation,
        None if is_static else transform.header.stamp)
