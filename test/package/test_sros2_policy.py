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
"""The SROS2 policy has what the nodes use, and no more."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from fnmatch import fnmatchcase
from pathlib import Path
import time
from typing import Any

import pytest

from testing.fixtures.sros2_policy import differences, KINDS, permissions, used_by
from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from dfp_ros.core.description.urdf import UrdfError
from dfp_ros.node.ros.domain import free_domain
from dfp_ros.node.ros.urdf_topic import wait_for_urdf
from dfp_ros.policy_node import PolicyNode
from dfp_ros.tools.episodes.manager_claim import ManagerClaim
from dfp_ros.tools.episodes.node import EpisodeManagerNode
from dfp_ros.tools.recording.recorder import RecorderNode

# A success predicate subscribes to its sources.
OPTIONAL = {'episode_manager': {'subscribe': {
    '/joint_states', '/gripper_state', '/effector_pose', '/cube_0_pose'}}}


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Start the nodes with all that they can have: policy node, recorder, manager, learner."""
    # It listens for other managers for two seconds.
    monkeypatch.setattr(ManagerClaim, 'take', lambda self: None)
    context = rclpy.Context()
    domain = free_domain()
    rclpy.init(context=context, domain_id=domain)
    policy = str(write_policy(tmp_path / 'policy.onnx'))

    def given(**values: Any) -> dict[str, Any]:
        return {'context': context, 'parameter_overrides': [
            Parameter(name, value=value) for name, value in values.items()]}

    with contextlib.ExitStack() as stack:
        stack.callback(rclpy.shutdown, context=context)
        node = PolicyNode(**given(
            policy=policy, shadow=policy, robot='ur5e_cube', publish_decisions=True,
            use_sim_time=True))
        stack.callback(node.close)
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        recorder = RecorderNode(**given(
            out=str(tmp_path / 'bag'), robot='ur5e_cube', joystick='joy', button_start=0,
            use_sim_time=True))
        stack.callback(recorder.close)
        assert recorder.autostart()
        manager = EpisodeManagerNode(**given(
            reset_service='/sim_robot/reset', judge='judge', keyboard=False, use_sim_time=True))
        stack.callback(manager.close)
        assert manager.autostart()
        made = [node, recorder, manager]
        with contextlib.suppress(ImportError):
            from training.robot.robot_link import RobotLink
            link = RobotLink('dfp_policy', 'episode_marks', 'dfp_learner', domain=domain)
            stack.callback(link.close)
            made.append(link.node)
        yield made


def test_the_permissions_are_those_that_the_nodes_need(nodes: list[Any]) -> None:
    """Neither a topic or service too few, nor one too many."""
    allowed = permissions()
    for node in nodes:
        name = node.get_name()
        found = ['it is not in the graph yet']
        deadline = time.monotonic() + 10
        # A participant of its own has to be discovered.
        while found and time.monotonic() < deadline:
            with contextlib.suppress(rclpy.node.NodeNameNonExistentError):
                found = differences(
                    used_by(nodes[0], name), allowed[name], OPTIONAL.get(name, {}))
            if found:
                time.sleep(0.05)
        assert not found, name


def test_who_may_do_what() -> None:
    """One node commands, and nobody calls or hears what nobody offers."""
    allowed = permissions()
    # On a robot, drivers have the place of the simulated one.
    offered = {kind: set().union(*(names[kind] for names in allowed.values())) for kind in KINDS}
    assert not offered['request'] - offered['reply']
    for topic in ('/twist_command', '/gripper_command'):
        assert [name for name, names in allowed.items() if topic in names['publish']] == [
            'dfp_policy']
    # Parameters decide which policy runs, and transitions which robot description.
    assert {name for name, names in allowed.items()
            if '/dfp_policy/set_parameters' in names['request']} == {'dfp_learner', 'sim_robot'}
    assert {name for name, names in allowed.items()
            if '/dfp_policy/change_state' in names['request']} == {'episode_manager', 'operator'}
    assert not any(
        name.endswith('/set_parameters_atomically') for names in allowed.values()
        for name in names['request'])


@pytest.fixture
def context() -> Iterator[rclpy.Context]:
    """Make a context in a domain of its own."""
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=free_domain())
    yield made
    rclpy.shutdown(context=made)


@pytest.mark.parametrize('name', ['_ros2cli_requester_std_srvs_Trigger', '_ros2cli_4711'])
def test_the_ros2_command_may_start(context: rclpy.Context, name: str) -> None:
    """Each is a node with topics and services of its own: without them it ends before it calls."""
    node = rclpy.create_node(name, context=context)
    allowed = permissions()['operator']
    deadline = time.monotonic() + 10
    while not (used := used_by(node, name))['reply'] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert used['publish'] >= {'/rosout', '/parameter_events'}
    assert used['reply']
    for kind in KINDS:
        for each in used[kind]:
            assert any(fnmatchcase(each, pattern) for pattern in allowed[kind]), f'{kind} {each}'
    node.destroy_node()


def test_the_wait_for_a_urdf_offers_no_service(
        context: rclpy.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a node of its own, whose name no permission would have."""
    node = rclpy.create_node('any', context=context)
    create = Node.create_subscription
    services: list[int] = []

    def create_subscription(self: Node, *given: Any, **options: Any) -> Any:
        services.append(len(list(self.services)))
        return create(self, *given, **options)

    monkeypatch.setattr(Node, 'create_subscription', create_subscription)
    with pytest.raises(UrdfError, match='no URDF came'):
        wait_for_urdf(node, 0.1)
    assert services == [0]
    node.destroy_node()
