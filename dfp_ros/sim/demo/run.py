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
"""One run of the demo: launch, listen, stop, judge."""

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
    """What to run; the command line's help says what each is."""

    episodes: int
    seed: int
    policy: str
    robot: str
    environment: str
    real_time_factor: float
    timeout: float
    verbose: bool


class Interrupted(Exception):
    """A signal asked the demo to end."""


class Signals:
    """Remember a signal that asks for the end until someone asks."""

    def __init__(self) -> None:
        """Take over each that would end this process and leave what it launched behind."""
        self.received = 0
        for number in heard_signals():
            if number != signal.SIGTSTP:
                signal.signal(number, self._remember)

    def check(self) -> None:
        """
        Stop here where a signal has come.

        :raises Interrupted: Where one has.
        """
        if self.received:
            raise Interrupted

    def _remember(self, number: int, frame: Any) -> None:
        """Keep the first."""
        self.received = self.received or number


class Listener:
    """
    Hear what the robot and the policy say.

    :param report: Where it goes.
    """

    def __init__(self, report: Report) -> None:
        """Join the domain."""
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
        """Wait for one message, at most so long, in s."""
        self._executor.spin_once(timeout)

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._rclpy.try_shutdown()

    def _on_episode(self, message: Any) -> None:
        """Print and keep an episode."""
        episode = Episode.from_values({pair.key: pair.value for pair in message.values})
        self._report.episodes.append(episode)
        print(episode.line(self._report.asked), flush=True)

    def _on_diagnostics(self, message: Any) -> None:
        """Keep the policy's figures, but not those of the time after the last episode."""
        if len(self._report.episodes) >= self._report.asked:
            return
        values = {
            pair.key: pair.value for status in message.status if 'dfp_policy' in status.name
            for pair in status.values}
        if values:
            self._report.take_diagnostics(values)


class Launched:
    """
    The launch, in a session of its own, so that whatever happens nothing of it stays behind.

    :param settings: Launch arguments.
    :param folder: Where its log and its list of exits go.
    :param verbose: Show its output instead of keeping it in the log.
    """

    def __init__(self, settings: dict[str, Any], folder: Path, verbose: bool) -> None:
        """Start it."""
        self._exits = folder / 'exits.json'
        self._log = folder / 'launch.log'
        with self._log.open('wb') as log:
            output = None if verbose else log
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'dfp_ros.sim.demo.launch_process', str(self._exits),
                 *(f'{name}:={value}' for name, value in settings.items())],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it as Ctrl-C would; whoever does not obey is killed."""
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
        """How the processes ended; empty where the launch did not come to tell."""
        if not self._exits.exists():
            return []
        found: list[dict[str, Any]] = json.loads(self._exits.read_text(encoding='utf-8'))
        return found

    def last_words(self, process: str) -> list[str]:
        """Give the last lines that a process wrote, or that the launch wrote of it."""
        lines = self._log.read_text(encoding='utf-8', errors='replace').splitlines()
        return [line for line in lines if f'[{process}]' in line][-12:]


def run(options: Options, signals: Signals, report: Report, folder: Path) -> None:
    """
    Run the launch to its end, and fill the report.

    :raises Interrupted: Where a signal came.
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
                    f'the demo was not done after {options.timeout or longest:g} s')
                break
            listener.listen(0.1)
        while launched.running() is False and len(report.episodes) < options.episodes:
            before = len(report.episodes)
            listener.listen(0.5)  # What was sent before the end may still be on its way.
            if len(report.episodes) == before:
                break
    finally:
        launched.stop()
        if listener:
            listener.close()
        report.exits = launched.exits()
    _judge(report, launched)


def _judge(report: Report, launched: Launched) -> None:
    """Say who ended that should not have, and what it said."""
    crashed = [end for end in report.exits if end['status'] != 0]
    early = report.exits[:1] if len(report.episodes) < report.asked else []
    for end in crashed or early:
        report.problems.append(
            f'{end["process"]} ended with status {end["status"]} after '
            f'{len(report.episodes)} of {report.asked} episodes')
        report.problems += [f'  {line}' for line in launched.last_words(end['process'])]
    if not report.exits:
        report.problems.append('the launch ended before its processes did')
