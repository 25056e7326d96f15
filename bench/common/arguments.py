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
"""Types of command-line arguments, checked before anything is measured."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
import tempfile

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.printable import quoted

# Far more than any benchmark needs, and a time that Python can still wait.
_MOST_COUNT, _MOST_AMOUNT = 10**9, 1e6


def count(text: str) -> int:
    """
    Read a number of things of which there has to be one.

    :raises ArgumentTypeError: If it is none.
    """
    return _read_whole(text, 1)


def whole(text: str) -> int:
    """
    Read a whole number that may be 0, such as a seed.

    :raises ArgumentTypeError: If it is none.
    """
    return _read_whole(text, 0)


def amount(text: str) -> float:
    """
    Read a time, a rate or a factor.

    :raises ArgumentTypeError: If it is not above 0.
    """
    value = _read_float(text)
    if not 0 < value <= _MOST_AMOUNT:
        raise argparse.ArgumentTypeError(
            f'found {quoted(text)}, expected a number above 0, at most {_MOST_AMOUNT:g}')
    return value


def share(text: str) -> float:
    """
    Read a share, which may be 0.

    :raises ArgumentTypeError: If it is not from 0 to 1.
    """
    value = _read_float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'found {quoted(text)}, expected a number from 0 to 1')
    return value


def source(text: str) -> Path:
    """
    Read the path of a file that is measured.

    :raises ArgumentTypeError: If there is no such file.
    """
    path = user_path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f'{path}: is no file, expected one that is there')
    return path


def output(text: str) -> Path:
    """
    Read the path of a file that is written at the end, when a refusal would lose the results.

    :raises ArgumentTypeError: If no file can be written there.
    """
    path = user_path(text)
    place = path.parent
    while not place.exists():
        place = place.parent
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f'{path}: is no file, expected one to write')
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f'{path}: {place} is no folder that can be written to ({error.strerror}); name '
            'another file') from error
    return path


def _read_whole(text: str, least: int) -> int:
    """Read a whole number of at least ``least``."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not least <= value <= _MOST_COUNT:
        raise argparse.ArgumentTypeError(
            f'found {quoted(text)}, expected a whole number from {least} to {_MOST_COUNT}')
    return value


def _read_float(text: str) -> float:
    """Read a number; NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
