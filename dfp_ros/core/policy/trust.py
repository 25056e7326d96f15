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
"""Trust in policy files: allowed folders, and signatures, checked before a file is parsed."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import sys

from dfp_ros.core.files.bounded_file import read_regular
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.settings.trust import key_text

#: Suffix of the file beside a policy file that has its signature, after the whole name.
SIGNATURE_SUFFIX = '.sig'
#: Bytes of a signature of Ed25519 (RFC 8032), which is all that the file has.
SIGNATURE_SIZE = 64


@dataclass(frozen=True)
class Trust:
    """
    Policy files that are trusted.

    :param folders: Folders that they must be in, at any depth; none for any folder.
    :param keys: Public keys of Ed25519, 32 bytes each, one of which must have signed them; none
        if no signature is required.
    """

    folders: tuple[Path, ...] = ()
    keys: tuple[bytes, ...] = ()

    def require_place(self, path: Path) -> None:
        """
        Require that a path is in one of the folders, before anything is opened there.

        :param path: The path, whose links are followed.
        :raises PolicyError: If it is not; whether there is a file is not told.
        """
        if self.folders:
            self._require_within(path, Path(os.path.realpath(path)))

    def require_opened(self, path: Path, file: int) -> Path:
        """
        Require that the file that was opened is in one of the folders.

        A link may have been exchanged since :meth:`require_place`; a descriptor cannot be.

        :param path: The path by which it was opened.
        :param file: Its descriptor.
        :return: Its path without links.
        :raises PolicyError: If it is not, or its path cannot be told.
        """
        if not self.folders:
            return Path(os.path.realpath(path))
        try:
            found = Path(os.readlink(f'/proc/self/fd/{file}'))
            is_there = os.fstat(file).st_nlink > 0
        except OSError as error:
            raise PolicyError(
                f'policy file {path}: the folder of the opened file cannot be told '
                f'({error.strerror}), which policy_roots needs; mount /proc') from error
        if not is_there:
            raise PolicyError(
                f'policy file {path}: was deleted or replaced while it was read; set it again')
        self._require_within(path, found)
        return found

    def require_signed(self, path: Path, real: Path, content: bytes) -> str:
        """
        Require that a policy file is signed with one of the keys.

        :param path: The path by which it was opened.
        :param real: Its path without links; the signature is beside it.
        :param content: Its bytes.
        :return: The key, as ``policy_keys`` has it; empty if none is required.
        :raises PolicyError: If it has no valid signature, or that cannot be checked.
        """
        if not self.keys:
            return ''
        beside = real.with_name(real.name + SIGNATURE_SUFFIX)
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError as error:
            raise PolicyError(
                f'policy file {path}: policy_keys requires a signature, and the library that '
                f'checks it, cryptography, cannot be imported by {sys.executable} ({error}); '
                'install it with `pip install cryptography` or `apt install '
                'python3-cryptography`') from error
        try:
            signature = read_regular(beside, SIGNATURE_SIZE)
        except OSError as error:
            raise PolicyError(
                f'policy file {path}: policy_keys requires a signature, and {beside} cannot be '
                f'read: {error.strerror}; {_SIGN}') from error
        for key in self.keys:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
            except InvalidSignature:
                continue
            return key_text(key)
        raise PolicyError(
            f'policy file {path}: {beside} is no signature of these bytes by one of the '
            f'{len(self.keys)} key(s) of policy_keys: the file was changed after it was signed, '
            f'or signed with another key; {_SIGN}')

    def _require_within(self, path: Path, real: Path) -> None:
        """Require that a path without links is in one of the folders."""
        if not any(_is_within(real, folder) for folder in self.folders):
            led = '' if real == path.absolute() else f', which leads to {real},'
            raise PolicyError(
                f'policy file {path}{led or ":"} is in none of the folders of policy_roots '
                f'({", ".join(map(_name_folder, self.folders))}); put the file into one of them, '
                'or start the node with its folder in policy_roots')


_SIGN = 'sign it with `python -m training.sign sign KEY FILE`'


def _name_folder(folder: Path) -> str:
    """Name a folder of ``policy_roots``, and say if it is none."""
    return f'{folder}' if folder.is_dir() else f'{folder}, which is no folder here'


def _is_within(real: Path, folder: Path) -> bool:
    """Return whether a path without links is in a folder, whose links are followed."""
    return Path(os.path.realpath(folder)) in real.parents
