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
"""Policy node, simulated robot, learner and operator as processes, for tests of learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
import time
from types import TracebackType
from typing import Any

import pytest

from dfp_ros.node.ros.domain import free_domain
from testing import ROOT
from testing.processes.ros_processes import NodeProcess
from training.config import TrainConfig
from training.export import export
from training.learn_on_robot import main
from training.learning.trainer.run import train

ROBOT = ROOT / 'config' / 'ur5e_cube.yaml'
ENVIRONMENT = 'cube-single-singletask-task2-v0'
CLONED = 30


def clone_settings(data: Path, **changes: Any) -> TrainConfig:
    """Make settings of a clone with small networks, to be learned from on a robot."""
    return replace(TrainConfig(
        data=str(data), environment=ENVIRONMENT, episodes=1, evaluate_every=10**6,
        hidden=(32, 32), batch_size=16, steps=CLONED, improve_after=10**6, log_every=10,
        checkpoint_every=1000, threads=1, pool=4, top=2, normalise=True, horizon=5, best_of=2,
        noise_scale=0.5, sparse=True), **changes)


def make_clone(data: Path, run: Path, **changes: Any) -> Path:
    """
    Train a clone for some updates, and export it.

    :return: The policy file, in the folder of the run.
    """
    train(run, clone_settings(data, **changes))
    policy = run / 'policy.onnx'
    export(run, policy)
    return policy


class LearningCell:
    """
    A policy node, and learners and operators that a test starts, with a simulated robot.

    The robot comes with the first of these: one that moves would only take the processors from
    a learner that starts.

    :param policy: The policy file.
    :param node_options: Parameters of the policy node.
    :param robot_options: Parameters of the simulated robot.
    """

    def __init__(
            self, policy: Path, node_options: dict[str, Any],
            robot_options: dict[str, Any]) -> None:
        """Start the node."""
        self.domain = free_domain()
        self._policy = policy
        self._node_options, self._robot_options = node_options, robot_options
        self.node = self.start_node()
        self.robots: list[NodeProcess] = []
        self.others: list[NodeProcess] = []

    def __enter__(self) -> LearningCell:
        return self

    def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None,
            trace: TracebackType | None) -> None:
        for process in (*self.others, *self.robots, self.node):
            if error is not None:
                print(process.output)
            process.leave()

    @property
    def robot(self) -> NodeProcess:
        """Return the last robot."""
        return self.robots[-1]

    def start_node(self) -> NodeProcess:
        """Start a policy node."""
        return NodeProcess('dfp_ros.policy_node', self.domain, *parameters(
            policy=self._policy,
            **{'robot': ROBOT, 'publish_decisions': 'true', **self._node_options}))

    def start_robot(self, **options: Any) -> NodeProcess:
        """Start a simulated robot, perhaps with other parameters."""
        self.robots.append(NodeProcess('dfp_ros.sim.sim_robot.main', self.domain, *parameters(
            policy_node='dfp_policy', environment=ENVIRONMENT, **self._robot_options, **options)))
        return self.robot

    def start_learner(self, *words: str, prefix: Sequence[str] = ()) -> NodeProcess:
        """
        Start a learner with arguments of its command, perhaps by another one.

        Unless told otherwise it does not give way: beside other work it would take minutes to
        start, and robot and node would take the processors meanwhile.
        """
        niceness = () if '--nice' in words else ('--nice', '0')
        learner = NodeProcess(
            'training.learn_on_robot', self.domain, *words, *niceness, prefix=prefix)
        self.others.append(learner)
        if not self.robots:
            # Its first line, once everything is imported.
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and learner.process.poll() is None and (
                    'learner: ' not in learner.output):
                time.sleep(0.05)
            self.start_robot()
        return learner

    def learn_here(self, *words: str) -> int:
        """Run a learner in this process, where everything is imported; return its exit status."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv('ROS_DOMAIN_ID', str(self.domain))
            return main([*words, '--nice', '0', '--processors', 'all'])

    def start_operator(self, **options: Any) -> NodeProcess:
        """Start a scripted operator with parameters."""
        if not self.robots:
            self.start_robot()
        operator = NodeProcess(
            'dfp_ros.sim.operator.main', self.domain, *parameters(
                robot=ROBOT, environment=ENVIRONMENT, **options))
        self.others.append(operator)
        return operator


def await_output(process: NodeProcess, text: str, count: int = 1, timeout: float = 300.0) -> None:
    """
    Wait until a process has printed a text.

    :raises TimeoutError: If it has not in time, or has ended without it, with its output.
    """
    deadline = time.monotonic() + timeout
    while process.output.count(text) < count:
        if time.monotonic() > deadline or process.process.poll() is not None:
            if process.output.count(text) >= count:
                return
            raise TimeoutError(f'{text!r} was not printed {count} times; found\n{process.output}')
        time.sleep(0.05)


def parameters(**values: Any) -> list[str]:
    """Format parameters for a command line."""
    words = ['--ros-args']
    for name, value in values.items():
        words += ['-p', f'{name}:={value}']
    return words
