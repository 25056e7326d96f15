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
"""Joints of a message: their indices by name, and messages that are ambiguous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import Any

from dfp_ros.core.description.joint_layout import JointLayout
from dfp_ros.core.observation.sample import Joints, Part, Sample
from dfp_ros.core.text.printable import FEW, listed, printable

# Cached orders of names, one for each publisher, and the longest list of names that is cached.
_ORDERS, _LONG = 8, 256


@dataclass(frozen=True)
class _Order:
    """
    Positions of the joints in a list of names.

    :param names: The list.
    :param indices: Index of each joint, -1 if it is missing.
    :param is_whole: Whether all joints are present.
    :param twice: Joints that are named more than once.
    :param heard: The first names of the list, for messages.
    """

    names: list[str]
    indices: tuple[int, ...]
    is_whole: bool
    twice: tuple[str, ...]
    heard: tuple[str, ...]


class JointReader:
    """
    Extracts the joints of messages.

    :param layout: The joints and fields that are read.
    """

    def __init__(self, layout: JointLayout) -> None:
        """Start without a message."""
        self._layout = layout
        self._index = {joint: i for i, joint in enumerate(layout.joints)}
        self._orders: list[_Order] = []
        self._usual: list[str] | None = None

    def read(self, sample: Sample) -> Sample:
        """
        Extract the joints of a message.

        :param sample: The message as received.
        :return: The same if it has all joints. Otherwise a sample with the slots that it has; of
            an ambiguous message, with the problem.
        """
        values, layout = sample.values, self._layout
        names = values[layout.names]
        if self._usual is not None and names == self._usual:
            # Most messages have the same names as the last one, and all joints.
            count = len(names)
            for path in layout.paths:
                if values[path] is None or len(values[path]) != count:
                    break
            else:
                return sample
        names = [] if names is None else names
        order = self._find(names)
        count = len(names)
        lengths = [0 if values[path] is None else len(values[path]) for path in layout.paths]
        if order.is_whole and not order.twice and count <= _LONG and all(
                length == count for length in lengths):
            self._usual = order.names
            return sample
        return self._sort_out(sample, order, count, lengths)

    def _find(self, names: Sequence[str]) -> _Order:
        """Find the joints in a list of names, cached, as lists repeat."""
        for order in self._orders:
            if order.names == names:
                return order
        indices = [-1] * len(self._index)
        twice = []
        for i, name in enumerate(names):
            joint = self._index.get(name)
            if joint is not None:
                if indices[joint] >= 0:
                    twice.append(name)
                indices[joint] = i
        order = _Order(
            list(names) if len(names) <= _LONG else [], tuple(indices), min(indices) >= 0,
            tuple(dict.fromkeys(twice)), tuple(printable(name) for name in names[:FEW]))
        if len(names) <= _LONG:
            self._orders = [order, *self._orders[:_ORDERS - 1]]
        return order

    def _sort_out(
            self, sample: Sample, order: _Order, count: int, lengths: list[int]) -> Sample:
        """Extract the joints of a message that has others, lacks some, or is ambiguous."""
        layout = self._layout
        problem = self._problem(order, count, lengths)
        slots = tuple(
            0 if order.indices[joint] >= 0 and (problem or lengths[path]) else -1
            for path, joint in layout.of_slot)
        taken = {
            path: self._take(sample.values[path], order, bool(length) and not problem)
            for path, length in zip(layout.paths, lengths, strict=True)}
        values = {**sample.values, layout.names: list(layout.joints), **taken}
        if not problem and min(slots) >= 0:
            return replace(sample, values=values)
        joints = tuple(
            joint for joint, index in zip(layout.joints, order.indices, strict=True) if index >= 0)
        hint = listed(order.heard) + (f' and {count - FEW} more' if count > FEW else '')
        return replace(sample, values=values, problem=problem, joints=Joints(
            layout, (Part(sample.stamp, sample.received, joints),), slots, layout.missing(slots),
            order.heard, hint))

    def _problem(self, order: _Order, count: int, lengths: list[int]) -> str:
        """Describe an ambiguity of a message; an empty array counts as missing."""
        if order.twice:
            return f'a message names {listed(order.twice)} twice'
        for path, length in zip(self._layout.paths, lengths, strict=True):
            if length not in (0, count):
                return (
                    f'a message has {count} names and {length} numbers in {path}, expected as '
                    'many, or none')
        return ''

    @staticmethod
    def _take(array: Any, order: _Order, is_there: bool) -> list[float]:
        """Arrange the numbers of a message field in the order of the joints."""
        return [
            float(array[index]) if is_there and index >= 0 else math.nan
            for index in order.indices]
