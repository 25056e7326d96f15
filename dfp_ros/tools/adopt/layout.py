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
Layout of an adopted policy: where each number of observation and state goes in the foreign graph.

The graph of the policy file joins observation, constants and state to one vector, the pool. Each
input of the foreign graph is then a selection of its numbers, shifted, clipped and scaled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from dfp_ros.spec_bounds import MOST_OBSERVED
from dfp_ros.tools.adopt.adoption import AdoptError, Adoption, Input, LONGEST_STATE, Term
from dfp_ros.tools.adopt.foreign_model import FLOATS, ForeignModel, Port, STATES


@dataclass(frozen=True)
class Selection:
    """
    An input of terms, as numbers of the pool: ``clip(pool[indices] - minus) * scale``.

    :param indices: Indices in the pool.
    :param minus: One a number.
    :param low: Lower bound before scaling, one a number; infinite for none.
    :param high: Upper bound.
    :param scale: One a number.
    """

    indices: NDArray[np.int64]
    minus: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scale: NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """
    Where everything goes.

    :param shapes: Shape of each input.
    :param selections: Inputs of terms.
    :param observation: Count of the observation's numbers, the first of the pool.
    :param constants: The constants, next in the pool.
    :param flag: Index in the pool of a number that is 0 in the first call of an episode, then 1;
        None if no state begins with other numbers than 0.
    :param memories: Indices in the pool of the last actions of each output, the oldest first.
    :param states: Indices in the pool of each recurrent input.
    :param state_size: Count of the state's numbers, the last of the pool.
    """

    shapes: Mapping[str, tuple[int, ...]]
    selections: Mapping[str, Selection]
    observation: int
    constants: tuple[float, ...]
    flag: int | None
    memories: Mapping[str, range]
    states: Mapping[str, range]
    state_size: int


def lay_out(adoption: Adoption, foreign: ForeignModel) -> Layout:
    """
    Lay out the pool.

    :param adoption: The meaning of the policy.
    :param foreign: Its model.
    :raises AdoptError: If they do not fit each other; the message names what differs.
    """
    shapes = _check(adoption, foreign)
    starts: dict[str, int] = {}
    end = 0
    for term in adoption.observed:
        starts[term.name] = end
        end += term.width
    observation = end
    constants = tuple(number for term in adoption.terms for number in term.constant)
    constant_at, end = end, end + len(constants)
    state_at = end
    flag = None
    if any(any(each.initial) for each in adoption.inputs):
        flag, end = end, end + 1
    memories: dict[str, range] = {}
    for term in adoption.terms:
        if term.last_action:
            length = max(
                other.width for other in adoption.terms
                if other.last_action == term.last_action)
            if term.last_action not in memories:
                memories[term.last_action] = range(end, end + length)
                end += length
    states: dict[str, range] = {}
    for each in adoption.inputs:
        if each.state:
            states[each.name] = range(end, end + math.prod(shapes[each.name]))
            end = states[each.name].stop
    if end - state_at > LONGEST_STATE:
        raise AdoptError(
            f'{adoption.where}: found a state of {end - state_at} numbers, expected at most '
            f'{LONGEST_STATE}')
    selections = {}
    for each in adoption.inputs:
        if not each.terms:
            continue
        places = []
        for term in each.terms:
            if term.constant:
                places.append(np.arange(constant_at, constant_at + term.size))
                constant_at += term.size
            elif term.last_action:
                last = memories[term.last_action]
                places.append(np.arange(last.stop - term.width, last.stop))
            else:
                start = starts[term.again or term.name]
                places.append(np.arange(start, start + term.width))
        selections[each.name] = _select(each, places)
    return Layout(
        shapes, selections, observation, constants, flag, memories, states, end - state_at)


def require_adoptable(foreign: ForeignModel, states: Collection[str]) -> None:
    """
    Require, before its meaning is asked for, a model whose numbers a policy can have.

    :param foreign: The model.
    :param states: Names of inputs that are taken for recurrent states.
    :raises AdoptError: At the first input or output that no meaning can make use of.
    """
    for name, port in foreign.inputs.items():
        may_be_state = name in states or can_be_state(foreign, port)
        _require_type(foreign.path, port, foreign, STATES if may_be_state else FLOATS)
        if not may_be_state and port.size > MOST_OBSERVED:
            raise AdoptError(
                f'{foreign.path}: the input {name!r} of shape {list(port.shape)} has {port.size} '
                f'numbers, expected at most {MOST_OBSERVED}; policies that see pictures are not '
                'adopted, and one that sees fewer numbers has to be trained')
    if all(port.type not in STATES for port in foreign.outputs.values()):
        found = ', '.join(f'{name} ({port.type})' for name, port in foreign.outputs.items())
        raise AdoptError(
            f'{foreign.path}: found the outputs {found}, expected one of {", ".join(STATES)}; '
            'export it with its actions as an output')


def can_be_state(foreign: ForeignModel, port: Port) -> bool:
    """Tell whether some output has the type and the size of an input, as a state's does."""
    return any(
        answer.type == port.type and (
            answer.size == port.size or not all(isinstance(size, int) for size in answer.shape))
        for answer in foreign.outputs.values())


def _require_type(
        where: object, port: Port, foreign: ForeignModel, types: Collection[str]) -> None:
    """Require one of some element types of an input."""
    if port.type not in types:
        raise AdoptError(
            f'{where}: the input {port.name!r} of {foreign.path.name} is {port.type}, '
            f'expected one of {", ".join(types)}')


def _select(given: Input, places: Sequence[NDArray[np.int64]]) -> Selection:
    """Put the numbers of an input's terms in order; histories are stored oldest first."""
    rows = []
    for term, place in zip(given.terms, places, strict=True):
        ticks = place.reshape(term.history, term.size)
        shaped = [
            np.broadcast_to(values, (term.history, term.size)) for values in _shaping(term)]
        if given.newest_first:
            ticks = ticks[::-1]
        rows.append(np.stack([ticks.astype(np.float64), *shaped]))
    if given.is_time_major:
        numbers = np.concatenate(rows, axis=2).reshape(5, -1)
    else:
        numbers = np.concatenate([each.reshape(5, -1) for each in rows], axis=1)
    indices, minus, low, high, scale = numbers
    return Selection(indices.astype(np.int64), minus, low, high, scale)


def _shaping(term: Term) -> list[NDArray[np.float64]]:
    """Offset, bounds and scale of a term, one a number of a tick."""
    low, high = term.clip or (-math.inf, math.inf)
    return [
        np.array(term.minus or (0.0,) * term.size), np.full(term.size, low),
        np.full(term.size, high), np.array(term.scale or (1.0,) * term.size)]


def _check(adoption: Adoption, foreign: ForeignModel) -> dict[str, tuple[int, ...]]:
    """Check that meaning and model have the same inputs and outputs, and return the shapes."""
    named = {each.name: each for each in adoption.inputs}
    _compare('inputs', adoption.where, named, foreign.inputs, foreign.path.name)
    shapes = {}
    for name, port in foreign.inputs.items():
        given = named[name]
        shapes[name] = shape = _shape(given, port, foreign)
        size = math.prod(shape)
        found = sum(term.width for term in given.terms)
        if given.terms and found != size:
            raise AdoptError(
                f'{given.where}: found terms of {found} numbers ({_sizes(given.terms)}), the '
                f'input {name!r} of {foreign.path.name} has {size}')
        if given.initial and len(given.initial) not in (1, size):
            raise AdoptError(
                f'{given.where}.initial: found {len(given.initial)} numbers, expected {size}, or '
                'one for all of them')
    taken = [output.name for output in adoption.outputs]
    taken += [each.state for each in adoption.inputs if each.state]
    taken += adoption.unused
    for name in taken:
        if taken.count(name) > 1:
            raise AdoptError(
                f'{adoption.where}: found the output {name!r} twice in outputs, states and unused')
    _compare('outputs', adoption.where, taken, foreign.outputs, foreign.path.name)
    for name in taken[:len(taken) - len(adoption.unused)]:
        if foreign.outputs[name].type not in STATES:
            raise AdoptError(
                f'{adoption.where}: the output {name!r} of {foreign.path.name} is '
                f'{foreign.outputs[name].type}, expected one of {", ".join(STATES)}; if it is not '
                'needed, add it to the list unused')
    if not adoption.observed:
        raise AdoptError(f'{adoption.where}: found no term with a name, so nothing is observed')
    return shapes


def _shape(given: Input, port: Port, foreign: ForeignModel) -> tuple[int, ...]:
    """Return the shape of an input for a batch of one."""
    _require_type(given.where, port, foreign, STATES if given.state else FLOATS)
    if given.shape:
        fits = len(given.shape) == len(port.shape) and all(
            not isinstance(theirs, int) or mine == theirs
            for mine, theirs in zip(given.shape, port.shape, strict=True))
        if not fits:
            raise AdoptError(
                f'{given.where}.shape: found {list(given.shape)}, the graph has '
                f'{list(port.shape)}')
        return given.shape
    if left := port.open_beside(foreign.batch):
        raise AdoptError(
            f'{given.where}: the input {port.name!r} of {foreign.path.name} leaves the '
            f'dimension {", ".join(left)} of its shape {list(port.shape)} open; give the whole '
            'shape with the key shape')
    return port.fixed


def _compare(
        kind: str, where: str, found: Mapping[str, object] | Sequence[str],
        expected: Mapping[str, Port], model: str) -> None:
    """Require the same names on both sides."""
    for name in expected:
        if name not in found:
            remedy = (
                'add it under inputs' if kind == 'inputs' else
                'add it under outputs, as a state, or to the list unused')
            raise AdoptError(
                f'{where}: says nothing of {name!r} of {model}, {expected[name].type} of shape '
                f'{list(expected[name].shape)}; {remedy}')
    for name in found:
        if name not in expected:
            raise AdoptError(
                f'{where}: found {name!r}, the {kind} of {model} are {", ".join(expected)}')


def _sizes(terms: Sequence[Term]) -> str:
    """List the sizes of terms."""
    return ' + '.join(
        f'{term.name or term.again or term.last_action or "constant"} '
        + (f'{term.size} * {term.history}' if term.history > 1 else f'{term.size}')
        for term in terms)
