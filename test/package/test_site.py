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
"""Site of the documentation, as far as it can be checked without Sphinx; `make docs` builds it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
import re

import pytest

from documentation.links import find_broken
from testing import ROOT

DOCS = ROOT / 'docs'
KINDS = ('tutorials', 'how-to', 'reference', 'explanation')
#: Pages that `make docs` copies from elsewhere, by their names on the site.
COPIED = {
    **{f'project/models/{path.stem}': f'../models/{path.name}'
       for path in ROOT.glob('models/*.md')},
    'project/contributing': '../CONTRIBUTING.md', 'project/security': '../SECURITY.md',
    'project/code_of_conduct': '../CODE_OF_CONDUCT.md',
    'project/quality_declaration': '../QUALITY_DECLARATION.md',
    'project/changelog': '../CHANGELOG.rst'}


def toctree(page: str) -> list[str]:
    """List the entries of the toctrees of a page."""
    blocks = re.findall(
        r'^```\{toctree\}\n(.*?)^```', (DOCS / f'{page}.md').read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.split('\n') if line and line[0] != ':']


def below(page: str) -> list[str]:
    """List all pages below a page."""
    found = []
    for name in toctree(page):
        found += [name, *(below(name) if (DOCS / f'{name}.md').is_file() else [])]
    return found


def test_every_page_is_of_one_kind() -> None:
    """Each page is in the toctree of one kind, and no toctree names what is not there."""
    assert toctree('index') == list(KINDS)
    listed = [name for kind in KINDS for name in below(kind) if not name.startswith('api/')]
    pages = {
        path.relative_to(DOCS).with_suffix('').as_posix()
        for path in (*DOCS.glob('*.md'), *DOCS.glob('reference/*.md'))}
    assert sorted(listed) == sorted(pages - {'index', *KINDS} | COPIED.keys()), (
        'list each page of docs in the toctree of tutorials.md, how-to.md, reference.md or '
        'explanation.md, or of a page below them')


@pytest.mark.parametrize('kind', [*KINDS, 'model-cards'])
def test_every_page_of_a_kind_is_introduced(kind: str) -> None:
    """The page of a kind says what each page below it is for."""
    text = (DOCS / f'{kind}.md').read_text()
    for name in toctree(kind):
        target = COPIED.get(name, f'{name}.md')
        assert f']({target})' in text, name


def test_the_reference_is_that_of_the_code() -> None:
    """Parameters, topics, arguments, keys, metadata, commands, settings and pictures."""
    for needed in ('rclpy', 'launch_ros', 'torch', 'tyro'):
        pytest.importorskip(needed)
    from documentation.__main__ import FOLDER, PAGES, stale
    assert stale() == [], 'run `python -m documentation`, and commit what it writes'
    written = {path.relative_to(FOLDER).as_posix() for path in FOLDER.glob('reference/*')}
    assert written <= PAGES.keys()


@cache
def strings() -> str:
    """Join all texts of the code, with an ellipsis where a value is put in."""
    found = []
    for path in sorted((ROOT / 'dfp_ros').rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append(''.join(
                    str(part.value) if isinstance(part, ast.Constant) else '…'
                    for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return '\n'.join(found)


def log_lines() -> list[str]:
    """List the lines of the log that the page about troubles explains."""
    table = (DOCS / 'troubleshooting.md').read_text().split('## By line of the log')[1]
    cells = re.findall(r'^\| (`.*?`) \|', table, re.MULTILINE)
    return [line for cell in cells for line in re.findall(r'`([^`]+)`', cell)]


def test_explained_lines_are_logged() -> None:
    """Each line of the log that is explained is one that the code can write."""
    lines = log_lines()
    assert len(lines) > 30
    for line in lines:
        # Units and punctuation beside a value may belong to the text around it.
        parts = (each.strip(' ,;:()') for each in re.split('…(?: m?s)?', line))
        for part in filter(None, parts):
            assert part in strings(), f'{line}: no text of dfp_ros has {part!r}'


def test_the_adopted_policy_fits_its_robot(tmp_path: Path) -> None:
    """docs/adopt-a-policy.md: the files of its commands make a policy for its description."""
    pytest.importorskip('onnx')
    from dfp_ros.core.description.robot import load_robot_description, require_fit
    from dfp_ros.core.policy.policy_file import read_policy_file
    from dfp_ros.tools.adopt.main import main as adopt
    page = (DOCS / 'adopt-a-policy.md').read_text()
    command = re.search(r'^    ros2 run dfp_ros adopt (\S+) (\S+) --out legs.onnx$', page, re.M)
    assert command is not None
    files = [str(ROOT / name) for name in command.groups()]
    assert adopt([*files, '--out', str(tmp_path / 'legs.onnx')]) == 0
    robot = load_robot_description(ROOT / 'examples' / 'own_legs' / 'legs.yaml')
    require_fit(read_policy_file(tmp_path / 'legs.onnx').spec, robot)
    block = re.search(r'```yaml\n(.*?)```', page, re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        assert line.strip() in (
            '- last_action: actions', *_terms(Path(files[1]).read_text())), line


def _terms(meaning: str) -> list[str]:
    """Write the terms of a meaning on one line each."""
    import yaml
    return [
        '- {' + ', '.join(
            f"{key}: '1'" if value == '1' else f'{key}: {value}' for key, value in term.items())
        + '}' for term in yaml.safe_load(meaning)['inputs']['obs']['terms']]


def test_environment_of_the_site_is_pinned() -> None:
    """Each of its packages has a version."""
    lines = (ROOT / 'env' / 'requirements-docs.txt').read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith('#')]
    assert len(packages) > 20
    assert all(re.fullmatch(r'[\w.-]+==[\w.]+', line) for line in packages)


def test_broken_links_of_a_site_are_found(tmp_path: Path) -> None:
    """Missing files and anchors, and what is loaded from elsewhere."""
    (tmp_path / 'index.html').write_text(
        '<a href="other.html#here">1</a><a href="other.html#there">2</a><a href="gone.html">3</a>'
        '<a href="https://example.org">4</a><script src="https://example.org/a.js"></script>'
        '<img src="picture.png">')
    (tmp_path / 'other.html').write_text('<h1 id="here">Title</h1><a href="#here">up</a>')
    found = [line.partition(': ')[2] for line in find_broken(tmp_path)]
    assert found == [
        'other.html#there: the page has no such anchor', 'gone.html: there is no such file',
        'https://example.org/a.js is loaded from another server',
        'picture.png: there is no such file']
