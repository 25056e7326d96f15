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
"""Pending policy: validated at once, then loaded and tested before it takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
import math

import numpy as np

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.command.robot_limits import make_limits
from dfp_ros.core.command.unslowed import describe_unslowed
from dfp_ros.core.control.factory import make_controller
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.policy.interface import Chunk, PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import PolicyFile, read_policy_file, require_ending
from dfp_ros.core.policy.posture_file import posture_file
from dfp_ros.core.policy.trust import Trust
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.node import Settings
from dfp_ros.core.settings.without_effect import without_effect
from dfp_ros.core.text.errors import explain, nearest
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.text.printable import listed
from dfp_ros.node.loading.control_loop import ControlLoop, make_control_loop, make_writers
from dfp_ros.node.realtime.thread_scheduling import SCHEDULING
from dfp_ros.resources import find_shared, make_trust
from dfp_ros.spec import PolicySpec


def load_policy(
        name: str, execution: ExecutionSettings | None = None,
        wait: Callable[[], None] | None = None, candidates: int | None = None,
        trust: Trust | None = None) -> OnnxPolicy:
    """
    Load a policy by path or bare name.

    :param name: The path or the name.
    :param execution: Execution providers and threads.
    :param wait: Called before steps that hold the GIL for long; see :class:`OnnxPolicy`.
    :param candidates: Noise vectors of every call, 0 for the file's own number; None for any.
    :param trust: Folder and signature that it needs; None for none.
    :raises ValueError: If it is not trusted, or cannot be found or used.
    """
    file = read_policy_file(find_shared(name, 'models', '.onnx'), trust)
    return OnnxPolicy(file, execution, wait, candidates)


#: Tests a file with execution settings and a number of candidates; raises PolicyError.
TryOut = Callable[[PolicyFile, ExecutionSettings, int], None]

# Calls for the measurement of a p99, fewer if they take longer than this many seconds in total. A
# policy that seems too slow is measured again, as other load on the machine may be the cause.
_CALLS, _FEWEST_CALLS, _SECONDS, _ATTEMPTS = 200, 50, 0.1, 3
# The same of a policy whose inference takes longer than so many seconds: the largest of a few.
_SLOW, _FEWEST_SLOW_CALLS, _SLOW_SECONDS = 0.05, 5, 3.0
# A policy is certainly too slow, and not measured any longer, if each of these few calls took so
# many times what is allowed, for so many seconds: the running loop shares the machine with the
# measurement, and other load may be gone soon.
_CERTAIN, _CERTAIN_SECONDS = 2.0, 1.0


@dataclass(frozen=True)
class PendingPolicy:
    """
    A policy that has to take over.

    :param settings: Its parameters.
    :param policy: The policy, if it is loaded already; else None.
    :param file: Content of its file, read when the parameter was set; None if not yet read.
    """

    settings: Settings
    policy: OnnxPolicy | None = None
    file: PolicyFile | None = None

    @property
    def content(self) -> PolicyFile | None:
        """Return the content of its file, None if not yet read."""
        return self.policy.file if self.policy is not None else self.file


class _Unloaded:
    """A policy of which no more is known than its specification."""

    def __init__(self, spec: PolicySpec) -> None:
        """Keep the specification."""
        self.spec = spec

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """Answer nothing."""
        raise PolicyError(f'policy {self.spec.name!r}: it is not loaded, expected no call')


def validate(settings: Settings, robot: RobotDescription, file: PolicyFile) -> PolicySpec:
    """
    Validate a policy file for given settings, in well under a tick.

    It has to fit robot and settings, as far as its specification shows; no file is read.

    :return: Its specification.
    :raises ValueError: If it cannot be.
    """
    require_ending(file, settings.execution)
    make_controller(settings, robot, _Unloaded(file.spec))
    make_writers(robot, file.spec)
    return file.spec


def load_control_loop(
        candidate: PendingPolicy, robot: RobotDescription,
        wait: Callable[[], None] | None = None, try_out: TryOut | None = None) -> ControlLoop:
    """
    Load a pending policy, test it, and measure its inference time.

    :param candidate: The pending policy.
    :param robot: The robot's description.
    :param wait: Called before steps that hold the GIL for long; returns when other threads can
        spare it. None for no wait.
    :param try_out: Tests its file first, in a process that can be killed; None for no test.
    :raises ValueError: If it cannot be used.
    """
    settings = candidate.settings
    if try_out is not None and candidate.content is not None:
        try_out(candidate.content, settings.execution, settings.candidates)
    if wait is not None:
        # The test process may still be busy, and each thread that needs the GIL delays the others.
        wait()
    policy = _load(candidate, wait)
    loop = make_control_loop(settings, robot, policy)
    candidates = settings.candidates or policy.spec.candidates
    policy.warm_up(candidates, 2)
    first = np.empty(0)
    while first.sum() < _CERTAIN_SECONDS:
        first = np.append(first, policy.warm_up(candidates, _FEWEST_SLOW_CALLS))
        if first.min() <= _CERTAIN * longest_latency(loop):
            break
    else:
        return loop.measured(float(np.percentile(first, 99)))
    calls = _count_calls(policy, candidates)
    for _ in range(_ATTEMPTS):
        latency = float(np.percentile(policy.warm_up(candidates, calls), 99))
        loop = loop.measured(latency)
        if latency <= longest_latency(loop):
            break
    return loop


def _load(candidate: PendingPolicy, wait: Callable[[], None] | None) -> OnnxPolicy:
    """Load a policy; inference beside the loop leaves the processor to other processes."""
    settings = candidate.settings
    is_beside = settings.planning.asynchronous
    pauses = (SCHEDULING.step_down, SCHEDULING.step_up) if is_beside else None
    with SCHEDULING.native_threads() if is_beside else contextlib.nullcontext():
        if candidate.policy is not None:
            return candidate.policy.prepared_for(settings.candidates, wait)
        file = candidate.file or read_policy_file(
            find_shared(settings.policy, 'models', '.onnx'),
            make_trust(settings.policy_roots, settings.policy_keys))
        return OnnxPolicy(file, settings.execution, wait, settings.candidates, pauses=pauses)


def load_posture(loop: ControlLoop) -> ControlLoop:
    """
    Load the posture that is the fallback of a control loop.

    :param loop: The loop, whose settings name the posture.
    :raises ValueError: If robot or policy lack it, or cannot reach it.
    """
    robot, name = loop.robot, loop.settings.fallback.posture
    if name not in robot.postures:
        known = nearest(name, robot.postures) if robot.postures else (
            'the robot description has none; add a section postures')
        raise PolicyError(f'parameter fallback.posture: found {name!r}; {known}')
    posture = robot.postures[name]
    made = load_control_loop(
        PendingPolicy(loop.settings, file=posture_file(posture, loop.policy.spec)), robot)
    limits = make_limits(robot, made.policy.spec, loop.settings.limits.data_envelope)
    for action, where in made.policy.spec.action_slices.items():
        for value, low, high in zip(
                posture.values[action], limits.low[where], limits.high[where], strict=True):
            if not low <= value <= high:
                raise PolicyError(
                    f'{posture.where}: found {shown(value)} for {action}, the limits allow '
                    f'{shown(low)} to {shown(high)}')
    require_latency(made)
    return made


def _count_calls(policy: OnnxPolicy, candidates: int) -> int:
    """Warm up, and return the number of calls for the measurement of a p99."""
    took = float(policy.warm_up(candidates, 2).min())
    if took > _SLOW:
        return int(np.clip(_SLOW_SECONDS / took, _FEWEST_SLOW_CALLS, _FEWEST_CALLS))
    return int(np.clip(
        _SECONDS / np.median(policy.warm_up(candidates)), _FEWEST_CALLS, _CALLS))


def signed(loop: ControlLoop) -> str:
    """Say who has signed a policy, for a list in the log."""
    return f', {loop.policy.file.signer}' if loop.policy.file.signer else ''


def describe_concerns(loop: ControlLoop) -> Iterator[str]:
    """Describe concerns about a loaded policy, which can run all the same."""
    try:
        require_latency(loop)
    except PolicyError as error:
        yield explain(error)
    providers = ' '.join(loop.policy.providers)
    left_out = loop.policy.execution.left_out(loop.policy.providers)
    if left_out:
        yield (
            f'the policy does not run on {", ".join(left_out)}: this ONNX Runtime, or this '
            f'machine, has none; it runs on {providers}')
    if unslowed := describe_unslowed(loop.settings, loop.robot):
        yield unslowed
    yield from doubtful_settings(loop)


def doubtful_settings(loop: ControlLoop) -> tuple[str, ...]:
    """Describe settings that have no effect beside the others, or change what the policy sees."""
    return (
        *without_effect(loop.settings, loop.settings.candidates or loop.policy.spec.candidates),
        *_describe_histories(loop))


def _describe_histories(loop: ControlLoop) -> Iterator[str]:
    """Describe histories whose ticks are nearer or farther than those of the training data."""
    period = loop.policy.spec.period
    names = [entry.name for entry in loop.robot.observation if entry.history > 1]
    if names and not math.isclose(loop.tick * 1e-9, period, rel_tol=1e-3):
        yield (
            f'parameter rate: the ticks of the history of {listed(names)} are '
            f'{shown(loop.tick * 1e-9)} s apart, and were {shown(period)} s apart in training: '
            'the policy sees another motion than the one that there is; set it to 0')


def longest_latency(loop: ControlLoop) -> float:
    """Return the largest allowed inference time in s."""
    return loop.settings.latency_share * loop.longest_inference


def require_latency(loop: ControlLoop) -> None:
    """
    Require that inference of a policy is fast enough for its ticks.

    :raises PolicyError: If it does not.
    """
    limit = longest_latency(loop)
    if loop.latency > limit:
        spec = loop.policy.spec
        takes = (
            f'policy {spec.name!r} ({loop.policy.path}): its inference takes '
            f'{loop.latency * 1e3:.3g} ms (p99), expected at most {limit * 1e3:.3g} ms, which is '
            f'{loop.settings.latency_share:g} of ')
        if loop.inference is not None:
            raise PolicyError(
                f'{takes}the time in which a chunk of {spec.horizon} actions can wait for the '
                f'next; lower candidates, raise latency_share, or train a longer horizon')
        raise PolicyError(
            f'{takes}a tick at {1e9 / loop.tick:g} Hz; lower rate or candidates, raise '
            'latency_share, or set planning.asynchronous, with which no tick waits for inference')
