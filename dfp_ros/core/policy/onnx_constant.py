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
"""An ONNX model whose answer never changes, written without the package ``onnx``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from dfp_ros.core.arrays import FloatArray

# Of the format and of the operators; every ONNX Runtime that this package supports reads them.
_IR_VERSION, _OPERATORS = 8, 13
_FLOAT, _UINT8 = 1, 2


def write_constant_model(
        inputs: Mapping[str, Sequence[int | str]], outputs: Mapping[str, FloatArray],
        metadata: Mapping[str, str], pictures: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> bytes:
    """
    Write a model that ignores its inputs.

    :param inputs: Shapes by name; a text is the name of a dimension of any size.
    :param outputs: The answers by name, float32.
    :param metadata: Keys and values of the model's metadata.
    :param pictures: Shapes of further inputs, uint8, by name.
    :return: The bytes of the ONNX file (onnx.proto of ONNX 1.9: ModelProto, GraphProto, NodeProto,
        TensorProto, ValueInfoProto), the same for the same arguments.
    """
    graph = b''
    for name in outputs:
        graph += _part(1, _part(1, _stored(name)) + _part(2, name) + _part(4, 'Identity'))
    graph += _part(2, 'constant')
    for name, array in outputs.items():
        graph += _part(5, b''.join(_number(1, size) for size in array.shape) + _number(
            2, _FLOAT) + _part(8, _stored(name)) + _part(9, array.astype('<f4').tobytes()))
    for name, shape in inputs.items():
        graph += _part(11, _value(name, shape))
    for name, sizes in pictures.items():
        graph += _part(11, _value(name, sizes, _UINT8))
    for name, array in outputs.items():
        graph += _part(12, _value(name, array.shape))
    model = _number(1, _IR_VERSION) + _part(7, graph) + _part(
        8, _part(1, '') + _number(2, _OPERATORS))
    for key, text in metadata.items():
        model += _part(14, _part(1, key) + _part(2, text))
    return model


def _stored(name: str) -> str:
    """Name the stored array of an output."""
    return f'{name}_values'


def _value(name: str, shape: Sequence[int | str], kind: int = _FLOAT) -> bytes:
    """Write the ValueInfoProto of an input or output."""
    sizes = b''.join(
        _part(1, _part(2, size) if isinstance(size, str) else _number(1, size))
        for size in shape)
    return _part(1, name) + _part(2, _part(1, _number(1, kind) + _part(2, sizes)))


def _number(field: int, value: int) -> bytes:
    """Write a whole number as a field of a protocol buffer."""
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes | str) -> bytes:
    """Write text or an embedded message as a field of a protocol buffer."""
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Write a whole number in groups of seven bits, the lowest first."""
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
