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
"""Control loop: the objects of a running policy, made from the settings and their files."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.factory import make_controller
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.planning.background_planner import BackgroundPlanner
from dfp_ros.core.policy.background import BackgroundInference
from dfp_ros.core.policy.deadline import with_deadline
from dfp_ros.core.policy.interface import Policy
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.node import Settings
from dfp_ros.node.messages.command_writer import CommandWriter
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING
from dfp_ros.spec import PolicySpec


@dataclass(frozen=True)
class ControlLoop:
    """
    Objects that a tick uses; they are replaced together, between two ticks.

    :param settings: The node's parameters.
    :param robot: The robot's description.
    :param policy: The policy.
    :param controller: Computes the commands.
    :param writers: Writers of the command topics, in the description's order.
    :param tick: Time between two ticks in ns.
    :param latency: Measured p99 of the inference time in s, NaN if not measured.
    :param warmup: Controller for cache warm-up; None without warm-up.
    :param inference: Inference beside the loop, with ``planning.asynchronous``; else None.
    """

    settings: Settings
    robot: RobotDescription
    policy: OnnxPolicy
    controller: Controller
    writers: tuple[CommandWriter, ...]
    tick: int
    latency: float = math.nan
    warmup: Controller | None = None
    inference: BackgroundInference | None = None

    @property
    def is_lockstep(self) -> bool:
        """Return whether the robot waits for each command, which its samples trigger."""
        return self.settings.is_lockstep

    @property
    def longest_inference(self) -> float:
        """
        Largest inference time in s with which no command is late.

        A tick that waits for inference takes at least as long. Beside the loop, a chunk has to
        last while it is awaited, and while the next one is.
        """
        if self.inference is None:
            return self.tick * 1e-9
        spec = self.policy.spec
        return max(1e-6, spec.horizon * spec.period - self.tick * 1e-9) / 2

    def measured(self, latency: float) -> ControlLoop:
        """
        Note the inference time.

        :param latency: Its p99 in s.
        :return: The loop with it.
        """
        if isinstance(self.controller.planner, BackgroundPlanner):
            self.controller.planner.expect(latency)
        return replace(self, latency=latency)


def make_control_loop(
        settings: Settings, robot: RobotDescription, policy: OnnxPolicy,
        inference: BackgroundInference | None = None) -> ControlLoop:
    """
    Make a control loop, without inference.

    :param settings: The node's parameters.
    :param robot: The robot's description.
    :param policy: The policy.
    :param inference: Its inference beside the loop, if another loop has that; None for a new one.
    :raises ValueError: If settings, robot and policy do not fit each other.
    """
    if not settings.planning.asynchronous:
        inference = None
    elif inference is None:
        inference = BackgroundInference(policy, SCHEDULING.step_aside)
    controller = make_controller(
        settings, robot, with_deadline(policy, settings), inference=inference)
    tick = settings.tick(policy.spec)
    return ControlLoop(
        settings, robot, policy, controller, make_writers(robot, policy.spec, tick), tick,
        warmup=make_warmup_controller(settings, robot, policy), inference=inference)


def make_writers(
        robot: RobotDescription, spec: PolicySpec, tick: int = 0) -> tuple[CommandWriter, ...]:
    """
    Make the writers of a robot's command topics, for policies of a specification.

    :param tick: Time between two commands in ns; 0 for the policy's control period.
    """
    return tuple(CommandWriter(topic, spec, tick) for topic in robot.commands)


def make_warmup_controller(
        settings: Settings, robot: RobotDescription, policy: Policy) -> Controller | None:
    """
    Make the controller for cache warm-up; None without warm-up.

    A policy with pictures has none: each of its calls encodes them, and a chunk encodes once.

    :param settings: The node's parameters.
    :param robot: The robot's description.
    :param policy: The policy, the same as that of the running controller.
    """
    if settings.planning.asynchronous or not settings.realtime.rehearsal or robot.images:
        return None
    return make_controller(settings, robot, with_deadline(policy, settings))


def remake_control_loop(loop: ControlLoop, settings: Settings) -> ControlLoop:
    """
    Make a loop with the same policy and other settings, without a plan.

    :raises ValueError: If they do not fit robot and policy.
    """
    made = make_control_loop(settings, loop.robot, loop.policy, loop.inference)
    return made.measured(loop.latency)
