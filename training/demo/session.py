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
"""The session: robot, policy node and learner as processes, watched over ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from pathlib import Path
import signal
import subprocess
import sys
from threading import Thread
import time
from typing import Any

import numpy as np

from dfp_ros.core.control.decision_row import read_decision
from dfp_ros.core.policy.policy_file import read_spec
from dfp_ros.core.text.say import say
from dfp_ros.sim.demo.launched import Launched
from dfp_ros.sim.demo.listener import Listener, POLICY_NODE
from dfp_ros.sim.demo.report import Episode
from dfp_ros.sim.demo.signals import Signals
from training.demo.preparation import Clone, ENVIRONMENT, ROBOT

LAUNCH_FILE = 'learn.launch.py'
# Longest time in s that the learner may take to write what it has.
STOP_TIMEOUT = 120.0
_BEAT = 0.1
# Largest excess of a command over its limit, for rounding.
_TOLERANCE = 1e-9


@dataclass
class Witness:
    """
    What was seen of robot and policy node.

    :param episodes: Results of the robot's episodes.
    :param commands: Number of decisions that sent a command.
    :param beyond: Number of those that were not finite, or beyond the limits of the policy file.
    :param policy: Last diagnostics of the policy node, by key.
    """

    episodes: list[Episode] = field(default_factory=list)
    commands: int = 0
    beyond: int = 0
    policy: dict[str, str] = field(default_factory=dict)


class Watcher:
    """
    Counts what the policy node sends, against its limits, and keeps episodes and diagnostics.

    :param bounds: Lowest and highest command, by action field.
    :param witness: Receives what is seen.
    """

    def __init__(
            self, bounds: Mapping[str, tuple[np.ndarray, np.ndarray]], witness: Witness) -> None:
        """Create the participant."""
        from std_msgs.msg import Float64MultiArray

        from dfp_ros.node.ros.qos import DECISION_QOS

        self._bounds, self._witness = bounds, witness
        listener = Listener('dfp_learn_demo', witness.episodes.append, witness.policy.update)
        listener.node.create_subscription(
            Float64MultiArray, f'{POLICY_NODE}/decision', self._on_decision, DECISION_QOS)
        self.listen, self.close = listener.listen, listener.close
        self.find_others = listener.find_others

    def _on_decision(self, message: Any) -> None:
        """Count a command, and one beyond its limits."""
        decision = read_decision(
            [(part.label, part.size) for part in message.layout.dim], message.data)
        if decision.sent is None:
            return
        self._witness.commands += 1
        for name, value in decision.sent.items():
            low, high = self._bounds[name]
            if not (np.isfinite(value).all() and (value >= low - _TOLERANCE).all()
                    and (value <= high + _TOLERANCE).all()):
                self._witness.beyond += 1
                return


class LearnerProcess:
    """
    The learner as a process, whose lines are printed as they come.

    :param words: Its arguments.
    :param log: File for its output.
    """

    def __init__(self, words: Sequence[str], log: Path) -> None:
        """Start it in a session of its own: Ctrl-C is for the demo to pass on."""
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'training.learn_on_robot', *words], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self._reader = Thread(target=self._read, args=(log,), daemon=True)
        self._reader.start()

    def running(self) -> bool:
        """Whether it is still running."""
        return self._process.poll() is None

    def stop(self) -> int:
        """Ask it to end, and wait until it has written everything; return its exit status."""
        if self.running():
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
        status = self._process.wait()
        self._reader.join(_BEAT)
        return status

    def _read(self, log: Path) -> None:
        """Print and keep its lines."""
        assert self._process.stdout is not None
        with log.open('w', encoding='utf-8') as file:
            for line in self._process.stdout:
                say(line.removesuffix('\n'))
                file.write(line)
                file.flush()


def run_session(
        clone: Clone, out: Path, minutes: float, seed: int, words: Sequence[str],
        signals: Signals) -> tuple[Witness, list[str]]:
    """
    Learn for some minutes.

    :param clone: What node and learner begin with.
    :param out: Folder of the session.
    :param minutes: Wall-clock time from the first episode on.
    :param seed: Seed of the robot's first episode.
    :param words: Arguments of the learner.
    :return: What was seen, and the faults.
    :raises Interrupted: If a signal arrived before the first episode.
    """
    spec = read_spec(clone.policy)
    witness, problems = Witness(), []
    bounds = {field.name: (np.array(field.low), np.array(field.high)) for field in spec.action}
    launched = Launched(LAUNCH_FILE, {
        'policy': clone.policy.resolve(), 'robot': ROBOT, 'environment': ENVIRONMENT,
        'seed': seed}, out, False)
    watcher = learner = None
    try:
        watcher = Watcher(bounds, witness)
        learner = LearnerProcess(
            [str(clone.run), '--out', str(out / 'robot'), *words], out / 'learner.log')
        deadline = math.inf
        while time.monotonic() < deadline and not signals.received:
            if not launched.running():
                problems.append('robot or policy node ended before the time was over')
                break
            if not learner.running():
                problems.append('the learner ended before the time was over')
                break
            watcher.listen(_BEAT)
            if others := watcher.find_others():
                problems.append(others)
                break
            if math.isinf(deadline) and witness.commands:
                deadline = time.monotonic() + 60 * minutes
        if learner.stop() not in (0, 130):
            problems.append(f'the learner failed; {out / "learner.log"} has its output')
    finally:
        if learner is not None:
            learner.stop()
        launched.stop()
        if watcher:
            watcher.close()
    for end in launched.exits():
        if end['status']:
            problems.append(f'{end["process"]} ended with status {end["status"]}')
            problems += [f'  {line}' for line in launched.last_words(end['process'])]
    return witness, problems
