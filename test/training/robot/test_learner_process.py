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
"""Learner, policy node and simulated robot as processes: what becomes of each if another fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import fcntl
import json
import os
from pathlib import Path
import signal
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('rclpy')

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from std_msgs.msg import Float64MultiArray, String  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from dfp_ros.core.control.decision_row import read_decision  # noqa: E402
from dfp_ros.node.ros.domain import free_domain  # noqa: E402
from dfp_ros.node.ros.qos import DECISION_QOS, STATUS_QOS  # noqa: E402
from testing import ROOT  # noqa: E402
from testing.policies.small_policy import cube_spec, write_policy  # noqa: E402
from testing.processes.robot_learning import (  # noqa: E402
    await_output,
    LearningCell,
)
from testing.processes.ros_processes import NodeProcess, Peer  # noqa: E402
from training.data.transitions import stored  # noqa: E402
from training.learn_on_robot import main  # noqa: E402
from training.learning.trainer.checkpoint_file import read, write  # noqa: E402

pytestmark = pytest.mark.slow
Here = Callable[..., str]
# Simulated time passes five times as fast as real time, and nobody needs states between decisions.
FAST = (
    {'use_sim_time': 'true'},
    {'mode': 'realtime', 'real_time_factor': 5.0, 'publish_clock': 'true', 'state_rate': 20.0})
# The robot is quicker than the learner on a busy machine.
WORDS = ('--start', '50', '--swap-every', '100', '--most-behind', '100')


@pytest.fixture
def cell(clone: Path) -> Iterator[LearningCell]:
    """Start a node and a robot five times as fast as real time."""
    with LearningCell(clone, *FAST) as started:
        yield started


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Run a learner in this process, and return what it says."""
    def said(cell: LearningCell, *words: str, status: int = 2) -> str:
        found = cell.learn_here(*words)
        printed = capsys.readouterr()
        assert found == status, printed
        return printed.out + printed.err

    return said


class Decisions:
    """The decisions of a cell, as they come."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._messages: list[Any] = peer.collect(
            Float64MultiArray, 'dfp_policy/decision', DECISION_QOS)

    def await_more(self, count: int = 100) -> list[int]:
        """Wait for more decisions; return their numbers."""
        before = len(self._messages)
        self._peer.wait_for(lambda: len(self._messages) >= before + count)
        return [
            read_decision(
                [(part.label, part.size) for part in message.layout.dim], message.data).number
            for message in self._messages[before:]]


def test_a_killed_learner_goes_on_where_it_was(
        cell: LearningCell, clone: Path, tmp_path: Path, here: Here) -> None:
    """
    The robot goes on with the last policy; nothing that is on the disk is lost.

    If a loss is not finite then, updates end: the last policy stays, episodes are still written,
    and the checkpoint is the one before.
    """
    out = tmp_path / 'out'
    words = (str(clone.parent), '--out', str(out), *WORDS)
    first = cell.start_learner(*words, '--checkpoint-every', '100')
    await_output(first, 'takes over')
    await_output(first, 'episode 1:')
    with Peer(cell.domain) as peer:
        decisions = Decisions(peer)
        decisions.await_more(20)
        peer.wait_for((out / 'checkpoint.pt').exists)
        first.process.kill()
        first.process.wait()
        numbers = decisions.await_more()
    assert np.diff(numbers).max() == 1
    saved = read(out / 'checkpoint.pt')['progress']['environment_steps']
    lengths = _lengths(out)
    with Peer(cell.domain) as peer:
        # As a recorder does, which marks nothing unless it is asked to.
        peer.node.create_publisher(String, 'episode_marks', 10)
        said = here(cell, *words, '--episodes', '1', status=0)
    # It has heard the end of an episode that began before it.
    assert 'contradict' not in said
    if sum(lengths) > saved:
        assert f'{sum(lengths) - saved} transitions were on the disk' in said
    assert f'episode {len(lengths)}: ' in said, said
    result = json.loads((out / 'learner.json').read_text())
    assert result['episodes'] == 1
    assert result['episodes_of_all_sessions'] == len(lengths) + 1
    assert result['transitions'] == sum(_lengths(out)) > sum(lengths)
    content = read(out / 'checkpoint.pt')
    content['optimiser']['state'][0]['exp_avg'][:] = float('inf')
    write(out / 'checkpoint.pt', {
        name: value for name, value in content.items() if name != 'format'})
    before = (out / 'checkpoint.pt').read_bytes()
    said = here(cell, *words, '--episodes', '1', status=1)
    assert 'there are no more updates and no new policies' in said
    assert (out / 'checkpoint.pt').read_bytes() == before
    assert len(_lengths(out)) >= len(lengths) + 2
    assert 'found nan' in json.loads((out / 'learner.json').read_text())['failure']


@pytest.mark.long
def test_a_stopped_learner_delays_nobody_and_yields_to_another(
        cell: LearningCell, clone: Path, tmp_path: Path) -> None:
    """The robot goes on; of two learners on one node, the one that stood still ends."""
    first = cell.start_learner(str(clone.parent), '--out', str(tmp_path / 'one'), *WORDS)
    await_output(first, 'episode 0:')
    refused = cell.start_learner(str(clone.parent), '--out', str(tmp_path / 'two'), *WORDS)
    assert refused.wait() == 2
    assert 'learns on this node already' in refused.output
    with Peer(cell.domain) as peer:
        decisions = Decisions(peer)
        decisions.await_more()
        first.process.send_signal(signal.SIGSTOP)
        numbers = decisions.await_more(500)
        assert np.diff(numbers).max() == 1
        second = cell.start_learner(str(clone.parent), '--out', str(tmp_path / 'two'), *WORDS)
        await_output(second, 'episode 0:')
        first.process.send_signal(signal.SIGCONT)
        assert first.wait() == 2
        assert 'and goes on; this learner ends' in first.output
    await_output(second, 'episode 1:')
    assert second.stop(signal.SIGTERM) == 130


def test_a_learner_splits_and_waits_when_the_node_is_killed(
        clone: Path, tmp_path: Path, here: Here) -> None:
    """
    It brings the last policy to the next node, which was started with the first.

    A rate of the node's own is refused at the start, and said later: none of the steps could be
    learned from.
    """
    words = (str(clone.parent), '--out', str(tmp_path / 'out'))
    with LearningCell(clone, {**FAST[0], 'rate': '5.0'}, FAST[1]) as cell:
        assert 'found rate 5 Hz, expected 0, the rate of the policy' in here(cell, *words)
        _set_rate(cell, 20.0)
        # Long enough that no newer policy is due meanwhile.
        learner = cell.start_learner(*words, *WORDS, '--swap-every', '250')
        await_output(learner, 'takes over')
        cell.node.process.kill()
        await_output(learner, 'no decision of /dfp_policy for')
        cell.node.leave()
        cell._node_options['rate'] = '0.0'
        cell.node = cell.start_node()
        # The same policy again, or a newer one that became due meanwhile.
        count = learner.output.count('takes over')
        await_output(learner, 'decides again')
        await_output(learner, 'takes over', count + 1)
        _set_rate(cell, 5.0)
        await_output(learner, 'found rate 5 Hz')
        assert 'until then, nothing is learned' in learner.output
        assert learner.stop() == 130
    for path in (tmp_path / 'out' / 'episodes').glob('*.npz'):
        found = stored.load(path)
        following = found.terminals[:-1] == 0
        np.testing.assert_array_equal(
            found.next_observations[:-1][following], found.observations[1:][following])


def test_a_node_with_the_policy_of_another_robot_is_refused(
        clone: Path, tmp_path: Path, here: Here) -> None:
    spec = cube_spec()
    wide = [*spec.action[:-1], spec.action[-1].__class__(
        'gripper_rate', 1, '1/s', (-10.0,), (10.0,), (-1.0,), (1.0,))]
    other = write_policy(tmp_path / 'other.onnx', cube_spec(action=tuple(wide)))
    with LearningCell(other, *FAST) as cell:
        said = here(cell, str(clone.parent), '--out', str(tmp_path / 'out'), *WORDS)
    assert 'found a policy for another robot or other data' in said
    assert 'action field 2 is gripper_rate 1 1/s (-10.0,) (10.0,) there' in said


def test_a_node_without_decisions_and_a_folder_in_use_are_refused(
        clone: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / 'out').mkdir()
    words = (str(clone.parent), '--out', str(tmp_path / 'out'))
    with LearningCell(clone, {**FAST[0], 'publish_decisions': 'false'}, FAST[1]) as cell:
        with (tmp_path / 'out' / '.lock').open('w') as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert 'another learner writes to this folder' in here(cell, *words)
        assert 'found publish_decisions false, expected true' in here(cell, *words)


@pytest.mark.long
def test_a_full_disk_ends_the_learner_and_not_the_robot(
        cell: LearningCell, clone: Path, tmp_path: Path) -> None:
    """Its message names file and remedy; the checkpoint before can be resumed."""
    words = (str(clone.parent), '--out', str(tmp_path / 'out'), *WORDS)
    first = cell.start_learner(*words, '--episodes', '1')
    assert first.wait() == 0, first.output
    size = (tmp_path / 'out' / 'checkpoint.pt').stat().st_size
    learner = cell.start_learner(
        *words, '--checkpoint-every', '50', prefix=('prlimit', f'--fsize={size // 2}'))
    assert learner.wait() == 2, learner.output
    assert 'cannot be written' in learner.output
    assert 'Traceback' not in learner.output
    with Peer(cell.domain) as peer:
        Decisions(peer).await_more()
    third = cell.start_learner(*words, '--episodes', '1')
    assert third.wait() == 0, third.output


def test_a_fault_of_the_command_line_is_one_line(
        clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before the learner gives way, or by the process, which has claimed its node by then."""
    run, none = str(clone.parent), str(tmp_path / 'none')
    niceness = os.nice(0)
    with pytest.raises(SystemExit, match='2'):
        main([run, '--swap-every', '0'])
    assert 'swap_every: found 0, expected a whole number' in ' '.join(
        capsys.readouterr().err.split())
    assert main([run, '--processors', '900']) == 2
    assert "processors: found '900', expected auto, all, or" in capsys.readouterr().err
    assert os.nice(0) == niceness
    with NodeProcess('training.learn_on_robot', free_domain(), none, '--nice', '0') as learner:
        assert learner.wait() == 2
        assert 'checkpoint.pt: found no checkpoint; give the folder of a run' in ' '.join(
            learner.output.split())
        assert 'Traceback' not in learner.output


def test_a_worse_policy_is_taken_back(clone: Path, tmp_path: Path) -> None:
    """The robot begins with a policy that solves the task, and gets one that does not."""
    shipped = ROOT / 'models' / 'cube_single.onnx'
    with LearningCell(
            shipped, {'trigger': 'samples'},
            {'mode': 'lockstep', 'learner_node': 'dfp_learner'}) as cell:
        learner = cell.start_learner(
            str(clone.parent), '--out', str(tmp_path / 'out'), '--start', '400', '--swap-every',
            '50', '--window', '4', '--episodes', '19')
        await_output(learner, 'policy start runs again')
        await_output(learner, ', return', learner.output.count(', return') + 1)
        assert learner.stop() == 130, learner.output
        result = json.loads((tmp_path / 'out' / 'learner.json').read_text())
        assert result['swaps'] >= 1, learner.output
        assert result['rollbacks'] >= 1, learner.output
        assert 'significantly fewer, so policy start comes back' in learner.output
        after = learner.output.partition('policy start runs again')[2]
        assert ': solved, return' in after.splitlines()[1], learner.output


def test_what_a_person_chose_stays_until_they_say_so(
        cell: LearningCell, clone: Path, tmp_path: Path) -> None:
    """
    The learner goes on, and offers no policy; nor does it after a standstill.

    In flight, an episode may have several policies.
    """
    learner = cell.start_learner(
        str(clone.parent), '--out', str(tmp_path / 'out'), *WORDS, '--swap', 'in_flight')
    await_output(learner, 'takes over')
    with Peer(cell.domain) as peer:
        said = peer.collect(String, 'dfp_policy/policy', STATUS_QOS)

        def running() -> str:
            return str(json.loads(said[-1].data)['path'])

        def next_episode() -> None:
            await_output(learner, ': not solved', learner.output.count(': not solved') + 1)

        for standstill in (False, True):
            if standstill:
                learner.process.send_signal(signal.SIGTSTP)
            count = learner.output.count('was chosen by another')
            assert peer.call(Trigger, 'dfp_policy/rollback').success
            if standstill:
                learner.process.send_signal(signal.SIGCONT)
            peer.wait_for(
                lambda count=count: learner.output.count('was chosen by another') > count)
            chosen = learner.output.rpartition(' was chosen by another')[0].splitlines()[-1]
            # A policy that was on its way may have taken over, and is taken back.
            next_episode()
            peer.wait_for(lambda chosen=chosen: said and running() == chosen)
            swaps = learner.output.count('takes over')
            next_episode()
            assert running() == chosen
            assert learner.output.count('takes over') == swaps
            answer = peer.call(Trigger, 'dfp_learner/offer')
            assert answer.message == 'policies are offered again'
            await_output(learner, 'takes over', swaps + 2)
    _end_with_policies(learner, tmp_path / 'out', 2)


@pytest.mark.long
def test_policies_take_over_after_an_episode_as_the_shadow(
        cell: LearningCell, clone: Path, tmp_path: Path) -> None:
    learner = cell.start_learner(
        str(clone.parent), '--out', str(tmp_path / 'out'), *WORDS, '--swap', 'between',
        '--shadow-episodes', '1')
    await_output(learner, 'takes over')
    _end_with_policies(learner, tmp_path / 'out', 1)
    lines = [line.split(':')[0].split(',')[0] for line in learner.output.splitlines()
             if line.startswith('episode ') or 'takes over' in line]
    first = next(i for i, line in enumerate(lines) if 'takes over' in line)
    assert first >= 2


def _end_with_policies(learner: NodeProcess, out: Path, count: int) -> None:
    """End a learner once an episode has had some policies; each was split where one took over."""
    def is_shown() -> bool:
        found = [tuple(source['policies']) for source in _sources(out)]
        return len({policy for names in found for policy in names}) > 1 and any(
            len(names) >= count for names in found)

    # However fast the machine makes its updates beside the robot.
    for _ in range(20):
        if is_shown():
            break
        await_output(learner, ': not solved', learner.output.count(': not solved') + 1)
    assert learner.stop() == 130, learner.output
    assert is_shown(), learner.output
    for source in _sources(out):
        # A split at each change, beside those at gaps.
        assert source['episodes'] >= len(source['policies'])


def _set_rate(cell: LearningCell, rate: float) -> None:
    """Give the node a rate of its own, in Hz."""
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=rate)
    with Peer(cell.domain) as peer:
        response = peer.call(
            SetParameters, 'dfp_policy/set_parameters', SetParameters.Request(
                parameters=[Parameter(name='rate', value=value)]))
    assert response.results[0].successful, response


def _lengths(out: Path) -> list[int]:
    """Count the transitions of each episode of a learner."""
    return [len(stored.load(path)) for path in (out / 'episodes').glob('*.npz')]


def _sources(out: Path) -> list[dict[str, Any]]:
    """Read where the episodes of a learner come from."""
    return [stored.load(path).source for path in (out / 'episodes').glob('*.npz')]
