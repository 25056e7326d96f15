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
"""
Policies that the frameworks of others have exported, run by the node in lockstep.

Every command is compared with that of the framework's own runtime. The files in
testing/data/interop are those of ``make interop``; ``INTEROP`` names a folder with new ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy')

from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.tools.adopt.adoption import Adoption, read_adoption
from dfp_ros.tools.adopt.main import main as adopt
from testing import ROOT
from testing.processes.heard_decisions import HeardDecisions
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess, Peer

FOLDER = Path(os.environ.get('INTEROP') or ROOT / 'testing' / 'data' / 'interop')
POLICIES = sorted(path.parent.name for path in FOLDER.glob('*/calls.npz'))
TOLERANCE = 1e-5
NUMBERS = 'numbers'


def write_robot(path: Path, adoption: Adoption) -> Path:
    """Describe a robot whose one message has the numbers of all terms, one after the other."""
    observation, start = [], 0
    for term in adoption.observed:
        field = {
            'name': term.name, 'unit': term.unit, 'source': NUMBERS, 'path': 'position',
            'indices': list(range(start, start + term.size)), 'scale': 1.0}
        if term.history > 1:
            field |= {'history': term.history, 'at_start': 'fill'}
        observation.append(field)
        start += term.size
    fields, start = [], 0
    for member in (member for output in adoption.outputs for member in output.fields):
        fields.append({
            'action': member.name, 'unit': member.unit, 'path': 'data', 'scale': 1.0,
            'indices': list(range(start, start + member.size))})
        start += member.size
    path.write_text(yaml.safe_dump({
        'robot': 'numbers', 'sources': {NUMBERS: {
            'topic': NUMBERS, 'type': 'sensor_msgs/msg/JointState', 'max_age': 1.0}},
        'observation': observation, 'commands': {'all': {
            'topic': 'commands', 'type': 'std_msgs/msg/Float64MultiArray', 'stop': 'keep',
            'kind': 'other', 'fields': fields}}}))
    return path


def ask(
        peer: Peer, heard: HeardDecisions, publisher: object, stamp: int,
        values: np.ndarray) -> RecordedDecision:
    """Publish an instant until it is answered, and return the decision."""
    message = JointState(position=values.astype(float).tolist())
    message.header.stamp = Time(nanoseconds=stamp).to_msg()

    def found() -> list[RecordedDecision]:
        return [
            each for each in heard.all[-5:]
            if each.stamp == stamp and each.state is State.RUNNING]

    for attempt in range(30):
        # The first ones may be before the node listens; a repeated one is not decided anew.
        publisher.publish(message)  # type: ignore[attr-defined]
        try:
            peer.wait_for(found, 2.0 if attempt else 1.0)
        except TimeoutError:
            continue
        return found()[-1]
    raise TimeoutError(f'no answer at {stamp}')


def test_there_are_policies() -> None:
    """So that none of the frameworks is silently left out."""
    assert {'rsl_rl_mlp', 'rsl_rl_lstm', 'leapp_gru'} <= {*POLICIES}


@pytest.mark.parametrize('name', POLICIES)
def test_the_node_commands_what_the_framework_does(name: str, tmp_path: Path) -> None:
    """Call by call, in two episodes, within 1e-5."""
    folder = FOLDER / name
    meaning, out = folder / 'meaning.adopt.yaml', tmp_path / 'policy.onnx'
    assert adopt([str(folder / 'policy.onnx'), str(meaning), '--out', str(out)]) == 0
    assert json.loads((folder / 'versions.json').read_text())
    calls = np.load(folder / 'calls.npz')
    robot = write_robot(tmp_path / 'robot.yaml', read_adoption(meaning))
    domain = free_domain()
    with Peer(domain) as peer:
        heard = HeardDecisions(peer)
        publisher = peer.node.create_publisher(JointState, NUMBERS, 5)
        with NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                out, robot=robot, trigger='samples', publish_decisions='true')) as node:
            stamp, found = 10**9, []
            for i, values in enumerate(calls['values']):
                if calls['first'][i] and i:
                    peer.call(Trigger, 'dfp_policy/reset')
                stamp += 20_000_000
                decision = ask(peer, heard, publisher, stamp, values)
                assert decision.command is not None
                found.append(np.concatenate([*decision.command.values()]))
            assert node.stop() == 0, node.output
    np.testing.assert_allclose(found, calls['commands'], atol=TOLERANCE, rtol=0)


def test_the_draft_of_a_leapp_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements, frequency, and the state with its first values, as LEAPP writes them."""
    monkeypatch.chdir(tmp_path)
    [bundle] = [
        path for path in (FOLDER / 'leapp_gru').glob('*.yaml') if 'adopt' not in path.name]
    assert adopt([str(bundle)]) == 1
    found = yaml.safe_load((tmp_path / 'policy.adopt.yaml').read_text())
    expected = yaml.safe_load((FOLDER / 'leapp_gru' / 'meaning.adopt.yaml').read_text())
    assert found['period'] == expected['period']
    [gyro] = found['inputs']['gyro']['terms']
    assert (gyro['unit'], gyro['elements']) == ('rad/s', ['x', 'y', 'z'])
    states = {name: given for name, given in expected['inputs'].items() if 'state' in given}
    assert states
    assert {name: found['inputs'][name] for name in states} == states
    [field] = found['outputs']['targets']['fields']
    assert (field['scale'], field['elements']) == (1, ['a', 'b', 'c', 'd'])


@pytest.mark.skipif('mjlab_velocity' not in POLICIES, reason='mjlab is not installed here')
def test_the_draft_of_mjlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, sizes, posture and scale, as mjlab writes them."""
    monkeypatch.chdir(tmp_path)
    folder = FOLDER / 'mjlab_velocity'
    assert adopt([str(folder / 'policy.onnx')]) == 1
    found = yaml.safe_load((tmp_path / 'policy.adopt.yaml').read_text())
    expected = yaml.safe_load((folder / 'meaning.adopt.yaml').read_text())
    terms = zip(
        found['inputs']['obs']['terms'], expected['inputs']['obs']['terms'], strict=True)
    for term, wanted in terms:
        assert [term.get(key) for key in ('name', 'size', 'last_action')] == [
            wanted.get(key) for key in ('name', 'size', 'last_action')]
        np.testing.assert_allclose(term.get('minus', 0), wanted.get('minus', 0), atol=5e-4)
    [field], [wanted] = (
        each['outputs']['actions']['fields'] for each in (found, expected))
    for key in ('scale', 'offset'):
        np.testing.assert_allclose(field[key], wanted[key], atol=5e-4)
    assert len(found['constants']) == 2
