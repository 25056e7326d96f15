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
ONNX graph of a policy: normaliser, actor, critic ensemble and best-of-N' in one pure function.

The graph is built node by node, so that the file contains exactly the inference of a robot. A
single candidate costs only the actor, because the critics are in a branch for several candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
import itertools

import onnx
from onnx import numpy_helper, parser
import torch

from dfp_ros.spec import METADATA_KEY, PolicySpec
from training.learning.agents.agent import Agent
from training.learning.networks.encoder import Encoder
from training.learning.networks.layers import LAYER_NORM_EPSILON
from training.learning.networks.modules import CriticEnsemble
from training.learning.networks.onnx_builder import Graph, IR_VERSION, OPSET
from training.onnx_export.precision import graphs, in_precision


def policy_model(agent: Agent, spec: PolicySpec) -> onnx.ModelProto:
    """
    Convert an agent to an ONNX model, with its specification in the metadata.

    :param agent: Trained networks; weights are copied.
    :param spec: Specification of the policy.
    :return: A checked model: ``observation`` (1, obs_dim) and ``noise`` (candidates, chunk) to
        ``action_chunk`` (horizon, act_dim), ``value`` (1,) and ``spread`` (1,). With one
        candidate the value is NaN and the spread 0. Each picture is an input of its name, (1,
        height, width, n), uint8, which is encoded once for all candidates; and once more for the
        critics, if there are several candidates of an averaged actor.
    """
    graph = Graph()
    graph.weight('mean', agent.normaliser.mean)
    graph.weight('inverse', agent.normaliser.inverse)
    graph.line('centred = Sub (observation, mean)')
    pictures = [f'picture_{i}' for i in range(len(spec.images))]
    encoder = agent.acting_encoder
    if encoder is None:
        graph.line('state = Mul (centred, inverse)')
    else:
        graph.line('numbers = Mul (centred, inverse)')
        _see(graph, encoder, pictures, '', 'state')
    agent.acting.write(graph)
    graph.integers('chunk_shape', [spec.horizon, spec.action_size])
    graph.integers('one_candidate', [1])
    graph.line('count = Shape <start = 0, end = 1> (noise)')
    graph.line('several = Greater (count, one_candidate)')

    several, single = Graph(graph.weights), Graph(graph.weights)
    valued = 'state'
    if agent.average_encoder is not None and agent.encoder is not None:
        # The critics learned with the newest encoder; a single candidate does not need it.
        valued = 'valued_state'
        _see(several, agent.encoder, pictures, 'valued_', valued)
    _best(several, agent.critic, valued)
    single.line(f'chosen_of_one = Reshape (chunks, {single.integers("row", [1, -1])})')
    single.weight('no_value', torch.tensor([float('nan')]))
    single.weight('no_spread', torch.tensor([0.0]))
    single.line('value_of_one = Identity (no_value)')
    single.line('spread_of_one = Identity (no_spread)')
    size = spec.noise_size
    outputs = '(float[1, {size}] chosen_of_{which}, float[1] value_of_{which}, ' \
              'float[1] spread_of_{which})'
    graph.line(
        'chosen, value, spread = If (several) <'
        f'then_branch = best () => {outputs.format(size=size, which="many")} '
        f'{{ {several.text()} }}, '
        f'else_branch = bare () => {outputs.format(size=size, which="one")} '
        f'{{ {single.text()} }}>')
    graph.line('action_chunk = Reshape (chosen, chunk_shape)')

    seen = ''.join(
        f', uint8[1, {", ".join(map(str, image.shape))}] {picture}'
        for image, picture in zip(spec.images, pictures, strict=True))
    model = parser.parse_model(
        f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}], producer_name: "dfp_ros"> '
        f'policy (float[1, {spec.observation_size}] observation, '
        f'float[candidates, {size}] noise{seen}) => (float[{spec.horizon}, {spec.action_size}] '
        f'action_chunk, float[1] value, float[1] spread) {{ {graph.text()} }}')
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in graph.weights.items())
    _name_pictures(model, dict(zip(pictures, (image.name for image in spec.images), strict=True)))
    exact = replace(spec, precision='float32')
    model.metadata_props.add(key=METADATA_KEY, value=exact.to_json())
    onnx.checker.check_model(model, full_check=True)
    return model if spec == exact else in_precision(model, spec.precision)


def _name_pictures(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """
    Give pictures their own names, which ONNX's text format may not accept.

    A camera may be called as a value within the graph is, which gets another name then.
    """
    inner = {
        name for graph in graphs(model.graph) for name in (
            *(tensor.name for tensor in graph.initializer),
            *(name for node in graph.node for name in node.output))}
    renamed = dict(names)
    for name in inner.intersection(names.values()):
        renamed[name] = next(
            other for i in itertools.count(1)
            if (other := f'{name}_{i}') not in inner.union(names.values()))
    for value in model.graph.input:
        value.name = names.get(value.name, value.name)
    for graph in graphs(model.graph):
        for value in (*graph.initializer, *graph.output, *graph.value_info):
            value.name = renamed.get(value.name, value.name)
        for node in graph.node:
            for places in (node.input, node.output):
                for i, name in enumerate(places):
                    places[i] = renamed.get(name, name)


def _see(
        graph: Graph, encoder: Encoder, pictures: Sequence[str], prefix: str,
        state: str) -> None:
    """Add an encoder of the pictures, and a state of the numbers and its features."""
    encodings = [f'{prefix}{picture}_encoding' for picture in pictures]
    encoder.write(graph, pictures, encodings, prefix)
    graph.line(f'{state} = Concat <axis = 1> ({", ".join(["numbers", *encodings])})')


def _best(graph: Graph, critic: CriticEnsemble, state: str) -> None:
    """Add the best-of-N branch: the best chunk, its value and the spread of the candidates."""
    members = critic.weights[0].shape[0]
    scores = []
    for member in range(members):
        _member(graph, critic, member, state)
        scores.append(f'score_{member}')
    graph.line(f'scores = Mean ({", ".join(scores)})')
    graph.line('best = ArgMax <axis = 0, keepdims = 0> (scores)')
    graph.line('value_column = Gather <axis = 0> (scores, best)')
    graph.line(f'value_of_many = Reshape (value_column, {graph.integers("vector", [1])})')
    graph.line('chosen_of_many = Gather <axis = 0> (chunks, best)')
    # Standard deviation over candidates, then the mean over the chunk's dimensions.
    graph.line(f'average = ReduceMean <keepdims = 1> (chunks, {graph.integers("first", [0])})')
    graph.line('apart = Sub (chunks, average)')
    graph.line('squared = Mul (apart, apart)')
    graph.line('variance = ReduceMean <keepdims = 0> (squared, first)')
    graph.line('deviation = Sqrt (variance)')
    graph.line('spread_of_many = ReduceMean <keepdims = 1> (deviation, first)')


def _member(graph: Graph, critic: CriticEnsemble, member: int, state: str) -> None:
    """Add one critic, from a state and ``chunks`` to ``score_MEMBER``, shape (candidates, 1)."""
    name = f'critic_{member}'
    first = critic.weights[0][member]
    seen, proposed = first.split(
        [critic.observation_size, first.shape[0] - critic.observation_size])
    graph.weight(f'{name}_seen', seen)
    graph.weight(f'{name}_proposed', proposed)
    graph.weight(f'{name}_bias_0', critic.biases[0][member, 0])
    graph.line(f'{name}_from_state = Gemm ({state}, {name}_seen, {name}_bias_0)')
    graph.line(f'{name}_from_chunk = MatMul (chunks, {name}_proposed)')
    graph.line(f'{name}_0 = Add ({name}_from_chunk, {name}_from_state)')
    layers = len(critic.weights)
    for i in range(1, layers):
        graph.weight(f'{name}_scale_{i}', critic.norm_scales[i - 1][member, 0])
        graph.weight(f'{name}_shift_{i}', critic.norm_shifts[i - 1][member, 0])
        graph.weight(f'{name}_weight_{i}', critic.weights[i][member])
        graph.weight(f'{name}_bias_{i}', critic.biases[i][member, 0])
        graph.line(f'{name}_active_{i} = Gelu <approximate = "tanh"> ({name}_{i - 1})')
        graph.line(
            f'{name}_normal_{i} = LayerNormalization <axis = -1, epsilon = '
            f'{LAYER_NORM_EPSILON:.9f}> ({name}_active_{i}, {name}_scale_{i}, {name}_shift_{i})')
        output = f'score_{member}' if i == layers - 1 else f'{name}_{i}'
        graph.line(f'{output} = Gemm ({name}_normal_{i}, {name}_weight_{i}, {name}_bias_{i})')
