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
"""Format and environment of a data file, determined without reading its contents."""

from __future__ import annotations

from pathlib import Path
import re

from training.config import NO_ENVIRONMENT
from training.data.formats.lerobot.layout import is_dataset
from training.data.formats.ogbench.scenes import SCENES
from training.data.transitions import stored


def is_ogbench(path: Path) -> bool:
    """Tell whether a file is in OGBench's format."""
    return path.is_file() and path.suffix == '.npz' and not stored.is_stored(path)


def has_own_rewards(path: Path) -> bool:
    """Tell whether the rewards are those of the data, for whatever environment."""
    return is_dataset(path) or stored.is_stored(path)


def environment_of(path: Path) -> str:
    """
    Derive the default environment of a data file from its name.

    :param path: For example ``cube-double-play-v0-val.npz``, for cube-double's default task, or
        ``cube-single-demo-task2-v0.npz``.
    :return: Empty if the name of an OGBench file does not tell; ``none`` for other formats, which
        contain their rewards.
    """
    if not is_ogbench(path):
        return NO_ENVIRONMENT
    scenes = '|'.join(sorted(SCENES, key=len, reverse=True))
    match = re.match(rf'({scenes})-(?:.*?-)?(?:(task[1-5])-)?v0', path.name)
    if match is None:
        return ''
    return '-'.join(part for part in (match[1], 'singletask', match[2], 'v0') if part)
