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
"""What a policy's inference runs on, in order of preference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting, SettingsError
from dfp_ros.core.text.errors import nearest

#: Operators whose end depends on numbers in the graph, so that they may have none: those of ONNX
#: with a body that is repeated, and those that ONNX Runtime adds.
UNBOUNDED = frozenset((
    'Loop', 'Scan', 'SequenceMap', 'BeamSearch', 'GreedySearch', 'Sampling', 'WhisperBeamSearch'))

#: Words of the parameter, and what ONNX Runtime calls them.
PROVIDERS = {
    'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider', 'openvino': 'OpenVINOExecutionProvider'}


@dataclass(frozen=True)
class ExecutionSettings:
    """
    What inference runs on.

    :raises SettingsError: Where a provider has no such name, is named twice, or none is; or where
        an operator is not one that can run without end.
    """

    providers: str = setting(
        'cpu', 'What the policy runs on, first choice first, with commas in between: cpu, cuda, '
        'tensorrt, openvino. What this machine does not have is left out, and said; a policy for '
        'which nothing is left is refused.')
    threads: int = setting(
        1, 'Threads of an inference on the CPU. Small networks are fastest with 1.',
        bounds=(1, 64))
    spinning: bool = setting(
        False, 'Have the threads of an inference wait busily for work: quicker with several '
        'threads, at the cost of a core each.')
    unbounded_operators: str = setting(
        '', 'Operators that can run without end and that a policy may have all the same, with '
        'commas in between, for example Loop,Scan. Empty for none: a policy that has one is '
        'refused, as one that never answers would be.')

    def __post_init__(self) -> None:
        """Check the providers' names."""
        words = self.order
        for word in words:
            if word not in PROVIDERS:
                raise SettingsError(
                    f'parameter execution.providers: found {word!r}; {nearest(word, PROVIDERS)}')
            if words.count(word) > 1:
                raise SettingsError(f'parameter execution.providers: found {word!r} twice')
        if not words:
            raise SettingsError(
                f'parameter execution.providers: found nothing, expected {", ".join(PROVIDERS)}')
        for word in self.allowed:
            if word not in UNBOUNDED:
                raise SettingsError(
                    f'parameter execution.unbounded_operators: found {word!r}; '
                    f'{nearest(word, sorted(UNBOUNDED))}')

    @property
    def order(self) -> tuple[str, ...]:
        """Return the providers' names, first choice first."""
        return tuple(word.strip() for word in self.providers.split(',') if word.strip())

    @property
    def allowed(self) -> tuple[str, ...]:
        """Return the operators that can run without end and are allowed."""
        return tuple(
            word.strip() for word in self.unbounded_operators.split(',') if word.strip())

    def left_out(self, used: Sequence[str]) -> tuple[str, ...]:
        """
        List the providers that were asked for and are not used.

        :param used: ONNX Runtime's names of those that are.
        """
        return tuple(word for word in self.order if PROVIDERS[word] not in used)
