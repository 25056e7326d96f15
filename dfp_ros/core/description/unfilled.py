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
Placeholders in a scaffolded description that a person has to fill in.

``ros2 run dfp_ros describe`` writes :data:`MARK` for every value that does not follow from the
robot's topics. A description with placeholders is refused.
"""

from __future__ import annotations

import yaml

MARK = 'FILL_IN'
_MOST_NAMED = 20


def find_unfilled(root: yaml.Node) -> list[tuple[int, str]]:
    """
    Find all placeholders in a parsed YAML file.

    :param root: Its root; a node with several references is visited once.
    :return: Line, counted from 1, and keys of each, for example ``commands.arm.stop``.
    """
    found: list[tuple[int, str]] = []
    seen: set[int] = set()
    waiting = [(root, '')]
    while waiting:
        node, key = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            if node.value == MARK:
                found.append((node.start_mark.line + 1, key))
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(item, f'{key}[{i}]') for i, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                text = name.value if isinstance(name, yaml.ScalarNode) else '?'
                below = f'{key}.{text}' if key else text
                waiting += [(name, below), (value, below)]
    return sorted(found)


def explain_unfilled(found: list[tuple[int, str]]) -> str:
    """
    List the placeholders, without the file's name.

    :param found: Result of :func:`find_unfilled`; at least one.
    """
    (line, key), *others = found
    rest = ', '.join(f'{key} (line {line})' for line, key in others[:_MOST_NAMED])
    if len(others) > _MOST_NAMED:
        rest += f' and {len(others) - _MOST_NAMED} more'
    return (
        f'{line}: {key}: found {MARK}, which is still to be filled in; the comment beside it says '
        'what belongs there' + (f'. Also to be filled in: {rest}' if rest else ''))
