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
"""Fallback policy: takes over from one that does not answer, by a swap."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import signal
from typing import Any

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
import numpy as np
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.input_log import policy_number
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.fallback import FALLBACK_REASONS, FallbackSettings
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.tools.replay.main import main as replay
from testing.faults.cell import FaultCell, PATIENT
from testing.faults.robots import CUBE, POSITION_ARM
from testing.policies.endless_policy import write_endless_policy
from testing.policies.small_policy import write_policy
from testing.processes.ros_processes import NodeProcess

SPEC = replace(CUBE.spec, horizon=20)
AFTER = 0.5


def far(message: Any) -> Any:
    """Have a joint far outside the training data."""
    message.position = [9.0, *message.position[1:]]
    return message


def test_the_reasons_are_known() -> None:
    """Each has a name of a reason, and others are refused by name."""
    assert {name.upper() for name in FALLBACK_REASONS} <= {reason.name for reason in Reason}
    with pytest.raises(SettingsError, match="fallback.reasons: found 'late'.*late_inference"):
        FallbackSettings(reasons='late')
    with pytest.raises(SettingsError, match='fallback.reasons: found nothing'):
        FallbackSettings(reasons=' , ')
    with pytest.raises(SettingsError, match="found 'a.onnx' and 'home', expected one of them"):
        FallbackSettings(policy='a.onnx', posture='home')


def test_an_inference_that_never_ends(tmp_path: Path) -> None:
    """The plan in hand ends, the robot is held for a while, and the fallback goes on."""
    hanging = write_endless_policy(tmp_path / 'hanging.onnx', SPEC, 0)
    careful = write_policy(
        tmp_path / 'careful.onnx', replace(SPEC, name='careful'), gain=0.7)
    with FaultCell(
            CUBE, hanging, planning__asynchronous='true', fallback__policy=str(careful),
            fallback__after=AFTER, execution__unbounded_operators='Loop') as cell:
        cell.wait_for_motion()

        def move(message: Any) -> Any:
            message.position = [0.9, *message.position[1:]]
            return message

        starved = cell.starved()
        cell.disturb({'joint_states': move})
        cell.wait_for(lambda: cell.decisions[-1].row.state is State.HOLD, 'a hold')
        cell.wait_for(lambda: cell.standing.get('name') == 'careful', 'the fallback')
        cell.wait_for(lambda: cell.decisions[-1].row.state is State.RUNNING, 'motion')
        rows = [seen.row for seen in cell.decisions]
        held = [row for row in rows if Reason.LATE_INFERENCE in row.reason]
        lasted = (held[-1].stamp - held[0].stamp) * 1e-9
        # To load it takes longer where the node has no processor.
        assert AFTER - 0.05 <= lasted <= AFTER + 2.0 + cell.starved() - starved
        entry = rows[-1].entry
        assert entry is not None
        assert entry.policy == policy_number(cell.standing['sha256'])
        assert 'the fallback has taken over: late_inference' in cell.process.output
        assert cell.process.stop(signal.SIGTERM) == 0


def test_it_takes_over_again_after_a_rollback(tmp_path: Path) -> None:
    """A reason that goes on counts anew; an operator's stop comes first."""
    usual = write_policy(tmp_path / 'usual.onnx', SPEC, gain=0.7)
    wide = replace(SPEC, name='careful', observation=tuple(
        replace(field, low=(-99.0,) * field.size, high=(99.0,) * field.size)
        for field in SPEC.observation))
    careful = write_policy(tmp_path / 'careful.onnx', wide, gain=0.1)
    with FaultCell(
            CUBE, usual, fallback__policy=str(careful), fallback__after=AFTER,
            fallback__reasons='outside_envelope', **PATIENT) as cell:
        cell.wait_for_motion()
        cell.disturb({'joint_states': far})
        cell.wait_for(lambda: cell.standing.get('name') == 'careful', 'the fallback')
        cell.wait_for(lambda: cell.decisions[-1].row.state is State.RUNNING, 'motion')
        assert cell.answer(cell.ask(Trigger, 'rollback', Trigger.Request())).success
        cell.wait_for(lambda: cell.standing.get('name') == 'test', 'the usual one')
        cell.wait_for(lambda: cell.standing.get('name') == 'careful', 'the fallback again')
        assert cell.answer(cell.ask(Trigger, 'rollback', Trigger.Request())).success
        assert cell.answer(cell.ask(Trigger, 'stop', Trigger.Request())).success
        begin = len(cell.decisions)
        cell.wait_for(lambda: len(cell.decisions) > begin + 60, 'ticks')
        numbers = {
            seen.row.entry.policy for seen in cell.decisions[begin:] if seen.row.entry}
        assert policy_number(cell.standing['sha256']) in numbers
        assert len(numbers) == 1
        assert cell.standing['name'] == 'test'

        # What cannot take over is said when the node is configured.
        for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
            assert cell.answer(cell.ask_to_change(transition)).success
        assert cell.set(policy=str(careful)).successful
        assert cell.answer(cell.ask_to_change(Transition.TRANSITION_CONFIGURE)).success
        assert 'careful.onnx is the policy itself, so nothing takes over' in cell.process.output
        assert cell.answer(cell.ask_to_change(Transition.TRANSITION_CLEANUP)).success
        other = write_policy(tmp_path / 'other.onnx', POSITION_ARM.spec)
        assert cell.set(fallback__policy=str(other)).successful
        assert not cell.answer(cell.ask_to_change(Transition.TRANSITION_CONFIGURE)).success
        assert 'cannot configure: parameter fallback.policy: observation field 0: policy' in (
            cell.process.output)


HOME = np.array([0.1, 0.2, -0.3])


@pytest.fixture(name='arm')
def arm_with_posture(tmp_path: Path) -> Path:
    """Write the description of an arm that has a posture."""
    robot = tmp_path / 'arm.yaml'
    robot.write_text(POSITION_ARM.description.read_text() + f"""
postures:
  home: {{joint_positions: {HOME.tolist()}}}
""")
    return robot


def test_a_posture(arm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The robot is brought to it within its limits, and back by a rollback; replayed, too."""
    spec = replace(POSITION_ARM.spec, horizon=20)
    hanging, bag = write_endless_policy(tmp_path / 'hanging.onnx', spec, 5), tmp_path / 'bag'
    with FaultCell(
            POSITION_ARM, hanging, description=arm, autostart='false', **PATIENT,
            planning__asynchronous='true', fallback__posture='home', fallback__after=AFTER,
            execution__unbounded_operators='Loop') as cell, NodeProcess(
                'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args', '-p',
                f'robot:={arm}', '-p', f'out:={bag}') as recorder:
        cell.wait_for(lambda: 'recording' in recorder.output, 'a recorder')
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert cell.answer(cell.ask_to_change(transition)).success, cell.process.output
        cell.wait_for_motion()

        def hang(message: Any) -> Any:
            message.pose.position.z = 0.9
            return message

        reasons: list[str] = []

        def reported(message: DiagnosticArray) -> None:
            reasons.extend(
                item.value for status in message.status for item in status.values
                if item.key == 'fallback_because')

        cell.node.create_subscription(DiagnosticArray, '/diagnostics', reported, 10)
        cell.disturb({'target_pose': hang})
        cell.wait_for(lambda: cell.standing.get('name') == 'posture home', 'the posture')
        assert cell.standing['parameter'] == str(hanging)
        cell.wait_for(
            lambda: np.abs(cell.commands[-1].numbers - HOME).max() < 1e-6, 'the posture')
        cell.wait_for(
            lambda: any('late_inference for' in text for text in reasons), 'the reason')
        begin = len(cell.decisions)
        cell.disturb({})
        assert cell.answer(cell.ask(Trigger, 'rollback', Trigger.Request())).success
        cell.wait_for(lambda: cell.standing.get('name') == 'test', 'the policy')
        cell.wait_for(lambda: len(cell.decisions) > begin + 20, 'ticks')
        sent = np.array([command.numbers for command in cell.commands])
        largest = POSITION_ARM.velocity * spec.period * 1.001
        assert np.abs(np.diff(sent, axis=0)).max() <= largest
        assert cell.process.stop(signal.SIGTERM) == 0
        assert recorder.stop() == 0, recorder.output
    assert replay([str(bag), '--policy', str(hanging), '--robot', str(arm)]) == 0
    assert 'posture home' in capsys.readouterr().out


def test_a_posture_after_a_change_of_candidates(arm: Path, tmp_path: Path) -> None:
    """It takes over all the same: it failed for ever, and the robot was held."""
    policy = write_policy(tmp_path / 'usual.onnx', POSITION_ARM.spec)
    with FaultCell(
            POSITION_ARM, policy, description=arm, fallback__posture='home',
            fallback__after=AFTER, fallback__reasons='outside_envelope', **PATIENT) as cell:
        cell.wait_for_motion()
        assert cell.set(candidates=3).successful
        cell.wait_for(lambda: cell.standing['settings']['candidates'] == 3, 'candidates')

        def leave(message: Any) -> Any:
            message.pose.position.z = 50.0
            return message

        cell.disturb({'target_pose': leave})
        cell.wait_for(lambda: cell.standing.get('name') == 'posture home', 'the posture')
        cell.wait_for(
            lambda: np.abs(cell.commands[-1].numbers - HOME).max() < 1e-6, 'the posture')
        assert cell.process.stop(signal.SIGTERM) == 0
