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
"""Adoption of foreign policies, from the file of another tool to a policy file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, TensorProto
import onnxruntime
import pytest

from dfp_ros.core.command.action_scale import ActionScale
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.tools.adopt.adoption import read_adoption
from dfp_ros.tools.adopt.main import main
from testing import ROOT
from testing.policies.foreign_policies import HIDDEN, write_network, write_recurrent
from testing.policies.small_policy import write_policy

TERMS = """
      - {name: gyro, unit: rad/s, size: 3, low: -4, high: 4, scale: 0.25}
      - {name: joints, unit: rad, size: 2, low: [-1, -2], high: [1, 2], minus: [0.1, -0.8],
         clip: [-1.5, 1.5]}
"""
MEANING = """
name: walk
environment: test
period: 0.02
inputs:
  obs:
    terms: TERMS
outputs:
  actions:
    fields:
      - {name: targets, unit: rad, size: 2, scale: [0.5, 0.25], offset: [0.1, -0.8], low: -2,
         high: [2, 1]}
"""


def adopt(folder: Path, *files: Path | str, status: int = 0) -> OnnxPolicy | None:
    """Run the command; return the policy if it made one."""
    out = folder / 'adopted.onnx'
    assert main([*map(str, files), '--out', str(out), '--force']) == status
    return OnnxPolicy(out) if status == 0 else None


def write(folder: Path, text: str, name: str = 'walk.adopt.yaml') -> Path:
    """Write a meaning."""
    path = folder / name
    path.write_text(text)
    return path


def meaning(terms: str = TERMS, **changes: str) -> str:
    """Write a meaning with other terms, or texts replaced."""
    text = MEANING.replace(' TERMS', terms)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def command(policy: OnnxPolicy, numbers: Any, state: Any = None) -> tuple[np.ndarray, Any]:
    """Ask a policy; return its command in SI units, and its state."""
    chunk = policy.act(
        np.array(numbers, np.float32), np.zeros((1, policy.spec.noise_size), np.float32), state)
    return ActionScale.of_policy(policy.spec).command(chunk.actions), chunk.state


def run(path: Path, **inputs: Any) -> list[np.ndarray]:
    """Run the foreign file as it is."""
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return session.run(
        None, {name: np.array(value, np.float32) for name, value in inputs.items()})


def test_a_plain_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its commands are those of the network, with shift, bounds and scale as stated."""
    foreign = write_network(tmp_path / 'walk.onnx', 5, 2)
    policy = adopt(tmp_path, foreign, write(tmp_path, meaning()))
    assert policy is not None
    value = np.array([1, -2, 3, 0.9, 1.8])
    seen = np.concatenate([
        value[:3] * 0.25, np.clip(value[3:] - [0.1, -0.8], -1.5, 1.5)])
    [answer] = run(foreign, obs=[seen])
    found, state = command(policy, value)
    np.testing.assert_allclose(
        found, [0.1, -0.8] + np.array([0.5, 0.25]) * answer, atol=1e-6)
    assert state is None
    spec = policy.spec
    assert [(field.name, field.unit, field.low) for field in spec.observation] == [
        ('gyro', 'rad/s', (-4.0,) * 3), ('joints', 'rad', (-1.0, -2.0))]
    assert (spec.action[0].low, spec.action[0].high) == ((-2.0, -2.0), (2.0, 1.0))
    assert (spec.period, spec.noise_scale, spec.candidates) == (0.02, 0.0, 1)
    output = capsys.readouterr().out
    assert 'clip(value - [0.1, -0.8], -1.5 to 1.5)' in output
    assert 'the same answers as walk.onnx on 128 random observations' in output


def test_weights_are_the_same(tmp_path: Path) -> None:
    """Bit for bit, under the same names."""
    foreign = write_network(tmp_path / 'walk.onnx', 5, 2)
    policy = adopt(tmp_path, foreign, write(tmp_path, meaning()))
    assert policy is not None
    kept = {each.name: each for each in onnx.load(policy.path).graph.initializer}
    for weight in onnx.load(foreign).graph.initializer:
        assert kept[weight.name] == weight


def test_drafts_of_two_versions_have_two_names(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's ending is its last one."""
    monkeypatch.chdir(tmp_path)
    for name in ('go1.v1.5', 'go1.v1.6'):
        assert main([str(write_recurrent(tmp_path / f'{name}.onnx', 5, 2))]) == 1
        assert (tmp_path / f'{name}.adopt.yaml').is_file()


def test_what_is_unknown_is_asked_for(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
        ) -> None:
    """A draft of the graph alone has marks, and is refused, by name, until they are filled in."""
    monkeypatch.chdir(tmp_path)
    foreign = write_recurrent(tmp_path / 'net.onnx', 5, 2)
    assert main([str(foreign)]) == 1
    draft = tmp_path / 'net.adopt.yaml'
    text = draft.read_text()
    assert 'state: h_out' in text
    assert 'state: c_out' in text
    assert main([str(foreign)]) == 2, 'the draft may have been edited'
    capsys.readouterr()
    assert main([str(foreign), str(draft)]) == 2
    error = capsys.readouterr().err
    for key in ('environment', 'period', 'inputs.obs.terms[0].unit', 'inputs.obs.terms[0].low',
                'outputs.actions.fields[0].scale', 'outputs.actions.fields[0].offset'):
        assert key in error
    for key, value in (
            ('environment', 'walk'), ('period', '0.02'), ('name', 'gyro'), ('unit', "'1'"),
            ('size', '5'), ('low', '-1'), ('high', '1'), ('scale', '1'), ('offset', '0')):
        text = text.replace(f'{key}: FILL_IN', f'{key}: {value}')
    draft.write_text(text)
    assert main([str(foreign), str(draft)]) == 2, 'it would replace the foreign policy'
    assert 'is there already' in capsys.readouterr().err
    out = tmp_path / 'walk.onnx'
    assert main([str(foreign), str(draft), '--out', str(out)]) == 0
    assert read_policy_file(out).spec.state_size == 2 * HIDDEN


@pytest.mark.parametrize(('order', 'expected'), [
    ('order: term', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ('first: newest', [4, 5, 2, 3, 0, 1, 10, 11, 8, 9, 6, 7]),
    ('order: time', [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]),
    ('order: time\n    first: newest', [4, 5, 10, 11, 2, 3, 8, 9, 0, 1, 6, 7])])
def test_orders_of_histories(tmp_path: Path, order: str, expected: list[int]) -> None:
    """The node has a term's ticks together, the oldest first; the network any of four orders."""
    foreign = write_network(tmp_path / 'walk.onnx', 12, 2)
    policy = adopt(tmp_path, foreign, write(tmp_path, meaning(f"""
      - {{name: a, unit: '1', size: 2, low: 0, high: 12, history: 3, minus: [1, 2]}}
      - {{name: b, unit: '1', size: 2, low: 0, high: 12, history: 3}}
    {order}""")))
    assert policy is not None
    assert [(field.name, field.size) for field in policy.spec.observation] == [('a', 6), ('b', 6)]
    value = np.random.default_rng(0).uniform(0, 12, 12)
    shifted = value - [1, 2, 1, 2, 1, 2, 0, 0, 0, 0, 0, 0]
    [answer] = run(foreign, obs=[shifted[expected]])
    np.testing.assert_allclose(
        command(policy, value)[0], [0.1, -0.8] + np.array([0.5, 0.25]) * answer, atol=2e-6)


def test_the_last_action(tmp_path: Path) -> None:
    """Its raw numbers, clipped as the output is, of several calls; zeros at the start."""
    foreign = write_network(tmp_path / 'walk.onnx', 3 + 4, 2)
    policy = adopt(tmp_path, foreign, write(tmp_path, meaning("""
      - {last_action: actions, history: 2, scale: 0.5}
      - {name: gyro, unit: rad/s, size: 3, low: -4, high: 4}
    """).replace('    fields:', '    clip: [-0.3, 0.3]\n    fields:')))
    assert policy is not None
    assert policy.spec.state_size == 4
    generator = np.random.default_rng(0)
    for _ in range(2):
        past, state = [np.zeros(2), np.zeros(2)], None
        for _ in range(5):
            gyro = generator.uniform(-4, 4, 3)
            [answer] = run(foreign, obs=[[*(0.5 * np.concatenate(past[-2:])), *gyro]])
            past.append(np.clip(answer[0], -0.3, 0.3))
            found, state = command(policy, gyro, state)
            np.testing.assert_allclose(
                found[0], [0.1, -0.8] + np.array([0.5, 0.25]) * past[-1], atol=1e-6)
        assert any(abs(abs(past[-1]) - 0.3) < 1e-6), 'something was clipped'


@pytest.mark.parametrize('initial', ['', 'initial: 0.5'])
def test_a_recurrent_policy(tmp_path: Path, initial: str) -> None:
    """Its states go from call to call, and begin with zeros, or with the stated numbers."""
    foreign = write_recurrent(tmp_path / 'net.onnx', 5, 2)
    policy = adopt(tmp_path, foreign, write(tmp_path, meaning(TERMS + f"""
  h_in:
    state: h_out
    {initial}
  c_in: {{state: c_out}}
""")))
    assert policy is not None
    assert policy.spec.state_size == 2 * HIDDEN + bool(initial)
    for _ in range(2):
        state = None
        h = np.full((1, 1, HIDDEN), 0.5 if initial else 0.0, np.float32)
        c = np.zeros((1, 1, HIDDEN), np.float32)
        for i in range(6):
            value = np.full(5, 0.2 * i)
            seen = np.concatenate([value[:3] * 0.25, value[3:] - [0.1, -0.8]])
            answer, h, c = run(foreign, obs=[np.clip(seen, -1.5, 1.5)], h_in=h, c_in=c)
            found, state = command(policy, value, state)
            np.testing.assert_allclose(
                found, [0.1, -0.8] + np.array([0.5, 0.25]) * answer, atol=1e-6)


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    """By name, in any type of floating-point numbers, with a chunk, gains and unused numbers."""
    model = helper.make_model(helper.make_graph([
        helper.make_node('Cast', ['observation'], ['one'], to=TensorProto.FLOAT),
        helper.make_node('Cast', ['value'], ['two'], to=TensorProto.FLOAT),
        helper.make_node('Concat', ['one', 'two'], ['both'], axis=1),
        helper.make_node('Reshape', ['both', 'shape'], ['chunk']),
        helper.make_node('Neg', ['chunk'], ['action_chunk']),
        helper.make_node('Identity', ['one'], ['spread'])], 'several', [
            helper.make_tensor_value_info('observation', TensorProto.DOUBLE, [1, 4]),
            helper.make_tensor_value_info('value', TensorProto.FLOAT16, [1, 2])], [
            helper.make_tensor_value_info('action_chunk', TensorProto.FLOAT, [1, 2, 3]),
            helper.make_tensor_value_info('spread', TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor('shape', TensorProto.INT64, [3], [1, 2, 3])]),
        opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    onnx.save(model, tmp_path / 'several.onnx')
    policy = adopt(tmp_path, tmp_path / 'several.onnx', write(tmp_path, """
name: several
environment: test
period: 0.1
horizon: 2
inputs:
  observation:
    terms:
      - {name: a, unit: '1', size: 3, low: 0, high: 1}
      - constant: [7]
  value:
    terms:
      - {name: b, unit: '1', size: 1, low: 0, high: 1}
      - {constant: [0.5]}
outputs:
  action_chunk:
    fields:
      - {name: effort, unit: N m, size: 1, low: -3, high: 3}
      - unused: 1
      - {name: target, unit: rad, size: 1, low: -9, high: 3}
constants:
  - {name: kp, unit: N m/rad, values: [40, 50]}
unused: [spread]
"""))
    assert policy is not None
    found, _ = command(policy, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found, [[-0.25, -0.75, 40, 50], [-7, -0.5, 40, 50]], atol=1e-6)


def test_a_counter(tmp_path: Path) -> None:
    """States may be whole numbers and flags."""
    model = helper.make_model(helper.make_graph([
        helper.make_node('Add', ['count', 'one'], ['more']),
        helper.make_node('Not', ['flag'], ['other']),
        helper.make_node('Cast', ['count'], ['number'], to=TensorProto.FLOAT),
        helper.make_node('Cast', ['flag'], ['sign'], to=TensorProto.FLOAT),
        helper.make_node('Add', ['number', 'sign'], ['sum']),
        helper.make_node('Add', ['sum', 'obs'], ['actions'])], 'counter', [
            helper.make_tensor_value_info('obs', TensorProto.FLOAT, [1, 1]),
            helper.make_tensor_value_info('count', TensorProto.INT64, [1]),
            helper.make_tensor_value_info('flag', TensorProto.BOOL, [1])], [
            helper.make_tensor_value_info('actions', TensorProto.FLOAT, [1, 1]),
            helper.make_tensor_value_info('more', TensorProto.INT64, [1]),
            helper.make_tensor_value_info('other', TensorProto.BOOL, [1])],
        [helper.make_tensor('one', TensorProto.INT64, [1], [1])]),
        opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    onnx.save(model, tmp_path / 'counter.onnx')
    policy = adopt(tmp_path, tmp_path / 'counter.onnx', write(tmp_path, """
name: counter
environment: test
period: 0.1
inputs:
  obs: {terms: [{name: a, unit: '1', size: 1, low: 0, high: 0.1}]}
  count: {state: more, initial: 10}
  flag: {state: other}
outputs:
  actions: {fields: [{name: b, unit: '1', size: 1, low: 0, high: 100}]}
"""))
    assert policy is not None
    state, found = None, []
    for _ in range(4):
        number, state = command(policy, [0.0], state)
        found.append(float(number[0, 0]))
    np.testing.assert_allclose(found, [10, 12, 12, 14], atol=1e-4)


def test_the_same_numbers_in_two_places(tmp_path: Path) -> None:
    """One field of the observation, two terms, each with its own scale."""
    foreign = write_network(tmp_path / 'walk.onnx', 4, 2)
    policy = adopt(tmp_path, foreign, write(tmp_path, meaning("""
      - {name: gyro, unit: rad/s, size: 2, low: -4, high: 4}
      - {again: gyro, scale: 0.1}
    """)))
    assert policy is not None
    [answer] = run(foreign, obs=[[1, 2, 0.1, 0.2]])
    np.testing.assert_allclose(
        command(policy, [1, 2])[0], [0.1, -0.8] + np.array([0.5, 0.25]) * answer, atol=1e-6)


@pytest.mark.parametrize(('terms', 'old', 'new', 'words'), [
    (TERMS, 'size: 3', 'size: 4', "found terms of 6 numbers (gyro 4 + joints 2), the input 'obs' "
     'of walk.onnx has 5'),
    (TERMS, '  obs:', '  observations:', "says nothing of 'obs' of walk.onnx, tensor(float) of "
     "shape ['batch', 5]; add it under inputs"),
    (TERMS, '  actions:', '  targets:', "says nothing of 'actions' of walk.onnx"),
    (TERMS, 'unit: rad/s', 'units: rad/s', "found an unknown key; did you mean 'unit'?"),
    (TERMS, 'size: 3, low: -4', 'size: 3', "the key 'low' is missing"),
    (TERMS, 'high: [2, 1]', 'high: -2', 'commands that never change belong to constants'),
    (TERMS, 'size: 2, scale', 'size: 1, scale', 'found 2 numbers, expected 1'),
    (TERMS, 'period: 0.02', 'period: 5', 'found 5 s, which is 0.2 Hz, expected'),
    (TERMS + '      - {last_action: action}', 'name: walk', 'name: walk',
     "did you mean 'actions'?"),
    (TERMS + "      - {name: gyro, unit: '1', size: 1, low: 0, high: 1}", 'name: walk',
     'name: walk', "found the field 'gyro' twice; for the same numbers in another place, write"),
    (TERMS, 'outputs:', 'constants: [{name: kd, unit: N m s/rad, values: [1, -1]}]\noutputs:',
     'constants[0].values: found -1 N m s/rad, which drives a joint away from its target'),
    (TERMS, 'low: -4', 'low: -4, clip: [-1, 1], minus: 1.0e13',
     'and a sign in it: 1.0e-3, 1.0e+3'),
    (TERMS, 'environment: test', 'environment: test\nhorizon: 2', 'found fields of 2 numbers for '
     "2 actions, the output 'actions' of walk.onnx has the shape [1, 2]")])
def test_refusals(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], terms: str, old: str, new: str,
        words: str) -> None:
    """What differs is named, and nothing is written."""
    foreign = write_network(tmp_path / 'walk.onnx', 5, 2)
    text = meaning(terms)
    assert old in text
    adopt(tmp_path, foreign, write(tmp_path, text.replace(old, new)), status=2)
    error = capsys.readouterr().err
    assert words in error
    assert 'Traceback' not in error
    assert not (tmp_path / 'adopted.onnx').exists()


@pytest.mark.parametrize(('name', 'content', 'words'), [
    ('walk.txt', b'', 'found neither an .onnx nor a .yaml file'),
    ('walk.onnx', b'no model', 'is not an ONNX file with all of its weights'),
    ('other.yaml', b'robot: x', 'found the keys robot, expected inputs and outputs'),
    ('other.yaml', b'!!python/object/apply:os.system [x]', 'found the keys of nothing'),
    ('other.yaml', b'!other x', 'is not plain YAML'),
    ('other.yaml', b"robot: !!int ''", 'is not plain YAML'),
    ('other.yaml', b'robot: ' + b'9' * 400, 'found the number 999'),
    ('other.yaml', b'a: &a {x: 1}\n' + b''.join(
        b'%c: &%c {<<: [%s]}\n' % (i + 1, i + 1, b','.join([b'*%c' % i] * 10))
        for i in range(ord('a'), ord('j'))), 'found more than 30000 values'),
    ('other.yaml', b'a: ' + b'[' * 5000, 'found nesting deeper than 30'),
    ('missing.yaml', None, 'adopt: {}/missing.yaml: there is no such file'),
    ('missing.onnx', None, 'cannot be read: No such file')])
def test_other_files(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None,
        words: str) -> None:
    """Each is refused with what was found and expected."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path / name)]) == 2
    assert words.replace('{}', str(tmp_path)) in capsys.readouterr().err


def graph(
        path: Path, nodes: list[Any], size: list[int], kind: Any = None,
        **weights: Any) -> Path:
    """Write a graph with an input of five numbers."""
    model = helper.make_model(helper.make_graph(
        nodes, 'odd', [helper.make_tensor_value_info('obs', TensorProto.FLOAT, [1, 5])],
        [kind or helper.make_tensor_value_info('actions', TensorProto.FLOAT, size)],
        [onnx.numpy_helper.from_array(np.array(array), name) for name, array in weights.items()]),
        opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    onnx.save(model, path)
    return path


def endless(path: Path) -> Path:
    """Write a graph that never ends."""
    number = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5]) for name in 'xy']
    flags = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ('c', 'd')]
    body = helper.make_graph(
        [helper.make_node('Identity', ['c'], ['d']), helper.make_node('Identity', ['x'], ['y'])],
        'body', [helper.make_tensor_value_info('i', TensorProto.INT64, []), flags[0], number[0]],
        [flags[1], number[1]])
    return graph(
        path, [helper.make_node('Loop', ['', 'always', 'obs'], ['actions'], body=body)], [1, 5],
        always=True)


def huge(path: Path) -> Path:
    """Write a graph that takes more memory than there is."""
    return graph(path, [
        helper.make_node('ConstantOfShape', ['shape'], ['many']),
        helper.make_node('ReduceSum', ['many'], ['none'], keepdims=0),
        helper.make_node('Slice', ['obs', 'start', 'end', 'axis'], ['two']),
        helper.make_node('Add', ['two', 'none'], ['actions'])], [1, 2],
        shape=[1 << 50], start=[0], end=[2], axis=[1])


def no_numbers(path: Path) -> Path:
    """Write a graph whose answer is NaN."""
    return graph(path, [
        helper.make_node('Slice', ['obs', 'start', 'end', 'axis'], ['two']),
        helper.make_node('Sub', ['two', 'far'], ['negative']),
        helper.make_node('Log', ['negative'], ['actions'])], [1, 2],
        start=[0], end=[2], axis=[1], far=np.float32([99]))


def a_list(path: Path) -> Path:
    """Write a graph whose answer is a list of tensors."""
    return graph(path, [helper.make_node('SequenceConstruct', ['obs'], ['actions'])], [], (
        helper.make_tensor_sequence_value_info('actions', TensorProto.FLOAT, [1, 5])))


def an_escape(path: Path) -> Path:
    """Write a graph whose output has a name for terminals."""
    return graph(
        path, [helper.make_node('Identity', ['obs'], ['\x1b[31m\nx: y'])], [1, 5],
        helper.make_tensor_value_info('\x1b[31m\nx: y', TensorProto.FLOAT, [1, 5]))


def many(path: Path) -> Path:
    """Write a graph with thousands of outputs."""
    names = [f'i{i}_out' for i in range(3000)]
    model = helper.make_model(helper.make_graph(
        [helper.make_node('Identity', ['obs'], [name]) for name in names], 'many',
        [helper.make_tensor_value_info('obs', TensorProto.FLOAT, [1, 5])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5]) for name in names]),
        opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(('make', 'words'), [
    (endless, 'walk.onnx: its graph has Loop, which can run without end'),
    (huge, 'walk.onnx: its inference fails: '),
    (no_numbers, 'in the middle of the stated ranges are not all finite'),
    (a_list, "the output 'actions' of walk.onnx is seq(tensor(float)), expected one of"),
    (an_escape, "outputs: found the name '\\x1b[31m\\nx: y', expected at most"),
    (many, 'found 3000 outputs, expected 1 to 200')])
def test_graphs_that_are_no_policies(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], Path],
        words: str) -> None:
    """Each is refused in a moment, before or while it is compared."""
    adopt(tmp_path, make(tmp_path / 'walk.onnx'), write(tmp_path, meaning()), status=2)
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['walk.adopt.yaml', 'walk.onnx']


def test_a_draft_replaces_no_file_that_was_given(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
        ) -> None:
    """Not with --force either."""
    monkeypatch.chdir(tmp_path)
    foreign = write_network(tmp_path / 'walk.onnx', 5, 2)
    text = 'actions: [{shape: [2]}]\nobservations: {policy: [{name: a, shape: [5]}]}\nscene: {}\n'
    given = write(tmp_path, text)
    assert main([str(foreign), str(given), '--force']) == 2
    assert 'is one of the files that were given' in capsys.readouterr().err
    assert given.read_text() == text


def test_candidates_of_a_deterministic_policy(tmp_path: Path) -> None:
    """More than one would all be the same."""
    foreign = write_network(tmp_path / 'walk.onnx', 5, 2)
    policy = adopt(tmp_path, foreign, write(tmp_path, meaning()))
    assert policy is not None
    with pytest.raises(ValueError, match='found candidates 4, expected 1: the policy is determin'):
        policy.prepared_for(4)


def test_the_example_of_the_page(tmp_path: Path) -> None:
    """docs/adopting.md shows a meaning that can be read."""
    page = (ROOT / 'docs' / 'adopting.md').read_text()
    found = read_adoption(write(tmp_path, page.split('```yaml\n')[1].split('```')[0]))
    assert sum(term.width for term in found.terms) == 3 + 3 + 2 + 1 + 2 + 6 + 2
    assert found.unused == ('value',)


def test_a_policy_file_of_this_package(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
        ) -> None:
    """It needs no adoption, and is not asked about; its graph may be adopted anew."""
    monkeypatch.chdir(tmp_path)
    policy = write_policy(tmp_path / 'ours.onnx')
    assert main([str(policy)]) == 2
    assert 'found a policy file of dfp_ros already' in capsys.readouterr().err
    assert not (tmp_path / 'ours.adopt.yaml').exists()
    assert main([str(policy), '--plain']) == 1
    assert (tmp_path / 'ours.adopt.yaml').exists()
    # With its meaning, as the last line says, it is not asked about again.
    words = capsys.readouterr().out.split('`ros2 run dfp_ros adopt ')[1].split('`')[0].split()
    assert main(words) == 2
    found = capsys.readouterr().err
    assert 'needs no adoption' not in found
    assert 'FILL_IN' in found
