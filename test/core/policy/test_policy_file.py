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

from pathlib import Path

import numpy as np
import onnx
import pytest

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import read_policy_file, read_spec
from testing import ROOT
from testing.policies import cube_spec, policy_model, write_policy

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
