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
"""Episode loop of the simulated robot, in real time or in lockstep with its controller."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
import time
from typing import Any

from builtin_interfaces.msg import Time as Stamp
import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.control.episode_marks import FAILURE, START, SUCCESS
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.sim.sim_robot import messages as sim_messages
from dfp_ros.sim.sim_robot.camera import Camera
from dfp_ros.sim.sim_robot.command_inputs import arm_input, gripper_input
from dfp_ros.sim.sim_robot.deadlines import Deadlines
from dfp_ros.sim.sim_robot.learner_gate import LearnerGate
from dfp_ros.sim.sim_robot.node import RESET, SimRobot, STOP, WAKE
from dfp_ros.sim.sim_robot.policy_client import PolicyReset
from dfp_ros.sim.sim_robot.settings import Settings
from dfp_ros.sim.simulation.cell_state import EpisodeResult
from dfp_ros.sim.simulation.episode_file import Recorder
from dfp_ros.sim.simulation.online_seeds import online_seed
from dfp_ros.sim.simulation.sliced_simulation import SlicedSimulation

# In lockstep an unanswered observation is published again, because the controller may have
# joined after it was sent. It keeps its stamp, so it is not taken for a new one.
REPEAT_AFTER = 0.5


class _Stopped(Exception):
    """The node is asked to shut down."""


class _Abandoned(Exception):
    """The episode is abandoned for the next one."""


class EpisodeLoop:
    """
    Episode loop in the calling thread, which owns the simulation.

    :param robot: Publishes states and results.
    :param simulation: The simulation.
    :param settings: The parameters.
    :param inbox: Messages, RESET, WAKE and STOP, from the executor's thread and signal handlers.
    :param camera: Renders images, if enabled.

    :ivar unrecorded: Number of episodes that could not be recorded.
    """

    def __init__(
            self, robot: SimRobot, simulation: SlicedSimulation, settings: Settings,
            inbox: SimpleQueue[Any], camera: Camera | None) -> None:
        """Create the parts that only the loop needs."""
        self._robot = robot
        self._simulation = simulation
        self._settings = settings
        self._inbox = inbox
        self._camera = camera
        self._realtime = settings.mode == 'realtime'
        pace = settings.real_time_factor if self._realtime else 1.0
        self._slice = simulation.slice_duration / pace
        self._deadlines = Deadlines(self._slice)
        self._recorder = Recorder(
            settings.record, simulation.environment, simulation.period,
        ) if settings.record else None
        self._policy = PolicyReset(
            robot, settings.policy_node, lambda: inbox.put(WAKE)) if settings.policy_node else None
        self._learner = LearnerGate(
            robot, settings.learner_node, lambda: inbox.put(WAKE),
        ) if settings.learner_node else None
        self._factor = 0.0
        self._arm_input = arm_input(simulation.arm)
        self._gripper_input = gripper_input(simulation.arm)
        self._arm: NDArray[np.float64] | None = None
        self._grip: NDArray[np.float64] | None = None
        self._overruns = 0
        self.unrecorded = 0
        self._forget_commands(0)

    def run(self) -> None:
        """Run until the last episode has ended, or STOP arrives."""
        settings = self._settings
        seed, finished, begun = settings.seed, 0, 0
        try:
            while not settings.episodes or finished < settings.episodes:
                if settings.run_seed >= 0:
                    seed = online_seed(settings.run_seed, begun)
                begun += 1
                try:
                    result = self._episode(seed)
                    # Before a request to reset may come: the episode has ended.
                    finished += 1
                    self._publish_result(finished - 1, result)
                    if not settings.auto_reset and finished != settings.episodes:
                        self._wait(lambda: False)
                except _Abandoned:
                    pass
                seed += 1
        except _Stopped:
            pass

    @property
    def summary(self) -> str:
        """Return the number of overruns over all episodes."""
        lost = f'; {self.unrecorded} episodes could not be recorded' if self.unrecorded else ''
        return f'{self._overruns} slices were computed later than their deadline{lost}'

    def _episode(self, seed: int) -> EpisodeResult:
        """Run one episode."""
        self._simulation.reset(seed)
        self._forget_commands(0)
        if self._recorder:
            self._recorder.start()
        if self._realtime:
            # The policy receives the new scene before its reset, so that its first chunk is not
            # computed from the old one.
            shown = time.monotonic() + self._simulation.period
            self._wait(lambda: time.monotonic() >= shown)
        if self._policy:
            self._policy.start(seed, time.monotonic())
            self._wait(lambda: self._policy is None or self._policy.poll(time.monotonic()))
        self._mark(START)
        self._forget_commands(_nanoseconds(self._robot.now()))
        result = self._play_realtime() if self._realtime else self._play_lockstep()
        if self._recorder:
            self._recorder.picture(self._simulation.picture())
            self._save(self._recorder, result)
        return result

    def _save(self, recorder: Recorder, result: EpisodeResult) -> None:
        """Write the recording of an episode, whose result counts without it, too."""
        try:
            recorder.save(result)
        except OSError as error:
            self.unrecorded += 1
            self._robot.get_logger().error(
                f'parameter record: the episode with seed {result.seed} cannot be written to '
                f'{printable(self._settings.record, TEXT)} ({error.strerror}); make room there, '
                'or name another folder')

    def _play_realtime(self) -> EpisodeResult:
        """Follow the wall clock from the first command on, holding the last command."""
        simulation, deadlines = self._simulation, self._deadlines
        self._wait(lambda: self._arm is not None)
        deadlines.start(time.monotonic())
        result = None
        try:
            while result is None:
                if self._arm is not None and self._news:
                    self._command()
                if self._recorder and deadlines.steps % simulation.slices == 0:
                    self._recorder.picture(simulation.picture())
                result = simulation.advance()
                self._robot.pass_time(simulation.slice_duration)
                self._show()
                deadlines.finish(time.monotonic())
                self._receive_until_deadline(deadlines)
        finally:
            # Also of an episode that is abandoned.
            self._overruns += deadlines.overruns
        self._factor = deadlines.rate(time.monotonic()) * self._settings.real_time_factor
        return result

    def _play_lockstep(self) -> EpisodeResult:
        """Advance one control period for each command that answers the newest observation."""
        result = None
        while result is None:
            if self._recorder:
                self._recorder.picture(self._simulation.picture())
            stamp = self._robot.now()
            self._forget_commands(_nanoseconds(stamp))
            self._publish_state(stamp)
            self._await_answer(stamp)
            self._command()
            for _ in range(self._simulation.slices):
                result = self._simulation.advance()
            self._robot.pass_time(self._simulation.period)
        if self._learner:
            # The outcome of the last command: an observation, whose answer is not executed.
            stamp = self._robot.now()
            self._forget_commands(_nanoseconds(stamp))
            self._publish_state(stamp)
            self._await_answer(stamp)
        return result

    def _await_answer(self, stamp: Stamp) -> None:
        """Wait for the command that answers an observation, and for the learner, if any."""
        while self._arm is None or self._grip is None:
            if not self._receive(REPEAT_AFTER):
                self._publish_state(stamp)
        if self._learner:
            learner, time_of_step = self._learner, _nanoseconds(stamp)
            self._wait_for_learner(lambda: learner.has_seen(time_of_step))

    def _mark(self, mark: str) -> None:
        """Publish a mark, and wait for the learner, if any; it may join late."""
        before = self._learner.marks if self._learner else 0
        self._robot.publish_mark(mark)
        if self._learner:
            learner = self._learner
            self._wait_for_learner(
                lambda: learner.marks != before, lambda: self._robot.publish_mark(mark))

    def _wait_for_learner(
            self, ready: Callable[[], bool], again: Callable[[], None] | None = None) -> None:
        """
        Wait for the learner.

        :param ready: Whether it has learned what is waited for.
        :param again: Called if it has not, from time to time.
        """
        assert self._learner is not None
        self._learner.wait_from(time.monotonic())
        repeat = time.monotonic() + REPEAT_AFTER
        while not ready():
            self._receive(REPEAT_AFTER / 5)
            now = time.monotonic()
            self._learner.complain(now)
            if again and now > repeat:
                again()
                repeat = now + REPEAT_AFTER

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Pause the physics until ``ready``; in real time the state is published meanwhile."""
        deadlines = Deadlines(self._slice)
        deadlines.start(time.monotonic())
        while not ready():
            if self._realtime:
                self._robot.pass_time(self._simulation.slice_duration)
                self._show()
                deadlines.finish(time.monotonic())
                self._receive_until_deadline(deadlines)
            else:
                self._receive(REPEAT_AFTER / 5)

    def _receive_until_deadline(self, deadlines: Deadlines) -> None:
        """Process incoming messages until the next slice is due."""
        while (remaining := deadlines.remaining(time.monotonic())) > 0:
            self._receive(remaining)
        while not self._inbox.empty():
            self._receive(0.0)

    def _receive(self, timeout: float) -> bool:
        """
        Process one item of the inbox.

        :return: False if none arrived in time.
        :raises _Stopped: At STOP.
        :raises _Abandoned: At RESET.
        """
        try:
            item = self._inbox.get(timeout=timeout) if timeout else self._inbox.get_nowait()
        except Empty:
            return False
        if item is STOP:
            raise _Stopped
        if item is RESET:
            raise _Abandoned
        try:
            if isinstance(item, self._arm_input.type):
                self._take_arm(item)
            elif isinstance(item, self._gripper_input.type):
                self._take_grip(item)
        except ValueError as error:
            self._robot.get_logger().warning(
                f'{error}; the command is ignored', throttle_duration_sec=1.0)
        return True

    def _take_arm(self, message: Any) -> None:
        """
        Store an arm command.

        It must belong to this episode and, in lockstep, to this observation.
        """
        stamp = _nanoseconds(message.header.stamp)
        values = self._arm_input.read(message)
        # Manual publishers leave the stamp at zero.
        in_time = stamp >= self._since or stamp == 0
        if (in_time if self._realtime else stamp == self._since):
            self._arm = values
            self._news = True

    def _take_grip(self, message: Any) -> None:
        """
        Store a gripper command; in lockstep only one that follows the arm's command.

        It has no stamp. One that arrives before the arm's may answer an earlier observation, which
        was published twice; if it does not, both arrive again with the next repetition.
        """
        rate = self._gripper_input.read(message)
        if self._realtime or self._arm is not None:
            self._grip = rate
            self._news = True

    def _forget_commands(self, since: int) -> None:
        """
        Discard all commands.

        :param since: Oldest stamp of a command that counts (real time), or the only one
            (lockstep), ns.
        """
        self._since = since
        self._arm = None
        self._grip = None
        self._news = False

    def _command(self) -> None:
        """Pass the newest command to the simulation."""
        assert self._arm is not None
        grip = np.zeros(1) if self._grip is None else self._grip
        action = np.concatenate([self._arm, grip]) * self._simulation.action_scale
        self._simulation.command(action)
        self._news = False
        if self._recorder:
            self._recorder.action(action)

    def _show(self) -> None:
        """Publish the current state, in real time."""
        stamp = self._robot.now(follows=True)
        # If the clock was set back, so are the stamps of the commands from here on.
        self._since = min(self._since, _nanoseconds(stamp))
        self._publish_state(stamp)

    def _publish_state(self, stamp: Stamp) -> None:
        """Publish the current state, and pass it to the camera."""
        if self._camera and not self._realtime:
            # Before the state, so that an answer to the state is one to the image, too.
            self._camera.publish(stamp, self._simulation.picture())
        self._robot.publish_state(sim_messages.messages(self._simulation.state(), stamp))
        if self._camera and self._realtime:
            self._camera.offer(stamp, self._simulation.picture())

    def _publish_result(self, number: int, result: EpisodeResult) -> None:
        """Publish the result of the episode."""
        status = sim_messages.episode(
            number, result, self._simulation.environment, self._factor, self._deadlines.overruns)
        # Before it waits for a learner, and a request to reset may come.
        self._robot.publish_episode(status)
        self._mark(SUCCESS if result.success else FAILURE)
        self._robot.get_logger().info(
            f'episode {number}, seed {result.seed}: {status.message}')


def _nanoseconds(stamp: Stamp) -> int:
    """Convert a stamp to ns."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
