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
"""Sample of a source: the values and times of its newest message, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from dfp_ros.core.description.joint_layout import JointLayout


class ObservationError(ValueError):
    """No observation can be computed from the samples; the message names field and source."""


class NotReadyError(ObservationError):
    """A derivative or a history needs more ticks; the message names it."""


class NotFiniteError(ObservationError):
    """A number of the observation is NaN or infinite; the message names it."""


def is_overtaken(
        stamp: int | None, received: int, newest: int | None, max_age: float) -> bool:
    """
    Tell whether a message was measured before the newest one so far, but has arrived after it.

    A stamp that is older than the maximum age is no matter of order: it is a fault, which the
    freshness monitor reports. Neither is one after another that is ahead of the clock, or of it,
    by more than that, because a clock was set back. So a source whose stamps go back counts again
    after its maximum age at the latest.

    :param stamp: Header stamp of the message in ns; None or 0 for none.
    :param received: Its arrival time in ns.
    :param newest: Header stamp of the newest message in ns; None for none.
    :param max_age: Maximum age of the source in ns; 0 if its messages count in any order.
    """
    if not stamp or newest is None or stamp >= newest:
        return False
    return (
        received - stamp <= max_age and newest - received <= max_age
        and newest - stamp <= max_age)


@dataclass(frozen=True)
class Part:
    """
    One of the messages that a sample was merged from.

    :param stamp: Its header stamp in ns, None for a message without header.
    :param received: Arrival time in ns.
    :param joints: Joints that were taken from it.
    """

    stamp: int | None
    received: int
    joints: tuple[str, ...]

    @property
    def time(self) -> int:
        """When it was measured, as far as is known, in ns."""
        return self.received if self.stamp is None else self.stamp


@dataclass(frozen=True)
class Joints:
    """
    Origin of the joints of a sample.

    :param layout: The joints and fields that are read; a slot is a number of one joint.
    :param parts: The messages.
    :param slots: Index of the message that each slot is from; -1 if none had it yet.
    :param missing: Joints that were never received, for messages; empty if none is missing.
    :param heard: The first names in the message, escaped.
    :param hint: Description of the names that were received instead.
    :param is_other: Whether the newest message has none of the joints.
    :param publishers: Publishers of the topic when this was received, if known.
    :param gone: Publishers that have left since an older message that is still in use.
    """

    layout: JointLayout
    parts: tuple[Part, ...]
    slots: tuple[int, ...]
    missing: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    hint: str = ''
    is_other: bool = False
    publishers: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def is_mixed(self) -> bool:
        """Whether the messages have different times."""
        return any(part.time != self.parts[0].time for part in self.parts)

    def time(self, slot: int) -> int:
        """Return the measurement time of a slot that is not missing, in ns."""
        return self.parts[self.slots[slot]].time


@dataclass(frozen=True)
class Sample:
    """
    The newest message of a source, or the newest messages that have its joints, as plain data.

    :param stamp: Header stamp in ns, None for a message without header; of several messages, the
        oldest.
    :param received: Arrival time in ns on the node's clock; of several messages, the first.
    :param values: Message fields by path: numbers, arrays of numbers, lists of names.
    :param joints: Origin of each joint; None if all are from a single message.
    :param problem: Why the message cannot be read; empty if it can.
    :param lasts: Whether it is valid until another one replaces it, as on a latched topic.
    """

    stamp: int | None
    received: int
    values: Mapping[str, Any]
    joints: Joints | None = None
    problem: str = ''
    lasts: bool = False

    @property
    def time(self) -> int:
        """When it was measured, as far as is known, in ns."""
        return self.received if self.stamp is None else self.stamp

    @property
    def missing(self) -> tuple[str, ...]:
        """Joints that were never received; empty if it is complete."""
        return () if self.joints is None else self.joints.missing

    def arriving(self, received: int) -> Sample:
        """
        Replace the arrival time, in lockstep: time stands still between samples.

        :param received: The time in ns. A latched sample keeps its own, which may identify it.
        """
        if self.lasts:
            return self
        joints = self.joints
        if joints is not None:
            joints = replace(joints, parts=tuple(
                replace(part, received=received) for part in joints.parts))
        return replace(self, received=received, joints=joints)
