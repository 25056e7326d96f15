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
Layouts of Foxglove and PlotJuggler: every path exists on a running node.

They are not rendered here; what is checked is their structure, and each topic, service, index and
label against a real node.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from testing import ROOT

pytest.importorskip('rclpy')

from std_msgs.msg import Float64MultiArray

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.node.messages.introspection import field_type, find_message_type
from dfp_ros.tools.view.node_topics import NodeTopics
from dfp_ros.tools.view.situation import Situation
from testing.policies.small_policy import write_policy
from testing.processes.policy_cell import Cell

CONFIG = ROOT / 'config'
FOXGLOVE = json.loads((CONFIG / 'foxglove_layout.json').read_text())
PLOTJUGGLER = ElementTree.parse(CONFIG / 'plotjuggler_layout.xml').getroot()
# What Foxglove writes for each type of panel, as far as a panel is of no use without it.
KEYS = {
    'Plot': {'paths', 'xAxisVal', 'isSynced', 'showLegend', 'legendDisplay'},
    'StateTransitions': {'paths', 'isSynced'},
    'DiagnosticSummary': {
        'topicToRender', 'minLevel', 'pinnedIds', 'hardwareIdFilter', 'sortByLevel'},
    'RawMessages': {
        'topicPath', 'diffEnabled', 'diffMethod', 'diffTopicPath', 'showFullMessageForDiff'},
    'CallService': {'serviceName', 'requestPayload', 'layout', 'editingMode', 'timeoutSeconds'}}
STATISTICS = '/dfp_policy/statistics'


class Running:
    """Topics, services and statistics' indices of a running node."""

    def __init__(self, policy: Path) -> None:
        """Run a node, and look."""
        with Cell(policy) as cell:
            rows: list[Float64MultiArray] = cell.peer.collect(Float64MultiArray, STATISTICS)
            self.situation = Situation('/dfp_policy')
            NodeTopics(cell.peer.node, self.situation)
            cell.wait_for_motion()
            cell.peer.wait_for(
                lambda: rows and self.situation.policy and self.situation.robot
                and self.situation.state and self.situation.periods)
            self.topics = dict(cell.peer.node.get_topic_names_and_types())
            self.services = dict(cell.peer.node.get_service_names_and_types())
        row = rows[-1]
        self.parts = [part.label for part in row.layout.dim for _ in range(part.size)]
        assert len(self.parts) == len(row.data)


@pytest.fixture(scope='module')
def running(tmp_path_factory: pytest.TempPathFactory) -> Running:
    """Run a node once for all tests."""
    return Running(write_policy(tmp_path_factory.mktemp('policy') / 'x.onnx'))


def words(label: str) -> set[str]:
    """Take a label apart."""
    return set(re.split(r'[^a-z0-9]+', label.lower()))


def panels(tree: Any) -> Iterator[str]:
    """List the panels of a Foxglove mosaic."""
    if isinstance(tree, str):
        yield tree
        return
    assert set(tree) == {'direction', 'first', 'second', 'splitPercentage'}
    assert tree['direction'] in ('row', 'column')
    assert 0 < tree['splitPercentage'] < 100
    yield from panels(tree['first'])
    yield from panels(tree['second'])


def test_foxglove_structure() -> None:
    """Every panel is shown once, is configured, and has the keys of its type."""
    assert set(FOXGLOVE) == {
        'configById', 'globalVariables', 'userNodes', 'playbackConfig', 'layout'}
    shown = list(panels(FOXGLOVE['layout']))
    assert sorted(shown) == sorted(FOXGLOVE['configById'])
    for name, panel in FOXGLOVE['configById'].items():
        kind, _, identity = name.partition('!')
        assert identity
        assert KEYS[kind] <= set(panel), name
        for path in panel.get('paths', ()):
            assert path['timestampMethod'] in ('receiveTime', 'headerStamp')
            assert kind != 'Plot' or path['enabled'] is True
    assert {name.partition('!')[0] for name in shown} == set(KEYS)


def test_foxglove_paths(running: Running) -> None:
    """Topics, services and indices exist, and labels match them."""
    for name, panel in FOXGLOVE['configById'].items():
        for path in panel.get('paths', ()):
            topic, field = re.fullmatch(r'(/[\w/]+)\.(.+)', path['value']).groups()
            kind, = running.topics[topic]
            assert field_type(find_message_type(kind, name), kind, field, name) == 'double'
            if topic != STATISTICS:
                assert words(field) & words(path['label']), path
                continue
            index, = re.fullmatch(r'data\[(\d+)\]', field).groups()
            part = running.parts[int(index)]
            assert words(part) <= words(path['label']), f'{name}: {part} as {path["label"]}'
        if 'topicToRender' in panel:
            kinds = running.topics[panel['topicToRender']]
            assert kinds == ['diagnostic_msgs/msg/DiagnosticArray']
        if 'topicPath' in panel:
            assert running.topics[panel['topicPath']] == ['std_msgs/msg/String']
        if 'serviceName' in panel:
            assert running.services[panel['serviceName']] == ['std_srvs/srv/Trigger']
            assert json.loads(panel['requestPayload']) == {}


def test_the_terminal_view_hears_the_node(running: Running) -> None:
    """It knows everything that it shows, from the same topics."""
    found = running.situation
    assert (found.policy, found.robot, found.tick) == ('test', 'ur5e_cube', 50.0)
    assert (found.state, found.commander) == (State.RUNNING, Commanding.POLICY)
    assert found.ticks > 0
    assert list(found.sent) == ['effector_linear_velocity', 'effector_yaw_rate', 'gripper_rate']
    assert found.periods


def test_plotjuggler_structure() -> None:
    """Tabs of split areas with a plot each, in shares that make up the whole."""
    widget = PLOTJUGGLER.find('tabbed_widget')
    assert widget is not None
    tabs = widget.findall('Tab')
    assert tabs
    for tab in tabs:
        assert int(tab.attrib['containers']) == len(tab.findall('Container'))
        for splitter in tab.iter('DockSplitter'):
            sizes = [float(size) for size in splitter.attrib['sizes'].split(';')]
            assert int(splitter.attrib['count']) == len(splitter) == len(sizes)
            assert sum(sizes) == pytest.approx(1, abs=1e-5)
            assert splitter.attrib['orientation'] in '-|'
        for area in tab.iter('DockArea'):
            plot, = area
            assert plot.tag == 'plot'
            assert plot.attrib['mode'] == 'TimeSeries'
            assert plot.find('range') is not None
    streamer = PLOTJUGGLER.find('previouslyLoaded_Streamer')
    plugin = PLOTJUGGLER.find('Plugins/plugin')
    assert streamer is not None
    assert plugin is not None
    assert streamer.attrib['name'] == plugin.attrib['ID'] == 'ROS2 Topic Subscriber'


def test_plotjuggler_curves(running: Running) -> None:
    """Each curve is a number of the statistics, in an area that is named after it."""
    subscribed = [topic.attrib['name'] for topic in PLOTJUGGLER.iter('topic')]
    curves = 0
    for area in PLOTJUGGLER.iter('DockArea'):
        for curve in area.iter('curve'):
            topic, index = re.fullmatch(
                r'(/[\w/]+)/data\[(\d+)\]', curve.attrib['name']).groups()
            assert topic in subscribed
            assert running.topics[topic] == ['std_msgs/msg/Float64MultiArray']
            part = running.parts[int(index)]
            assert words(part) & (words(area.attrib['name']) - {'ms', 'rate', 'and'}), part
            assert re.fullmatch('#[0-9a-f]{6}', curve.attrib['color'])
            curves += 1
    assert curves > 10
    large = PLOTJUGGLER.find('Plugins/plugin/max_array_size')
    assert large is not None
    assert int(large.attrib['value']) >= len(running.parts)
