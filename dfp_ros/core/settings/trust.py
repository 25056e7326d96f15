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
"""Parameters that say which policy files are trusted: folders, and keys of their signatures."""

from __future__ import annotations

import base64
import binascii

from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.printable import quoted

#: Word of ``policy_roots`` for the folder of the policies that come with the package.
MODELS = 'models'
# A public key of Ed25519 as SubjectPublicKeyInfo (RFC 8410): this, and 32 bytes.
_PREFIX = bytes.fromhex('302a300506032b6570032100')
_KEY_SIZE = 32
# Characters of a key in messages: the last ones, as all begin alike.
_NAME = 12


def parse_roots(text: str) -> tuple[str, ...]:
    """
    List the folders of the parameter ``policy_roots``.

    :param text: Its value.
    :return: Absolute paths, paths that begin with ``~``, or :data:`MODELS`; none for any folder.
    :raises SettingsError: If one is relative.
    """
    words = tuple(word for word in text.split(':') if word)
    for word in words:
        if word != MODELS and not word.startswith(('/', '~')):
            raise SettingsError(
                f'parameter policy_roots: found {quoted(word)}, expected absolute paths of '
                f'folders, separated by colons, or {MODELS} for the folder of this package; '
                'write the whole path')
    if text and not words:
        raise SettingsError(
            f'parameter policy_roots: found {quoted(text)}, expected folders separated by colons, '
            'or nothing for any folder')
    return words


def parse_keys(text: str) -> tuple[bytes, ...]:
    """
    List the public keys of the parameter ``policy_keys``.

    :param text: Its value: keys as :func:`key_text` writes them, separated by commas.
    :return: The 32 bytes of each; none if no signature is required.
    :raises SettingsError: If one is not a public key of Ed25519.
    """
    words = tuple(word.strip() for word in text.split(',') if word.strip())
    if text and not words:
        raise SettingsError(
            f'parameter policy_keys: found {quoted(text)}, expected public keys separated by '
            'commas, or nothing if no signature is required')
    return tuple(map(_parse_key, words))


def _parse_key(word: str) -> bytes:
    """Read one public key."""
    try:
        found = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        found = b''
    if len(found) != len(_PREFIX) + _KEY_SIZE or not found.startswith(_PREFIX):
        raise SettingsError(
            f'parameter policy_keys: found {quoted(word)}, expected a public key of Ed25519: the '
            '60 characters between the first and the last line of the file NAME.pub that '
            '`python -m training.sign keygen NAME` writes')
    return found[len(_PREFIX):]


def key_text(key: bytes) -> str:
    """
    Write a public key as ``policy_keys`` has it, which is the second line of its PEM file.

    :param key: Its 32 bytes.
    """
    return base64.b64encode(_PREFIX + key).decode()


def key_name(key: str) -> str:
    """
    Shorten a public key for messages.

    :param key: The key as :func:`key_text` writes it; empty for none.
    """
    return key[-_NAME:]
