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
"""Policy file: its bytes, hash and specification, read before any of it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import hashlib
import os
from pathlib import Path

from dfp_ros.core.files.bounded_file import LARGEST_POLICY, open_regular, read_regular
from dfp_ros.core.files.missing import explain_missing
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_metadata import OnnxFacts, OnnxFileError, read_model, skim_metadata
from dfp_ros.core.policy.trust import Trust
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.trust import key_name
from dfp_ros.spec import METADATA_KEY, PolicySpec
from dfp_ros.spec_bounds import SpecError

#: Longest specification in characters; its serialisation to JSON blocks other threads.
LARGEST_SPEC = 256 << 10
# The first bytes of a zip archive, as written by torch.save.
_ARCHIVE = b'PK\x03\x04'
REMEDY = 'export the policy again with `python -m training.export`'


@dataclass(frozen=True)
class PolicyFile:
    """
    Content of a policy file, and the facts in it.

    :param path: Path of the file, which may be changed or deleted afterwards.
    :param content: Its bytes.
    :param sha256: Their hash, 64 hexadecimal digits.
    :param spec: The specification in the metadata.
    :param unbounded: Operators of the graph that can run without end.
    :param signed_by: Public key of its signature, as ``policy_keys`` has it; empty if none was
        required.
    """

    path: Path
    content: bytes = field(repr=False)
    sha256: str
    spec: PolicySpec
    unbounded: tuple[str, ...] = ()
    signed_by: str = ''

    @property
    def signer(self) -> str:
        """Say who has signed it, for messages; empty if no signature was required."""
        return f'signed by the key that ends in {key_name(self.signed_by)}' * bool(self.signed_by)


def read_policy_file(path: str | os.PathLike[str], trust: Trust | None = None) -> PolicyFile:
    """
    Read a policy file and check all of it.

    :param path: The ONNX file.
    :param trust: Folder and signature that it needs, checked before it is parsed; None for none.
    :raises PolicyError: If the file is not trusted, missing, cut short, not ONNX, not
        self-contained, without a specification, or of another version. Each has its own message.
    """
    path, trust = Path(path), trust or Trust()
    trust.require_place(path)
    real = path

    def require_place(file: int) -> None:
        nonlocal real
        real = trust.require_opened(path, file)
    try:
        content = read_regular(path, LARGEST_POLICY, require_place)
    except OSError as error:
        raise _explain(path, error) from error
    signed_by = trust.require_signed(path, real, content)
    _require_no_checkpoint(path, content[:len(_ARCHIVE)])
    facts = OnnxFacts()

    def read() -> dict[str, str]:
        nonlocal facts
        facts = read_model(content)
        return facts.metadata
    spec = _find_spec(path, read)
    return PolicyFile(
        path, content, hashlib.sha256(content).hexdigest(), spec, tuple(sorted(facts.unbounded)),
        signed_by)


def require_ending(file: PolicyFile, execution: ExecutionSettings) -> None:
    """
    Require that a policy has no operator that can run without end, unless it is allowed.

    :raises PolicyError: If it has another.
    """
    refused = [name for name in file.unbounded if name not in execution.allowed]
    if refused:
        raise PolicyError(
            f'policy file {file.path}: its graph has {", ".join(refused)}, which can run without '
            f'end and keep the robot waiting; {REMEDY}, or allow it with the parameter '
            f'execution.unbounded_operators: {",".join(file.unbounded)}')


def read_spec(path: str | os.PathLike[str]) -> PolicySpec:
    """
    Read only the specification of a policy file, in well under a tick.

    :param path: The ONNX file.
    :raises PolicyError: As :func:`read_policy_file`, except for faults of the graph.
    """
    path = Path(path)
    try:
        file = open_regular(path, LARGEST_POLICY)
    except OSError as error:
        raise _explain(path, error) from error

    def skim() -> dict[str, str]:
        with os.fdopen(file, 'rb') as opened:
            _require_no_checkpoint(path, opened.read(len(_ARCHIVE)))
            return skim_metadata(opened)
    return _find_spec(path, skim)


def _require_no_checkpoint(path: Path, head: bytes) -> None:
    """
    Require that a file is not what PyTorch writes.

    :param path: The file.
    :param head: Its first bytes.
    :raises PolicyError: If it is; the message has the command that exports a policy from it.
    """
    if head == _ARCHIVE or path.suffix in ('.pt', '.pth'):
        raise PolicyError(
            f'policy file {path}: found a checkpoint or another archive, expected an exported '
            f'.onnx file; {_export(path.parent)}')


def _export(run: Path) -> str:
    """Say how the policy of a run is exported."""
    return (
        f"that of a run's folder is written with `python -m training.export {run} "
        '--out NAME.onnx`')


def _find_spec(path: Path, read: Callable[[], Mapping[str, str]]) -> PolicySpec:
    """Read the specification from the file's metadata."""
    try:
        metadata = read()
    except OnnxFileError as error:
        raise PolicyError(
            f'policy file {path}: {error}; copy it again, or {REMEDY}') from error
    if METADATA_KEY not in metadata:
        raise PolicyError(
            f'policy file {path}: found no {METADATA_KEY!r} in its metadata (keys: '
            f'{", ".join(sorted(metadata)) or "none"}), so it does not say what its numbers '
            f'mean; {REMEDY}, or, if another tool has written it, adopt it with `ros2 run dfp_ros '
            'adopt FILE`')
    text = metadata[METADATA_KEY]
    if len(text) > LARGEST_SPEC:
        raise PolicyError(
            f'policy file {path}: found a specification of {len(text)} characters, expected at '
            f'most {LARGEST_SPEC}; keep its provenance short')
    try:
        return PolicySpec.from_json(text)
    except SpecError as error:
        raise PolicyError(f'policy file {path}: {error}') from error


def _explain(path: Path, error: OSError) -> PolicyError:
    """Explain why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return PolicyError(
            f'policy file {path}: {explain_missing(path, (".onnx",))}; give the path of an '
            'exported .onnx file')
    remedy = f'; give an exported .onnx file; {_export(path)}' if path.is_dir() else (
        f'; {_export(path.parent)}' if path.suffix in ('.pt', '.pth') else '')
    return PolicyError(f'policy file {path}: cannot be read: {error.strerror}{remedy}')
