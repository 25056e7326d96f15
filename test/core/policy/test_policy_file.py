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
"""Policy file validation: the quick check agrees with the thorough one."""

from collections.abc import Callable
from pathlib import Path
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import read_policy_file, read_spec
from dfp_ros.resources import find_shared
from testing import ROOT
from testing.policies.endless_policy import endless_model
from testing.policies.small_policy import cube_spec, policy_model, write_policy

MODELS = ROOT / 'models'


@pytest.mark.parametrize('name', ['cube_single', 'lift'])
def test_the_quick_look_finds_the_specification(name: str) -> None:
    """Without the weights, the same specification."""
    path = MODELS / f'{name}.onnx'
    assert read_spec(path) == read_policy_file(path).spec


def test_broken_files_fail_the_quick_check(tmp_path: Path) -> None:
    """The same messages from both: cut anywhere, empty, a page, another model, not there."""
    good = write_policy(tmp_path / 'good.onnx').read_bytes()
    plain = policy_model(cube_spec())
    del plain.metadata_props[:]
    broken = {
        'cut in the metadata': good[:-100], 'cut in the graph': good[:5000], 'empty': b'',
        'page': b'<html>', 'no specification': plain.SerializeToString(), 'cut head': good[:1]}
    for name, content in broken.items():
        path = tmp_path / f'{name}.onnx'
        path.write_bytes(content)
        said = []
        for read in (read_spec, read_policy_file):
            with pytest.raises(PolicyError) as caught:
                read(path)
            said.append(str(caught.value))
        assert said[0] == said[1], name
    with pytest.raises(PolicyError, match='there is no such file'):
        read_spec(tmp_path / 'none.onnx')
    with pytest.raises(PolicyError, match='cannot be read'):
        read_spec(tmp_path)


@pytest.mark.parametrize('name', ['checkpoint.pt', 'checkpoint.onnx', 'empty.pt', 'run', 'no.pt'])
def test_a_run_that_was_not_exported(tmp_path: Path, name: str) -> None:
    """A checkpoint, whatever it is called, or the folder of a run: the export is named."""
    run = tmp_path / 'run'
    run.mkdir()
    path = run / name if name != 'run' else run
    if name.startswith('checkpoint'):
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('checkpoint/data.pkl', b'')
    elif name == 'empty.pt':
        path.touch()
    for read in (read_spec, read_policy_file, OnnxPolicy):
        with pytest.raises(PolicyError) as caught:
            read(path)
        if name == 'no.pt':
            assert 'there is no such file' in str(caught.value)
        else:
            assert f'`python -m training.export {run} --out NAME.onnx`' in str(caught.value)


def test_a_run_named_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder here is found like a file here; what comes with the package is not hidden by it."""
    monkeypatch.chdir(tmp_path)
    for name in ('my_run', 'cube_single'):
        (tmp_path / name).mkdir()
    assert find_shared('my_run', 'models', '.onnx') == Path('my_run')
    assert find_shared('cube_single', 'models', '.onnx').is_file()


def test_the_quick_look_reads_no_weights(tmp_path: Path) -> None:
    """However large the graph is, only its metadata is read."""
    model = policy_model(cube_spec())
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.zeros(1_000_000, np.float32), 'unused'))
    path = tmp_path / 'large.onnx'
    onnx.save(model, path)
    content = bytearray(path.read_bytes())
    # Damage in the middle of the graph, which only who reads it can see.
    middle = len(content) // 2
    content[middle:middle + 1000] = b'\xff' * 1000
    path.write_bytes(content)
    assert read_spec(path).name == 'test'


def varint(number: int, length: int = 1) -> bytes:
    """Encode a number as protobuf does, in at least so many bytes."""
    digits = []
    while number or len(digits) < length:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits[-1] &= 0x7F
    return bytes(digits)


# How a field's tag (number and wire type) can be written so that protobuf reads the same field.
TAGS = {
    'bit 32': lambda tag: varint(tag | 1 << 32), 'bit 34': lambda tag: varint(tag | 1 << 34),
    'overlong': lambda tag: varint(tag, 5)}


def rewritten(model: onnx.ModelProto, hidden: str, write: Callable[[int], bytes]) -> bytes:
    """Serialise a model in which the tag of its Loop, or of its external data, is rewritten."""
    def field(number: int, content: bytes, is_hidden: bool = False) -> bytes:
        tag = number << 3 | 2
        return (write(tag) if is_hidden else varint(tag)) + varint(len(content)) + content

    rest = onnx.GraphProto()
    rest.CopyFrom(model.graph)
    del rest.node[:]
    tensors = []
    if hidden == 'tensor':
        for name, value in (('location', 'weights.bin'), ('length', '4')):
            entry = onnx.StringStringEntryProto(key=name, value=value)
            tensors.append(field(13, entry.SerializeToString(), True))
    graph = rest.SerializeToString() + b''.join(
        field(1, node.SerializeToString(), hidden == 'node' and node.op_type == 'Loop')
        for node in model.graph.node)
    if tensors:
        tensor = onnx.TensorProto(
            name='far', dims=[1], data_type=onnx.TensorProto.FLOAT,
            data_location=onnx.TensorProto.EXTERNAL)
        graph += field(5, tensor.SerializeToString() + b''.join(tensors))
    outside = onnx.ModelProto()
    outside.CopyFrom(model)
    outside.ClearField('graph')
    return outside.SerializeToString() + field(7, graph, hidden == 'graph')


@pytest.mark.parametrize('tag', TAGS)
@pytest.mark.parametrize('hidden', ['node', 'tensor', 'graph'])
def test_no_field_is_hidden_from_the_check(hidden: str, tag: str, tmp_path: Path) -> None:
    """ONNX Runtime keeps 32 bits of a tag: fields that it would read differently are refused."""
    model = policy_model(cube_spec()) if hidden == 'tensor' else endless_model(cube_spec())
    content = rewritten(model, hidden, TAGS[tag])
    assert onnxruntime.InferenceSession(content).get_inputs(), 'the runtime reads it'
    (tmp_path / 'hidden.onnx').write_bytes(content)
    with pytest.raises(PolicyError, match='found bytes that are not an ONNX model'):
        read_policy_file(tmp_path / 'hidden.onnx')


@pytest.mark.parametrize('field', [
    b'\x02\x00', b'\x0b', b'\x0c', b'\x0e\x00', b'\x0f\x00', b'\x52\x80\x00',
    b'\x08' + b'\xff' * 9 + b'\x02', b'\x08' + b'\xff' * 10 + b'\x01'],
    ids=['field 0', 'group', 'end of group', 'wire type 6', 'wire type 7', 'overlong length',
         '65 bits', '77 bits'])
def test_fields_that_parsers_disagree_about(field: bytes, tmp_path: Path) -> None:
    """In the graph, the largest part of the file: refused as a whole."""
    model = policy_model(cube_spec())
    graph = model.graph.SerializeToString() + field
    model.ClearField('graph')
    path = tmp_path / 'a.onnx'
    path.write_bytes(model.SerializeToString() + b'\x3a' + varint(len(graph)) + graph)
    with pytest.raises(PolicyError, match='found bytes that are not an ONNX model'):
        read_policy_file(path)


def test_a_negative_number_is_no_overlong_one(tmp_path: Path) -> None:
    """Protobuf writes it in ten bytes."""
    model = policy_model(cube_spec())
    model.graph.node[0].attribute.append(onnx.helper.make_attribute('axis', -1))
    model.graph.initializer.append(onnx.helper.make_tensor(
        'x', onnx.TensorProto.INT64, [2], [-1, -(1 << 63)]))
    path = tmp_path / 'a.onnx'
    onnx.save(model, path)
    assert read_policy_file(path).spec.name == 'test'


def test_the_runtime_reads_what_was_checked(tmp_path: Path) -> None:
    """ONNX Runtime takes a file for one of its own format if four bytes say so: not here."""
    model = policy_model(cube_spec())
    model.ir_version, model.producer_name = 8, 'ORTM' + 'x' * 40
    path = tmp_path / 'a.onnx'
    onnx.save(model, path)
    assert path.read_bytes()[4:8] == b'ORTM'
    assert OnnxPolicy(path).spec.name == 'test'
