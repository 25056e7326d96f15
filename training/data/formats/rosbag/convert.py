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
Conversion of robot recordings (rosbag2, mcap or sqlite3) to transitions.

Episodes are delimited by marks (:mod:`dfp_ros.core.control.episode_marks`). The reward is -1 per
step, and 0 for the step that led to a success, which has no successor (no bootstrapping). A gap
splits an episode; it is never filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from dfp_ros.core.control.decision_row import read_decision
from dfp_ros.core.control.episode_marks import TOPIC
from dfp_ros.core.description.field_path import path_fault
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.description.sources import RECEIVE
from dfp_ros.core.files.digest import sha256
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.observation.sample_reader import SampleReader
from dfp_ros.core.observation.tf_reader import TfReader
from dfp_ros.core.pictures.picture_reader import PictureReader
from dfp_ros.core.text.printable import listed
from dfp_ros.tools.replay.picture_spill import PictureSpill
from training.common.error_line import INDENT
from training.data.formats.rosbag.actions import ActionLayout, CommandError, read_command
from training.data.formats.rosbag.bag import Bag
from training.data.formats.rosbag.clocks import StampClocks
from training.data.formats.rosbag.columns import interventions, join_pictures, join_pieces
from training.data.formats.rosbag.command_rates import CommandRates
from training.data.formats.rosbag.decision_steps import decision_steps
from training.data.formats.rosbag.episodes import cut, Piece
from training.data.formats.rosbag.grid_steps import grid_steps, NO_COMMAND
from training.data.formats.rosbag.policy_messages import anchored_policy, robot_of
from training.data.formats.rosbag.report import OTHER_OBSERVATION, Report
from training.data.formats.rosbag.steps import Event, Step
from training.data.transitions.transitions import DataError, observation_fields, Transitions

Reader: TypeAlias = Callable[[Any, int], Sample | None]
ARRAY, STRING = 'std_msgs/msg/Float64MultiArray', 'std_msgs/msg/String'


@dataclass(frozen=True)
class Options:
    """
    Options of the conversion.

    :param period: Control period in s.
    :param layout: What the numbers of an action mean.
    :param action: What was sent, or what the policy answered before any limit.
    :param ticks: Steps of the node, or of a grid; ``auto`` takes the node's where they are there.
    :param unended: What happens to episodes without an end mark: they are dropped, or kept as
        not solved. Where they are kept, a recording without any mark is one such episode.
    :param namespace: Namespace of the recorded topics.
    :param decisions: Topic of the decisions.
    :param marks: Topic of the marks.
    :param beside: A file in whose folder pictures are that do not fit into memory.
    """

    period: float
    layout: ActionLayout
    action: Literal['sent', 'raw'] = 'sent'
    ticks: Literal['auto', 'decisions', 'grid'] = 'auto'
    unended: Literal['drop', 'keep'] = 'drop'
    namespace: str = ''
    decisions: str = 'dfp_policy/decision'
    marks: str = TOPIC
    beside: Path = Path('data.npz')


def convert(
        paths: Iterable[Path], robot: RobotDescription, options: Options,
) -> tuple[Transitions, Report]:
    """
    Convert recordings.

    An unusable recording is left out, and the report names it with the reason.

    :param paths: Bags.
    :param robot: Description of the robot.
    :param options: Options of the conversion.
    :raises DataError: If no bag is usable, one is given twice, or they contain no usable step.
    """
    report = Report()
    pieces: list[Piece] = []
    sources: list[dict[str, Any]] = []
    # The recording that each file is of, by hash: a file may be given beside its folder.
    known: dict[str, str] = {}
    for path in paths:
        try:
            found, digest, files, reported = _read(path, robot, options)
        except DataError as error:
            report.refused.append(str(error))
            continue
        for file in files:
            if file in known:
                raise DataError(
                    f'{path}: found the same recording as {known[file]}; give it once')
        known.update(dict.fromkeys(files, path.name))
        pieces += found
        report.add(reported)
        sources.append({'bag': path.name, 'sha256': digest})
    if not sources:
        raise DataError(INDENT.join(report.refused))
    if not pieces:
        raise DataError(
            f'{", ".join(source["bag"] for source in sources)}: found no usable step'
            + ''.join(f'\n  {line}' for line in report.lines())
            + ('' if report.counts['episodes marked'] or options.unended == 'keep' else
               '\n  no episode is marked; --unended keep takes the whole recording as one')
            + ''.join(f'\nleft out: {reason}' for reason in report.refused))
    return _assemble(pieces, robot, options, sources, report), report


def _read(
        path: Path, robot: RobotDescription, options: Options,
) -> tuple[list[Piece], str, list[str], Report]:
    """Read one bag: pieces of its episodes, its hash, those of its files, and its report."""
    report, clocks = Report(), StampClocks(robot.sources.values())
    rates = CommandRates()
    # Hashes of the robot descriptions that the decisions were made with.
    robots: set[str] = set()
    marks = _resolve(options, options.marks)
    with Bag(path) as bag:
        if bag.count(marks):
            bag.require(marks, STRING, 'the option --marks')
        marked = options.unended == 'drop' or bool(bag.count(marks))
        pieces = list(cut(
            _steps(bag, robot, options, clocks, rates, robots), marked, options.unended, report))
        if bag.lost:
            report.counts['bytes lost at a cut end'] += bag.lost
        report.notes += bag.notes
        if any(problem.startswith('source ') for problem in report.problems):
            report.notes += clocks.notes()
        if robot.sha256 and robots - {'', robot.sha256}:
            report.notes.append(
                f'{bag.path}: its decisions were made with another robot description (sha256 '
                f'{listed(sorted(known[:12] for known in robots if known))}) than the one given '
                f'({robot.sha256[:12]}); if joints have another order there, or a command another '
                'meaning, the actions are wrong: give that one, or use --ticks grid')
        if report.counts[OTHER_OBSERVATION]:
            report.notes.append(
                f'{bag.path}: observations differ from those that the node logged, as they do '
                'with another robot description than that of the recording')
        if report.problems[NO_COMMAND]:
            report.notes += rates.notes(options.period)
        files = [sha256(file) for file in bag.files]
        return pieces, files[0] if len(files) == 1 else sha256(*bag.files), files, report


def _resolve(options: Options, topic: str) -> str:
    """Resolve a topic name in the namespace."""
    if topic.startswith('/'):
        return topic
    return '/' + '/'.join(part for part in (options.namespace.strip('/'), topic) if part)


def _steps(
        bag: Bag, robot: RobotDescription, options: Options, clocks: StampClocks,
        rates: CommandRates, robots: set[str]) -> Iterator[Step]:
    """Choose the kind of control steps, and iterate over them."""
    decisions = _resolve(options, options.decisions)
    if options.ticks == 'grid' and options.action == 'raw':
        raise DataError(
            f'{bag.path}: found --ticks grid with --action raw, which only decisions contain; use '
            '--action sent, or --ticks decisions')
    decided = options.ticks == 'decisions' or (options.ticks == 'auto' and bag.count(decisions))
    if decided:
        bag.require(decisions, ARRAY, 'the option --decisions')
        if not bag.count(decisions):
            raise DataError(
                f'{bag.path}: found no message on {decisions}, which --ticks decisions needs; use '
                '--ticks grid, or record with publish_decisions:=true on the policy node')
    elif options.action == 'raw':
        raise DataError(
            f'{bag.path}: found no decision on {decisions}, which --action raw needs; use '
            '--action sent, or record with publish_decisions:=true on the policy node')
    events = rates.watch(clocks.watch(_events(bag, robot, options, bool(decided), robots)))
    period = round(options.period * 1e9)
    if decided:
        return decision_steps(events, robot, options.layout, period, options.action == 'raw')
    return grid_steps(events, robot, options.layout, period)


def _events(
        bag: Bag, robot: RobotDescription, options: Options, decided: bool,
        robots: set[str]) -> Iterator[Event]:
    """Iterate over the relevant messages, decoded as by the node."""
    types: dict[str, str] = {}
    # The reader of a source is chosen at its first message, which shows whether it has a header.
    sources: dict[str, list[tuple[str, Reader | None]]] = {}
    spill = PictureSpill()
    for source in robot.sources.values():
        topic = _resolve(options, source.topic)
        bag.require(topic, source.type, source.where)
        types[topic] = source.type
        if source.picture is not None:
            pictures = PictureReader(
                source, robot.images_of(source.name), source.time != RECEIVE)
            sources.setdefault(topic, []).append((
                source.name, partial(_read_picture, pictures, spill)))
            continue
        if not source.child:
            sources.setdefault(topic, []).append((source.name, None))
            continue
        reader = TfReader(
            source.parent, source.child, robot.readings(source.name), source.time != RECEIVE,
            source.max_age * 1e9)
        sources.setdefault(topic, []).append((source.name, reader.read))
        static = _resolve(options, source.static_topic)
        if bag.count(static):
            types[static] = source.type
            sources.setdefault(static, []).append(
                (source.name, partial(reader.read, is_static=True)))
    commands = {}
    for command in () if decided else robot.commands:
        topic = _resolve(options, command.topic)
        if command.action:
            raise DataError(
                f'{command.where}: its commands are goals of an action, which no recording has; '
                'record ~/decision (publish_decisions: true)')
        bag.require(topic, command.type, command.where)
        types[topic] = command.type
        commands[topic] = command
    decisions, marks = _resolve(options, options.decisions), _resolve(options, options.marks)
    # What each policy is; the last word of its topic is that of the node's.
    status = decisions.removesuffix('decision') + 'policy'
    types |= {marks: STRING} | ({decisions: ARRAY} if decided else {})
    if decided and bag.count(status):
        bag.require(status, STRING, 'the option --decisions')
        types[status] = STRING
    for topic, time, message in bag.messages(types):
        if topic in sources:
            for i, (name, read) in enumerate(sources[topic]):
                if read is None:
                    stamped = hasattr(message, 'header') and robot.sources[name].time != RECEIVE
                    read = SampleReader(
                        robot.readings(name), stamped, bool(robot.sources[name].frame_id),
                        robot.sources[name].is_latched).read
                    sources[topic][i] = name, read
                try:
                    sample = read(message, time)
                except AttributeError as error:
                    raise DataError(f'{bag.path}: {topic}: ' + next(
                        (f'{reading.where}: {fault}' for reading in robot.readings(name)
                         if (fault := path_fault(message, reading.leaves))),
                        f'{robot.sources[name].where}: {error}')) from error
                if sample is not None:
                    yield Event('sample', name, time, sample)
        elif topic in commands:
            try:
                content: Any = read_command(commands[topic], message)
            except CommandError as error:
                content = str(error)
            yield Event('command', commands[topic].name, time, content)
        elif topic == marks:
            yield Event('mark', '', time, message.data)
        elif topic == status:
            robots.add(robot_of(message.data))
            if (number := anchored_policy(message.data)) is not None:
                yield Event('anchored', '', time, number)
        else:
            parts = [(part.label, part.size) for part in message.layout.dim]
            try:
                yield Event('decision', '', time, read_decision(parts, message.data))
            except ValueError as error:
                raise DataError(f'{bag.path}: {topic}: {error}') from error


def _read_picture(
        reader: PictureReader, spill: PictureSpill, message: Any, received: int) -> Sample:
    """Read the pictures of a message, and leave them in a file."""
    return spill.keep(reader.read(message, received))


def _assemble(
        pieces: list[Piece], robot: RobotDescription, options: Options,
        sources: list[dict[str, Any]], report: Report) -> Transitions:
    """Concatenate the pieces to transitions."""
    columns, clipped = join_pieces(pieces)
    size = len(columns['rewards'])
    report.counts['actions clipped to their bounds'] += clipped
    report.counts['transitions'] = size
    layout = [(entry.name, entry.size, entry.unit) for entry in robot.observation]
    by_person = interventions(pieces)
    report.counts['transitions commanded by a person'] += (
        0 if by_person is None else int(by_person.sum()))
    images, frame = join_pictures(
        pieces, [image.field for image in robot.images], options.beside)
    return Transitions(
        interventions=by_person, images=images, frame=frame,
        **columns, observation_fields=observation_fields(layout, columns['observations']),
        action_fields=options.layout.fields_of(columns['actions']), period=options.period,
        source={
            'bags': sources, 'robot': robot.name, 'action': options.action,
            'unended': options.unended, 'steps': size, 'episodes': len(pieces),
            'solved_steps': sum(piece.success for piece in pieces), 'counts': dict(report.counts),
            'dropped': dict(report.problems), 'left_out': list(report.refused)},
    ).check(', '.join(source['bag'] for source in sources))
