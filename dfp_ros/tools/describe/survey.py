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
"""What is there of a robot: its topics, who publishes and takes them, and a message of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PublishedTopic:
    """
    A topic that somebody publishes.

    :param topic: Its name, relative to the namespace where it is in it.
    :param type: Message type.
    :param publishers: Full names of the nodes that publish it.
    :param is_reliable: Whether all of them offer to repeat what gets lost.
    :param is_latched: Whether all of them keep what they published for who comes later.
    :param count: Messages that came.
    :param rate: Messages a second; None for fewer than two.
    :param message: The newest message; None where none came or could be read.
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
    A topic that somebody takes commands from.

    :param topic: Its name, relative to the namespace where it is in it.
    :param type: Message type.
    :param subscribers: Full names of the nodes that listen.
    :param publishers: Full names of the nodes that publish it now.
    :param joints: Joints that a controller says it takes, in order; empty where it says none.
    :param interface: What it says they are, for example ``position``; empty where it does not.
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
    Everything that was found.

    :param published: Topics that observations may come from.
    :param taken: Topics that commands may go to.
    :param left_out: Other topics, and why they are left out.
    :param urdf: The robot's URDF; empty where nobody publishes it.
    :param seconds: How long was listened.
    """

    published: tuple[PublishedTopic, ...] = ()
    taken: tuple[TakenTopic, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    urdf: str = ''
    seconds: float = 0.0
