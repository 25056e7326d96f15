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
Policy files with smaller weights.

``fp16`` halves the file: weights are stored as half floats and become float32 when the file is
loaded, so an answer takes as long as before. ``int8`` makes a
third of it, in memory too: the layers between hidden layers are products of whole numbers, whose
inputs are scaled at each call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnx_ir
from onnxruntime.quantization import quantize_dynamic, QuantType

from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.spec import METADATA_KEY, PolicySpec
from training.files import atomic_path
from training.onnx_export.parity import ExportError, TOLERANCES

# Layers with fewer inputs or outputs stay float32: nearly all weights are in the others, and the
# first meets the observation and the last gives the action.
_HIDDEN = 64


@dataclass(frozen=True)
class Difference:
    """
    How far apart the actions of two policies are, in action units.

    :param largest: Of any number of any action.
    :param rms: Root of the mean square.
    :param compared: On how many observations.
    """

    largest: float
    rms: float
    compared: int


def in_precision(
        model: onnx.ModelProto, precision: str, name: str | None = None) -> onnx.ModelProto:
    """
    Store a policy's weights in another precision.

    :param model: The policy in float32; it is not changed.
    :param precision: One of :data:`dfp_ros.spec.PRECISIONS`.
    :param name: The policy's name from now on; as before where None.
    :return: A checked model of the same inputs, outputs and specification but for these.
    :raises SpecError: If there is no such precision.
    :raises ValueError: If the policy is not in float32.
    """
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    spec = PolicySpec.from_json(metadata[METADATA_KEY])
    if spec.precision != 'float32':
        raise ValueError(
            f'policy {spec.name!r}: found weights in {spec.precision}, expected float32; start '
            'from the file that was exported without --precision')
    spec = replace(spec, precision=precision, name=name or spec.name)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    if precision == 'fp16':
        _halve(changed)
    elif precision == 'int8':
        changed = _quantised(changed)
        changed.producer_name = model.producer_name
    helper.set_model_props(changed, {**metadata, METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(changed, full_check=True)
    return changed


def difference(reference: OnnxPolicy, other: OnnxPolicy, count: int = 1000) -> Difference:
    """
    Compare two policies on observations drawn evenly from the range of the data.

    Few of these are ever met, so that this is no prediction of success. One candidate each: of
    several, two policies that agree but for rounding may choose different ones.

    :param reference: Its range and noise scale are taken.
    :param other: A policy of the same fields.
    :param count: How many observations.
    """
    spec, generator = reference.spec, np.random.default_rng(0)
    low, high = (
        np.concatenate([getattr(member, bound) for member in spec.observation])
        for bound in ('low', 'high'))
    differences = []
    for observation in generator.uniform(low, high, (count, len(low))).astype(np.float32):
        noise = generator.standard_normal((1, spec.noise_size), dtype=np.float32)
        noise *= np.float32(spec.noise_scale)
        differences.append(
            reference.act(observation, noise).actions - other.act(observation, noise).actions)
    return summarised(differences)


def summarised(differences: Sequence[np.ndarray]) -> Difference:
    """
    Summarise differences.

    :param differences: One array an observation, in action units; there is at least one.
    """
    found = np.abs(np.asarray(differences, np.float64))
    return Difference(
        float(found.max()), float(np.sqrt(np.mean(found ** 2))), compared=len(found))


def _halve(model: onnx.ModelProto) -> None:
    """Store matrices as half floats; ONNX Runtime casts them once, at load."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            name = tensor.name
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, f'{name}_half'))
            casts.append(helper.make_node('Cast', [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """Have ONNX Runtime quantise the layers between hidden layers."""
    wide = {
        tensor.name for tensor in model.graph.initializer
        if len(tensor.dims) == 2 and min(tensor.dims) >= _HIDDEN}
    chosen = []
    for graph in _graphs(model.graph):
        for node in graph.node:
            node.name = node.output[0]
            if node.op_type in ('Gemm', 'MatMul') and node.input[1] in wide:
                # The quantiser makes a MatMul of a Gemm first, and calls it so.
                chosen += [node.name, f'{node.name}_MatMul']
    if not chosen:
        return model
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'int8.onnx'
        # It would advise steps before it that are for images.
        logging.disable(logging.WARNING)
        try:
            # Seven bits: processors without VNNI add two products in 16 bits, and would clip
            # them. A file must give the same commands wherever it runs.
            quantize_dynamic(
                model, path, op_types_to_quantize=['MatMul', 'Gemm'], nodes_to_quantize=chosen,
                per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
                extra_options={'EnableSubgraph': True})
        finally:
            logging.disable(logging.NOTSET)
        quantised = onnx_ir.load(path)
    # The quantiser puts branches before what they take from outside.
    quantised.graph.sort()
    return onnx_ir.to_proto(quantised)


def _graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """List a graph and those of its branches."""
    return [graph] + [
        inner for node in graph.node for attribute in node.attribute if attribute.HasField('g')
        for inner in _graphs(attribute.g)]


def store(policy: Path, out: Path, precision: str, name: str) -> Difference:
    """
    Write a policy file once more, in another precision.

    :param policy: A file in float32.
    :param out: The policy file to write.
    :param precision: One of :data:`dfp_ros.spec.PRECISIONS`.
    :param name: The policy's name in the file.
    :return: How far the actions are from the file's own, over the range of its data.
    :raises PolicyError: If the file cannot be run.
    :raises ValueError: If it is not in float32, or actions differ too much.
    """
    subject = OnnxPolicy(policy)
    model = in_precision(onnx.load(policy), precision, name)
    with atomic_path(out, model.ByteSize()) as partial:
        onnx.save_model(model, str(partial))
        found = difference(subject, OnnxPolicy(partial))
        if not found.largest <= TOLERANCES[precision]:
            raise ExportError(
                f'action: {policy} and the file in {precision} differ by {found.largest:.2e}, '
                f'expected at most {TOLERANCES[precision]:.0e}; the file was not written')
    return found
