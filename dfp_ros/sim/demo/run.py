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
"""Run of the demo: launch, subscriptions, shutdown and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import time

from dfp_ros.core.text.say import say
from dfp_ros.sim.demo.launched import Launched
from dfp_ros.sim.demo.listener import find_another_robot, Listener, POLICY_NODE
from dfp_ros.sim.demo.report import Episode, Report
from dfp_ros.sim.demo.signals import Signals
from dfp_ros.sim.demo.view_process import ViewProcess
from dfp_ros.tools.view.node_topics import NodeTopics
from dfp_ros.tools.view.situation import Situation
from dfp_ros.tools.view.terminal import TerminalView

START_TIMEOUT = 120.0
EPISODE_LIMIT = 15.0
LAUNCH_FILE = 'demo.launch.py'
# Time in s in which messages that were sent before the end arrive.
_IN_FLIGHT = 0.5


@dataclass(frozen=True)
class Options:
    """
    Settings of a run; the command line's help describes them.

    :param draws: Whether the terminal is drawn on.
    :param rerun: Options of ``ros2 run dfp_ros view`` for a view in Rerun; none without one.
    """

    episodes: int
    seed: int
    policy: str
    robot: str
    environment: str
    real_time_factor: float
    timeout: float
    verbose: bool
    draws: bool = False
    rerun: tuple[str, ...] = ()


class _Witness:
    """
    Prints and collects what the demo's listener hears.

    :param report: Collects the results.
    :param situation: What the terminal shows.
    :param view: The terminal, if it is drawn on.
    """

    def __init__(
            self, report: Report, situation: Situation, view: TerminalView | None) -> None:
        self._report = report
        self._situation = situation
        self._view = view

    def on_episode(self, episode: Episode) -> None:
        """Print and store an episode."""
        self._report.episodes.append(episode)
        self._situation.results.append(episode.success)
        line = episode.line(self._report.asked)
        if self._view is None:
            say(line)
        else:
            self._view.print(line)

    def on_policy(self, values: Mapping[str, str]) -> None:
        """Store the policy's diagnostics, except those after the last episode."""
        if len(self._report.episodes) < self._report.asked:
            self._report.take_diagnostics(values)


def run(options: Options, signals: Signals, report: Report, folder: Path) -> None:
    """
    Run the launch to its end, and collect the results.

    :raises Interrupted: If a signal arrived.
    """
    if others := find_another_robot():
        report.problems.append(others)
        return
    settings = {
        'policy': options.policy, 'robot': options.robot, 'environment': options.environment,
        'episodes': options.episodes, 'seed': options.seed,
        'real_time_factor': options.real_time_factor, 'record': folder / 'episodes',
        'publish_decisions': str(bool(options.rerun)).lower()}
    longest = START_TIMEOUT + options.episodes * (5 + EPISODE_LIMIT / options.real_time_factor)
    deadline = time.monotonic() + (options.timeout or longest)
    situation = Situation(f'/{POLICY_NODE}', options.episodes, counts_marks=False)
    launched = Launched(LAUNCH_FILE, settings, folder, options.verbose)
    listener = view = viewer = None
    try:
        viewer = ViewProcess(options.rerun, folder) if options.rerun else None
        view = TerminalView(situation) if options.draws else None
        witness = _Witness(report, situation, view)
        listener = Listener('dfp_demo', witness.on_episode, witness.on_policy)
        if view is not None:
            NodeTopics(listener.node, situation)
        while launched.running():
            signals.check()
            if time.monotonic() > deadline:
                report.problems.append(
                    f'the demo did not finish within {options.timeout or longest:g} s')
                break
            listener.listen(0.1)
            if others := listener.find_others():
                # Whose the episodes are cannot be told.
                report.episodes.clear()
                report.problems.append(others)
                break
            # After the last episode the robot ends, and the node would only report that.
            if view is not None and len(report.episodes) < options.episodes:
                view.update(time.monotonic())
        if not launched.running():
            _hear_the_rest(listener, report)
    finally:
        if view is not None:
            view.close()
        launched.stop()
        if listener:
            listener.close()
        if viewer is not None:
            report.notes += viewer.stop()
        report.exits = launched.exits()
    _judge(report, launched)


def _hear_the_rest(listener: Listener, report: Report) -> None:
    """Receive episodes that were sent before the end; other messages may come before them."""
    until = time.monotonic() + _IN_FLIGHT
    while len(report.episodes) < report.asked and (left := until - time.monotonic()) > 0:
        listener.listen(left)


def _judge(report: Report, launched: Launched) -> None:
    """Report each process that failed, with its last output."""
    crashed = [end for end in report.exits if end['status'] != 0]
    early = report.exits[:1] if len(report.episodes) < report.asked else []
    for end in crashed or early:
        report.problems.append(
            f'{end["process"]} ended with status {end["status"]} after '
            f'{len(report.episodes)} of {report.asked} episodes')
        report.problems += [f'  {line}' for line in launched.last_words(end['process'])]
    if not report.exits:
        report.problems.append('the launch ended before its processes')
