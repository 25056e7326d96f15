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
Foreign policy in its own terms: the reference that an adopted policy is compared with.

It shares nothing with the graph of the policy file: the foreign file runs as it is, and its inputs
are put together here, term by term, as the framework that it was trained with does.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.adopt.adoption import AdoptError, Adoption, Input, Output, Term
from dfp_ros.tools.adopt.foreign_model import ForeignModel

_NUMPY: Mapping[str, type[np.generic]] = {
    'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(double)': np.float64,
    'tensor(int32)': np.int32, 'tensor(int64)': np.int64, 'tensor(bool)': np.bool_}


class ForeignRuntime:
    """
    Runs a foreign policy, episode by episode.

    :param adoption: Its meaning.
    :param foreign: Its model.
    :param shapes: Shapes of its inputs.
    """

    def __init__(
            self, adoption: Adoption, foreign: ForeignModel,
            shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Open it, before the first episode."""
        self._adoption = adoption
        self._types = {name: _NUMPY[port.type] for name, port in foreign.inputs.items()}
        self._names = list(foreign.outputs)
        self._used = [output.name for output in adoption.outputs]
        self._used += [given.state for given in adoption.inputs if given.state]
        self._path = foreign.path
        self._shapes = shapes
        self._session = foreign.session
        self.reset()

    def reset(self) -> None:
        """Begin an episode."""
        self._actions: dict[str, list[FloatArray]] = {}
        self._states: dict[str, NDArray[Any]] = {}

    def command(self, values: Mapping[str, FloatArray]) -> NDArray[np.float64]:
        """
        Compute the commands for one observation.

        :param values: The value of each field of the observation, shape (history, size), the
            oldest tick first.
        :return: Shape (horizon, act_dim), in the fields' units, without limits.
        :raises AdoptError: If inference fails, an output has another size than it should, or the
            same inputs have two answers.
        """
        given_numbers = {
            given.name: self._input(given, values) for given in self._adoption.inputs}
        answers = self._run(given_numbers)
        # A random graph with a seed answers as that of the policy file does, call by call.
        again = self._run(given_numbers)
        for name in self._used:
            if not np.array_equal(
                    answers[name], again[name], equal_nan=answers[name].dtype.kind == 'f'):
                raise AdoptError(
                    f'{self._path}: its output {name!r} answers otherwise if it is asked the same '
                    'again, so its graph is random, or keeps a state that is no output; export it '
                    'without, such as the mean of what it draws, and in evaluation mode')
        for given in self._adoption.inputs:
            if given.state:
                self._states[given.name] = self._state(given, answers[given.state])
        parts = [self._commands(output, answers[output.name]) for output in self._adoption.outputs]
        parts += [
            np.tile(np.array(each.values), (self._adoption.horizon, 1))
            for each in self._adoption.constants]
        return np.concatenate(parts, axis=1)

    def _run(self, given_numbers: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Run the graph once."""
        try:
            found = self._session.run(self._names, given_numbers)
        except Exception as error:  # ONNX Runtime's own errors share no public base class
            raise AdoptError(
                f'{self._path}: its inference fails: {printable(error, 300)}; run it once with '
                'ONNX Runtime, and export it again') from error
        return dict(zip(self._names, found, strict=True))

    def _state(self, given: Input, answer: NDArray[Any]) -> NDArray[Any]:
        """Require that a state has the size of the input that it is for."""
        size = math.prod(self._shapes[given.name])
        if answer.size != size:
            raise AdoptError(
                f'{given.where}: the state has {size} numbers, its output {given.state!r} of '
                f'{self._path.name} answers {answer.size}; a state has one size, so take another '
                'output, or export it with a fixed batch and length')
        return answer

    def _input(
            self, given: Input, values: Mapping[str, FloatArray]) -> NDArray[Any]:
        """Put together one input."""
        kind, shape = self._types[given.name], self._shapes[given.name]
        if given.state:
            if given.name in self._states:
                return self._states[given.name].astype(kind).reshape(shape)
            return np.broadcast_to(
                np.array(given.initial or 0.0, kind), int(np.prod(shape))).reshape(shape)
        terms = [self._term(term, values) for term in given.terms]
        if given.newest_first:
            terms = [ticks[::-1] for ticks in terms]
        if given.is_time_major:
            numbers = [ticks[i] for i in range(len(terms[0])) for ticks in terms]
        else:
            numbers = [ticks.ravel() for ticks in terms]
        return np.concatenate(numbers).astype(kind).reshape(shape)

    def _term(self, term: Term, values: Mapping[str, FloatArray]) -> FloatArray:
        """Compute one term, shape (history, size), float32, the oldest tick first."""
        if term.constant:
            return np.array([term.constant], np.float32)
        if term.last_action:
            past = self._actions.get(term.last_action, [])[-term.history:]
            nothing = [np.zeros(term.size, np.float32)] * (term.history - len(past))
            found = np.array([*nothing, *past], np.float32)
        else:
            found = values[term.again or term.name]
        found = found - np.array(term.minus, np.float32)
        if term.clip:
            found = np.clip(found, *np.array(term.clip, np.float32))
        return found * np.array(term.scale, np.float32)

    def _commands(self, output: Output, answer: NDArray[Any]) -> NDArray[np.float64]:
        """Convert an output to commands, and keep it as the last action."""
        rows = self._adoption.horizon
        if answer.size != rows * output.size:
            raise AdoptError(
                f'{output.where}: found fields of {output.size} numbers for {rows} actions, the '
                f'output {output.name!r} of {self._path.name} has the shape {list(answer.shape)}')
        numbers = answer.astype(np.float32).reshape(rows, output.size)
        if output.clip:
            numbers = np.clip(numbers, *np.array(output.clip, np.float32))
        self._actions.setdefault(output.name, []).append(numbers[-1])
        parts, start = [], 0
        for member in output.fields:
            if member.name:
                part = numbers[:, start:start + member.size].astype(np.float64)
                parts.append(np.array(member.offset) + np.array(member.scale) * part)
            start += member.size
        return np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0))
