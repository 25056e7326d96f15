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
"""Faults of the soak test, in turn; see testing/faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger

from dfp_ros.core.safety.reasons import Reason
from testing.faults.catalogue import STEADY
from testing.faults.cell import FaultCell
from testing.faults.groups import bad_policies, goes_on, refusal, report_on, storm
from testing.faults.robots import FaultRobot
from testing.faults.trial import AGE, Fault, SILENCE, try_fault
from testing.policies.small_policy import write_policy
from testing.processes.ros_processes import NodeProcess

_GAIN = 0.7
_TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE, 'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE, 'cleanup': Transition.TRANSITION_CLEANUP}
# Other weights than the first policy's: setting the same policy again keeps no previous one.
_SEEDS = 1, 2


class SoakFaults:
    """
    Faults that stop the node, faults that must not, and its lifecycle transitions.

    :param cell: The running cell.
    :param folder: Folder for policy files; the node starts with :meth:`first_policy`.

    :ivar all: Faults by name, in order. Each returns once the robot moves again, and raises
        AssertionError or TimeoutError if the node misbehaves.
    """

    def __init__(self, cell: FaultCell, folder: Path) -> None:
        """Write the policies."""
        self._cell = cell
        self._good = [
            write_policy(folder / f'good_{seed}.onnx', cell.robot.spec, seed, _GAIN)
            for seed in _SEEDS]
        bad = {name: (path, says) for name, path, says in bad_policies(cell.robot, folder)}
        stops = {fault.name: fault for fault in STEADY}

        def stop(name: str) -> Callable[[], object]:
            return lambda: try_fault(cell, stops[name])

        def refused(name: str) -> Callable[[], object]:
            return lambda: goes_on(cell, name, lambda: refusal(cell, *bad[name]))

        self.all: dict[str, Callable[[], object]] = {
            'dropped source': stop('dropped source'),
            'swap': self._swap,
            'NaN': stop('NaN'),
            'corrupt policy, truncated': refused('corrupt policy, truncated'),
            'robot node killed': self._robot_killed,
            'deactivate, activate': lambda: self._transitions('deactivate', 'activate'),
            'delayed source': stop('delayed source'),
            'parameter storm': lambda: goes_on(cell, 'parameter storm', lambda: storm(cell)),
            'rollback': lambda: goes_on(cell, 'rollback', self._roll_back),
            'missing joint': stop('missing joint'),
            'policy slower than the tick': refused('policy slower than the tick'),
            'stamps of another clock': stop('stamps of another clock'),
            'corrupt policy, NaN weights': refused('corrupt policy, NaN weights'),
            'no subscriber': self._no_subscriber,
            'clean up, configure, activate': lambda: self._transitions(
                'deactivate', 'cleanup', 'configure', 'activate'),
            # The node remembers for a while how far stamps were ahead.
            'source clock ahead': stop('source clock ahead'),
        }

    @staticmethod
    def first_policy(robot: FaultRobot, folder: Path) -> Path:
        """Write the policy that the node starts with."""
        return write_policy(folder / 'first.onnx', robot.spec, gain=_GAIN)

    def _swap(self) -> object:
        """Swap to the other policy, and wait until it runs."""
        self._good.reverse()
        wanted = str(self._good[0])

        def swap() -> str:
            result = self._cell.set(policy=wanted)
            assert result.successful, result.reason
            self._cell.wait_for(lambda: self._cell.standing['parameter'] == wanted
                                and not self._cell.standing['loading'], f'{wanted} running')
            return 'accepted'

        return goes_on(self._cell, 'swap', swap)

    def _roll_back(self) -> str:
        """Roll back to the previous policy, and wait until it runs."""
        before = self._cell.standing['previous']['path']
        answer = self._cell.answer(self._cell.ask(Trigger, 'rollback', Trigger.Request()))
        assert answer.success, answer.message
        self._cell.wait_for(lambda: self._cell.standing['path'] == before, f'{before} running')
        return str(answer.message)

    def _transitions(self, *names: str) -> None:
        """Go through transitions, and wait until the robot moves again."""
        for name in names:
            answer = self._cell.answer(self._cell.ask_to_change(_TRANSITIONS[name]))
            assert answer.success, f'{name} failed: {self._cell.process.output[-1000:]}'
        self._cell.wait_for_motion()

    def recover(self) -> None:
        """
        Restore robot and node after any failed fault.

        :raises TimeoutError: If the robot does not move again.
        """
        self._cell.disturb({})
        self._cell.answer(self._cell.ask_to_change(_TRANSITIONS['activate']))
        self._cell.wait_for_motion()

    def _no_subscriber(self) -> object:
        """Have the robot destroy a subscription, and subscribe again."""
        topic = list(self._cell.robot.commands)[-1]
        self._cell.unsubscribe(topic)
        try:
            return goes_on(self._cell, 'no subscriber', lambda: report_on(self._cell, topic))
        finally:
            self._cell.subscribe_again(topic)

    def _robot_killed(self) -> object:
        """Move the robot to a process, kill it, and take its place."""
        with self._process():
            return try_fault(self._cell, Fault(
                'robot node killed', self._kill, Reason.STALE, SILENCE, AGE, self._be_the_robot))

    @contextmanager
    def _process(self) -> Iterator[None]:
        """Move the robot to another process."""
        cell = self._cell
        self._robot = NodeProcess('testing.faults.scripted_robot', cell.domain, cell.robot.name)
        try:
            # Both publish until the process has been discovered.
            cell.wait_for(lambda: all(
                len(cell.node.get_publishers_info_by_topic(f'/{topic}')) > 1
                for topic in cell.robot.topics), 'a robot in a process')
            cell.silent = True
            yield
        finally:
            cell.silent = False
            self._robot.__exit__()

    def _kill(self, cell: FaultCell) -> int:
        self._robot.process.kill()
        return cell.now()

    @staticmethod
    def _be_the_robot(cell: FaultCell) -> None:
        cell.silent = False
