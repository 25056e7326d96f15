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
"""Real-time settings: granted ones read back from the system, and refused ones."""

from __future__ import annotations

import contextlib
from dataclasses import replace
import os
from pathlib import Path
import shutil
import subprocess
import sys
import threading
from typing import Any

import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition

from dfp_ros.core.control.decision import State
from dfp_ros.core.settings.realtime import RealtimeSettings
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.node.realtime.privileges import RefusedError
from dfp_ros.node.realtime.thread_scheduling import (
    ProcessScheduling,
    read_scheduling,
    ThreadScheduling,
)
from dfp_ros.node.ros.domain import free_domain
from testing.faults.cell import FaultCell
from testing.faults.robots import CUBE
from testing.policies.endless_policy import write_endless_policy
from testing.policies.small_policy import write_policy
from testing.processes.policy_cell import arguments, Cell
from testing.processes.ros_processes import NodeProcess

# The system grants nothing beyond the limits to a process without these.
_WITHOUT = '-sys_nice,-ipc_lock'
_PLAIN = ('setpriv', f'--bounding-set={_WITHOUT}', f'--inh-caps={_WITHOUT}')


def _runs(*command: str) -> bool:
    """Tell whether a command exists and runs."""
    return shutil.which(command[0]) is not None and not subprocess.run(
        [*command, 'true'], capture_output=True).returncode


needs_privileges = pytest.mark.skipif(
    not _runs('chrt', '--fifo', '40'), reason='this user is not granted SCHED_FIFO here')
needs_setpriv = pytest.mark.skipif(
    not _runs(*_PLAIN), reason='this user cannot drop capabilities with setpriv')


@pytest.fixture(name='policy', scope='module')
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small policy."""
    return write_policy(tmp_path_factory.mktemp('policy') / 'policy.onnx')


def _schedulings(process: NodeProcess) -> dict[int, ThreadScheduling]:
    """Read how the threads of a process are scheduled."""
    return {int(thread): read_scheduling(int(thread))
            for thread in os.listdir(f'/proc/{process.process.pid}/task')}


def _locked(process: NodeProcess) -> int:
    """Read how much memory of a process is locked, in kB."""
    status = Path(f'/proc/{process.process.pid}/status').read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith('VmLck')))


@needs_privileges
def test_granted_settings_are_released(policy: Path, tmp_path: Path) -> None:
    """
    Threads of the loop get priority and processor.

    Other threads get one priority less; the watchdog's and the signal thread, which must run
    while the loop hangs, one more; both may use all processors.
    """
    everywhere = frozenset(os.sched_getaffinity(0))
    cpu = max(everywhere)
    loop = ThreadScheduling(os.SCHED_FIFO, 40, frozenset({cpu}))
    beside = ThreadScheduling(os.SCHED_FIFO, 39, everywhere)
    ahead = ThreadScheduling(os.SCHED_FIFO, 41, everywhere)
    with Cell(policy, **{
            'realtime.priority': 40, 'realtime.cpus': cpu,
            'realtime.lock_memory': 'true', 'execution.threads': 2}) as cell:
        cell.wait_for_motion()
        _, values = cell.report(
            realtime_scheduling='SCHED_FIFO 40', realtime_cpus=str(cpu),
            realtime_memory_locked='True', realtime_refused='')
        assert values['state'] == 'running'
        # A swap starts the worker, and that starts the other thread of the policy's inference.
        other = write_policy(tmp_path / 'other.onnx', seed=1)
        assert cell.set('policy', str(other)) == (True, '')
        cell.report(policy_file=str(other))
        found = _schedulings(cell.process)
        assert found.pop(cell.process.process.pid) == loop
        assert set(found.values()) == {loop, beside, ahead}
        assert sum(scheduling == beside for scheduling in found.values()) >= 2
        assert sum(scheduling == ahead for scheduling in found.values()) == 2
        assert _locked(cell.process) > 0

        assert cell.change(Transition.TRANSITION_DEACTIVATE)
        ordinary = ThreadScheduling(os.SCHED_OTHER, 0, everywhere)
        assert set(_schedulings(cell.process).values()) == {ordinary}
        assert _locked(cell.process) == 0
        cell.end()


@needs_privileges
def test_inference_beside_the_loop_does_not_keep_others_waiting(tmp_path: Path) -> None:
    """
    An inference that never ends runs at normal priority, and so do the threads of its pool.

    Before it begins and after it ends, the thread has one priority less than the loop.
    """
    spec = replace(CUBE.spec, horizon=20)
    policy = write_endless_policy(tmp_path / 'endless.onnx', spec, CUBE.place)
    with FaultCell(
            CUBE, policy, realtime__priority=40, planning__asynchronous='true',
            execution__threads=3, execution__unbounded_operators='Loop') as cell:
        cell.wait_for_motion()
        found = _schedulings(cell.process)
        assert found[cell.process.process.pid].priority == 40
        # The pool of the policy, before anything hangs.
        assert _count_ordinary(found) == 2
        assert 39 in {each.priority for each in found.values()}

        def hang(message: Any) -> Any:
            CUBE.slow(message, 0.9)
            return message

        cell.disturb({CUBE.slow_topic: hang})
        cell.wait_for(lambda: cell.decisions[-1].row.state is State.HOLD, 'a hold')
        assert _count_ordinary(_schedulings(cell.process)) == 3
        # Another policy is loaded meanwhile, by the worker, with a pool of its own.
        other = write_policy(tmp_path / 'other.onnx', replace(spec, name='other'))
        assert cell.set(policy=str(other)).successful
        cell.wait_for(lambda: cell.standing.get('name') == 'other', 'a swap')
        assert _count_ordinary(_schedulings(cell.process)) == 5


def _count_ordinary(found: dict[int, ThreadScheduling]) -> int:
    """Count the threads with normal priority."""
    return sum(each.policy == os.SCHED_OTHER for each in found.values())


@needs_setpriv
def test_refused_settings_are_reported_and_the_node_continues(policy: Path) -> None:
    """The warning has the limit, the need, and the remedy."""
    with Cell(policy, prefix=('prlimit', '--rtprio=0:0', '--memlock=65536:65536', *_PLAIN), **{
            'realtime.priority': 40, 'realtime.lock_memory': 'true'}) as cell:
        cell.wait_for_motion()
        status, values = cell.report(realtime_scheduling='SCHED_OTHER')
        for text in (cell.process.output, values['realtime_refused'], status.message):
            assert 'SCHED_FIFO with priority 40 was refused: the limit is 0 (`ulimit -r`)' in text
        for text in (cell.process.output, values['realtime_refused']):
            assert 'CAP_SYS_NICE' in text
            assert 'the limit is 65536 bytes (`ulimit -l`)' in text
        assert values['state'] == 'running'
        assert _locked(cell.process) == 0
        cell.end()


@needs_setpriv
@pytest.mark.skipif(
    not _runs('prlimit', '--rtprio=40:40'), reason='this user cannot raise the limit rtprio')
def test_a_limit_is_enough(policy: Path) -> None:
    """No capability is needed if the limit permits the priority."""
    with Cell(
            policy, prefix=('prlimit', '--rtprio=40:40', *_PLAIN),
            **{'realtime.priority': 40}) as cell:
        cell.wait_for_motion()
        cell.report(realtime_scheduling='SCHED_FIFO 40', realtime_refused='')


def test_a_limit_allows_the_loop_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that run while the loop hangs get the same priority, and nothing is refused."""
    given: dict[int, int] = {}

    def schedule(thread: int, policy: int, wanted: os.sched_param) -> None:
        if policy == os.SCHED_FIFO and wanted.sched_priority > 40:
            raise PermissionError
        given[thread or threading.get_native_id()] = wanted.sched_priority

    monkeypatch.setattr(os, 'sched_setscheduler', schedule)
    scheduling = ProcessScheduling()
    watches, end = threading.Event(), threading.Event()

    def watch() -> None:
        scheduling.step_ahead()
        watches.set()
        end.wait(10)

    before, after = threading.Thread(target=watch), threading.Thread(target=watch)
    try:
        before.start()
        assert watches.wait(10)
        scheduling.acquire(40, frozenset())
        watches.clear()
        after.start()
        assert watches.wait(10)
    finally:
        end.set()
    assert before.native_id is not None
    assert after.native_id is not None
    for thread in (threading.get_native_id(), before.native_id, after.native_id):
        assert given[thread] == 40
    scheduling.release()


@needs_setpriv
def test_refused_required_settings_fail_the_activation(policy: Path) -> None:
    """The robot does not move, all settings are restored, and the exit status is an error."""
    given = {'realtime.priority': 40, 'realtime.cpus': 0, 'realtime.required': 'true'}
    with NodeProcess(
            'dfp_ros.policy_node', free_domain(), '--ros-args', *arguments(policy, **given),
            prefix=('prlimit', '--rtprio=0:0', *_PLAIN)) as process:
        assert process.wait() == 1
        assert 'cannot activate: SCHED_FIFO with priority 40 was refused' in process.output


@needs_setpriv
@needs_privileges
def test_the_preflight_measures_under_the_same(policy: Path) -> None:
    """The preflight uses the node's settings, and fails if the node would refuse them."""
    given = {'realtime.priority': 40, 'realtime.required': 'true'}
    call = ('--seconds', '0.5', '--wait', '0.5', '--ros-args', *arguments(policy, **given))
    seen = set()
    with NodeProcess('dfp_ros.tools.preflight.main', free_domain(), *call) as process:
        while process.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                seen.add(str(read_scheduling(process.process.pid)))
            with contextlib.suppress(TimeoutError):
                process.wait(0.05)
        assert seen == {'SCHED_OTHER', 'SCHED_FIFO 40'}
        assert 'SCHED_FIFO' not in process.output
    with NodeProcess(
            'dfp_ros.tools.preflight.main', free_domain(), *call,
            prefix=('prlimit', '--rtprio=0:0', *_PLAIN)) as process:
        process.wait()
        assert 'FAIL  realtime: SCHED_FIFO with priority 40 was refused' in process.output


def test_processors_that_are_not_there(policy: Path) -> None:
    """They are named, and none is taken."""
    everywhere = os.sched_getaffinity(0)
    with pytest.raises(RefusedError, match='processors 0,8191 were refused: of them this process '
                                           'can have'):
        ProcessScheduling().acquire(0, frozenset({0, 8191}))
    assert os.sched_getaffinity(0) == everywhere


@needs_privileges
def test_nodes_in_one_process_share_its_threads() -> None:
    """Settings released by one node stay in force until the other releases them."""
    code = """
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING, read_scheduling
for what in (lambda: SCHEDULING.acquire(30, frozenset()),
             lambda: SCHEDULING.acquire(20, frozenset()), SCHEDULING.release, SCHEDULING.release):
    what()
    print(read_scheduling())
"""
    found = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert found.splitlines() == [
        'SCHED_FIFO 30', 'SCHED_FIFO 20', 'SCHED_FIFO 20', 'SCHED_OTHER']


@pytest.mark.parametrize(('text', 'processors'), [
    ('', set()), ('3', {3}), ('0,2-4', {0, 2, 3, 4}), (' 1 , 5 - 6 ', {1, 5, 6})])
def test_processors(text: str, processors: set[int]) -> None:
    """Numbers and ranges, as in taskset."""
    assert RealtimeSettings(cpus=text).processors == processors


@pytest.mark.parametrize('text', ['a', '1,', '3-2', '-1', '1.5', '0-99999999999', '١'])
def test_processors_that_are_none(text: str) -> None:
    """Invalid processors are rejected with the expected ones."""
    with pytest.raises(SettingsError, match='realtime.cpus: found .* expected numbers and ranges'):
        RealtimeSettings(cpus=text)


def _slacks(process: NodeProcess) -> dict[int, int]:
    """Read the timer slack of the threads of a process, in ns."""
    return {int(thread): int(Path(f'/proc/{thread}/timerslack_ns').read_text())
            for thread in os.listdir(f'/proc/{process.process.pid}/task')}


def test_no_thread_is_woken_late_to_spare_energy(policy: Path) -> None:
    """Neither the one that ticks nor the one that waits for the deadline."""
    with Cell(policy) as cell:
        cell.wait_for_motion()
        cell.report(realtime_timer_slack_us='1')
        found = _slacks(cell.process)
        assert found[cell.process.process.pid] == 1000
        # The executor made its threads last.
        assert found[max(found)] == 1000
