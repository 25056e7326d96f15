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
"""The joints of a message that names them: which it has, and whether it can be read at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import Any

from dfp_ros.core.description.joint_layout import JointLayout
from dfp_ros.core.observation.sample import Joints, Part, Sample
from dfp_ros.core.text.printable import FEW, listed, printable

# Orders of names that are remembered, one for each publisher; those of longer messages are not.
_ORDERS, _LONG = 8, 256


@dataclass(frozen=True)
class _Order:
    """
    Where a list of names has the joints that are read.

    :param names: The list.
    :param places: Place of each joint, -1 where it is not there.
    :param is_whole: Whether all are there.
    :param twice: Joints that are there more than once.
    :param heard: The first names of the list, for people.
    """

    names: list[str]
    places: tuple[int, ...]
    is_whole: bool
    twice: tuple[str, ...]
    heard: tuple[str, ...]


class JointReader:
    """
    Sorts the joints of messages out.

    :param layout: What is read.
    """

    def __init__(self, layout: JointLayout) -> None:
        """Start without a message."""
        self._layout = layout
        self._places = {joint: i for i, joint in enumerate(layout.joints)}
        self._orders: list[_Order] = []
        self._usual: list[str] | None = None

    def read(self, sample: Sample) -> Sample:
        """
        See what a message has of the joints.

        :param sample: The message as it came.
        :return: The same where it has everything that is read. Otherwise what it has, with the
            slots that it has; of a message that is ambiguous, with the problem.
        """
        values, layout = sample.values, self._layout
        names = values[layout.names]
        if self._usual is not None and names == self._usual:
            # Most messages have the same names as the last one, and all that is read.
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
        """Find where a list of names has the joints; lists come again and again."""
        for order in self._orders:
            if order.names == names:
                return order
        places = [-1] * len(self._places)
        twice = []
        for i, name in enumerate(names):
            joint = self._places.get(name)
            if joint is not None:
                if places[joint] >= 0:
                    twice.append(name)
                places[joint] = i
        order = _Order(
            list(names) if len(names) <= _LONG else [], tuple(places), min(places) >= 0,
            tuple(dict.fromkeys(twice)), tuple(printable(name) for name in names[:FEW]))
        if len(names) <= _LONG:
            self._orders = [order, *self._orders[:_ORDERS - 1]]
        return order

    def _sort_out(
            self, sample: Sample, order: _Order, count: int, lengths: list[int]) -> Sample:
        """Take what is read out of a message that has more, or less, or what cannot be told."""
        layout = self._layout
        problem = self._problem(order, count, lengths)
        slots = tuple(
            0 if order.places[joint] >= 0 and (problem or lengths[path]) else -1
            for path, joint in layout.of_slot)
        taken = {
            path: self._take(sample.values[path], order, bool(length) and not problem)
            for path, length in zip(layout.paths, lengths, strict=True)}
        values = {**sample.values, layout.names: list(layout.joints), **taken}
        if not problem and min(slots) >= 0:
            return replace(sample, values=values)
        joints = tuple(
            joint for joint, place in zip(layout.joints, order.places, strict=True) if place >= 0)
        hint = listed(order.heard) + (f' and {count - FEW} more' if count > FEW else '')
        return replace(sample, values=values, problem=problem, joints=Joints(
            layout, (Part(sample.stamp, sample.received, joints),), slots, layout.missing(slots),
            order.heard, hint))

    def _problem(self, order: _Order, count: int, lengths: list[int]) -> str:
        """Say what cannot be told of a message; an array that is empty is not there."""
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
        """Put the numbers of a message field in the order of the joints."""
        return [
            float(array[place]) if is_there and place >= 0 else math.nan
            for place in order.places]
