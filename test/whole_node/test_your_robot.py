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
"""docs/your-robot.md: its description is the shipped one, and its commands exist."""

from __future__ import annotations

import re
from typing import Any

import yaml

from testing import ROOT

PAGE = (ROOT / 'docs' / 'your-robot.md').read_text()
COMMAND = re.compile(r'^    (ros2 (?:run|launch) dfp_ros .*(?:\\\n.*)*)$', re.MULTILINE)


def test_the_description_that_is_written_on_the_page_is_the_shipped_one() -> None:
    """It is written in parts, each of which continues the previous one."""
    parts = re.findall(r'^```yaml\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE)
    assert len(parts) == 3
    written: dict[str, Any] = yaml.safe_load('\n'.join(parts))
    shipped = yaml.safe_load((ROOT / 'config' / 'panda_joint.yaml').read_text())
    # The page leaves takeover by a person to a page of its own.
    assert shipped.pop('takeover')
    assert written == shipped


def test_documented_commands_exist() -> None:
    """Executables, launch files and the shipped policy."""
    commands = COMMAND.findall(PAGE)
    assert len(commands) == 5
    executables = re.findall(r"'(\w+) = dfp_ros", (ROOT / 'setup.py').read_text())
    for command in commands:
        _, kind, _, name, *_ = command.split()
        assert name in executables if kind == 'run' else (ROOT / 'launch' / name).is_file()
        for policy in re.findall(r'(?:policy:=|describe )(\w+)', command):
            assert (ROOT / 'models' / f'{policy}.onnx').is_file()
