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
"""Foreign model: the ONNX file of another tool, its inputs and outputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
import hashlib
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

import onnxruntime

from dfp_ros.core.files.bounded_file import LARGEST_POLICY, read_regular
from dfp_ros.core.policy.onnx_metadata import OnnxFileError, read_model
from dfp_ros.core.policy.onnx_session import is_newer
from dfp_ros.core.text.printable import printable, quoted
from dfp_ros.tools.adopt.adoption import AdoptError

#: Element types of inputs and outputs, with their numbers in ONNX; all are converted to float32.
FLOATS = MappingProxyType({'tensor(float)': 1, 'tensor(float16)': 10, 'tensor(double)': 11})
#: Element types of states: counters and flags too, which float32 has exactly up to 2 ** 24.
STATES = MappingProxyType({
    **FLOATS, 'tensor(int32)': 6, 'tensor(int64)': 7, 'tensor(bool)': 9})
# More inputs or outputs, and longer names of them, than any policy has.
_MOST_PORTS, _LONGEST_NAME = 200, 200
# Of an error of ONNX Runtime, which begins with a place in its source and ends with the reason.
_LONGEST_ERROR = 1200


@dataclass(frozen=True)
class Port:
    """
    Input or output of a graph.

    :param name: Its name.
    :param shape: Its shape; the name of a dimension that is open, or None.
    :param type: Its type, as ONNX Runtime names it.
    """

    name: str
    shape: tuple[int | str | None, ...]
    type: str

    def open_beside(self, batch: Collection[str]) -> list[str]:
        """
        List the dimensions that are open, besides the batch.

        :param batch: Names of the batch's dimension.
        """
        return [
            f'{i} ({size})' for i, size in enumerate(self.shape)
            if not isinstance(size, int) and i > 0 and size not in batch]

    @property
    def fixed(self) -> tuple[int, ...]:
        """Return the shape for a batch of one."""
        return tuple(
            size if isinstance(size, int) and size > 0 else 1 for size in self.shape)

    @property
    def size(self) -> int:
        """Count of its numbers, for a batch of one."""
        return math.prod(self.fixed)


@dataclass(frozen=True)
class ForeignModel:
    """
    ONNX model of another tool.

    :param path: Its file.
    :param sha256: Hash of the file, 64 hexadecimal digits.
    :param model: The model, ``onnx.ModelProto``, with all of its weights.
    :param inputs: Its inputs, by name.
    :param outputs: Its outputs, by name.
    :param metadata: Its metadata.
    """

    path: Path
    sha256: str
    model: Any = field(repr=False)
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    metadata: Mapping[str, str]

    @property
    def batch(self) -> set[str]:
        """Return the names of the batch's dimension: those of open first dimensions."""
        return {
            port.shape[0] for port in self.inputs.values()
            if port.shape and isinstance(port.shape[0], str)}

    @property
    def session(self) -> Any:
        """Open it in ONNX Runtime, for comparison."""
        return _open(self.path, self.model)


def load_foreign_model(path: Path) -> ForeignModel:
    """
    Load the ONNX file of another tool, with the weights beside it if it has any.

    :raises AdoptError: If it cannot be read, or is not one.
    """
    try:
        import onnx
    except ImportError as error:
        raise AdoptError(
            'adopt needs the Python package onnx, which a robot does not: `pip install onnx`'
        ) from error
    try:
        content = read_regular(path, LARGEST_POLICY)
    except OSError as error:
        raise AdoptError(f'{path}: cannot be read: {error.strerror}') from error
    try:
        model = onnx.load_model_from_string(content)
        # Weights beside the file; anything outside of its folder is refused by onnx.
        onnx.load_external_data_for_model(model, str(path.parent))
    except MemoryError as error:
        raise AdoptError(
            f'{path}: its weights take more memory than there is, expected at most '
            f'{LARGEST_POLICY / 1e6:.0f} MB with those in files beside it') from error
    except Exception as error:  # of protobuf, onnx and the file system
        raise AdoptError(
            f'{path}: is not an ONNX file with all of its weights: '
            f'{printable(error, 300)}') from error
    if model.ByteSize() > LARGEST_POLICY:
        raise AdoptError(
            f'{path}: found {model.ByteSize() / 1e6:.0f} MB with its weights, expected at most '
            f'{LARGEST_POLICY / 1e6:.0f} MB')
    try:
        facts = read_model(model.SerializeToString())
    except OnnxFileError as error:
        raise AdoptError(f'{path}: {error}') from error
    if facts.unbounded:
        # Loading may run them already.
        raise AdoptError(
            f'{path}: its graph has {", ".join(sorted(facts.unbounded))}, which can run without '
            'end and keep the robot waiting; export it without')
    session = _open(path, model)
    return ForeignModel(
        path, hashlib.sha256(content).hexdigest(), model,
        _ports(path, 'inputs', session.get_inputs()),
        _ports(path, 'outputs', session.get_outputs()), facts.metadata)


def _open(path: Path, model: Any) -> Any:
    """Open a model in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        raise AdoptError(
            f'{path}: ONNX Runtime {onnxruntime.__version__} cannot load it: '
            f'{printable(error, _LONGEST_ERROR)}; {_find_remedy(str(error))}') from error


def _find_remedy(problem: str) -> str:
    """Return the remedy for a model that ONNX Runtime cannot load."""
    if is_newer(problem):
        return (
            'the file is newer than this ONNX Runtime, or has operators of its own: `pip install '
            '--upgrade onnxruntime` here and on the robot, or export it with an older '
            'opset_version, and with the operators of ONNX alone')
    if 'is not a registered function' in problem:
        return 'it has operators of its own; export it with those of ONNX alone'
    return 'run it once with ONNX Runtime, and export it again'


def _ports(path: Path, kind: str, nodes: Any) -> dict[str, Port]:
    """List inputs or outputs of a session."""
    if not 0 < len(nodes) <= _MOST_PORTS:
        raise AdoptError(
            f'{path}: found {len(nodes)} {kind}, expected 1 to {_MOST_PORTS}; export it with '
            'those of a policy')
    for node in nodes:
        if not node.name.isprintable() or len(node.name) > _LONGEST_NAME:
            raise AdoptError(
                f'{path}: {kind}: found the name {quoted(node.name)}, expected at most '
                f'{_LONGEST_NAME} printable characters; export it with other names')
    return {node.name: Port(node.name, tuple(node.shape), node.type) for node in nodes}
