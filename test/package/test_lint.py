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
"""Linters of ament, if they are installed; `make lint` runs ruff and mypy."""

from __future__ import annotations

import functools
import importlib.metadata
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest

from testing import ROOT

# What a ROS workspace builds of this repository.
PACKAGE = [str(ROOT / name) for name in ('dfp_ros', 'launch', 'setup.py')]
CODE = [*PACKAGE, *(
    str(ROOT / name) for name in ('training', 'test', 'testing', 'bench', 'env', 'examples')
    if (ROOT / name).exists())]

HEADER = '"""Module."""\n'
#: What flake8 and its plugins in ROS find (pycodestyle, pyflakes, builtins, comprehensions,
#: docstrings, import order, quotes), by ruff's code.
FAULTS = (
    ('E225', 'a=1\n'), ('E231', 'a = (1,2)\n'), ('E261', 'a = 1 # one\n'), ('E265', '#one\n'),
    ('E302', 'a = 1\ndef b():\n    pass\n'), ('E303', 'a = 1\n\n\n\nb = 1\n'),
    ('E305', '\n\ndef b():\n    pass\na = 1\n'), ('E111', 'if True:\n  a = 1\n'),
    ('E201', 'a = ( 1, 2)\n'), ('E211', 'a = print (1)\n'), ('E251', 'a = dict(b = 1)\n'),
    ('E271', 'a = 1 if  True else 2\n'), ('E501', f'a = {"1" * 100}\n'),
    ('E701', 'if True: a = 1\n'), ('E711', 'a = b == None\n'),
    ('E722', 'try:\n    a = 1\nexcept:\n    pass\n'), ('E741', 'l = 1\n'), ('W291', 'a = 1 \n'),
    ('W293', 'a = 1\n \nb = 1\n'),
    ('W391', 'a = 1\n\n\n'), ('W605', "a = '\\d'\n"), ('F401', 'import os\n'),
    ('F811', 'def b():\n    pass\n\n\ndef b():\n    pass\n'), ('F841', 'def b():\n    a = 1\n'),
    ('A001', 'list = 1\n'), ('C408', 'a = dict()\n'), ('C416', 'a = [b for b in c]\n'),
    ('D400', 'def b():\n    """Do"""\n'), ('D403', 'def b():\n    """do."""\n'),
    ('I001', 'import os\nimport abc\n\nprint(os, abc)\n'), ('Q000', 'a = "b"\n'))

pytestmark = pytest.mark.linter
# The package is what ament lints in a ROS workspace. `make lint` checks everything by ruff, which
# has the same rules and takes a second instead of minutes.
linted = pytest.mark.parametrize('code', [
    pytest.param(PACKAGE, id='package'),
    pytest.param(CODE, id='everything', marks=pytest.mark.long)])


def test_copyright(monkeypatch: pytest.MonkeyPatch):
    main = pytest.importorskip('ament_copyright.main')
    # It reads the metadata of every installed package anew for each file.
    monkeypatch.setattr(
        importlib.metadata, 'entry_points', functools.cache(importlib.metadata.entry_points))
    # setup.py and test files need the header as well; only generated folders do not count.
    assert main.main(argv=CODE) == 0, 'a file lacks the header of CONTRIBUTING.md'


@linted
def test_flake8(code: list[str]):
    main = pytest.importorskip('ament_flake8.main')
    status, errors = main.main_with_errors(
        argv=['--config', str(ROOT / 'test' / 'ament_flake8.ini'), *code])
    assert status == 0, '\n'.join(errors)


def test_ruff_has_the_rules_of_flake8(tmp_path: Path):
    """One fault of each kind that flake8 and its plugins find, in a file that is no package's."""
    ruff = shutil.which('ruff', path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip('ruff is not installed')
    expected = set()
    for i, (code, text) in enumerate(FAULTS):
        (tmp_path / f'fault_{i}.py').write_text(f'{HEADER}{text}')
        expected.add((f'fault_{i}.py', code))
    done = subprocess.run(
        [ruff, 'check', '--no-cache', '--config', str(ROOT / 'pyproject.toml'), '--output-format',
         'json', str(tmp_path)], capture_output=True, text=True)
    found = {(Path(each['filename']).name, each['code']) for each in json.loads(done.stdout)}
    assert expected <= found, expected - found


@linted
def test_pep257(code: list[str]):
    main = pytest.importorskip('ament_pep257.main')
    assert main.main(argv=code) == 0, 'docstrings that ament_pep257 refuses (listed above)'


def test_xmllint():
    main = pytest.importorskip('ament_xmllint.main')
    if not shutil.which('xmllint'):
        pytest.skip('xmllint is not installed (on Debian and Ubuntu: libxml2-utils)')
    schema = re.findall(r'xml-model href="([^"]+)"', (ROOT / 'package.xml').read_text())[0]
    try:
        urllib.request.urlopen(schema, timeout=10).close()
    except OSError as error:
        pytest.skip(f'the schema of package.xml cannot be fetched: {error}')
    assert main.main(argv=[str(ROOT / 'package.xml')]) == 0
