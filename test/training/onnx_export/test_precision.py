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
"""Policy files with reduced precision: their content, and the size of the error."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from testing import ROOT
from testing.policies.small_policy import cube_spec

torch = pytest.importorskip('torch')

from dfp_ros.core.policy.onnx_policy import OnnxPolicy  # noqa: E402
from dfp_ros.spec import PolicySpec, PRECISIONS  # noqa: E402
from dfp_ros.spec_bounds import SpecError  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.export import main  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.agents.registry import ACTORS  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.onnx_export.parity import compare, ExportError, TOLERANCES  # noqa: E402
from training.onnx_export.policy_graph import policy_model  # noqa: E402
from training.onnx_export.precision import difference, in_precision  # noqa: E402
from training.precision_effect import main as effect_main  # noqa: E402

CUBE = ROOT / 'models' / 'cube_single.onnx'
# Of the float32 file's bytes, at most.
SIZES = {'float32': 1.01, 'fp16': 0.55, 'int8': 0.4}


def agent(policy: str = 'dfp', hidden: tuple[int, ...] = (96, 96, 96)) -> Agent:
    torch.manual_seed(0)
    return Agent(
        TrainConfig(policy=policy, hidden=hidden, horizon=5), 28, 5,
        Normaliser(torch.randn(28), torch.rand(28) + 0.5))


def written(path: Path, model: onnx.ModelProto) -> OnnxPolicy:
    onnx.save_model(model, str(path))
    return OnnxPolicy(path)


@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('policy', sorted(ACTORS))
def test_each_policy_can_be_stored_in_each_precision(
        policy: str, precision: str, tmp_path: Path) -> None:
    subject, spec = agent(policy), cube_spec(precision=precision)
    file = written(tmp_path / 'policy.onnx', policy_model(subject, spec))
    assert file.spec == spec
    observations = np.random.default_rng(0).normal(size=(4, 28)).astype(np.float32)
    found = compare(subject, file, observations)
    # Something was rounded, where it should be: a test that compared a file with itself would
    # find less.
    assert (found.action > TOLERANCES['float32']) == (precision != 'float32')


@pytest.mark.parametrize('precision', PRECISIONS)
def test_a_shipped_policy_stays_close_and_gets_smaller(precision: str, tmp_path: Path) -> None:
    out = tmp_path / 'stored.onnx'
    assert main([str(CUBE), '--out', str(out), '--precision', precision]) == 0
    before, after = OnnxPolicy(CUBE), OnnxPolicy(out)
    assert after.spec == replace(before.spec, name='stored', precision=precision)
    assert out.stat().st_size < SIZES[precision] * CUBE.stat().st_size
    found = difference(before, after)
    assert found.largest <= {'float32': 0, 'fp16': 0.005, 'int8': 0.2}[precision]
    assert (found.largest > 0) == (precision != 'float32')


def test_the_first_and_the_last_layer_stay_as_they_are() -> None:
    model = policy_model(agent(), cube_spec(precision='int8'))
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for name in ('actor_seen', 'actor_given', 'actor_weight_3', 'critic_0_seen'):
        assert kinds[name] == onnx.TensorProto.FLOAT, name
    for name in ('actor_weight_1_quantized', 'critic_1_weight_2_quantized'):
        assert kinds[name] == onnx.TensorProto.INT8, name
    # One bit is left, so that processors without VNNI do not clip sums of two products.
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and tensor.name.endswith('_quantized'):
            assert np.abs(onnx.numpy_helper.to_array(tensor)).max() <= 64, tensor.name


def test_layers_too_narrow_stay_float32(tmp_path: Path) -> None:
    subject = agent(hidden=(16, 16))
    file = written(tmp_path / 'policy.onnx', policy_model(subject, cube_spec(precision='int8')))
    exact = written(tmp_path / 'exact.onnx', policy_model(subject, cube_spec()))
    assert difference(exact, file, 10).largest == 0


def test_what_is_rounded_is_not_rounded_again(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = policy_model(agent(), cube_spec(precision='fp16'))
    with pytest.raises(ValueError, match='found weights in fp16, expected float32'):
        in_precision(model, 'int8')
    written(tmp_path / 'half.onnx', model)
    out = tmp_path / 'out.onnx'
    assert main([str(tmp_path / 'half.onnx'), '--out', str(out), '--precision', 'int8']) == 2
    assert 'start from the file that was exported without --precision' in capsys.readouterr().err
    assert not out.exists()


def test_a_wrong_word_names_the_right_ones(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SpecError, match="found 'int4', expected one of float32, fp16, int8"):
        cube_spec(precision='int4')
    with pytest.raises(SystemExit):
        main([str(CUBE), '--out', 'x.onnx', '--precision', 'half'])
    assert 'choose from' in capsys.readouterr().err


def test_settings_of_a_run_are_refused_for_a_file(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'out.onnx'
    assert main([str(CUBE), '--out', str(out), '--candidates', '4']) == 2
    assert '--candidates' in capsys.readouterr().err
    assert not out.exists()


def test_a_broken_file_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.onnx_export import precision
    monkeypatch.setitem(precision.TOLERANCES, 'int8', 1e-4)
    with pytest.raises(ExportError, match=r'differ by .* expected at most 1e-04'):
        precision.store(CUBE, tmp_path / 'out.onnx', 'int8', 'out')
    assert not list(tmp_path.iterdir())


def test_files_from_before_precisions_are_float32() -> None:
    text = cube_spec().to_json().replace(', "precision": "float32"', '')
    assert 'precision' not in text
    assert PolicySpec.from_json(text) == cube_spec()


def test_the_effect_is_told_by_precision(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'effect.json'
    assert effect_main(
        [str(CUBE), '--episodes', '1', '--environments', '1', '--json', str(out)]) == 0
    rows = json.loads(out.read_text())['rows']
    assert [row['precision'] for row in rows] == list(PRECISIONS)
    exact, half, whole = rows
    assert exact['range']['largest'] == exact['met']['largest'] == 0
    assert 0 < half['met']['rms'] < whole['met']['rms'] < 0.1
    assert exact['success'] == 1
    assert '| int8 | 0.55 MB |' in capsys.readouterr().out
