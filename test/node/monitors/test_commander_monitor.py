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
"""Commander monitor: a node that has stood still, while another may have taken the robot over."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy')

from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.node.monitors.claim import BEAT, Claim, TIMEOUT
from dfp_ros.node.monitors.commander_monitor import CommanderMonitor


class Scene:
    """A monitor without ROS, of a node that has claimed the robot and then stood still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Claim the robot, and stand still."""
        self.done: list[str] = []
        logger = SimpleNamespace(error=str, warning=str)
        node: Any = SimpleNamespace(
            resolve_topic_name='/{}'.format, get_fully_qualified_name=lambda: '/first',
            create_publisher=lambda *given: SimpleNamespace(
                publish=lambda message: None, topic_name='commander'),
            create_subscription=lambda *given: None, create_timer=lambda *given, **more: None,
            get_logger=lambda: logger, count_publishers=lambda topic: 1)
        self.monitor = CommanderMonitor(
            node, ['command'], SafetySettings, self._deactivate,
            lambda: self.done.append('begin again'), lambda text: None)
        monkeypatch.setattr(self.monitor, '_take', lambda subscription: None)
        self.monitor.start()
        self.monitor._claimed -= 5 * TIMEOUT

    def _deactivate(self) -> None:
        self.done.append('deactivate')
        self.monitor.stop()

    def hear(self) -> None:
        """Receive the claim of a node that was activated long ago."""
        self.monitor._claims.hear(
            Claim(1, 'other', '/second', 'host').to_json(), time.monotonic())


def test_it_begins_again_if_no_other_node_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing before it has checked that."""
    scene = Scene(monkeypatch)
    assert not scene.monitor.may_command()
    begin = time.monotonic()
    scene.monitor._advance()
    assert time.monotonic() - begin > BEAT
    assert scene.done == ['begin again']
    assert scene.monitor.may_command()


def test_it_is_deactivated_if_another_node_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claim is heard during the check."""
    scene = Scene(monkeypatch)
    monkeypatch.setattr(scene.monitor, '_take', lambda subscription: scene.hear())
    scene.monitor._advance()
    assert scene.done == ['deactivate']


def test_a_claim_that_arrives_right_after_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inactive node does not begin to tick."""
    scene = Scene(monkeypatch)
    monkeypatch.setattr(scene.monitor, 'find_stronger', scene.hear)
    scene.monitor._advance()
    assert scene.done == ['deactivate']
    assert not scene.monitor.may_command()
