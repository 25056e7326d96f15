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
"""A posture as a policy file, so that it takes over, is limited and replayed like any policy."""

from __future__ import annotations

from dataclasses import replace
import hashlib
from pathlib import Path

import numpy as np

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.description.postures import Posture
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_constant import write_constant_model
from dfp_ros.core.policy.policy_file import PolicyFile
from dfp_ros.core.text.numbers import shown
from dfp_ros.spec import METADATA_KEY, PolicySpec
from dfp_ros.spec_bounds import LARGEST_OBSERVATION

# Key in the provenance of a posture's specification: name, and the action that is always answered.
_KEY = 'posture'
# By so much an action may exceed 1 because of rounding.
_SLACK = 1e-6


def posture_file(posture: Posture, spec: PolicySpec) -> PolicyFile:
    """
    Make the policy that always answers with a posture.

    Any observation is in its range: it has not been trained.

    :param posture: The posture.
    :param spec: Specification of the policy that it stands in for.
    :raises PolicyError: If that policy cannot command it.
    """
    action: list[float] = []
    for member in spec.action:
        values = posture.values.get(member.name, ())
        if len(values) != member.size:
            raise PolicyError(
                f'{posture.where}: found {len(values)} numbers of {member.name}, policy '
                f'{spec.name!r} has {member.size}')
        for value, low, high in zip(values, member.low, member.high, strict=True):
            number = 2 * (value - low) / (high - low) - 1 if high > low else 0.0
            if abs(number) > 1 + _SLACK or high <= low and value != low:
                raise PolicyError(
                    f'{posture.where}: found {shown(value)} for {member.name}, policy '
                    f'{spec.name!r} commands {shown(low)} to {shown(high)}')
            action.append(min(1.0, max(-1.0, number)))
    return _make_file(replace(
        spec, name=f'posture {posture.name}', candidates=1, noise_scale=0.0, state_size=0,
        precision='float32', anchor='tick',
        observation=tuple(
            replace(
                member, low=(-LARGEST_OBSERVATION,) * member.size,
                high=(LARGEST_OBSERVATION,) * member.size) for member in spec.observation),
        provenance={_KEY: posture.name, 'action': action, 'in_place_of': spec.name}))


def is_posture(spec: PolicySpec) -> bool:
    """Return whether a specification is that of a posture."""
    return _KEY in spec.provenance


def recorded_posture(spec: PolicySpec) -> PolicyFile:
    """
    Make the policy of a posture again.

    :param spec: Its specification, from a recording.
    :raises PolicyError: If it is not one of a posture.
    """
    action = spec.provenance.get('action')
    if not is_posture(spec) or not isinstance(action, list) or len(
            action) != spec.action_size or not all(
                isinstance(number, float) and abs(number) <= 1 for number in action):
        raise PolicyError(
            f'policy {spec.name!r}: found no action of a posture in its provenance')
    return _make_file(spec)


def _make_file(spec: PolicySpec) -> PolicyFile:
    """Make the file of a posture's specification."""
    actions: FloatArray = np.tile(
        np.array(spec.provenance['action'], np.float32), (spec.horizon, 1))
    none = np.zeros(1, np.float32)
    content = write_constant_model(
        {'observation': (1, spec.observation_size), 'noise': ('candidates', spec.noise_size)},
        {'action_chunk': actions, 'value': none, 'spread': none},
        {METADATA_KEY: spec.to_json()}, {image.name: (1, *image.shape) for image in spec.images})
    return PolicyFile(
        Path(spec.name), content, hashlib.sha256(content).hexdigest(), spec, is_on_disk=False)
