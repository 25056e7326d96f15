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
ONNX graph of an adopted policy: the foreign graph, with nodes before and after it.

The nodes before it make its inputs from observation and state, those after it make the action
chunk and the next state from its outputs. The foreign graph itself is not changed, except for
names that would be there twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dfp_ros.core.text.printable import printable
from dfp_ros.spec import METADATA_KEY, PolicySpec
from dfp_ros.tools.adopt.adoption import AdoptError, Adoption
from dfp_ros.tools.adopt.foreign_model import FLOATS, ForeignModel, STATES
from dfp_ros.tools.adopt.layout import Layout

_OURS = 'adopted/'
_RESERVED = {'observation', 'state', 'action_chunk', 'value', 'spread', 'next_state', 'noise'}
_FLOAT = FLOATS['tensor(float)']
# Reshape, Where and Min with several inputs are as here from this operator set on.
_OLDEST_OPSET = 9


class _Builder:
    """Nodes and constants of the graph around the foreign one."""

    def __init__(self) -> None:
        """Start empty."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._count = 0

    def constant(self, values: Any, kind: type = np.float32) -> str:
        """Add a constant, and return its name."""
        from onnx import numpy_helper
        name = self._name()
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str = '', **options: Any) -> str:
        """Add a node, and return the name of its output."""
        from onnx import helper
        output = output or self._name()
        self.nodes.append(helper.make_node(operator, inputs, [output], **options))
        return output

    def join(self, parts: Sequence[str]) -> str:
        """Join vectors of shape (1, n)."""
        return parts[0] if len(parts) == 1 else self.add('Concat', parts, axis=1)

    def _name(self) -> str:
        """Return a new name."""
        self._count += 1
        return f'{_OURS}{self._count}'


def require_new_operators(foreign: ForeignModel) -> None:
    """
    Require a model whose operators are those of the nodes that are added to it.

    :raises AdoptError: If its operator set is older.
    """
    opset = max((each.version for each in foreign.model.opset_import
                 if each.domain in ('', 'ai.onnx')), default=0)
    if opset < _OLDEST_OPSET:
        raise AdoptError(
            f'{foreign.path}: found operator set {opset}, expected {_OLDEST_OPSET} or newer; '
            'export it again with a newer opset_version')


def policy_model(
        adoption: Adoption, foreign: ForeignModel, layout: Layout, spec: PolicySpec) -> Any:
    """
    Make the graph of a policy file, without touching the weights of the foreign one.

    :param adoption: The meaning of the policy.
    :param foreign: Its model.
    :param layout: Where its numbers go.
    :param spec: The specification of the policy file.
    :return: The model, ``onnx.ModelProto``.
    :raises AdoptError: If it cannot be made.
    """
    from onnx import checker, helper, TensorProto
    model = type(foreign.model)()
    model.CopyFrom(foreign.model)
    require_new_operators(foreign)
    graph = model.graph
    for node in graph.node:
        # PyTorch notes the lines of source that a node comes from, with paths.
        del node.metadata_props[:]
        node.ClearField('doc_string')
    names = _rename(graph)
    before, after = _Builder(), _Builder()
    after._count = 1_000_000
    pool = _make_inputs(before, adoption, foreign, layout, names)
    _make_outputs(after, adoption, foreign, layout, spec, names, pool)
    nodes = [*before.nodes, *graph.node, *after.nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.constants, *after.constants])
    del graph.input[:], graph.output[:]
    ports = [('observation', [1, spec.observation_size])]
    answers = [
        ('action_chunk', [spec.horizon, spec.action_size]), ('value', [1]), ('spread', [1])]
    if spec.state_size:
        ports.append(('state', [1, spec.state_size]))
        answers.append(('next_state', [1, spec.state_size]))
    graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ports)
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in answers)
    # Weights that are inputs too, as in old files, need at least this version without them.
    model.ir_version = max(model.ir_version, 4)
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=spec.to_json())
    try:
        checker.check_model(model)
    except Exception as error:  # onnx's own errors share no public base class
        raise AdoptError(
            f'{foreign.path}: no policy file can be made of its graph: '
            f'{printable(error, 500)}') from error
    return model


def _make_inputs(
        build: _Builder, adoption: Adoption, foreign: ForeignModel, layout: Layout,
        names: dict[str, str]) -> str:
    """Make the foreign inputs, and return the name of the pool."""
    parts = ['observation']
    if layout.constants:
        parts.append(build.constant([layout.constants]))
    if layout.state_size:
        parts.append('state')
    pool = build.join(parts)
    for given in adoption.inputs:
        if given.terms:
            selection = layout.selections[given.name]
            value = build.add(
                'Gather', [pool, build.constant(selection.indices, np.int64)], axis=1)
            if selection.minus.any():
                value = build.add('Sub', [value, build.constant([selection.minus])])
            if np.isfinite(selection.low).any():
                # Infinite bounds of other terms change nothing.
                value = build.add('Max', [value, build.constant([selection.low])])
                value = build.add('Min', [value, build.constant([selection.high])])
            if (selection.scale != 1).any():
                value = build.add('Mul', [value, build.constant([selection.scale])])
        else:
            places = layout.states[given.name]
            value = build.add('Gather', [pool, build.constant(places, np.int64)], axis=1)
            if any(given.initial):
                flag = build.add('Gather', [pool, build.constant([layout.flag], np.int64)], axis=1)
                goes_on = build.add('Cast', [flag], to=9)
                first = np.broadcast_to(np.array(given.initial), (1, len(places)))
                value = build.add('Where', [goes_on, value, build.constant(first)])
        shape = build.constant(layout.shapes[given.name], np.int64)
        number = STATES[foreign.inputs[given.name].type]
        name = names.get(given.name, given.name)
        if number == _FLOAT:
            build.add('Reshape', [value, shape], name)
        else:
            build.add('Cast', [build.add('Reshape', [value, shape])], name, to=number)
    return pool


def _make_outputs(
        build: _Builder, adoption: Adoption, foreign: ForeignModel, layout: Layout,
        spec: PolicySpec, names: dict[str, str], pool: str) -> None:
    """Make the outputs of the policy file."""

    def flat(output: str, rows: int) -> str:
        """Convert a foreign output to float32, of shape (rows, n)."""
        value = names.get(output, output)
        if foreign.outputs[output].type != 'tensor(float)':
            value = build.add('Cast', [value], to=_FLOAT)
        return build.add('Reshape', [value, build.constant([rows, -1], np.int64)])

    numbers: dict[str, str] = {}
    for output in adoption.outputs:
        value = flat(output.name, spec.horizon)
        if output.clip:
            value = build.add('Max', [value, build.constant([[output.clip[0]]])])
            value = build.add('Min', [value, build.constant([[output.clip[1]]])])
        numbers[output.name] = value
    used: list[int] = []
    factors: list[float] = []
    shifts: list[float] = []
    place = 0
    for output in adoption.outputs:
        for member in output.fields:
            if member.name:
                used += range(place, place + member.size)
                # The command is offset + scale * number; an action of -1 is low, one of 1 high.
                half = (np.array(member.high) - np.array(member.low)) / 2
                factors += (np.array(member.scale) / half).tolist()
                shifts += (
                    (np.array(member.offset) - np.array(member.low)) / half - 1).tolist()
            place += member.size
    value = build.join(list(numbers.values()))
    if used != list(range(place)):
        value = build.add('Gather', [value, build.constant(used, np.int64)], axis=1)
    value = build.add('Mul', [value, build.constant([factors])])
    if any(shifts):
        value = build.add('Add', [value, build.constant([shifts])])
    still = sum(len(each.values) for each in adoption.constants)
    if still:
        # A constant has the same command at -1 and 1.
        value = build.join([value, build.constant(np.zeros((spec.horizon, still)))])
    build.add('Identity', [value], 'action_chunk')
    build.add('Identity', [build.constant([np.nan])], 'value')
    build.add('Identity', [build.constant([0.0])], 'spread')
    if not layout.state_size:
        return
    parts = []
    if layout.flag is not None:
        parts.append(build.constant([[1.0]]))
    sizes = {output.name: output.size for output in adoption.outputs}
    for name, places in layout.memories.items():
        kept = places[sizes[name]:]
        if kept:
            parts.append(build.add(
                'Gather', [pool, build.constant(kept, np.int64)], axis=1))
        parts.append(numbers[name])
    parts += [flat(each.state, 1) for each in adoption.inputs if each.state]
    build.add('Identity', [build.join(parts)], 'next_state')


def _rename(graph: Any) -> dict[str, str]:
    """Rename what has a name of the policy file, and return the new names by the old."""
    taken: dict[str, str] = {}

    def note(name: str) -> None:
        if name in _RESERVED or name.startswith(_OURS):
            taken[name] = f'foreign/{name}'

    def look(part: Any) -> None:
        for named in (*part.input, *part.output, *part.initializer):
            note(named.name)
        for node in part.node:
            for name in node.output:
                note(name)
            for below in _graphs(node):
                look(below)

    def rename(part: Any) -> None:
        for named in (*part.input, *part.output, *part.initializer, *part.value_info):
            named.name = taken.get(named.name, named.name)
        for sparse in part.sparse_initializer:
            sparse.values.name = taken.get(sparse.values.name, sparse.values.name)
        for node in part.node:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    names[i] = taken.get(name, name)
            for below in _graphs(node):
                rename(below)

    look(graph)
    rename(graph)
    return taken


def _graphs(node: Any) -> list[Any]:
    """List the graphs inside a node."""
    return [
        below for attribute in node.attribute
        for below in ([attribute.g] if attribute.HasField('g') else [*attribute.graphs])]
