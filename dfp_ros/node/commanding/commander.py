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
"""The one sender of commands to the robot: decisions of the controller, and stops beside it."""

from __future__ import annotations

from collections.abc import Callable

from dfp_ros.core.arrays import Vector
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.control.decision import Decision, State
from dfp_ros.core.control.input_log import InputLog
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.commanding.command_publishers import CommandPublishers
from dfp_ros.node.commanding.decision_log import DecisionLog
from dfp_ros.node.loading.control_loop import ControlLoop


class NotEntitledError(ValueError):
    """This node may not command the robot, as another node may do so by now."""


def _always() -> bool:
    """Allow every command."""
    return True


class Commander:
    """
    Sends every command, and makes the decisions that no step of the controller makes.

    Those are stops, and each has its request. A stop that begins a hold, while ticks go on, is
    logged, and noted for replays: the controller is asked for it. The others are followed by a
    reset, or by the commands that :meth:`Watchdog.hand_back` returns.

    Everything but :meth:`stop`, :meth:`stop_for_good`, :meth:`stop_overdue` and ``may_command``
    is for the thread that ticks.

    :param publishers: Publish the commands.
    :param log: Gets the decisions that begin a hold.
    :param input_log: Is told when the controller is asked for its stop command.
    :param may_command: Returns whether this node may command the robot, for any thread; nothing
        is sent while it may not.

    :ivar publishers: As given.
    :ivar may_command: As given.
    :ivar has_stopped: Whether the last :meth:`stop` was a command that was sent: positions have
        none before there was another.
    """

    def __init__(
            self, publishers: CommandPublishers, log: DecisionLog, input_log: InputLog,
            may_command: Callable[[], bool] = _always) -> None:
        """Command nothing yet."""
        self.publishers = publishers
        self.may_command = may_command
        self.has_stopped = False
        self._is_over = False
        self._log = log
        self._input_log = input_log

    def send(self, loop: ControlLoop, decision: Decision, stamp: int) -> None:
        """
        Send a decision of the controller.

        :param loop: The control loop that decided.
        :param decision: The decision.
        :param stamp: Time of its observation in ns.
        :raises NotEntitledError: If this node may not command the robot.
        :raises Exception: As :meth:`CommandPublishers.send`.
        """
        if self._is_over:
            raise NotEntitledError('the last command was sent, as the process is being ended')
        if not self.may_command():
            raise NotEntitledError(
                'this node stood still, so another may command the robot by now; nothing is sent '
                'until this node has checked that, which takes about 2 s')
        self.publishers.send(loop, decision, stamp)

    def try_to_send(self, loop: ControlLoop, decision: Decision, stamp: int) -> bool:
        """
        Send a decision of the controller, as :meth:`send`; a failure is logged.

        :return: Whether it had a command, and that was sent.
        """
        return not self._is_over and self.may_command() and self.publishers.try_to_send(
            loop, decision, stamp)

    def hold(self, loop: ControlLoop, reason: Reason, text: str) -> None:
        """
        Hold a robot between two ticks.

        :param loop: The control loop that runs.
        :param reason: The fault.
        :param text: Description of the fault.
        """
        decision = self._ask_for_stop(loop, _state_of_hold(loop), reason, text)
        self._try_unasked(loop, decision)
        self._log.add(decision)

    def hold_at_standstill(self, loop: ControlLoop, text: str) -> None:
        """
        Hold a robot without ticks, if it may be moving; else log the cause of the wait.

        :param loop: The control loop that runs.
        :param text: Description of the standstill.
        """
        last = self._log.last
        if last is None or last.state is State.WAITING:
            self._log.add(Decision(State.WAITING, Reason.WAITING, text))
        else:
            self.hold(loop, Reason.STALE, text)

    def stop_for_operator(self, loop: ControlLoop, text: str) -> None:
        """
        Stop the robot at an operator's request.

        :param loop: The control loop that runs.
        :param text: Origin of the stop, and how to resume.
        :raises Exception: If the stop could not be sent; then it is not logged.
        """
        decision = self._ask_for_stop(loop, State.STOPPED, Reason.OPERATOR_STOP, text)
        self.send(loop, decision, self.publishers.unasked_stamp())
        self._log.add(decision)

    def slow_down(self, loop: ControlLoop) -> None:
        """Send one command of a controlled stop, a tick after the last one."""
        self._try_unasked(loop, _stop(loop.controller.limiter.stop()))

    def stop(self, loop: ControlLoop) -> None:
        """Send the last command before silence, if anything was commanded that it could end."""
        self.has_stopped = self._try_unasked(loop, _stop(loop.controller.halt()))

    def end_velocities(self, loop: ControlLoop) -> None:
        """
        Send zeros to topics of velocities alone, as they may be in force from before an episode.

        :param loop: The control loop that runs.
        :raises Exception: If they could not be sent.
        """
        if self.may_command():
            self.publishers.end_velocities(loop, self.publishers.unasked_stamp())

    def stop_for_good(self, loop: ControlLoop) -> None:
        """
        Send the last command before the process ends by force, and wait a moment for its arrival.

        Other threads may still run, and send nothing any more.

        :param loop: The control loop that runs.
        """
        is_mine = not self._is_over and self.may_command()
        self._is_over = True
        # A command of another thread may have been on its way to the publisher during the first.
        for _ in range(2 if is_mine else 0):
            self.has_stopped = self.publishers.try_to_send(
                loop, _stop(loop.controller.halt()), self.publishers.unasked_stamp())
            self.publishers.wait_until_arrived()

    def stop_overdue(self, loop: ControlLoop, limiter: CommandLimiter, is_soon: bool) -> None:
        """
        Send one stop in place of the thread that ticks; nothing of the controller is touched.

        :param loop: The control loop, with writers that no other thread uses.
        :param limiter: A copy of the controller's limiter.
        :param is_soon: Whether the next stop comes soon: then a robot that is fast is slowed down
            first, as in a hold.
        """
        sent = limiter.stop() if limiter.is_fast and is_soon else limiter.halt()
        self._try_unasked(loop, Decision(_state_of_hold(loop), Reason.OVERDUE, '', sent))

    def _ask_for_stop(
            self, loop: ControlLoop, state: State, reason: Reason, text: str) -> Decision:
        """Ask the controller for its stop command, and note that."""
        decision = Decision(state, reason, text, loop.controller.halt())
        self._input_log.ask_for_stop()
        return decision

    def _try_unasked(self, loop: ControlLoop, decision: Decision) -> bool:
        """Send a command that answers no observation; tell whether it was sent."""
        return self.try_to_send(loop, decision, self.publishers.unasked_stamp())


def _stop(sent: Vector | None) -> Decision:
    """Make the decision of a stop that is not logged."""
    return Decision(State.HOLD, Reason.NONE, '', sent)


def _state_of_hold(loop: ControlLoop) -> State:
    """Return the state of a robot that is held; an operator's stop stays in force."""
    return State.STOPPED if loop.controller.operator.is_stopped else State.HOLD
