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
"""Policy made of a posture: a file that ONNX Runtime loads, and that always answers the same."""

from __future__ import annotations

from dataclasses import replace
import json

import numpy as np
import onnx
import pytest

from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.description.postures import Posture
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_metadata import read_model
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.posture_file import posture_file, recorded_posture
from dfp_ros.spec import ActionField, METADATA_KEY, ObservationField, PolicySpec
from dfp_ros.spec_images import ImageField

SPEC = PolicySpec(
    name='usual', environment='none', period=0.02, horizon=4, state_size=3, candidates=8,
    anchor='observation',
    observation=(ObservationField('joint_positions', 2, 'rad', (-1.0,) * 2, (1.0,) * 2),),
    action=(
        ActionField(
            'joints', 2, 'rad', (-2.0, -1.0), (2.0, 3.0), (-1.0,) * 2, (1.0,) * 2),
        ActionField('grip', 1, '1', (0.0,), (0.0,), (-1.0,), (1.0,))))
HOME = Posture('home', {'joints': (0.3, -1.0), 'grip': (0.0,)}, 'robot.yaml:9: postures.home')


@pytest.mark.parametrize('candidates', [0, 3])
def test_its_answer(candidates: int) -> None:
    """It is the posture, whatever is observed, and however many candidates are asked for."""
    file = posture_file(HOME, SPEC)
    onnx.checker.check_model(onnx.load_from_string(file.content), full_check=True)
    assert read_model(file.content).metadata == {METADATA_KEY: file.spec.to_json()}
    policy = OnnxPolicy(file, candidates=candidates)
    noise = np.ones((candidates or 1, file.spec.noise_size), np.float32)
    for observed in (-1e9, 0.7):
        chunk = policy.act(np.full(2, observed, np.float32), noise)
        np.testing.assert_allclose(
            ActionScale.of_policy(file.spec).command(chunk.actions), [[0.3, -1.0, 0.0]] * 4,
            atol=1e-6)
        assert (chunk.value, chunk.spread, chunk.state) == (0.0, 0.0, None)


def test_the_posture_of_a_policy_that_sees() -> None:
    """It takes the pictures, and looks at none."""
    images = (ImageField('wrist', 5, 4, 'rgb'), ImageField('far', 2, 3, 'depth', 0.1, 2.0))
    file = posture_file(HOME, replace(SPEC, images=images))
    onnx.checker.check_model(onnx.load_from_string(file.content), full_check=True)
    policy = OnnxPolicy(file, candidates=1)
    chunk = policy.act(
        np.zeros(2, np.float32), np.ones((1, file.spec.noise_size), np.float32),
        pictures=tuple(np.zeros(image.shape, np.uint8) for image in images))
    np.testing.assert_allclose(
        ActionScale.of_policy(file.spec).command(chunk.actions), [[0.3, -1.0, 0.0]] * 4, atol=1e-6)


def test_it_is_made_again_from_a_recording() -> None:
    """The same bytes from the specification as ``~/policy`` has it."""
    file = posture_file(HOME, SPEC)
    again = recorded_posture(PolicySpec.from_json(json.dumps(json.loads(file.spec.to_json()))))
    assert again.content == file.content
    assert not again.is_on_disk
    for provenance in ({}, {'posture': 'home', 'action': [0.0]}, {
            'posture': 'home', 'action': [0.0, 7.0, 0.0]}, {
                'posture': 'home', 'action': [0.0, 'a', 0.0]}):
        with pytest.raises(PolicyError, match='found no action of a posture'):
            recorded_posture(replace(file.spec, provenance=provenance))


@pytest.mark.parametrize(('values', 'message'), [
    ({'joints': (0.3, -1.1), 'grip': (0.0,)},
     "postures.home: found -1.1 for joints, policy 'usual' commands -1.0 to 3.0"),
    ({'joints': (0.3, 0.0), 'grip': (0.1,)}, 'found 0.1 for grip'),
    ({'joints': (0.3, 0.0)}, "found 0 numbers of grip, policy 'usual' has 1")])
def test_a_posture_that_the_policy_cannot_command(
        values: dict[str, tuple[float, ...]], message: str) -> None:
    """It is refused with its place in the description."""
    with pytest.raises(PolicyError, match=message):
        posture_file(replace(HOME, values=values), SPEC)
