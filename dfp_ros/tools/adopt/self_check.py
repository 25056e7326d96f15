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
"""Self-check of an adopted policy: the policy file against the foreign one, call by call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.tools.adopt.adoption import AdoptError, Adoption
from dfp_ros.tools.adopt.foreign_model import ForeignModel
from dfp_ros.tools.adopt.foreign_runtime import ForeignRuntime
from dfp_ros.tools.adopt.layout import Layout

#: Largest difference of an action; of one beyond [-1, 1], as a fraction of it.
TOLERANCE = 1e-6
_EPISODES, _CALLS = 8, 16


@dataclass(frozen=True)
class Agreement:
    """
    Result of the self-check.

    :param calls: Number of compared calls.
    :param largest: Largest difference of an action, of one beyond [-1, 1] as a fraction of it.
    """

    calls: int
    largest: float


def check_policy(
        path: Path, adoption: Adoption, foreign: ForeignModel, layout: Layout,
        seed: int = 0) -> Agreement:
    """
    Compare a policy file with the policy that it was adopted from.

    Observations are drawn uniformly from the stated range, and each side keeps its own state from
    call to call.

    :param path: The policy file.
    :param adoption: The meaning of the policy.
    :param foreign: The foreign model.
    :param layout: The layout of the policy file.
    :param seed: Seed of the observations.
    :raises AdoptError: If they differ.
    :raises PolicyError: If the policy file cannot be loaded.
    """
    reference = ForeignRuntime(adoption, foreign, layout.shapes)
    # The sizes of outputs are known only now, and a wrong one has a message of its own here.
    middle = {
        term.name: np.tile(
            np.add(term.low, term.high) / 2, (term.history, 1)).astype(np.float32)
        for term in adoption.observed}
    _require_finite(foreign, reference.command(middle), 'in the middle of')
    policy = OnnxPolicy(path, candidates=1)
    spec = policy.spec
    low, high = (
        np.array([value for member in spec.action for value in getattr(member, bound)])
        for bound in ('low', 'high'))
    half, moves = (high - low) / 2, high > low
    noise = np.zeros((1, spec.noise_size), np.float32)
    generator = np.random.default_rng(seed)
    largest = 0.0
    for _ in range(_EPISODES):
        reference.reset()
        state = None
        for call in range(_CALLS):
            values = {
                term.name: generator.uniform(
                    term.low, term.high, (term.history, term.size)).astype(np.float32)
                for term in adoption.observed}
            expected = reference.command(values)
            _require_finite(foreign, expected, 'within')
            chunk = policy.act(
                np.concatenate([values[term.name].ravel() for term in adoption.observed]), noise,
                state)
            state = chunk.state
            action = np.divide(
                expected - low, half, out=np.ones_like(expected), where=moves) - 1
            difference = np.abs(chunk.actions - action) / np.maximum(1, np.abs(action))
            if not np.isfinite(chunk.actions).all() or difference.max() > TOLERANCE:
                row, column = np.unravel_index(int(difference.argmax()), difference.shape)
                raise AdoptError(
                    f'{foreign.path}: the policy file that was made of it answers otherwise: '
                    f'number {column} of action {row} in call {call} of an episode is '
                    f'{chunk.actions[row, column]:.9g}, expected {action[row, column]:.9g} within '
                    f'{TOLERANCE:g}; nothing was written. Is its graph random, or does it keep a '
                    'state that is no output?')
            largest = max(largest, float(difference.max()))
    return Agreement(_EPISODES * _CALLS, largest)


def _require_finite(foreign: ForeignModel, commands: NDArray[np.float64], place: str) -> None:
    """Require that the foreign policy answers numbers."""
    if not np.isfinite(commands).all():
        raise AdoptError(
            f'{foreign.path}: its commands for an observation {place} the stated ranges are not '
            'all finite; check low, high, minus and scale, or take another checkpoint of it')
