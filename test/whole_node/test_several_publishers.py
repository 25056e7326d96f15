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
"""Detection of several publishers that send the same values of a source in turn."""

from __future__ import annotations

from pathlib import Path
import threading

import pytest

from dfp_ros.core.observation.interleaving import Interleaving
from testing.policies.small_policy import write_policy


def look(numbers: list[tuple[object, int | None]], looks: int = 1) -> bool:
    """Tell whether messages, each with its kind and number, come from several publishers."""
    interleaving = Interleaving()
    for kind, number in numbers:
        interleaving.number = number
        interleaving.add(kind)
    found = interleaving.poll()
    for _ in range(looks - 1):
        found = interleaving.poll()
    return found


def test_two_publishers_take_turns() -> None:
    """One began long before the other, or both at the same time."""
    assert look([(None, number) for i in range(1, 5) for number in (1000 + i, i)])
    assert look([(None, number) for i in range(1, 5) for number in (i, i)])


def test_one_publisher_does_not() -> None:
    """Despite lost messages and a restart, and without sequence numbers."""
    assert not look([(None, i * i) for i in range(100)])
    assert not look([(None, number) for number in (7, 8, 9, 1, 2, 3)])
    assert not look([(None, None)] * 100)
    assert not look([(None, 2**64 - 1)] * 100)


def test_publishers_that_share_the_joints_do_not() -> None:
    """Arm and gripper, each of its own; a second arm takes turns with the first."""
    shared = [(kind, base + i) for i in range(50) for kind, base in (('arm', 900), ('hand', 1))]
    assert not look(shared)
    assert look([
        *shared, *(('arm', number) for i in range(4) for number in (960 + i, i)), ('hand', 51)])


def test_it_is_over_a_while_after_the_last_turn() -> None:
    """Two seconds, at five looks a second."""
    turns: list[tuple[object, int | None]] = [(None, i) for i in (5, 1, 6, 2, 7, 3)]
    assert look(turns, 10)
    assert not look(turns, 11)


def test_kinds_are_bounded() -> None:
    """Messages may come with any names."""
    interleaving = Interleaving()
    for i in range(10_000):
        interleaving.number = i
        interleaving.add(i)
    assert len(interleaving._last) < 100


def test_two_drivers_of_one_arm_are_told(tmp_path: Path) -> None:
    """One of them is stuck somewhere else, with fresh stamps: warned of, or held by choice."""
    pytest.importorskip('rclpy')
    from testing.fixtures.robot_samples import rest_messages
    from testing.processes.policy_cell import Cell, OFTEN
    with Cell(write_policy(tmp_path / 'small.onnx', gain=0.7), **OFTEN) as cell:
        cell.wait_for_motion()
        publisher = cell.peer.node.create_publisher(
            type(rest_messages(cell.now())['joint_states']), 'joint_states', 5)
        ended = threading.Event()

        def be_stuck() -> None:
            while not ended.wait(0.01):
                message = rest_messages(cell.now())['joint_states']
                message.position = [-0.9] * 6
                publisher.publish(message)

        thread = threading.Thread(target=be_stuck)
        thread.start()
        try:
            status, _ = cell.report(reason='several_publishers', state='running')
            assert (
                "source 'arm' (topic joint_states): 2 publishers send the same values in turn: "
                '/peer, /peer' in status.message)
            assert '2 publishers send the same values' in cell.process.output
            assert cell.set('safety.several_publishers', 'hold') == (True, '')
            cell.report(reason='several_publishers', state='hold')
            cell.wait_for_stop()
        finally:
            ended.set()
            thread.join()
        cell.peer.node.destroy_publisher(publisher)
        cell.wait_for_motion()
        cell.report(reason='none', state='running')
