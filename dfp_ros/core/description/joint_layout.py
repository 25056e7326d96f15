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
"""Joint layout of a source: the joints and message fields that are read."""

from __future__ import annotations

from collections.abc import Iterable

from dfp_ros.core.description.field_selector import FieldSelector

# Combinations of missing slots whose descriptions are cached.
_REMEMBERED = 64


class JointLayout:
    """
    The joints that are read from one source.

    A slot is one number of one joint, such as the velocity of ``elbow``. Each has its own time: an
    arm and its gripper may publish their joints on one topic.

    :param names: Message field with the names of the joints.
    :param slots: Message field and joint of each number that is read.

    :ivar names: Message field with the names of the joints.
    :ivar slots: Message field and joint of each number that is read.
    :ivar paths: Message fields that are read.
    :ivar joints: Joints that are read.
    :ivar index: Index of each slot.
    :ivar of_slot: Indices of each slot's message field and joint.
    """

    def __init__(self, names: str, slots: Iterable[tuple[str, str]]) -> None:
        """Lay out the slots."""
        self.names = names
        self.slots = tuple(dict.fromkeys(slots))
        self.paths = tuple(dict.fromkeys(path for path, _ in self.slots))
        self.joints = tuple(dict.fromkeys(joint for _, joint in self.slots))
        self.index = {slot: i for i, slot in enumerate(self.slots)}
        self._missing: dict[tuple[int, ...], tuple[str, ...]] = {}
        self.of_slot = tuple(
            (self.paths.index(path), self.joints.index(joint)) for path, joint in self.slots)

    def missing(self, slots: tuple[int, ...]) -> tuple[str, ...]:
        """
        Name missing slots: the joint if all of its slots are missing, else its message fields.

        :param slots: For each slot, -1 if it is missing.
        """
        if min(slots) >= 0:
            return ()
        if slots not in self._missing:
            if len(self._missing) >= _REMEMBERED:
                self._missing.clear()
            self._missing[slots] = self._describe({i for i, slot in enumerate(slots) if slot < 0})
        return self._missing[slots]

    def _describe(self, asked: set[int]) -> tuple[str, ...]:
        """Name slots."""
        found: list[str] = []
        for joint in self.joints:
            mine = [i for i, (_, name) in enumerate(self.slots) if name == joint]
            if asked.issuperset(mine):
                found.append(joint)
            else:
                found += [f'{self.slots[i][0]} of {joint}' for i in mine if i in asked]
        return tuple(found)


def joint_layout(readings: Iterable[FieldSelector]) -> JointLayout | None:
    """
    Collect the joints that are read from a source.

    :param readings: All field selectors of the source.
    :return: None if there are none, or if only whole messages are consistent: a message field is
        also read in another way than by joints, or names are in several fields.
    """
    readings = tuple(readings)
    by_joint = [reading for reading in readings if reading.joints]
    names = {reading.names for reading in by_joint}
    paths = {reading.path for reading in by_joint}
    others = {leaf for reading in readings if not reading.joints for leaf in reading.leaves}
    if len(names) != 1 or others & (names | paths) or names & paths:
        return None
    return JointLayout(names.pop(), (
        (reading.path, joint) for reading in by_joint for joint in reading.joints))
