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
"""Whole nodes with cameras: bad pictures stop the robot, and all else works as without cameras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('PIL')

from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.decision import State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.tools.replay.main import main as replay
from testing.fixtures.cameras import CAMERA_ARM, changed_robot, compressed, encode, raw, scene
from testing.policies.picture_policy import camera_spec, IMAGES, write_picture_policy
from testing.processes.camera_cell import CameraCell, good_picture, huge_picture
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess


@pytest.fixture(name='policy', scope='module')
def seeing_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a policy that sees."""
    return write_picture_policy(tmp_path_factory.mktemp('policy') / 'seeing.onnx')


def stops_and_goes_on(cell: CameraCell, bad: Any, text: str, good: Any) -> None:
    """Publish a bad picture, see the robot stopped because of it, and then that it goes on."""
    cell.wait_for(State.RUNNING)
    cell.wrist = bad
    cell.wait_for(State.HOLD, Reason.UNREADABLE)
    cell.commands.clear()
    cell.wait_for_text(text)
    cell.peer.wait_for(lambda: cell.commands)
    assert not any(cell.commands[-1].data)
    cell.wrist = good
    cell.wait_for(State.RUNNING)


def test_bad_pictures_stop_the_robot(policy: Path) -> None:
    """Each with a reason that names camera and fault; the node goes on afterwards."""
    with CameraCell(policy) as cell:
        cell.wait_for(State.RUNNING)
        for bad, text in (
                (raw(scene(0), 'bgr8'), "the encoding 'bgr8', the robot description says 'rgb8'"),
                (raw(scene(0), 'rgb8', data=bytes(100)), 'has 100 bytes of data, expected 9216'),
                (raw(scene(0)[:0], 'rgb8'), 'is 64 x 0 pixels'),
                (raw(scene(0, (24, 32, 3)), 'rgb8'), 'is 32 x 24 pixels'),
                (raw(scene(0), 'rgb8', step=10), 'a step of 10 bytes, expected at least 192')):
            stops_and_goes_on(cell, lambda count, bad=bad: bad, text, good_picture)
        cell.peer.wait_for(lambda: int(
            cell.wait_for_text('running')['source_wrist_camera_decoded']) > 50)
        assert cell.process.stop() == 0
        assert 'Traceback' not in cell.process.output


def test_pictures_far_too_large_stop_the_robot(policy: Path) -> None:
    """They are not taken apart, whether or not the middleware delivers them."""
    with CameraCell(policy) as cell:
        cell.wait_for(State.RUNNING)
        pictures, before = [huge_picture()], cell.resident()
        # Once, as publishing it takes a second.
        cell.wrist = lambda count: pictures.pop() if pictures else None
        row = cell.wait_for(State.HOLD)
        assert row.reason & (Reason.UNREADABLE | Reason.STALE)
        cell.wrist = good_picture
        cell.wait_for(State.RUNNING)
        # What waits, what is looked at, and what the middleware has of it, but no copies of those.
        assert cell.resident() - before < 1300 << 20
        assert cell.process.stop() == 0


def test_bad_compressed_pictures_stop_the_robot(policy: Path, tmp_path: Path) -> None:
    """Cut short, of another size, and a small file that says it is a huge picture."""
    robot = changed_robot(tmp_path, {
        'encoding: rgb8': 'encoding: jpeg', 'type: sensor_msgs/msg/Image\n    picture: '
        '{encoding: jpeg': 'type: sensor_msgs/msg/CompressedImage\n    picture: {encoding: jpeg'})
    whole = encode(scene(0), 'jpeg')
    at = whole.index(b'\xff\xc0') + 5
    bomb = whole[:at] + bytes((0x7f, 0xff) * 2) + whole[at + 4:]

    def good(count: int) -> Any:
        return compressed(scene(count), 'jpeg')

    with CameraCell(policy, robot, compressed=True) as cell:
        cell.wrist = good
        cell.wait_for(State.RUNNING)
        before = cell.resident()
        for data, text in (
                (whole[:-300], 'cannot be decoded'), (bomb, 'decompression bomb'),
                (encode(scene(0), 'png'), 'bytes that are not jpeg'), (b'', 'has 0 bytes')):
            stops_and_goes_on(
                cell, lambda count, data=data: compressed(scene(0), 'jpeg', data=data), text, good)
        assert cell.resident() - before < 64 << 20
        assert cell.process.stop() == 0


def test_a_frozen_camera_and_a_silent_one(policy: Path, tmp_path: Path) -> None:
    """The same picture with fresh stamps is stuck; none is stale."""
    robot = changed_robot(tmp_path, {'channels: rgb': 'channels: rgb, changes_within: 0.5'})
    with CameraCell(policy, robot, safety__stuck='hold') as cell:
        cell.wait_for(State.RUNNING)
        frozen = good_picture(0)
        cell.wrist = lambda count: frozen
        cell.wait_for(State.HOLD, Reason.STUCK)
        cell.wait_for_text('wrist has been exactly the same for')
        cell.wrist = good_picture
        cell.wait_for(State.RUNNING)
        cell.wrist = lambda count: None
        cell.wait_for(State.HOLD, Reason.STALE)


def test_a_robot_that_waits_for_its_command(policy: Path) -> None:
    """A set of one stamp is complete once its pictures are decoded."""
    with CameraCell(policy, trigger='samples') as cell:
        rows = cell.decisions.await_one(lambda row: row.state is State.RUNNING, 20)
        for row in rows:
            assert row.lockstep
            assert set(row.samples) == {'arm', 'wrist_camera', 'depth_camera'}
            assert set(row.samples.values()) == {row.stamp}
        assert len({row.pictures['wrist'] for row in rows}) == len(rows)


def test_swap_shadow_record_and_replay(
        policy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A policy is swapped for another, one runs beside, and all decisions are computed again."""
    other = write_picture_policy(tmp_path / 'other.onnx', seed=5)
    narrow = write_picture_policy(tmp_path / 'narrow.onnx', camera_spec(images=IMAGES[:1]))
    bag = tmp_path / 'bag'
    with CameraCell(policy, shadow=other) as cell:
        with NodeProcess(
                'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args', '-p',
                f'robot:={CAMERA_ARM}', '-p', f'out:={bag}') as recorder:
            shadows: list[Any] = cell.peer.collect(Float64MultiArray, 'dfp_policy/shadow')
            cell.peer.wait_for(lambda: 'recording' in recorder.output)
            cell.decisions.await_one(lambda row: row.state is State.RUNNING, 20)
            cell.peer.wait_for(lambda: len(shadows) > 5)
            assert any(abs(each.data[-1]) > 1e-3 for each in shadows)
            accepted, reason = cell.set('policy', str(narrow))
            assert not accepted
            assert "image field 1: policy 'seeing' has nothing" in reason
            before = cell.decisions.all[-1].entry
            assert cell.set('policy', str(other))[0]
            cell.decisions.await_one(lambda row: row.entry.policy != before.policy, 20)
            cell.wrist = lambda count: raw(scene(0), 'mono8')
            cell.wait_for(State.HOLD, Reason.UNREADABLE)
            cell.wrist = good_picture
            cell.decisions.await_one(lambda row: row.state is State.RUNNING, 20)
            assert recorder.stop() == 0, recorder.output
        assert cell.process.stop() == 0, cell.process.output
        heard = [row for row in cell.decisions.all if row.pictures]
    assert len({row.pictures['wrist'] for row in heard}) > 20
    assert replay([str(bag)]) == 0, capfd.readouterr()
    assert ' decisions, all equal' in capfd.readouterr().out


def test_a_preflight_measures_cameras(policy: Path, tmp_path: Path) -> None:
    """Their rates, how many pictures were decoded, and what is wrong with them."""
    report = tmp_path / 'preflight.json'

    def measured(cell: CameraCell) -> dict[str, Any]:
        with NodeProcess(
                'dfp_ros.tools.preflight.main', cell.domain, '--seconds', '2', '--wait', '60',
                '--json', str(report), '--ros-args',
                *arguments(policy, robot=CAMERA_ARM)) as process:
            cell.peer.wait_for(lambda: process.process.poll() is not None)
            assert 'camera' in process.output, process.output
        return json.loads(report.read_text())  # type: ignore

    with CameraCell(policy) as cell:
        cell.wait_for(State.RUNNING)
        found = measured(cell)
        sources = {source['name']: source for source in found['figures']['sources']}
        wrist = sources['wrist_camera']
        assert wrist['picture'] == '64 x 48 rgb8'
        assert 5 < wrist['rate'] < 30
        assert wrist['messages'] >= wrist['decoded'] >= wrist['count'] > 10
        assert 0 < wrist['decoding'] < 1
        assert sources['arm']['picture'] == ''
        assert found['figures']['running'] > 10
        cell.wrist = lambda count: raw(scene(count), 'bgr8')
        remarks = [remark['text'] for remark in measured(cell)['remarks']]
        assert any("the encoding 'bgr8', the robot description says 'rgb8'" in text
                   for text in remarks)


def test_a_replay_finds_a_changed_picture(policy: Path, tmp_path: Path) -> None:
    """Its hash differs from the recorded one; inference runs beside the loop."""
    from rosbags.highlevel import AnyReader
    from rosbags.rosbag2 import StoragePlugin, Writer
    bag, changed = tmp_path / 'bag', tmp_path / 'changed'
    with CameraCell(policy, planning__asynchronous=True) as cell, NodeProcess(
            'dfp_ros.tools.recording.recorder', cell.domain, '--ros-args', '-p',
            f'robot:={CAMERA_ARM}', '-p', f'out:={bag}') as recorder:
        cell.peer.wait_for(lambda: 'recording' in recorder.output)
        cell.decisions.await_one(lambda row: row.state is State.RUNNING, 20)
        assert recorder.stop() == 0, recorder.output
    with AnyReader([bag]) as reader, Writer(
            changed, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            each.topic: writer.add_connection(each.topic, each.msgtype, typestore=reader.typestore)
            for each in reader.connections}
        for connection, received, content in reader.messages():
            message = reader.deserialize(content, connection.msgtype)
            if connection.topic == '/wrist/image_raw':
                message.data = np.bitwise_xor(message.data, 64)
            writer.write(
                connections[connection.topic], received,
                reader.typestore.serialize_cdr(message, connection.msgtype))
    assert replay([str(bag)]) == 0
    assert replay([str(changed)]) == 1
