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
"""Table of what was understood of a foreign policy, for a person who knows it to check."""

from __future__ import annotations

from collections.abc import Sequence

from dfp_ros.core.text.numbers import shown
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.adopt.adoption import Adoption, Input, Term
from dfp_ros.tools.adopt.foreign_model import ForeignModel

# Names of numbers that are shown in a row.
_FEW = 3


def describe_adoption(adoption: Adoption, foreign: ForeignModel) -> str:
    """
    Format inputs and outputs as tables.

    :param adoption: The meaning of the policy.
    :param foreign: Its model.
    """
    lines = [
        f'Policy {printable(adoption.name)}, trained for {printable(adoption.environment)}, '
        f'every {adoption.period * 1e3:g} ms ({1 / adoption.period:g} Hz)'
        + (f', {adoption.horizon} actions an answer' if adoption.horizon > 1 else ''), '']
    for given in adoption.inputs:
        shape = list(foreign.inputs[given.name].shape)
        if given.state:
            lines += [
                f'Input {given.name} {shape}: state, from the output {given.state}; '
                f'{"given numbers" if any(given.initial) else "zeros"} at the start', '']
            continue
        lines += [f'Input {given.name} {shape}: {_order(given)}', *_columns([
            ('numbers', 'is', 'unit', 'from', 'to', 'the policy sees', 'of'),
            *_inputs(given)]), '']
    for output in adoption.outputs:
        clip = f', clipped to {_range(*output.clip)}' if output.clip else ''
        rows, start = [('numbers', 'is', 'unit', 'command', 'from', 'to', 'of')], 0
        for field in output.fields:
            rows.append((
                _numbers(start, field.size), printable(field.name) or 'unused',
                printable(field.unit), f'{_one(field.offset)} + {_one(field.scale)} * number'
                if field.name else '', _one(field.low), _one(field.high),
                _few(field.elements)))
            start += field.size
        lines += [
            f'Output {output.name} {list(foreign.outputs[output.name].shape)}{clip}',
            *_columns(rows), '']
    for constant in adoption.constants:
        lines.append(
            f'Always commanded: {printable(constant.name)} {_one(constant.values)} '
            f'{printable(constant.unit)} {_few(constant.elements)}'.rstrip())
    if adoption.unused:
        lines.append(f'Not used: {", ".join(map(printable, adoption.unused))}')
    return '\n'.join(lines).rstrip()


def _inputs(given: Input) -> list[tuple[str, ...]]:
    """List the terms of an input."""
    rows: list[tuple[str, ...]] = []
    start = 0
    is_together = not given.is_time_major or all(term.history == 1 for term in given.terms)
    for term in given.terms:
        numbers = _numbers(start, term.width) if is_together else f'{term.size} of a tick'
        what = printable(
            term.name or term.again or (
                f'last action ({term.last_action})' if term.last_action else 'constant'))
        if term.history > 1:
            what += f', {term.history} ticks'
        rows.append((
            numbers, what, printable(term.unit), _one(term.low), _one(term.high), _shape(term),
            _few(term.elements)))
        start += term.width
    return rows


def _order(given: Input) -> str:
    """Describe the order of an input's numbers."""
    if all(term.history == 1 for term in given.terms):
        return f'{sum(term.width for term in given.terms)} numbers'
    first = 'newest' if given.newest_first else 'oldest'
    return (
        f'all terms of the {first} tick, then those of the next' if given.is_time_major else
        f'all ticks of the first term, the {first} first, then those of the next')


def _shape(term: Term) -> str:
    """Describe what is done with a value."""
    if term.constant:
        return _one(term.constant)
    text = 'value'
    if any(term.minus):
        text = f'value - {_one(term.minus)}'
    if term.clip:
        text = f'clip({text}, {_range(*term.clip)})'
    if any(number != 1 for number in term.scale):
        text = f'({text}) * {_one(term.scale)}' if ' ' in text else f'{text} * {_one(term.scale)}'
    return text


def _one(numbers: Sequence[float]) -> str:
    """Format numbers, as one if all are the same."""
    if not numbers:
        return ''
    if len(set(numbers)) == 1:
        return shown(numbers[0])
    more = ', ...' if len(numbers) > _FEW else ''
    return f'[{", ".join(map(shown, numbers[:_FEW]))}{more}]'


def _few(names: Sequence[str]) -> str:
    """List the first names."""
    more = ', ...' if len(names) > _FEW else ''
    return ', '.join(map(printable, names[:_FEW])) + more


def _numbers(start: int, size: int) -> str:
    """Format a range of indices."""
    return f'{start}' if size == 1 else f'{start} to {start + size - 1}'


def _range(low: float, high: float) -> str:
    """Format two bounds."""
    return f'{shown(low)} to {shown(high)}'


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  ' + '  '.join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows]
