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
"""Policies that see: the same picture gives the same action everywhere."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
import pytest

from dfp_ros.core.policy.deadline import DeadlinePolicy
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy, typical_pictures
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.spec import METADATA_KEY, PolicySpec
from dfp_ros.spec_bounds import SpecError
from dfp_ros.spec_images import ImageField
from testing.policies.picture_policy import (
    camera_spec,
    IMAGES,
    picture_model,
    write_picture_policy,
)
from testing.policies.small_policy import cube_spec

SPEC = camera_spec()
RANDOM = np.random.default_rng(0)
OBSERVATION = RANDOM.standard_normal(2).astype(np.float32)
NOISE = RANDOM.standard_normal((2, SPEC.noise_size)).astype(np.float32)
PICTURES = tuple(
    RANDOM.integers(0, 256, image.shape).astype(np.uint8) for image in SPEC.images)


@pytest.fixture(name='path', scope='module')
def policy_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a policy that sees."""
    return write_picture_policy(tmp_path_factory.mktemp('policy') / 'seeing.onnx')


def test_a_picture_gives_the_same_action_everywhere(path: Path) -> None:
    """In ONNX Runtime, prepared for any number of candidates, and in ONNX's own evaluator."""
    policy = OnnxPolicy(path)
    chunk = policy.act(OBSERVATION, NOISE, pictures=PICTURES)
    feeds = {'observation': OBSERVATION[None], 'noise': NOISE, **{
        image.name: picture[None] for image, picture in zip(SPEC.images, PICTURES, strict=True)}}
    expected = ReferenceEvaluator(onnx.load(path)).run(['action_chunk'], feeds)[0]
    np.testing.assert_allclose(chunk.actions, expected, atol=1e-5)
    for other in (OnnxPolicy(path, candidates=2), policy.prepared_for(2)):
        np.testing.assert_array_equal(
            other.act(OBSERVATION, NOISE, pictures=PICTURES).actions, chunk.actions)
    again = policy.act(OBSERVATION, NOISE, pictures=PICTURES)
    np.testing.assert_array_equal(again.actions, chunk.actions)


@pytest.mark.parametrize('i', [0, 1])
def test_each_picture_counts(path: Path, i: int) -> None:
    """Another picture is another action, and calls do not share their pictures."""
    policy = OnnxPolicy(path)
    before = policy.act(OBSERVATION, NOISE, pictures=PICTURES).actions
    others = tuple(255 - each if k == i else each for k, each in enumerate(PICTURES))
    after = policy.act(OBSERVATION, NOISE, pictures=others).actions
    assert not np.allclose(after, before, atol=1e-3)
    again = policy.act(OBSERVATION, NOISE, pictures=PICTURES).actions
    np.testing.assert_array_equal(again, before)


@pytest.mark.parametrize('pictures', [
    (), PICTURES[:1], PICTURES[::-1], (*PICTURES, PICTURES[0]),
    (PICTURES[0].astype(np.float32), PICTURES[1]), (PICTURES[0][:5], PICTURES[1])])
def test_other_pictures_are_refused(path: Path, pictures: tuple[Any, ...]) -> None:
    """By shape and type, before ONNX Runtime reads beyond them."""
    with pytest.raises(PolicyError, match=r'pictures: found .* expects \(12, 12, 3\), \(6, 8, 1'):
        OnnxPolicy(path).act(OBSERVATION, NOISE, pictures=pictures)


def test_a_policy_without_pictures_takes_none(tmp_path: Path) -> None:
    """They would be ignored."""
    blind = OnnxPolicy(write_picture_policy(tmp_path / 'x.onnx', camera_spec(images=())))
    blind.act(OBSERVATION, NOISE)
    with pytest.raises(PolicyError, match='pictures: found .* expects none of uint8'):
        blind.act(OBSERVATION, NOISE, pictures=PICTURES)


def test_with_a_deadline(path: Path) -> None:
    """The pictures get to the thread that answers."""
    policy = OnnxPolicy(path)
    np.testing.assert_array_equal(
        DeadlinePolicy(policy, 10.0).act(OBSERVATION, NOISE, pictures=PICTURES).actions,
        policy.act(OBSERVATION, NOISE, pictures=PICTURES).actions)


def test_a_recurrent_policy_sees(tmp_path: Path) -> None:
    """State and pictures both count, also behind a deadline."""
    policy = OnnxPolicy(write_picture_policy(tmp_path / 'x.onnx', camera_spec(state_size=3)))
    answers = []
    for asked in (policy, DeadlinePolicy(policy, 10.0)):
        first = asked.act(OBSERVATION, NOISE, pictures=PICTURES)
        assert first.state is not None
        second = asked.act(OBSERVATION, NOISE, first.state, PICTURES)
        assert np.abs(second.actions - first.actions).max() > 1e-3
        other = asked.act(OBSERVATION, NOISE, first.state, (255 - PICTURES[0], PICTURES[1]))
        assert np.abs(second.actions - other.actions).max() > 1e-3
        answers.append(second.actions)
    np.testing.assert_array_equal(*answers)


def test_warm_up_and_typical_pictures(path: Path) -> None:
    """A call without a robot has pictures too."""
    assert (OnnxPolicy(path).warm_up(2, 3) > 0).all()
    assert [picture.shape for picture in typical_pictures(SPEC)] == [(12, 12, 3), (6, 8, 1)]
    assert typical_pictures(cube_spec()) == ()


@pytest.mark.parametrize(('images', 'message'), [
    ((), r'found the inputs depth, noise, observation, wrist, expected observation, noise;'),
    ((*IMAGES, ImageField('third', 4, 4, 'gray')), 'expected observation, noise, wrist, depth, t'),
    ((replace(IMAGES[0], height=13), IMAGES[1]),
     r"input 'wrist' is tensor\(uint8\) of shape \[1, 12, 12, 3\], its specification asks for "
     r'tensor\(uint8\) of shape \[1, 13, 12, 3\]')])
def test_a_graph_that_does_not_fit_its_specification(
        tmp_path: Path, images: tuple[ImageField, ...], message: str) -> None:
    """Names, sizes and types of the inputs are compared."""
    model = picture_model(SPEC)
    onnx.helper.set_model_props(model, {METADATA_KEY: camera_spec(images=images).to_json()})
    onnx.save(model, tmp_path / 'x.onnx')
    with pytest.raises(PolicyError, match=message):
        OnnxPolicy(tmp_path / 'x.onnx')


def test_a_graph_that_wants_floats(tmp_path: Path) -> None:
    """A picture is bytes; scaling them is a part of the graph."""
    model = picture_model(SPEC)
    next(each for each in model.graph.input if each.name == 'wrist').type.tensor_type.elem_type = (
        onnx.TensorProto.FLOAT)
    onnx.save(model, tmp_path / 'x.onnx')
    with pytest.raises(PolicyError, match=r"'wrist' is tensor\(float\) .* asks for tensor\(u"):
        OnnxPolicy(tmp_path / 'x.onnx')


def test_specification_round_trip(path: Path) -> None:
    """Pictures are read as they were written; a policy without any has no key for them."""
    assert read_policy_file(path).spec == SPEC
    assert PolicySpec.from_json(SPEC.to_json()) == SPEC
    assert 'images' not in json.loads(cube_spec().to_json())
    assert PolicySpec.from_json(cube_spec().to_json()).images == ()


@pytest.mark.parametrize(('change', 'message'), [
    ({'name': 'observation'}, 'image observation: found the name of another input'),
    ({'name': 'value'}, 'image value: found the name of another input or output'),
    ({'name': 'state'}, 'image state: found the name of another input or output'),
    ({'name': 'next_state'}, 'image next_state: found the name of another input or output'),
    ({'name': 'depth'}, "images: found the field 'depth' twice"),
    ({'name': 'a\nb'}, 'images[0].name: found a\\nb'),
    ({'height': 0}, 'image wrist: height: found 0, expected at least 1'),
    ({'width': 10**9}, 'image wrist: width: found 1000000000, expected at most 2048'),
    ({'height': 2.5}, 'images[0].height: found 2.5, expected int'),
    ({'channels': 'rgba'}, "image wrist: found the channels 'rgba', expected one of rgb, bgr"),
    ({'channels': ['rgb']}, 'images[0].channels: found'),
    ({'high': 1.0}, 'image wrist: found the range 0 to 1, expected 0 to 255 for colours'),
    ({'channels': 'depth', 'high': 1e9}, 'image wrist: high: found 1000000000.0, expected at'),
    ({'channels': 'depth', 'low': 300.0}, 'image wrist: found low 300, expected less than high'),
    ({'pixels': 1}, "images[0]: found the unknown key 'pixels'")])
def test_specifications_with_bad_pictures(change: dict[str, Any], message: str) -> None:
    """Every number is bounded, and every name is one of its own."""
    values = json.loads(SPEC.to_json())
    values['images'][0].update(change)
    with pytest.raises(SpecError) as caught:
        PolicySpec.from_json(json.dumps(values))
    assert message in str(caught.value)


@pytest.mark.parametrize('images', [None, {}, 'wrist', [5], [{}]])
def test_specifications_whose_pictures_are_none(images: Any) -> None:
    """Not a list of fields."""
    values = json.loads(SPEC.to_json()) | {'images': images}
    with pytest.raises(SpecError, match='images'):
        PolicySpec.from_json(json.dumps(values))
