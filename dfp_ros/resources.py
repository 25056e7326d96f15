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
"""Resource files of the package: policies and robot descriptions, by path or by bare name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.yaml_section import read_text
from dfp_ros.core.files.missing import near_file
from dfp_ros.core.policy.trust import Trust
from dfp_ros.core.settings.trust import MODELS, parse_keys, parse_roots
from dfp_ros.core.text.errors import near_names, nearest


def load_robot(name: str) -> RobotDescription:
    """
    Load a robot description by path or bare name.

    :raises ValueError: If it cannot be found or used.
    """
    return load_robot_description(find_shared(name, 'config', '.yaml'))


def hash_robot(name: str) -> str:
    """Return the SHA-256 hash of a robot description's file, 64 hexadecimal digits."""
    return hashlib.sha256(read_text(find_shared(name, 'config', '.yaml'))).hexdigest()


def make_trust(roots: str, keys: str) -> Trust:
    """
    Collect what a policy file needs to be trusted.

    :param roots: Value of the parameter ``policy_roots``.
    :param keys: Value of the parameter ``policy_keys``.
    :raises ValueError: If one is not valid.
    """
    folders: list[Path] = []
    for word in parse_roots(roots):
        if word == MODELS:
            folders += [root / MODELS for root in _roots()]
        else:
            try:
                folders.append(Path(word).expanduser())
            except RuntimeError as error:
                raise SharedFileError(
                    f'parameter policy_roots: found {word!r}: {error}') from error
    return Trust(tuple(dict.fromkeys(folders)), parse_keys(keys))


class SharedFileError(ValueError):
    """A bare name is not that of a file of the package, or a path is invalid."""


def find_shared(name: str, folder: str, suffix: str) -> Path:
    """
    Find a resource file.

    :param name: Path of a file, or the bare name of one that comes with the package.
    :param folder: Folder of bare names in the package's share directory, for example ``models``.
    :param suffix: Suffix that a bare name may omit, for example ``.onnx``.
    :return: The path; if a path was given, it may not exist, or be a folder.
    :raises SharedFileError: If there is no file of that bare name, or the path is invalid.
    """
    try:
        return _find(name, folder, suffix)
    except (OSError, RuntimeError) as error:
        # A name that is too long, a folder without permission, the home of an unknown user.
        raise SharedFileError(
            f'found {name!r}, which cannot be the path of a file: {error}; give another path, or '
            f'the bare name of one in {folder}') from error


def _find(name: str, folder: str, suffix: str) -> Path:
    """Find a file; errors of the file system are raised."""
    path = Path(name).expanduser()
    if path.is_file() or path.name != name:
        return path
    bare = name.removesuffix(suffix)
    folders = [root / folder for root in _roots()]
    for candidate in folders:
        if (candidate / f'{bare}{suffix}').is_file():
            return candidate / f'{bare}{suffix}'
    if path.exists():
        # Whoever reads it says what is wrong with it, such as the folder of a run.
        return path
    known = sorted(
        {found.stem for candidate in folders for found in candidate.glob(f'*{suffix}')})
    near = None if near_names(bare, known, likeness=0.75) else near_file(path, (suffix,))
    hint = nearest(bare, known) if near is None else f'did you mean {str(near)!r}?'
    raise SharedFileError(
        f'found {name!r}, which is neither a file here ({Path.cwd()}) nor one of the files in '
        f'{" or ".join(map(str, folders))}; {hint}')


def _roots() -> list[Path]:
    """List the roots of resource files: installed by colcon or pip, or a checkout."""
    roots = []
    try:
        # Here, as a machine that only learns has no ROS.
        from ament_index_python import get_package_share_directory
        roots.append(Path(get_package_share_directory('dfp_ros')))
    except (ImportError, LookupError, OSError):
        # A package that is not installed is a KeyError, no environment of ROS
        # (AMENT_PREFIX_PATH) an OSError.
        pass
    # pip may install into a prefix that AMENT_PREFIX_PATH lacks, such as a virtual environment on
    # top of a sourced ROS 2: PREFIX/lib/python3.12/site-packages/dfp_ros, PREFIX/share/dfp_ros.
    checkout, *prefixes = Path(__file__).resolve().parents[1:5]
    shared = [prefix / 'share' / 'dfp_ros' for prefix in prefixes]
    return [*roots, *(root for root in shared if (root / 'package.xml').is_file()), checkout]
