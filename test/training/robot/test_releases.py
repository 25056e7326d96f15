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
"""Releases: what is asked of the node, and when, with answers that a test gives."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
import shutil
from typing import Any

import pytest

pytest.importorskip('torch')
pytest.importorskip('rclpy')

from testing.learning.asked_node import AskedNode, hash_of
from training.common.signatures import make_keys, read_private_key
from training.robot.signing import signing_fault
from training.robot.success_watch import Verdict

LOSS = Verdict(4, 0, 4, 'start')


@pytest.fixture
def node(tmp_path: Path) -> AskedNode:
    return AskedNode(tmp_path)


def test_a_policy_is_staged_and_promoted_between_episodes(node: AskedNode) -> None:
    new = node.candidate('new')
    node.releases.stage(new, 0.0)
    node.releases.end_episode(0.5)
    assert node.asked == [('shadow', str(new.path))]
    node.do(shadow=new.sha256)
    assert not node.releases.is_due
    # Marks without a step between them are no whole episode of the shadow.
    node.releases.end_episode(1.5, counts=False)
    assert node.asked[1:] == []
    node.releases.end_episode(2.0)
    assert node.asked[1:] == [('promote', '')]
    node.do(running=new.sha256)
    assert node.releases.swaps == 1
    assert node.releases.is_due


@pytest.mark.parametrize('other', ['', 'other'])
def test_the_shadow_of_a_person_is_not_promoted(node: AskedNode, other: str) -> None:
    """Whoever replaces the learner's shadow did not ask that theirs takes over."""
    new = node.candidate('new')
    node.releases.stage(new, 0.0)
    node.do(shadow=new.sha256)
    node.shadow = node.file(other) if other else None
    node.say()
    node.releases.end_episode(2.0)
    assert node.asked == [('shadow', str(new.path))]
    assert node.lines == [
        "policy other is dropped: the node's shadow was replaced or ended by another"]
    assert node.releases.is_due


def test_a_loss_that_is_found_while_a_policy_is_loaded_is_not_forgotten(node: AskedNode) -> None:
    """The older policy comes back by its copy, whatever became of its file."""
    first, worse, next_one = node.running, node.candidate('worse'), node.candidate('next')
    node.releases.swap(worse, 0.0)
    node.do(running=worse.sha256)
    node.names[first].unlink()
    node.releases.stage(next_one, 2.0)
    node.releases.take_back(LOSS, 2.5)
    node.releases.end_episode(2.5)
    assert len(node.asked) == 2
    node.do(shadow=next_one.sha256)
    assert node.asked[2:] == [('policy', str(node.out / 'policies' / 'start.onnx'))]
    node.do(running=first)
    assert node.releases.rollbacks == 1
    assert 'significantly fewer, so policy start comes back' in ' '.join(node.lines)
    assert not node.releases.is_due
    for _ in range(4):
        node.releases.end_episode(3.0)
    assert node.releases.is_due


def test_an_older_policy_is_loaded_from_its_file(node: AskedNode) -> None:
    """If it is not the previous one, it is the copy in the folder of the run."""
    for name in ('one', 'two'):
        new = node.candidate(name)
        node.releases.swap(new, 0.0)
        node.do(running=new.sha256)
    node.releases.take_back(LOSS, 2.0)
    assert node.asked[2:] == [('policy', str(node.out / 'policies' / 'start.onnx'))]


def test_a_policy_whose_file_is_gone_does_not_come_back(node: AskedNode) -> None:
    """The first one, which nobody asked for, came instead, under its name."""
    node.releases.swap(node.candidate('new'), 0.0)
    node.do(running=hash_of(node.out / 'new.onnx'))
    node.releases.take_back(Verdict(4, 0, 4, '7'), 2.0)
    assert len(node.asked) == 1
    assert node.lines[-1].endswith('policy 7, of then, cannot be loaded again')


def test_no_number_is_given_twice(node: AskedNode) -> None:
    """Of a policy whose file was deleted, too: another one came back in its place."""
    node.releases.keep(['start', '3', '12', 'other', 'x', '9' * 99], '12')
    assert node.releases._next == 13


def test_the_best_policy_of_earlier_sessions_is_kept(tmp_path: Path) -> None:
    """Before the first episode, in which policies that are swapped in flight take over."""
    folder = tmp_path / 'policies'
    folder.mkdir()
    for version in range(1, 30):
        (folder / f'policy-{version:06d}-{version}.onnx').write_bytes(bytes([version]))
    node = AskedNode(tmp_path)
    node.releases.keep(['2', '29'], '2')
    node.releases.swap(node.candidate('new'), 0.0)
    node.do(running=hash_of(node.names[next(reversed(node.names))]))
    kept = sorted(path.name for path in folder.glob('policy-*'))
    assert kept[0] == 'policy-000002-2.onnx'
    assert len(kept) < 25


@pytest.mark.parametrize('key', ['none', 'other', 'trusted'])
def test_a_node_that_will_refuse_every_policy(tmp_path: Path, key: str) -> None:
    """It is said at the beginning, with the learner's own remedy."""
    texts = {name: make_keys(tmp_path / name) for name in ('other', 'trusted')}
    private = None if key == 'none' else read_private_key(tmp_path / key)
    fault = signing_fault(private, {'policy_keys': f'{texts["trusted"]}'})
    assert fault == '' if key == 'trusted' else 'start this learner again with --sign-key' in fault
    assert signing_fault(private, {'policy_keys': ''}) == ''
    assert signing_fault(private, {'policy_keys': 7}) == ''


def test_the_first_policy_has_its_signature_though_the_learner_was_killed(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two copies: a node with policy_keys would refuse to take it back."""
    (tmp_path / 'first.onnx.sig').write_bytes(b's' * 64)
    copy, copied = shutil.copyfile, []

    def killed(source: Path, goal: Path) -> None:
        if copied:
            raise KeyboardInterrupt
        copied.append(copy(source, goal))

    monkeypatch.setattr(shutil, 'copyfile', killed)
    with pytest.raises(KeyboardInterrupt):
        AskedNode(tmp_path)
    monkeypatch.undo()
    AskedNode(tmp_path)
    start = tmp_path / 'policies' / 'start.onnx'
    assert start.read_bytes() == b'first'
    assert start.with_name('start.onnx.sig').read_bytes() == b's' * 64


def test_a_refusal_is_printed_and_the_next_policy_is_awaited(node: AskedNode) -> None:
    node.releases.swap(node.candidate('new'), 0.0)
    node.answer.problem = 'inference takes 60 ms'
    node.releases.poll(1.0)
    assert node.lines == ['policy other: the node refused policy: inference takes 60 ms']
    assert node.releases.refusals == 1
    node.releases.end_episode(2.0)
    assert len(node.asked) == 1


def test_a_node_that_is_started_again_gets_the_last_policy(node: AskedNode) -> None:
    """What was on its way to the old one is dropped."""
    first, new = node.running, node.candidate('new')
    node.releases.swap(new, 0.0)
    node.do(running=new.sha256)
    node.releases.stage(node.candidate('next'), 2.0)
    node.start(first)
    node.say()
    node.releases.poll(3.0)
    node.releases.end_episode(4.0)
    assert node.asked[2:] == [('policy', str(new.path))]


def test_what_is_no_policy_file_is_left_alone(tmp_path: Path) -> None:
    """A FIFO or a device in the folder would be read without end."""
    folder = tmp_path / 'policies'
    folder.mkdir()
    os.mkfifo(folder / 'policy-000001-10.onnx')
    (folder / 'policy-000002-20.onnx').symlink_to('/dev/zero')
    (folder / 'policy-000003-30.onnx').write_bytes(b'third')
    node = AskedNode(tmp_path)
    assert node.releases.name(hashlib.sha256(b'third').hexdigest()) == '3'


@pytest.mark.parametrize('is_own', [False, True])
def test_what_a_person_chose_stays_until_they_say_so(node: AskedNode, is_own: bool) -> None:
    """A roll-back, or a policy of their own: nothing is offered, promoted or taken back."""
    first, new = node.running, node.candidate('new')
    node.releases.swap(new, 0.0)
    node.do(running=new.sha256)
    staged = node.candidate('next')
    node.releases.stage(staged, 2.0)
    node.do(shadow=staged.sha256)
    chosen = node.file('own') if is_own else first
    node.choose(chosen)
    assert f'{node.names[chosen]} was chosen by another' in node.lines[-1]
    assert 'until a person calls ~/offer' in node.lines[-1]
    assert node.releases.name(chosen) == ('other' if is_own else 'start')
    node.releases.end_episode(3.0)
    node.releases.take_back(Verdict(4, 0, 4, 'other' if is_own else 'start'), 4.0)
    node.releases.poll(5.0)
    assert node.asked[2:] == []
    assert not node.releases.is_due
    assert node.releases.held == node.names[chosen].name
    # Nor is it undone because the node is started again.
    node.start(first)
    node.say()
    node.releases.poll(6.0)
    node.releases.end_episode(7.0)
    assert node.asked[2:] == []
    node.releases.go_on()
    assert node.releases.is_due
    assert not node.releases.held


def test_what_a_person_chose_at_the_same_moment_comes_back(node: AskedNode) -> None:
    """Whether the node said it on the way, or only what came of both."""
    first = node.running
    for name, is_said in (('one', True), ('two', False)):
        new, own = node.candidate(name), node.file(f'own {name}')
        node.releases.swap(new, 0.0)
        if is_said:
            node.choose(own)
            assert f'{own}' not in str(node.asked)
        node.previous = node.running = own
        node.do(running=new.sha256)
        assert node.asked[-1] == ('policy', str(node.names[own]))
        node.do(running=own)
        assert node.lines[-1] == 'policy other runs again'
        assert node.releases.held
        node.releases.go_on()
    assert node.running != first


def test_a_roll_back_that_undoes_a_policy_of_which_nothing_was_heard(node: AskedNode) -> None:
    """The node says only what came of both: the policy before, which took over once more."""
    one = node.candidate('one')
    node.releases.swap(one, 0.0)
    node.do(running=one.sha256)
    two = node.candidate('two')
    node.releases.swap(two, 2.0)
    node.take_over(two.sha256)
    node.do(running=one.sha256)
    assert f'{one.path} was chosen by another' in node.lines[-1]
    assert node.releases.held == one.path.name
    assert not node.changes.is_busy
    assert node.releases.swaps == 2
    node.releases.poll(100.0)
    assert node.asked[2:] == []
    # The policy that was rolled back is not the learner's any more, if a person has it run.
    node.releases.go_on()
    node.choose(two.sha256)
    assert node.releases.held == two.path.name


def test_nothing_is_requested_beside_another_or_before_everything_is_heard(
        node: AskedNode) -> None:
    """What a person has loaded takes over; after a standstill, the node may run anything."""
    new = node.candidate('new')
    node.releases.stage(new, 0.0)
    node.do(shadow=new.sha256)
    for loading, is_current in ((['own.onnx'], True), ([], False)):
        node.loading, node.is_current = loading, is_current
        node.say()
        node.releases.end_episode(2.0)
        node.releases.take_back(LOSS, 2.0)
        node.releases.poll(2.0)
        assert not node.changes.is_open
        assert node.asked[1:] == []


def test_a_node_that_is_started_again_with_another_policy_keeps_it(node: AskedNode) -> None:
    """Whoever starts it names the policy."""
    new = node.candidate('new')
    node.releases.swap(new, 0.0)
    node.do(running=new.sha256)
    node.start(node.file('own'))
    node.say()
    node.releases.poll(3.0)
    node.releases.end_episode(4.0)
    assert node.asked[1:] == []
    assert 'own.onnx was chosen by another' in node.lines[-1]


def test_the_shadow_of_a_person_is_not_replaced(node: AskedNode) -> None:
    """It is said once; when it has gone, the next policy is made."""
    node.shadow = node.file('own')
    node.say()
    for _ in range(2):
        assert not node.releases.require_free_shadow()
    assert len(node.lines) == 1
    assert 'shadow was set by another and stays' in node.lines[0]
    node.shadow = None
    node.say()
    assert node.releases.require_free_shadow()


@pytest.mark.parametrize('part', ['settings', 'previous', 'shadow', 'last_refusal', 'robot'])
@pytest.mark.parametrize('value', ['text', 5, ['list']])
def test_a_status_of_something_else_is_ignored(tmp_path: Path, part: str, value: Any) -> None:
    """Anybody can publish on ~/policy."""
    node = AskedNode(tmp_path)
    before = node.changes.status
    node.changes.hear(json.dumps({**before, 'sha256': 'other', part: value}))
    node.releases.poll(0.0)
    assert node.changes.status == before
