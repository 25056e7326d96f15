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
"""
Node ``dfp_policy``: runs a policy file on a robot, at a fixed rate.

``ros2 run dfp_ros policy_node --ros-args -p policy:=cube_single -p robot:=ur5e_cube``
"""

from __future__ import annotations

from collections.abc import Mapping
import gc
import sys
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.service import Service
from std_srvs.srv import Trigger

from dfp_ros.control_loop import ControlLoop, load_policy, load_robot, make_control_loop
from dfp_ros.decision_publisher import DecisionPublisher
from dfp_ros.diagnostics_publisher import DiagnosticsPublisher
from dfp_ros.explain import explain
from dfp_ros.node_main import run_node
from dfp_ros.node_parameters import declare_parameters, frozen_change, read_settings
from dfp_ros.robot_topics import CommandPublishers, SourceSubscriptions
from dfp_ros.settings import SettingsError
from dfp_ros.ticker import Ticker


class PolicyNode(LifecycleNode):
    """
    The policy node; see the parameters' descriptions.

    :raises rclpy.exceptions.ParameterException: Where a parameter's value is out of range.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Declare the parameters; everything else happens in the transitions."""
        super().__init__('dfp_policy', **kwargs)
        declare_parameters(self)
        # What exists while the node is configured.
        self._ticker: Ticker | None = None
        self._commands: CommandPublishers | None = None
        self._reset_service: Service | None = None
        self._parts: list[Any] = []
        self._prepared: ControlLoop | None = None
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, check and warm up; a failure is logged, and leaves nothing behind."""
        try:
            settings = read_settings(self)
            robot, policy = load_robot(settings.robot), load_policy(settings.policy)
            loop = make_control_loop(settings, robot, policy)
            self._open(loop)
        except Exception as error:  # whatever it is, the operator is told, and the node lives on
            self.get_logger().error(f'cannot configure: {explain(error)}')
            self._close()
            return TransitionCallbackReturn.FAILURE
        self.get_logger().info(
            f'policy {policy.spec.name!r} ({policy.path}, sha256 {policy.sha256[:12]}) on robot '
            f'{robot.name!r} at {1e9 / loop.tick:g} Hz')
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start ticking, from samples that arrive from now on."""
        assert self._ticker is not None
        self._ticker.start()
        # What was loaded stays; without it, a collection is too short to be seen in the loop.
        gc.collect()
        gc.freeze()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot, and stop ticking."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot, should it be moving, and free everything."""
        self._stop()
        self._close()
        return TransitionCallbackReturn.SUCCESS

    # After a shutdown or a transition that failed there is nothing more, and nothing less, to do.
    on_shutdown = on_cleanup
    on_error = on_cleanup

    def autostart(self) -> bool:
        """
        Configure and activate, where the parameter says so.

        :return: False where that failed; the reason has been logged.
        """
        return not self.get_parameter('autostart').value or (
            self.trigger_configure() == TransitionCallbackReturn.SUCCESS
            and self.trigger_activate() == TransitionCallbackReturn.SUCCESS)

    def close(self) -> None:
        """Stop the robot whatever the node is doing; wait a moment for the command to arrive."""
        self._stop()
        if self._commands is not None:
            self._commands.wait_until_arrived()
        self._close()
        self.destroy_node()

    def _open(self, loop: ControlLoop) -> None:
        """Create publishers, then subscriptions, then what reports on them."""
        self._commands = CommandPublishers(self, loop)
        self._parts.append(self._commands)
        decisions = None
        if loop.settings.publish_decisions:
            decisions = DecisionPublisher(self, loop)
            self._parts.append(decisions)
        self._ticker = Ticker(self, loop, self._commands, decisions)
        self._parts.append(SourceSubscriptions(self, loop, self._ticker.receive))
        self._reset_service = self.create_service(Trigger, '~/reset', self._on_reset)
        self._parts.append(DiagnosticsPublisher(self, self._ticker))

    def _close(self) -> None:
        """Destroy what :meth:`_open` created."""
        if self._reset_service is not None:
            self.destroy_service(self._reset_service)
        for part in reversed(self._parts):
            part.close()
        self._ticker, self._commands, self._reset_service, self._parts = None, None, None, []

    def _stop(self) -> None:
        """Stop ticking, and stop the robot."""
        if self._ticker is not None and self._ticker.stop():
            gc.unfreeze()
            self.get_logger().info('stopped: sent zero to every command topic')

    # Parameters

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Accept or refuse new values; what follows from them is prepared, but not used yet."""
        self._prepared = None
        changes = {parameter.name: parameter.value for parameter in parameters}
        try:
            if self._ticker is not None:
                self._prepared = self._prepare_changes(self._ticker.loop, changes)
            elif changes.get('policy'):
                load_policy(changes['policy'])
            if self._ticker is None and changes.get('robot'):
                load_robot(changes['robot'])
        except Exception as error:  # likewise: a bad value must not end what is running
            reason = explain(error)
            self.get_logger().warning(f'refused {", ".join(changes)}: {reason}')
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _prepare_changes(
            self, loop: ControlLoop, changes: Mapping[str, Any]) -> ControlLoop | None:
        """Make the loop that new values ask for; None where they do not concern it."""
        settings = read_settings(self, changes)
        frozen = frozen_change(loop.settings, changes)
        if frozen is not None:
            raise SettingsError(
                f'parameter {frozen}: can be set while the node is unconfigured; deactivate and '
                'clean up first')
        if settings == loop.settings and 'policy' not in changes:
            return None
        policy = load_policy(settings.policy) if 'policy' in changes else loop.policy
        return make_control_loop(settings, loop.robot, policy)

    def _apply_parameters(self, parameters: list[Parameter]) -> None:
        """Use what was prepared. Ticks run on this thread too, so this is between two of them."""
        loop, self._prepared = self._prepared, None
        if loop is None or self._ticker is None:
            return
        if loop.policy is not self._ticker.loop.policy:
            self.get_logger().info(
                f'policy {loop.policy.spec.name!r} ({loop.policy.path}, sha256 '
                f'{loop.policy.sha256[:12]}) takes over')
        self._ticker.take_over(loop)

    # Services

    def _on_reset(
            self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Stop, and begin an episode: no chunk, noise from its seed, observations from now on."""
        response.success = self._ticker is not None and self._ticker.is_active
        if self._ticker is not None and self._ticker.is_active:
            self._ticker.reset()
            response.message = (
                'chunk dropped, noise starts again at seed '
                f'{self._ticker.loop.settings.noise_seed}')
        else:
            response.message = 'the node is not active; activate it first'
        return response


def main(args: list[str] | None = None) -> int:
    """
    Run the node until SIGINT or SIGTERM.

    :return: The exit status: 1 where a parameter is wrong or the autostart failed, else 0.
    """
    return run_node('dfp_policy', PolicyNode, args)


if __name__ == '__main__':
    sys.exit(main())
