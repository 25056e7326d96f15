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
"""Policy files: rejection of invalid ones, and inference of valid ones."""

import contextlib
from dataclasses import replace
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper
import onnxruntime
import pytest

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.spec import METADATA_KEY
from testing import ROOT
from testing.policies.small_policy import cube_spec, policy_model, write_policy

MODELS = ROOT / 'models'


@pytest.fixture(name='good')
def good_file(tmp_path: Path) -> Path:
    """Write a policy that loads."""
    return write_policy(tmp_path / 'good.onnx')


def refusal(path: Path) -> str:
    """Load a file that must be refused; return the message."""
    with pytest.raises(PolicyError) as caught:
        OnnxPolicy(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_answers_with_the_graph_s_own_numbers(good: Path) -> None:
    """The answers equal those of the bare graph exactly."""
    policy = OnnxPolicy(good)
    random = np.random.default_rng(0)
    session = onnxruntime.InferenceSession(good)
    for candidates in (1, 2, 16):
        observation = random.standard_normal(28, dtype=np.float32)
        noise = random.standard_normal((candidates, 25), dtype=np.float32)
        chunk = policy.act(observation, noise)
        actions, value, spread = session.run(
            None, {'observation': observation[None], 'noise': noise})
        assert chunk.actions.shape == (5, 5)
        assert chunk.actions.dtype == np.float32
        np.testing.assert_allclose(chunk.actions, actions, atol=1e-6)
        assert chunk.value == pytest.approx(value[0], abs=1e-5)
        assert chunk.spread == pytest.approx(spread[0], abs=1e-6)
        assert (chunk.spread == 0) == (candidates == 1)


@pytest.mark.parametrize('candidates', [1, 2, 16])
@pytest.mark.parametrize('name', ['cube_single', 'cube_play', 'lift', 'lift_joint'])
def test_same_bits_for_one_number_of_candidates(name: str, candidates: int) -> None:
    """A replay with any number of candidates gives the node's answer."""
    path = MODELS / f'{name}.onnx'
    policy, prepared = OnnxPolicy(path), OnnxPolicy(path, candidates=candidates)
    random, spec = np.random.default_rng(0), policy.spec
    for _ in range(8):
        observation = random.standard_normal(spec.observation_size, dtype=np.float32)
        noise = random.standard_normal((candidates, spec.noise_size), dtype=np.float32)
        expected, found = policy.act(observation, noise), prepared.act(observation, noise)
        np.testing.assert_array_equal(found.actions, expected.actions)
        np.testing.assert_array_equal(
            [found.value, found.spread], [expected.value, expected.spread])


def test_prepared_for_another_number(good: Path) -> None:
    """The same policy answers that number alone, without its file; the first answers as before."""
    policy = OnnxPolicy(good, candidates=0)
    assert policy.candidates == cube_spec().candidates
    assert policy.prepared_for(0) is policy
    good.unlink()
    other = policy.prepared_for(7)
    assert (other.candidates, other.sha256, other.spec) == (7, policy.sha256, policy.spec)
    assert other.file is policy.file
    for subject, candidates in ((other, 7), (policy, cube_spec().candidates)):
        subject.warm_up(candidates, calls=2)
        with pytest.raises(
                PolicyError, match=rf'found shape \(3, 25\) .* expects \({candidates}, 25\)'):
            subject.warm_up(3, calls=2)


def test_no_critics_for_one_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For one candidate, the graph has no branch and no critic."""
    prepared, native = tmp_path / 'prepared.onnx', onnxruntime.SessionOptions

    def options() -> onnxruntime.SessionOptions:
        made = native()
        made.optimized_model_filepath = str(prepared)
        return made

    def operators(candidates: int | None) -> set[str]:
        OnnxPolicy(MODELS / 'cube_single.onnx', candidates=candidates)
        return {node.op_type for node in onnx.load(prepared).graph.node}

    monkeypatch.setattr(onnxruntime, 'SessionOptions', options)
    assert 'If' in operators(None)
    assert operators(1) <= {'Sub', 'Mul', 'Gemm', 'Gelu', 'Clip', 'Reshape'}
    assert {'LayerNormalization', 'ArgMax'} <= operators(4)
    assert 'If' not in operators(4)


def test_a_size_by_another_name(tmp_path: Path) -> None:
    """A file from another exporter works all the same."""
    model = policy_model(cube_spec())
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_param = 'batch'
    onnx.save(model, tmp_path / 'other.onnx')
    OnnxPolicy(tmp_path / 'other.onnx', candidates=4).warm_up(4, calls=2)


def test_knows_its_file(good: Path) -> None:
    """Hash and specification are those of the file that was read, even when the file is gone."""
    policy = OnnxPolicy(good)
    assert policy.sha256 == hashlib.sha256(good.read_bytes()).hexdigest()
    assert policy.spec == cube_spec()
    good.unlink()
    policy.warm_up(4, calls=2)


def test_gives_way_before_each_long_step(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the model and preparing it each keep the interpreter; one wait would not do."""
    done: list[str] = []
    native = onnxruntime.capi.onnxruntime_inference_collection.C.InferenceSession

    def read(*arguments: Any) -> Any:
        done.append('read')
        return native(*arguments)

    monkeypatch.setattr(
        onnxruntime.capi.onnxruntime_inference_collection.C, 'InferenceSession', read)
    OnnxPolicy(good, wait=lambda: done.append('wait'))
    assert done == ['wait', 'read', 'wait']


@pytest.mark.parametrize('observation', [
    np.zeros(27, np.float32), np.zeros((1, 28), np.float32), np.zeros(28)])
def test_refuses_another_observation(good: Path, observation: Any) -> None:
    """The observation has one shape and one type."""
    with pytest.raises(PolicyError, match=r'observation: found shape .* expects \(28,\)'):
        OnnxPolicy(good).act(observation, np.zeros((1, 25), np.float32))


@pytest.mark.parametrize('noise', [
    np.zeros((1, 24), np.float32), np.zeros(25, np.float32), np.zeros((0, 25), np.float32),
    np.zeros((1, 25))])
def test_refuses_other_noise(good: Path, noise: Any) -> None:
    """So has the noise, but for the number of candidates."""
    with pytest.raises(PolicyError, match=r'noise: found shape .* expects \(candidates, 25\)'):
        OnnxPolicy(good).act(np.zeros(28, np.float32), noise)


def test_missing(tmp_path: Path) -> None:
    """A file that is not there."""
    assert 'there is no such file' in refusal(tmp_path / 'none.onnx')


def test_folder(tmp_path: Path) -> None:
    """A folder instead of a file is rejected."""
    assert 'cannot be read: Is a directory' in (said := refusal(tmp_path))
    assert f'with `python -m training.export {tmp_path} --out NAME.onnx`' in said


def test_empty(tmp_path: Path) -> None:
    """A file of no bytes."""
    (tmp_path / 'empty.onnx').touch()
    assert 'found an empty file' in refusal(tmp_path / 'empty.onnx')


def test_truncated_anywhere(good: Path) -> None:
    """A truncated download is reported as such, wherever it was cut."""
    content = good.read_bytes()
    for size in np.linspace(1, len(content) - 1, 60).astype(int):
        good.write_bytes(content[:size])
        assert 'cut short' in refusal(good), size


@pytest.mark.parametrize('content', [
    b'<!DOCTYPE html><html></html>', b'\x80\x04\x95 a pickle',
    b'version https://git-lfs.github.com/spec/v1\n', bytes(1000), b'{"version": 1}'])
def test_not_onnx(tmp_path: Path, content: bytes) -> None:
    """Other content under the name of a policy."""
    (tmp_path / 'other.onnx').write_bytes(content)
    assert 'not an ONNX model' in refusal(tmp_path / 'other.onnx')


def test_random_bytes_never_surprise(tmp_path: Path) -> None:
    """Damage anywhere in the file ends in a PolicyError or in a policy, never in anything else."""
    random = np.random.default_rng(0)
    content = write_policy(tmp_path / 'damaged.onnx').read_bytes()
    for _ in range(100):
        damaged = bytearray(content)
        for position in random.integers(0, len(content), 8):
            damaged[position] = random.integers(256)
        (tmp_path / 'damaged.onnx').write_bytes(damaged)
        with contextlib.suppress(PolicyError):
            OnnxPolicy(tmp_path / 'damaged.onnx')


def test_without_metadata(tmp_path: Path) -> None:
    """An ONNX file from elsewhere has no specification of its numbers."""
    model = policy_model(cube_spec())
    del model.metadata_props[:]
    onnx.save(model, tmp_path / 'bare.onnx')
    assert f'found no {METADATA_KEY!r} in its metadata' in refusal(tmp_path / 'bare.onnx')


@pytest.mark.parametrize(('text', 'message'), [
    ('{"version": 99}', 'found version 99, this release reads version 1'),
    ('{"version"', 'found text that is not JSON'),
    ('{"version": 1, "observation": [], "action": []}', 'missing')])
def test_other_metadata(tmp_path: Path, text: str, message: str) -> None:
    """Metadata of another version, or that is broken."""
    model = policy_model(cube_spec())
    onnx.helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, tmp_path / 'other.onnx')
    assert message in refusal(tmp_path / 'other.onnx')


def test_specification_of_another_graph(tmp_path: Path) -> None:
    """The graph must have the sizes that its specification states."""
    model = policy_model(cube_spec())
    for other, message in (
            (replace(cube_spec(), horizon=4), "input 'noise' is tensor(float) of shape"),
            (replace(cube_spec(), observation=cube_spec().observation[:-1]),
             "input 'observation' is tensor(float) of shape [1, 28]"),
            (replace(cube_spec(), horizon=1, action=cube_spec().action * 1),
             'asks for tensor(float) of shape')):
        onnx.helper.set_model_props(model, {METADATA_KEY: other.to_json()})
        onnx.save(model, tmp_path / 'other.onnx')
        assert message in refusal(tmp_path / 'other.onnx')


def test_outputs_by_other_names(tmp_path: Path) -> None:
    """The three outputs are known by name."""
    model = policy_model(cube_spec())
    del model.graph.output[2]
    onnx.save(model, tmp_path / 'other.onnx')
    assert 'found the outputs action_chunk, value, expected' in refusal(tmp_path / 'other.onnx')


def test_fixed_number_of_candidates(tmp_path: Path) -> None:
    """The number of candidates is the runtime's choice, so the graph must leave it open."""
    model = policy_model(cube_spec())
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / 'other.onnx')
    assert "['candidates', 25]" in refusal(tmp_path / 'other.onnx')


def test_symbolic_output_of_another_size(tmp_path: Path) -> None:
    """If the graph does not declare a size, a run reveals it."""
    model = policy_model(cube_spec(horizon=1))
    reshape = [node for node in model.graph.node if node.op_type == 'Reshape'][0]
    reshape.CopyFrom(onnx.helper.make_node('Identity', ['chunks'], ['action_chunk']))
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = 'candidates'
    onnx.save(model, tmp_path / 'other.onnx')
    assert 'came out with shape (2, 5)' in refusal(tmp_path / 'other.onnx')


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    """A policy from a training that diverged."""
    assert 'weights are broken' in refusal(write_policy(tmp_path / 'nan.onnx', gain=np.nan))


def test_weights_in_another_file(tmp_path: Path) -> None:
    """A policy must be one file, because its hash covers only that."""
    model = policy_model(cube_spec())
    external_data_helper.convert_model_to_external_data(
        model, location='weights.bin', size_threshold=0)
    onnx.save(model, tmp_path / 'split.onnx')
    assert (tmp_path / 'weights.bin').exists()
    assert 'data is in another file' in refusal(tmp_path / 'split.onnx')
