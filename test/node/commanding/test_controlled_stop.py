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
"""Controlled stop: a moving robot is slowed down before its node falls silent."""

from collections.abc import Callable
from pathlib import Path
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_srvs.srv import Trigger

from dfp_ros.node.commanding.controlled_stop import stop_robot
from dfp_ros.node.ros.domain import free_domain
from testing.processes.joint_arm import Arm, HERE, TICK
from testing.processes.moving_robot import ACCELERATION, Ears, files, moving, VELOCITY
from testing.processes.policy_cell import arguments
from testing.processes.ros_processes import NodeProcess


class Follower(Arm):
    """Arm that follows its last command."""

    def here(self) -> np.ndarray:
        """Return its position."""
        return self.positions()[-1] if self.trajectories else HERE

    def change(self, transition: int) -> None:
        """Change the state of the node."""
        assert self.peer.call(ChangeState, 'dfp_policy/change_state', ChangeState.Request(
            transition=Transition(id=transition))).success

    def wait_for_speed(self) -> int:
        """Wait until the first joint has its maximum speed; return the count of commands."""
        first = len(self.trajectories)
        self.peer.wait_for(lambda: len(self.trajectories) > first + 4 and np.allclose(
            np.diff(self.positions()[-3:, 0]), -VELOCITY * TICK))
        return len(self.trajectories)

    def wait_for_silence(self) -> int:
        """Wait until no more commands arrive; return the count of commands."""
        self.peer.wait_for(lambda: not np.diff(self.positions()[-2:], axis=0).any())
        return len(self.trajectories)


def test_a_moving_robot_slows_down_before_silence(tmp_path: Path) -> None:
    """However the node stops, no command is further from the last than the limits allow."""
    domain = free_domain()
    arm = Follower(domain)
    ends = []
    try:
        with NodeProcess('dfp_ros.policy_node', domain, '--ros-args', *arguments(
                **files(tmp_path), autostart='false', noise_scale=0.0)) as node:
            arm.change(Transition.TRANSITION_CONFIGURE)
            arm.peer.call(Trigger, 'dfp_policy/reset')
            arm.change(Transition.TRANSITION_ACTIVATE)
            first = arm.wait_for_speed()
            arm.change(Transition.TRANSITION_DEACTIVATE)
            ends.append((first, arm.wait_for_silence()))
            arm.change(Transition.TRANSITION_ACTIVATE)
            first = arm.wait_for_speed()
            assert arm.peer.call(Trigger, 'dfp_policy/reset').success
            ends.append((first, len(arm.trajectories)))
            first = arm.wait_for_speed()
            assert node.stop() == 0
            ends.append((first, arm.wait_for_silence()))
            assert 'harder than its limits' not in node.output
    finally:
        arm.close()
    speeds = np.diff(arm.positions(), axis=0) / TICK
    changes = np.abs(np.diff(speeds, axis=0))
    assert (changes <= ACCELERATION * TICK + 1e-5).all(), changes.max()
    for first, last in ends:
        # Fast at first, and at rest in the end.
        assert np.abs(speeds[first - 2]).max() >= VELOCITY - 1e-6
        assert not np.abs(speeds[first - 2:last - 1]).min(axis=0).any()


def test_a_moving_robot_is_slowed_down_tick_by_tick(tmp_path: Path) -> None:
    """As soon as its limits allow, and not sooner than a tick after the last command."""
    loop, sent = moving(tmp_path, 20)
    ears = Ears()
    begin = time.monotonic()
    assert stop_robot(loop, ears.commander, begin, ears)
    speeds = np.diff([*sent[-2:], *ears.sent], axis=0) / TICK
    np.testing.assert_allclose(np.abs(speeds[:, 0]), [0.5, 0.4, 0.3, 0.2, 0.1, 0.0], atol=1e-9)
    assert (np.diff([begin, *ears.times]) >= TICK).all()
    assert not stop_robot(loop, ears.commander, time.monotonic(), ears)
    np.testing.assert_array_equal(ears.sent[-1], ears.sent[-2])
    assert not ears.warnings


@pytest.mark.parametrize(('within', 'commands'), [(0.0, 1), (0.04, 1), (0.12, 2), (0.17, 3)])
def test_only_as_long_as_it_may(tmp_path: Path, within: float, commands: int) -> None:
    """Then the last command stops it all the same, and the log says that this was hard."""
    loop, sent = moving(tmp_path, 20, **{'limits.stop_within': within})
    ears = Ears()
    stop_robot(loop, ears.commander, time.monotonic(), ears)
    assert len(ears.sent) == commands
    # The last one has its time too.
    assert (np.diff(ears.times) >= TICK).all()
    np.testing.assert_array_equal(ears.sent[-1], [*sent, *ears.sent[:-1]][-1])
    assert bool(ears.warnings) == (within > 0)


@pytest.mark.parametrize(('ticks', 'since'), [(1, time.monotonic), (20, lambda: None)])
def test_without_need_and_without_time_it_is_one_command(
        tmp_path: Path, ticks: int, since: Callable[[], float | None]) -> None:
    """If it hardly moves, and if no tick is due by the wall's clock."""
    loop, sent = moving(tmp_path, ticks)
    ears = Ears()
    assert not stop_robot(loop, ears.commander, since(), ears)
    np.testing.assert_array_equal(ears.sent, sent[-1:])
    assert not ears.warnings
