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
"""Software versions that a result was made with."""

from __future__ import annotations

from importlib import metadata
import os
from pathlib import Path
import platform
import subprocess

_PACKAGES = ('numpy', 'onnxruntime')


def software() -> dict[str, str]:
    """Return versions, the ROS distribution and the commit of the checkout, if there is one."""
    found = {
        'python': platform.python_version(), 'machine': platform.machine(),
        'ros_distro': os.environ.get('ROS_DISTRO', 'unknown'), 'dfp_ros_commit': _commit()}
    for package in ('dfp_ros', *_PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = 'unknown'
    return found


def _commit() -> str:
    """Return the checkout's commit, with ``+`` if files differ; unknown outside a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / '.git').exists():
        return 'unknown'
    try:
        head, changed = (
            subprocess.run(
                ['git', '-C', str(root), *words], check=True, capture_output=True, text=True,
                timeout=10).stdout.strip()
            for words in (('rev-parse', 'HEAD'), ('status', '--porcelain', '-uno')))
    except (OSError, subprocess.SubprocessError):
        return 'unknown'
    return head + ('+' if changed else '')
