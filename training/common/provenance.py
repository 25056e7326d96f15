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
"""Provenance: the checkout's commit and the versions of packages."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
import platform
import subprocess
import sys

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    'torch', 'numpy', 'onnx', 'onnxruntime', 'ogbench', 'robosuite', 'mujoco', 'gymnasium')


def commit() -> str:
    """
    Commit of the checkout, with ``+`` appended if tracked files differ from it.

    :return: ``unknown`` outside a git checkout.
    """
    try:
        head = _git('rev-parse', 'HEAD')
        return head + ('+' if _git('status', '--porcelain', '--untracked-files=no') else '')
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect results."""
    found = {'python': sys.version.split()[0], 'machine': platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = 'not installed'
    return found


def _git(*arguments: str) -> str:
    return subprocess.run(
        ['git', '-C', str(ROOT), *arguments], check=True, capture_output=True,
        text=True).stdout.strip()
