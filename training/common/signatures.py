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
"""Signatures of policy files: Ed25519 keys, and the files of keys and signatures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import stat
from typing import TYPE_CHECKING

from dfp_ros.core.files import atomic
from dfp_ros.core.files.bounded_file import read_regular
from dfp_ros.core.policy.policy_file import PolicyFile, read_policy_file
from dfp_ros.core.policy.trust import SIGNATURE_SUFFIX
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.settings.trust import key_text, parse_keys
from training.common.disk import WriteError
from training.common.files import atomic_path

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: Suffix of the public key beside the private one.
PUBLIC_SUFFIX = '.pub'
# Largest file of a key in bytes.
_LARGEST = 4096
_PUBLIC = b'-----BEGIN PUBLIC KEY-----'


class SignatureError(ValueError):
    """A key cannot be made or used; the message says why, and what to do."""


def signature_path(policy: Path) -> Path:
    """Return the path of a policy file's signature, beside the file itself if it is a link."""
    real = Path(os.path.realpath(policy))
    return real.with_name(real.name + SIGNATURE_SUFFIX)


def make_keys(path: Path) -> str:
    """
    Make a new private key, readable by its owner only, and its public key beside it.

    :param path: File of the private key, in PEM; that of the public one ends in ``.pub``.
    :return: The public key, as ``policy_keys`` has it.
    :raises SignatureError: If one of the files exists, or the library is missing.
    :raises WriteError: If a file cannot be written.
    """
    with _library():
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    if not path.name:
        raise SignatureError(f'{path}: found a folder, expected the name of a file for the key')
    public = path.with_name(path.name + PUBLIC_SUFFIX)
    for each in (path, public):
        if os.path.lexists(each):
            raise SignatureError(
                f'{each}: found a file, which would be lost; name another, or move it away')
    key = Ed25519PrivateKey.generate()
    _write(path, key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()), 0o600)
    _write(public, key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo), 0o644)
    return key_text(key.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw))


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """
    Read a private key.

    :param path: Its file, in PEM and without a password.
    :raises SignatureError: If it cannot be used, or if others may read it.
    """
    with _library():
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

    mode = 0

    def note_mode(file: int) -> None:
        nonlocal mode
        mode = stat.S_IMODE(os.fstat(file).st_mode)
    remedy = 'make one with `python -m training.sign keygen NAME`'
    try:
        content = read_regular(path, _LARGEST, note_mode)
        if content.startswith(_PUBLIC):
            raise SignatureError(
                f'private key {path}: found a public key, with which nothing can be signed; give '
                f'the file without {PUBLIC_SUFFIX}')
        key = load_pem_private_key(content, None)
    except OSError as error:
        raise SignatureError(
            f'private key {path}: cannot be read: {error.strerror}; {remedy}') from error
    except SignatureError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(
            f'private key {path}: found no private key in PEM without a password; '
            f'{remedy}') from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(
            f'private key {path}: found a key of another kind, expected Ed25519; {remedy}')
    if mode & 0o077:
        raise SignatureError(
            f'private key {path}: others than its owner may use it (mode {mode:o}), expected '
            f'mode 600; `chmod 600 {path}`, and make a new key if it may have been read')
    return key


def read_public_key(path: Path) -> bytes:
    """
    Read a public key.

    :param path: Its file, in PEM.
    :return: Its 32 bytes.
    :raises SignatureError: If it cannot be used.
    """
    try:
        lines = read_regular(path, _LARGEST).decode().splitlines()
        if lines[0] != _PUBLIC.decode():
            raise SettingsError('found no public key in PEM')
        (key,) = parse_keys(lines[1])
    except OSError as error:
        raise SignatureError(f'public key {path}: cannot be read: {error.strerror}') from error
    except (ValueError, IndexError) as error:
        raise SignatureError(
            f'public key {path}: found no public key of Ed25519 in PEM; give the file '
            f'NAME{PUBLIC_SUFFIX} that `python -m training.sign keygen NAME` has written'
        ) from error
    return key


def sign(path: Path, key: Ed25519PrivateKey, sha256: str = '') -> PolicyFile:
    """
    Sign a policy file; its signature is written beside it, in place of an earlier one.

    :param path: The policy file.
    :param key: The private key.
    :param sha256: Hash that the file must have; empty for any.
    :return: What was signed: the bytes that were read once, and checked.
    :raises PolicyError: If it is no policy file.
    :raises SignatureError: If it has another hash.
    :raises WriteError: If the signature cannot be written.
    """
    file = read_policy_file(path)
    if sha256 and file.sha256 != sha256:
        raise SignatureError(
            f'{path}: found sha256 {file.sha256}, expected {sha256}: another program has changed '
            'it, and it is not signed; find out which')
    with atomic_path(signature_path(path)) as partial:
        partial.write_bytes(key.sign(file.content))
    return file


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that does not exist yet, never readable by more than it will be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.atomic_path(path, overwrite=False) as partial:
            file = os.open(
                partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
            with os.fdopen(file, 'wb') as opened:
                opened.write(content)
                opened.flush()
                os.fsync(file)
    except OSError as error:
        raise WriteError(
            error.errno, f'{path}: cannot be written ({error.strerror}); name another path',
            str(path)) from error


@contextmanager
def _library() -> Iterator[None]:
    """Explain a missing library."""
    try:
        yield
    except ImportError as error:
        raise SignatureError(
            f'signatures need the library cryptography, which cannot be imported ({error}); '
            'install it with `pip install cryptography`') from error
