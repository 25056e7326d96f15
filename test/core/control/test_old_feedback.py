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
"""Velocities that stop before a position limit, with feedback that is older than a tick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.control.decision import Commanding
from dfp_ros.core.control.factory import make_controller
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.observation.sample import Sample
from dfp_ros.core.policy.interface import Chunk
from dfp_ros.core.settings.node import Settings
from dfp_ros.spec import ActionField, ObservationField, PolicySpec

TEXT = """
robot: slide
sources:
  rail: {topic: joint_states, type: sensor_msgs/msg/JointState, max_age: 1.0}
  goal: {topic: goal, type: std_msgs/msg/Float64, max_age: 1.0}
observation:
  - {name: goal, unit: m, source: goal, path: data}
commands:
  slide:
    topic: commands
    type: std_msgs/msg/Float64MultiArray
    kind: velocity
    stop: zero
    fields:
      - action: speed
        unit: m/s
        path: data
        indices: [0]
        measured: {source: rail, path: position, joints: [slide]}
        limits: {velocity: 1.0, acceleration: HARDEST, position: {low: -2.0, high: 2.0}}
takeover:
  sources:
    pad: {topic: joy, type: sensor_msgs/msg/Joy, max_age: 1.0}
  dead_man: {source: pad, path: 'buttons[0]'}
  fields:
    - {action: speed, meaning: velocity, source: pad, path: 'axes[0]'}
"""
SPEC = PolicySpec(
    'ahead', 'none', (ObservationField('goal', 1, 'm', (-4.0,), (4.0,)),),
    (ActionField('speed', 1, 'm/s', (-1.0,), (1.0,), (-1.0,), (1.0,)),), 0.05, 1)
TICK = 50_000_000


class Ahead:
    """Policy that goes on in one direction."""

    spec = SPEC

    def __init__(self, sign: int) -> None:
        self._sign = sign

    def act(self, observation: FloatArray, noise: FloatArray) -> Chunk:
        """Answer."""
        return Chunk(np.full((1, 1), self._sign, np.float32), 0.0, 0.0)


@pytest.mark.parametrize('is_person', [False, True])
@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('hardest', [1.5, 40.0])
@pytest.mark.parametrize(('every', 'late'), [
    # The last ones are 0.2, 0.3 and 0.5 s old at most.
    (1, 0), (2, 0), (1, 1), (1, 4), (4, 2), (8, 2)])
def test_a_limit_is_not_passed_however_old_the_feedback_is(
        every: int, late: int, hardest: float, sign: int, is_person: bool,
        tmp_path: Path) -> None:
    """
    The robot was past it by the way that it had made since the feedback.

    It still comes close to it, and away from it again, also after a swap and a stop in between.
    """
    path = tmp_path / 'robot.yaml'
    path.write_text(TEXT.replace('HARDEST', str(hardest)))
    robot = load_robot_description(path)

    def make(sign: int) -> Any:
        return make_controller(
            Settings('any', 'any'), robot, Ahead(sign), iter(range(10**9)).__next__)

    controller = make(sign)
    controller.reset(0)
    here, places, rail = 0.0, [], None
    for i in range(400):
        now = 10**12 + i * TICK
        places.append((now, here))
        if i % every == 0:
            measured, place = places[max(0, i - late)]
            rail = Sample(measured, now, {'name': ['slide'], 'position': [place]})
        if i in (30, 35):
            old, controller = controller, make(sign)
            controller.transfer_from(old)
        if i == 33:
            controller.operator.stop('by hand')
        elif i == 34:
            controller.operator.resume()
        elif i == 300:
            assert 1.9 < here * sign <= 2.0 + 1e-9
            old, controller, sign = controller, make(-sign), -sign
            controller.transfer_from(old)
        samples = {'rail': rail, 'goal': Sample(None, now, {'data': 0.0})}
        if is_person:
            samples['pad'] = Sample(now, now, {'buttons[0]': 1, 'axes[0]': sign})
        decision = controller.step(now, samples)
        if i > 40:
            assert (decision.commander is Commanding.PERSON) is is_person, decision.text
        here += float(decision.sent[0]) * 0.05
        assert abs(here) <= 2.0 + 1e-9
    assert 1.9 < here * sign
