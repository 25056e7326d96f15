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
"""Robot in motion, and a record of its commands."""

from __future__ import annotations

from pathlib import Path
import time
from typing import Any

import numpy as np

from dfp_ros.core.control.decision import Decision
from dfp_ros.core.control.input_log import InputLog
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.settings.node import describe, make_settings
from dfp_ros.node.commanding.commander import Commander
from dfp_ros.node.commanding.decision_log import DecisionLog
from dfp_ros.node.loading.control_loop import ControlLoop, make_control_loop
from dfp_ros.node.loading.pending_policy import load_policy
from dfp_ros.resources import load_robot
from dfp_ros.spec import ActionField, ObservationField
from testing.policies.small_policy import cube_spec, write_policy
from testing.processes.joint_arm import HERE, ROBOT

VELOCITY, ACCELERATION = 0.5, 2.0  # of the joint that moves, rad/s and rad/s^2


class Ears:
    """Recorder of commands with their times, and of log messages."""

    def __init__(self) -> None:
        """Start empty."""
        self.sent: list[np.ndarray] = []
        self.times: list[float] = []
        self.warnings: list[str] = []
        self.warning = self.warnings.append

    @property
    def commander(self) -> Commander:
        """Choose the node whose commands move the robot."""
        publishers: Any = self
        return Commander(publishers, DecisionLog(self, time.monotonic), InputLog())

    def try_to_send(self, loop: ControlLoop, decision: Decision, stamp: int) -> bool:
        """Take the command of a decision."""
        assert decision.sent is not None
        self.sent.append(decision.sent)
        self.times.append(time.monotonic())
        return True

    def unasked_stamp(self) -> int:
        """Return no stamp."""
        return 0


def files(folder: Path) -> dict[str, Path]:
    """Write a description, and a policy that moves the first joint in one direction for 6 s."""
    (folder / 'robot.yaml').write_text(
        ROBOT.replace('acceleration: 4.0', f'acceleration: {ACCELERATION}'))
    spec = cube_spec(
        horizon=1,
        observation=(ObservationField('joints', 2, 'rad', (-1.0,) * 2, (1.0,) * 2),),
        action=(ActionField(
            'targets', 2, 'rad', (-3.0,) * 2, (3.0,) * 2, (-1.0,) * 2, (1.0,) * 2),))
    return {'policy': write_policy(folder / 'small.onnx', spec, seed=4, gain=2.0),
            'robot': folder / 'robot.yaml'}


def moving(folder: Path, ticks: int, **changes: Any) -> tuple[ControlLoop, list[np.ndarray]]:
    """Make a control loop, and the commands that it sent in a number of ticks."""
    named = {name: str(file) for name, file in files(folder).items()}
    text = Path(named['robot']).read_text()
    Path(named['robot']).write_text(
        text.replace('position: urdf, velocity: urdf', f'velocity: {VELOCITY}'))
    settings = make_settings({
        **{name: default for name, default, _ in describe()}, **named, 'noise_scale': 0.0,
        **changes})
    loop = make_control_loop(settings, load_robot(named['robot']), load_policy(named['policy']))
    sent = []
    for i in range(ticks):
        now = 10**12 + i * loop.tick
        decision = loop.controller.step(now, {'arm': Sample(
            now, now, {'name': ['a', 'b'], 'position': HERE.tolist()})})
        assert decision.sent is not None
        sent.append(decision.sent)
    return loop, sent
