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
"""Answers of services reach clients that are late to take them, beside others that call often."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
import threading

import pytest

pytest.importorskip('rclpy')

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.qos import CALL_QOS
from testing import ROOT
from testing.processes.ros_processes import Peer, wait_until_known

CALLS = 40


def clients() -> Iterator[tuple[Path, ast.Call]]:
    """Find where programs of the package make clients."""
    for folder in ('dfp_ros', 'training'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            for part in ast.walk(ast.parse(path.read_text())):
                if isinstance(part, ast.Call) and (
                        getattr(part.func, 'attr', getattr(part.func, 'id', '')) in (
                            'create_client', 'ActionClient')):
                    yield path, part


def test_every_client_has_the_profile() -> None:
    found = list(clients())
    assert len(found) > 10
    for path, part in found:
        profiles = {word.arg: getattr(word.value, 'id', '') for word in part.keywords}
        assert profiles, f'{path}:{part.lineno}'
        assert set(profiles.values()) == {'CALL_QOS'}, f'{path}:{part.lineno}'


def test_an_answer_waits_for_a_client_that_is_late() -> None:
    """While another client has four times as many answers as a service keeps by default."""
    domain = free_domain()
    ended = threading.Event()

    def serve() -> None:
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        node = Node('server', context=context)
        node.create_service(Trigger, '/server/served', lambda _, answer: answer)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        while not ended.is_set():
            executor.spin_once(0.1)
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with Peer(domain) as late, Peer(domain) as busy:
            client = late.node.create_client(Trigger, '/server/served', qos_profile=CALL_QOS)
            late.wait_for(client.service_is_ready)
            wait_until_known(late.node, '/server/served', late.wait_for)
            busy.call(Trigger, '/server/served')
            answer = client.call_async(Trigger.Request())
            for _ in range(CALLS):
                busy.call(Trigger, '/server/served')
            late.wait_for(answer.done, 2.0)
    finally:
        ended.set()
        thread.join()
