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
"""Planner and controller of a policy on a robot."""

from __future__ import annotations

from collections.abc import Callable
import time

from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.command.limiter import CommandLimiter
from dfp_ros.core.command.robot_limits import find_positions, find_relative, make_limits
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.description.robot import require_fit, RobotDescription
from dfp_ros.core.observation.feedback import FeedbackReader
from dfp_ros.core.planning.anchoring import Anchoring
from dfp_ros.core.planning.background_planner import BackgroundPlanner
from dfp_ros.core.planning.planner import Planner
from dfp_ros.core.policy.background import BackgroundInference, Inference
from dfp_ros.core.policy.interface import Policy
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.settings.node import Settings
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.takeover.person import Person


def make_planner(
        settings: Settings, policy: Policy, robot: RobotDescription,
        clock: Callable[[], int] = time.perf_counter_ns,
        inference: Inference | None = None) -> Planner:
    """
    Make the planner of a policy, with noise from the start of its seed.

    The policy is asked as it is; see :func:`dfp_ros.core.policy.deadline.with_deadline`. With
    ``planning.asynchronous``, its inference is asked instead.

    :raises SettingsError: If the policy cannot be asked in that way.
    """
    spec = policy.spec
    if settings.planning.asynchronous and spec.state_size:
        raise SettingsError(
            f'parameter planning.asynchronous: found true, but policy {spec.name!r} has a '
            f'recurrent state of {spec.state_size} numbers, which has to see every step; set it '
            'to false')
    noise = NoiseStream(
        settings.noise_seed, settings.candidates or spec.candidates, spec.noise_size,
        settings.scale(spec), settings.planning.noise)
    positions, anchoring = find_positions(robot, spec), None
    relative = find_relative(robot, spec)
    if spec.anchor == 'observation' and relative.any():
        scale = ActionScale.of_policy(spec)
        anchoring = Anchoring(relative, (scale.high - scale.low) / 2)
    if settings.planning.asynchronous:
        return BackgroundPlanner(
            BackgroundInference(policy) if inference is None else inference, noise,
            settings.tick(spec), settings.planning, positions, anchoring)
    return Planner(
        policy, noise, settings.tick(spec), clock, settings.planning, positions, anchoring)


def make_controller(
        settings: Settings, robot: RobotDescription, policy: Policy,
        clock: Callable[[], int] = time.perf_counter_ns,
        inference: Inference | None = None) -> Controller:
    """
    Make the controller, without inference.

    :param settings: The node's parameters.
    :param robot: The robot's description.
    :param policy: The policy.
    :param clock: Clock in ns, for measuring inference time.
    :param inference: Inference of the policy with ``planning.asynchronous``; None for its own.
    :raises ValueError: If settings, robot and policy do not fit each other.
    """
    spec, tick = policy.spec, settings.tick(policy.spec)
    # A policy for another robot is refused before its limits are computed.
    require_fit(spec, robot)
    limits = make_limits(robot, spec, settings.limits.data_envelope)
    limiter = CommandLimiter(limits, tick, settings.limits.ramp_in)
    planner = make_planner(settings, policy, robot, clock, inference)
    measured = FeedbackReader(robot, spec)
    person = None if robot.takeover is None else Person(
        robot.takeover, robot, spec, limits, tick, settings.is_lockstep)
    return Controller(
        robot, spec, planner, limiter, settings.safety, tick,
        measured.read if measured.is_needed else None, robot.wants_ahead, person, measured.ages)
