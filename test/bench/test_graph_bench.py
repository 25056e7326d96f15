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
"""Graph benchmark: the variants must give the exported graph's answer."""

from __future__ import annotations

import onnx
import pytest

pytest.importorskip('torch')


from bench import graph
from bench.inference.graph_variants import VARIANTS
from bench.inference.paper_policy import write_policy


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    folder = tmp_path_factory.mktemp('policy')
    return onnx.load(write_policy(folder, hidden=(64, 64)).path)


@pytest.mark.parametrize('candidates', [1, 16])
def test_variants_answer_the_same_and_are_timed(model: onnx.ModelProto, candidates: int) -> None:
    rows = graph.compare('small', model, candidates, 20)
    timed = [row['graph'] for row in rows]
    assert timed == [
        name for name in VARIANTS if candidates == 1 or name != 'actor alone'] + [graph.ANY]
    assert all(row['inference']['count'] == 20 for row in rows)


def test_a_variant_that_answers_otherwise_ends_the_run(
        model: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: onnx.ModelProto) -> onnx.ModelProto:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        bias = next(
            tensor for tensor in changed.graph.initializer if tensor.name == 'unclipped_bias')
        bias.CopyFrom(onnx.numpy_helper.from_array(
            onnx.numpy_helper.to_array(bias) + 0.1, 'unclipped_bias'))
        return changed
    monkeypatch.setitem(VARIANTS, 'wrong', wrong)
    with pytest.raises(SystemExit, match='wrong: actions differ by'):
        graph.compare('small', model, 1, 20)


def test_a_profile_counts_every_node(model: onnx.ModelProto) -> None:
    nodes = {row['node']: row['nodes'] for row in graph.profile('small', model, 16, 20)}
    # Three layers, the first of two products, of the actor and both critics.
    assert nodes['Gemm'] == 3 * 4
    assert nodes['LayerNormalization'] == 2 * 2
    assert 'If' not in nodes
