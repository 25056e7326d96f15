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
"""
Metadata and structure of an ONNX file, parsed from its bytes before any of it runs.

ONNX Runtime reports the same parser error for every broken file. This walk over the protobuf
fields (https://protobuf.dev/programming-guides/encoding, field numbers from onnx.proto)
distinguishes a truncated file from one that is not ONNX, reads the metadata, and finds tensors
with external data, and operators that can run without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import os
from typing import BinaryIO

from dfp_ros.core.settings.execution import UNBOUNDED


class OnnxFileError(ValueError):
    """The bytes are not those of a whole, self-contained ONNX model."""


# Nesting of messages from the model to its tensors: (message, field) -> message.
_NESTING = {
    ('model', 7): 'graph', ('model', 25): 'function', ('function', 7): 'node',
    ('function', 11): 'attribute', ('graph', 1): 'node', ('graph', 5): 'tensor',
    ('graph', 15): 'sparse', ('sparse', 1): 'tensor', ('sparse', 2): 'tensor',
    ('node', 5): 'attribute', ('attribute', 5): 'tensor', ('attribute', 10): 'tensor',
    ('attribute', 6): 'graph', ('attribute', 11): 'graph', ('attribute', 22): 'sparse',
    ('attribute', 23): 'sparse'}
_MODEL_FIELDS = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LARGEST_TAG, _LARGEST_VARINT = (1 << 32) - 1, (1 << 64) - 1
_EXTERNAL_DATA = 13
_GRAPH = 7 << 3 | _BYTES
_LONGEST_HEAD = 20  # bytes: a tag and a length, or a number
# Bounds of the fields outside graph and functions: far more than any exporter writes.
_MOST_FIELDS, _MOST_METADATA = 20_000, 4 << 20
# In the graph too: a walk over so many takes about a second. The shipped policies have 744.
_MOST_FIELDS_INSIDE = 500_000
_OPERATOR = 4
_DEEPEST = 40


@dataclass
class OnnxFacts:
    """
    Facts about a model.

    :param metadata: Its ``metadata_props``.
    :param unbounded: Operators of :data:`UNBOUNDED` in any of its graphs or functions.
    :param ir_version: Version of its format.
    :param opset: Version of the operator set of ONNX that it uses.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    unbounded: set[str] = field(default_factory=set)
    ir_version: int = 0
    opset: int = 0


def read_model(content: bytes) -> OnnxFacts:
    """
    Check the structure of an ONNX model, and read its facts.

    :param content: The whole file.
    :raises OnnxFileError: If the file is empty, cut short, not ONNX, refers to other files, or
        has more fields, or more around its graph, than any model needs.
    """
    if not content:
        raise OnnxFileError('found an empty file, expected an ONNX model')
    facts = OnnxFacts()
    seen = set()
    bounds = _Bounds()
    for number, value in _fields(memoryview(content), 'model', bounds):
        if number not in _MODEL_FIELDS:
            raise OnnxFileError('found bytes that are not an ONNX model')
        seen.add(number)
        bounds.add(number, 0 if isinstance(value, int) else len(value))
        if isinstance(value, int):
            if number == 1:
                facts.ir_version = value
        elif number == 8:
            imported = dict(_fields(value, 'opset', bounds))
            version = imported.get(2, 0)
            if _text(imported.get(1)) in ('', 'ai.onnx') and isinstance(version, int):
                facts.opset = max(facts.opset, version)
        elif number == 14:
            entry = dict(_fields(value, 'metadata', bounds))
            facts.metadata[_text(entry.get(1))] = _text(entry.get(2))
        elif ('model', number) in _NESTING:
            _look_through(value, _NESTING['model', number], facts, bounds, 0)
    if 1 not in seen:
        raise OnnxFileError('found bytes that are not an ONNX model')
    if 7 not in seen:
        raise OnnxFileError('found a file that was cut short: it has no graph')
    return facts


def read_metadata(content: bytes) -> dict[str, str]:
    """Read the metadata only, as :func:`read_model` does."""
    return read_model(content).metadata


def skim_metadata(file: BinaryIO) -> dict[str, str]:
    """
    Read a model's metadata only, in a time that does not depend on the size of its weights.

    :param file: The file, open for reading.
    :return: The model's ``metadata_props``.
    :raises OnnxFileError: If the file is empty, cut short, or not ONNX, as far as that shows
        outside the graph.
    """
    size, position = file.seek(0, os.SEEK_END), 0
    kept = bytearray()
    bounds = _Bounds()
    while position < size:
        file.seek(position)
        head = memoryview(file.read(_LONGEST_HEAD))
        tag, length = _varint(head, 0, 'model', _LARGEST_TAG)
        if tag >> 3 not in _MODEL_FIELDS or tag & 7 not in (_BYTES, _VARINT):
            raise OnnxFileError('found bytes that are not an ONNX model')
        value, length = _varint(head, length, 'model')
        if tag & 7 == _BYTES:
            length += value
        if position + length > size:
            raise OnnxFileError(_cut_short(position + length - size, size))
        bounds.add(tag >> 3, length)
        # The graph, which contains the weights, is replaced by an empty one.
        if tag == _GRAPH:
            kept += bytes((_GRAPH, 0))
        else:
            file.seek(position)
            kept += file.read(length)
        position += length
    return read_metadata(bytes(kept))


def _fields(
        view: memoryview, message: str, bounds: _Bounds,
) -> Iterator[tuple[int, int | memoryview]]:
    """Walk the fields of one protobuf message: field number and value."""
    position = 0
    while position < len(view):
        bounds.count()
        tag, position = _varint(view, position, message, _LARGEST_TAG)
        number, kind = tag >> 3, tag & 7
        if not number:
            raise OnnxFileError('found bytes that are not an ONNX model')
        if kind == _VARINT:
            value, position = _varint(view, position, message)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _varint(view, position, message)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise OnnxFileError('found bytes that are not an ONNX model')
        if position + length > len(view):
            # Only at the outermost level, the end of the message is the end of the file.
            if message == 'model' and number in _MODEL_FIELDS:
                raise OnnxFileError(_cut_short(position + length - len(view), len(view)))
            raise OnnxFileError('found bytes that are not an ONNX model')
        yield number, view[position:position + length]
        position += length


def _varint(
        view: memoryview, position: int, message: str, largest: int = _LARGEST_VARINT,
) -> tuple[int, int]:
    """
    Read a variable-length integer; return it and the position after it.

    One that another parser could read as another number is refused: protobuf keeps the low 32
    bits of a tag, so a tag above them would name one field here and another there.
    """
    value = 0
    for shift in range(0, 64, 7):
        if position == len(view):
            raise OnnxFileError(
                'found a file that was cut short' if message == 'model'
                else 'found bytes that are not an ONNX model')
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > largest or (not byte and shift):
                break
            return value, position
    raise OnnxFileError('found bytes that are not an ONNX model')


def _look_through(
        view: memoryview, message: str, facts: OnnxFacts, bounds: _Bounds, depth: int) -> None:
    """Look through a graph for tensors in other files, and for operators without an end."""
    if depth > _DEEPEST:
        raise OnnxFileError(f'found graphs within graphs, deeper than {_DEEPEST} levels')
    for number, value in _fields(view, message, bounds):
        if isinstance(value, int):
            continue
        if message == 'tensor':
            if number == _EXTERNAL_DATA:
                raise OnnxFileError(
                    'found a tensor whose data is in another file, expected all weights inside; '
                    'save the model with save_as_external_data=False')
        elif message == 'node' and number == _OPERATOR:
            if (name := _text(value)) in UNBOUNDED:
                facts.unbounded.add(name)
        elif (message, number) in _NESTING:
            _look_through(
                value, _NESTING[message, number], facts, bounds,
                depth + (message == 'attribute'))


class _Bounds:
    """Counts the elements of a model, and refuses too many of them."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._count = self._size = self._inside = 0

    def add(self, number: int, size: int) -> None:
        """
        Count a field around the graph.

        :param number: Its number.
        :param size: Its size in bytes.
        """
        self._count += 1
        if ('model', number) not in _NESTING:
            self._size += size
        if self._count > _MOST_FIELDS or self._size > _MOST_METADATA:
            raise OnnxFileError(
                f'found more than {_MOST_FIELDS} fields or {_MOST_METADATA >> 20} MiB of metadata '
                'around its graph, which no policy needs')

    def count(self) -> None:
        """Count a field, wherever it is."""
        self._inside += 1
        if self._inside > _MOST_FIELDS_INSIDE:
            raise OnnxFileError(
                f'found more than {_MOST_FIELDS_INSIDE} fields in its graph, which no policy '
                'needs')


def _cut_short(missing: int, there: int) -> str:
    """Make the error for a truncated file."""
    return (
        f'found a file that was cut short: {missing} bytes or more are missing after the {there} '
        'that are there')


def _text(value: int | memoryview | None) -> str:
    """Decode a string field."""
    if not isinstance(value, memoryview):
        return ''
    return bytes(value).decode('utf-8', errors='replace')
