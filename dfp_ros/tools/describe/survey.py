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
"""Survey of a robot: its topics, their publishers and subscribers, and a message of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PublishedTopic:
    """
    Published topic.

    :param topic: Its name, relative to the namespace if it is inside it.
    :param type: Message type.
    :param publishers: Full names of the nodes that publish it.
    :param is_reliable: Whether all of them offer reliable delivery.
    :param is_latched: Whether all of them are transient local (latched).
    :param count: Number of messages received.
    :param rate: Messages per second; None for fewer than two. Of a JointState, of its slowest
        joint.
    :param message: Newest message; None if none was received and readable.
    """

    topic: str
    type: str
    publishers: tuple[str, ...] = ()
    is_reliable: bool = True
    is_latched: bool = False
    count: int = 0
    rate: float | None = None
    message: Any = None


@dataclass(frozen=True)
class TakenTopic:
    """
    Topic with a subscriber that takes commands.

    :param topic: Its name, relative to the namespace if it is inside it.
    :param type: Message type.
    :param subscribers: Full names of the nodes that subscribe.
    :param publishers: Full names of the nodes that publish it now.
    :param joints: Joints of the controller, in order; empty if it does not state any.
    :param interface: Command interface, for example ``position``; empty if it is not stated.
    """

    topic: str
    type: str
    subscribers: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    interface: str = ''


@dataclass(frozen=True)
class Survey:
    """
    Everything found.

    :param published: Candidates for sources.
    :param taken: Candidates for command topics.
    :param left_out: Other topics, with the reason for leaving them out.
    :param urdf: The robot's URDF; empty if it is not published.
    :param seconds: Duration of the survey.
    :param namespace: The robot's namespace.
    :param outside: Full names of the topics outside it that could be sources or commands.
    """

    published: tuple[PublishedTopic, ...] = ()
    taken: tuple[TakenTopic, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    urdf: str = ''
    seconds: float = 0.0
    namespace: str = '/'
    outside: tuple[str, ...] = ()
