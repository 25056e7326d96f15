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
"""Node parameters: execution providers and threads of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting, SettingsError
from dfp_ros.core.text.errors import nearest

#: Operators with a data-dependent number of iterations, which may never terminate: loops of ONNX,
#: and those that ONNX Runtime adds.
UNBOUNDED = frozenset((
    'Loop', 'Scan', 'SequenceMap', 'BeamSearch', 'GreedySearch', 'Sampling', 'WhisperBeamSearch'))

#: Values of the parameter, and their names in ONNX Runtime.
PROVIDERS = {
    'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider', 'openvino': 'OpenVINOExecutionProvider'}


@dataclass(frozen=True)
class ExecutionSettings:
    """
    Execution providers and threads of inference.

    :raises SettingsError: If a provider is unknown or named twice, if none is named, or if an
        operator is not one that can run without end.
    """

    providers: str = setting(
        'cpu', 'Execution providers of the policy, in order of preference, separated by commas: '
        'cpu, cuda, tensorrt, openvino. Providers that this machine lacks are left out, with a '
        'warning; a policy without any provider is refused.')
    threads: int = setting(
        1, 'Threads of inference on the CPU. Small networks are fastest with 1.',
        bounds=(1, 64))
    spinning: bool = setting(
        False, 'Let the threads of inference spin while they wait for work: faster with several '
        'threads, at the cost of one core each.')
    unbounded_operators: str = setting(
        '', 'Operators that can run without end and are allowed nevertheless, separated by '
        'commas, for example Loop,Scan. Empty for none: a policy with such an operator is '
        'refused, because it may never answer.')

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
        """Names of the providers, in order of preference."""
        return tuple(word.strip() for word in self.providers.split(',') if word.strip())

    @property
    def allowed(self) -> tuple[str, ...]:
        """Operators that can run without end and are allowed."""
        return tuple(
            word.strip() for word in self.unbounded_operators.split(',') if word.strip())

    def left_out(self, used: Sequence[str]) -> tuple[str, ...]:
        """
        List the requested providers that are not used.

        :param used: ONNX Runtime's names of the providers in use.
        """
        return tuple(word for word in self.order if PROVIDERS[word] not in used)
