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
"""The scripted operator in a process of its own, beside robot, policy node and learner."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('rclpy')

from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.decision import Commanding
from dfp_ros.core.control.decision_row import read_decision, RecordedDecision
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import DECISION_QOS
from testing.processes.robot_learning import (
    await_output,
    LearningCell,
    parameters,
    ROBOT,
)
from testing.processes.ros_processes import NodeProcess, Peer
from training.data.transitions import stored

# Simulated time passes twice as fast as real time.
FAST = {'use_sim_time': 'true'}
ROBOT_FAST: dict[str, Any] = {
    'mode': 'realtime', 'real_time_factor': 2.0, 'publish_clock': 'true', 'state_rate': 20.0}


def read(message: Float64MultiArray) -> RecordedDecision:
    """Read a decision."""
    return read_decision([(part.label, part.size) for part in message.layout.dim], message.data)


@pytest.mark.slow
def test_corrections_arrive_as_demonstrations(clone: Path, tmp_path: Path) -> None:
    """
    An operator takes over from an untrained policy, and lets go.

    Its steps arrive in the learner's demonstrations, as sent, and none is beyond the limits that
    the description has for a person.
    """
    takeover = load_robot_description(ROBOT).takeover
    assert takeover is not None
    clips = {entry.action: entry.reading.high for entry in takeover.entries}
    with LearningCell(clone, FAST, ROBOT_FAST) as cell, Peer(cell.domain) as peer:
        rows: list[Any] = peer.collect(Float64MultiArray, 'dfp_policy/decision', DECISION_QOS)
        operator = cell.start_operator(
            patience_from=0.2, patience_to=0.5, latest=1.0, use_sim_time='true')
        await_output(operator, 'watches ')
        learned = Event()
        hearing = Thread(target=peer.wait_for, args=(learned.is_set, 300.0))
        hearing.start()
        try:
            assert cell.learn_here(
                str(clone.parent), '--out', str(tmp_path / 'out'), '--updates-per-step', '0',
                '--swap', 'never', '--episodes', '1') == 0
        finally:
            learned.set()
            hearing.join()
        assert operator.stop() == 0, operator.output
        for text in ('takes over: no', 'lets go: ', 'took over in '):
            assert text in operator.output
    written = [stored.load(path) for path in (tmp_path / 'out' / 'demonstrations').glob('*.npz')]
    assert sum(map(len, written)) > 20
    by_person = [
        decision for decision in map(read, rows)
        if decision.commander is Commanding.PERSON and decision.sent is not None]
    for decision in by_person:
        assert decision.sent is not None
        for action, high in clips.items():
            assert np.all(np.abs(decision.sent[action]) <= np.array(high) + 1e-6)
    assert len(by_person) > 20
    # An action of 1 is a velocity of 1 m/s, 6 rad/s, and 20 closures per second.
    limits = np.concatenate([clips[name] for name in (
        'effector_linear_velocity', 'effector_yaw_rate', 'gripper_rate')]) / [1, 1, 1, 6, 20]
    for found in written:
        assert np.all(np.abs(found.actions) <= limits + 1e-5)
    # It does command, and not the middle of its range.
    assert np.abs(np.concatenate([found.actions for found in written])).max(axis=0)[4] > 0.19


@pytest.mark.parametrize(('words', 'message'), [
    ({'environment': 'cube-double-singletask-task2-v0'}, "'cube-double-singletask-task2-v0', "
     'which has no script; did you mean'),
    ({'robot': 'panda_lift'}, 'the script needs effector_linear_velocity[0]'),
    ({'patience_from': 3.0}, 'patience_from: found 3, expected at most patience_to, 2')])
def test_what_it_refuses(words: dict[str, Any], message: str) -> None:
    """A task or a robot without a script, and an empty range."""
    with NodeProcess(
            'dfp_ros.sim.operator.main', free_domain(), *parameters(**words)) as operator:
        assert operator.wait() == 1
        assert message in operator.output
        assert 'Traceback' not in operator.output
