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
"""Installer of the environment, with local package indexes and a small requirement."""

from __future__ import annotations

import base64
from dataclasses import replace
import hashlib
import importlib
from pathlib import Path
import shutil
import socket
import subprocess
import sys
from types import ModuleType
import venv
import zipfile

import pytest

from testing import ROOT

FOLDER = 'deep/inside/'


@pytest.fixture(scope='module')
def modules() -> tuple[ModuleType, ModuleType]:
    """Import the installer, which is a program beside the package, not a part of it."""
    sys.path.insert(0, str(ROOT / 'env'))
    try:
        return importlib.import_module('install'), importlib.import_module('launch_stack')
    finally:
        sys.path.pop(0)


def write_wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    """Write a wheel that pip takes."""
    folder.mkdir(exist_ok=True)
    files = {
        **files,
        f'{name}-1.0.dist-info/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n',
        f'{name}-1.0.dist-info/WHEEL':
            'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    }
    rows = []
    path = folder / f'{name}-1.0-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as wheel:
        for inner, text in files.items():
            wheel.writestr(inner, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            rows.append(f'{inner},sha256={digest.decode().rstrip("=")},{len(text)}')
        rows.append(f'{name}-1.0.dist-info/RECORD,,')
        wheel.writestr(f'{name}-1.0.dist-info/RECORD', '\n'.join(rows) + '\n')
    return path


@pytest.fixture
def site(tmp_path, modules, monkeypatch):
    """Make a checkout with a recipe of one tiny requirement and a tiny launch stack."""
    install, launch_stack = modules
    index = tmp_path / 'index'
    write_wheel(index, 'tiny_requirement', {'tiny_requirement.py': 'VALUE = 1\n'})
    wheel = write_wheel(index, 'tiny_stack', {
        FOLDER + 'wanted/__init__.py': 'def main():\n    print("hello from wanted")\n',
        FOLDER + 'wanted/compiled.so': 'for one Python alone',
        FOLDER + 'wanted-1.2-py3.12.egg-info/PKG-INFO': 'Name: wanted\nVersion: 1.2\n',
        FOLDER + 'wanted-1.2-py3.12.egg-info/entry_points.txt':
            '[console_scripts]\nsay_hello = wanted:main\n',
        FOLDER + 'unwanted/__init__.py': '',
        'unwanted_too/__init__.py': ''})
    root = tmp_path / 'checkout'
    root.mkdir()
    (root / 'requirements.txt').write_text('tiny_requirement\n')
    (root / 'constraints.txt').write_text('tiny_requirement==1.0\n')
    for name in ('PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL', 'PIP_CONSTRAINT'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PIP_CONFIG_FILE', '/dev/null')
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(index))
    recipe = install.Recipe(
        python=install.base_python(), ros='', requirements=(root / 'requirements.txt',),
        constraints=root / 'constraints.txt',
        stack=launch_stack.Stack('tiny_stack==1.0', hashlib.sha256(wheel.read_bytes()).hexdigest(),
                                 FOLDER, ('wanted',)),
        imports=('tiny_requirement', 'wanted'), venv_options=quick_options(install.base_python()))
    return root, recipe


def quick_options(python: str) -> tuple[str, ...]:
    """Reuse the interpreter's pip, if it has one, to make environments faster."""
    lends = subprocess.run([python, '-m', 'pip', '--version'], capture_output=True, check=False)
    return () if lends.returncode else ('--system-site-packages', '--without-pip')


def environments(root: Path) -> list[str]:
    """List the environments that an installation left in the store."""
    return sorted(p.name for p in (root / '.venvs').iterdir() if p.name != 'lock')


def test_installs_once_and_only_requested_packages(modules, site):
    install, _ = modules
    root, recipe = site
    assert install.install(root, recipe) is True
    packages = next((root / '.venv' / 'lib').glob('python3.*')) / 'site-packages'
    assert (packages / 'wanted' / '__init__.py').exists()
    assert not (packages / 'wanted' / 'compiled.so').exists()
    assert not list(packages.glob('unwanted*'))
    assert not (root / '.venv' / 'download').exists()
    said = subprocess.run([root / '.venv' / 'bin' / 'say_hello'], capture_output=True, text=True,
                          check=True)
    assert said.stdout == 'hello from wanted\n'

    before = (root / '.venv' / 'pyvenv.cfg').stat().st_mtime_ns
    assert install.install(root, recipe) is False
    assert (root / '.venv' / 'pyvenv.cfg').stat().st_mtime_ns == before


def test_a_changed_requirement_replaces_the_environment(modules, site):
    install, _ = modules
    root, recipe = site
    recipe = replace(recipe, stack=None, imports=('tiny_requirement',))
    assert install.install(root, recipe) is True
    first = (root / '.venv').resolve()
    (root / 'requirements.txt').write_text('tiny_requirement>=1\n')
    assert install.install(root, recipe) is True
    assert (root / '.venv').resolve() != first
    assert first.exists(), 'programs may still run in the environment that was replaced'


def test_a_moved_checkout_gets_a_new_environment(modules, site):
    install, _ = modules
    root, recipe = site
    install.install(root, recipe)
    # The requirements stay where they were: their content decides, not their place.
    for name in ('requirements.txt', 'constraints.txt'):
        (root / name).rename(root.parent / name)
    recipe = replace(recipe, requirements=(root.parent / 'requirements.txt',),
                     constraints=root.parent / 'constraints.txt')
    moved = root.rename(root.parent / 'moved')
    say_hello = moved / '.venv' / 'bin' / 'say_hello'
    with pytest.raises(FileNotFoundError):
        subprocess.run([say_hello], check=True)
    (moved / 'env').mkdir()
    shutil.copy(ROOT / 'env' / 'setup.bash', moved / 'env')
    refused = subprocess.run(['bash', '-c', '. env/setup.bash'], cwd=moved, capture_output=True,
                             text=True, check=False)
    assert refused.returncode == 1
    assert 'moved or copied since; run make there' in refused.stderr

    assert install.install(moved, recipe) is True
    said = subprocess.run([say_hello], capture_output=True, text=True, check=True)
    assert said.stdout == 'hello from wanted\n'
    assert install.install(moved, recipe) is False


def test_a_closed_index_leaves_nothing(modules, site, monkeypatch):
    install, _ = modules
    root, recipe = site
    with socket.socket() as closed:
        # Bound and not listening: a connection is refused, and nobody else takes the port.
        closed.bind(('127.0.0.1', 0))
        monkeypatch.delenv('PIP_NO_INDEX')
        monkeypatch.delenv('PIP_FIND_LINKS')
        monkeypatch.setenv('PIP_RETRIES', '0')
        monkeypatch.setenv('PIP_INDEX_URL', f'http://127.0.0.1:{closed.getsockname()[1]}/simple')
        with pytest.raises(install.InstallError) as error:
            install.install(root, recipe)
    message = str(error.value)
    assert 'fetching and installing the Python packages of env/requirements.txt' in message
    assert 'tiny_requirement' in message, 'it says which package was being fetched'
    assert 'does not reach its package index' in message
    assert environments(root) == []
    assert not (root / '.venv').is_symlink()


def test_a_failed_update_keeps_the_environment_that_works(modules, site):
    install, _ = modules
    root, recipe = site
    recipe = replace(recipe, stack=None, imports=('tiny_requirement',))
    install.install(root, recipe)
    first, kept = (root / '.venv').resolve(), environments(root)
    (root / 'requirements.txt').write_text('tiny_requirement\nno_such_package_anywhere\n')
    with pytest.raises(install.InstallError, match='no_such_package_anywhere'):
        install.install(root, recipe)
    assert (root / '.venv').resolve() == first
    assert environments(root) == kept
    subprocess.run([root / '.venv' / 'bin' / 'python', '-c', 'import tiny_requirement'],
                   check=True)


def test_a_failed_import_is_a_failed_installation(modules, site):
    install, _ = modules
    root, recipe = site
    recipe = replace(recipe, stack=None, imports=('tiny_requirement', 'not_there'))
    with pytest.raises(install.InstallError, match="No module named 'not_there'"):
        install.install(root, recipe)
    assert environments(root) == []


def test_an_interrupted_installation_is_made_anew(modules, site):
    install, _ = modules
    root, recipe = site
    recipe = replace(recipe, stack=None, imports=('tiny_requirement',))
    remains = root / '.venvs' / recipe.fingerprint()
    remains.mkdir(parents=True)
    (remains / 'half').write_text('of an environment')
    assert install.install(root, recipe) is True
    assert not (remains / 'half').exists()


@pytest.mark.parametrize(('change', 'message'), [
    ({'sha256': '0' * 64}, 'expected ' + '0' * 64),
    ({'packages': ('wanted', 'absent')}, 'the wheel has no absent under deep/inside/'),
    ({'requirement': 'tiny_stack==2.0'}, 'failed while fetching tiny_stack==2.0'),
])
def test_another_wheel_than_expected_leaves_nothing(modules, site, change, message):
    install, _ = modules
    root, recipe = site
    recipe = replace(recipe, stack=replace(recipe.stack, **change))
    with pytest.raises(install.InstallError, match=message):
        install.install(root, recipe)
    assert environments(root) == []


def test_an_active_environment_changes_nothing(modules, tmp_path):
    install, _ = modules
    venv.create(tmp_path / 'active', with_pip=False, symlinks=True)
    program = (f'import sys; sys.path.insert(0, {str(ROOT / "env")!r}); import install; '
               'print(install.base_python())')
    for python in (tmp_path / 'active' / 'bin' / 'python', install.base_python()):
        said = subprocess.run([python, '-c', program], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == install.base_python()


def test_a_folder_of_someone_else_is_left_alone(modules, site):
    install, _ = modules
    root, recipe = site
    (root / '.venv').mkdir()
    with pytest.raises(install.InstallError, match='a folder that this program did not make'):
        install.install(root, recipe)


@pytest.mark.parametrize(('system', 'machine', 'version', 'message'), [
    ('Darwin', 'x86_64', (3, 11), 'this is Darwin'),
    ('Linux', 'aarch64', (3, 11), 'on aarch64'),
    ('Linux', 'x86_64', (3, 9), 'this is Python 3.9'),
])
def test_an_unsupported_machine_is_refused(modules, system, machine, version, message):
    install, _ = modules
    install.check_machine('Linux', 'x86_64', (3, 11))
    with pytest.raises(install.InstallError, match=message):
        install.check_machine(system, machine, version)


@pytest.mark.parametrize('name', ['my robots', 'a:b', "it's", '$HOME', 'tab\there', 'a#b'])
def test_a_path_in_which_nothing_would_run_is_refused(modules, tmp_path, name):
    install, _ = modules
    install.check_folder(tmp_path / 'roboter-größe_1.0+x@y,z=~')
    with pytest.raises(install.InstallError, match='move the checkout'):
        install.check_folder(tmp_path / name / 'dfp_ros')


def make_ros(prefix: Path, rclpy: str) -> dict[str, str]:
    """Write a setup file like that of a ROS installation."""
    (prefix / 'share' / 'rclpy').mkdir(parents=True)
    (prefix / 'rclpy.py').write_text(rclpy)
    return {'ROS_DISTRO': 'jazzy', 'AMENT_PREFIX_PATH': str(prefix), 'PYTHONPATH': str(prefix)}


def test_a_sourced_ros_is_used(modules, tmp_path):
    install, _ = modules
    python = install.base_python()
    assert install.sourced_ros(make_ros(tmp_path, ''), python) == 'jazzy'
    assert install.sourced_ros({'ROS_DISTRO': 'jazzy'}, python) == '', 'set, but not sourced'
    (tmp_path / 'pyvenv.cfg').touch()
    environment = {'ROS_DISTRO': 'jazzy', 'AMENT_PREFIX_PATH': str(tmp_path)}
    assert install.sourced_ros(environment, python) == '', 'the ROS of a virtual environment'


def test_a_sourced_ros_for_another_python_is_refused(modules, tmp_path):
    install, _ = modules
    environment = make_ros(tmp_path, 'raise ImportError("built for another Python")')
    with pytest.raises(install.InstallError, match='built for another Python.*PYTHON='):
        install.sourced_ros(environment, install.base_python())


@pytest.mark.parametrize('shell', ['bash', 'zsh'])
def test_the_setup_file_prepares_a_shell(shell):
    if not shutil.which(shell):
        pytest.skip(f'{shell} is not installed')
    script = (f'. "{ROOT}/env/setup.bash"; . "{ROOT}/env/setup.bash"; which ros2; '
              'echo "$ROS_DISTRO"; tr : "\\n" <<< "$AMENT_PREFIX_PATH" | sort | uniq -d')
    done = subprocess.run([shell, '-fc' if shell == 'zsh' else '-c', script], cwd='/', check=True,
                          env={'PATH': '/usr/bin:/bin'}, capture_output=True, text=True)
    ros2, distribution, *twice = done.stdout.split()
    assert Path(ros2).is_relative_to(ROOT)
    assert distribution
    assert twice == []
    assert done.stderr == ''


@pytest.mark.parametrize('shell', ['bash', 'zsh'])
def test_the_setup_file_leaves_another_checkout(shell, tmp_path):
    """A build would write it into its setup files; what is not a checkout stays."""
    if not shutil.which(shell):
        pytest.skip(f'{shell} is not installed')
    other, workspace = tmp_path / 'other', tmp_path / 'workspace'
    for folder in (other / 'env', workspace):
        folder.mkdir(parents=True)
    (other / 'env' / 'setup.bash').touch()
    names = ('AMENT_PREFIX_PATH', 'COLCON_PREFIX_PATH', 'PYTHONPATH', 'PATH')
    values = (
        f'{other}/.colcon/install/dfp_ros:{other}/.venv:{workspace}/install/arm',
        f'{other}/.colcon/install:{workspace}/install',
        f'{other}/.colcon/build/dfp_ros:{workspace}/install/arm/lib',
        f'{other}/.venvs/1/bin:/usr/bin:/bin')
    script = f'. "{ROOT}/env/setup.bash"; echo "$' + ':$'.join(names) + '"'
    done = subprocess.run(
        [shell, '-fc' if shell == 'zsh' else '-c', script], cwd='/', check=True,
        env=dict(zip(names, values, strict=True)), capture_output=True, text=True)
    found = done.stdout.strip().split(':')
    assert not [one for one in found if one.startswith(str(other))]
    for one in ('install/arm', 'install', 'install/arm/lib'):
        assert f'{workspace}/{one}' in found
    assert done.stderr == ''


@pytest.mark.parametrize(('disable', 'expected'), [('', '(dfp_ros) $ '), ('1', '$ ')])
def test_the_prompt_names_the_project(disable, expected):
    script = (f'PS1="$ "; . "{ROOT}/env/setup.bash"; . "{ROOT}/env/setup.bash"; echo "[$PS1]"; '
              'deactivate; echo "[$PS1]"')
    done = subprocess.run(
        ['bash', '-c', script], check=True, capture_output=True, text=True,
        env={'PATH': '/usr/bin:/bin', 'VIRTUAL_ENV_DISABLE_PROMPT': disable})
    assert done.stdout == f'[{expected}]\n[$ ]\n'


def test_the_setup_file_without_an_environment_says_what_to_do(tmp_path):
    (tmp_path / 'env').mkdir()
    shutil.copy(ROOT / 'env' / 'setup.bash', tmp_path / 'env')
    done = subprocess.run(['bash', '-c', '. env/setup.bash'], cwd=tmp_path, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    assert 'run make there' in done.stderr
