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
View of a running policy node, or of a recording.

``ros2 run dfp_ros view``: state, commander, times, reasons and commands, in this terminal.

``ros2 run dfp_ros view --rerun``: robot, actions, candidates and reasons, in the viewer of Rerun.

``ros2 run dfp_ros view --save monday.rrd``: the same into a file, until Ctrl-C, without a display.

``ros2 run dfp_ros view --bag bags/monday --save monday.rrd``: the same of a recorded bag.

It only listens, and runs at a low priority. The actions are complete if the policy node runs with
publish_decisions:=true; otherwise they are those of ~/statistics, ten times a second.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import contextlib
import os
from pathlib import Path
import sys
import time
from typing import Any

from dfp_ros.core.description.topic_name import is_topic_name
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.printable import printable
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.files import own_words
from dfp_ros.node.process.end_requests import collected_signals
from dfp_ros.node.process.parent import AUTO, explain_orphan, read_kin
from dfp_ros.tools.bags.reader import BagReader, RecordingError
from dfp_ros.tools.view.rerun_log import RerunLog, summarise
from dfp_ros.tools.view.rerun_stream import check_file, end_stream, open_stream, ViewError
from dfp_ros.tools.view.shown_topics import node_topics, robot_topics, Shown
from dfp_ros.tools.view.situation import Situation
from dfp_ros.tools.view.terminal import TerminalView, why_no_terminal

# Time between two transfers to Rerun, and between two looks at the parent process, in s.
_FLUSH, _LOOK = 0.2, 1.0
_NICE = 10
# Messages of a bag between two transfers.
_BATCH = 2_000


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line, without ROS arguments."""
    parser = argparse.ArgumentParser(
        prog='view', description=(__doc__ or '').strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='ROS arguments set the namespace and remap names: --ros-args -r __ns:=/left')
    add = parser.add_argument
    add('--node', default='dfp_policy', help='name of the policy node (default: dfp_policy)')
    add('--rerun', action='store_true', help='show it in the viewer of Rerun, which is started')
    add('--connect', default='', metavar='URL',
        help='show it in a viewer of Rerun that runs: rerun+http://HOST:9876/proxy')
    add('--save', type=user_path, metavar='FILE.rrd', help='write it to a recording of Rerun')
    add('--force', action='store_true', help='overwrite an existing --save')
    add('--bag', type=user_path, help='show this rosbag2 folder, or one of its files')
    words = sys.argv if arguments is None else ['view', *arguments]
    asked = parser.parse_args(own_words(words)[1:])
    if not is_topic_name(asked.node) or asked.node.startswith('~'):
        parser.error(
            f'--node: found {printable(asked.node)!r}, expected a name such as dfp_policy')
    if asked.save and asked.connect:
        parser.error('found --save and --connect, expected one of the two')
    asked.rerun = bool(asked.rerun or asked.save or asked.connect or asked.bag)
    return asked


def show_bag(bag: Path, node: str, log: RerunLog, is_ended: Callable[[], bool]) -> list[str]:
    """
    Show a recording.

    :param bag: A rosbag2 folder, or one of its files.
    :param node: Name of the policy node.
    :param is_ended: Whether it has to end.
    :return: Notes about the recording.
    :raises RecordingError: If it cannot be read.
    """
    with BagReader(bag) as reader:
        topics = {
            **robot_topics(reader.types), **node_topics(f'/{node.strip("/")}')}
        topics = {
            topic: shown for topic, shown in topics.items()
            if shown.type in reader.types.get(topic, ())}
        for count, (topic, received, message) in enumerate(reader.messages(
                {topic: shown.type for topic, shown in topics.items()})):
            log.take(topic, topics[topic], message, received)
            if count % _BATCH == 0:
                log.flush()
                if is_ended():
                    break
        log.flush()
        notes = list(reader.notes)
        if not any(shown in (Shown.DECISION, Shown.STATISTICS) for shown in topics.values()):
            notes.append(
                f'{bag}: has neither {node}/decision nor {node}/statistics; name the policy node '
                'with --node')
        return notes


def show_live(
        asked: argparse.Namespace, args: list[str] | None, is_ended: Callable[[], bool],
        stream: Any | None) -> RerunLog | None:
    """
    Show a running node until the end is asked for.

    :param stream: Stream of Rerun; None for the terminal.
    :return: What went to Rerun.
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from dfp_ros.node.ros.start import join
    from dfp_ros.tools.view.live_topics import LiveTopics
    from dfp_ros.tools.view.node_topics import NodeTopics

    join(args)
    node = rclpy.create_node('dfp_view', start_parameter_services=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    name = asked.node if asked.node.startswith('/') else (
        f'{node.get_namespace().rstrip("/")}/{asked.node}')
    log = view = None
    try:
        if stream is None:
            situation = Situation(name)
            NodeTopics(node, situation)
            view = TerminalView(situation)
        else:
            log = RerunLog(stream)
            topics = LiveTopics(node, name, log)
        next_look = next_flush = 0.0
        while not is_ended():
            executor.spin_once(0.1)
            now = time.monotonic()
            if now >= next_look:
                next_look = now + _LOOK
                own = read_kin(os.getpid())
                if own is not None and explain_orphan(own, AUTO):
                    break
            if view is not None:
                view.update(now)
            if log is not None:
                topics.discover(now)
                if now >= next_flush:
                    next_flush = now + _FLUSH
                    log.flush()
    finally:
        if view is not None:
            view.close()
        if log is not None:
            log.flush()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return log


def _give_way() -> None:
    """Take the processor after everything that controls a robot, now that there is work to do."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)


def _show(asked: argparse.Namespace, args: list[str] | None, signals: list[int]) -> None:
    """Show a node or a recording."""
    def is_ended() -> bool:
        return bool(signals)

    if not asked.rerun:
        why = why_no_terminal(sys.stdout)
        if why:
            raise ViewError(f'this terminal cannot show the view: {why}')
        _give_way()
        show_live(asked, args, is_ended, None)
        return
    if asked.save:
        check_file(asked.save, asked.force)
    stream = open_stream(asked.save, asked.connect)
    _give_way()
    try:
        if asked.bag:
            log: RerunLog | None = RerunLog(stream)
            assert log is not None
            for note in show_bag(asked.bag, asked.node, log, is_ended):
                say(f'note: {note}', to_errors=True)
        else:
            log = show_live(asked, args, is_ended, stream)
    finally:
        end_stream(stream)
    counts = summarise(log.counts) if log is not None else ''
    say(f'{asked.save or "shown"}: {counts or "no messages"}')


def main(args: list[str] | None = None) -> int:
    """
    Run the command.

    :return: Exit status: 2 if nothing could be shown.
    """
    asked = parse(args)
    with collected_signals() as signals:
        try:
            _show(asked, args, signals)
        except (ViewError, RecordingError, ValueError, OSError) as error:
            say(f'view: {printable(error, 2000)}', to_errors=True)
            return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
