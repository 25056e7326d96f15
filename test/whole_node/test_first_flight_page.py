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
"""docs/first-flight.md is followed word for word, from the two nodes to a swapped policy."""

from __future__ import annotations

from pathlib import Path
import re

import pytest

from testing import ROOT
from testing.processes.page_reader import Reader, Step

PAGE = (ROOT / 'docs' / 'first-flight.md').read_text()
#: Blocks of commands and of what is said, from the launch on.
BLOCKS = re.findall(r'(?:^    \S.*\n)+', PAGE[PAGE.index('## Robot and node'):], re.MULTILINE)


def pattern(line: str) -> str:
    """Make a pattern of a line on the page: `...` is anything, and numbers may be others."""
    escaped = re.escape(line.strip()).replace(re.escape('...'), '.*')
    return re.sub(r'\d+', r'\\d+', escaped)


def test_hashes_on_the_page_are_those_of_the_shipped_policies() -> None:
    """So that a reader who compares them is not alarmed."""
    from dfp_ros.core.files.digest import sha256
    found = re.findall(r"policy '(\w+)' \(\S+, sha256 (\w+)\)", PAGE)
    assert len(found) == 2
    for name, digest in found:
        assert sha256(ROOT / 'models' / f'{name}.onnx').startswith(digest)


@pytest.mark.slow
def test_first_flight_followed_word_for_word(tmp_path: Path) -> None:
    """Each command succeeds, and the nodes say what the page says, in its order."""
    for name in ('rclpy', 'launch_ros', 'mujoco'):
        pytest.importorskip(name)
    from dfp_ros.node.ros.domain import free_domain
    log, at = tmp_path / 'terminal_0.log', 0
    with Reader(tmp_path, free_domain()) as reader:
        said = ''
        for block in BLOCKS:
            lines = [line.strip() for line in block.splitlines()]
            if lines[0].startswith(('ros2', '.')):
                for line in lines:
                    if line.startswith('ros2'):
                        is_beside = 'launch' in line or line.endswith(' view')
                        said = reader.follow(Step(line, is_beside=is_beside))
                continue
            for line in lines:
                if not line.startswith('['):
                    assert re.search(pattern(line), said), f'{line}\n{said}'
                    continue
                reader.await_match(pattern(line), log, at)
                text = log.read_text(errors='replace')
                at = re.compile(pattern(line)).search(text, at).end()  # type: ignore[union-attr]
        reader.await_match(r"policy 'cube_single' .* takes over", log, at)
        reader.end_terminals(0)
        assert 'Traceback' not in log.read_text(errors='replace')
