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
"""Random damage of bytes, and of the values in a document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

#: Values that a faulty exporter, editor or disk may put in the place of any other.
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, -2**63, 10**400, 0.0, -0.0, 1e-320, 1e308, float('nan'),
    float('inf'), -float('inf'), '', ' ', 'x', '-1', 'nan', '1e999', '\x00',
    '\x1b[2J\n[INFO] fine', '\ud800', 'ü' * 2000, '../../etc/passwd', '$(reboot)', '{', [], {},
    [[]], [None], ['a', 1], {'a': {}}, list(range(3000)))


def damage_bytes(content: bytes, random: Random) -> bytes:
    """Damage bytes as disks, copies and editors do: at least one differs or is missing."""
    if not content:
        return b'\x00'
    kind = random.randrange(7)
    start = random.randrange(len(content))
    length = min(random.choice((1, 4, 64, 4096)), len(content) - start)
    end = start + length
    if kind == 0:
        changed = content[start] ^ (1 << random.randrange(8))
        return content[:start] + bytes([changed]) + content[start + 1:]
    if kind == 1:
        return content[:start]
    if kind == 2:
        return content[:start] + random.randbytes(length) + content[end:]
    if kind == 3:
        return content[:start] + bytes(length) + content[end:] + b'\x00'
    if kind == 4:
        return content[:end] + content[start:]
    if kind == 5:
        return content[:start] + content[end:]
    return content[start:] + content[:start] + b'\xff'


def damage_file(path: Path, random: Random) -> None:
    """Damage one file; in a folder, damage or remove one of its files."""
    if path.is_dir():
        files = sorted(file for file in path.rglob('*') if file.is_file())
        path = random.choice(files)
        if random.random() < 0.1:
            path.unlink()
            return
    path.write_bytes(damage_bytes(path.read_bytes(), random))


def damage_tree(tree: Any, random: Random) -> Any:
    """Return a document of lists and dictionaries with one or two values replaced."""
    for _ in range(random.choice((1, 1, 1, 2))):
        tree = _with_one_change(tree, random)
    return tree


def nested(depth: int, random: Random) -> Any:
    """Nest lists or dictionaries."""
    tree: Any = 1
    for _ in range(depth):
        tree = [tree] if random.random() < 0.5 else {'a': tree}
    return tree


def _with_one_change(tree: Any, random: Random) -> Any:
    """Descend at random, then change the value there."""
    is_leaf = not isinstance(tree, dict | list) or not tree
    if is_leaf or random.random() < 0.15:
        return _another(tree, random)
    if isinstance(tree, dict):
        key = random.choice(list(tree))
        action = random.random()
        if action < 0.1:
            return {name: value for name, value in tree.items() if name != key}
        if action < 0.2:
            return {**tree, random.choice(('x', f'{key} ', str(key).upper())): tree[key]}
        return {**tree, key: _with_one_change(tree[key], random)}
    index = random.randrange(len(tree))
    action = random.random()
    if action < 0.1:
        return [*tree[:index], *tree[index + 1:]]
    if action < 0.2:
        return [*tree, tree[index]]
    return [*tree[:index], _with_one_change(tree[index], random), *tree[index + 1:]]


def _another(value: Any, random: Random) -> Any:
    """Return another value, often of the same kind."""
    changes: list[Callable[[], Any]] = [
        lambda: random.choice(STRANGE), lambda: nested(random.choice((5, 100, 3000)), random)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        changes += [lambda: -value, lambda: value * 1000, lambda: value + 1, lambda: str(value)]
    if isinstance(value, str):
        changes += [lambda: value + 'x', lambda: value[:-1], lambda: value.upper(),
                    lambda: value + '\n']
    if isinstance(value, list) and value:
        changes += [lambda: value * 2, lambda: value[::-1], lambda: value[0]]
    return random.choice(changes)()
