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
"""What is released: versions, package files, the change log, and the workflows that build it."""

from __future__ import annotations

from pathlib import Path
import re
import subprocess
import sys

import pytest
import yaml

from testing import ROOT

#: What a release consists of, and what says its version there.
VERSIONS = {
    'package.xml': r'<version>(.+)</version>',
    'env/pip_packages/package.xml': r'<version>(.+)</version>',
    'setup.py': r"\n    version='(.+)',",
    'CITATION.cff': r'\nversion: (.+)',
    'pixi.toml': r'\nversion = "(.+)"',
    'docs/installing.md': r'dfp_ros-(.+)-py3-none-any\.whl',
    'CHANGELOG.rst': r'\n(\d+\.\d+\.\d+) \(\d{4}-\d{2}-\d{2}\)\n-'}
PACKAGES = ('package.xml', 'env/pip_packages/package.xml')
WORKFLOWS = sorted((ROOT / '.github' / 'workflows').glob('*.yml'))
SCRIPTS = sorted((ROOT / '.github' / 'scripts').iterdir())


def test_versions_agree() -> None:
    """The change log begins with it, so nothing can be released without a word on it."""
    said = {
        name: re.findall(pattern, (ROOT / name).read_text(encoding='utf-8'))[0]
        for name, pattern in VERSIONS.items()}
    assert set(said.values()) == {said['package.xml']}, said
    page = (ROOT / 'docs' / 'installing.md').read_text()
    assert len(set(re.findall(VERSIONS['docs/installing.md'], page))) == 1, 'one wheel'
    asked = subprocess.run([sys.executable, 'setup.py', '--version'], cwd=ROOT, text=True,
                           capture_output=True, check=True, timeout=60)
    assert asked.stdout.split()[-1] == said['package.xml']


def test_dates_agree() -> None:
    """The citation has the day of the newest version of the change log."""
    log, citation = ((ROOT / name).read_text(encoding='utf-8') for name in (
        'CHANGELOG.rst', 'CITATION.cff'))
    newest = re.search(r'\n\d+\.\d+\.\d+ \((\d{4}-\d{2}-\d{2})\)\n-', log)
    assert newest is not None
    assert re.search(r"\ndate-released: '(.+)'", citation)[1] == newest[1]  # type: ignore[index]


def test_no_extra_of_the_wheel_replaces_numpy() -> None:
    """Messages of ROS 2 Jazzy and older are built for NumPy 1; what asks for 2 is no extra."""
    extras = re.search(r'extras_require=({.*?})', (ROOT / 'setup.py').read_text(), re.DOTALL)
    assert extras is not None
    assert 'ogbench' in extras[1], 'else this test could not fail'
    assert 'rerun' not in extras[1]


def test_no_command_of_the_page_replaces_numpy() -> None:
    """On Ubuntu 22.04, pip has NumPy 2 in its place unless something forbids it; rosdep, too."""
    page = (ROOT / 'docs' / 'installing.md').read_text()
    commands = re.findall(r'^    (pip install (?:.*\\\n)*.*)$', page, re.MULTILINE)
    assert len(commands) >= 3, 'else this test could not fail'
    for command in commands:
        assert '--constraint' in command or "'numpy<2'" in command, command
    assert not re.search('rosdep install[^`]*pip_packages', page)


@pytest.mark.parametrize('name', PACKAGES)
def test_package_xml(name: str) -> None:
    """The parser of ROS takes it, without a warning."""
    package = pytest.importorskip('catkin_pkg.package')
    parsed = package.parse_package(str(ROOT / name), warnings=(warnings := []))
    parsed.validate()
    assert warnings == []
    assert parsed.package_format == 3
    assert [(person.name, person.email) for person in parsed.maintainers] == [
        ('dfp_ros issue tracker', 'noreply@github.com')]


def test_no_key_of_pip_is_in_the_way_of_a_release() -> None:
    """The build farm of ROS refuses packages that depend on one (bloom)."""
    package = pytest.importorskip('catkin_pkg.package')
    released, rest = (package.parse_package(str(ROOT / name)) for name in PACKAGES)
    assert released.get_build_type() == 'ament_python'
    depends = [each.name for each in (*released.exec_depends, *released.test_depends)]
    assert 'rclpy' in depends, 'else this test could not fail'
    assert not [name for name in depends if name.endswith('-pip')]
    assert {each.name for each in rest.exec_depends} >= {'python3-onnxruntime-pip'}
    # bloom, colcon and rosdep look no deeper than a folder with a package.xml.
    paths = pytest.importorskip('catkin_pkg.packages').find_package_paths(str(ROOT))
    assert paths == ['.']


def test_ros_messages_are_depended_on() -> None:
    """Each package of messages that the installed code imports."""
    imported = {
        name for path in (ROOT / 'dfp_ros').rglob('*.py')
        for name in re.findall(
            r'^ *from (\w+_msgs|\w+_interfaces|std_srvs)\.', path.read_text(encoding='utf-8'),
            re.MULTILINE)}
    assert 'sensor_msgs' in imported, 'else this test could not fail'
    assert imported <= set(re.findall('<exec_depend>(.+)<', (ROOT / 'package.xml').read_text()))


def test_change_log_as_ros_tools_read_it() -> None:
    """REP 132: versions as headings, each with a date and with entries."""
    changelog = pytest.importorskip('catkin_pkg.changelog')
    pytest.importorskip('docutils')
    log = changelog.get_changelog_from_path(str(ROOT / 'CHANGELOG.rst'), 'dfp_ros')
    versions = list(log.foreach_version())
    assert {version for version, _, _ in versions} >= {'0.1.0', '1.0.0'}
    for version, date, entries in versions:
        assert date is not None
        assert entries, f'{version} has no entries'
        assert log.get_content_of_version(version)


def uses(workflow: Path) -> list[str]:
    """List the actions that a workflow uses."""
    return re.findall(r'^\s*(?:- )?uses: (.+)$', workflow.read_text(), re.MULTILINE)


@pytest.mark.parametrize('workflow', WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_pinned_and_have_few_rights(workflow: Path) -> None:
    """A tag of an action can be moved, a commit cannot."""
    content = yaml.safe_load(workflow.read_text())
    assert content['permissions'] == {'contents': 'read'}
    assert 'concurrency' in content
    for used in uses(workflow):
        assert re.fullmatch(r'[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+', used), used
    for name, job in content['jobs'].items():
        assert 'timeout-minutes' in job, f'{name} may run for six hours'
        assert set(job.get('permissions', {})) <= {'contents', 'issues'}


def test_scripts_of_workflows_are_there() -> None:
    """Each runs somewhere, and each that runs can be run by hand."""
    text = '\n'.join(path.read_text() for path in (*WORKFLOWS, *SCRIPTS, ROOT / 'Makefile'))
    named = set(re.findall(r'\.github/scripts/([\w.]+)', text))
    assert named == {path.name for path in SCRIPTS}
    for path in SCRIPTS:
        assert path.stat().st_mode & 0o111, f'{path.name} cannot be run'


def test_every_distribution_has_a_container_and_a_line() -> None:
    """The page says of each that a workflow tries how far it was tried."""
    content = yaml.safe_load((ROOT / '.github' / 'workflows' / 'ros.yml').read_text())
    page = (ROOT / 'docs' / 'distributions.md').read_text()
    matrix = content['jobs']['container']['strategy']['matrix']['distribution']
    assert set(matrix) == {'humble', 'jazzy', 'kilted', 'lyrical', 'rolling'}
    for distribution in matrix:
        assert f'\n| {distribution.capitalize()} |' in page
