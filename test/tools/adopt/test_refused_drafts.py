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
"""What no answers could make a policy of: refused before anything is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import helper, TensorProto
import pytest
import yaml

from dfp_ros.tools.adopt.main import main
from testing.policies.foreign_policies import write_network


def identity(
        path: Path, given: int = TensorProto.FLOAT, sizes: tuple[int, ...] = (1, 5),
        outputs: tuple[tuple[int, int], ...] = ((TensorProto.FLOAT, 2),)) -> Path:
    """Write a graph with an input besides its observation, and some outputs of a type and size."""
    names = [f'out{i}' for i in range(len(outputs))]
    onnx.save(helper.make_model(helper.make_graph(
        [helper.make_node(
            'ConstantOfShape', ['shape'], [name], value=helper.make_tensor('', kind, [1], [0]))
         for name, (kind, _) in zip(names, outputs, strict=True)], 'it', [
            helper.make_tensor_value_info('obs', TensorProto.FLOAT, [1, 4]),
            helper.make_tensor_value_info('other', given, sizes)], [
            helper.make_tensor_value_info(name, kind, [1, size])
            for name, (kind, size) in zip(names, outputs, strict=True)],
        [helper.make_tensor('shape', TensorProto.INT64, [2], [1, outputs[0][1]])]),
        opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(('changes', 'words'), [
    ({'given': TensorProto.INT64}, "the input 'other' of policy.onnx is tensor(int64), expected "
     'one of tensor(float), tensor(float16), tensor(double)\n'),
    ({'given': TensorProto.UINT8, 'sizes': (1, 64, 64, 3)}, 'is tensor(uint8), expected one of'),
    ({'given': TensorProto.STRING, 'sizes': (1,)}, 'is tensor(string), expected one of'),
    ({'sizes': (1, 3, 224, 224)}, 'has 150528 numbers, expected at most 10000; policies that see'),
    ({'outputs': ((TensorProto.UINT8, 2),)}, 'found the outputs out0 (tensor(uint8)), expected'),
    ({}, 'found operator set 8, expected 9 or newer')])
def test_nothing_is_asked_of_what_is_refused_anyway(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
        changes: dict[str, Any], words: str) -> None:
    """With the reason that the answers would have got."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'policy.onnx'
    if changes:
        identity(path, **changes)
    else:
        model = onnx.load(write_network(path, 4, 2))
        model.opset_import[0].version = 8
        onnx.save(model, path)
    assert main([str(path)]) == 2
    assert words in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ['policy.onnx']


def test_whole_numbers_are_asked_for_as_a_state(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an output could be their next value; outputs without numbers are not used."""
    path = identity(tmp_path / 'policy.onnx', TensorProto.INT64, (1, 2), (
        (TensorProto.FLOAT, 2), (TensorProto.INT64, 2), (TensorProto.UINT8, 2)))
    monkeypatch.chdir(tmp_path)
    assert main([str(path)]) == 1
    text = (tmp_path / 'policy.adopt.yaml').read_text()
    found = yaml.safe_load(text)
    assert found['inputs']['other'] == {'state': 'FILL_IN'}
    assert 'of tensor(int64), so a state: the output that it comes from' in text
    assert list(found['outputs']) == ['out0', 'out1']
    assert found['unused'] == ['out2']
