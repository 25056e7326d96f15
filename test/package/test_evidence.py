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
"""Evidence that the declarations name, and the check of licences."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
import re
import sys
from types import ModuleType

import pytest

from testing import ROOT

LINK = re.compile(r'\]\((?!https?:)([^)#]+)')
# A file or folder of this repository; without a slash, only with a suffix that files have.
PATH = re.compile(r'`([\w.-]+(?:/[\w.-]+)+|[\w-]+\.(?:md|rst|xml|toml)|LICENSE|Makefile)/?`')
# Packages by the names that are imported, where these differ.
PACKAGES = {'onnxruntime': 'ONNX Runtime', 'yaml': 'PyYAML', 'PIL': 'Pillow'}
FROM_ROS = re.compile(r'dfp_ros|rclpy|rcl_interfaces|ament_index_python|std_srvs|\w+_msgs')


@pytest.mark.parametrize('name', ['QUALITY_DECLARATION.md', 'SECURITY.md', 'docs/security.md'])
def test_what_they_name_is_there(name: str) -> None:
    """Each file and folder."""
    page = ROOT / name
    text = page.read_text()
    named = {*(page.parent / link for link in LINK.findall(text)), *(
        ROOT / path for path in PATH.findall(text)
        if not path.startswith(('keys/', 'keystore/', 'runs/')))}
    assert len(named) > 3
    assert not [str(path) for path in named if not path.exists()]


def imported(path: Path) -> set[str]:
    """Name the packages that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition('.')[0])
        elif isinstance(node, ast.Import):
            names |= {each.name.partition('.')[0] for each in node.names}
    return names


def test_all_packages_of_a_node_are_declared() -> None:
    """QUALITY_DECLARATION.md, 5: what the policy node imports besides ROS 2."""
    package = ROOT / 'dfp_ros'
    files = [package / 'policy_node.py', *(
        path for room in ('core', 'node') for path in (package / room).rglob('*.py'))]
    foreign = {
        name for name in set[str]().union(*map(imported, files)) - sys.stdlib_module_names
        if not FROM_ROS.fullmatch(name)}
    text = (ROOT / 'QUALITY_DECLARATION.md').read_text()
    table = text.split('\nWhat a running policy node imports')[1].split('\n## ')[0]
    assert sorted(re.findall(r'^\| ([\w ]+) \|', table, re.MULTILINE)) == sorted(
        ['package', *(PACKAGES.get(name, name) for name in foreign)])


@pytest.fixture(scope='module')
def licences() -> ModuleType:
    """Import the check, which is a program beside the package, not a part of it."""
    pytest.importorskip('tomllib')
    sys.path.insert(0, str(ROOT / 'env'))
    try:
        return importlib.import_module('licences')
    finally:
        sys.path.pop(0)


def test_licences(licences: ModuleType, tmp_path: Path) -> None:
    """Where they are found, and which are allowed."""
    share = tmp_path / 'share' / 'some_package'
    share.mkdir(parents=True)
    (share / 'package.xml').write_text(
        '<package><license>Apache License 2.0</license><license> MIT </license></package>')

    def found(name: str, licence: str, text: str = '') -> str:
        package = {'Name': name, 'License': licence, 'LicenseText': text}
        return str(licences.find_licence(package, tmp_path))

    assert found('ros-some-package', 'UNKNOWN') == 'Apache License 2.0 AND MIT'
    assert found('other', 'UNKNOWN', '\n   Apache License\n  Version 2.0') == 'Apache-2.0'
    assert found('other', 'UNKNOWN', 'MIT License\n') == 'MIT'
    assert found('other', 'UNKNOWN', 'All rights reserved') == 'UNKNOWN'
    assert found('other', 'GPL', 'MIT License\n') == 'GPL'
    allowed = frozenset(('MIT', 'BSD', 'Apache-2.0 WITH LLVM-exception'))
    for text in ('MIT', 'MIT AND BSD', 'GPL OR MIT', 'MIT; BSD', '(MIT OR GPL) AND BSD',
                 'Apache-2.0 WITH LLVM-exception AND MIT'):
        assert licences.is_allowed(text, allowed), text
    for text in ('GPL', 'MIT AND GPL', 'BSD; GPL', 'UNKNOWN', '', 'Apache-2.0'):
        assert not licences.is_allowed(text, allowed), text
