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
"""A policy file before any of it runs: read, hashed, and asked what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path
from typing import TypeVar

from dfp_ros.onnx_file import OnnxFileError, read_metadata, skim_metadata
from dfp_ros.spec import METADATA_KEY, PolicySpec, SpecError

REMEDY = 'export the policy again with `python -m training.export`'


class PolicyError(ValueError):
    """A policy file cannot be used, or was asked something that it cannot answer."""


class LateError(PolicyError):
    """A policy has not answered by its deadline."""


@dataclass(frozen=True)
class PolicyFile:
    """
    The bytes of a policy file, and what they say of themselves.

    :param path: Where the file was; it may change or vanish afterwards.
    :param content: The bytes.
    :param sha256: Their hash, 64 hexadecimal digits.
    :param spec: The specification in them.
    """

    path: Path
    content: bytes
    sha256: str
    spec: PolicySpec


def read_policy_file(path: str | os.PathLike[str]) -> PolicyFile:
    """
    Read a policy file and look through all of it.

    :param path: The ONNX file.
    :raises PolicyError: Where the file is missing, cut short, not ONNX, not self-contained,
        without a specification, or of another version. Each has its own message.
    """
    path = Path(path)
    content = _read(path, Path.read_bytes)
    spec = _find_spec(path, lambda: read_metadata(content))
    return PolicyFile(path, content, hashlib.sha256(content).hexdigest(), spec)


def read_spec(path: str | os.PathLike[str]) -> PolicySpec:
    """
    Read no more of a policy file than its specification, in well under a tick.

    :param path: The ONNX file.
    :raises PolicyError: As :func:`read_policy_file`, but for what only the weights would show.
    """
    path = Path(path)

    def skim() -> dict[str, str]:
        with _read(path, lambda path: path.open('rb')) as file:
            return skim_metadata(file)
    return _find_spec(path, skim)


def _find_spec(path: Path, read: Callable[[], Mapping[str, str]]) -> PolicySpec:
    """Get the specification out of the file's metadata."""
    try:
        metadata = read()
    except OnnxFileError as error:
        raise PolicyError(
            f'policy file {path}: {error}; copy it again, or {REMEDY}') from error
    if METADATA_KEY not in metadata:
        raise PolicyError(
            f'policy file {path}: found no {METADATA_KEY!r} in its metadata (keys: '
            f'{", ".join(sorted(metadata)) or "none"}), so it does not say what its numbers '
            f'mean; {REMEDY}')
    try:
        return PolicySpec.from_json(metadata[METADATA_KEY])
    except SpecError as error:
        raise PolicyError(f'policy file {path}: {error}') from error


_T = TypeVar('_T')


def _read(path: Path, read: Callable[[Path], _T]) -> _T:
    """Read a file, saying plainly why it cannot be read."""
    try:
        return read(path)
    except FileNotFoundError as error:
        raise PolicyError(
            f'policy file {path}: there is no such file (looked in {path.absolute().parent}); '
            'give the path of an exported .onnx file') from error
    except OSError as error:
        raise PolicyError(f'policy file {path}: cannot be read: {error.strerror}') from error
