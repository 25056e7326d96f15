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
"""Loader processes of a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testing.policies.small_policy import write_policy

pytest.importorskip('rclpy')

from dfp_ros.node.files.node_files import NodeFiles
from dfp_ros.node.parameters.parameters import declare_parameters


def test_files_are_looked_at_after_a_cleanup_too(node: Any, tmp_path: Path) -> None:
    """An unconfigured node is asked for a policy before it is configured again."""
    declare_parameters(node)
    policy = write_policy(tmp_path / 'policy.onnx')
    files = NodeFiles(node)
    try:
        files.start()
        first = files.read_policy(str(policy)).sha256
        files.close()
        assert files.read_policy(str(policy)).sha256 == first
        files.close()
        assert files.read(policy) == policy.read_bytes()
        files.close()
        assert files.load_robot('ur5e_cube').name == 'ur5e_cube'
    finally:
        files.close()
