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
"""Replay of a recording made over ROS by a real node, robot and recorder."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import shutil
import signal
from typing import Any

import pytest

from testing import ROOT

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import numpy as np
import onnx
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.decision_row import read_decision
from dfp_ros.core.control.episode_marks import TOPIC
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.spec import METADATA_KEY
from dfp_ros.tools.replay.main import _given_policy, main
from dfp_ros.tools.replay.recorded_bag import Recording
from testing.policies.small_policy import write_policy
from testing.processes.ros_processes import NodeProcess, Peer

POLICY = ROOT / 'models' / 'cube_single.onnx'
NODE = '/dfp_policy'


def record(folder: Path, trigger: str, mode: str, swap: Path | None = None) -> Path:
    """
    Record episodes of the simulated robot: two, or three with a swap of the policy in the midst.

    On a busy machine, the policy may take over only with the seed of the second episode.
    """
    from testing.processes.policy_cell import arguments
    domain, bag = free_domain(), folder / 'bag'
    episodes = '2' if swap is None else '3'
    with NodeProcess(
            'dfp_ros.tools.recording.recorder', domain, '--ros-args', '-p', 'robot:=ur5e_cube',
            '-p', f'out:={bag}', '-p', f'episodes:={episodes}') as recorder, NodeProcess(
            'dfp_ros.policy_node', domain, '--ros-args', *arguments(
                POLICY, trigger=trigger, publish_decisions='true',
                autostart='false')) as brain, Peer(domain) as peer, NodeProcess(
            'dfp_ros.sim.sim_robot.main', domain, '--ros-args', '-p', f'mode:={mode}', '-p',
            'seed:=700', '-p', f'episodes:={episodes}', '-p',
            'policy_node:=dfp_policy') as robot:
        # The robot marks its first episode once the policy is active: by then the recorder has to
        # be known to it, or that mark is lost.
        peer.wait_for(lambda: is_known(
            'dfp_recorder', peer.node.get_subscriptions_info_by_topic(TOPIC)) and is_known(
                'sim_robot', peer.node.get_publishers_info_by_topic(TOPIC)))
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert peer.call(ChangeState, f'{NODE}/change_state', ChangeState.Request(
                transition=Transition(id=transition))).success, brain.output
        peer.wait_for(lambda: 'mark: start' in recorder.output)
        if swap is not None:
            from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
            from rcl_interfaces.srv import SetParameters
            rows = peer.collect(Float64MultiArray, 'dfp_policy/decision')
            peer.wait_for(lambda: len(rows) > 20)
            value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(swap))
            answer = peer.call(SetParameters, 'dfp_policy/set_parameters', SetParameters.Request(
                parameters=[Parameter(name='policy', value=value)]))
            assert answer.results[0].successful, answer
        assert robot.wait(240) == 0, robot.output + brain.output
        assert recorder.wait(60) == 0, recorder.output
        assert brain.stop() == 0, brain.output
    return bag


def is_known(name: str, ends: list[Any]) -> bool:
    """Tell whether a node is at one of the ends of a topic."""
    return any(end.node_name == name for end in ends)


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record in lockstep, once for all tests."""
    return record(tmp_path_factory.mktemp('lockstep'), 'samples', 'lockstep')


def copy(bag: Path, out: Path, change: Callable[[str, int, Any], bool]) -> Path:
    """
    Copy a bag, message by message.

    :param change: Gets topic, count within the topic and message; whether it is copied.
    """
    with AnyReader([bag]) as reader, Writer(
            out, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            each.topic: writer.add_connection(
                each.topic, each.msgtype, typestore=reader.typestore)
            for each in reader.connections}
        counts: dict[str, int] = {}
        for connection, received, raw in reader.messages():
            topic = connection.topic
            message = reader.deserialize(raw, connection.msgtype)
            counts[topic] = counts.get(topic, 0) + 1
            if change(topic, counts[topic], message):
                writer.write(
                    connections[topic], received,
                    reader.typestore.serialize_cdr(message, connection.msgtype))
    return out


def flipped(numbers: np.ndarray, place: int, bit: int) -> np.ndarray:
    """Change one bit of one number."""
    changed = numbers.copy()
    changed.view(np.int64)[place] ^= 1 << bit
    return changed


def test_lockstep(
        bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every decision of two episodes is reproduced.

    The recording is a folder, its file, or that of a killed recorder.
    """
    killed = tmp_path / 'killed'
    killed.mkdir()
    # As a recorder leaves it that was killed: without metadata.yaml, and cut within a record.
    whole = (bag / 'bag.mcap').read_bytes()
    (killed / 'bag.mcap').write_bytes(whole[:whole.rindex(b'serialized_metadata') + 5])
    for path in (bag, bag / 'bag.mcap', killed):
        assert main([str(path)]) == 0
        output = capsys.readouterr().out
        assert 'decisions, all equal' in output
        assert 'not replayed' not in output
    assert f'{NODE}: {output.rsplit("decisions, all", 1)[0].split()[-1]} decisions in' in output


def test_finds_the_bit(
        bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One changed bit of a command, and one of a sensor, are each found at their decision."""
    def sent(topic: str, count: int, message: Any) -> bool:
        if topic == f'{NODE}/decision' and count == 20:
            # The last are the numbers of a person, who was not there.
            object.__setattr__(message, 'data', flipped(message.data, -6, 0))
        return True

    assert main([str(copy(bag, tmp_path / 'sent', sent))]) == 1
    lines = capsys.readouterr().out.splitlines()
    found = next(i for i, line in enumerate(lines) if 'decisions differ' in line)
    assert lines[found].startswith('1 of ')
    assert 'the first is number 20, at' in lines[found]
    assert lines[found + 1].strip() == 'sent/gripper_rate'
    assert lines[found + 2].split()[0] == 'recorded'
    assert lines[found + 2].split()[1] != lines[found + 3].split()[1]

    changed: list[int] = []

    def sensed(topic: str, count: int, message: Any) -> bool:
        if topic == '/joint_states' and count == 30:
            object.__setattr__(message, 'position', flipped(message.position, 0, 40))
            changed.append(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)
        return True

    assert main([str(copy(bag, tmp_path / 'sensed', sensed))]) == 1
    assert '\n  observation\n' in capsys.readouterr().out
    assert changed


def test_gaps_and_missing_samples(
        bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing samples and decisions are counted; all others are replayed, and equal."""
    def without(topic: str, count: int, message: Any) -> bool:
        return not (
            topic == f'{NODE}/decision' and (count < 4 or 20 <= count < 23)
            or topic == '/cube_0_pose' and count == 70)

    assert main([str(copy(bag, tmp_path / 'gaps', without))]) == 0
    output = capsys.readouterr().out
    # This policy plans one action at a time, so no decision has a past that is gone.
    assert 'not replayed: 1, a sample is not in the recording' in output
    total = int(output.split()[1])
    assert f'{total - 1} decisions, all equal' in output


def test_another_policy(
        bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its differences are a table; the recorded policy is found by its hash if it was renamed."""
    assert main([str(bag), '--policy', str(write_policy(tmp_path / 'other.onnx'))]) == 0
    output = capsys.readouterr().out
    assert f"policy 'test' ({tmp_path / 'other.onnx'}) instead:" in output
    assert 'running         running' in output
    assert 'sent/effector_linear_velocity' in output
    moved = shutil.copy(POLICY, tmp_path / 'moved.onnx')
    assert main([str(bag), '--policy', str(moved)]) == 0
    assert 'all equal' in capsys.readouterr().out


@pytest.mark.parametrize(('arguments', 'message'), [
    (['none'], 'none: found no such file or folder'),
    (['BAG', '--node', 'x'], 'the topic /x/decision is miss'),
    (['BAG', '--robot', 'none'], "found 'none'"), (['NO DECISIONS'], 'publish_decisions:=true'),
    (['NO POLICY'], 'found no message on /dfp_policy/policy'),
    (['NO CUBE'], '/cube_0_pose: found no such topic')])
def test_says_what_is_wrong(
        bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
        message: str) -> None:
    """Status 2, and the reason."""
    unwanted = {'NO DECISIONS': '/decision', 'NO POLICY': '/policy', 'NO CUBE': '/cube_0_pose'}
    path = str(bag)
    if arguments[0] in unwanted:
        ending = unwanted[arguments[0]]
        path = str(tmp_path / 'bag')
        with AnyReader([bag]) as reader, Writer(tmp_path / 'bag', version=9) as writer:
            there = {
                each.id: writer.add_connection(
                    each.topic, each.msgtype, typestore=reader.typestore)
                for each in reader.connections if not each.topic.endswith(ending)}
            for connection, received, raw in reader.messages():
                if connection.id in there:
                    writer.write(there[connection.id], received, raw)
    elif arguments[0] == 'none':
        path = 'none'
    assert main([path, *arguments[1:]]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_real_time_and_a_swap(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ticks by a timer, sources that fall silent at the end, and another policy midway."""
    # Another by its name alone, which solves its episode, too: that ends it early.
    model = onnx.load(POLICY)
    spec = {each.key: each.value for each in model.metadata_props}[METADATA_KEY]
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps({
        **json.loads(spec), 'name': 'test'})})
    swapped = tmp_path / 'other.onnx'
    onnx.save(model, swapped)
    bag = record(tmp_path, 'timer', 'realtime', swapped)
    status = main([str(bag)])
    output = capsys.readouterr().out
    assert status == 0, output
    assert 'decisions, all equal' in output
    assert 'test (sha256' in output
    rows = []
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            if connection.topic == f'{NODE}/decision':
                message = reader.deserialize(raw, connection.msgtype)
                rows.append(read_decision(
                    [(part.label, part.size) for part in message.layout.dim], message.data))
    entries = [row.entry for row in rows if row.entry is not None]
    assert len({entry.policy for entry in entries}) == 2
    # Each episode sets its seed, which makes another loop too.
    assert len({entry.loop for entry in entries}) >= 3


def test_an_interrupt_ends_a_load_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """While ONNX Runtime loads another policy, SIGINT is not left to Python."""
    met = []
    monkeypatch.setattr(
        'dfp_ros.tools.replay.main.load_policy',
        lambda path: met.append(signal.getsignal(signal.SIGINT)))
    _given_policy('cube_single', Recording('', (), (), {}))
    assert met == [signal.SIG_DFL]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
