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
"""Recorded decisions of a policy node, with their samples and settings."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dfp_ros.core.control.decision_row import COMMANDER, PLAN, read_decision
from dfp_ros.core.control.sample_fit import SampleFit
from dfp_ros.core.description.joint_layout import joint_layout
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import RECEIVE, Source
from dfp_ros.core.files.bounded_json import JsonError, read_json
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_index import JITTER, SampleIndex
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.observation.tf_reader import TfReader
from dfp_ros.core.pictures.picture_reader import PictureReader
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import listed, printable
from dfp_ros.tools.bags.reader import BagReader, RecordingError
from dfp_ros.tools.replay.picture_spill import PictureSpill
from dfp_ros.tools.replay.recorded_loop import check_loop, LoopError, MOST_LOOPS
from dfp_ros.tools.replay.replayer import RecordedStep

_ARRAY, _STRING = 'std_msgs/msg/Float64MultiArray', 'std_msgs/msg/String'
_DECISION = '/decision'
# Largest number of stop commands between decisions in a recording.
_MOST_STOPS = 1_000_000


@dataclass(frozen=True)
class Recording:
    """
    Recorded output of a policy node.

    :param node: Full name of the node.
    :param parts: Label and size of each part of a decision row.
    :param steps: Decisions in order, without their samples.
    :param loops: ``~/policy`` messages, decoded from JSON, by the number of their loop.
    """

    node: str
    parts: tuple[tuple[str, int], ...]
    steps: tuple[RecordedStep, ...]
    loops: Mapping[int, Mapping[str, Any]]

    @property
    def has_joints(self) -> bool:
        """Whether it records the message that each joint was taken from."""
        return any(label.startswith('joint_sample/') for label, _ in self.parts)

    @property
    def has_commander(self) -> bool:
        """Whether it records who commands."""
        return any(label == COMMANDER for label, _ in self.parts)

    @property
    def has_plan(self) -> bool:
        """Whether inference ran beside the loop."""
        return any(label == PLAN[0][0] for label, _ in self.parts)

    @property
    def has_person(self) -> bool:
        """Whether a person could take over."""
        return any(label.startswith('person/') for label, _ in self.parts)

    @property
    def namespace(self) -> str:
        """Namespace of the node, ending in a slash."""
        return self.node.rpartition('/')[0] + '/'


class RecordedBag:
    """
    Recording opened for replay; a context manager.

    :param path: A rosbag2 folder, or one of its files.
    :raises RecordingError: If it cannot be opened.

    :ivar lost: Bytes at the end of a truncated file that could not be read.
    :ivar notes: Warnings about the recording.
    """

    def __init__(self, path: Path) -> None:
        """Open the recording."""
        self._path = path
        self._reader = BagReader(path)
        self.notes = self._reader.notes
        self.lost = self._reader.lost
        self._types = self._reader.types

    def __enter__(self) -> RecordedBag:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.__exit__()

    def read(self, node: str = '') -> Recording:
        """
        Read the output of a node.

        :param node: Name of the node; may be empty if only one was recorded.
        :raises RecordingError: If it is not in the recording.
        """
        topic = self._find_decisions(node)
        steps: list[RecordedStep] = []
        loops: dict[int, Mapping[str, Any]] = {}
        parts: tuple[tuple[str, int], ...] = ()
        stops = 0
        status = f'{topic[:-len(_DECISION)]}/policy'
        for name, _, message in self._reader.messages({topic: _ARRAY, status: _STRING}):
            if name == status:
                content = self._read_status(status, message.data)
                if 'loop' in content:
                    loops[content['loop']] = content
                if len(loops) > MOST_LOOPS:
                    raise RecordingError(
                        f'{self._path}: {status}: found more than {MOST_LOOPS} loops')
                continue
            found = tuple((part.label, part.size) for part in message.layout.dim)
            parts = parts or found
            if found != parts:
                raise RecordingError(
                    f'{self._path}: {topic}: found two layouts of decisions: the node was '
                    'restarted with another robot; record each robot into its own bag')
            row = np.asarray(message.data, np.float64)
            try:
                steps.append(RecordedStep(read_decision(parts, row), row, {}))
            except ValueError as error:
                raise RecordingError(f'{self._path}: {topic}: {error}') from error
            entry = steps[-1].decision.entry
            stops += 0 if entry is None else entry.stop_commands
            if stops > _MOST_STOPS:
                raise RecordingError(
                    f'{self._path}: {topic}: found more than {_MOST_STOPS} stop commands between '
                    'decisions')
        if not steps:
            raise RecordingError(
                f'{self._path}: {topic} has no message; run the node with '
                'publish_decisions:=true')
        return Recording(topic[:-len(_DECISION)], parts, tuple(steps), loops)

    def _read_status(self, topic: str, text: str) -> Mapping[str, Any]:
        """Parse a ``~/policy`` message."""
        try:
            # Continuous joints of a URDF have infinite limits.
            content = read_json(text, infinite=True)
        except JsonError as error:
            raise RecordingError(f'{self._path}: {topic}: {error}') from error
        if not isinstance(content, dict) or type(content.get('loop', 0)) is not int:
            raise RecordingError(
                f'{self._path}: {topic}: found {printable(repr(content))}, expected an object '
                'with a whole number as its loop')
        if 'loop' in content:
            try:
                check_loop(content)
            except LoopError as error:
                raise RecordingError(f'{self._path}: {topic}: {error}') from error
        return content

    def with_samples(
            self, recording: Recording, robot: RobotDescription) -> tuple[RecordedStep, ...]:
        """
        Attach to each decision the samples that it was made from.

        :raises RecordingError: If a source's topic is missing or has another type.
        """
        found = {
            source.name: self._find_samples(recording, source, robot)
            for source in robot.every_source.values()
            # A person need not have been there.
            if source.name in robot.sources or self._types.get(_topic(recording, source))}
        fit = {name: SampleFit(robot, name) for name in found}
        steps = []
        for step in recording.steps:
            decision, samples, missing, doubtful = step.decision, {}, [], []
            for name in decision.samples:
                times = decision.times(name)
                assert times is not None
                sample = found[name].find(
                    times, decision.stamp, fit[name].of(decision)) if name in found else None
                if sample is None:
                    missing.append(name)
                else:
                    samples[name] = sample
                    doubtful += [name] if found[name].is_doubtful else []
            steps.append(replace(
                step, samples=samples, missing=tuple(missing), doubtful=tuple(doubtful)))
        return tuple(steps)

    def _find_decisions(self, node: str) -> str:
        """Find the decision topic."""
        there = sorted(
            topic for topic, kind in self._types.items()
            if topic.endswith(_DECISION) and _ARRAY in kind)
        if node:
            topic = f'/{node.strip("/")}{_DECISION}'
            if topic not in there:
                raise RecordingError(
                    f'{self._path}: the topic {topic} is missing; {nearest(topic, self._types)}')
            return topic
        if len(there) != 1:
            raise RecordingError(
                f'{self._path}: found {", ".join(there) or "no topic that ends in " + _DECISION}'
                ', expected exactly one such topic; '
                + ('name the node with --node' if there else
                   'run the node with publish_decisions:=true'))
        return there[0]

    def _find_samples(
            self, recording: Recording, source: Source,
            robot: RobotDescription) -> SampleIndex:
        """Find the samples of one source that decisions used."""
        topic = _topic(recording, source)
        kinds = self._types.get(topic, set())
        if source.type not in kinds:
            raise RecordingError(
                f'{self._path}: {topic}: found {listed(sorted(kinds)) or "no such topic"}, '
                f'expected {source.type}, as {source.where} says')
        wanted = sorted({
            time for step in recording.steps
            if (times := step.decision.times(source.name)) is not None
            for time in (times.time, *(each for each, _ in times.joints))})
        static = recording.namespace + source.static_topic if (
            source.child and not source.topic.startswith('/')) else source.static_topic
        # A robot that waits for answers is taken at its word, as the node does.
        is_lockstep = any(step.decision.lockstep for step in recording.steps)
        read: Any = None if not source.child else TfReader(
            source.parent, source.child, robot.readings(source.name), source.time != RECEIVE,
            0.0 if is_lockstep else source.max_age * 1e9).read
        found = SampleIndex(joint_layout(robot.readings(source.name)))
        if source.picture is not None:
            pictures, spill = PictureReader(
                source, robot.images_of(source.name), source.time != RECEIVE), PictureSpill()
            for _, received, message in self._reader.messages({topic: source.type}):
                head = pictures.head(message, received)
                # Only those that a decision used are decoded.
                if head.lasts or _is_wanted(wanted, head):
                    found.add(spill.keep(pictures.read(message, received)))
            return found
        for each, received, message in self._reader.messages(
                {topic: source.type, static: source.type}):
            if read is None:
                # Only a message shows whether the type has a header.
                read = SampleReader(
                    robot.readings(source.name),
                    hasattr(message, 'header') and source.time != RECEIVE,
                    bool(source.frame_id), source.is_latched).read
            sample = (
                read(message, received, is_static=True) if each == static
                else read(message, received))
            if sample is not None and (sample.lasts or _is_wanted(wanted, sample)):
                found.add(sample)
        return found


def _topic(recording: Recording, source: Source) -> str:
    """Resolve the topic of a source in the namespace of the node."""
    return source.topic if source.topic.startswith('/') else recording.namespace + source.topic


def _is_wanted(wanted: list[int], sample: Sample) -> bool:
    """Tell whether a sample was used: by its stamp, or approximately by its reception time."""
    index = bisect_left(wanted, sample.time)
    off = JITTER if sample.stamp is None else 0
    return any(abs(time - sample.time) <= off for time in wanted[max(0, index - 1):index + 1])
