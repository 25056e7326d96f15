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
"""ONNX Runtime session of a policy file, with options for a control loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import re
from typing import Any

import onnxruntime

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import PolicyFile, REMEDY
from dfp_ros.core.settings.execution import ExecutionSettings, PROVIDERS

# Messages of ONNX Runtime about a file that needs a newer version of it: a newer version of the
# format or of the operator set, or an unknown operator.
_NEWER = ('Unsupported model IR version', 'is under development', 'No Op registered for')
_VERSION = re.compile(r'[0-9]+(\.[0-9]+){1,3}')


class _Pause:
    """
    Empty list of disabled optimizers; iterating over it waits.

    ONNX Runtime reads the list between its two long steps, parsing a model and optimising it.
    """

    def __init__(self, wait: Callable[[], None]) -> None:
        """Store the function that waits."""
        self._wait = wait

    def __iter__(self) -> Iterator[str]:
        """Wait, then end."""
        self._wait()
        return iter(())


def open_session(
        file: PolicyFile, execution: ExecutionSettings, candidates: int | None = None,
        wait: Callable[[], None] | None = None) -> Any:
    """
    Open a session of ONNX Runtime for a policy file.

    :param file: The file.
    :param execution: Execution providers and threads.
    :param candidates: Noise vectors of every call; None for any number.
    :param wait: Called before each of the two long steps; None for no wait.
    :return: The session, ``onnxruntime.InferenceSession``.
    :raises PolicyError: If no execution provider is available, or it cannot be loaded.
    """
    there = onnxruntime.get_available_providers()
    providers = [PROVIDERS[word] for word in execution.order if PROVIDERS[word] in there]
    if not providers:
        raise PolicyError(
            f'parameter execution.providers: found {execution.providers}, this ONNX Runtime '
            f'{onnxruntime.__version__} has {", ".join(there)}; add cpu at the end to fall '
            'back on it, or install the ONNX Runtime for that hardware')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = execution.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry(
        'session.intra_op.allow_spinning', '1' if execution.spinning else '0')
    options.add_session_config_entry('session.inter_op.allow_spinning', '0')
    # Neither made a call measurably faster, and without them memory does not grow in steps.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    # Otherwise ONNX Runtime guesses the format from a few bytes: a file can be an ONNX model that
    # is read before it is loaded, and another model in the runtime's own format.
    options.add_session_config_entry('session.load_model_format', 'ONNX')
    if candidates is not None:
        # The condition of the branch becomes a constant, and the branch is removed. If the graph
        # has another name for this size, nothing changes.
        options.add_free_dimension_override_by_name('candidates', candidates)
    pause = {}
    if wait is not None:
        wait()
        pause['disabled_optimizers'] = _Pause(wait)
    try:
        return onnxruntime.InferenceSession(file.content, options, providers=providers, **pause)
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        raise PolicyError(
            f'policy file {file.path}: ONNX Runtime {onnxruntime.__version__} cannot load it: '
            f'{error}; {_find_remedy(file, str(error))}') from error


def is_newer(problem: str) -> bool:
    """Tell whether an error of ONNX Runtime is about a file that needs a newer version of it."""
    return any(sign in problem for sign in _NEWER)


def _find_remedy(file: PolicyFile, problem: str) -> str:
    """
    Return the remedy for a file that cannot be loaded.

    If the file is newer than the runtime, exporting it again would give the same file.
    """
    if not is_newer(problem):
        return REMEDY
    provenance = file.spec.provenance
    versions = provenance.get('exported_with') or provenance.get('versions')
    written = versions.get('onnxruntime') if isinstance(versions, Mapping) else None
    if isinstance(written, str) and _VERSION.fullmatch(written):
        return (
            f'the file is newer than this ONNX Runtime: it was exported and checked with '
            f"{written}, so install that here: `pip install 'onnxruntime>={written}'`")
    return (
        'the file is newer than this ONNX Runtime: install one at least as new as the one that '
        'it was exported with, `pip install --upgrade onnxruntime`')
