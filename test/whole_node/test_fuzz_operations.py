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
"""Fuzzing of operations: three concurrent clients, any order, while the node commands."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
import signal
import threading
import time
from typing import Any

import pytest

rclpy = pytest.importorskip('rclpy')

from lifecycle_msgs import msg as lifecycle  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from dfp_ros.node.ros.qos import CALL_QOS  # noqa: E402
from testing.faults.bounds import check_bounds  # noqa: E402
from testing.faults.cell import FaultCell, PATIENT  # noqa: E402
from testing.faults.robots import ROBOTS  # noqa: E402
from testing.policies.small_policy import write_policy  # noqa: E402
from testing.processes.ros_processes import Peer  # noqa: E402

LifecycleState, Transition = lifecycle.State, lifecycle.Transition
TRIGGERS = 'stop', 'resume', 'reset', 'rollback', 'promote'
WAY_UP = {
    LifecycleState.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
    LifecycleState.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE}
SOUND = {
    'trigger': 'timer', 'rate': 0.0, 'candidates': 0, 'noise_scale': 1.0, 'shadow': '',
    'safety__slow_speed': 1.0, 'safety__envelope': 'warn', 'planning__mode': 'open_loop'}
# What a node may have grown by, in bytes: two policies, and the pools of what was freed.
GROWTH = 150e6


def values(random: Random, policies: list[str]) -> dict[str, Any]:
    """Draw parameters with values, some of them invalid."""
    return random.choice([
        {'policy': random.choice(policies)}, {'shadow': random.choice([*policies, ''])},
        {'candidates': random.choice([0, 1, 3, -1, 10**9])},
        {'noise_scale': random.choice([0.0, 0.5, -1.0, float('nan')])},
        {'rate': random.choice([50.0, 0.5, 1e9])}, {'planning.mode': random.choice(
            ['open_loop', 'receding', 'temporal_ensemble', 'x'])},
        {'safety.envelope': random.choice(['warn', 'hold', 'ignore', 'x'])},
        {'safety.slow_speed': random.choice([0.1, 1.0, -1.0])},
        {'trigger': random.choice(['timer', 'samples'])}, {'unknown': 1},
        {'noise_scale': 'text'}, {'noise_seed': random.randrange(100), 'rate': 50.0}])


def act(peer: Peer, random: Random, policies: list[str]) -> None:
    """Do one thing, and have the answer."""
    kind = random.random()
    node = '/dfp_policy'
    if kind < 0.45:
        request = SetParameters.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg()
            for name, value in values(random, policies).items()])
        answer = peer.call(SetParameters, f'{node}/set_parameters', request)
        assert all(result.successful or result.reason for result in answer.results)
    elif kind < 0.65:
        change = ChangeState.Request()
        change.transition.id = random.choice([
            Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE,
            Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP])
        peer.call(ChangeState, f'{node}/change_state', change)
    elif kind < 0.7:
        peer.call(GetParameters, f'{node}/get_parameters', GetParameters.Request(
            names=['policy', 'nothing']))
    elif kind < 0.75:
        peer.call(ListParameters, f'{node}/list_parameters')
    else:
        # They exist while the node is configured, and one that is gone gives no answer.
        name = f'{node}/{random.choice(TRIGGERS)}'
        if name not in peer.clients:
            peer.clients[name] = peer.node.create_client(
                Trigger, name, qos_profile=CALL_QOS)
        client = peer.clients[name]
        if client.service_is_ready():
            answer = client.call_async(Trigger.Request())
            end = time.monotonic() + 2.0
            peer.wait_for(lambda: answer.done() or time.monotonic() > end)


def keep_acting(
        domain: int, seed: int, policies: list[str], end: float, done: list[int],
        failed: list[BaseException]) -> None:
    """Be one of the clients."""
    random = Random(seed)
    try:
        with Peer(domain) as peer:
            while time.monotonic() < end:
                act(peer, random, policies)
                done.append(seed)
    except BaseException as error:
        failed.append(error)
        raise


def memory(process: int) -> int:
    """Return the memory of a process in bytes."""
    pages = int(Path(f'/proc/{process}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')


def activate(cell: FaultCell) -> None:
    """Activate the node from any state."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = cell.answer(cell.ask(GetState, 'get_state', GetState.Request())).current_state.id
        if state == LifecycleState.PRIMARY_STATE_ACTIVE:
            return
        cell.answer(cell.ask_to_change(WAY_UP[state]))
    raise TimeoutError(f'the node does not become active: {cell.process.output[-3000:]}')


@pytest.mark.parametrize('seconds', [
    6,
    pytest.param(180, marks=[pytest.mark.slow, pytest.mark.long])])
@pytest.mark.parametrize('robot', ROBOTS, ids=lambda robot: robot.name)
def test_any_operations_in_any_order(robot: Any, seconds: int, tmp_path: Path) -> None:
    """Commands stay within bounds, everything is answered, and the node works afterwards."""
    policies = [
        str(write_policy(tmp_path / f'{seed}.onnx', robot.spec, seed, 0.5)) for seed in range(2)]
    (tmp_path / 'text.onnx').write_text('text')
    bad = [str(tmp_path / name) for name in ('text.onnx', 'none.onnx', '')]
    with FaultCell(robot, Path(policies[0]), **PATIENT) as cell:
        cell.wait_for_motion()
        before = memory(cell.process.process.pid)
        done: list[int] = []
        failed: list[BaseException] = []
        end = time.monotonic() + seconds
        clients = [threading.Thread(
            target=keep_acting, args=(cell.domain, seed, policies * 3 + bad, end, done, failed))
            for seed in range(3)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(seconds + 120)
        assert not failed, f'{failed}\n{cell.process.output[-3000:]}'
        assert cell.process.process.poll() is None, cell.process.output[-3000:]
        assert len(done) > 3 * seconds, 'operations were answered'
        # What was set may be what a robot cannot run with.
        for name, value in SOUND.items():
            result = cell.set(**{name: value})
            assert result.successful or 'read' in result.reason or 'trigger' in name, result
        set_sound = cell.set(policy=policies[0])
        assert set_sound.successful, set_sound
        activate(cell)
        cell.answer(cell.ask(Trigger, 'resume', Trigger.Request()))
        activate(cell)
        cell.wait_for_motion()
        check_bounds(robot, list(cell.commands))
        assert memory(cell.process.process.pid) - before < GROWTH
        assert cell.process.stop(signal.SIGTERM) == 0
        assert 'Traceback' not in cell.process.output
