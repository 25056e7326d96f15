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

from dataclasses import dataclass
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

from dfp_ros.node.process.end_requests import heard_signals
from dfp_ros.sim.demo.report import Episode, Report

START_TIMEOUT = 120.0
EPISODE_LIMIT = 15.0
STOP_TIMEOUT = 20.0


@dataclass(frozen=True)
class Options:
    """Settings of a run; the command line's help describes them."""

    episodes: int
    seed: int
    policy: str
    robot: str
    environment: str
    real_time_factor: float
    timeout: float
    verbose: bool


class Interrupted(Exception):
    """A signal interrupted the demo."""


class Signals:
    """Handlers that record termination signals, to be checked between steps."""

    def __init__(self) -> None:
        """Replace the default handlers, which would leave launched processes behind."""
        self.received = 0
        for number in heard_signals():
            if number != signal.SIGTSTP:
                signal.signal(number, self._remember)

    def check(self) -> None:
        """
        Raise if a signal arrived.

        :raises Interrupted: If one did.
        """
        if self.received:
            raise Interrupted

    def _remember(self, number: int, frame: Any) -> None:
        """Record the first signal."""
        self.received = self.received or number


class Listener:
    """
    Subscriber to the episodes and diagnostics.

    :param report: Collects the results.
    """

    def __init__(self, report: Report) -> None:
        """Create the participant."""
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from dfp_ros.sim.sim_robot.qos import EPISODE_QOS

        self._report = report
        self._rclpy = rclpy
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node('dfp_demo')
        self._node.create_subscription(
            DiagnosticStatus, 'episode', self._on_episode, EPISODE_QOS)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def listen(self, timeout: float) -> None:
        """Wait up to ``timeout`` s for one message."""
        self._executor.spin_once(timeout)

    def close(self) -> None:
        """Destroy the participant."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._rclpy.try_shutdown()

    def _on_episode(self, message: Any) -> None:
        """Print and store an episode."""
        episode = Episode.from_values({pair.key: pair.value for pair in message.values})
        self._report.episodes.append(episode)
        print(episode.line(self._report.asked), flush=True)

    def _on_diagnostics(self, message: Any) -> None:
        """Store the policy's diagnostics, except those after the last episode."""
        if len(self._report.episodes) >= self._report.asked:
            return
        values = {
            pair.key: pair.value for status in message.status if 'dfp_policy' in status.name
            for pair in status.values}
        if values:
            self._report.take_diagnostics(values)


class Launched:
    """
    Launch process in its own session, so that no process of it can be left behind.

    :param settings: Launch arguments.
    :param folder: Folder for the log and the exit statuses.
    :param verbose: Print its output instead of logging it to the file.
    """

    def __init__(self, settings: dict[str, Any], folder: Path, verbose: bool) -> None:
        """Start the launch."""
        self._exits = folder / 'exits.json'
        self._log = folder / 'launch.log'
        with self._log.open('wb') as log:
            output = None if verbose else log
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'dfp_ros.sim.demo.launch_process', str(self._exits),
                 *(f'{name}:={value}' for name, value in settings.items())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    def running(self) -> bool:
        """Whether it is still running."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Stop it as Ctrl-C would; kill processes that do not stop."""
        if self.running():
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def exits(self) -> list[dict[str, Any]]:
        """Exit statuses of the processes; empty if the launch could not write them."""
        if not self._exits.exists():
            return []
        found: list[dict[str, Any]] = json.loads(self._exits.read_text(encoding='utf-8'))
        return found

    def last_words(self, process: str) -> list[str]:
        """Return the last log lines of a process."""
        lines = self._log.read_text(encoding='utf-8', errors='replace').splitlines()
        return [line for line in lines if f'[{process}]' in line][-12:]


def run(options: Options, signals: Signals, report: Report, folder: Path) -> None:
    """
    Run the launch to its end, and collect the results.

    :raises Interrupted: If a signal arrived.
    """
    settings = {
        'policy': options.policy, 'robot': options.robot, 'environment': options.environment,
        'episodes': options.episodes, 'seed': options.seed,
        'real_time_factor': options.real_time_factor, 'record': folder / 'episodes'}
    longest = START_TIMEOUT + options.episodes * (5 + EPISODE_LIMIT / options.real_time_factor)
    deadline = time.monotonic() + (options.timeout or longest)
    launched = Launched(settings, folder, options.verbose)
    listener = None
    try:
        listener = Listener(report)
        while launched.running():
            signals.check()
            if time.monotonic() > deadline:
                report.problems.append(
                    f'the demo did not finish within {options.timeout or longest:g} s')
                break
            listener.listen(0.1)
        while launched.running() is False and len(report.episodes) < options.episodes:
            before = len(report.episodes)
            listener.listen(0.5)  # Messages sent before the end may still be in flight.
            if len(report.episodes) == before:
                break
    finally:
        launched.stop()
        if listener:
            listener.close()
        report.exits = launched.exits()
    _judge(report, launched)


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
