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
Reduced precision of a policy's weights: fp16 storage and int8 quantisation.

``fp16`` halves the file: weights are stored in half precision and converted to float32 on loading,
so inference takes as long as before. ``int8`` reduces file and memory to a third: the layers
between hidden layers are integer products with dynamic quantisation of their inputs.
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

from dfp_ros.core.hung_calls import ended_by_interrupts
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.spec import METADATA_KEY, PolicySpec
from training.common.files import atomic_path
from training.onnx_export.parity import ExportError, TOLERANCES

# Layers with fewer inputs or outputs stay float32: they hold few weights, and include the first
# layer (observation) and the last (action).
_HIDDEN = 64


@dataclass(frozen=True)
class Difference:
    """
    Difference between the actions of two policies, in action units.

    :param largest: Largest absolute difference.
    :param rms: Root mean square.
    :param compared: Number of observations.
    """

    largest: float
    rms: float
    compared: int


def in_precision(
        model: onnx.ModelProto, precision: str, name: str | None = None) -> onnx.ModelProto:
    """
    Convert a policy's weights to another precision.

    :param model: The policy in float32; not modified.
    :param precision: One of :data:`dfp_ros.spec.PRECISIONS`.
    :param name: New name of the policy; None keeps the name.
    :return: A checked model with the same inputs, outputs and specification, except name and
        precision.
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
    Compare two policies on observations drawn uniformly from the range of the data.

    Most of these never occur, so this does not predict the success rate. One candidate each: with
    several, two policies that are equal within rounding may choose different ones.

    :param reference: Policy that gives range and noise scale.
    :param other: A policy with the same fields.
    :param count: Number of observations.
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

    :param differences: One array per observation, in action units; at least one.
    """
    found = np.abs(np.asarray(differences, np.float64))
    return Difference(
        float(found.max()), float(np.sqrt(np.mean(found ** 2))), compared=len(found))


def _halve(model: onnx.ModelProto) -> None:
    """Store matrices in half precision; ONNX Runtime casts them once, on loading."""
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
    """Quantise the layers between hidden layers with ONNX Runtime."""
    # With the symbolic mathematics behind it, this takes longer to import than all the rest.
    import onnx_ir
    from onnxruntime.quantization import quantize_dynamic, QuantType

    wide = {
        tensor.name for tensor in model.graph.initializer
        if len(tensor.dims) == 2 and min(tensor.dims) >= _HIDDEN}
    chosen = []
    for graph in graphs(model.graph):
        for node in graph.node:
            node.name = node.output[0]
            if node.op_type in ('Gemm', 'MatMul') and node.input[1] in wide:
                # The quantiser first converts a Gemm to a MatMul of this name.
                chosen += [node.name, f'{node.name}_MatMul']
    if not chosen:
        return model
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'int8.onnx'
        # Suppresses its advice on preprocessing, which is meant for image models.
        logging.disable(logging.WARNING)
        try:
            # Seven bits: CPUs without VNNI add two products in 16 bits, which would saturate. A
            # file must give the same commands on every machine.
            quantize_dynamic(
                model, path, op_types_to_quantize=['MatMul', 'Gemm'], nodes_to_quantize=chosen,
                per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
                extra_options={'EnableSubgraph': True})
        finally:
            logging.disable(logging.NOTSET)
        quantised = onnx_ir.load(path)
    # The quantiser places branches before the nodes that they depend on.
    quantised.graph.sort()
    return onnx_ir.to_proto(quantised)


def graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """List a graph and the graphs of its branches."""
    return [graph] + [
        inner for node in graph.node for attribute in node.attribute if attribute.HasField('g')
        for inner in graphs(attribute.g)]


def store(policy: Path, out: Path, precision: str, name: str) -> Difference:
    """
    Write a copy of a policy file in another precision.

    :param policy: A file in float32.
    :param out: The policy file to write.
    :param precision: One of :data:`dfp_ros.spec.PRECISIONS`.
    :param name: The policy's name in the file.
    :return: Difference of the actions from the original file's, over the range of its data.
    :raises PolicyError: If the file cannot be run.
    :raises ValueError: If it is not in float32, or actions differ too much.
    """
    with ended_by_interrupts():
        subject = OnnxPolicy(policy)
    model = in_precision(onnx.load(policy), precision, name)
    with atomic_path(out, model.ByteSize()) as partial:
        onnx.save_model(model, str(partial))
        with ended_by_interrupts():
            found = difference(subject, OnnxPolicy(partial))
        if not found.largest <= TOLERANCES[precision]:
            raise ExportError(
                f'action: {policy} and the file in {precision} differ by {found.largest:.2e}, '
                f'expected at most {TOLERANCES[precision]:.0e}; the file was not written')
    return found
