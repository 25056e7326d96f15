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
Recorded settings of a control loop, validated before use.

A recording is untrusted input: it names files to open, threads to start, and sizes that cost
memory and time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
import hashlib
import json
import math
import os
from pathlib import Path
import re
from typing import Any

from dfp_ros.core.control.input_log import policy_number
from dfp_ros.core.files.bounded_file import LARGEST_POLICY, read_regular
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.posture_file import recorded_posture
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.node import describe, make_settings, Settings
from dfp_ros.core.settings.setting import Meaning, SettingsError
from dfp_ros.core.text.numbers import shown
from dfp_ros.core.text.printable import printable, quoted, TEXT
from dfp_ros.node.loading.pending_policy import load_policy
from dfp_ros.resources import find_shared
from dfp_ros.spec import PolicySpec

_HASH = re.compile('[0-9a-f]{64}')
# Largest number of loops in a recording; hundreds of parameter changes make hundreds.
MOST_LOOPS = 10_000
_PATH = 4096


class LoopError(ValueError):
    """Recorded settings of a loop are invalid; the message describes the fault."""


def hash_policy(path: Path) -> str:
    """
    Hash a policy file, as ``~/policy`` has it.

    :raises OSError: As :func:`dfp_ros.core.files.bounded_file.read_regular`.
    """
    return hashlib.sha256(read_regular(path, LARGEST_POLICY)).hexdigest()


def check_loop(content: Mapping[str, Any]) -> None:
    """
    Check that a ``~/policy`` message has everything that a replay needs, with the right types.

    :raises LoopError: If it has not.
    """
    for key in ('name', 'parameter', 'path', 'since'):
        if not isinstance(content.get(key), str) or len(content[key]) > _PATH:
            raise LoopError(f'{key}: found {_shown(content.get(key))}, expected a short text')
    robot = content.get('robot')
    hashes = {'sha256': content.get('sha256'),
              'robot.sha256': robot.get('sha256') if isinstance(robot, Mapping) else None}
    for key, found in hashes.items():
        if not isinstance(found, str) or not _HASH.fullmatch(found):
            raise LoopError(
                f'{key}: found {_shown(found)}, expected 64 hexadecimal digits')
    if not isinstance(content.get('joints'), Mapping | None):
        raise LoopError(
            f'joints: found {_shown(content["joints"])}, expected limits by joint')
    settings = content.get('settings')
    if not isinstance(settings, Mapping) or not isinstance(settings.get('robot'), str):
        raise LoopError(f'settings: found {_shown(settings)}, expected settings, robot included')


def recorded_settings(known: Mapping[str, Any]) -> Settings:
    """
    Read the settings of a loop.

    :param known: Its status on ``~/policy``.
    :raises SettingsError: If a value is invalid.
    """
    values: dict[str, Any] = {}
    flat = dict(_flatten(known['settings']))
    for name, default, meaning in describe():
        values[name] = flat.get(name, default)
        _check_value(name, values[name], default, meaning)
    return make_settings(values)


def recorded_identity(known: Mapping[str, Any]) -> tuple[int, int]:
    """Return policy number and seed that each row of a loop must state."""
    return policy_number(known['sha256']), recorded_settings(known).noise_seed


def find_policy(known: Mapping[str, Any], given: Mapping[str, str]) -> OnnxPolicy:
    """
    Find the policy file of a loop by its hash, and load it as recorded.

    :param known: The ``~/policy`` message of the loop.
    :param given: Files named by the user, by hash.
    :raises LoopError: If it is not found.
    """
    sha256 = known['sha256']
    if (made := _find_posture(known)) is not None:
        return made
    tried = []
    places = (given.get(sha256, ''), known['path'], known['parameter'], known['name'])
    for name in dict.fromkeys(place for place in places if place):
        is_given = name == given.get(sha256)
        try:
            path = find_shared(name, 'models', '.onnx')
            # A recording is not to have any file read that it names.
            if path.suffix != '.onnx' and not is_given:
                raise ValueError('expected a name that ends in .onnx')
            found = hash_policy(path)
        except (OSError, ValueError) as error:
            reason = 'not there' if isinstance(error, FileNotFoundError) else (
                getattr(error, 'strerror', None) or f'{error}')
            tried.append(f'{printable(name, TEXT)}: {printable(reason, TEXT)}')
            continue
        if found == sha256:
            return load_policy(str(path), _execution(known, is_given))
        tried.append(f'{printable(name, TEXT)}: sha256 {found[:12]}')
    raise LoopError(
        f'found no policy file {quoted(known["name"])} with sha256 {sha256[:12]} (tried '
        f'{"; ".join(tried)}); name the file with --policy')


def _find_posture(known: Mapping[str, Any]) -> OnnxPolicy | None:
    """Make the policy of a recorded posture again; None if the loop has a policy file."""
    spec = known.get('spec')
    if not isinstance(spec, Mapping) or not isinstance(spec.get('provenance'), Mapping) or (
            'posture' not in spec['provenance']):
        return None
    file = recorded_posture(PolicySpec.from_json(json.dumps(spec)))
    if file.sha256 != known['sha256']:
        raise LoopError(
            f'{quoted(known["name"])}: found sha256 {known["sha256"][:12]}, its specification '
            f'makes {file.sha256[:12]}; replay with the package version of the recording')
    return OnnxPolicy(file, _execution(known, False))


def _execution(known: Mapping[str, Any], is_given: bool) -> ExecutionSettings:
    """Return the execution settings of a recorded policy, with at most one thread a processor."""
    found = recorded_settings(known).execution
    found = replace(found, threads=min(found.threads, os.cpu_count() or 1))
    # A graph that may not terminate runs only if the user named the file.
    return found if is_given else replace(found, unbounded_operators='')


def _check_value(name: str, value: Any, default: Any, meaning: Meaning) -> None:
    """Check the type and range of a setting."""
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    if not isinstance(value, kinds) or isinstance(value, bool) and is_number:
        raise SettingsError(
            f'parameter {name}: found {_shown(value)}, expected {type(default).__name__}')
    if isinstance(value, str) and len(value) > _PATH:
        raise SettingsError(f'parameter {name}: found {len(value)} characters')
    if is_number and meaning.bounds is not None:
        low, high = meaning.bounds
        if not math.isfinite(value) or not low <= value <= high:
            raise SettingsError(
                f'parameter {name}: found {_shown(value)}, expected {low:g} to {high:g}')


def _flatten(values: Mapping[str, Any], prefix: str = '') -> Sequence[tuple[str, Any]]:
    """Flatten nested settings into parameter names."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f'{prefix}{name}.')
        else:
            found.append((f'{prefix}{name}', value))
    return found


def _shown(value: Any) -> str:
    """Format a found value."""
    return shown(value) if isinstance(value, float) else printable(repr(value))
