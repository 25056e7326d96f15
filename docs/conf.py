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
"""
Configuration of the documentation site, which `make docs` builds with Sphinx and MyST.

Nothing is fetched: the theme has its fonts, and equations become MathML.
"""

from __future__ import annotations

from pathlib import Path
import re
import shutil
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
#: Pages from outside of this folder, copied when the site is built; git ignores the copies.
COPIES = DOCS / 'project'
COPIED = ('CODE_OF_CONDUCT.md', 'CONTRIBUTING.md', 'QUALITY_DECLARATION.md', 'SECURITY.md')

project = 'dfp_ros'
author = 'The dfp_ros authors'
copyright = '2026, the dfp_ros authors. Apache-2.0'  # noqa: A001
release = str(ElementTree.parse(ROOT / 'package.xml').findtext('version'))

extensions = ['myst_parser', 'sphinx_design', 'sphinx_copybutton', 'autoapi.extension']
root_doc = 'index'
# Sphinx takes the folder of this file for that of all pages.
exclude_patterns = ['_build']
html_math_renderer = 'mathml'

myst_enable_extensions = ['colon_fence', 'dollarmath']
myst_heading_anchors = 4
# In commands, $ is the shell's.
myst_dmath_allow_digits = False
myst_dmath_allow_space = False

autoapi_root = 'api'
autoapi_add_toctree_entry = False
autoapi_own_page_level = 'module'
autoapi_member_order = 'bysource'
autoapi_options = ['members', 'undoc-members', 'show-module-summary']
autoapi_python_class_content = 'class'
autoapi_keep_files = False
#: Public modules; everything else may change without notice.
PUBLIC = (
    'dfp_ros/policy_node', 'dfp_ros/spec', 'dfp_ros/spec_bounds',
    'dfp_ros/core/policy/interface', 'dfp_ros/core/policy/policy_file',
    'dfp_ros/core/policy/onnx_policy', 'dfp_ros/core/description/robot',
    'dfp_ros/core/observation/builder', 'dfp_ros/core/control/controller',
    'dfp_ros/core/control/decision', 'dfp_ros/core/control/decision_row',
    'dfp_ros/core/control/factory', 'dfp_ros/core/planning/planner',
    'dfp_ros/core/command/limiter', 'dfp_ros/core/safety/reasons', 'dfp_ros/core/settings/node',
    'dfp_ros/tools/bags/reader', 'training/config', 'training/presets',
    'training/data/datasets/load', 'training/data/transitions/transitions',
    'training/evaluation/evaluation', 'training/learning/agents/agent',
    'training/learning/agents/batch', 'training/learning/agents/actor',
    'training/learning/agents/dfp', 'training/learning/agents/drift',
    'training/onnx_export/policy_graph')

autoapi_dirs = ['../dfp_ros', '../training']
_MODULES = {ROOT / f'{name}.py' for name in PUBLIC}
_FOLDERS = {folder / '__init__.py' for path in _MODULES for folder in path.parents}
autoapi_ignore = ['*/__pycache__/*', *(
    str(path) for top in autoapi_dirs for path in (DOCS / top).resolve().rglob('*.py')
    if path not in _MODULES | _FOLDERS)]
# Names of other modules, which are not documented, are no links; nor is a name of several classes.
suppress_warnings = ['autoapi.python_import_resolution', 'ref.python']

html_theme = 'furo'
html_title = 'dfp_ros'
html_baseurl = ''
html_static_path = ['_static']
html_css_files = ['site.css']
html_show_sphinx = False
html_copy_source = False
html_theme_options = {'navigation_with_keys': True}
copybutton_prompt_text = r'\$ '
copybutton_prompt_is_regexp = True

# Of `make docs-links`.
linkcheck_timeout = 20
linkcheck_anchors = False


def copy_pages() -> None:
    """Copy pages of the project, with links that fit the site."""
    shutil.rmtree(COPIES, ignore_errors=True)
    (COPIES / 'models').mkdir(parents=True)
    for name in COPIED:
        text = (ROOT / name).read_text().replace('](docs/', '](../')
        for other in COPIED:
            text = text.replace(f']({other})', f']({other.lower()})')
        (COPIES / name.lower()).write_text(text)
    shutil.copy(ROOT / 'CHANGELOG.rst', COPIES / 'changelog.rst')
    for path in (ROOT / 'models').glob('*.md'):
        text = path.read_text().replace('](../docs/', '](../../')
        (COPIES / 'models' / path.name).write_text(text)
    for path in (ROOT / 'models').glob('*.png'):
        shutil.copy(path, COPIES / 'models')


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn links to pages outside of this folder to their copies; name pages by their titles."""
    source[0] = re.sub(r'\[[\w./-]+\.md\]\(', '[](', source[0])
    if '/' not in name:
        source[0] = re.sub(
            rf'\]\(\.\./(models/|CHANGELOG|{"|".join(name[:-3] for name in COPIED)})',
            lambda link: f'](project/{link[1].lower()}', source[0])


def is_private(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool:
    """Tell whether a member of a module stays out of the API reference."""
    return skip or name.rpartition('.')[2].startswith('_')


def write_equation(writer: Any, node: nodes.Element) -> None:
    """Write an equation as MathML, which browsers show without a script."""
    as_block = isinstance(node, nodes.math_block)
    found = tex2mathml(node.astext(), as_block=as_block)
    writer.body.append(f'<div class="math">{found}</div>' if as_block else found)
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Connect the above."""
    copy_pages()
    app.connect('source-read', read)
    app.connect('autoapi-skip-member', is_private)
    app.add_html_math_renderer(
        'mathml', (write_equation, None), (write_equation, None))  # type: ignore[arg-type]
