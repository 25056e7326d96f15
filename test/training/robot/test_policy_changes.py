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
"""Whose policies run: those of the learner, also late ones, and those of a person."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('torch')
pytest.importorskip('rclpy')

from testing.learning.asked_node import AskedNode
from training.robot.candidate import Candidate


@pytest.fixture
def node(tmp_path: Path) -> AskedNode:
    return AskedNode(tmp_path)


def ask_in_vain(node: AskedNode, name: str) -> Candidate:
    """Request a policy that the node does not confirm in time."""
    policy = node.candidate(name)
    node.releases.swap(policy, 0.0)
    node.answer.problem = ''
    node.releases.poll(61.0)
    assert 'has not confirmed it within 60 s' in node.lines[-1]
    return policy


def test_a_choice_that_is_heard_with_the_end_of_an_episode_stays(node: AskedNode) -> None:
    """The shadow of the learner was promoted over it, and the choice came back only then."""
    new = node.candidate('new')
    node.releases.stage(new, 0.0)
    node.do(shadow=new.sha256)
    node.take_over(node.file('own'))
    node.say()
    node.releases.end_episode(3.0)
    node.releases.poll(3.0)
    assert node.asked == [('shadow', str(new.path))]
    assert node.releases.held == 'own.onnx'


def test_a_choice_that_is_given_up_at_the_same_moment(node: AskedNode) -> None:
    """A learner that makes a policy hears both after that."""
    node.take_over(node.file('own'))
    node.say()
    node.releases.go_on()
    node.releases.poll(1.0)
    assert 'own.onnx was chosen by another' in node.lines[-2]
    assert node.lines[-1] == 'policies are offered again'
    assert not node.releases.held
    assert node.releases.is_due


def test_a_late_policy_is_that_of_the_learner(node: AskedNode) -> None:
    late = ask_in_vain(node, 'late')
    node.choose(late.sha256)
    assert not node.releases.held
    # Once: after that, a person has it run.
    node.choose(node.file('own'))
    node.releases.go_on()
    node.choose(late.sha256)
    assert node.releases.held == 'late.onnx'


@pytest.mark.parametrize('what', ['rolled back', 'replaced', 'next', 'started again'])
def test_a_late_policy_that_cannot_come_any_more(node: AskedNode, what: str) -> None:
    """If it runs all the same, a person has chosen it."""
    first, late = node.running, ask_in_vain(node, 'late')
    if what == 'rolled back':
        node.take_over(late.sha256)
        node.choose(first)
        assert node.releases.held == 'first.onnx'
    elif what == 'replaced':
        node.choose(node.file('own'))
    elif what == 'next':
        following = node.candidate('next')
        node.releases.swap(following, 62.0)
        node.do(running=following.sha256)
    else:
        node.start(first)
        node.say()
        node.releases.poll(62.0)
    node.releases.go_on()
    node.choose(late.sha256)
    assert node.releases.held == 'late.onnx'


def test_a_policy_that_was_replaced_twice_is_not_late(node: AskedNode) -> None:
    """The node says only what came of it: a person's policy in place of another one's."""
    new = node.candidate('new')
    node.releases.swap(new, 0.0)
    for name in (new.path.stem, 'own', 'another'):
        node.take_over(node.file(name))
    node.do()
    assert node.releases.held == 'another.onnx'
    node.releases.poll(61.0)
    assert not node.changes.is_busy
    node.releases.go_on()
    node.choose(new.sha256)
    assert node.releases.held == 'new.onnx'


@pytest.mark.parametrize('is_next_late', [False, True])
def test_a_late_policy_and_the_next_one(node: AskedNode, is_next_late: bool) -> None:
    """Neither was chosen by another, whether or not the node says both."""
    late, following = ask_in_vain(node, 'late'), node.candidate('next')
    node.releases.swap(following, 62.0)
    node.take_over(late.sha256)
    if is_next_late:
        node.say()
        node.answer.problem = ''
        node.releases.poll(123.0)
        node.choose(following.sha256)
    else:
        node.do(running=following.sha256)
    assert not node.releases.held
    assert node.asked[2:] == []


def test_a_roll_back_to_a_late_policy(node: AskedNode) -> None:
    """Of which the node says only what came of it."""
    late, following = ask_in_vain(node, 'late'), node.candidate('next')
    node.releases.swap(following, 62.0)
    node.take_over(late.sha256)
    node.take_over(following.sha256)
    node.do(running=late.sha256)
    assert node.releases.held == 'late.onnx'
    assert node.asked[2:] == []
