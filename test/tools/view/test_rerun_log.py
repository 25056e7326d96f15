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
"""View in Rerun: what is recorded is read back."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfp_ros.sim.demo.main import parse as parse_demo
from dfp_ros.tools.view.main import main
from dfp_ros.tools.view.rerun_stream import INSTALL, NO_DISPLAY
from dfp_ros.tools.view.series import Series
from dfp_ros.tools.view.shown_topics import MOST_TOPICS, node_topics, robot_topics, Shown
from testing import ROOT
from testing.fixtures import bags
from testing.fixtures.robot_samples import ARM

STEPS = 8


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record an episode with its decisions, the last two of which are held."""
    messages = bags.demonstration(STEPS)
    for i in range(STEPS):
        at = bags.START + i * bags.PERIOD
        messages += bags.decision(i, at, at - 3 * bags.MS, i / 100, i / 10, held=i >= STEPS - 2)
    return bags.write_bag(tmp_path_factory.mktemp('bags') / 'bag', messages)


def read_back(path: Path) -> dict[str, list[tuple[int, list[Any]]]]:
    """Read a recording of Rerun: by entity and component, times in ns and values."""
    chunk = pytest.importorskip(
        'rerun.chunk', reason='rerun-sdk 0.41 is not installed (`make view-env`)')
    found: dict[str, list[tuple[int, list[Any]]]] = defaultdict(list)
    for each in chunk.RrdReader(path).stream().to_chunks():
        batch = each.to_record_batch()
        times = batch.column('time').cast('int64').to_pylist() if (
            'time' in batch.schema.names) else [-1] * batch.num_rows
        for name in batch.schema.names:
            if ':' in name:
                found[f'{each.entity_path} {name}'] += [
                    (time, values) for time, values in zip(
                        times, batch.column(name).to_pylist(), strict=True) if values is not None]
    return {name: sorted(values, key=lambda each: each[0]) for name, values in found.items()}


def scalars(found: dict[str, list[tuple[int, list[Any]]]], entity: str) -> np.ndarray:
    """Return the numbers of an entity, by time."""
    return np.array([values for _, values in found[f'{entity} Scalars:scalars']])


def shown(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, which gives way to everything else."""
    return subprocess.run(
        [sys.executable, '-m', 'dfp_ros.tools.view.main', *arguments], capture_output=True,
        text=True, check=True)


def test_a_bag_is_read_back(
        bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Actions at every stage, joints, poses, states and changes, at the times of the bag."""
    pytest.importorskip('rerun', reason='rerun-sdk is not installed (`make view-env`)')
    out = tmp_path / 'made' / 'bag.rrd'
    said = shown('--bag', str(bag), '--save', str(out)).stdout
    assert f'{out}: ' in said
    assert f'{STEPS} of decision' in said
    found = read_back(out)
    expected = np.arange(STEPS) / 10
    times = bags.START + np.arange(STEPS) * bags.PERIOD
    command = found['/actions/gripper_rate/command Scalars:scalars']
    assert [time for time, _ in command] == times.tolist()
    assert scalars(found, '/policy/action/effector_linear_velocity') == pytest.approx(
        np.repeat(expected[:, None], 3, 1))
    assert scalars(found, '/actions/gripper_rate/command')[:, 0] == pytest.approx(20 * expected)
    assert scalars(found, '/actions/gripper_rate/sent')[:, 0] == pytest.approx(10 * expected)
    assert scalars(found, '/loop/state')[:, 0].tolist() == [1.0] * 6 + [2.0] * 2
    assert scalars(found, '/loop/commander')[:, 0].tolist() == [1.0] * 6 + [0.0] * 2
    assert scalars(found, '/reasons/stale')[-2:, 0].tolist() == [1.0, 1.0]
    joints = scalars(found, '/robot/position/joint_states')
    assert joints.shape[1] == len(ARM)
    assert joints[-1] == pytest.approx((STEPS - 1) / 100)
    (_, names), = found['/robot/position/joint_states SeriesLines:names']
    assert names == list(ARM)
    _, path = found['/world/paths/effector_pose LineStrips3D:strips'][-1]
    assert path[0][-1] == pytest.approx([0.4, (STEPS - 1) / 100, 0.2])
    words = [text for _, (text, *_) in found['/log TextLog:text']]
    assert words[0] == 'episode: start'
    assert words[-1] == 'episode: success'
    assert 'running, commanded by policy; reasons: none' in words
    assert 'hold, commanded by nobody; reasons: stale' in words
    assert main(['--bag', str(bag), '--save', str(out)]) == 2
    assert 'bag.rrd already exists' in capsys.readouterr().err
    assert 'has neither left/decision nor left/statistics' in shown(
        '--bag', str(bag), '--node', 'left', '--save', str(out), '--force').stderr


def test_a_running_node_is_recorded(tmp_path: Path) -> None:
    """Until Ctrl-C: its decisions, and the joints of a robot that appears later."""
    pytest.importorskip('rerun', reason='rerun-sdk is not installed (`make view-env`)')
    pytest.importorskip('rclpy')
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

    from dfp_ros.node.ros.domain import free_domain
    from testing.processes.ros_processes import NodeProcess, Peer
    [(_, _, row)] = bags.decision(1, bags.START, bags.START, 0.5)
    message = Float64MultiArray(data=row.data.tolist(), layout=MultiArrayLayout(dim=[
        MultiArrayDimension(label=part.label, size=int(part.size)) for part in row.layout.dim]))
    domain, out = free_domain(), tmp_path / 'live.rrd'
    with Peer(domain) as peer, NodeProcess(
            'dfp_ros.tools.view.main', domain, '--save', str(out)) as view:
        decisions = peer.node.create_publisher(Float64MultiArray, 'dfp_policy/decision', 10)
        peer.wait_for(decisions.get_subscription_count)
        joints = peer.node.create_publisher(JointState, 'joint_states', 10)
        peer.wait_for(joints.get_subscription_count)
        peer.node.create_timer(0.02, lambda: (
            decisions.publish(message), joints.publish(JointState(name=['a'], position=[0.5]))))
        # More than is left in the buffers of a file.
        peer.wait_for(lambda: out.stat().st_size > 20_000)
        assert view.stop() == 0, view.output
        assert 'of decision' in view.output
        assert 'of joints' in view.output
    found = read_back(out)
    assert scalars(found, '/policy/action/gripper_rate')[0].tolist() == [0.5]
    assert scalars(found, '/robot/position/joint_states')[0].tolist() == [0.5]


def test_absurd_messages_are_left_out(tmp_path: Path) -> None:
    """Anybody may publish anything; the view goes on."""
    rerun = pytest.importorskip('rerun', reason='rerun-sdk is not installed (`make view-env`)')
    from dfp_ros.tools.view.rerun_log import RerunLog
    stream = rerun.RecordingStream('test')
    stream.save(str(tmp_path / 'x.rrd'))
    log = RerunLog(stream)
    place = SimpleNamespace(x=float('nan'), y=0.0, z=0.0, w=1.0)
    picture = SimpleNamespace(
        encoding='rgb8', width=2, height=2, step=8, data=bytes(range(16)))
    for shown, messages in {
            Shown.DECISION: [bags.array([]), bags.array([1.0], [('state', 1)]),
                             bags.array([1e300] * 2, [('state', 1), ('reason', 1)])],
            Shown.STATISTICS: [bags.array([1.0] * 3, [('ticks', 1), ('sent/../x y', 2)])],
            Shown.POLICY: [SimpleNamespace(data=text) for text in (
                '', '[]', '{"name": 1}', '[' * 9999, '{"name": "a", "sha256": "b"}')],
            Shown.MARK: [SimpleNamespace(data='\x1b[2J' * 1000)],
            Shown.DIAGNOSTICS: [SimpleNamespace(status=[SimpleNamespace(
                name='x', message='y', level=level)]) for level in (b'\x02', 3, b'\x00')],
            Shown.JOINTS: [SimpleNamespace(
                name=['a'] * count, position=[1.0], velocity=[]) for count in (0, 1, 2, 999)],
            Shown.POSE: [SimpleNamespace(pose=SimpleNamespace(position=place, orientation=place))],
            Shown.IMAGE: [picture, SimpleNamespace(**{**vars(picture), 'height': 9}),
                          SimpleNamespace(**{**vars(picture), 'encoding': 'x'})]}.items():
        for time, message in enumerate(messages):
            log.take('/a/topic', shown, message, 10**9 * (1 + time))
    log.flush()
    stream.flush()
    stream.disconnect()
    found = read_back(tmp_path / 'x.rrd')
    (_, pixels), = found['/camera/a/topic Image:buffer']
    assert pixels[0] == [*range(6), *range(8, 14)]
    assert not any(entity.startswith('/world') for entity in found)
    assert len(found['/policy/running TextDocument:text']) == 1


def taken(path: Path, *messages: tuple[str, Shown, Any, int]) -> dict[str, Any]:
    """Translate messages, with their topics, kinds and times, and read the result back."""
    rerun = pytest.importorskip('rerun', reason='rerun-sdk is not installed (`make view-env`)')
    from dfp_ros.tools.view.rerun_log import RerunLog
    stream = rerun.RecordingStream('test')
    stream.save(str(path))
    log = RerunLog(stream)
    for each in messages:
        log.take(*each)
    log.flush()
    stream.flush()
    stream.disconnect()
    return read_back(path)


def test_joints_of_two_publishers_are_not_mixed_up(tmp_path: Path) -> None:
    """An arm and its gripper may share a topic, and a driver may change the order."""
    def state(**joints: float) -> Any:
        return SimpleNamespace(
            name=list(joints), position=list(joints.values()), velocity=[])

    found = taken(tmp_path / 'x.rrd', *(
        ('/joint_states', Shown.JOINTS, each, 10**9 + i) for i, each in enumerate((
            state(a=1.0, b=2.0), state(finger=9.0), state(b=2.5, a=1.5), state(finger=9.5)))))
    entity = '/robot/position/joint_states'
    assert [names for _, names in found[f'{entity} SeriesLines:names']] == [['a', 'b']]
    assert [names for _, names in found[f'{entity}/2 SeriesLines:names']] == [['finger']]
    assert found[f'{entity} Scalars:scalars'] == [
        (10**9, [1.0, 2.0]), (10**9 + 2, [1.5, 2.5])]
    assert found[f'{entity}/2 Scalars:scalars'] == [(10**9 + 1, [9.0]), (10**9 + 3, [9.5])]


def test_a_clock_that_is_set_back_hides_nothing(tmp_path: Path) -> None:
    """Poses, pictures and statistics go on."""
    def pose(x: float) -> Any:
        return SimpleNamespace(pose=SimpleNamespace(
            position=SimpleNamespace(x=x, y=0.0, z=0.0),
            orientation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)))

    picture = SimpleNamespace(encoding='mono8', width=2, height=1, step=2, data=b'12')
    statistics = bags.array([1.0, 1.0], [('ticks', 1), ('state', 1)])
    later, earlier = 7200 * 10**9, 3600 * 10**9
    found = taken(
        tmp_path / 'x.rrd', ('/p', Shown.POSE, pose(1.0), later),
        ('/c', Shown.IMAGE, picture, later),
        ('/d', Shown.DECISION, bags.array([1.0, 1.0], [('state', 1), ('reason', 1)]), later),
        ('/p', Shown.POSE, pose(2.0), earlier), ('/c', Shown.IMAGE, picture, earlier),
        ('/s', Shown.STATISTICS, statistics, earlier))
    assert [time for time, _ in found['/world/p Transform3D:translation']] == [earlier, later]
    assert [time for time, _ in found['/camera/c Image:buffer']] == [earlier, later]
    assert [time for time, _ in found['/loop/state Scalars:scalars']] == [earlier, later]


def test_numbers_are_passed_on_together() -> None:
    """In order, with missing values in place, unless all are missing; sizes may change."""
    calls: list[tuple[tuple[str, ...], list[int], list[list[float]]]] = []
    series = Series(lambda path, times, values: calls.append(
        (path, times.tolist(), values.tolist())))
    for time, values in enumerate(([1.0, 2.0], [float('nan')] * 2, [3.0, 4.0], [5.0])):
        series.add(('a',), time, values)
    assert calls == [(('a',), [0, 2], [[1.0, 2.0], [3.0, 4.0]])]
    series.flush()
    series.flush()
    assert calls[1:] == [(('a',), [3], [[5.0]])]


def test_topics_are_chosen_by_type() -> None:
    """Of the robot, those that can be shown; of the node, those that it publishes."""
    types = {f'/topic_{i:03}': ['geometry_msgs/msg/PoseStamped'] for i in range(100)}
    assert len(robot_topics(types)) == MOST_TOPICS
    assert robot_topics({
        '/a': ['sensor_msgs/msg/JointState'], '/b': ['std_msgs/msg/String'], '/c': [],
        '/d': ['sensor_msgs/msg/Image']}) == {'/a': Shown.JOINTS, '/d': Shown.IMAGE}
    assert '/left/dfp_policy/decision' in node_topics('/left/dfp_policy')
    assert node_topics('/left/dfp_policy')['/left/episode_marks'] is Shown.MARK


def test_without_rerun_it_says_what_to_install(
        bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """For the command and for the demo, before anything is started."""
    monkeypatch.setitem(sys.modules, 'rerun', None)
    out = str(tmp_path / 'x.rrd')
    assert main(['--bag', str(bag), '--save', out]) == 2
    assert '`make view-env` installs it' in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        parse_demo(['--view', 'rerun', '--save', out])
    assert refused.value.code == 2
    assert '`make view-env` installs it' in capsys.readouterr().err


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--save', 'x.rrd', '--connect', 'y'], 'found --save and --connect, expected one'),
    (['--node', 'a b'], "--node: found 'a b', expected a name"),
    (['--save', 'x.png'], 'expected a name that ends in .rrd'),
    ([], 'this terminal cannot show the view: the output is not a terminal')])
def test_bad_arguments_are_refused(
        arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the argument."""
    try:
        status = main(arguments)
    except SystemExit as refused:
        status = int(str(refused.code))
    assert status == 2
    assert message in capsys.readouterr().err


def test_a_viewer_that_is_not_there_is_named(
        bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The address is right, and nobody listens."""
    pytest.importorskip('rerun', reason='rerun-sdk is not installed (`make view-env`)')
    assert main(['--bag', str(bag), '--connect', 'rerun+http://127.0.0.1:9/proxy']) == 2
    assert 'view: not everything reached Rerun: gRPC' in capsys.readouterr().err


def test_without_a_display_it_names_the_way_out(
        bag: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A file, or a viewer elsewhere."""
    pytest.importorskip('rerun', reason='rerun-sdk is not installed (`make view-env`)')
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    assert main(['--bag', str(bag)]) == 2
    assert NO_DISPLAY in capsys.readouterr().err


def test_the_page_and_the_message_name_the_same_packages() -> None:
    """docs/view.md: what Rerun needs, where pip must not install what it asks for."""
    page = ' '.join((ROOT / 'docs' / 'view.md').read_text().split())
    listed = re.search(r'`pip install --no-deps rerun-sdk`, with (.+?)\. Tested', page)
    advised = re.search('`pip install ([^`]+)` and `pip install --no-deps', INSTALL)
    assert listed is not None
    assert advised is not None
    assert set(re.split(', | and ', listed[1])) == set(advised[1].split())
