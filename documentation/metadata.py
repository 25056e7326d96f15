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
"""Fields of a policy file's specification, from the dataclasses that read and write it."""

from __future__ import annotations

from dataclasses import fields, MISSING
import inspect
import re

from dfp_ros import spec_bounds
from dfp_ros.spec import (
    ActionField,
    METADATA_KEY,
    ObservationField,
    PolicySpec,
    SPEC_VERSION,
)
from documentation.markdown import cell, code, table

_GROUPS = (
    (PolicySpec, 'Specification'), (ObservationField, 'Field of the observation'),
    (ActionField, 'Field of the action'))


def page() -> str:
    """Format the page."""
    parts = [
        '# Metadata of a policy file',
        f'A policy file has its specification as JSON in the metadata of the ONNX model, under '
        f'the key `{METADATA_KEY}`, with `version` {SPEC_VERSION}. Unknown and missing keys are '
        'refused. [Policy files](../policy-files.md) explains inputs, outputs and precision; '
        '`ros2 run dfp_ros describe FILE` prints the specification of a file.']
    for kind, title in _GROUPS:
        meanings = parameters_of(kind)
        parts += [f'## {title}', table(('key', 'type', 'default', 'meaning'), (
            [code(member.name), code(member.type),
             'required' if member.default is MISSING and member.default_factory is MISSING else (
                 code(member.default) if member.default is not MISSING else code('{}')),
             cell(_plain(meanings[member.name]))] for member in fields(kind)))]
    bounds = [
        (name, getattr(spec_bounds, name)) for name in sorted(vars(spec_bounds))
        if re.fullmatch('[A-Z][A-Z_]*', name)
        and isinstance(getattr(spec_bounds, name), int | float)]
    parts += [
        '## Bounds', 'Larger values are refused at once; [Bounds of a specification]'
        '(../policy-files.md#bounds-of-a-specification) says why.',
        table(('constant of `dfp_ros.spec_bounds`', 'value'), (
            [code(name), f'{value:,.12g}'] for name, value in bounds))]
    return '\n\n'.join(parts) + '\n'


def parameters_of(kind: type) -> dict[str, str]:
    """Read the ``:param`` fields of a docstring."""
    text = inspect.getdoc(kind) or ''
    found = re.findall(r'^:param (\w+): (.*?)(?=^:|\Z)', text, re.MULTILINE | re.DOTALL)
    return {name: ' '.join(sentence.split()) for name, sentence in found}


def _plain(text: str) -> str:
    """Replace roles of reST by code spans."""
    return re.sub(r':\w+:`~?([^`]*)`', r'`\1`', text)
