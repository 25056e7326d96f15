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
Installer of the virtual environment for this project.

``python3 env/install.py``, which ``make`` calls, needs only Python's standard library. If a ROS 2
is sourced, the environment builds on it (system site packages); otherwise ROS 2 Jazzy comes from
PyPI.

Each environment is a separate folder, ``.venvs/<fingerprint>``, named after everything that
determines its content, and ``.venv`` is a link to the one in use. The link moves only when the
new environment is complete and has passed its checks: a failure at any step leaves the earlier
one unchanged, and an unchanged fingerprint means that there is nothing to do.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import ctypes.util
from dataclasses import dataclass
import fcntl
import hashlib
import os
from pathlib import Path
import platform
import shutil
import subprocess
import sys
import time

import launch_stack

ROOT = Path(__file__).resolve().parent.parent
PYTHON_VERSIONS = ((3, 11), (3, 12))
# Written last into an environment: the ROS 2 it builds on, and its own path, which its scripts
# contain too. If it is missing, the folder is left from an interrupted run; if the path differs,
# the checkout was moved or copied.
COMPLETE = 'dfp_ros_environment'
# Characters that must not be in the path of a checkout.
UNUSABLE = ' \t\n\r:;"\'`$\\&|<>()*?!#'


class InstallError(Exception):
    """A step failed; the message names the step, its output and the remedy."""


@dataclass(frozen=True)
class Recipe:
    """
    Everything that determines the content of an environment.

    :param python: Interpreter of the environment, outside any virtual environment.
    :param ros: Name of the sourced ROS distribution; empty to take ROS 2 from PyPI.
    :param requirements: Requirement files for pip.
    :param constraints: File with the version of every package.
    :param stack: Launch and command-line packages to unpack; None if ROS 2 provides them.
    :param imports: Modules that must import before the environment counts as complete.
    :param bare: Requirement files whose packages are installed without dependencies.
    :param venv_options: Options of ``python -m venv``.
    """

    python: str
    ros: str
    requirements: tuple[Path, ...]
    constraints: Path
    stack: launch_stack.Stack | None
    imports: tuple[str, ...]
    venv_options: tuple[str, ...] = ()
    bare: tuple[Path, ...] = ()

    def fingerprint(self) -> str:
        """Hash the content: on one interpreter, equal recipes have equal names."""
        digest = hashlib.sha256()
        stack_sources = launch_stack.sources() if self.stack else []
        for path in (
                Path(__file__), *self.requirements, *self.bare, self.constraints,
                *stack_sources):
            digest.update(path.name.encode() + b'\0' + path.read_bytes() + b'\0')
        rest = self.python, platform.python_version(), self.ros, self.venv_options
        digest.update(repr(rest).encode())
        return digest.hexdigest()[:12]


def say(text: str) -> None:
    """Print a line unbuffered, in order with the output of pip."""
    print(text, flush=True)


def check_machine(system: str, machine: str, version: tuple[int, int]) -> None:
    """
    Reject a machine without wheels before anything is downloaded.

    :raises InstallError: If the machine is not supported.
    """
    if system != 'Linux' or machine != 'x86_64':
        raise InstallError(
            f'this is {system} on {machine}, but the wheels of ROS 2 exist only for Linux on '
            'x86_64; use such a machine or a container')
    if version not in PYTHON_VERSIONS:
        supported = ', '.join(f'{major}.{minor}' for major, minor in PYTHON_VERSIONS)
        raise InstallError(
            f'this is Python {version[0]}.{version[1]}, but the pinned packages exist for '
            f'{supported}; choose another with, for example, `make PYTHON=python3.12`')


def check_folder(folder: Path) -> None:
    """
    Reject a checkout path with which the installed files would not work.

    colcon's setup files and the first lines of scripts do not quote paths, and search paths such
    as ``PATH`` are split at colons.

    :raises InstallError: If the path contains such characters.
    """
    found = sorted({character for character in str(folder) if character in UNUSABLE})
    if found:
        raise InstallError(
            f'this checkout is in {str(folder)!r}, a path with {", ".join(map(repr, found))}; '
            "colcon's setup files and the scripts of virtual environments do not support "
            'that; move the checkout to another path, and run make there')


def base_python() -> str:
    """
    Return the interpreter below the virtual environment, if one is active.

    An interpreter has several names, of which this is the last, so that the recipe is the same
    whether or not the environment is active in the shell.
    """
    return os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable)


def sourced_ros(environment: dict[str, str], python: str) -> str:
    """
    Return the name of the ROS 2 distribution sourced in this shell, or nothing.

    A container may set ROS_DISTRO without sourcing anything, and ``env/setup.bash`` sets it for
    ROS 2 of a virtual environment from PyPI: neither is a ROS installation.

    :raises InstallError: A ROS 2 is sourced, but not for this Python.
    """
    distribution = environment.get('ROS_DISTRO', '')
    prefixes = [Path(p) for p in environment.get('AMENT_PREFIX_PATH', '').split(':') if p]
    installed = [p for p in prefixes if not (p / 'pyvenv.cfg').exists()]
    underlay = [p for p in installed if (p / 'share' / 'rclpy').is_dir()]
    if not distribution or not underlay:
        return ''
    check = subprocess.run([python, '-c', 'import rclpy'], capture_output=True, text=True,
                           env=environment, check=False)
    if check.returncode:
        reason = (check.stderr.strip().splitlines() or ['no reason given'])[-1]
        raise InstallError(
            f'ROS 2 {distribution} is sourced ({underlay[0]}), but {python} cannot import its '
            f'rclpy: {reason}. Use the Python that this ROS was built for, for example `make '
            'PYTHON=/usr/bin/python3`, or run make in a shell where no ROS 2 is sourced')
    return distribution


def default_recipe(environment: dict[str, str]) -> Recipe:
    """Choose the recipe for this machine."""
    python = base_python()
    ros = sourced_ros(environment, python)
    requirements = [ROOT / 'env' / 'requirements.txt']
    imports = ['rclpy', 'launch_ros', 'ros2cli', 'onnxruntime', 'torch', 'ogbench', 'pytest']
    if not ros:
        requirements.append(ROOT / 'env' / 'requirements-ros.txt')
        imports += ['launch_testing_ros', 'ament_flake8.main', 'colcon_core.command']
    return Recipe(
        python=python, ros=ros, requirements=tuple(requirements),
        constraints=ROOT / 'env' / 'constraints.txt',
        stack=None if ros else launch_stack.JAZZY, imports=tuple(imports),
        bare=(ROOT / 'env' / 'requirements-bare.txt',),
        venv_options=('--system-site-packages',) if ros else ())


def run(command: Sequence[str], doing: str, remedy: str) -> None:
    """
    Run a command with visible output; repeat the end of its errors if it fails.

    :raises InstallError: If it fails; with the last lines of its error output.
    """
    # The shell's own Python path could add foreign packages to the installation.
    environment = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'PYTHONHOME')}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        lines = []
        for line in process.stderr or ():
            # With several indices, it is normal that one lacks a package.
            if not line.startswith('WARNING: Location'):
                sys.stderr.write(line)
                lines.append(line.rstrip())
    if process.returncode:
        end = '\n'.join(f'    {line}' for line in lines[-6:]) or '    (no output)'
        raise InstallError(
            f'failed while {doing} (exit status {process.returncode}):\n{end}\n  {remedy}')


NETWORK_REMEDY = (
    'pip says "no matching distribution" or "conflicting dependencies" also if it '
    'does not reach its package index: check that it does (`pip config list` and the '
    'PIP_* variables show which one it asks), then run make again.')


def build(venv: Path, recipe: Recipe) -> None:
    """
    Create an environment from scratch, and check it.

    :param venv: Folder to create; the caller removes it if a step fails.
    :raises InstallError: If a step fails; with its name and the reason.
    """
    pip = [str(venv / 'bin' / 'python'), '-m', 'pip']
    source = f'ROS 2 {recipe.ros} of this machine' if recipe.ros else 'ROS 2 Jazzy from PyPI'
    say(f'[1/4] virtual environment, with {source}')
    run([recipe.python, '-m', 'venv', *recipe.venv_options, str(venv)],
        'making the virtual environment',
        'If ensurepip is missing: install the venv module of this Python (on Debian and Ubuntu, '
        'the package python3-venv).')

    names = ' and '.join(f'env/{path.name}' for path in recipe.requirements)
    say(f'[2/4] Python packages of {names} (up to a few minutes)')
    chosen = [word for path in recipe.requirements for word in ('--requirement', str(path))]
    quiet = [] if sys.stdout.isatty() else ['--quiet']
    run([*pip, 'install', '--disable-pip-version-check', '--no-compile', *quiet, *chosen,
         '--constraint', str(recipe.constraints)],
        f'fetching and installing the Python packages of {names}', NETWORK_REMEDY)
    for path in recipe.bare:
        run([*pip, 'install', '--disable-pip-version-check', '--no-compile', *quiet, '--no-deps',
             '--requirement', str(path), '--constraint', str(recipe.constraints)],
            f'fetching and installing the Python packages of env/{path.name}', NETWORK_REMEDY)

    if recipe.stack:
        say(f'[3/4] launch and command-line packages of ROS 2, out of {recipe.stack.requirement}')
        download = venv / 'download'
        run([*pip, 'download', '--disable-pip-version-check', *quiet, '--dest', str(download),
             *recipe.stack.pip_arguments()],
            f'fetching {recipe.stack.requirement}', NETWORK_REMEDY)
        try:
            launch_stack.unpack(recipe.stack, download, venv)
        except launch_stack.StackError as error:
            raise InstallError(
                f'failed while unpacking {recipe.stack.requirement}: {error}') from error
        shutil.rmtree(download)
    else:
        say('[3/4] launch and command-line packages: those of the sourced ROS 2')

    compile_modules(venv)
    say(f'[4/4] check: import {", ".join(recipe.imports)}')
    # The check needs the shell's PYTHONPATH to find the sourced ROS.
    check = subprocess.run(
        [str(venv / 'bin' / 'python'), '-c', f'import {", ".join(recipe.imports)}'],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if check.returncode:
        raise InstallError('failed to import all modules:\n' + check.stderr)


def compile_modules(venv: Path) -> None:
    """
    Compile what was installed, on all processors, which pip would do on one.

    The tests that packages bring along are left out. A file that cannot be compiled, a template or
    one for another Python, would say so when it is imported.
    """
    subprocess.run(
        [str(venv / 'bin' / 'python'), '-m', 'compileall', '-q', '-j', '0', '-x',
         r'[/\\](tests?|testing)[/\\]',
         *(str(path) for path in venv.glob('lib/python*/site-packages'))],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a checkout, so that one installation at a time works on it."""
    folder.mkdir(exist_ok=True)
    with (folder / 'lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('waiting for another installation in this folder to finish')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_complete(venv: Path, mark: str) -> bool:
    """Tell whether an environment is complete and was not moved."""
    try:
        return (venv / COMPLETE).read_text() == mark
    except FileNotFoundError:
        return False


def install(root: Path, recipe: Recipe) -> bool:
    """
    Make ``root/.venv`` the environment of a recipe.

    :param root: Folder that holds ``.venv`` and ``.venvs``.
    :return: False if it existed already.
    :raises InstallError: If a step fails; everything is then unchanged.
    """
    link, store = root / '.venv', root / '.venvs'
    if link.exists() and not link.is_symlink():
        raise InstallError(
            f'{link} is a folder that this program did not make; move it away or delete it, then '
            'run make again')
    with locked(store):
        venv = store / recipe.fingerprint()
        previous = link.resolve() if link.is_symlink() else None
        mark = f'{recipe.ros or "pypi"}\n{venv.resolve()}\n'
        fresh = not is_complete(venv, mark)
        if fresh:
            shutil.rmtree(venv, ignore_errors=True)
            try:
                build(venv, recipe)
                (venv / COMPLETE).write_text(mark)
            finally:
                if not is_complete(venv, mark):
                    shutil.rmtree(venv, ignore_errors=True)
        if previous != venv:
            new = store / 'link'
            new.unlink(missing_ok=True)
            new.symlink_to(Path(store.name) / venv.name)
            os.replace(new, link)
        if fresh:
            # Programs still running from the replaced environment may import more modules.
            for folder in store.iterdir():
                if folder.is_dir() and folder not in (venv, previous):
                    shutil.rmtree(folder, ignore_errors=True)
    return fresh


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 only if the environment is complete."""
    argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0]).parse_args(
        arguments)
    start = time.monotonic()
    try:
        check_folder(ROOT)
        check_machine(platform.system(), platform.machine(), sys.version_info[:2])
        fresh = install(ROOT, default_recipe(dict(os.environ)))
    except InstallError as error:
        print(f'env/install.py: {error}\nNothing was left half-installed; an existing '
              'environment is unchanged.', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('env/install.py: interrupted; nothing was left half-installed.', file=sys.stderr)
        return 130
    if fresh:
        say(f'environment ready in .venv after {time.monotonic() - start:.0f} s; '
            'use it with `. env/setup.bash`')
        if not (ctypes.util.find_library('OSMesa') or ctypes.util.find_library('EGL')):
            say('note: neither libOSMesa nor libEGL is installed, so off-screen rendering does '
                'not work (on Debian and Ubuntu: the package libosmesa6)')
    return 0


if __name__ == '__main__':
    sys.exit(main())
