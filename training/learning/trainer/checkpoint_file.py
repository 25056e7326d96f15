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

from collections.abc import Mapping
import hashlib
import os
from pathlib import Path
import sys
from typing import Any
import zipfile

import numpy as np
import torch

from training.files import atomic_path

FORMAT = 2
# Key of the hash of all other contents.
HASH = 'sha256'
# Required keys of a checkpoint, and optional ones: of an online phase, of CUDA.
PARTS: dict[str, type] = {
    'config': str, 'spec': str, 'agent': dict, 'optimiser': dict, 'torch_random': torch.Tensor,
    'batch_random': str, 'progress': dict}
OPTIONAL: dict[str, type] = {'replay': dict, 'explorer': dict, 'cuda_random': list}
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
    if not path.is_file():
        what = 'something other than a file' if path.exists() else 'no checkpoint'
        raise CheckpointError(f'{path}: found {what}; give the folder of a run')
    content = _load(path)
    if not isinstance(content, dict) or 'format' not in content:
        raise CheckpointError(
            f'{path}: found {type(content).__name__} of another program, expected a checkpoint '
            'of training.train; give the folder of a run')
    if content['format'] != FORMAT:
        raise CheckpointError(
            f'{path}: found a checkpoint of format {str(content["format"])[:20]}, this release '
            f'reads format {FORMAT}; train again, or use the release that wrote it')
    told = content.pop(HASH, None)
    if told is not None and told != _digest(path, content):
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
        print(
            f'{path}: has no hash of its contents, because an earlier release wrote it; only '
            'the checksums of its archive were verified', file=sys.stderr)
    return content


def digest(content: object) -> str:
    """
    Hash plain contents; equal for equal keys in the same order, equal values and equal types.

    :raises TypeError: If a value is not plain.
    """
    found = hashlib.sha256()
    _feed(found, content)
    return found.hexdigest()


def _load(path: Path) -> Any:
    try:
        # torch.load does not verify the checksums of the archive.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f'the checksum of {damaged} does not match')
        return torch.load(path, map_location='cpu', weights_only=True)
    # A damaged file may raise anything in torch's reader; the errors share no base class.
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise CheckpointError(
            f'{path}: found a file that is damaged or not a checkpoint ({reason[:200]}); {REMEDY}'
        ) from error


def _digest(path: Path, content: dict[str, Any]) -> str:
    try:
        return digest(content)
    except (TypeError, RecursionError) as error:
        raise CheckpointError(
            f'{path}: found contents that training.train does not write ({error}); {REMEDY}'
        ) from error


def _feed(found: Any, value: object) -> None:
    """Hash a value with its type, and with its length if it is a container."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.numel() * value.element_size() > (
                value.untyped_storage().nbytes()):
            raise TypeError('a tensor larger than its storage')
        array = value.detach().cpu().contiguous().reshape(-1)
        found.update(f'tensor {value.dtype} {tuple(value.shape)}\n'.encode())
        found.update(array.numpy().view(np.uint8))
    elif isinstance(value, dict):
        found.update(f'dict {len(value)}\n'.encode())
        for key, member in value.items():
            _feed(found, key)
            _feed(found, member)
    elif isinstance(value, list | tuple):
        found.update(f'list {len(value)}\n'.encode())
        for member in value:
            _feed(found, member)
    elif value is None or type(value) in (str, int, float, bool):
        text = repr(value).encode()
        found.update(f'{type(value).__name__} {len(text)}\n'.encode() + text)
    else:
        raise TypeError(f'{type(value).__name__}, which is not plain')
