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
"""Everything that one control loop works with, loaded from the files that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import hashlib
import math
import time

from dfp_ros.chunk import NoiseStream
from dfp_ros.command_limiter import CommandLimiter
from dfp_ros.command_limits import find_positions, make_limits
from dfp_ros.command_writer import CommandWriter
from dfp_ros.controller import Controller
from dfp_ros.execution import ExecutionSettings
from dfp_ros.measured import MeasuredReader
from dfp_ros.planner import Planner, Policy
from dfp_ros.policy import OnnxPolicy
from dfp_ros.punctual_policy import PunctualPolicy
from dfp_ros.robot_description import load_robot_description, require_fit, RobotDescription
from dfp_ros.settings import Settings
from dfp_ros.shared_files import find_shared
from dfp_ros.yaml_section import read_text


@dataclass(frozen=True)
class ControlLoop:
    """
    What the ticks work with; it is replaced as a whole, between two ticks.

    :param settings: The parameters that it was made from.
    :param robot: The robot's description.
    :param policy: The policy.
    :param controller: Decides the commands.
    :param writers: Writers of the command topics, in the description's order.
    :param tick: Time between two ticks in ns.
    :param latency: p99 of the policy's inference in s as measured, NaN where it was not.
    :param understudy: Rehearses steps before they count; None where nothing is rehearsed.
    """

    settings: Settings
    robot: RobotDescription
    policy: OnnxPolicy
    controller: Controller
    writers: tuple[CommandWriter, ...]
    tick: int
    latency: float = math.nan
    understudy: Controller | None = None


def load_policy(
        name: str, execution: ExecutionSettings | None = None,
        wait: Callable[[], None] | None = None, candidates: int | None = None) -> OnnxPolicy:
    """
    Load a policy by path or bare name.

    :param name: The path or the name.
    :param execution: What it runs on.
    :param wait: Called before what keeps the interpreter for long; see :class:`OnnxPolicy`.
    :param candidates: Noise vectors of every call, 0 for the file's own number; None for any.
    :raises ValueError: Where it cannot be found or used.
    """
    return OnnxPolicy(find_shared(name, 'models', '.onnx'), execution, wait, candidates)


def load_robot(name: str) -> RobotDescription:
    """
    Load a robot description by path or bare name.

    :raises ValueError: Where it cannot be found or used.
    """
    return load_robot_description(find_shared(name, 'config', '.yaml'))


def hash_robot(name: str) -> str:
    """Hash a robot description's file: SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(read_text(find_shared(name, 'config', '.yaml'))).hexdigest()


def make_planner(
        settings: Settings, policy: Policy, robot: RobotDescription,
        clock: Callable[[], int] = time.perf_counter_ns) -> Planner:
    """
    Make what asks a policy for chunks and plays them, with noise from the start.

    Where a late answer stops the robot, it is not waited for.
    """
    spec = policy.spec
    deadline = settings.safety.inference_deadline * settings.tick(spec) * 1e-9
    if deadline and settings.safety.late_inference == 'hold' and isinstance(policy, OnnxPolicy):
        policy = PunctualPolicy(policy, deadline)
    noise = NoiseStream(
        settings.noise_seed, settings.candidates or spec.candidates, spec.noise_size,
        settings.scale(spec), settings.planning.noise)
    return Planner(
        policy, noise, settings.tick(spec), clock, settings.planning, find_positions(robot, spec))


def make_controller(
        settings: Settings, robot: RobotDescription, policy: Policy,
        clock: Callable[[], int] = time.perf_counter_ns) -> Controller:
    """
    Make what decides; the policy is not asked anything.

    :param settings: The node's parameters.
    :param robot: The robot's description.
    :param policy: The policy.
    :param clock: Counts ns, for measuring inference.
    :raises ValueError: Where settings, robot and policy do not fit each other.
    """
    spec, tick = policy.spec, settings.tick(policy.spec)
    # A policy for another robot is refused before its limits are looked for.
    require_fit(spec, robot)
    limits = make_limits(robot, spec, settings.limits.data_envelope)
    limiter = CommandLimiter(limits, tick, settings.limits.ramp_in)
    planner = make_planner(settings, policy, robot, clock)
    measured = MeasuredReader(robot, spec)
    return Controller(
        robot, spec, planner, limiter, settings.safety, tick,
        measured.read if measured.is_needed else None, robot.wants_ahead)


def make_control_loop(
        settings: Settings, robot: RobotDescription, policy: OnnxPolicy) -> ControlLoop:
    """
    Put a control loop together; the policy is not asked anything.

    :param settings: The node's parameters.
    :param robot: The robot's description.
    :param policy: The policy.
    :raises ValueError: Where settings, robot and policy do not fit each other.
    """
    controller = make_controller(settings, robot, policy)
    writers = tuple(CommandWriter(topic, policy.spec) for topic in robot.commands)
    return ControlLoop(
        settings, robot, policy, controller, writers, settings.tick(policy.spec),
        understudy=make_understudy(settings, robot, policy))


def make_understudy(
        settings: Settings, robot: RobotDescription, policy: OnnxPolicy) -> Controller | None:
    """
    Make what rehearses; None where nothing is to be rehearsed.

    :param settings: The node's parameters.
    :param robot: The robot's description.
    :param policy: The policy that is asked when it counts, too.
    """
    return make_controller(settings, robot, policy) if settings.realtime.rehearsal else None


def remake_control_loop(loop: ControlLoop, settings: Settings) -> ControlLoop:
    """
    Make a loop with the same policy, without a plan, and other settings.

    :raises ValueError: Where they do not fit robot and policy.
    """
    made = make_control_loop(settings, loop.robot, loop.policy)
    return replace(made, latency=loop.latency)
