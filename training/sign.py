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
Sign policy files, for policy nodes that run only what is signed (parameter policy_keys).

    python -m training.sign keygen keys/arm
    python -m training.sign sign keys/arm policy.onnx
    python -m training.sign verify keys/arm.pub policy.onnx

A signature is the 64 bytes of Ed25519 (RFC 8032) over the bytes of the policy file, in a file of
the same name with .sig at its end. Keys are in PEM, as OpenSSL reads them.

Exit status: 0 if all is well, 1 if a signature is not valid, 2 if something cannot be done.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.core.policy.trust import Trust
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.core.text.say import say
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.signatures import (
    make_keys,
    PUBLIC_SUFFIX,
    read_private_key,
    read_public_key,
    sign,
    signature_path,
    SignatureError,
)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.sign', description='Make keys, sign policy files, verify them.')
    commands = made.add_subparsers(dest='command', required=True)
    keygen = commands.add_parser('keygen', help='make a private key, and its public key beside it')
    keygen.add_argument('key', type=user_path, help='file of the private key to write')
    for name, key, text in (
            ('sign', 'private', 'write the signature of policy files beside them'),
            ('verify', 'public', 'check the signatures of policy files')):
        made_of = commands.add_parser(name, help=text)
        made_of.add_argument('key', type=user_path, help=f'file of the {key} key')
        made_of.add_argument('policies', type=user_path, nargs='+', help='policy files (.onnx)')
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    asked = parser().parse_args(arguments)
    try:
        if asked.command == 'keygen':
            _keygen(asked.key)
        elif asked.command == 'sign':
            _sign(asked.key, asked.policies)
        else:
            return _verify(asked.key, asked.policies)
    except (SignatureError, PolicyError, WriteError) as error:
        say(error_line(error), to_errors=True)
        return 2
    return 0


def _keygen(key: Path) -> None:
    """Make keys."""
    text = make_keys(key)
    name = printable(key, TEXT)
    say(f'{name}: the private key, readable by you only; keep it off the robot')
    say(f'{name}{PUBLIC_SUFFIX}: the public key; for the policy node:')
    say(f'policy_keys: {text}')


def _sign(key: Path, policies: list[Path]) -> None:
    """Sign policies."""
    private = read_private_key(key)
    for path in policies:
        file = sign(path, private)
        say(
            f'{printable(signature_path(path), TEXT)}: signature of policy '
            f'{printable(file.spec.name)!r}, sha256 {file.sha256}')


def _verify(key: Path, policies: list[Path]) -> int:
    """Verify signatures as the node does."""
    trust, status = Trust(keys=(read_public_key(key),)), 0
    for path in policies:
        try:
            file = read_policy_file(path, trust)
        except PolicyError as error:
            say(error_line(error), to_errors=True)
            status = 1
            continue
        say(
            f'{printable(path, TEXT)}: policy {printable(file.spec.name)!r}, sha256 '
            f'{file.sha256}, {file.signer}')
    return status


if __name__ == '__main__':
    sys.exit(main())
