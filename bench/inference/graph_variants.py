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
Alternative graphs of a policy, with the same answer as the exported one.

Each function takes the exported model and returns a variant.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

from training.onnx_export.precision import in_precision

Weights = dict[str, np.ndarray]


def actor_alone(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove branch, critics, value and spread: the lower bound of one candidate."""
    model, weights = _taken_apart(model)
    _keep_nodes(model, lambda node: node.op_type not in ('If', 'Shape', 'Greater'))
    model.graph.node[-1].input[0] = 'chunks'
    outputs = [entry for entry in model.graph.output if entry.name == 'action_chunk']
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    return _put_together(
        model, {name: value for name, value in weights.items() if 'critic' not in name})


def transposed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store weights in PyTorch's layout, so that the products transpose them."""
    model, weights = _taken_apart(model)
    for graph in _with_branches(model.graph):
        for node in graph.node:
            if node.op_type == 'Gemm':
                node.attribute.append(helper.make_attribute('transB', 1))
                weights[node.input[1]] = weights[node.input[1]].T
    return _put_together(model, weights)


def scale_folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """
    Fold the normaliser's scale into the first layers.

    Its shift stays: for an observation far from zero with little variation, digits would be lost.
    """
    model, weights = _taken_apart(model)
    for name in weights:
        if name.endswith('_seen'):
            weights[name] = weights[name] * weights['inverse'][:, None]
    _keep_nodes(model, lambda node: node.output[0] != 'state')
    for node in model.graph.node:
        if node.output[0] == 'centred':
            node.output[0] = 'state'
    return _put_together(model, weights)


def joined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute the actor's first layer in one product of the concatenated observation and noise."""
    model, weights = _taken_apart(model)
    weights['actor_joined'] = np.concatenate([weights['actor_seen'], weights['actor_given']])
    weights['minus_one'] = np.array([-1], np.int64)
    first = _nodes("""
        rows = Shape <start = 0, end = 1> (noise)
        shape = Concat <axis = 0> (rows, minus_one)
        width = Shape <start = 1, end = 2> (state)
        wanted = Concat <axis = 0> (rows, width)
        states = Expand (state, wanted)
        inputs = Concat <axis = 1> (states, noise)
        unclipped_0 = Gemm (inputs, actor_joined, unclipped_bias)""")
    replaced = ('unclipped_state', 'unclipped_inputs', 'unclipped_0')
    nodes = [node for node in model.graph.node if node.output[0] not in replaced]
    place = next(i for i, node in enumerate(nodes) if node.output[0] == 'state') + 1
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:place], *first, *nodes[place:]])
    return _put_together(model, weights)


def critics_stacked(model: onnx.ModelProto) -> onnx.ModelProto:
    """Evaluate all critics in one batched product per layer, with the norms' scale and shift."""
    model, weights = _taken_apart(model)
    members = sum(name.startswith('critic_') and name.endswith('_seen') for name in weights)
    layers = 1 + max(
        int(name.rsplit('_', 1)[1]) for name in weights if name.startswith('critic_0_weight'))

    def stack(name: str) -> np.ndarray:
        return np.stack([weights[f'critic_{member}_{name}'] for member in range(members)])

    made: Weights = {
        'seen': stack('seen'), 'proposed': stack('proposed'), 'bias_0': stack('bias_0')[:, None],
        'one': np.ones_like(weights['critic_0_scale_1'])}
    lines = ["""
        from_state = MatMul (state, seen)
        biased = Add (from_state, bias_0)
        from_chunk = MatMul (chunks, proposed)
        hidden_0 = Add (from_chunk, biased)"""]
    for i in range(1, layers):
        weight = stack(f'weight_{i}')
        made[f'weight_{i}'] = stack(f'scale_{i}')[:, :, None] * weight
        made[f'bias_{i}'] = stack(f'bias_{i}')[:, None] + stack(f'shift_{i}')[:, None] @ weight
        lines.append(f"""
            active_{i} = Gelu <approximate = "tanh"> (hidden_{i - 1})
            normal_{i} = LayerNormalization <axis = -1, epsilon = 0.000001> (active_{i}, one)
            product_{i} = MatMul (normal_{i}, weight_{i})
            hidden_{i} = Add (product_{i}, bias_{i})""")
    lines.append(f'scores = ReduceMean <keepdims = 0> (hidden_{layers - 1}, first)')
    branch = _with_branches(model.graph)[1]
    start = next(i for i, node in enumerate(branch.node) if 'scores' in node.output) + 1
    nodes = [*_nodes('\n'.join(lines)), *branch.node[start:]]
    del branch.node[:]
    branch.node.extend(nodes)
    return _put_together(model, made | {
        name: value for name, value in weights.items() if 'critic_' not in name})


VARIANTS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    'as exported': lambda model: model,
    'actor alone': actor_alone,
    'weights transposed': transposed,
    'scale in the first layer': scale_folded,
    'observation and noise joined': joined,
    'critics stacked': critics_stacked,
    'fp16': lambda model: in_precision(model, 'fp16'),
    'int8': lambda model: in_precision(model, 'int8'),
}


def _taken_apart(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Weights]:
    """Copy a model without its weights, and return both."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    weights = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in copied.graph.initializer}
    del copied.graph.initializer[:]
    return copied, weights


def _put_together(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    """Add the weights to a model again, and check it."""
    model.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name)
        for name, value in weights.items())
    onnx.checker.check_model(model, full_check=True)
    return model


def _keep_nodes(model: onnx.ModelProto, keep: Callable[[onnx.NodeProto], bool]) -> None:
    kept = [node for node in model.graph.node if keep(node)]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _nodes(lines: str) -> list[onnx.NodeProto]:
    """Parse nodes in ONNX's text format."""
    return list(parser.parse_graph(f'lines (float[1] none) => (float[1] none) {{{lines}}}').node)


def _with_branches(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """List a graph and its branches: for several candidates, then for one."""
    return [graph] + [
        attribute.g for node in graph.node for attribute in node.attribute
        if attribute.HasField('g')]
