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
"""Topics and services that several programs create through one class or function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from documentation import topics
from testing import ROOT

#: Programs, and the code of each that no other program runs.
PROGRAMS = {
    topics.POLICY: 'dfp_ros/policy_node.py', topics.EPISODES: 'dfp_ros/tools/episodes/node.py',
    topics.COUNT: 'dfp_ros/tools/evaluation', topics.PREFLIGHT: 'dfp_ros/tools/preflight',
    topics.OPERATOR: 'dfp_ros/sim/operator', topics.TELEOP: 'dfp_ros/tools/teleop',
    topics.VIEW: 'dfp_ros/tools/view', topics.LEARNER: 'training/robot'}


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """List what a file imports, as file and name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                yield node.module.replace('.', '/') + '.py', name.name


def creators(file: str, expression: str) -> set[str]:
    """Name the classes and functions of a file that create a topic or service."""
    return {
        each.name for each in ast.parse((ROOT / file).read_text()).body
        if isinstance(each, ast.ClassDef | ast.FunctionDef)
        and any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            and node.func.attr in topics.CALLS and expression in map(ast.unparse, node.args)
            for node in ast.walk(each))}


@pytest.mark.parametrize('program', PROGRAMS)
def test_what_a_program_creates_by_shared_code_is_listed_for_it(program: str) -> None:
    """A class that two programs use creates its topics in both."""
    room = ROOT / PROGRAMS[program]
    files = [room] if room.is_file() else sorted(room.glob('*.py'))
    assert files
    found = {each for path in files for each in imported(path)}
    for (file, expression), entries in topics.NAMES.items():
        if any((file, name) in found for name in creators(file, expression)):
            assert any(program in entry.node for entry in entries), (
                f'{file}: {program} creates {expression}, too; list it in documentation/topics.py')
