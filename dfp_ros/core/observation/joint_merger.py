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
"""
Merging of several messages of one source into a sample, joint by joint.

An arm and its gripper often publish their joints on one topic. For each joint the newest message
that has it is used, from any publisher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math

from dfp_ros.core.description.joint_layout import JointLayout
from dfp_ros.core.observation.sample import is_overtaken, Joints, Part, Sample
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import FEW


def assemble(
        layout: JointLayout, found: Sequence[Sample | None], newest: Sample, hint: str = '',
) -> Sample:
    """
    Assemble a sample.

    :param layout: The joints and fields that are read.
    :param found: The message that each slot is taken from, None if none had it yet.
    :param newest: The newest message, for the fields other than joints and for the publishers.
    :param hint: Description of the names that were received, for messages about missing joints.
    """
    used = list({id(sample): sample for sample in found if sample is not None}.values())
    # A message without any of the joints.
    is_other = newest.joints is not None and max(newest.joints.slots) < 0
    if len(used) == 1 and None not in found and used[0].joints is None and not is_other:
        return used[0]
    index = {id(sample): i for i, sample in enumerate(used)}
    slots = tuple(-1 if sample is None else index[id(sample)] for sample in found)
    numbers = {path: [math.nan] * len(layout.joints) for path in layout.paths}
    of_part: list[dict[str, None]] = [{} for _ in used]
    for (path, name), (_, joint), sample, part in zip(
            layout.slots, layout.of_slot, found, slots, strict=True):
        if sample is not None:
            names = sample.values[layout.names]
            numbers[path][joint] = (
                math.nan if sample.problem else float(sample.values[path][names.index(name)]))
            of_part[part][name] = None
    # The sample is as old as its oldest message.
    oldest = min(used, key=lambda sample: sample.time, default=newest)
    missing = layout.missing(slots)
    publishers = () if newest.joints is None else newest.joints.publishers
    return replace(
        newest, stamp=oldest.stamp,
        received=min((sample.received for sample in used), default=newest.received),
        values={**newest.values, layout.names: list(layout.joints), **numbers},
        problem=next((sample.problem for sample in used if sample.problem), ''),
        joints=Joints(
            layout,
            tuple(Part(sample.stamp, sample.received, tuple(names))
                  for sample, names in zip(used, of_part, strict=True)),
            slots, missing, () if newest.joints is None else newest.joints.heard,
            hint if missing else '', is_other, publishers, tuple(dict.fromkeys(
                name for sample in used if publishers and sample.joints is not None
                for name in sample.joints.publishers if name not in publishers))))


class JointMerger:
    """
    Stores the newest message of each joint.

    :param layout: The joints and fields that are read.
    :param max_age: Maximum age in ns within which a message with an older stamp replaces none with
        a newer one; 0 if the last to arrive is the newest.

    :ivar sample: All joints; None before the first message.
    """

    def __init__(self, layout: JointLayout, max_age: float = 0.0) -> None:
        """Start without a message."""
        self._layout, self._max_age = layout, max_age
        self.sample: Sample | None = None
        self._found: list[Sample | None] = [None] * len(layout.slots)
        # Names in messages, by their formatted lists.
        self._kinds: dict[str, tuple[str, ...]] = {}
        self._hint = ''

    def add(self, sample: Sample, in_order: bool = False) -> Sample:
        """
        Merge the joints of a message.

        :param sample: The message, as :class:`dfp_ros.core.observation.joint_reader.JointReader`
            has read it.
        :param in_order: Keep joints whose message has a newer time than this one, whatever their
            ages, as messages may arrive out of order.
        :return: All joints, each from the newest message that has it.
        """
        joints = sample.joints
        has_taken = is_late = False
        for i, before in enumerate(self._found):
            if joints is not None and joints.slots[i] < 0:
                continue
            if before is not None and self._is_overtaken(sample, before, in_order):
                is_late = True
            else:
                self._found[i], has_taken = sample, True
        if is_late and not has_taken and self.sample is not None:
            return self.sample
        if None in self._found and joints is not None and joints.hint not in self._kinds:
            self._note(joints)
        self.sample = assemble(self._layout, self._found, sample, self._hint)
        return self.sample

    def _is_overtaken(self, sample: Sample, before: Sample, in_order: bool) -> bool:
        """Tell whether a joint is kept from an earlier message."""
        if in_order:
            return sample.time < before.time
        return not sample.lasts and is_overtaken(
            sample.stamp, sample.received, before.stamp, self._max_age)

    def _note(self, joints: Joints) -> None:
        """Record the names in a message while some joints have never been received."""
        if len(self._kinds) >= FEW:
            return
        self._kinds[joints.hint] = joints.heard
        known = {name for heard in self._kinds.values() for name in heard}
        missing = next(
            joint for (_, joint), sample in zip(self._layout.slots, self._found, strict=True)
            if sample is None)
        near = nearest(missing, sorted(known - {*self._layout.joints}))
        shown = ' | '.join(each or 'no names' for each in self._kinds)
        self._hint = (
            f'seen so far, in {len(self._kinds)} kind(s) of messages: {shown}'
            + (f'; {near}' if near.startswith('did you mean') else ''))
