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
Adoption: what the inputs and outputs of a foreign policy mean, read from its YAML file.

``ros2 run dfp_ros adopt policy.onnx`` writes a draft of the file, in which every fact that the
policy does not state is marked; a file with marks is refused. docs/adopting.md explains the keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import os

from dfp_ros.core.description.yaml_section import read_yaml, Section
from dfp_ros.core.text.printable import printable
from dfp_ros.spec import ActionField, ObservationField, PolicySpec
from dfp_ros.spec_bounds import MOST_ACTIONS, MOST_COMMANDED, MOST_OBSERVED, MOST_STATE, SpecError

#: Most ticks in a history, as in a robot description.
MOST_TICKS = 1000
# Units of stiffness and damping, without spaces.
_GAINS = frozenset(('nm/rad', 'nms/rad', 'n/m', 'ns/m', 'n*m/rad', 'n*m*s/rad', 'n*s/m'))
TERM, TIME = 'term', 'time'
OLDEST, NEWEST = 'oldest', 'newest'


class AdoptError(ValueError):
    """A foreign policy cannot be adopted; the message says why, and what to do."""


@dataclass(frozen=True)
class Term:
    """
    Consecutive numbers of an input: ``clip(value - minus) * scale``.

    :param where: File, line and key, for messages.
    :param size: Count of its numbers at one tick.
    :param name: Name of its field in the observation; empty if it is not observed.
    :param unit: Unit of the value.
    :param low: Smallest value in training, one a number.
    :param high: Largest value in training, one a number.
    :param minus: Subtracted from the value, such as a default posture, one a number.
    :param scale: One a number.
    :param clip: Lower and upper bound before scaling, or empty.
    :param history: Ticks in it, this one included.
    :param again: Name of an earlier term whose value it has, or empty.
    :param last_action: Output whose last answer it has, or empty.
    :param constant: Its numbers if they never change, or empty.
    :param elements: Names of its numbers, such as joints, or empty.
    """

    where: str
    size: int
    name: str = ''
    unit: str = ''
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    minus: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    clip: tuple[float, ...] = ()
    history: int = 1
    again: str = ''
    last_action: str = ''
    constant: tuple[float, ...] = ()
    elements: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Count of its numbers in the input, with history."""
        return self.size * self.history


@dataclass(frozen=True)
class Input:
    """
    Input of the foreign graph: terms, or a recurrent state.

    :param where: File, line and key, for messages.
    :param name: Its name.
    :param terms: Its terms, in order; empty for a state.
    :param is_time_major: Whether all terms of one tick are followed by all terms of the next.
    :param newest_first: Whether histories begin with the newest tick.
    :param state: Output whose last answer it is, or empty.
    :param initial: Its numbers in the first call of an episode; empty for zeros.
    :param shape: Its shape, if the graph leaves it open; else empty.
    """

    where: str
    name: str
    terms: tuple[Term, ...] = ()
    is_time_major: bool = False
    newest_first: bool = False
    state: str = ''
    initial: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class OutputField:
    """
    Consecutive numbers of an output: the command is ``offset + scale * number``.

    :param where: File, line and key, for messages.
    :param size: Count of its numbers.
    :param name: Name of its field in the action; empty if it is not used.
    :param unit: Unit of the command.
    :param scale: One a number.
    :param offset: Such as a default posture, one a number.
    :param low: Smallest command, one a number.
    :param high: Largest command, one a number.
    :param elements: Names of its numbers, such as joints, or empty.
    """

    where: str
    size: int
    name: str = ''
    unit: str = ''
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    elements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Output:
    """
    Output of the foreign graph that commands something.

    :param where: File, line and key, for messages.
    :param name: Its name.
    :param fields: Its fields, in order.
    :param clip: Lower and upper bound of its numbers, or empty.
    """

    where: str
    name: str
    fields: tuple[OutputField, ...]
    clip: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Count of its numbers."""
        return sum(member.size for member in self.fields)


@dataclass(frozen=True)
class Constant:
    """
    Commands that never change, such as the gains of joints.

    :param name: Name of the field in the action.
    :param unit: Its unit.
    :param values: The commands.
    :param elements: Names of its numbers, such as joints, or empty.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    elements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adoption:
    """
    Meaning of a foreign policy.

    :param where: The file, for messages.
    :param name: Name of the policy.
    :param environment: Environment that it was trained for.
    :param period: Control period in s.
    :param horizon: Actions in an answer.
    :param inputs: Inputs of its graph.
    :param outputs: Outputs that command something.
    :param constants: Further commands.
    :param unused: Names of outputs that are not used.
    """

    where: str
    name: str
    environment: str
    period: float
    horizon: int
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    constants: tuple[Constant, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[Term, ...]:
        """Return the terms of all inputs."""
        return tuple(term for each in self.inputs for term in each.terms)

    @property
    def observed(self) -> tuple[Term, ...]:
        """Return the terms that are fields of the observation."""
        return tuple(term for term in self.terms if term.name)

    def spec(self, state_size: int, provenance: Mapping[str, object]) -> PolicySpec:
        """
        Make the specification of the policy file.

        :param state_size: Length of the state that an answer passes on to the next.
        :param provenance: Origin of the policy.
        :raises AdoptError: If it is invalid.
        """
        observation = tuple(
            ObservationField(
                term.name, term.width, term.unit, term.low * term.history,
                term.high * term.history) for term in self.observed)
        action = [
            (member.name, member.unit, member.low, member.high)
            for output in self.outputs for member in output.fields if member.name]
        action += [(each.name, each.unit, each.values, each.values) for each in self.constants]
        try:
            return PolicySpec(
                self.name, self.environment, observation, tuple(
                    ActionField(
                        name, len(low), unit, low, high, (-1.0,) * len(low), (1.0,) * len(low))
                    for name, unit, low, high in action),
                self.period, self.horizon, 1, 0.0, dict(provenance), state_size=state_size)
        except SpecError as error:
            raise AdoptError(f'{self.where}: {error}') from error


def read_adoption(path: str | os.PathLike[str]) -> Adoption:
    """
    Read the meaning of a policy.

    :param path: YAML file.
    :raises DescriptionError: At the first error, with file, line, key and remedy.
    """
    section = read_yaml(path)
    top = section.mapping(
        ('name', 'environment', 'period', 'inputs', 'outputs'),
        ('horizon', 'constants', 'unused'))
    outputs = tuple(
        _read_output(name, item) for name, item in top['outputs'].entries().items())
    sizes = {output.name: output.size for output in outputs}
    known: dict[str, Term] = {}
    inputs = tuple(
        _read_input(name, item, sizes, known)
        for name, item in top['inputs'].entries().items())
    constants = tuple(
        _read_constant(item) for item in top['constants'].items()) if 'constants' in top else ()
    horizon = top['horizon'].count(1, MOST_ACTIONS) if 'horizon' in top else 1
    if horizon > 1:
        for term in (term for each in inputs for term in each.terms):
            if term.last_action:
                raise top['horizon'].error(
                    f'found {horizon} actions in an answer and {term.where}, which has the last '
                    'one; which of them is meant is not defined')
    return Adoption(
        str(path), top['name'].text(), top['environment'].text(), top['period'].positive(),
        horizon, inputs, outputs, constants, top['unused'].texts() if 'unused' in top else ())


def _read_input(
        name: str, section: Section, outputs: Mapping[str, int], known: dict[str, Term]) -> Input:
    """Read an input; its terms are added to the known ones."""
    keys = section.mapping((), ('terms', 'order', 'first', 'state', 'initial', 'shape'))
    section.at_most_one(keys, ('terms', 'state'))
    shape = tuple(item.count() for item in keys['shape'].items()) if 'shape' in keys else ()
    if 'state' in keys:
        for key in ('order', 'first'):
            if key in keys:
                raise keys[key].error('found this key with state; it is for terms')
        return Input(
            section.where, name, state=keys['state'].text(), shape=shape,
            initial=keys['initial'].numbers() if 'initial' in keys else ())
    if 'terms' not in keys:
        raise section.error("found neither 'terms' nor 'state'; an input has one of them")
    if 'initial' in keys:
        raise keys['initial'].error('found this key with terms; it is for a state')
    terms = []
    for item in keys['terms'].items():
        terms.append(term := _read_term(item, outputs, known))
        if term.name:
            if term.name in known:
                raise item.error(
                    f'found the field {term.name!r} twice; for the same numbers in another '
                    f'place, write again: {term.name}')
            known[term.name] = term
    is_time_major = 'order' in keys and keys['order'].choice((TERM, TIME)) == TIME
    lengths = {term.history for term in terms}
    if is_time_major and len(lengths) > 1:
        raise keys['order'].error(
            f'found terms with histories of {" and ".join(map(str, sorted(lengths)))} ticks, '
            'expected equal ones if all terms of a tick come together')
    return Input(
        section.where, name, tuple(terms), is_time_major,
        'first' in keys and keys['first'].choice((OLDEST, NEWEST)) == NEWEST, shape=shape)


def _read_term(
        section: Section, outputs: Mapping[str, int], known: Mapping[str, Term]) -> Term:
    """Read a term of an input."""
    found = section.entries()
    if 'constant' in found:
        constant = section.mapping(('constant',))['constant'].numbers()
        return Term(section.where, len(constant), constant=constant)
    shaping = ('minus', 'scale', 'clip')
    if 'again' in found:
        keys = section.mapping(('again',), shaping)
        source = known[keys['again'].choice(known)]
        return _shaped(
            keys, Term(section.where, source.size, again=source.name, history=source.history))
    if 'last_action' in found:
        keys = section.mapping(('last_action',), (*shaping, 'history', 'size'))
        output = keys['last_action'].choice(outputs)
        if 'size' in keys and keys['size'].count() != outputs[output]:
            raise keys['size'].error(
                f'found {keys["size"].count()}, the output {output!r} has {outputs[output]} '
                'numbers')
        return _shaped(keys, Term(
            section.where, outputs[output], last_action=output, history=_read_history(keys)))
    keys = section.mapping(
        ('name', 'unit', 'size', 'low', 'high'), (*shaping, 'history', 'elements'))
    size = keys['size'].count(1, MOST_OBSERVED)
    low, high = _read_range(section, keys, size)
    return _shaped(keys, Term(
        section.where, size, keys['name'].text(), keys['unit'].text(), low, high,
        history=_read_history(keys), elements=_read_elements(keys, size)))


def _shaped(keys: Mapping[str, Section], term: Term) -> Term:
    """Add offset, scale and bounds to a term."""
    size = term.size
    return Term(
        term.where, size, term.name, term.unit, term.low, term.high,
        keys['minus'].numbers(size) if 'minus' in keys else (0.0,) * size,
        keys['scale'].factors(size) if 'scale' in keys else (1.0,) * size,
        _read_clip(keys), term.history, term.again, term.last_action, term.constant,
        term.elements)


def _read_output(name: str, section: Section) -> Output:
    """Read an output that commands something."""
    keys = section.mapping(('fields',), ('clip',))
    fields = []
    for item in keys['fields'].items():
        if 'unused' in item.entries():
            fields.append(OutputField(
                item.where, item.mapping(('unused',))['unused'].count(1, MOST_COMMANDED)))
            continue
        given = item.mapping(
            ('name', 'unit', 'size', 'low', 'high'), ('scale', 'offset', 'elements'))
        size = given['size'].count(1, MOST_COMMANDED)
        low, high = _read_range(item, given, size)
        _require_gain(given['low'], given['unit'].text(), low)
        if any(lowest == highest for lowest, highest in zip(low, high, strict=True)):
            raise item.error(
                'found equal low and high; commands that never change belong to constants')
        fields.append(OutputField(
            item.where, size, given['name'].text(), given['unit'].text(),
            given['scale'].factors(size) if 'scale' in given else (1.0,) * size,
            given['offset'].numbers(size) if 'offset' in given else (0.0,) * size,
            low, high, _read_elements(given, size)))
    return Output(section.where, name, tuple(fields), _read_clip(keys))


def _read_constant(section: Section) -> Constant:
    """Read commands that never change."""
    keys = section.mapping(('name', 'unit', 'values'), ('elements',))
    values = keys['values'].numbers()
    _require_gain(keys['values'], keys['unit'].text(), values)
    return Constant(
        keys['name'].text(), keys['unit'].text(), values, _read_elements(keys, len(values)))


def _require_gain(section: Section, unit: str, values: tuple[float, ...]) -> None:
    """Require that a gain, as its unit shows, is never negative."""
    least = min(values)
    if least < 0 and ''.join(unit.split()).casefold() in _GAINS:
        raise section.error(
            f'found {least:g} {printable(unit)}, which drives a joint away from its target; '
            'expected gains of 0 or more')


def _read_range(
        section: Section, keys: Mapping[str, Section],
        size: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read the smallest and the largest value, one for all numbers or one for each."""
    low, high = keys['low'].numbers(size), keys['high'].numbers(size)
    if any(lowest > highest for lowest, highest in zip(low, high, strict=True)):
        raise section.error('found low above high')
    return low, high


def _read_clip(keys: Mapping[str, Section]) -> tuple[float, ...]:
    """Read a lower and an upper bound for all numbers; empty if there is none."""
    if 'clip' not in keys:
        return ()
    clip = tuple(item.number() for item in keys['clip'].items())
    if len(clip) != 2 or clip[0] >= clip[1]:
        raise keys['clip'].error('expected two numbers, the lower bound and the upper one')
    return clip


def _read_history(keys: Mapping[str, Section]) -> int:
    """Read the length of a history."""
    return keys['history'].count(1, MOST_TICKS) if 'history' in keys else 1


def _read_elements(keys: Mapping[str, Section], size: int) -> tuple[str, ...]:
    """Read the names of numbers."""
    if 'elements' not in keys:
        return ()
    names = keys['elements'].texts()
    if len(names) != size:
        raise keys['elements'].error(f'found {len(names)} names, expected {size}')
    return names


#: Longest state of a recurrent policy, in numbers.
LONGEST_STATE = MOST_STATE
