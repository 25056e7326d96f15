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
"""Summary of a policy file: observation, action and provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import math
from typing import Any

from dfp_ros.core.policy.policy_file import PolicyFile
from dfp_ros.core.text.printable import printable
from dfp_ros.spec import PolicySpec
from dfp_ros.spec_images import DEPTH

# Longer lists are abbreviated.
MOST_NUMBERS = 400
MOST_FACTS = 120


def describe_policy_file(file: PolicyFile) -> str:
    """
    Format a policy file as tables.

    :param file: The file.
    :return: Printable lines of bounded number, also for malicious files.
    """
    spec = file.spec
    observed = [
        (member, i) for member in spec.observation for i in range(member.size)]
    commanded = [(member, i) for member in spec.action for i in range(member.size)]
    return '\n'.join([
        f'Policy {printable(spec.name)}', *_columns(_facts(file)), '',
        f'Observation: {len(observed)} numbers, float32, in the units given; a robot description '
        'must have these',
        'fields in this order',
        *_columns([
            ('number', 'field', 'unit', 'lowest in data', 'highest in data'), *(
                (str(number), _member(member, i), printable(member.unit, 20),
                 _number(member.low[i]), _number(member.high[i]))
                for number, (member, i) in enumerate(observed[:MOST_NUMBERS]))], 3),
        *_left_out(len(observed)), '',
        *_pictures(spec),
        f'Action: {len(commanded)} numbers, from -1 to 1; the node scales them to these commands',
        *_columns([
            ('number', 'field', 'unit', 'at -1', 'at 1', 'lowest in data', 'highest in data'), *(
                (str(number), _member(member, i), printable(member.unit, 20),
                 _number(member.low[i]), _number(member.high[i]),
                 _number(_command(member, i, member.data_low[i])),
                 _number(_command(member, i, member.data_high[i])))
                for number, (member, i) in enumerate(commanded[:MOST_NUMBERS]))], 3),
        *_left_out(len(commanded)), '',
        'Provenance',
        *_columns(_cut(list(_flat(spec.provenance)))),
    ])


def _facts(file: PolicyFile) -> list[tuple[str, str]]:
    """List the properties of the policy."""
    spec = file.spec
    return [
        ('file', f'{file.path}, {len(file.content) / 1000:,.0f} kB'),
        ('sha256', file.sha256),
        ('trained for', printable(spec.environment)),
        ('control period', f'{spec.period * 1e3:.6g} ms ({1 / spec.period:.6g} Hz)'),
        ('horizon', _horizon(spec)),
        ('candidates', f'{spec.candidates} a chunk'
         + (', of which the critics choose the best' if spec.candidates > 1 else '')),
        ('noise scale', _number(spec.noise_scale)),
        *([('state', f'{spec.state_size} numbers, from answer to answer')]
          if spec.state_size else []),
        ('weights', spec.precision),
        *([('relative actions', 'relative to the observation that their chunk is planned from')]
          if spec.anchor == 'observation' else [])]


def _pictures(spec: PolicySpec) -> list[str]:
    """List the pictures of the observation; nothing if there are none."""
    if not spec.images:
        return []
    return [
        'Pictures: inputs of the graph, uint8, of shape (1, height, width, numbers of a pixel); a '
        'robot',
        'description must have these in this order',
        *_columns([
            ('picture', 'channels', 'height', 'width', 'range'), *(
                (printable(image.name, 40), image.channels, str(image.height), str(image.width),
                 f'{image.low:g} to {image.high:g}' + (
                     ' m as 1 to 255, 0 for none' if image.channels == DEPTH else ''))
                for image in spec.images)], 2), '']


def _horizon(spec: PolicySpec) -> str:
    """Format the horizon in actions and in seconds."""
    if spec.horizon == 1:
        return '1 action a chunk'
    return f'{spec.horizon} actions a chunk, {spec.horizon * spec.period:.4g} s'


def _member(member: Any, index: int) -> str:
    """Name one element of a field."""
    name = printable(member.name, 40)
    return f'{name}[{index}]' if member.size > 1 else name


def _command(member: Any, index: int, action: float) -> float:
    """Convert an action to its command, in the field's unit."""
    low, high = member.low[index], member.high[index]
    return float(low + (action + 1) / 2 * (high - low))


def _number(value: float) -> str:
    """Format a number with four significant digits."""
    return f'{value:.4g}' if math.isfinite(value) else str(value)


def _left_out(size: int) -> list[str]:
    """Return a line with the number of rows left out."""
    return [f'  ... and {size - MOST_NUMBERS} more'] if size > MOST_NUMBERS else []


def _flat(value: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, str]]:
    """Flatten nested facts into dotted keys; deeper levels only give their size."""
    # Plain values come first.
    for key, item in sorted(value.items(), key=lambda entry: isinstance(entry[1], Mapping)):
        name = f'{prefix}{printable(key, 40)}'
        if isinstance(item, Mapping) and not prefix:
            yield from _flat(item, f'{name}.')
        elif isinstance(item, Mapping | list) and len(item) > 8:
            yield name, f'{len(item)} values'
        elif isinstance(item, Mapping):
            yield name, f'{len(item)} values' if item else 'none'
        else:
            yield name, printable(item)


def _cut(facts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Truncate a long list of facts."""
    if len(facts) <= MOST_FACTS:
        return facts or [('nothing', 'the file has no provenance')]
    return [*facts[:MOST_FACTS], ('...', f'and {len(facts) - MOST_FACTS} more')]


def _columns(rows: Sequence[Sequence[str]], texts: int = 9) -> list[str]:
    """Align rows in columns: first text columns, then numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  ' + '  '.join(
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows]
