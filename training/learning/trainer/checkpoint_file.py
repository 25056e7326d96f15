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
Checkpoint files: atomic writing, with a hash of the contents that is verified on reading.

The contents are plain: dictionaries, lists, text, numbers and tensors. Nothing in a file is ever
executed. Every error names the path, the fault and the remedy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
import hashlib
import os
from pathlib import Path
from typing import Any
import zipfile

import numpy as np
import torch

from dfp_ros.core.text.printable import printable
from dfp_ros.core.text.say import say
from training.common.error_line import error_line
from training.common.files import atomic_path
from training.common.permission import permitted

FORMAT = 2
# Key of the hash of all other contents.
HASH = 'sha256'
# Required keys of a checkpoint, and optional ones: of an online phase, of CUDA.
PARTS: dict[str, type] = {
    'config': str, 'spec': str, 'agent': dict, 'optimiser': dict, 'torch_random': torch.Tensor,
    'batch_random': str, 'progress': dict}
OPTIONAL: dict[str, type] = {'replay': dict, 'explorer': dict, 'cuda_random': list}
# Limits of what is hashed: values, nesting, and how often the bytes of one tensor repeat. A small
# file may contain one list many times, and repeat it without end.
_MOST_VALUES, _DEEPEST, _MOST_REPEATS = 1_000_000, 50, 16
_LARGEST_STRUCTURE = 64 << 20  # bytes of pickled contents, without the tensors' numbers
REMEDY = 'restore an intact copy of it, or start another run'


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or belongs to another configuration."""


def write(path: Path, content: Mapping[str, Any]) -> None:
    """
    Write a checkpoint atomically, with the hash of its contents.

    :param content: Contents by key, see :data:`PARTS`.
    :raises OSError: If it cannot be written; an earlier checkpoint there is kept.
    """
    whole = {'format': FORMAT, **content}
    # Through a file object, because torch's own writer hides the system error.
    with atomic_path(path) as partial, partial.open('wb') as file:
        torch.save({**whole, HASH: digest(whole)}, file)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, tell: bool = False) -> dict[str, Any]:
    """
    Read and verify a checkpoint's contents; nothing in it is executed.

    :param tell: Whether to warn on standard error if a file has no hash, as those of earlier
        releases.
    :raises CheckpointError: If the file is missing, damaged, of another format, lacks a key, or
        its contents do not match their hash.
    """
    with permitted(path, CheckpointError):
        return _read(path, tell)


def _read(path: Path, tell: bool) -> dict[str, Any]:
    if not path.is_file():
        what = 'something other than a file' if path.exists() else 'no checkpoint'
        raise CheckpointError(f'{path}: found {what}; give the folder of a run')
    content = _load(path)
    if not isinstance(content, dict) or 'format' not in content:
        raise CheckpointError(
            f'{path}: found {type(content).__name__} of another program, expected a checkpoint '
            'of training.train; give the folder of a run')
    given = content['format']
    if type(given) is not int or given != FORMAT:
        text = printable(given, 20) if isinstance(given, int | float | str) else (
            type(given).__name__)
        raise CheckpointError(
            f'{path}: found a checkpoint of format {text}, this release reads '
            f'format {FORMAT}; train again, or use the release that wrote it')
    told = content.pop(HASH, None)
    # Without a hash, too: contents that repeat without end would keep every later check busy.
    found = _digest(path, content)
    if told is not None and told != found:
        raise CheckpointError(
            f'{path}: found contents that do not match their hash; {REMEDY}')
    for name, kind in PARTS.items() | OPTIONAL.items():
        if name in PARTS and name not in content:
            raise CheckpointError(f'{path}: {name}: the key is missing; {REMEDY}')
        if name in content and not isinstance(content[name], kind):
            raise CheckpointError(
                f'{path}: {name}: found {type(content[name]).__name__}, expected '
                f'{kind.__name__}; {REMEDY}')
    if told is None and tell:
        say(
            f'{error_line(path)}: has no hash of its contents, because an earlier release wrote '
            'it; only the checksums of its archive were verified', to_errors=True)
    return content


def digest(content: object) -> str:
    """
    Hash plain contents; equal for equal keys in the same order, equal values and equal types.

    :raises TypeError: If a value is not plain, or there are too many.
    """
    return _Hash().of(content)


def _load(path: Path) -> Any:
    try:
        # torch.load does not verify the checksums of the archive.
        with zipfile.ZipFile(path) as archive:
            _require_small(archive)
            damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f'the checksum of {damaged} does not match')
        return torch.load(path, map_location='cpu', weights_only=True)
    except PermissionError:
        raise
    # A damaged file may raise anything in torch's reader; the errors share no base class.
    except Exception as error:
        reason = printable(' '.join(str(error).split()), 200) or type(error).__name__
        raise CheckpointError(
            f'{path}: found a file that is damaged or not a checkpoint ({reason}); {REMEDY}'
        ) from error


def _require_small(archive: zipfile.ZipFile) -> None:
    """
    Require that reading an archive takes no more than its size suggests.

    :raises zipfile.BadZipFile: If its contents are larger than the file, or it has more members or
        structure than :data:`_MOST_VALUES` values need.
    """
    members = archive.infolist()
    if len(members) > _MOST_VALUES:
        raise zipfile.BadZipFile(f'more than {_MOST_VALUES} members')
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            raise zipfile.BadZipFile(f'{member.filename} is compressed, which torch.save does not')
        if member.filename.endswith('.pkl') and member.file_size > _LARGEST_STRUCTURE:
            raise zipfile.BadZipFile(
                f'{member.filename} has {member.file_size >> 20} MiB, expected at most '
                f'{_LARGEST_STRUCTURE >> 20}')


def _digest(path: Path, content: dict[str, Any]) -> str:
    try:
        return digest(content)
    except (TypeError, RecursionError) as error:
        raise CheckpointError(
            f'{path}: found contents that training.train does not write ({error}); {REMEDY}'
        ) from error


class _Hash:
    """Hash of plain contents, with limits on what it takes."""

    def __init__(self) -> None:
        """Start empty."""
        self._found: Any = hashlib.sha256()
        self._values = 0
        # Bytes that were hashed of each storage of tensors.
        self._bytes: Counter[int] = Counter()

    def of(self, content: object) -> str:
        """Return the hash of contents."""
        self._feed(content, 0)
        return self._found.hexdigest()

    def _feed(self, value: object, depth: int) -> None:
        """Hash a value with its type, and with its length if it is a container."""
        self._values += 1
        if self._values > _MOST_VALUES:
            raise TypeError(f'more than {_MOST_VALUES} values')
        if depth > _DEEPEST:
            raise TypeError(f'nesting deeper than {_DEEPEST}')
        if isinstance(value, torch.Tensor):
            self._feed_tensor(value)
        elif isinstance(value, dict):
            self._found.update(f'dict {len(value)}\n'.encode())
            for key, member in value.items():
                self._feed(key, depth + 1)
                self._feed(member, depth + 1)
        elif isinstance(value, list | tuple):
            self._found.update(f'list {len(value)}\n'.encode())
            for member in value:
                self._feed(member, depth + 1)
        elif value is None or type(value) in (str, int, float, bool):
            text = repr(value).encode()
            self._found.update(f'{type(value).__name__} {len(text)}\n'.encode() + text)
        else:
            raise TypeError(f'{type(value).__name__}, which is not plain')

    def _feed_tensor(self, value: torch.Tensor) -> None:
        """Hash a tensor."""
        size = value.numel() * value.element_size()
        if value.layout != torch.strided or size > value.untyped_storage().nbytes():
            raise TypeError('a tensor larger than its storage')
        storage = value.untyped_storage()
        self._bytes[storage.data_ptr()] += size
        if self._bytes[storage.data_ptr()] > _MOST_REPEATS * storage.nbytes():
            raise TypeError(f'a tensor more than {_MOST_REPEATS} times')
        array = value.detach().cpu().contiguous().reshape(-1)
        self._found.update(f'tensor {value.dtype} {tuple(value.shape)}\n'.encode())
        self._found.update(array.numpy().view(np.uint8))
