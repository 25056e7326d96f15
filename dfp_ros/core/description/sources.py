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
"""Sources of a robot description: the topics that observations are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
import math

from dfp_ros.core.description.picture_format import PictureFormat, read_picture_format
from dfp_ros.core.description.topic_name import read_topic
from dfp_ros.core.description.yaml_section import DescriptionError, Section

BOTH, HEADER, RECEIVE = 'both', 'header', 'receive'
TRANSIENT_LOCAL = 'transient_local'
NEWEST, BEFORE_TICK = 'newest', 'before_tick'
WHEN_STALE = ('warn', 'hold', 'ramp', 'deactivate')
#: Type of a source that is a transform between two frames, and type of its messages.
TF, TF_MESSAGE = 'tf', 'tf2_msgs/msg/TFMessage'
# Largest age in s that fits a clock in ns, with margin, and largest queue depth.
OLDEST, DEEPEST = 4e9, 10_000
OPTIONAL = ('qos', 'time', 'sampling', 'when_stale', 'frame_id', 'picture')


@dataclass(frozen=True)
class Reception:
    """
    Requested QoS of a source; the default matches sensor data.

    :param reliability: ``best_effort`` or ``reliable``, which a best-effort publisher never
        matches.
    :param durability: ``volatile`` or ``transient_local``, which also gets earlier messages.
    :param depth: Queue depth.
    """

    reliability: str = 'best_effort'
    durability: str = 'volatile'
    depth: int = 5


# A picture is large, and only the newest one counts.
_PICTURE_RECEPTION = Reception(depth=1)
# Transforms come from many publishers at once; the QoS of the listener of tf2.
_TF_RECEPTION = Reception('reliable', depth=100)
#: QoS of static transforms, which are published once.
STATIC_RECEPTION = Reception('reliable', 'transient_local', 100)


@dataclass(frozen=True)
class Source:
    """
    A topic that observations are made from.

    :param name: Its name in the description.
    :param topic: Topic name, relative unless it starts with a slash.
    :param type: Message type, for example ``sensor_msgs/msg/JointState``.
    :param max_age: Age in s above which the robot is stopped; infinite for a latched source
        whose value is valid until another one replaces it.
    :param where: File, line and key, for messages.
    :param qos: Requested QoS.
    :param time: Time that the age is computed from: :data:`HEADER` the stamp, :data:`RECEIVE` the
        arrival, :data:`BOTH` the older of the two.
    :param sampling: Message that a tick uses: the :data:`NEWEST`, or the newest that was measured
        :data:`BEFORE_TICK`.
    :param when_stale: Response above the maximum age, one of :data:`WHEN_STALE`.
    :param frame_id: Required frame in the header of its messages; empty for any.
    :param picture: Of cameras: the format of their pictures; None for any other source.
    :param parent: Of transforms: the reference frame of the poses; empty for any other type.
    :param child: Of transforms: the frame whose pose is read.
    """

    name: str
    topic: str
    type: str
    max_age: float
    where: str
    qos: Reception = Reception()
    time: str = BOTH
    sampling: str = NEWEST
    when_stale: str = 'hold'
    parent: str = ''
    child: str = ''
    frame_id: str = ''
    picture: PictureFormat | None = None

    @property
    def is_latched(self) -> bool:
        """Whether it gets earlier messages, each of which is valid until it is replaced."""
        return not self.child and self.qos.durability == TRANSIENT_LOCAL

    @property
    def frame(self) -> str:
        """Frame of its places, as far as the description says it; else empty."""
        return (self.parent or self.frame_id).lstrip('/')

    @property
    def static_topic(self) -> str:
        """Topic of static transforms; empty if none are needed."""
        return f'{self.topic}_static' if self.child else ''


def require_own_cameras(
        sources: Iterable[Source], full_name: Callable[[str], str] = str) -> None:
    """
    Require that each camera has a topic of its own: both would get every picture that comes there.

    :param sources: All sources.
    :param full_name: Resolves a topic.
    :raises DescriptionError: At the first of two cameras on one topic.
    """
    found: dict[str, Source] = {}
    for source in sources:
        if source.picture is None:
            continue
        name = full_name(source.topic)
        other = found.setdefault(name, source)
        if other is not source:
            remapped = f' is, as remapped, {name}' if name != source.topic else ''
            raise DescriptionError(
                f'{source.where}: its topic {source.topic}{remapped}, which the camera '
                f'{other.name!r} has, too: each would get all of its pictures, and none could '
                'tell whose they are; give it the topic of its own camera (several pictures of '
                f'one camera are entries of images with source: {other.name})')


def read_source(name: str, section: Section) -> Source:
    """
    Read one source.

    :param name: Its name in the description.
    :param section: Its keys.
    :raises DescriptionError: At the first error.
    """
    is_tf = 'type' in (found := section.entries()) and found['type'].text() == TF
    usual = _TF_RECEPTION if is_tf else (
        _PICTURE_RECEPTION if 'picture' in found else Reception())
    qos = _read_reception(found['qos'], usual) if 'qos' in found else usual
    # A latched message is published once, and valid until it is replaced, unless an age is given.
    lasts = not is_tf and qos.durability == TRANSIENT_LOCAL
    needed, optional = (
        (('type', 'parent', 'child', 'max_age'), ('topic', *OPTIONAL)) if is_tf
        else (('topic', 'type'), (*OPTIONAL, 'max_age')) if lasts
        else (('topic', 'type', 'max_age'), OPTIONAL))
    keys = section.mapping(needed, optional)
    source = Source(
        name, read_topic(keys['topic']) if 'topic' in keys else '/tf', keys['type'].text(),
        keys['max_age'].positive(OLDEST) if 'max_age' in keys else math.inf, section.where, qos,
        keys['time'].choice((BOTH, HEADER, RECEIVE)) if 'time' in keys else BOTH,
        keys['sampling'].choice((NEWEST, BEFORE_TICK)) if 'sampling' in keys else NEWEST,
        keys['when_stale'].choice(WHEN_STALE) if 'when_stale' in keys else 'hold')
    if 'picture' in keys:
        source = replace(source, picture=read_picture_format(keys['picture'], source.type))
        if source.sampling == BEFORE_TICK:
            raise keys['sampling'].error(
                'found this for a camera, of which only the newest picture is kept')
    if 'frame_id' in keys:
        if is_tf:
            raise keys['frame_id'].error('found this for transforms, which have parent and child')
        return replace(source, frame_id=keys['frame_id'].text())
    if not is_tf:
        return source
    parent, child = (keys[key].text().lstrip('/') for key in ('parent', 'child'))
    if parent == child:
        raise keys['child'].error(f'found {child!r} for both frames, expected two')
    return replace(source, type=TF_MESSAGE, parent=parent, child=child)


def _read_reception(section: Section, usual: Reception) -> Reception:
    """Read the requested QoS; keys that are missing have their defaults."""
    keys = section.mapping((), ('reliability', 'durability', 'depth'))
    return Reception(
        keys['reliability'].choice(('best_effort', 'reliable'))
        if 'reliability' in keys else usual.reliability,
        keys['durability'].choice(('volatile', TRANSIENT_LOCAL))
        if 'durability' in keys else usual.durability,
        keys['depth'].count(most=DEEPEST) if 'depth' in keys else usual.depth)
