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
"""Key that signs new policies, against those that the policy node trusts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TYPE_CHECKING

from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.settings.trust import parse_keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def signing_fault(key: Ed25519PrivateKey | None, settings: Mapping[str, Any]) -> str:
    """
    Say why the node will refuse every new policy.

    :param key: The learner's private key; None without one.
    :param settings: Settings of the node, as its status has them.
    :return: The reason with its remedy; empty if there is none.
    """
    try:
        trusted = parse_keys(str(settings.get('policy_keys') or ''))
    except SettingsError:
        return ''
    if not trusted:
        return ''
    if key is None:
        found = 'no --sign-key'
    elif key.public_key().public_bytes_raw() not in trusted:
        found = 'a --sign-key that is none of them'
    else:
        return ''
    return (
        f'the node loads policies that one of its policy_keys has signed, and there is {found}: '
        'it will refuse every new policy; start this learner again with --sign-key and the '
        'private key of one of them')
