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
"""Small but real policy files for tests: best-of-N in ONNX, with random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, parser

from dfp_ros.spec import ActionField, METADATA_KEY, ObservationField, PolicySpec

CUBE_OBSERVATION = (
    ('joint_positions', 6, 'rad'), ('joint_velocities', 6, 'rad/s'),
    ('effector_position', 3, '0.1 m'), ('effector_yaw', 2, '1'), ('gripper_opening', 1, '1/3'),
    ('gripper_contact', 1, '1'), ('cube_0_position', 3, '0.1 m'), ('cube_0_quaternion', 4, '1'),
    ('cube_0_yaw', 2, '1'))
CUBE_ACTION = (
    ('effector_linear_velocity', 3, 'm/s', 1.0), ('effector_yaw_rate', 1, 'rad/s', 6.0),
    ('gripper_rate', 1, '1/s', 20.0))


# The rest positions of the tests' robots are inside the training data.
_WIDE = {'effector_position': 5.0, 'cube_0_position': 5.0}


def cube_spec(**changes: Any) -> PolicySpec:
    """
    Describe a policy for OGBench's cube-single.

    :param changes: Fields of the spec to replace.
    """
    spec = PolicySpec(
        name='test', environment='cube-single-singletask-task2-v0', period=0.05, horizon=5,
        observation=tuple(
            ObservationField(
                name, size, unit, (-_WIDE.get(name, 1.0),) * size, (_WIDE.get(name, 1.0),) * size)
            for name, size, unit in CUBE_OBSERVATION),
        action=tuple(
            ActionField(
                name, size, unit, (-bound,) * size, (bound,) * size, (-1.0,) * size, (1.0,) * size)
            for name, size, unit, bound in CUBE_ACTION))
    return replace(spec, **changes)


def policy_model(spec: PolicySpec, seed: int = 0, gain: float = 0.1) -> onnx.ModelProto:
    """
    Build best-of-N over ``tanh(observation @ a + noise @ b)``, scored by a linear critic.

    With a state, ``state @ d`` is added, and the next is ``tanh(observation @ e + state @ f)``.

    :param spec: Specification of the policy.
    :param seed: Seed of the weights.
    :param gain: Size of the weights.
    """
    observation, noise = spec.observation_size, spec.noise_size
    horizon, action, state = spec.horizon, spec.action_size, spec.state_size
    given = f', float[1, {state}] state' if state else ''
    answer = f', float[1, {state}] next_state' if state else ''
    past = """
            from_state = MatMul (state, d)
            seen = Add (from_observation, from_state)
            new = MatMul (observation, e)
            old = MatMul (state, f)
            unbounded = Add (new, old)
            next_state = Tanh (unbounded)
    """ if state else 'seen = Identity (from_observation)'
    model = parser.parse_model(f"""
        <ir_version: 9, opset_import: ["" : 17]>
        policy (float[1, {observation}] observation, float[candidates, {noise}] noise{given})
            => (float[{horizon}, {action}] action_chunk, float[1] value, float[1] spread{answer})
        {{
            from_observation = MatMul (observation, a)
            {past}
            from_noise = MatMul (noise, b)
            total = Add (seen, from_noise)
            chunks = Tanh (total)
            scores = MatMul (chunks, c)
            best = ArgMax <axis = 0, keepdims = 1> (scores)
            value = Gather <axis = 0> (scores, best)
            chosen = Gather <axis = 0> (chunks, best)
            action_chunk = Reshape (chosen, shape)
            mean = ReduceMean <axes = [0], keepdims = 1> (chunks)
            difference = Sub (chunks, mean)
            square = Mul (difference, difference)
            variance = ReduceMean <axes = [0], keepdims = 0> (square)
            deviation = Sqrt (variance)
            spread = ReduceMean <axes = [0], keepdims = 1> (deviation)
        }}
    """)
    random = np.random.default_rng(seed)
    arrays = [
        ('a', gain * random.standard_normal((observation, noise), dtype=np.float32)),
        ('b', gain * random.standard_normal((noise, noise), dtype=np.float32)),
        ('c', random.standard_normal(noise, dtype=np.float32)),
        ('shape', np.array([horizon, action]))]
    if state:
        arrays += [
            (name, gain * random.standard_normal(shape, dtype=np.float32)) for name, shape in (
                ('d', (state, noise)), ('e', (observation, state)), ('f', (state, state)))]
    for name, array in arrays:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    return model


def write_policy(
        path: Path, spec: PolicySpec | None = None, seed: int = 0, gain: float = 0.1) -> Path:
    """
    Write a policy file.

    :param path: The file.
    :param spec: Its specification; :func:`cube_spec` by default.
    :param seed: Seed of the weights.
    :param gain: Size of the weights.
    :return: The path.
    """
    onnx.save(policy_model(spec or cube_spec(), seed, gain), path)
    return path
