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

import re
import shutil
import urllib.request

import pytest

from testing import ROOT

CODE = [str(ROOT / name)
        for name in (
            'dfp_ros', 'training', 'launch', 'test', 'testing', 'bench', 'env', 'examples',
            'setup.py')
        if (ROOT / name).exists()]

pytestmark = pytest.mark.linter


def test_copyright():
    main = pytest.importorskip('ament_copyright.main')
    # setup.py and test files need the header as well; only generated folders do not count.
    assert main.main(argv=CODE) == 0, 'a file lacks the header of CONTRIBUTING.md'


def test_flake8():
    main = pytest.importorskip('ament_flake8.main')
    status, errors = main.main_with_errors(
        argv=['--config', str(ROOT / 'test' / 'ament_flake8.ini'), *CODE])
    assert status == 0, '\n'.join(errors)


def test_pep257():
    main = pytest.importorskip('ament_pep257.main')
    assert main.main(argv=CODE) == 0, 'docstrings that ament_pep257 refuses (listed above)'


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
