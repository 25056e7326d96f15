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
"""Node with an adopted, recurrent policy: each command is the one that the foreign file gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.control.input_log import policy_number
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.tools.adopt.adoption import Adoption, read_adoption
from dfp_ros.tools.adopt.foreign_model import load_foreign_model
from dfp_ros.tools.adopt.foreign_runtime import ForeignRuntime
from dfp_ros.tools.adopt.layout import lay_out
from dfp_ros.tools.adopt.main import main as adopt
from dfp_ros.tools.replay.main import main as replay
from testing.policies.foreign_policies import write_recurrent
from testing.processes.heard_decisions import HeardDecisions
from testing.processes.legged_robot import LEGGED, LeggedRobot, MEANING, SIZES
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess

TOLERANCE = 1e-5


@pytest.fixture(name='policies', scope='module')
def two_policies(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """Adopt two policies; return the foreign file and the policy file of each."""
    folder = tmp_path_factory.mktemp('adopted')
    made = []
    for seed in (0, 1):
        foreign = write_recurrent(folder / f'foreign_{seed}.onnx', *SIZES, seed)
        out = folder / f'adopted_{seed}.onnx'
        assert adopt([str(foreign), str(MEANING), '--out', str(out)]) == 0
        made.append((foreign, out))
    return made


def reference(foreign: Path) -> tuple[Adoption, ForeignRuntime]:
    """Open the foreign file."""
    adoption, model = read_adoption(MEANING), load_foreign_model(foreign)
    return adoption, ForeignRuntime(adoption, model, lay_out(adoption, model).shapes)


def require_foreign_commands(
        decisions: list[RecordedDecision], policies: list[tuple[Path, Path]]) -> list[int]:
    """
    Require that each command is the foreign file's, with its own state since the last break.

    :return: Lengths of the unbroken series of answers.
    """
    runtimes = {
        policy_number(read_policy_file(out).sha256): reference(foreign)
        for foreign, out in policies}
    series = [0]
    running = 0
    for i, decision in enumerate(decisions):
        assert decision.entry is not None
        assert not i or decision.number == decisions[i - 1].number + 1
        if decision.state is not State.RUNNING or decision.entry.step == 1 or (
                decision.entry.policy != running):
            running = decision.entry.policy
            for _, runtime in runtimes.values():
                runtime.reset()
            series.append(0)
        if decision.state is not State.RUNNING or decision.inference is None:
            continue
        adoption, runtime = runtimes[decision.entry.policy]
        assert decision.observation is not None
        assert decision.command is not None
        values = terms_of(adoption, decision.observation)
        found = np.concatenate([*decision.command.values()])
        np.testing.assert_allclose(
            found, runtime.command(values)[0], atol=TOLERANCE, rtol=0,
            err_msg=f'decision {decision.number}, answer {series[-1]} of its series')
        series[-1] += 1
    return series


def require_foreign_shadow(
        shadows: list[Float64MultiArray], decisions: list[RecordedDecision],
        foreign: Path, number: int) -> None:
    """
    Require that the shadow's commands are the foreign file's, until its policy takes over.

    A busy machine may leave a step without time for the shadow, which then begins anew, and the
    first messages of a new topic may be lost. So the first step of each unbroken series of
    commands is one of those before it that were not heard.
    """
    adoption, runtime = reference(foreign)
    seen = {
        decision.number: decision.observation for decision in decisions
        if decision.observation is not None and decision.entry.policy != number}
    said = {int(message.data[0]): np.array(message.data[3:]) for message in shadows}
    series: list[list[int]] = []
    for heard in sorted(said.keys() & seen.keys()):
        if series and heard == series[-1][-1] + 1:
            series[-1].append(heard)
        else:
            series.append([heard])

    def follows(start: int, heard: list[int]) -> bool:
        """Tell whether the commands are the answers of a file that began at a step."""
        runtime.reset()
        told = [
            runtime.command(terms_of(adoption, seen[step]))[0]
            for step in range(start, heard[-1] + 1)][heard[0] - start:]
        return all(
            np.abs(said[step][:len(found)] - found).max() < TOLERANCE
            for step, found in zip(heard, told, strict=True))

    after = min(said) - 50
    for heard in series:
        start = heard[0]
        while not (right := follows(start, heard)) and start - 1 > after and start - 1 in seen:
            start -= 1
        assert right, f'steps {heard}: no first step from which the foreign file answers so'
        after = heard[-1]
    assert sum(map(len, series)) >= 8


def terms_of(adoption: Adoption, observation: np.ndarray) -> dict[str, np.ndarray]:
    """Take an observation apart."""
    values, start = {}, 0
    for term in adoption.observed:
        values[term.name] = observation[start:start + term.width].astype(
            np.float32).reshape(term.history, term.size)
        start += term.width
    return values


def test_every_command_is_the_foreign_one(
        policies: list[tuple[Path, Path]], tmp_path: Path) -> None:
    """
    In an episode, after a hold, a reset and a swap; and all is replayed bit for bit.

    Before the swap, the other policy is the shadow, and what it would command is the foreign
    file's answer, too.
    """
    domain = free_domain()
    with LeggedRobot(domain) as robot:
        heard = HeardDecisions(robot.peer)
        shadows: list[Float64MultiArray] = robot.peer.collect(
            Float64MultiArray, 'dfp_policy/shadow')
        with NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                policies[0][1], robot=LEGGED, publish_decisions='true')) as node, NodeProcess(
                'dfp_ros.tools.recording.recorder', domain, '--ros-args', '-p',
                f'robot:={LEGGED}', '-p', f'out:={tmp_path / "bag"}') as recorder:

            def run(count: int) -> None:
                heard.await_one(lambda each: each.state is State.RUNNING, count)

            run(60)
            robot.silent = {'imu'}
            heard.await_one(lambda each: each.state is State.HOLD, 3)
            robot.silent = set()
            run(30)
            robot.peer.call(Trigger, 'dfp_policy/reset')
            run(30)

            def change(name: str, value: ParameterValue) -> None:
                result = robot.peer.call(
                    SetParameters, 'dfp_policy/set_parameters', SetParameters.Request(
                        parameters=[Parameter(name=name, value=value)])).results[0]
                assert result.successful, result.reason

            change('safety.envelope_margin', ParameterValue(
                type=ParameterType.PARAMETER_DOUBLE, double_value=0.2))
            run(20)
            number = policy_number(read_policy_file(policies[1][1]).sha256)
            other = ParameterValue(
                type=ParameterType.PARAMETER_STRING, string_value=str(policies[1][1]))
            change('shadow', other)
            robot.peer.wait_for(lambda: len(shadows) >= 10)
            change('policy', other)
            heard.await_one(lambda each: (
                each.state is State.RUNNING and each.entry.policy == number), 30)
            robot.peer.wait_for(lambda: robot.gains and robot.efforts and robot.targets)
            assert recorder.stop() == 0, recorder.output
            assert node.stop() == 0, node.output
            assert 'Traceback' not in node.output
    decisions = heard.all
    series = require_foreign_commands(decisions, policies)
    assert len([length for length in series if length >= 25]) >= 4, series
    # The change of a parameter did not break the state's series.
    assert max(series) >= 45
    require_foreign_shadow(shadows, decisions, policies[1][0], number)
    assert list(robot.gains[-1].data) == [40, 45, 1, 1.5]
    assert max(abs(number) for message in robot.efforts for number in message.data) <= 4
    assert any(any(message.data) for message in robot.efforts)
    assert replay([
        str(tmp_path / 'bag'), '--robot', str(LEGGED),
        *(word for _, out in policies for word in ('--policy', str(out)))]) == 0


def test_preflight(policies: list[tuple[Path, Path]], tmp_path: Path) -> None:
    """It judges an adopted policy as any other."""
    domain, report = free_domain(), tmp_path / 'preflight.json'
    with LeggedRobot(domain) as robot, NodeProcess(
            'dfp_ros.tools.preflight.main', domain, '--seconds', '2', '--wait', '60', '--json',
            str(report), '--ros-args', *arguments(policies[0][1], robot=LEGGED, rate=5.0),
            ) as process:
        robot.peer.wait_for(lambda: process.process.poll() is not None)
        assert process.wait() == 0, process.output
        assert (robot.targets, robot.efforts, robot.gains) == ([], [], [])
    found = json.loads(report.read_text())
    assert found['passed'] is True
    assert found['figures']['running'] == found['figures']['ticks'] > 5


def test_a_robot_that_lacks_a_field(policies: list[tuple[Path, Path]], tmp_path: Path) -> None:
    """The policy is refused, and the field named."""
    robot = tmp_path / 'robot.yaml'
    robot.write_text(LEGGED.read_text().replace('turn_command', 'yaw_command'))
    with NodeProcess('dfp_ros.policy_node', free_domain(), '--ros-args', *arguments(
            policies[0][1], robot=robot)) as node:
        assert node.wait() == 1
        assert "observation field 3: policy 'legged' has turn_command (1), robot 'legged'" in (
            node.output)
