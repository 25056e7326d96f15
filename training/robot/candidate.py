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
"""Candidate policy: exported from the networks, and checked before a robot gets it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
import time

import numpy as np

from dfp_ros.core.control.input_log import policy_number
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.spec import PolicySpec
from training.learning.agents.agent import Agent
from training.learning.trainer.exported_policy import write_policy
from training.onnx_export.parity import compare, ExportError

# Observations on which it is compared with the networks, and tried.
_COMPARED, _TRIED = 4, 32
# Least range of an action that a margin is a fraction of, of the 2 that it can have: networks
# never answer an action that does not change in the data to the last digit.
_LEAST_RANGE = 0.2


class CandidateError(ValueError):
    """A policy is not fit for the robot; the message says why."""


@dataclass(frozen=True)
class Candidate:
    """
    A policy file that passed the checks.

    :param path: The file.
    :param sha256: Its hash.
    :param version: Its number in the run, from 1.
    :param updates: Updates of its networks.
    """

    path: Path
    sha256: str
    version: int
    updates: int

    @property
    def number(self) -> int:
        """Its number in decisions."""
        return policy_number(self.sha256)


def expected_actions(
        spec: PolicySpec, lowest: np.ndarray, highest: np.ndarray,
        margin: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Compute the range of the actions that are expected of a new policy.

    :param spec: Specification of the policy, with the range of the data.
    :param lowest: Lowest actions that were sent to the robot, shape (act_dim,); infinite if none.
    :param highest: Highest ones; minus infinity if none.
    :param margin: Margin around the range of both, as a fraction of it, or of 0.2 if that is more.
    :return: Lowest and highest expected actions, each of shape (act_dim,).
    """
    low, high = (
        np.concatenate([getattr(field, name) for field in spec.action])
        for name in ('data_low', 'data_high'))
    low, high = np.minimum(low, lowest), np.maximum(high, highest)
    slack = margin * np.maximum(high - low, _LEAST_RANGE) + 1e-6
    return low - slack, high + slack


def make_candidate(
        agent: Agent, spec: PolicySpec, path: Path, version: int, updates: int,
        observations: np.ndarray, limits: tuple[np.ndarray, np.ndarray], outside: float,
        latency: float) -> Candidate:
    """
    Export the networks, and check the file.

    :param agent: The networks.
    :param spec: Specification of the policy.
    :param path: The file to write.
    :param version: Its number in the run.
    :param updates: Updates of the networks.
    :param observations: Recent observations of the robot, shape (count, obs_dim), at least one.
    :param limits: Lowest and highest expected actions, each of shape (act_dim,).
    :param outside: Largest share of the actions beyond them, from 0 to 1.
    :param latency: Largest inference time in s.
    :raises CandidateError: If it is not fit for a robot; there is no file then.
    :raises WriteError: If the file cannot be written.
    """
    spec = replace(
        spec, name=path.stem, provenance={**spec.provenance, 'steps': updates})
    write_policy(agent, spec, path)
    try:
        policy = OnnxPolicy(path)
        compare(agent, policy, observations[-_COMPARED:])
        policy = policy.prepared_for(0)
        _try(policy, observations[-_TRIED:], limits, outside, latency)
    except (ExportError, ValueError) as error:
        path.unlink(missing_ok=True)
        raise CandidateError(f'policy {version} after {updates} updates: {error}') from error
    return Candidate(path, policy.sha256, version, updates)


def _try(
        policy: OnnxPolicy, observations: np.ndarray, limits: tuple[np.ndarray, np.ndarray],
        outside: float, latency: float) -> None:
    """Have a policy answer recent observations, and check actions and time."""
    spec = policy.spec
    noise = NoiseStream(0, spec.candidates, spec.noise_size, spec.noise_scale)
    times, answers = [], []
    for i in range(_TRIED):
        began = time.perf_counter()
        answers.append(policy.act(observations[i % len(observations)], noise.next()).actions)
        times.append(time.perf_counter() - began)
        if not np.isfinite(answers[-1]).all():
            raise CandidateError('actions: found numbers that are not finite')
    _check_range(spec, np.concatenate(answers), limits, outside)
    # The median, because this process shares its processors.
    if (found := float(np.median(times))) > latency:
        raise CandidateError(
            f'inference: found {found * 1e3:.2f} ms, expected at most {latency * 1e3:.2f} ms')


def _check_range(
        spec: PolicySpec, actions: np.ndarray, limits: tuple[np.ndarray, np.ndarray],
        outside: float) -> None:
    """Check how many actions, shape (count, act_dim), leave a range, for each number."""
    names = [field.name for field in spec.action for _ in range(field.size)]
    low, high = limits
    excess = np.maximum(low - actions, actions - high)
    share = (excess > 0).mean(axis=0)
    k = int(share.argmax())
    if share[k] > outside:
        worst = actions[excess[:, k].argmax(), k]
        raise CandidateError(
            f'{names[k]}: found {share[k]:.0%} of the actions outside of {low[k]:.3g} to '
            f'{high[k]:.3g}, the range of the data and of what was sent, the farthest '
            f'{worst:.3g}, expected at most {outside:.0%}')
