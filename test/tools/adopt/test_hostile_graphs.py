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
"""Foreign graphs that are random, newer than the runtime, or change the size of a state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import pytest

from dfp_ros.tools.adopt.main import main

_MEANING = """
name: walk
environment: test
period: 0.02
inputs:
  obs: {terms: [{name: gyro, unit: rad/s, size: 3, low: 0.1, high: 4}]}
outputs:
  actions: {fields: [{name: targets, unit: rad, size: 3, scale: 1, offset: 0, low: -2, high: 2}]}
"""
_STATE = '  h_in: {state: h_out}\noutputs:'


def write(
        path: Path, nodes: list[Any], opset: int = 17, ir_version: int = 9,
        state: bool = False, **weights: Any) -> Path:
    """Write a graph from three numbers to three, with a state of two if wanted."""
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3])]
        for name in ('obs', 'actions')]
    if state:
        for part, name in zip(ports, ('h_in', 'h_out'), strict=True):
            part.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ['batch', 2]))
    model = helper.make_model(
        helper.make_graph(nodes, 'odd', *ports, [
            numpy_helper.from_array(np.array(array), name) for name, array in weights.items()]),
        opset_imports=[helper.make_opsetid('', opset), helper.make_opsetid('my.ops', 1)],
        ir_version=ir_version)
    path.write_bytes(model.SerializeToString())
    return path


def refusal(
        foreign: Path, capsys: pytest.CaptureFixture[str], meaning: str = _MEANING) -> str:
    """Try to adopt a graph, which is refused without a trace, and return the message."""
    path = foreign.with_name('walk.adopt.yaml')
    path.write_text(meaning)
    assert main([str(foreign), str(path), '--out', str(foreign.with_name('out.onnx'))]) == 2
    assert not foreign.with_name('out.onnx').exists()
    error = capsys.readouterr().err
    assert 'Traceback' not in error
    return error


@pytest.mark.parametrize('operator', [
    ('RandomNormalLike', ['obs'], {}), ('RandomUniformLike', ['obs'], {}),
    ('RandomNormal', [], {'shape': [1, 3]}), ('RandomUniform', [], {'shape': [1, 3]}),
    ('Bernoulli', ['part'], {}), ('Dropout', ['obs', 'half', 'yes'], {})])
@pytest.mark.parametrize('seed', [{}, {'seed': 3}])
def test_a_random_graph(
        tmp_path: Path, capsys: pytest.CaptureFixture[str],
        operator: tuple[str, list[str], dict[str, Any]], seed: dict[str, int]) -> None:
    """Also one with a seed: it answers the same call by call, and otherwise in a replay."""
    name, inputs, options = operator
    if seed and name != 'Dropout':
        seed = {'seed': float(seed['seed'])}  # type: ignore[dict-item]
    foreign = write(tmp_path / 'walk.onnx', [
        helper.make_node('Sigmoid', ['obs'], ['part']),
        helper.make_node(name, inputs, ['drawn'], **options, **seed),
        helper.make_node('Add', ['part', 'drawn'], ['actions'])],
        half=np.float32(0.5), yes=True)
    error = refusal(foreign, capsys)
    # Of a few flags, two draws in a row may be the same.
    assert 'answers otherwise if it is asked the same again' in error or (
        name in ('Bernoulli', 'Dropout') and 'Is its graph random' in error)


@pytest.mark.parametrize(('changes', 'nodes', 'words'), [
    ({'ir_version': 99}, ['Identity'], ('Unsupported model IR version: 99', 'is newer than')),
    ({'opset': 99}, ['Identity'], ('Opset 99 is under development', 'is newer than')),
    ({}, ['Unheard'], ('No Op registered for Unheard', 'is newer than')),
    ({}, ['Own', 'my.ops'], ('my.ops:Own(-1) is not a registered', 'operators of its own'))])
def test_what_this_runtime_does_not_know(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, int],
        nodes: list[str], words: tuple[str, str]) -> None:
    """The reason is not cut off, and has a remedy."""
    name, *domain = nodes
    foreign = write(tmp_path / 'walk.onnx', [helper.make_node(
        name, ['obs'], ['actions'], domain=''.join(domain))], **changes)
    error = refusal(foreign, capsys)
    for word in words:
        assert word in error


@pytest.mark.parametrize('is_known', [True, False])
def test_a_state_that_grows(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], is_known: bool) -> None:
    """Named by input and output, whether or not its shape is known before a call."""
    count = [] if is_known else [
        helper.make_node('Shape', ['h_in'], ['shape']),
        helper.make_node('Add', ['shape', 'shape'], ['sum']),
        helper.make_node('Sub', ['sum', 'shape2'], ['more'])]
    foreign = write(tmp_path / 'walk.onnx', [
        helper.make_node('Identity', ['obs'], ['actions']), *count,
        helper.make_node('Concat', ['h_in', 'h_in'], ['h_out'], axis=0) if is_known else
        helper.make_node('Tile', ['h_in', 'more'], ['h_out'])],
        state=True, shape2=np.array([0, 3], np.int64))
    error = refusal(foreign, capsys, _MEANING.replace('outputs:', _STATE))
    assert 'the state has 2 numbers' in error
    assert "'h_out' of walk.onnx answers 4;" in error


def test_weights_larger_than_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file beside it of 8 TB, which takes no room on the disk."""
    foreign = write(tmp_path / 'walk.onnx', [
        helper.make_node('Add', ['obs', 'w'], ['actions'])], w=np.zeros((1, 3), np.float32))
    model = onnx.load(foreign)
    tensor = model.graph.initializer[0]
    tensor.ClearField('raw_data')
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value='w.bin')
    foreign.write_bytes(model.SerializeToString())
    with open(tmp_path / 'w.bin', 'wb') as file:
        file.truncate(8 << 40)
    assert 'more memory than there is' in refusal(foreign, capsys)
