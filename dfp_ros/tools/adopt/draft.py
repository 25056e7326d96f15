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
Draft of an adoption: everything that files state of a foreign policy, as YAML with marks.

A fact that no file states is marked FILL_IN, with a comment that says what belongs there. A fact
that only follows from a name has a comment that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import math
import re

import yaml

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.description.yaml_section import LONGEST_TEXT
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.adopt.foreign_model import FLOATS, ForeignModel, Port, STATES

#: Value of a key in a draft: text, a number, numbers or texts.
Value = str | float | int | Sequence[float] | Sequence[str]
_PLAIN = re.compile(r'[A-Za-z_][\w./-]*')
_WIDTH = 90


@dataclass
class Facts:
    """
    Known keys of a term or a field, and the comments on them.

    :param keys: Values by key.
    :param comments: Comments by key.
    """

    keys: dict[str, Value] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, value: Value | None, comment: str = '') -> None:
        """
        Set a key.

        :param key: The key.
        :param value: Its value; None marks it as a fact to fill in.
        :param comment: What belongs there, or where the value is from.
        """
        self.keys[key] = MARK if value is None else value
        if comment:
            self.comments[key] = comment

    def put_stated(self, key: str, value: object, size: int | None = None) -> None:
        """
        Set a key to the numbers that a file states, if it states any.

        Those that would change nothing are left out; what cannot be read is asked for.

        :param key: The key: minus, scale or clip.
        :param value: The value in the file.
        :param size: How many numbers it should be, None for any.
        """
        neutral = {'minus': (0.0,), 'scale': (1.0,), 'clip': (-math.inf, math.inf)}[key]
        stated = value if isinstance(value, list) else [value]
        if value is None or all(
                isinstance(each, int | float) and each in neutral for each in stated):
            return
        found = finite(value, size)
        if found:
            self.put(key, found if key == 'clip' else one(found))
        else:
            self.put(key, None, f'the file states {printable(repr(value), 200)}')


@dataclass
class Draft:
    """
    Draft of an adoption.

    :param top: Name, environment, period, horizon.
    :param inputs: Terms of each input.
    :param input_keys: Further keys of each input.
    :param outputs: Fields of each output.
    :param output_keys: Further keys of each output.
    :param constants: Commands that never change.
    :param unused: Names of outputs that are not used.
    :param notes: Lines at the top: which files were read, and what to check.
    """

    top: Facts = field(default_factory=Facts)
    inputs: dict[str, list[Facts]] = field(default_factory=dict)
    input_keys: dict[str, Facts] = field(default_factory=dict)
    outputs: dict[str, list[Facts]] = field(default_factory=dict)
    output_keys: dict[str, Facts] = field(default_factory=dict)
    constants: list[Facts] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(self) -> str:
        """Format the draft as YAML."""
        lines = [f'# {printable(line, 300)}' for line in self.notes]
        lines += [*_keys(self.top, ''), 'inputs:']
        for name, terms in self.inputs.items():
            lines.append(f'  {_text(name)}:')
            lines += _keys(self.input_keys.get(name, Facts()), '    ')
            if terms:
                lines += ['    terms:', *_items(terms)]
        lines.append('outputs:')
        for name, fields in self.outputs.items():
            lines.append(f'  {_text(name)}:')
            lines += _keys(self.output_keys.get(name, Facts()), '    ')
            lines += ['    fields:', *_items(fields)]
        if self.constants:
            lines += ['constants:', *_items(self.constants)]
        if self.unused:
            lines.append(f'unused: {_value(self.unused)}')
        return '\n'.join(lines) + '\n'


def draft_of_graph(foreign: ForeignModel) -> Draft:
    """
    Draft an adoption from the graph alone.

    Inputs with the size and a name like that of an output, such as ``h_in`` and ``h_out``, are
    taken for recurrent states.

    :param foreign: The model.
    """
    draft = Draft(notes=[
        f'Meaning of {foreign.path.name}, for `ros2 run dfp_ros adopt`. Each {MARK} is a fact',
        'that the file does not state; docs/adopting.md explains the keys.'])
    fill_top(draft, foreign)
    states = find_states(foreign)
    for name, port in foreign.inputs.items():
        draft.inputs[name] = []
        draft.input_keys[name] = keys = Facts()
        if port.open_beside(foreign.batch):
            keys.put('shape', None, f'the graph leaves it open: {list(port.shape)}')
        if name in states:
            keys.put('state', states[name], 'by its name and its size; check')
            continue
        if port.type not in FLOATS:
            keys.put('state', None, f'of {port.type}, so a state: the output that it comes from')
            continue
        draft.inputs[name].append(draft_term(None, f'up to {port.size} in all terms'))
    for name, port in foreign.outputs.items():
        if name in states.values():
            continue
        if port.type not in STATES:
            draft.unused.append(name)
            continue
        draft.outputs[name] = [draft_field(None, _size(port))]
    return draft


def fill_top(
        draft: Draft, foreign: ForeignModel, environment: str | None = None,
        period: float | None = None) -> None:
    """
    Fill in the keys at the top.

    :param draft: The draft.
    :param foreign: The model.
    :param environment: Environment that it was trained for, None if it is unknown.
    :param period: Control period in s, None if it is unknown.
    """
    draft.top.put('name', foreign.path.stem)
    draft.top.put('environment', environment, '' if environment else 'what it was trained for')
    draft.top.put('period', period, '' if period else 'control period of the training in s')


def draft_term(name: str | None, size: int | str, unit: str | None = None) -> Facts:
    """
    Draft a term of an input, with marks for what is unknown.

    :param name: Its name, None if it is unknown.
    :param size: Its size, or a comment on it if it is unknown.
    :param unit: Its unit, None if it is unknown.
    """
    term = Facts()
    term.put('name', name, '' if name else 'such as joint_positions; one item for each quantity')
    term.put('unit', unit, '' if unit else 'of the value before minus and scale, such as rad')
    _put_size(term, size)
    term.put('low', None, 'smallest value in training, one number or one for each')
    term.put('high', None, 'largest value')
    return term


def draft_field(name: str | None, size: int | str, unit: str | None = None) -> Facts:
    """
    Draft a field of an output, with marks for what is unknown; the arguments are as for a term.

    :param name: Its name.
    :param size: Its size.
    :param unit: Its unit.
    """
    made = Facts()
    made.put('name', name, '' if name else 'such as joint_position_targets')
    made.put('unit', unit, '' if unit else 'of the command, such as rad')
    _put_size(made, size)
    made.put('scale', None, 'the command is offset + scale * number')
    made.put('offset', None, 'such as the default posture, one number or one for each')
    made.put('low', None, 'smallest command that the robot may be sent')
    made.put('high', None, 'largest command')
    return made


def ask_beyond(field: Facts, key: str, stated: object, kind: str) -> None:
    """
    Ask for the scale or the offset of a kind of action that may be more than both.

    :param field: The field of the output.
    :param key: scale or offset.
    :param stated: The value in the file, None for none.
    :param kind: The kind of the action, as the file names it.
    """
    found = '' if stated is None else f'the file states {printable(repr(stated), 100)}, but '
    field.put(key, None, (
        f'{found}a {printable(kind)} may be more than offset + scale * number; docs/adopting.md '
        'has what is covered'))


def find_states(foreign: ForeignModel) -> dict[str, str]:
    """Find the outputs of recurrent inputs, by names and sizes."""
    found: dict[str, str] = {}
    for name, port in foreign.inputs.items():
        for other, answer in foreign.outputs.items():
            stem = re.sub(r'_?in(put)?$', '', name)
            is_alike = stem != name and other in (
                f'{stem}_out', f'{stem}out', f'{stem}_output') or other == f'{name}_out'
            # Where the graph leaves a size open, it may be the same.
            fits = len(port.shape) == len(answer.shape) and all(
                mine == theirs or not isinstance(mine, int) or not isinstance(theirs, int)
                for mine, theirs in zip(port.shape, answer.shape, strict=True))
            if is_alike and fits and other not in found.values():
                found[name] = other
                break
    return found


def _put_size(facts: Facts, size: int | str) -> None:
    """Set the size, or mark it with a comment."""
    facts.put('size', size if isinstance(size, int) else None, (
        size if isinstance(size, str) else ''))


def _size(port: Port) -> int | str:
    """Return the size of an output, or a comment if the graph leaves it open."""
    if all(isinstance(size, int) for size in port.shape[1:]):
        return port.size
    return f'the graph leaves it open: {list(port.shape)}'


def _items(items: Sequence[Facts]) -> Iterator[str]:
    """Format a list of keys."""
    for item in items:
        first, *rest = _keys(item, '        ')
        yield f'      - {first.lstrip()}'
        yield from rest


def _keys(facts: Facts, indent: str) -> list[str]:
    """Format keys with comments."""
    lines = []
    for key, value in facts.keys.items():
        line = f'{indent}{key}: {_value(value)}'
        comment = printable(facts.comments.get(key, ''), 300)
        if comment and len(line) + len(comment) > _WIDTH:
            lines.append(f'{indent}# {comment}')
            comment = ''
        lines.append(f'{line}  # {comment}' if comment else line)
    return lines


def _value(value: Value) -> str:
    """Format a value."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    items = [_text(each) if isinstance(each, str) else _number(each) for each in value]
    return f'[{", ".join(items)}]'


def _text(text: str) -> str:
    """Format text, in quotes unless it is a plain word, and printable in any case."""
    text = printable(text, LONGEST_TEXT)
    if _PLAIN.fullmatch(text) and isinstance(yaml.safe_load(text), str):
        return text
    return "'" + text.replace("'", "''") + "'"


def _number(number: float) -> str:
    """Format a number so that YAML 1.1 reads it as one."""
    if isinstance(number, int):
        return str(number)
    text = repr(float(number))
    return text.replace('e', '.0e') if 'e' in text and '.' not in text else text


def one(numbers: Sequence[float]) -> float | list[float]:
    """Return one number if all are the same, else all."""
    values = [float(number) for number in numbers]
    return values[0] if len(set(values)) == 1 else values


def finite(numbers: object, size: int | None = None) -> list[float] | None:
    """
    Read finite numbers from parsed YAML.

    :param numbers: A number, or a list of numbers.
    :param size: How many there have to be, None for any.
    :return: The numbers, None if it is anything else.
    """
    found = [numbers] if isinstance(numbers, int | float) else numbers
    if not isinstance(found, Sequence) or isinstance(found, str):
        return None
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in found):
        return None
    # Whole numbers are bounded by their reader.
    values = [float(number) for number in found]
    if not all(map(math.isfinite, values)):
        return None
    if isinstance(numbers, int | float) and size is not None:
        values *= size
    return values if size in (None, len(values)) else None


def mapping(value: object) -> Mapping[str, object]:
    """Read keys from parsed YAML; anything else has none."""
    return value if isinstance(value, Mapping) else {}
