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
Build of ``control_msgs`` and ``tf2_msgs`` for tests, from the definitions in this folder.

PyPI has neither. The wheels of ROS 2 have the generators, and those of
``env/requirements-messages.txt`` have ament_cmake; both are put together in a folder by links,
with the paths of this machine. The definitions have the fields of Jazzy's, of the interfaces that
the node uses.

``python -m testing.messages.packages`` builds them, and prints the environment of processes that
use them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import sysconfig

import numpy as np

from testing import ROOT

HERE = Path(__file__).parent
NAMES = ('control_msgs', 'tf2_msgs')
_REQUIREMENTS = ROOT / 'env' / 'requirements-messages.txt'
# Paths of the machine that built the wheels, in their CMake files.
_THEIRS = re.compile(r'/opt/python/[^;"> ]*?/(numpy/_core/include|include/python3[.0-9]*)')


class BuildError(RuntimeError):
    """The packages cannot be built here."""


def message_packages() -> dict[str, str]:
    """
    Build the packages, unless that was done before, or they are installed.

    :return: Environment variables of processes that use them.
    :raises BuildError: If something is missing, or the build fails.
    """
    try:
        import control_msgs.action  # noqa: F401
        import tf2_msgs.msg  # noqa: F401
    except ImportError:
        pass
    else:
        return {}
    prefix = Path(sys.prefix).resolve()
    if not (prefix / 'share' / 'rosidl_cmake').is_dir():
        raise BuildError(f'{prefix} has no generators of messages')
    for tool in ('cmake', 'cc', 'c++'):
        if shutil.which(tool) is None:
            raise BuildError(f'{tool} is not installed')
    files = sorted(path for name in NAMES for path in (HERE / name).rglob('*') if path.is_file())
    digest = hashlib.sha256(f'{prefix}'.encode())
    for path in (*files, _REQUIREMENTS, Path(__file__)):
        digest.update(path.read_bytes())
    folder = ROOT / 'build' / 'messages' / digest.hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / 'complete').exists():
            _build(prefix, folder)
            (folder / 'complete').touch()
    return _environment(folder)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment variables."""
    install = folder / 'install'
    library = install / _site_packages()
    first = {
        'AMENT_PREFIX_PATH': str(install), 'PYTHONPATH': str(library),
        'LD_LIBRARY_PATH': f'{install / "lib"}:{Path(sys.prefix).resolve() / "lib"}'}
    return {
        name: ':'.join(filter(None, (text, os.environ.get(name, '')))) for name, text in
        first.items()}


def _site_packages() -> Path:
    """Return the folder of packages, below that of an installation."""
    return Path('lib') / f'python{sysconfig.get_python_version()}' / 'site-packages'


def _build(prefix: Path, folder: Path) -> None:
    """Build and install the packages."""
    tree = folder / 'tree'
    shutil.rmtree(tree, ignore_errors=True)
    _run(sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', str(tree),
         '--requirement', str(_REQUIREMENTS))
    for part in ('share', 'include'):
        _link(prefix / part, tree / part)
    (tree / 'lib').mkdir(exist_ok=True)
    for path in (prefix / 'lib').iterdir():
        if not (tree / 'lib' / path.name).exists() and not path.name.startswith('python'):
            (tree / 'lib' / path.name).symlink_to(path)
    (tree / _site_packages()).parent.mkdir(parents=True)
    (tree / _site_packages()).symlink_to(prefix / _site_packages())
    ours = {'numpy': np.get_include(), 'include': sysconfig.get_paths()['include']}
    for path in (tree / 'share').rglob('*.cmake'):
        text = path.read_text(errors='replace')
        if _THEIRS.search(text):
            path.unlink()
            path.write_text(_THEIRS.sub(lambda found: ours[found[1].split('/')[0]], text))
    variables = {
        **os.environ, 'AMENT_PREFIX_PATH': str(tree), 'CMAKE_PREFIX_PATH': str(tree),
        'PYTHONPATH': f'{tree}:{os.environ.get("PYTHONPATH", "")}',
        'LD_LIBRARY_PATH': str(tree / 'lib')}
    generator = ('-G', 'Ninja') if shutil.which('ninja') else ()
    for name in NAMES:
        _run('cmake', '-S', str(HERE / name), '-B', str(folder / name), *generator,
             f'-DCMAKE_INSTALL_PREFIX={folder / "install"}', '-DBUILD_TESTING=OFF',
             f'-DPython3_EXECUTABLE={sys.executable}', environment=variables)
        _run('cmake', '--build', str(folder / name), '--parallel', '2', '--target', 'install',
             environment=variables)


def _link(source: Path, target: Path) -> None:
    """Link all files of a folder into another, which keeps its own."""
    for path in source.rglob('*'):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.symlink_to(path)


def _run(*words: str, environment: dict[str, str] | None = None) -> None:
    """Run a command; its output is for the error."""
    ended = subprocess.run(words, capture_output=True, text=True, env=environment)
    if ended.returncode:
        raise BuildError(f'{" ".join(words)}: {(ended.stdout + ended.stderr)[-3000:]}')


if __name__ == '__main__':
    print('\n'.join(f'export {name}={text}' for name, text in message_packages().items()))
