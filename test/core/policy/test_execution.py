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
"""Execution providers: names, order, and errors of missing ones."""

from pathlib import Path

import pytest

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.setting import SettingsError
from testing.policies.small_policy import write_policy


@pytest.mark.parametrize(('providers', 'message'), [
    ('', 'parameter execution.providers: found nothing, expected cpu, cuda'),
    ('cpu,gpu', "parameter execution.providers: found 'gpu'"),
    ('cpu, cpu', "parameter execution.providers: found 'cpu' twice"),
])
def test_invalid_values(providers: str, message: str) -> None:
    """A wrong word is refused by name."""
    with pytest.raises(SettingsError) as caught:
        ExecutionSettings(providers)
    assert message in str(caught.value)


def test_falls_back_and_says_so(tmp_path: Path) -> None:
    """The first that is there runs; the others are named. This test's machine has a CPU alone."""
    path = write_policy(tmp_path / 'small.onnx')
    policy = OnnxPolicy(path, ExecutionSettings('tensorrt, cuda, cpu', threads=2, spinning=True))
    assert policy.providers == ('CPUExecutionProvider',)
    assert policy.execution.left_out(policy.providers) == ('tensorrt', 'cuda')
    assert OnnxPolicy(path).execution.left_out(policy.providers) == ()


def test_nothing_to_fall_back_on(tmp_path: Path) -> None:
    """No inference without a provider that was asked for."""
    path = write_policy(tmp_path / 'small.onnx')
    with pytest.raises(PolicyError, match='found openvino, this ONNX Runtime .* add cpu'):
        OnnxPolicy(path, ExecutionSettings('openvino'))
